"""In-context learning: how much better a token is predicted from a long context than from a short one.

===========  =========================================================================================================
masked       published (Chen, "Exploring transformer interpretability", Fig 5): a text cut to its first `long` and its
models       first `short` tokens, [CLS] and [SEP] among them; one random position masked in each, a new one for each,
             which may be [CLS]; but the loss is averaged over all tokens, masked or not. corrected: the loss of the
             same masked token, in contexts of growing size nested in one another.
causal       the loss of the `long`th token of a text less that of the `short`th (Olsson et al. 2022, "In-context
models       Learning and Induction Heads"), and the whole curve of the loss by position.
===========  =========================================================================================================

A positive score is what is gained: the loss in the short context less that in the long one. Olsson et al. give it with
the other sign. No text is padded: where documents are shorter than the long context, it goes on from one to the next.

But a model that was trained on long texts may do badly in a short one because it has never seen any, and tokens at two
places of a text differ in more than their context. So the corrected gain is of one token in two contexts of one length:
`elsewhere` is its loss where all but the short context around it is taken from another text, which tells nothing of it.
"""

import sys
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from headatlas.base import progress
from headatlas.base.errors import InputError
from headatlas.base.statistics import bootstrap_interval
from headatlas.models import interventions
from headatlas.models.forward_batches import MEMORY
from headatlas.models.knockout import deranged

SIZES = 8  # contexts on the curve of a masked model


class Texts(NamedTuple):
    """Held-out texts of one length; how many documents have none, and how many texts go on from one to the next."""

    tokens: np.ndarray  # (text, long)
    documents: np.ndarray  # (text,), each text's first
    skipped: int
    across: int


def read_texts(documents, tokenizer, *, long, count, seed=0, corpus="the corpus", key="long"):
    """Draw texts of `long` tokens from what is not trained on.

    First the beginnings of documents. Where too few are that long, stretches further on in them, then stretches of what
    is left: the ends and the documents too short, joined in the corpus's order. None overlaps another.

    Parameters
    ----------
    documents : DataFrame of [document, split, text]
        Passages, and documents, are joined by line breaks, as in windows of sampling `corrected`.
    tokenizer : tokens.Tokenizer
    long : int
        Tokens of a text.
    count : int
        Texts wanted; fewer where the corpus has no more.
    seed : int
    corpus, key : str
        How the configuration calls the corpus and `long`, for errors.

    Returns
    -------
    Texts

    Raises
    ------
    InputError
        If there are fewer than two.
    """
    held_out = documents[documents["split"] != "train"]
    joined = held_out.groupby("document", sort=True)["text"].agg("\n".join)
    generator, encoded, skipped = np.random.default_rng(seed), {}, 0
    found = []  # of (document, tokens)
    for at in generator.permutation(len(joined)):
        if len(found) == count:
            break
        encoded[at] = tokenizer.literal.encode(joined.iloc[at], add_special_tokens=False).ids
        skipped += len(encoded[at]) < long
        found += [(at, ids) for ids in _stretches(encoded[at], long)[:1]]
    beginnings = len(found)
    if beginnings < count:  # all documents are encoded
        within = [(at, ids) for at in sorted(encoded) for ids in _stretches(encoded[at], long)[1:]]
        found += _some(within, count - beginnings, generator)
    further = len(found) - beginnings
    if len(found) < count:
        between = tokenizer.literal.encode("\n", add_special_tokens=False).ids
        rest = [(at, [*encoded[at][len(encoded[at]) // long * long :], *between]) for at in sorted(encoded)]
        places = [at for at, ids in rest for _ in ids]
        stretches = _stretches([token for _, ids in rest for token in ids], long)
        across = [(places[number * long], ids) for number, ids in enumerate(stretches)]
        found += _some(across, count - len(found), generator)
    across = len(found) - beginnings - further
    if len(found) < 2:
        held = sum(map(len, encoded.values()))
        raise InputError(
            f"{key}: {long} found, but the held-out text of {corpus} has {held} tokens, and at least two texts of that "
            f"length are needed; allowed: 3 to {held // 2}, or more text"
        )
    print(
        f"in-context learning: of {len(found)} texts of {long} tokens ({count} wanted) {beginnings} are beginnings of "
        f"documents, {further} stretches further on in them, {across} go on from a document to the next",
        file=sys.stderr,
    )
    return Texts(
        np.array([ids for _, ids in found], dtype=np.int32),
        joined.index.to_numpy()[[at for at, _ in found]],
        skipped,
        across,
    )


def _stretches(ids, long):
    """Token ids cut into pieces of `long`; what is left over is dropped."""
    return [ids[start : start + long] for start in range(0, len(ids) - long + 1, long)]


def _some(texts, wanted, generator):
    """All of the texts, or `wanted` drawn from them."""
    return [texts[at] for at in generator.permutation(len(texts))[:wanted]]


def token_losses(member, tokens, targets, at=None, memory=MEMORY):
    """Losses of tokens in nats.

    Parameters
    ----------
    member : what `interventions.open_member` gives
    tokens : integer array of shape (text, position)
    targets : integer array of shape (text, position), or (text,) with `at`
        What each position is to predict.
    at : integer array of shape (text,), optional
        The one position read in each text; all when not given.
    memory : int
        Bytes, about.

    Returns
    -------
    ndarray of the shape of `targets`, float64
    """
    height = max(1, memory // member.prompt_bytes(tokens.shape[1], 0))
    parts = []
    for low in range(0, len(tokens), height):
        part = slice(low, low + height)
        hidden = member.run(tokens[part], None if at is None else at[part]).hidden  # (text, read position, d_model)
        wanted = torch.as_tensor(targets[part].reshape(-1), dtype=torch.long, device=hidden.device)
        with torch.no_grad():
            found = member.readout.losses(hidden.flatten(0, 1), wanted)
        parts.append(found.double().cpu().numpy().reshape(targets[part].shape))
    return np.concatenate(parts)


def loss_curves(member, tokens, causal, *, short, mask=None, before=(), after=(), seed=0, memory=MEMORY):
    """The loss of tokens in contexts of growing size.

    Parameters
    ----------
    member : what `interventions.open_member` gives
    tokens : integer array of shape (text, long)
    causal : bool
    short : int
        Tokens of the short context.
    mask : int, optional
        Masked models need it.
    before, after : sequence of int
        Ids around a masked model's context, such as [CLS] and [SEP]; before a causal model's, such as its first token.
    seed : int
        Of which token is masked, and of where in the short context it stands.
    memory : int
        Bytes, about.

    Returns
    -------
    sizes : ndarray of shape (size,)
        Tokens of the context, that which is predicted counted in; `short` and `long` are among them.
    losses : ndarray of shape (text, size)
        Of a causal model, of the token at that place; of a masked one, of the same token in each context.
    elsewhere : ndarray of shape (text,)
        Of the token of the long context, where all but the short context is another text's.
    """
    count, long = tokens.shape
    if not 1 < short < long:
        raise InputError(f"in-context learning: short is {short}; allowed: more than 1, less than long ({long})")
    if causal:
        framed = _framed(tokens, before, ())
        first = len(before)
        losses = token_losses(member, framed[:, :-1], framed[:, 1:], memory=memory)  # of tokens from the second on
        mixed = _framed(_elsewhere(tokens, np.full(count, long - short), short, seed), before, ())
        last = np.full(count, mixed.shape[1] - 2)
        elsewhere = token_losses(member, mixed[:, :-1], mixed[:, -1], last, memory)
        return np.arange(2 - min(first, 1), long + 1), losses[:, max(first - 1, 0) :], elsewhere
    if mask is None:
        raise InputError("in-context learning: the tokenizer has no mask, which a masked model needs")
    generator = np.random.default_rng(seed)
    place = generator.integers(0, long, count)
    sizes = np.unique(np.geomspace(short, long, SIZES).round().astype(int))
    starts = _nested(place, sizes, long, generator)  # (size, text)
    losses = np.empty((count, len(sizes)))
    rows = np.arange(count)
    for column, (size, start) in enumerate(zip(sizes, starts, strict=True)):
        window = tokens[rows[:, None], start[:, None] + np.arange(size)]
        at = place - start
        window[rows, at] = mask
        framed = _framed(window, before, after)
        losses[:, column] = token_losses(member, framed, tokens[rows, place], len(before) + at, memory)
    mixed = _elsewhere(tokens, starts[0], short, seed)
    mixed[rows, place] = mask
    mixed = _framed(mixed, before, after)
    return sizes, losses, token_losses(member, mixed, tokens[rows, place], len(before) + place, memory)


def _elsewhere(tokens, starts, short, seed):
    """Texts (text, position) of which only `short` tokens, from their start (text,) on, are their own."""
    position = np.arange(tokens.shape[1])
    own = (position >= starts[:, None]) & (position < starts[:, None] + short)
    return np.where(own, tokens, tokens[deranged(len(tokens), seed)])


def _framed(tokens, before, after):
    around = [np.tile(np.asarray(part, dtype=tokens.dtype), (len(tokens), 1)) for part in (before, after)]
    return np.concatenate([around[0], tokens, around[1]], axis=1)


def _nested(place, sizes, long, generator):
    """Where contexts of growing size start, (size, text), each inside the next and all around `place`."""
    starts = np.empty((len(sizes), len(place)), dtype=int)
    low, high = np.maximum(0, place - sizes[0] + 1), np.minimum(place, long - sizes[0])
    starts[0] = generator.integers(low, high + 1)
    for row in range(1, len(sizes)):
        grown = sizes[row] - sizes[row - 1]
        low = np.maximum(0, starts[row - 1] - grown)
        high = np.minimum(starts[row - 1], long - sizes[row])
        starts[row] = generator.integers(low, high + 1)
    return starts


def published_losses(member, tokens, *, short, mask, before=(), after=(), seed=0, memory=MEMORY):
    """What was published of masked models: mean losses over all tokens of a short and of a long text.

    Parameters are those of `loss_curves`.

    Returns
    -------
    ndarray of shape (text, 2)
        In the short context and in the long one.
    """
    generator, found = np.random.default_rng(seed), []
    for size in (short, tokens.shape[1]):
        inner = max(1, size - len(before) - len(after))  # the frame counts among the tokens
        whole = _framed(tokens[:, :inner], before, after)
        shown = whole.copy()
        shown[np.arange(len(shown)), generator.integers(0, shown.shape[1], len(shown))] = mask
        found.append(token_losses(member, shown, whole, memory=memory).mean(1))
    return np.stack(found, 1)


def score_table(family, texts, *, short, mask=None, before=(), after=(), seed=0, memory=MEMORY):
    """Losses in the short and the long context, and curves, of every member.

    Parameters
    ----------
    family : ToyFamily or PretrainedFamily
    texts : Texts
    short, mask, before, after, seed, memory
        As for `loss_curves`.

    Returns
    -------
    scores : DataFrame of [protocol, member, text, short, elsewhere, long]
        Loss of each text in nats; of causal families both protocols have the same. What was published of masked
        models has no `elsewhere`.
    curve : DataFrame of [member, size, loss, low, high]
        Mean over texts with its bootstrap interval.
    """
    long = texts.tokens.shape[1]
    around = {"before": before, "after": after, "seed": seed, "memory": memory}
    scores, curves = [], []
    for member in progress.track(range(family.members), "in-context learning", "members"):
        opened = interventions.open_member(family, member)
        sizes, losses, elsewhere = loss_curves(opened, texts.tokens, family.causal, short=short, mask=mask, **around)
        at_short, at_long = (losses[:, np.flatnonzero(sizes == size)[0]] for size in (short, long))
        both = {"corrected": (at_short, elsewhere, at_long)}
        if family.causal:
            both = {"published": both["corrected"], **both}
        else:
            found = published_losses(opened, texts.tokens, short=short, mask=mask, **around)
            both = {"published": (found[:, 0], np.nan, found[:, 1]), **both}
        for protocol, of_texts in both.items():
            columns = {"protocol": protocol, "member": np.int32(member)}
            columns["text"] = np.arange(len(losses), dtype=np.int32)
            scores.append(pd.DataFrame(columns | dict(zip(("short", "elsewhere", "long"), of_texts, strict=True))))
        low, high = bootstrap_interval(losses, seed=seed)
        columns = {"member": np.int32(member), "size": sizes.astype(np.int32), "loss": losses.mean(0)}
        curves.append(pd.DataFrame({**columns, "low": low, "high": high}))
    return pd.concat(scores, ignore_index=True), pd.concat(curves, ignore_index=True)
