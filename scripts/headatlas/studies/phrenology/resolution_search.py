"""Clusters as published (Edkins & Wiechecki 2023, Figures 3 to 5): the first maximum of F over random resolutions.

Nothing here knows what a node is: any graph with one member label per node can be searched, the published one too.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from headatlas.base.errors import InputError
from headatlas.base.progress import bar
from headatlas.base.statistics import permutation_p_value
from headatlas.studies.phrenology.knn_graph import as_graph
from headatlas.studies.phrenology.leiden import distinct, leiden, quality_lines
from headatlas.studies.phrenology.partition_scores import evenness, member_codes, partition_scores

NEIGHBOURS = 9  # the head itself among them
ITERATIONS = 2  # of Leiden
SCORES = ["precision", "recall", "f_published", "clusters", "modularity", "silhouette"]


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
        """The first maximum of a score ("f_published", "modularity", "silhouette", ...), with its plateau."""
        values = self.draws[criterion].to_numpy()
        if np.isnan(values).all():
            raise InputError(f"criterion: {criterion!r} is defined for none of {len(values)} draws")
        top = np.nanmax(values)
        at = np.flatnonzero(values >= top - 1e-12)  # sums of the same terms may differ in their last bit
        resolutions = self.draws["resolution"].to_numpy()[at]
        labels = self.partitions[self.draws["partition"].iloc[at[0]]]
        return Choice(criterion, float(top), resolutions[0], labels, len(at), resolutions.min(), resolutions.max())


def resolution_search(
    graph, members, draws=None, low=0.01, high=3.0, *, converged=False, seed=0, distances=None, resolutions=None
):
    """Cluster a graph at many resolutions drawn from U(low, high) and score every clustering (Figure 4).

    Parameters
    ----------
    graph : igraph.Graph or sequence of pairs of int
        Any graph; an edge attribute "weight" is used where there is one.
    members : sequence, (node,)
        The member every node comes from, as labels of any kind.
    draws : int
        Not needed where resolutions are given.
    low, high : float
    converged : bool
        As published Leiden stops after two iterations, which leaves one draw in a thousand at the maximum. Converged,
        it runs until nothing changes, and every resolution takes the best partition found at any.
    seed : int
    distances : array of float, (node, node), optional
        For the silhouette.
    resolutions : array of float, (draw,), optional
        Given rather than drawn.

    Returns
    -------
    Search
    """
    graph = as_graph(graph, len(members))
    codes = member_codes(members, graph.vcount())
    if resolutions is None:
        if not draws or draws < 1 or not 0 <= low < high:
            raise InputError(
                f"resolution search: {draws} draws from {low} to {high}; at least 1 draw, and 0 <= low < high"
            )
        resolutions = np.random.default_rng(seed).uniform(low, high, draws)
    resolutions = np.asarray(resolutions, dtype=np.float64)
    partitions, index = distinct(leiden(graph, resolutions, -1 if converged else ITERATIONS, seed))
    if converged:
        fitted, expected = quality_lines(graph, partitions)
        best = (fitted - resolutions[:, None] * expected).argmax(1)
        kept, index = np.unique(best, return_inverse=True)
        partitions = partitions[kept]
    scores = partition_scores(graph, partitions, codes, distances)
    table = scores.iloc[index].reset_index(drop=True)
    table.insert(0, "resolution", resolutions)
    table.insert(1, "partition", index)
    table.insert(2, "quality", table["fitted"] - resolutions * table["expected"])
    return Search(table.drop(columns=["fitted", "expected"]), partitions, scores)


def criterion_of(members):
    """The published F; of a single member, for which F says nothing, modularity."""
    return "f_published" if len(np.unique(members)) > 1 else "modularity"


def label_null(search, members, permutations, seed=0, criterion="f_published"):
    """The highest score of a search under member labels permuted over all heads, the graph kept.

    The graph does not change, so neither do the partitions that the search would find: every permutation takes its own
    maximum over all of them. Beware: heads of one member that exclude one another are enough to reach beyond it,
    whether or not the members' heads correspond.

    Parameters
    ----------
    search : Search
    members : sequence, (node,)
    permutations, seed : int
    criterion : str

    Returns
    -------
    dict
        observed, null_mean, null_95 (95th percentile), p (one-sided, observed counted in), permutations.
    """
    codes = member_codes(members, search.partitions.shape[1])
    rng, values = np.random.default_rng(seed), np.empty(permutations)
    with bar(permutations, "member labels permuted", "permutations") as shown:
        for i in range(permutations):
            values[i] = evenness(search.partitions, rng.permutation(codes))[criterion].max()
            shown.update()
    # the same score summed in another order differs in its last bits, which must not decide a tie
    values, observed = np.round(values, 12), round(float(search.scores[criterion].max()), 12)
    return {
        "observed": observed,
        "null_mean": float(values.mean()),
        "null_95": float(np.quantile(values, 0.95)),
        "p": permutation_p_value(observed, values),
        "permutations": permutations,
    }


def preferred(chosen):
    """Which Leiden's choice is taken: the converged one where more draws stand behind it than behind the published.

    Parameters
    ----------
    chosen : dict from {"published", "converged"} to Choice
    """
    return "converged" if chosen["converged"].draws >= chosen["published"].draws else "published"


def facts_of(choice):
    """A `Choice` without its labels, as facts of a table: value, resolution, low, high, draws, clusters (sizes)."""
    numbers = {name: float(getattr(choice, name)) for name in ("value", "resolution", "low", "high")}
    sizes = sorted(np.unique(choice.labels, return_counts=True)[1].tolist(), reverse=True)
    return numbers | {"draws": choice.draws, "clusters": sizes}
