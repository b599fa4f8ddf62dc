"""Nearest-neighbour graphs against sorting by hand."""

import random

import numpy as np
import pytest

from headatlas.base.errors import InputError
from headatlas.studies.phrenology import knn_graph


def edges_by_hand(distances, true):
    edges = set()
    for i, row in enumerate(distances):
        others = sorted((d, j) for j, d in enumerate(row) if j != i)[:true]
        edges |= {tuple(sorted((i, j))) for _, j in others}
    return edges


@pytest.mark.parametrize(("neighbours", "counting_self", "true"), [(9, True, 8), (8, False, 8), (3, True, 2)])
def test_neighbour_graph_equals_sorting_by_hand(neighbours, counting_self, true):
    points = np.random.default_rng(0).normal(size=(40, 5))
    distances = np.sqrt(np.square(points[:, None] - points).sum(-1))
    for given in ({"points": points}, {"distances": distances}):
        graph = knn_graph.neighbour_graph(**given, neighbours=neighbours, counting_self=counting_self)
        assert set(graph.get_edgelist()) == edges_by_hand(distances, true)
        assert graph.is_simple()
        assert not graph.is_weighted()


def test_a_head_is_not_its_own_neighbour_even_among_equals():
    points = np.repeat(np.arange(3.0), 3)[:, None]
    graph = knn_graph.neighbour_graph(points, neighbours=2)
    assert sorted(len(part) for part in graph.connected_components()) == [3, 3, 3]


def test_affinity_weights_are_those_of_local_scaling():
    points = np.random.default_rng(1).normal(size=(20, 3))
    distances = np.sqrt(np.square(points[:, None] - points).sum(-1))
    graph = knn_graph.neighbour_graph(points, neighbours=4, weight="affinity")
    scale = np.sort(distances, axis=1)[:, 4]
    for edge in graph.es:
        i, j = edge.tuple
        assert edge["weight"] == pytest.approx(np.exp(-(distances[i, j] ** 2) / (scale[i] * scale[j])))


def test_a_graph_goes_to_a_table_and_a_plane_and_back():
    points = np.random.default_rng(4).normal(size=(30, 3))
    for weight in ("binary", "affinity"):
        graph = knn_graph.neighbour_graph(points, neighbours=4, weight=weight)
        table = knn_graph.edge_table(graph)
        assert list(zip(table["source"], table["target"], strict=True)) == graph.get_edgelist()
        assert table["weight"].tolist() == (graph.es["weight"] if weight == "affinity" else [1.0] * graph.ecount())
        random.seed(3)
        places = knn_graph.layout(table, 30, seed=1)
        random.seed(4)
        np.testing.assert_array_equal(knn_graph.layout(table, 30, seed=1), places)
        near = np.linalg.norm(places[table["source"]] - places[table["target"]], axis=1).mean()
        assert near < 0.7 * np.linalg.norm(places[:, None] - places, axis=-1).mean()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"neighbours": 5}, "neighbours: 5"),
        ({"neighbours": 1, "counting_self": True}, "allowed are 2 to 5"),
        ({"neighbours": 2, "weight": "x"}, "x"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(options, named):
    with pytest.raises(InputError, match=named) as raised:
        knn_graph.neighbour_graph(np.ones((5, 2)), **options)
    assert "\n" not in str(raised.value)
