"""Nearest-neighbour graphs of heads, and their clustering by Leiden over a whole range of resolutions.

Nothing here knows what a node is: `resolution_search` and `exact_profile` take any undirected igraph graph and one
label per node (the member it comes from), so that a published graph can be searched as well as our own.
"""

import contextlib
import io
import random
from dataclasses import dataclass
from itertools import pairwise

import igraph
import leidenalg
import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.neighbors import NearestNeighbors

from headatlas.base.errors import InputError

CELLS = 20_000_000  # (partition, cluster, member) cells held at a time


def neighbour_graph(points=None, *, distances=None, neighbours, counting_self=False, weight="binary"):
    """The graph in which every head is joined to its nearest heads (Edkins & Wiechecki 2023, Figure 3).

    An edge is there if either end counts the other among its nearest.

    Parameters
    ----------
    points : array of float, (head, coordinate)
        Compared by Euclidean distance; or else
    distances : array of float, (head, head)
    neighbours : int
        As published 9; members - 1 is what a cluster of one head per member has room for.
    counting_self : bool
        The published count includes the head itself, which leaves one true neighbour fewer.
    weight : {"binary", "affinity"}
        "affinity" puts exp(-d^2 / (s_i s_j)) on an edge, with s the distance to a head's farthest counted neighbour
        (local scaling, Zelnik-Manor & Perona 2004).

    Returns
    -------
    igraph.Graph
        Undirected and simple; edges sorted; `es["weight"]` if weighted.
    """
    if (points is None) == (distances is None):
        raise TypeError("give either points or distances")
    data, metric = (points, "euclidean") if distances is None else (distances, "precomputed")
    data = np.asarray(data)
    true = neighbours - counting_self
    if not 0 < true < len(data):
        raise InputError(
            f"neighbours: {neighbours}{' with the head itself' if counting_self else ''} of {len(data)} heads; "
            f"allowed are {1 + counting_self} to {len(data) - 1 + counting_self}"
        )
    if weight not in ("binary", "affinity"):
        raise InputError(f"weight: {weight!r} is neither binary nor affinity")
    away, nearest = NearestNeighbors(n_neighbors=true, metric=metric, algorithm="brute").fit(data).kneighbors()
    source = np.repeat(np.arange(len(data)), true)
    ends = np.sort(np.column_stack([source, nearest.ravel()]), axis=1)
    edges, first = np.unique(ends, axis=0, return_index=True)
    graph = igraph.Graph(len(data), edges)
    if weight == "affinity":
        scale = np.maximum(away[:, -1], np.finfo(away.dtype).tiny)
        graph.es["weight"] = np.exp(-(away.ravel()[first] ** 2) / scale[edges[:, 0]] / scale[edges[:, 1]])
    return graph


def euclidean_graph(patterns, neighbours, counting_self=False, weight="binary"):
    """Graph and distances of heads given as (head, prompt, entry): patterns, or embeddings of them.

    Returns
    -------
    graph : igraph.Graph
    distances : array of float, (head, head)
    """
    distances = euclidean_distances(patterns.reshape(len(patterns), -1))
    np.fill_diagonal(distances, 0)
    graph = neighbour_graph(distances=distances, neighbours=neighbours, counting_self=counting_self, weight=weight)
    return graph, distances


def as_graph(edges, nodes=None):
    """Any igraph graph, or pairs of node indices, as the undirected simple graph that is searched."""
    graph = edges if isinstance(edges, igraph.Graph) else igraph.Graph(nodes or int(np.max(edges)) + 1, list(edges))
    if graph.is_directed() or not graph.is_simple():
        graph = graph.as_undirected(mode="collapse", combine_edges="max")
        graph = graph.simplify(combine_edges="max")
    if graph.ecount() == 0:
        raise InputError("graph: it has no edges, so there is nothing to cluster")
    return graph


def edge_table(graph):
    """The edges as a table: source, target (rows of heads, int32), weight (1 where the graph is binary)."""
    ends = np.asarray(graph.get_edgelist(), dtype=np.int32).reshape(-1, 2)
    weight = np.asarray(graph.es["weight"] if _weights(graph) else np.ones(len(ends)), dtype=np.float64)
    return pd.DataFrame({"source": ends[:, 0], "target": ends[:, 1], "weight": weight})


def layout(edges, nodes, seed=0):
    """Places of the nodes of `edge_table` on a plane by Fruchterman and Reingold's springs: (node, 2)."""
    graph = igraph.Graph(nodes, edges[["source", "target"]].to_numpy())
    with _igraph_seed(seed):
        return np.array(graph.layout_fruchterman_reingold(weights=edges["weight"].to_numpy(), grid=False).coords)


def _weights(graph):
    return "weight" if "weight" in graph.es.attributes() else None


def member_codes(members, nodes):
    """Member labels of any kind as integers 0..members-1."""
    codes = np.unique(np.asarray(members), return_inverse=True)[1].ravel()
    if len(codes) != nodes:
        raise InputError(f"members: {len(codes)} labels for a graph of {nodes} nodes")
    return codes


@contextlib.contextmanager
def _igraph_seed(seed):
    """igraph draws from one generator of its own for the whole process: lend it a seeded one."""
    igraph.set_random_number_generator(random.Random(int(seed)))
    try:
        yield
    finally:
        igraph.set_random_number_generator(random)


def leiden(graph, resolutions, iterations=2, seed=0):
    """Leiden under the Reichardt-Bornholdt configuration null model, once per resolution.

    Parameters
    ----------
    graph : igraph.Graph
    resolutions : array of float, (draw,)
    iterations : int
        Of the algorithm, per draw.

    Returns
    -------
    array of int32, (draw, node)
        Clusters numbered in the order in which their first node comes.
    """
    weights = _weights(graph)
    options = {"edge_weights": weights, "normalize_resolution": True, "n_iterations": iterations}
    with _igraph_seed(seed):  # the method of the base class: the derived one wraps each draw in an object of its own
        found = [igraph.GraphBase.community_leiden(graph, resolution=float(g), **options)[0] for g in resolutions]
    return _by_first_node(np.array(found, dtype=np.int32).reshape(-1, graph.vcount()))


def _by_first_node(labels):
    """Clusters of each row (draw, node) numbered in the order in which their first node comes."""
    rows = np.arange(len(labels))[:, None]
    first = np.full((len(labels), labels.max(initial=0) + 1), labels.shape[1])  # node of each cluster
    np.minimum.at(first, (rows, labels), np.arange(labels.shape[1]))
    return first.argsort(1, kind="stable").argsort(1)[rows, labels].astype(np.int32)


def _distinct(labels):
    """Unique rows in order of first appearance, and the index of every row among them."""
    places = {}
    index = np.array([places.setdefault(row.tobytes(), len(places)) for row in labels])
    return labels[np.unique(index, return_index=True)[1]], index


def evenness(partitions, members):
    """How evenly members are spread over clusters, for many partitions at once (Edkins & Wiechecki 2023).

    Per cluster precision = distinct members / size, recall = distinct members / all members.

    Parameters
    ----------
    partitions : array of int, (partition, node)
    members : array of int, (node,)
        0..members-1.

    Returns
    -------
    dict of arrays of float, (partition,)
        "precision" and "recall", unweighted means over clusters; "f_published", the unweighted mean of F1, 0 for one
        single cluster; "f_weighted", its mean weighted by size; "clusters", their number.
    """
    partitions, members = np.asarray(partitions), np.asarray(members)
    width, among = int(partitions.max()) + 1, int(members.max()) + 1
    step = max(1, CELLS // (width * among))
    parts = [_evenness(partitions[i : i + step], members, width, among) for i in range(0, len(partitions), step)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _evenness(partitions, members, width, among):
    cluster = np.arange(len(partitions))[:, None] * width + partitions
    size = np.bincount(cluster.ravel(), minlength=len(partitions) * width).reshape(-1, width)
    seen = np.zeros(size.size * among, dtype=bool)
    seen[cluster * among + members] = True
    distinct = seen.reshape(*size.shape, among).sum(-1, dtype=np.int32)  # (partition, cluster)
    clusters = (size > 0).sum(1)
    f = 2 * distinct / (size + among)  # the harmonic mean of distinct / size and distinct / among
    return {
        "precision": (distinct / np.maximum(size, 1)).sum(1) / clusters,
        "recall": (distinct / among).sum(1) / clusters,
        "f_published": np.where(clusters > 1, f.sum(1) / clusters, 0.0),
        "f_weighted": (f * size).sum(1) / partitions.shape[1],
        "clusters": clusters,
    }


def silhouettes(partitions, distances):
    """Mean silhouette of each partition (partition, node) on distances (node, node); NaN where it is not defined."""
    distances = np.asarray(distances)
    nodes = np.arange(len(distances))
    result = np.full(len(partitions), np.nan)
    for i, labels in enumerate(partitions):
        size = np.bincount(labels)
        if not 1 < len(size) < len(labels):
            continue
        to = distances @ (labels[:, None] == np.arange(len(size))).astype(distances.dtype)  # (node, cluster)
        own = to[nodes, labels] / np.maximum(size[labels] - 1, 1)
        other = to / size
        other[nodes, labels] = np.inf
        other = other.min(1)
        score = (other - own) / np.maximum(np.maximum(own, other), np.finfo(distances.dtype).tiny)
        result[i] = np.where(size[labels] > 1, score, 0).mean()
    return result


def quality_lines(graph, partitions):
    """Quality of a partition as a line in the resolution g: fitted - g * expected, modularity at g = 1.

    Returns
    -------
    fitted, expected : array of float, (partition,)
        Share of edge weight inside clusters, and what the configuration model expects.
    """
    ends = np.asarray(graph.get_edgelist())
    weights = np.asarray(graph.es["weight"] if _weights(graph) else np.ones(len(ends)))
    strength = np.asarray(graph.strength(weights=_weights(graph)))
    fitted = np.array([weights[row[ends[:, 0]] == row[ends[:, 1]]].sum() for row in partitions]) / weights.sum()
    shares = (np.bincount(row, strength) / strength.sum() for row in partitions)
    return fitted, np.array([np.square(share).sum() for share in shares])


def partition_scores(graph, partitions, members, distances=None):
    """One row per partition: its evenness over members, modularity, silhouette and quality line."""
    fitted, expected = quality_lines(graph, partitions)
    scores = pd.DataFrame(evenness(partitions, members))
    scores["modularity"] = fitted - expected
    scores["silhouette"] = np.nan if distances is None else silhouettes(partitions, distances)
    return scores.assign(fitted=fitted, expected=expected)


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
    partitions, index = _distinct(leiden(graph, resolutions, iterations, seed))
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
            weights=_weights(graph),
            min_diff_bisect_value=0 if _weights(graph) else 1,
            min_diff_resolution=precision,
        )
    pool = np.array([pd.factorize(np.asarray(partition.membership))[0] for partition in found], dtype=np.int32)
    if search is not None:
        pool = np.concatenate([pool, search.partitions])
    pool = _distinct(pool)[0]
    kept, changes = _envelope(*quality_lines(graph, pool), low, high)
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


def _envelope(fitted, expected, low, high):
    """The lines on top of fitted - g * expected for g in (low, high), as indices, and where they take turns."""
    here = np.lexsort((expected, -(fitted - low * expected)))[0]
    kept, changes = [here], [low]
    while True:
        flatter = np.flatnonzero(expected < expected[here] - 1e-15)
        crossing = (fitted[here] - fitted[flatter]) / (expected[here] - expected[flatter])
        if not len(flatter) or crossing.min() >= high:
            return np.array(kept), np.array([*changes, high])
        first = np.lexsort((expected[flatter], crossing))[0]
        here = flatter[first]
        if crossing[first] <= changes[-1]:  # a tie at the lower end
            kept[-1] = here
        else:
            kept.append(here)
            changes.append(crossing[first])
