"""The published choice of a clustering: the first maximum of a score over random resolutions, of any graph."""

import contextlib
import io
from dataclasses import dataclass
from itertools import pairwise

import leidenalg
import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from headatlas.base.errors import InputError
from headatlas.studies.phrenology.knn_graph import as_graph, weights_of
from headatlas.studies.phrenology.leiden import distinct, envelope, leiden, quality_lines
from headatlas.studies.phrenology.partition_scores import member_codes, partition_scores


@dataclass(frozen=True)
class Choice:
    """One clustering out of a search: the first draw of the highest score, and all draws that share this score."""

    criterion: str
    value: float
    resolution: float
    labels: np.ndarray  # (node,)
    draws: int
    low: float  # least and greatest resolution that reach the same score
    high: float


@dataclass(frozen=True)
class Search:
    """Every draw of a resolution search.

    Attributes
    ----------
    draws : DataFrame
        In the order drawn: resolution, partition (row of `partitions`), quality at that resolution, then the
        partition's scores.
    partitions : array of int32, (partition, node)
        Each different clustering once.
    scores : DataFrame
        One row per partition.
    """

    draws: pd.DataFrame
    partitions: np.ndarray
    scores: pd.DataFrame

    def best(self, criterion="f_published"):
        """The first maximum of a score ("f_published", "f_weighted", "silhouette", ...), with its plateau."""
        values = self.draws[criterion].to_numpy()
        if np.isnan(values).all():
            raise InputError(f"criterion: {criterion!r} is defined for none of {len(values)} draws")
        top = np.nanmax(values)
        at = np.flatnonzero(values >= top - 1e-12)  # sums of the same terms may differ in their last bit
        resolutions = self.draws["resolution"].to_numpy()[at]
        labels = self.partitions[self.draws["partition"].iloc[at[0]]]
        return Choice(criterion, float(top), resolutions[0], labels, len(at), resolutions.min(), resolutions.max())


def resolution_search(graph, members, draws=1000, low=0.01, high=3.0, iterations=2, seed=0, distances=None):
    """Cluster a graph at many resolutions drawn from U(low, high) and score every clustering (Figure 4).

    Parameters
    ----------
    graph : igraph.Graph or sequence of pairs of int
        Any graph; an edge attribute "weight" is used where there is one.
    members : sequence, (node,)
        The member every node comes from, as labels of any kind.
    draws : int
    low, high : float
    iterations : int
        Of Leiden, per draw.
    seed : int
    distances : array of float, (node, node), optional
        For the silhouette.

    Returns
    -------
    Search
    """
    graph = as_graph(graph, len(members))
    codes = member_codes(members, graph.vcount())
    if draws < 1 or not 0 <= low < high:
        raise InputError(f"resolution search: {draws} draws from {low} to {high}; at least 1 draw, and 0 <= low < high")
    resolutions = np.random.default_rng(seed).uniform(low, high, draws)
    partitions, index = distinct(leiden(graph, resolutions, iterations, seed))
    scores = partition_scores(graph, partitions, codes, distances)
    table = scores.iloc[index].reset_index(drop=True)
    table.insert(0, "resolution", resolutions)
    table.insert(1, "partition", index)
    table.insert(2, "quality", table["fitted"] - resolutions * table["expected"])
    return Search(table.drop(columns=["fitted", "expected"]), partitions, scores)


def exact_profile(graph, members, low=0.01, high=3.0, seed=0, search=None, distances=None, precision=1e-3):
    """Which partition is best at which resolution: every change point, without random draws.

    `leidenalg` bisects the range; the quality of a partition is a line in the resolution, so the upper envelope of all
    partitions found gives the change points without error (Weir et al. 2017). Partitions of a `search` are weighed too.

    Parameters
    ----------
    graph, members, distances
        As for `resolution_search`.
    low, high : float
        Above 0.
    search : Search, optional
    precision : float
        Bisection stops at intervals of this length, in the logarithm of the resolution.

    Returns
    -------
    profile : DataFrame
        By ascending resolution: low, high, width, the partition's scores, ari_next (adjusted Rand index with the next
        partition, NaN for the last) and longest (the widest plateau among partitions of more than one cluster).
    partitions : array of int32, (row, node)
    """
    graph = as_graph(graph, len(members))
    codes = member_codes(members, graph.vcount())
    if not 0 < low < high:
        raise InputError(f"resolution profile: from {low} to {high}; 0 < low < high is needed")
    optimiser = leidenalg.Optimiser()
    optimiser.set_rng_seed(int(seed))
    with contextlib.redirect_stderr(io.StringIO()):  # it draws a bar that cannot be turned off
        found = optimiser.resolution_profile(
            graph,
            leidenalg.RBConfigurationVertexPartition,
            (low, high),
            weights=weights_of(graph),
            min_diff_bisect_value=0 if weights_of(graph) else 1,
            min_diff_resolution=precision,
        )
    pool = np.array([pd.factorize(np.asarray(partition.membership))[0] for partition in found], dtype=np.int32)
    if search is not None:
        pool = np.concatenate([pool, search.partitions])
    pool = distinct(pool)[0]
    kept, changes = envelope(*quality_lines(graph, pool), low, high)
    partitions = pool[kept]
    profile = partition_scores(graph, partitions, codes, distances).drop(columns=["fitted", "expected"])
    profile.insert(0, "low", changes[:-1])
    profile.insert(1, "high", changes[1:])
    profile.insert(2, "width", profile["high"] - profile["low"])
    agreement = [adjusted_rand_score(a, b) for a, b in pairwise(partitions)]
    profile["ari_next"] = [*agreement, np.nan]
    split = profile["clusters"] > 1
    profile["longest"] = profile.index == (profile["width"].where(split).idxmax() if split.any() else -1)
    return profile, partitions
