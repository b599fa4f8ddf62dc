"""Induction heads on random repeated tokens: prefix matching and copying, for causal and bidirectional families.

Random tokens have no grammar and no topic, so a head that finds its way through their repetition does it by matching
(Elhage et al. 2021; Olsson et al. 2022, "In-context Learning and Induction Heads").

===========================  =================================================================================
`induction`                  two copies R R: attention from a token of the second copy to the one after its
                             first occurrence, over the whole second copy
`duplicate_token_repeated`   the same to the first occurrence itself
`previous_token_repeated`    the same to the position before
`prefix_matching`            four copies: attention from a token to all those that follow its earlier
                             occurrences, over the tokens that have one
`copying`                    whether a head raises the logits of the tokens it sees, -1 to 1 (`copying_table`)
===========================  =================================================================================

A bidirectional head can also match forwards. `induction_mirrored` and `prefix_matching_mirrored` are the same scores
with time reversed: attention from a token to those that precede its later occurrences. They exist for bidirectional
families only; a causal head cannot attend there.
"""

import numpy as np
import pandas as pd

from headatlas.base import progress
from headatlas.base.errors import InputError
from headatlas.models.forward_batches import MEMORY, batches
from headatlas.scores import pattern_scores

LEAST = 0.2  # of its attention that an induction head pays
ERRORS = 5  # standard errors that this lies above chance
_OLSSON_LENGTH, _OLSSON_COPIES = 25, 4


def is_induction(scores):
    """Which heads are induction heads: `LEAST` of their attention and `ERRORS` standard errors above chance.

    Parameters
    ----------
    scores : DataFrame of [value, standard_error, chance]
        Attention to where an induction head looks.

    Returns
    -------
    bool Series
    """
    beyond = scores["value"] > scores["chance"] + ERRORS * scores["standard_error"].fillna(0)
    return beyond & (scores["value"] >= LEAST)


def repeated_tokens(vocabulary, length, copies, sequences, seed, *, special=(), before=(), after=()):
    """Sequences of random tokens, each repeated.

    Parameters
    ----------
    vocabulary : int
        Ids are 0 to `vocabulary` - 1.
    length : int
        Tokens of one copy, without replacement where the vocabulary has as many.
    copies, sequences, seed : int
    special : iterable of int
        Ids that are never drawn: padding, mask, separators.
    before, after : sequence of int
        Ids put around the copies, such as [CLS] and [SEP].

    Returns
    -------
    ndarray of shape (sequence, position), int32
    """
    ids = np.setdiff1d(np.arange(vocabulary), np.fromiter((int(i) for i in special), dtype=np.int64))
    if not len(ids):
        raise InputError(f"all {vocabulary} ids of the vocabulary are special; none is left to draw")
    generator = np.random.default_rng(seed)
    replace = length > len(ids)
    once = np.stack([generator.choice(ids, length, replace=replace) for _ in range(sequences)])
    around = [np.tile(np.asarray(part, dtype=np.int64), (sequences, 1)) for part in (before, after)]
    return np.concatenate([around[0], np.tile(once, (1, copies)), around[1]], axis=1).astype(np.int32)


def score_table(family, *, sequences=50, seed=0, length=None, special=(), before=(), after=(), memory=MEMORY):
    """Induction and prefix matching of every head of a family.

    Parameters
    ----------
    family : ToyFamily or PretrainedFamily
        What `families.load_family` opens.
    sequences : int
        Random sequences; the standard error is over them.
    seed : int
    length : int, optional
        Tokens of one copy of R R; as many as fit twice into what the family is shown at once when not given.
    special, before, after
        As for `repeated_tokens`; the family's padding is special anyway.
    memory : int
        Bytes that a batch's forward pass may take, about; at least one sequence is always taken.

    Returns
    -------
    DataFrame
        member, layer, head, score, value, standard_error, chance; chance is that of a head uniform over the keys
        allowed.
    """
    draw = _drawing(family, sequences, seed, special, before, after)
    room = _room(family, before, after)
    twice = draw(length or room // 2, 2)
    fourfold = draw(max(1, min(_OLSSON_LENGTH, room // _OLSSON_COPIES)), _OLSSON_COPIES)
    cells, targets = _cells(twice, len(before), len(after), family.causal), _targets(fourfold, len(before), len(after))
    if family.causal:
        targets.pop("prefix_matching_mirrored")
    chances = {score: _allowed(twice, family.causal)[queries].mean() for score, (queries, _) in cells.items()}
    for score, wanted in targets.items():  # (sequence, query, key)
        chances[score] = _per_query(wanted * _allowed(fourfold, family.causal)[:, None], wanted).mean()

    def read_twice(pattern, part):
        return {score: pattern[:, :, queries, keys].mean(-1) for score, (queries, keys) in cells.items()}

    def read_fourfold(pattern, part):
        return {
            score: _per_query(pattern * wanted[part, None], wanted[part, None]) for score, wanted in targets.items()
        }

    tables = []
    with progress.bar(2 * family.members * sequences, "induction", "sequences") as shown:
        for member in range(family.members):
            found = read_patterns(family, member, twice, read_twice, memory, shown)
            matched = read_patterns(family, member, fourfold, read_fourfold, memory, shown)
            for layer in range(family.layers):
                both = found[layer] | matched[layer]
                tables.append(
                    pattern_scores.rows(member, layer, {score: (both[score], chances[score]) for score in both})
                )
    return pd.concat(tables, ignore_index=True)


def copying_table(family, *, sequences=16, seed=0, special=(), before=(), after=(), memory=MEMORY):
    """How far every head of a family raises the logits of the tokens that it sees.

    After Olsson et al. (2022): on random tokens, what a head alone adds to the logits through its OV circuit, the mean
    over the vocabulary subtracted, then rectified, since only what is raised counts. At every query the mean raise a
    of the sequence's tokens that the head may attend to is held against the mean raise b of all other ids: (a - b) /
    (a + b), which is the share a / (a + b) brought from 0..1 to -1..1. Means, not sums, so that the chance level is 0
    whatever the size of the vocabulary. A head's contribution at query i is the sum over keys j of A[i, j] times
    row t_j of W_E W_V W_O W_U: the direct path from the token embedding, by the attention the head really pays.

    Parameters are those of `score_table`.

    Returns
    -------
    DataFrame
        As from `score_table`, of the score `copying`.

    Raises
    ------
    InputError
        If the family's weights are not known.
    """
    room = _room(family, before, after)
    length = max(1, min(_OLSSON_LENGTH, room))
    tokens = _drawing(family, sequences, seed, special, before, after)(length, 1)
    inner = slice(len(before), len(before) + length)
    tables = []
    with progress.bar(family.members * family.layers, "copying", "layers") as shown:
        for member in range(family.members):
            passes = [
                [taken.pattern[:, :, inner].cpu().numpy() for taken in family.attention(tokens[part], member)]
                for part in batches(family, tokens, memory)
            ]
            for layer, parts in enumerate(zip(*passes, strict=True)):
                patterns = np.concatenate(parts)  # (sequence, head, query, key)
                found = _copying(patterns, tokens, inner, family.head_weights(member, layer), family.causal)
                tables.append(pattern_scores.rows(member, layer, {"copying": (found, 0.0)}))
                shown.update(1)
    return pd.concat(tables, ignore_index=True)


def _copying(patterns, tokens, inner, weights, causal):
    """Copying of one layer's heads, (head, sequence); patterns (sequence, head, query, key)."""
    count, heads, length, _ = patterns.shape
    drawn = tokens[:, inner]
    seen = np.tri(length, dtype=bool) if causal else np.ones((length, length), dtype=bool)  # (query, drawn token)
    embedded = weights["W_E"][tokens]  # (sequence, key, d_model)
    vocabulary = weights["W_U"].shape[1]
    found = np.empty((heads, count))
    for head in range(heads):
        outputs = patterns[:, head] @ (embedded @ weights["W_V"][head])  # (sequence, query, d_head)
        circuit = weights["W_O"][head] @ weights["W_U"]  # (d_head, vocabulary)
        circuit = circuit - circuit.mean(1, keepdims=True)  # subtracts the mean of every query's logits
        for sequence in range(count):
            raised = np.maximum(outputs[sequence] @ circuit, 0)  # (query, vocabulary)
            first = np.unique(drawn[sequence], return_index=True)[1]  # an id drawn twice counts once, where first seen
            of_seen = np.where(seen[:, first], raised[:, drawn[sequence][first]], 0).sum(1, dtype=np.float64)
            others = raised.sum(1, dtype=np.float64) - of_seen
            kinds = seen[:, first].sum(1)
            ours, rest = of_seen / kinds, others / np.maximum(vocabulary - kinds, 1)
            both = ours + rest
            share = np.divide(ours - rest, both, out=np.full(length, np.nan), where=both > 0)
            found[head, sequence] = np.nan if np.isnan(share).all() else np.nanmean(share)
    return found


def _drawing(family, sequences, seed, special, before, after):
    special = {*special, *before, *after} | ({family.pad} if family.pad is not None else set())

    def draw(length, copies):
        around = {"special": special, "before": before, "after": after}
        return repeated_tokens(family.vocabulary, length, copies, sequences, [seed, copies], **around)

    return draw


def _room(family, before, after):
    """Positions that are left for random tokens: a window as configured, not all that the model could see."""
    around = len(before) + len(after)
    room = family.window if family.context is None else min(family.window, family.context - around)
    if room < _OLSSON_COPIES:
        raise InputError(f"a context of {room} has no room for repeated tokens; it must hold at least {_OLSSON_COPIES}")
    return room


def read_patterns(family, member, tokens, read, memory, shown):
    """Take what is wanted of a member's patterns; of each pattern only that is kept.

    Parameters
    ----------
    family : ToyFamily or PretrainedFamily
    member : int
    tokens : integer array of shape (sequence, position)
    read : callable
        Of a pattern (sequence, head, query, key) and the slice of sequences it is of, a mapping from names to arrays
        (sequence, head).
    memory : int
        Bytes that a batch's forward pass may take, about; at least one sequence is always taken.
    shown : what `progress.bar` gives
        Told of every sequence done.

    Returns
    -------
    list of dict from str to ndarray of shape (head, sequence)
        One for each layer.
    """
    parts = [[] for _ in range(family.layers)]
    for part in batches(family, tokens, memory):
        for taken in family.attention(tokens[part], member):
            parts[taken.layer].append(read(taken.pattern.cpu().numpy(), part))  # (sequence, head) each
        shown.update(len(tokens[part]))
    return [{score: np.concatenate([one[score] for one in layer]).T for score in layer[0]} for layer in parts]


def _cells(tokens, before, after, causal):
    """Of two copies, the queries that a score reads and the one key of each."""
    length = (tokens.shape[1] - before - after) // 2
    first = before + np.arange(length)
    second = first + length
    cells = {
        "induction": (second, first + 1),
        "duplicate_token_repeated": (second, first),
        "previous_token_repeated": (second, second - 1),
    }
    if not causal:
        cells["induction_mirrored"] = (first, second - 1)
    return cells


def _targets(tokens, before, after):
    """Which keys follow an earlier token equal to the query's, or precede a later one; (sequence, query, key)."""
    size = tokens.shape[1]
    equal = tokens[:, :, None] == tokens[:, None, :]
    drawn = np.zeros(size, dtype=bool)
    drawn[before : size - after] = True
    equal &= drawn[:, None] & drawn
    follows, precedes = np.zeros_like(equal), np.zeros_like(equal)
    follows[:, :, 1:] = np.tril(equal, -1)[:, :, :-1]
    precedes[:, :, :-1] = np.triu(equal, 1)[:, :, 1:]
    return {"prefix_matching": follows, "prefix_matching_mirrored": precedes}


def _allowed(tokens, causal):
    """What a uniform head pays to each key it may attend to, by query."""
    size = tokens.shape[1]
    return 1 / np.arange(1, size + 1) if causal else np.full(size, 1 / size)


def _per_query(attention, wanted):
    """Sums over keys, averaged over the queries that want any; arrays (..., query, key)."""
    queries = wanted.any(-1)
    return np.where(queries, attention.sum(-1), 0).sum(-1) / queries.sum(-1)
