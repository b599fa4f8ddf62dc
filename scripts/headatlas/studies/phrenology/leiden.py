"""Leiden over a whole range of resolutions, and which partition is best at which of them.

The quality of a partition is a line in the resolution, so that the upper envelope of the lines of all partitions that
were found gives the ranges in which each is best without error (Weir et al. 2017).
"""

import igraph
import numpy as np

from headatlas.studies.phrenology.knn_graph import seeded_igraph, weights_of


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
    weights = weights_of(graph)
    options = {"edge_weights": weights, "normalize_resolution": True, "n_iterations": iterations}
    with seeded_igraph(seed):  # the method of the base class: the derived one wraps each draw in an object of its own
        found = [igraph.GraphBase.community_leiden(graph, resolution=float(g), **options)[0] for g in resolutions]
    return _by_first_node(np.array(found, dtype=np.int32).reshape(-1, graph.vcount()))


def _by_first_node(labels):
    """Clusters of each row (draw, node) numbered in the order in which their first node comes."""
    rows = np.arange(len(labels))[:, None]
    first = np.full((len(labels), labels.max(initial=0) + 1), labels.shape[1])  # node of each cluster
    np.minimum.at(first, (rows, labels), np.arange(labels.shape[1]))
    return first.argsort(1, kind="stable").argsort(1)[rows, labels].astype(np.int32)


def distinct(labels):
    """Unique rows in order of first appearance, and the index of every row among them."""
    places = {}
    index = np.array([places.setdefault(row.tobytes(), len(places)) for row in labels])
    return labels[np.unique(index, return_index=True)[1]], index


def quality_lines(graph, partitions):
    """Quality of a partition as a line in the resolution g: fitted - g * expected, modularity at g = 1.

    Returns
    -------
    fitted, expected : array of float, (partition,)
        Share of edge weight inside clusters, and what the configuration model expects.
    """
    ends = np.asarray(graph.get_edgelist())
    weights = np.asarray(graph.es["weight"] if weights_of(graph) else np.ones(len(ends)))
    strength = np.asarray(graph.strength(weights=weights_of(graph)))
    fitted = np.array([weights[row[ends[:, 0]] == row[ends[:, 1]]].sum() for row in partitions]) / weights.sum()
    shares = (np.bincount(row, strength) / strength.sum() for row in partitions)
    return fitted, np.array([np.square(share).sum() for share in shares])


def best_partitions(graph, partitions, low, high):
    """Which of many partitions is best at which resolution between two.

    Parameters
    ----------
    graph : igraph.Graph
    partitions : array of int, (partition, node)
    low, high : float

    Returns
    -------
    kept : array of int
        Rows of `partitions` by the resolution at which they are best.
    bounds : array of float
        Where they take turns, `low` and `high` included.
    """
    return envelope(*quality_lines(graph, partitions), low, high)


def envelope(fitted, expected, low, high):
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
