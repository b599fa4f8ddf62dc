"""What counting neighbours achieves: the losses a transformer that has learnt anything must beat."""

from pathlib import Path

import numpy as np
import pandas as pd

from headatlas.base import tables
from headatlas.base.errors import InputError


def baselines(windows, evaluation, vocabulary, pad=None, causal=True):
    """Cross-entropies that a transformer which has learnt anything must beat.

    Both predict a token from the one before it at most, by interpolated Kneser-Ney smoothing (Kneser
    & Ney 1995; Chen & Goodman 1999): a discount is taken off every count and spread over what the
    next shorter context expects, down to the uniform distribution over the vocabulary. Only what a
    member was trained to predict is counted, and only what it is evaluated on is scored.

    Parameters
    ----------
    windows : integer array of shape (member, window, size)
    evaluation : integer array of shape (window, size)
    vocabulary : int
    pad : int, optional
        Pairs with this token are neither counted nor scored.
    causal : bool
        Whether a window's first token is only read, as by a causal model, or predicted too, from
        nothing before it.

    Returns
    -------
    pandas.DataFrame
        Columns `member`, `unigram` and `bigram`, in nats per token.
    """
    nothing = None if causal else vocabulary  # stands before a window
    before, after = _pairs(np.asarray(evaluation), pad, nothing)
    if not len(after):
        raise InputError("evaluation: no two neighbouring tokens in it, so nothing can be scored")
    rows = []
    for member, own in enumerate(np.asarray(windows)):
        context, target = _pairs(own, pad, nothing)
        frequency = np.bincount(target, minlength=vocabulary)
        unigram = _discounted(frequency, vocabulary)  # (vocabulary,)
        pairs, counts = np.unique(context * vocabulary + target, return_counts=True)
        follows = _discounted(np.bincount(pairs % vocabulary, minlength=vocabulary), vocabulary)  # in how many contexts
        discount = _discount(counts)
        total = np.bincount(context, minlength=vocabulary + 1)
        kinds = np.bincount(pairs // vocabulary, minlength=vocabulary + 1)

        sought = before * vocabulary + after
        place = np.minimum(np.searchsorted(pairs, sought), len(pairs) - 1)
        seen = np.where(pairs[place] == sought, counts[place] - discount, 0.0)
        known = total[before]
        bigram = np.where(
            known > 0, (seen + discount * kinds[before] * follows[after]) / np.maximum(known, 1), follows[after]
        )
        rows.append((member, -np.log(unigram[after]).mean(), -np.log(bigram).mean()))
    return pd.DataFrame(rows, columns=["member", "unigram", "bigram"]).astype({"member": "int32"})


TOO_LITTLE = "too little training to interpret"  # what is said of a model whose loss is not below


def below(loss, unigram, bigram):
    """Whether a model has learnt enough for its heads to be interpreted: more than counts of tokens and pairs tell."""
    return loss < min(unigram, bigram)


def too_little_training(judged):
    """Which models have learnt too little for their heads to be interpreted: those that are not `below` the baselines.

    Parameters
    ----------
    judged : sequence of path-like
        For each model the table of its training, in a folder of its name, then that of its baselines.

    Returns
    -------
    str
        A sentence, empty where all have learnt enough.
    """
    weak = []
    for training, baselines_of in zip(judged[::2], judged[1::2], strict=True):
        history = tables.read(training, ["step", "split", "loss"])
        held_out = history[history["split"] == "validation"]
        loss = held_out.loc[held_out["step"] == held_out["step"].max(), "loss"].mean()
        unigram, bigram = tables.read(baselines_of, ["unigram", "bigram"]).mean()
        if not below(loss, unigram, bigram):
            weak.append(f"{Path(training).parent.name} (held-out loss {loss:.2f}, bigram baseline {bigram:.2f} nats)")
    return f"{TOO_LITTLE.upper()}: {', '.join(weak)}" if weak else ""


def in_findings(text, judged):
    """A text of findings that says at its end which of its models have learnt too little, if any."""
    said = too_little_training(judged)
    return f"{text.rstrip()}\n\n{said}.\n" if said else text


def _pairs(windows, pad, nothing):
    """Neighbouring tokens, as two arrays of the same length; `nothing`, if any, stands before each window."""
    if nothing is not None:
        windows = np.insert(windows, 0, nothing, axis=1)
    context, target = (part.astype(np.int64).ravel() for part in (windows[:, :-1], windows[:, 1:]))
    real = np.ones(len(context), dtype=bool) if pad is None else (context != pad) & (target != pad)
    return context[real], target[real]


def _discount(counts):
    """The absolute discount, from the numbers of things seen once and twice (Ney, Essen & Kneser 1994)."""
    once, twice = (counts == 1).sum(), (counts == 2).sum()
    return once / (once + 2 * twice) if once else 0.5


def _discounted(counts, vocabulary):
    """Probabilities from counts (vocabulary,), what the discount frees spread evenly."""
    discount, total = _discount(counts), counts.sum()
    return (np.maximum(counts - discount, 0) + discount * (counts > 0).sum() / vocabulary) / total
