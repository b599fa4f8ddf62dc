"""What a family is asked on random repeated tokens, given its tokenizer: ids to draw from, frame, and examples."""

import numpy as np

from headatlas.data import tokenizer_reading
from headatlas.studies.induction import repeated_tokens
from headatlas.studies.induction.repeated_tokens import Asking


def frame(family, tokenizer):
    """Ids around a text: [CLS] and [SEP] for masked models that have them, nothing for causal ones."""
    return {"before": [], "after": []} if family.causal else tokenizer_reading.frame(tokenizer)


def of_family(family, tokenizer, *, trials, length, seed):
    """The Asking of a family.

    Parameters
    ----------
    family : ToyFamily or PretrainedFamily
    tokenizer : tokens.Tokenizer
    trials, length, seed : int
        As in `repeats.Asking`.

    Returns
    -------
    repeats.Asking
    """
    special = {*tokenizer.not_drawn(family.vocabulary)} | ({family.pad} - {None})
    framed = frame(family, tokenizer)
    longest = family.window + sum(map(len, framed.values()))  # a window as configured, and what is put around it
    return Asking(
        vocabulary=min(family.vocabulary, len(tokenizer)),
        context=longest if family.context is None else min(longest, family.context),
        mask=None if family.causal else tokenizer.mask_token_id,
        special=tuple(sorted(special)),
        **{place: tuple(ids) for place, ids in framed.items()},
        trials=trials,
        length=length,
        seed=seed,
    )


def continuations(tokenizer):
    """Which ids continue a word, a bool array (vocabulary,); None where the tokenizer does not tell.

    Word pieces that continue a word begin with ## (BERT); elsewhere it is the first piece that is marked, by a space
    (byte-level encodings, SentencePiece).
    """

    names = tokenizer.names(range(len(tokenizer)))
    names = ["" if name is None else name for name in names]
    continued = np.array([name.startswith("##") for name in names])
    if not continued.any():
        first = np.array([name.startswith(("Ġ", "▁")) for name in names])
        letters = np.array([name.isalpha() for name in names])
        continued = ~first & letters if first.any() else continued
    return continued if continued.any() else None


def shown(asking, causal, tokenizer):
    """One trial of every protocol and setup, for a figure.

    Returns
    -------
    dict from str to dict from str to dict
        By protocol and setup: `tokens` (list of str), `masked` (the position that is read), `keys` (positions by the
        name of the reading), `length` (tokens of a copy).
    """
    found = {}
    for protocol in repeated_tokens.PROTOCOLS:
        found[protocol] = {}
        for setup in ["standard"] if causal else repeated_tokens.SETUPS:
            one = repeated_tokens.example(asking, causal, setup, protocol)
            found[protocol][setup] = {**one, "tokens": tokenizer_reading.describe_tokens(tokenizer, one["tokens"])}
    return found
