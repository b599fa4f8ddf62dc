"""What a head does, in numbers: scores of attention patterns with their errors and chance levels.

A query that may attend to a single key has no choice and is left out of every score, and so is padding. A prompt's
score is the mean over its queries; a head's score is the mean over prompts, with the standard error over prompts; the
chance level is what a head uniform over the keys allowed would score on the same prompts.

==================  ==========================================================================================
`previous_token`    attention to the position before
`current_token`     attention to the query's own position
`first_token`       attention to the first position; the query there is left out
`duplicate_token`   attention to earlier tokens equal to the query's (bidirectional: to all others equal to it),
                    over the queries that have one
`entropy`           entropy of the attention row in nats
`distance`          mean distance between query and key in positions
==================  ==========================================================================================
"""

import numpy as np
import pandas as pd
from scipy.special import entr

from headatlas.base.errors import InputError
from headatlas.base.statistics import mean_and_error

PATTERN_SCORES = ("previous_token", "current_token", "first_token", "duplicate_token", "entropy", "distance")
_BLOCK_ENTRIES = 1 << 23  # pattern entries worked on at a time


def rows(member, layer, measured):
    """Rows of a score table for the heads of one layer.

    Parameters
    ----------
    member, layer : int
    measured : mapping from a score's name to (values, chance)
        Values of shape (head, sample); chance a number or an array of shape (sample,), averaged over its samples.

    Returns
    -------
    DataFrame
        Columns member, layer, head, score, value, standard_error, chance; by head, scores in the order given.
    """
    tables = []
    for score, (values, chance) in measured.items():
        value, error = mean_and_error(values)
        tables.append(table(member, layer, score, value, error, mean_and_error(np.atleast_1d(chance))[0]))
    return pd.concat(tables).sort_values("head", kind="stable", ignore_index=True)


def table(member, layer, score, value, standard_error, chance):
    """One score of the heads of one layer as rows of a score table; `value` has the shape (head,)."""
    identity = {"member": member, "layer": layer, "head": np.arange(len(value))}
    columns = {name: np.broadcast_to(index, len(value)).astype(np.int32) for name, index in identity.items()}
    numbers = {"value": value, "standard_error": standard_error, "chance": chance}
    columns["score"] = [score] * len(value)
    columns |= {name: np.broadcast_to(np.float64(number), len(value)) for name, number in numbers.items()}
    return pd.DataFrame(columns)


def score_table(blocks, tokens, *, causal, pad=None):
    """Scores of every head, read from packed patterns block by block.

    Parameters
    ----------
    blocks : iterable of (member, layer, first, patterns)
        `first` is the block's first prompt; `patterns` has the shape (head, prompt, entry): the lower triangle by
        rows if causal, the whole square otherwise. This is what `headatlas.attention.patterns.blocks` yields.
    tokens : int array of shape (prompt, position)
    causal : bool
    pad : int, optional
        The padding's token.

    Returns
    -------
    DataFrame
        As `rows` gives, by member, layer and head.
    """
    tokens = np.asarray(tokens)
    measured = {}  # (member, layer) -> one mapping from scores to (values, chance) per block
    for member, layer, first, patterns in blocks:
        prompts = tokens[first : first + patterns.shape[1]]
        found = pattern_scores(patterns, prompts, causal=causal, pad=pad)
        measured.setdefault((int(member), int(layer)), []).append(found)
    tables = []
    for (member, layer), parts in sorted(measured.items(), key=lambda item: item[0]):
        whole = {score: _joined([part[score] for part in parts]) for score in PATTERN_SCORES}
        tables.append(rows(member, layer, whole))
    if not tables:
        raise InputError("no attention patterns to score")
    return pd.concat(tables, ignore_index=True)


def pattern_scores(patterns, tokens, *, causal, pad=None):
    """Scores of the heads of one layer, prompt by prompt.

    Parameters
    ----------
    patterns : array of shape (head, prompt, entry)
        Packed as in `score_table`.
    tokens : int array of shape (prompt, position)
    causal : bool
    pad : int, optional

    Returns
    -------
    dict from str to (ndarray (head, prompt), ndarray (prompt,))
        Each of `PATTERN_SCORES` with its chance level; NaN where a prompt has no query for it.
    """
    size = tokens.shape[1]
    entries = size * (size + 1) // 2 if causal else size * size
    if patterns.shape[1:] != (len(tokens), entries):
        raise InputError(
            f"patterns of shape {patterns.shape} do not fit {len(tokens)} prompts of {size} positions: "
            f"they must be (head, {len(tokens)}, {entries})"
        )
    height = max(1, _BLOCK_ENTRIES // (len(patterns) * entries))
    parts = [
        _block_scores(patterns[:, low : low + height], tokens[low : low + height], causal, pad)
        for low in range(0, len(tokens), height)
    ]
    return {score: _joined([part[score] for part in parts]) for score in PATTERN_SCORES}


def _joined(parts):
    return tuple(np.concatenate(pieces, axis=-1) for pieces in zip(*parts, strict=True))


def _block_scores(patterns, tokens, causal, pad):
    size = tokens.shape[1]
    position = np.arange(size)
    real = np.ones(tokens.shape, dtype=bool) if pad is None else tokens != pad  # (prompt, position)
    allowed = real.cumsum(1) if causal else np.broadcast_to(real.sum(1, keepdims=True), real.shape)
    choosing = real & (allowed > 1)  # (prompt, query)
    uniform = 1 / np.maximum(allowed, 1)
    query, key = np.tril_indices(size) if causal else (np.repeat(position, size), np.tile(position, size))

    def where(queries, keys):
        """The entry that holds a query's attention to a key."""
        return queries * (queries + 1) // 2 + keys if causal else queries * size + keys

    def attention_to(keys, queries):
        """Mean attention of the chosen queries to one key each; both (prompt, position)."""
        entry = where(position, np.where(queries, keys, 0))
        attention = np.take_along_axis(patterns, entry[None], axis=2)  # (head, prompt, query)
        return _mean(attention, queries), _mean(uniform, queries)

    first = real.argmax(1)[:, None]
    before = np.maximum(position - 1, 0)
    has_before = choosing & (position > 0) & real[:, before]
    usable = real[:, key] & choosing[:, query]  # (prompt, entry)
    equal = usable & (tokens[:, query] == tokens[:, key]) & (key != query)
    duplicates = np.zeros(tokens.shape)
    np.add.at(duplicates, (slice(None), query), equal)  # (prompt, query)
    apart = np.abs(query - key)
    far = np.zeros(tokens.shape)
    np.add.at(far, (slice(None), query), usable * apart)

    def summed(amounts, weights, queries):
        """Mean over the chosen queries of what their rows' entries add up to."""
        sums = np.einsum("hpe,pe->hp", amounts, weights.astype(np.float32))
        return _over(sums, queries.sum(1))

    repeated = choosing & (duplicates > 0)
    return {
        "previous_token": attention_to(np.broadcast_to(before, tokens.shape), has_before),
        "current_token": attention_to(np.broadcast_to(position, tokens.shape), choosing),
        "first_token": attention_to(np.broadcast_to(first, tokens.shape), choosing & (position != first)),
        "duplicate_token": (summed(patterns, equal, repeated), _mean(duplicates * uniform, repeated)),
        "entropy": (summed(entr(patterns), choosing[:, query], choosing), _mean(np.log(allowed.clip(1)), choosing)),
        "distance": (summed(patterns, usable * apart, choosing), _mean(far * uniform, choosing)),
    }


def _mean(amounts, queries):
    """Mean over the chosen queries; amounts (..., prompt, query), queries (prompt, query)."""
    return _over(np.where(queries, amounts, 0).sum(-1, dtype=np.float64), queries.sum(-1))


def _over(sums, counts):
    """Sums (..., prompt) over counts (prompt,), NaN where nothing was counted."""
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
