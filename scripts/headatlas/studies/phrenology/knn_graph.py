"""Nearest-neighbour graphs of heads. Nothing here knows what a node is."""

import contextlib
import random

import igraph
import numpy as np
import pandas as pd
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.neighbors import NearestNeighbors

from headatlas.base.errors import InputError

WEIGHTS = ("binary", "affinity")  # of an edge


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
    if weight not in WEIGHTS:
        raise InputError(f"weight: {weight!r} is not a kind of weight; allowed: {', '.join(WEIGHTS)}")
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


def weights_of(graph):
    return "weight" if "weight" in graph.es.attributes() else None


def edge_table(graph):
    """The edges as a table: source, target (rows of heads, int32), weight (1 where the graph is binary)."""
    ends = np.asarray(graph.get_edgelist(), dtype=np.int32).reshape(-1, 2)
    weight = np.asarray(graph.es["weight"] if weights_of(graph) else np.ones(len(ends)), dtype=np.float64)
    return pd.DataFrame({"source": ends[:, 0], "target": ends[:, 1], "weight": weight})


def layout(edges, nodes, seed=0):
    """Places of the nodes of `edge_table` on a plane by Fruchterman and Reingold's springs: (node, 2)."""
    graph = igraph.Graph(nodes, edges[["source", "target"]].to_numpy())
    with seeded_igraph(seed):
        return np.array(graph.layout_fruchterman_reingold(weights=edges["weight"].to_numpy(), grid=False).coords)


@contextlib.contextmanager
def seeded_igraph(seed):
    """igraph draws from one generator of its own for the whole process: lend it a seeded one."""
    igraph.set_random_number_generator(random.Random(int(seed)))
    try:
        yield
    finally:
        igraph.set_random_number_generator(random)
