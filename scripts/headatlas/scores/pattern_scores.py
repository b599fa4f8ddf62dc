"""What a head does, in numbers: scores of attention patterns with their errors and chance levels.

A query that may attend to a single key has no choice and is left out of every score, and so is padding. A prompt's
score is the mean over its queries; a head's score is the mean over prompts, with the standard error over prompts; the
chance level is what a head uniform over the keys allowed would score on the same prompts. What each score is stands in
`catalogue`; a new one is a function of a `Block` in `MEASURES` and a row there.
"""

import numpy as np
import pandas as pd
from scipy.special import entr

from headatlas.base.errors import InputError
from headatlas.base.statistics import mean_and_error
from headatlas.scores import catalogue

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
        Columns member, layer, head, score, value, standard_error, chance, even, odd (the value on every other sample:
        what is chosen on the one half is measured on the other); by head, scores in the order given.
    """
    tables = []
    for score, (values, chance) in measured.items():
        value, error = mean_and_error(values)
        halves = (mean_and_error(values[:, first::2])[0] for first in (0, 1))
        tables.append(table(member, layer, score, value, error, mean_and_error(np.atleast_1d(chance))[0], *halves))
    return pd.concat(tables).sort_values("head", kind="stable", ignore_index=True)


def table(member, layer, score, value, standard_error, chance, even=None, odd=None):
    """One score of the heads of one layer as rows of a score table; `value` has the shape (head,), and so have the
    values on each half of the samples, the value itself where there are no samples."""
    catalogue.score(score)  # an unknown name would be shown nowhere
    identity = {"member": member, "layer": layer, "head": np.arange(len(value))}
    columns = {name: np.broadcast_to(index, len(value)).astype(np.int32) for name, index in identity.items()}
    halves = {"even": value if even is None else even, "odd": value if odd is None else odd}
    numbers = {"value": value, "standard_error": standard_error, "chance": chance, **halves}
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
        whole = {score: _joined([part[score] for part in parts]) for score in MEASURES}
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
        Each of `MEASURES` with its chance level; NaN where a prompt has no query for it.
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
    return {score: _joined([part[score] for part in parts]) for score in MEASURES}


def _joined(parts):
    return tuple(np.concatenate(pieces, axis=-1) for pieces in zip(*parts, strict=True))


def _block_scores(patterns, tokens, causal, pad):
    block = Block(patterns, tokens, causal, pad)
    return {score: measure(block) for score, measure in MEASURES.items()}


class Block:
    """Patterns of some prompts with what scores ask of them.

    Parameters
    ----------
    patterns : array of shape (head, prompt, entry)
        Packed as in `score_table`.
    tokens : int array of shape (prompt, position)
    causal : bool
    pad : int or None

    Attributes
    ----------
    position : ndarray (position,)
    real : ndarray of bool, (prompt, position)
        What is no padding.
    choosing : ndarray of bool, (prompt, query)
        Queries that may attend to more than one key.
    allowed : ndarray (prompt, query)
        Keys that a query may attend to.
    uniform : ndarray (prompt, query)
        The attention that a uniform head would pay to each of them.
    query, key : ndarray (entry,)
        Of each packed entry.
    usable : ndarray of bool, (prompt, entry)
        Entries of choosing queries and real keys.
    """

    def __init__(self, patterns, tokens, causal, pad):
        size = tokens.shape[1]
        self.patterns, self.tokens, self.causal = patterns, tokens, causal
        self.position = np.arange(size)
        self.real = np.ones(tokens.shape, dtype=bool) if pad is None else tokens != pad
        whole = np.broadcast_to(self.real.sum(1, keepdims=True), self.real.shape)
        self.allowed = self.real.cumsum(1) if causal else whole
        self.choosing = self.real & (self.allowed > 1)
        self.uniform = 1 / np.maximum(self.allowed, 1)
        each = np.repeat(self.position, size), np.tile(self.position, size)
        self.query, self.key = np.tril_indices(size) if causal else each
        self.usable = self.real[:, self.key] & self.choosing[:, self.query]

    def attention_to(self, keys, queries):
        """Mean attention of the chosen queries to one key each, and the chance of it; both (prompt, position)."""
        keys = np.where(queries, keys, 0)
        size = len(self.position)
        entry = self.position * (self.position + 1) // 2 + keys if self.causal else self.position * size + keys
        attention = np.take_along_axis(self.patterns, entry[None], axis=2)  # (head, prompt, query)
        return _mean(attention, queries), _mean(self.uniform, queries)

    def summed(self, amounts, weights, queries):
        """Mean over the chosen queries of what their rows' entries add up to; weights (prompt, entry)."""
        return _over(np.einsum("hpe,pe->hp", amounts, weights.astype(np.float32)), queries.sum(1))

    def by_query(self, amounts):
        """Sums over the keys of each query of amounts (prompt, entry): (prompt, query)."""
        sums = np.zeros(self.tokens.shape)
        np.add.at(sums, (slice(None), self.query), amounts)
        return sums


def _previous_token(block):
    before = np.maximum(block.position - 1, 0)
    queries = block.choosing & (block.position > 0) & block.real[:, before]
    return block.attention_to(before, queries)


def _current_token(block):
    return block.attention_to(block.position, block.choosing)


def _first_token(block):
    first = block.real.argmax(1)[:, None]
    return block.attention_to(first, block.choosing & (block.position != first))


def _duplicate_token(block):
    same = block.tokens[:, block.query] == block.tokens[:, block.key]
    equal = block.usable & same & (block.key != block.query)
    duplicates = block.by_query(equal)
    queries = block.choosing & (duplicates > 0)
    return block.summed(block.patterns, equal, queries), _mean(duplicates * block.uniform, queries)


def _entropy(block):
    entropies = block.summed(entr(block.patterns), block.choosing[:, block.query], block.choosing)
    return entropies, _mean(np.log(block.allowed.clip(1)), block.choosing)


def _distance(block):
    apart = block.usable * np.abs(block.query - block.key)
    return block.summed(block.patterns, apart, block.choosing), _mean(
        block.by_query(apart) * block.uniform, block.choosing
    )


MEASURES = {  # by the name in `catalogue`: a function of a Block that gives values (head, prompt) and chance (prompt,)
    "previous_token": _previous_token,
    "current_token": _current_token,
    "first_token": _first_token,
    "duplicate_token": _duplicate_token,
    "entropy": _entropy,
    "distance": _distance,
}


def _mean(amounts, queries):
    """Mean over the chosen queries; amounts (..., prompt, query), queries (prompt, query)."""
    return _over(np.where(queries, amounts, 0).sum(-1, dtype=np.float64), queries.sum(-1))


def _over(sums, counts):
    """Sums (..., prompt) over counts (prompt,), NaN where nothing was counted."""
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
