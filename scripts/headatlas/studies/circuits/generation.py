"""Text from causal models: one token after another, the likeliest or drawn at random."""

import numpy as np
import pandas as pd
import torch

from headatlas.base.errors import InputError
from headatlas.data.tokenizer_reading import describe_tokens


def generate(
    family,
    prompts,
    *,
    length,
    member=0,
    greedy=False,
    temperature=1.0,
    top_k=None,
    top_p=None,
    seed=0,
    stop=None,
    banned=(),
    crop=False,
):
    """Continue prompts.

    Prompts of different lengths are padded on the right for the forward pass; what stands there is never read. Each
    prompt draws from a generator of its own, so that its text does not depend on its company.

    Parameters
    ----------
    family : ToyFamily or PretrainedFamily
        What `families.load_family` opens; causal.
    prompts : sequence of sequences of int
    length : int
        Tokens to add.
    member : int
    greedy : bool
        Take the likeliest token; without it, draw one.
    temperature, top_k, top_p
        As in `probabilities`; not used when greedy.
    seed : int
    stop : int, optional
        Token after which a text ends.
    banned : iterable of int
        Tokens that are never chosen, such as padding, which a model trained here has never been asked for.
    crop : bool
        Whether the model reads only the last tokens of a text that outgrows its context; without it such a text is an
        error.

    Returns
    -------
    list of list of int
        Each prompt with what was added.

    Raises
    ------
    InputError
        If the family is not causal, a prompt is empty or holds unknown tokens, or the text outgrows the context.
    """
    if not family.causal:
        raise InputError("generation: this model sees the future of its tokens; only a causal one continues a text")
    texts = [[int(token) for token in prompt] for prompt in prompts]
    for place, text in enumerate(texts):
        _check_prompt(place, text, length, family, crop)
    banned = sorted({int(token) for token in banned})
    generators = [torch.Generator().manual_seed(_mixed(seed, place)) for place in range(len(texts))]
    predict = family.predictor(member)
    writing = list(range(len(texts)))
    for _ in range(length):
        if not writing:
            break
        read = [texts[place][-family.context :] if family.context else texts[place] for place in writing]
        last = torch.tensor([len(text) - 1 for text in read])
        tokens = torch.zeros(len(read), int(last.max()) + 1, dtype=torch.long)  # what fills a row up is never read
        for row, text in enumerate(read):
            tokens[row, : len(text)] = torch.tensor(text)
        logits = predict(tokens, last).double().cpu()  # (text, vocabulary)
        logits[:, banned] = -torch.inf
        for row, place in zip(logits, writing, strict=True):
            if greedy:
                chosen = int(row.argmax())
            else:
                shares = probabilities(row, temperature=temperature, top_k=top_k, top_p=top_p)
                chosen = int(torch.multinomial(shares, 1, generator=generators[place]))
            texts[place].append(chosen)
        writing = [place for place in writing if stop is None or texts[place][-1] != stop]
    return texts


def probabilities(logits, *, temperature=1.0, top_k=None, top_p=None):
    """What is drawn from: the softmax of logits over a temperature, cut to the likeliest tokens.

    Parameters
    ----------
    logits : Tensor of shape (..., vocabulary)
    temperature : float
        Above 0; below 1 the likely become likelier.
    top_k : int, optional
        Keep this many (Fan et al. 2018; Jayakumar et al. take 10), and those that tie with the last of them.
    top_p : float, optional
        Of these keep the fewest, likeliest first, whose probabilities sum to at least this (Holtzman et al. 2020).

    Returns
    -------
    Tensor of shape (..., vocabulary)
        Summing to one.
    """
    if not temperature > 0:
        raise InputError(f"temperature: {temperature} found; allowed: more than 0 (greedy takes the likeliest)")
    if top_k is not None and top_k < 1:
        raise InputError(f"top_k: {top_k} found; allowed: at least 1, or none")
    if top_p is not None and not 0 < top_p <= 1:
        raise InputError(f"top_p: {top_p} found; allowed: more than 0, at most 1, or none")
    logits = logits / temperature
    if top_k is not None:
        least = logits.topk(min(top_k, logits.shape[-1]), -1).values[..., -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    shares = logits.softmax(-1)
    if top_p is not None:
        ordered, places = shares.sort(dim=-1, descending=True, stable=True)
        kept = ordered.cumsum(-1) - ordered < top_p  # what stands before a token does not yet suffice
        shares = shares * torch.zeros_like(kept).scatter(-1, places, kept)
    return shares / shares.sum(-1, keepdim=True)


def _check_prompt(place, text, length, family, crop):
    if not text:
        raise InputError(f"prompt {place}: it has no tokens; at least one is needed to continue from")
    if min(text) < 0 or max(text) >= family.vocabulary:
        wrong = min(text) if min(text) < 0 else max(text)
        raise InputError(f"prompt {place}: token {wrong}; this model's vocabulary is 0 to {family.vocabulary - 1}")
    # the last token is written, not read
    if not crop and family.context is not None and len(text) + length - 1 > family.context:
        raise InputError(
            f"prompt {place}: {len(text)} tokens and {length} to add; this model's context is {family.context}, so "
            f"allowed: at most {max(0, family.context + 1 - length)} tokens, or cropping to the last ones"
        )


def _mixed(seed, place):
    """One seed of a seed and a prompt's place."""
    return int(np.random.SeedSequence([seed, place]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def text_table(texts, tokenizer, begun):
    """Texts token by token.

    Parameters
    ----------
    texts : list of list of int
    tokenizer : Tokenizer
    begun : int
        Tokens of the prompt, with which each begins.

    Returns
    -------
    DataFrame of [sample, position, token, piece, continuation, generated]
        Samples count from -1, which is the likeliest text.
    """
    spaced = any(name.startswith("␣") for name in describe_tokens(tokenizer, range(len(tokenizer))))
    parts = []
    for sample, text in enumerate(texts, start=-1):
        pieces = describe_tokens(tokenizer, text)
        columns = {"sample": sample, "position": range(len(text)), "token": text, "piece": pieces}
        parts.append(pd.DataFrame({**columns, "continuation": continuations(pieces, spaced)}))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(generated=table["position"] >= begun)


def continuations(pieces, spaced):
    """Which pieces go on with the word of the piece before: "##ing", or letters right after letters.

    Parameters
    ----------
    pieces : sequence of str
        Of one text, as `tokens.describe_tokens` gives them.
    spaced : bool
        Whether the tokenizer's pieces show the spaces between words; without, only "##" tells.

    Returns
    -------
    list of bool
    """
    after_letter = [False, *(spaced and piece[-1:].isalnum() for piece in pieces[:-1])]
    return [
        piece.startswith("##") or (after and piece[:1].isalnum())
        for piece, after in zip(pieces, after_letter, strict=True)
    ]
