"""Which head of one member is which head of another: Hungarian matching between every two, against noise."""

from itertools import combinations, permutations

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from headatlas.base.statistics import permutation_p_value

CELLS = 1_000_000  # (draw, ours, theirs) held at a time


def match_members(distances, members, labels=None, draws=1000, seed=0):
    """Match the heads of every two members one to one.

    What a head has in common with all heads of the other member cancels in a one-to-one assignment. So the null keeps
    these row and column means and deals the remaining distances anew among the pairs of heads: the gap that is left
    is that of the best assignment of noise.

    Parameters
    ----------
    distances : array of float, (head, head)
        Mean Jensen-Shannon distances, for instance.
    members : sequence, (head,)
        Labels of any kind.
    labels : array of int, (head,), optional
        Clusters: are matched heads in the same one?
    draws, seed : int
        Of the null, and of the random assignments that the gap is measured from.

    Returns
    -------
    summary : DataFrame
        One row per two members: first, second, distance (mean of the matched), gap (mean under random assignment less
        that), null_gap, p, same_cluster (share of pairs; NaN without labels).
    pairs : DataFrame
        One row per matched pair: first, second, first_row, second_row (rows of `distances`), distance.
    """
    distances, members = np.asarray(distances, dtype=np.float64), np.asarray(members)
    rng = np.random.default_rng(seed)
    summary, pairs = [], []
    for first, second in combinations(pd.unique(members), 2):
        ours, theirs = np.flatnonzero(members == first), np.flatnonzero(members == second)
        block = distances[np.ix_(ours, theirs)]
        of_ours, of_theirs = linear_sum_assignment(block)
        distance = float(block[of_ours, of_theirs].mean())
        gap = block.mean() - distance  # every pair is equally likely under random assignment
        null = _noise_gaps(block, draws, rng)
        rows, columns = ours[of_ours], theirs[of_theirs]
        same = np.nan if labels is None else (np.asarray(labels)[rows] == np.asarray(labels)[columns]).mean()
        summary.append((first, second, distance, gap, null.mean(), permutation_p_value(gap, null), same))
        found = {"first": first, "second": second, "first_row": rows, "second_row": columns}
        pairs.append(pd.DataFrame({**found, "distance": distances[rows, columns]}))
    columns = ["first", "second", "distance", "gap", "null_gap", "p", "same_cluster"]
    return pd.DataFrame(summary, columns=columns), pd.concat(pairs, ignore_index=True)


def _noise_gaps(block, draws, rng):
    """Gaps of the best assignments of a block (ours, theirs) whose interactions are dealt anew, their variance kept."""
    rest = _interactions(block)
    size, main, gaps = np.linalg.norm(rest), block.mean(0) + block.mean(1, keepdims=True), np.zeros(draws)
    step = max(1, CELLS // block.size)
    for start in range(0, draws, step):
        dealt = np.tile(rest.ravel(), (min(step, draws - start), 1))
        noise = _interactions(rng.permuted(dealt, axis=1).reshape(-1, *block.shape))  # (draw, ours, theirs)
        noise *= (size / np.maximum(np.linalg.norm(noise, axis=(1, 2)), np.finfo(float).tiny))[:, None, None]
        noise += main
        best = [one[linear_sum_assignment(one)].mean() for one in noise]
        gaps[start : start + step] = noise.mean((1, 2)) - best
    return gaps


def _interactions(block):
    """What is left of blocks (..., ours, theirs) once their row and column means are taken out."""
    columns, rows = block.mean(-2, keepdims=True), block.mean(-1, keepdims=True)
    return block - columns - rows + block.mean((-2, -1), keepdims=True)


def cycle_consistency(pairs):
    """Share of heads for which matching a to b to c gives the same head as matching a to c, over all three members.

    Matchings made pair by pair need not agree; noise agrees with a chance of one in the number of heads.
    """
    partner = {}  # (one member, other member) -> {head: matched head}
    for (first, second), found in pairs.groupby(["first", "second"], sort=False):
        there = dict(zip(found["first_row"], found["second_row"], strict=True))
        partner[first, second], partner[second, first] = there, {theirs: ours for ours, theirs in there.items()}
    members = pd.unique(pd.concat([pairs["first"], pairs["second"]]))
    agree = [
        partner[b, c].get(partner[a, b][head]) == direct
        for a, b, c in permutations(members, 3)
        for head, direct in partner[a, c].items()
        if head in partner[a, b]
    ]
    return float(np.mean(agree)) if agree else np.nan
