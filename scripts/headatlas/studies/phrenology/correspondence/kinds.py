"""Kinds of heads: groups that several heads of one member may belong to, found without saying how many there are.

Leiden runs to convergence at every resolution of a logarithmic grid; the number of kinds is that which lasts over the
longest range of the logarithm of the resolution. Other numbers that last nearly as long are its rivals.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from headatlas.base.errors import InputError
from headatlas.studies.phrenology.knn_graph import neighbour_graph
from headatlas.studies.phrenology.leiden import best_partitions, distinct, leiden
from headatlas.studies.phrenology.partition_scores import silhouettes

FEWEST_NEIGHBOURS = 3  # two would let a graph of few heads fall into pieces before any clustering
LOWEST, HIGHEST = 0.01, 5.0  # resolutions
RIVAL = 0.75  # of the longest plateau's length makes a plateau its rival


@dataclass(frozen=True)
class Kinds:
    """Attributes
    ----------
    labels : array of int32, (head,)
        The kind of every head, the largest first.
    plateaus : DataFrame
        One row per plateau, by ascending resolution: kinds, low, high (resolutions), length (natural logarithm
        of high / low), chosen, rival, silhouette (mean, of the partition that lasts longest within the plateau).
    partitions : array of int32, (plateau, head)
        That partition.
    """

    labels: np.ndarray
    plateaus: pd.DataFrame
    partitions: np.ndarray


def neighbours_of(members, given=None):
    """How many nearest heads each is joined to: if not given, as many as there are other members or as the root of the
    number of heads, whichever is more; never more than there are other heads."""
    count = len(members)
    wanted = given or max(FEWEST_NEIGHBOURS, len(np.unique(members)) - 1, round(count**0.5))
    return min(wanted, count - 1)


def finder(neighbours, **options):
    """`find_kinds` as `stability.resample` repeats it: (distances, rows) to labels."""
    return lambda distances, rows: find_kinds(distances, min(neighbours, len(rows) - 1), **options).labels


def by_size(labels):
    """Groups renumbered from the largest to the smallest, of equal ones that with the first head first: int32."""
    codes, _ = pd.factorize(np.asarray(labels))  # in order of their first heads
    order = np.argsort(-np.bincount(codes), kind="stable")
    return np.argsort(order)[codes].astype(np.int32)


def find_kinds(distances, neighbours, *, steps=48, starts=3, seed=0):
    """Kinds of heads by the longest plateau in the logarithm of the resolution.

    A plateau is a range of resolutions in which the best partition has one number of groups. Partitions into a single
    group, or into groups of fewer than two heads on average, are no answer.

    Parameters
    ----------
    distances : array of float, (head, head)
    neighbours : int
        Of every head in the graph, whose edges weigh their affinity; `neighbours_of` counts them.
    steps : int
        Resolutions, from 0.01 to 5.
    starts : int
        Of Leiden at each; the best partition of all starts and resolutions counts at every resolution.
    seed : int

    Returns
    -------
    Kinds
        The order of heads changes nothing but the order of kinds of equal size.
    """
    distances = np.asarray(distances, dtype=np.float64)
    if len(distances) < 3:
        raise InputError(f"kinds: {len(distances)} heads; at least 3 are needed")
    order = np.argsort(distances.sum(1), kind="stable")  # so that Leiden meets the same heads first in any order
    graph = neighbour_graph(distances=distances[np.ix_(order, order)], neighbours=neighbours, weight="affinity")
    resolutions = np.geomspace(LOWEST, HIGHEST, steps)
    found = [leiden(graph, resolutions, iterations=-1, seed=seed + start) for start in range(starts)]
    pool = distinct(np.concatenate([*found, np.zeros((1, len(order)), dtype=np.int32)]))[0]
    kept, bounds = best_partitions(graph, pool, LOWEST, HIGHEST)
    partitions = np.empty((len(kept), len(order)), dtype=np.int32)
    partitions[:, order] = pool[kept]
    plateaus, partitions = _plateaus(partitions, np.asarray(bounds))
    plateaus["silhouette"] = silhouettes(partitions, distances)
    chosen = np.flatnonzero(plateaus["chosen"])
    labels = partitions[chosen[0]] if len(chosen) else np.zeros(len(distances))
    return Kinds(by_size(labels), plateaus, np.array([by_size(row) for row in partitions]))


def _plateaus(partitions, bounds):
    """Ranges of one number of groups, and within each the partition that lasts longest."""
    counts, lengths = partitions.max(1) + 1, np.diff(np.log(bounds))
    rows, kept = [], []
    for at in np.split(np.arange(len(counts)), np.flatnonzero(np.diff(counts)) + 1):
        kept.append(at[lengths[at].argmax()])
        rows.append((counts[at[0]], bounds[at[0]], bounds[at[-1] + 1], lengths[at].sum()))
    table = pd.DataFrame(rows, columns=["kinds", "low", "high", "length"]).astype({"kinds": "int32"})
    possible = (table["kinds"] > 1) & (table["kinds"] <= partitions.shape[1] / 2)
    longest = table["length"].where(possible).max()
    table["chosen"] = possible & (table.index == (table["length"].where(possible).idxmax() if possible.any() else -1))
    table["rival"] = possible & ~table["chosen"] & (table["length"] >= RIVAL * longest)
    return table, partitions[kept]


def describe_count(plateaus):
    """How many groups the longest plateau has and those that rival it, in words: "2, 3 or 5"."""
    counts = [str(count) for count in sorted(set(plateaus.loc[plateaus["chosen"] | plateaus["rival"], "kinds"]))]
    return " or ".join([", ".join(counts[:-1]), counts[-1]] if len(counts) > 1 else counts)


def describe_plateaus(plateaus):
    """How many kinds the longest plateau has, and which plateaus rival it, in words."""
    chosen = plateaus[plateaus["chosen"]]
    if chosen.empty:
        return "no number of groups but one lasts over any range of resolutions"
    counts, lengths = plateaus["kinds"].to_numpy(), np.exp(plateaus["length"].to_numpy())
    rivals = [f"{counts[i]} (a factor of {lengths[i]:.2f})" for i in np.flatnonzero(plateaus["rival"])]
    longest = int(chosen.index[0])
    words = f"{counts[longest]} groups last longest, over a factor of {lengths[longest]:.2f} in resolution"
    return f"{words}; nearly as long last {' and '.join(rivals)}" if rivals else f"{words}; no other number rivals them"
