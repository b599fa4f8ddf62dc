"""Graphs and searches against brute force, scikit-learn and leidenalg."""

import random
import time

import igraph
import leidenalg
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, silhouette_score

from headatlas.base.errors import InputError
from headatlas.studies.phrenology import knn_graph, leiden, partition_scores, resolution_search
from planted import planted_heads


@pytest.fixture(scope="module")
def noisy():
    """72 planted heads at a noise that leaves many different clusterings: graph, distances, member, type."""
    patterns, member, kind = planted_heads(noise=4)
    return *knn_graph.euclidean_graph(patterns, 8), member, kind


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


def test_evenness_equals_a_loop_over_clusters():
    rng = np.random.default_rng(2)
    partitions = rng.integers(0, 6, (20, 30))
    partitions[3] = 0
    member = np.repeat(np.arange(5), 6)
    found = partition_scores.evenness(partitions, member)
    for i, labels in enumerate(partitions):
        f, sizes = [], []
        for cluster in np.unique(labels):
            inside = member[labels == cluster]
            precision, recall = len(set(inside)) / len(inside), len(set(inside)) / 5
            f.append(2 * precision * recall / (precision + recall))
            sizes.append(len(inside))
        assert found["clusters"][i] == len(f)
        assert found["f_weighted"][i] == pytest.approx(np.average(f, weights=sizes))
        assert found["f_published"][i] == pytest.approx(np.mean(f) if len(f) > 1 else 0)


def test_silhouette_and_modularity_equal_the_libraries(noisy):
    graph, distances, member, _ = noisy
    search = resolution_search.resolution_search(graph, member, draws=60, distances=distances)
    for labels, row in zip(search.partitions, search.scores.itertuples(), strict=True):
        assert row.modularity == pytest.approx(graph.modularity(labels))
        if 1 < row.clusters < 72:
            expected = silhouette_score(distances, labels, metric="precomputed")
            assert row.silhouette == pytest.approx(expected, abs=1e-5)
        else:
            assert np.isnan(row.silhouette)


def test_quality_equals_leidenalg_on_weighted_graphs():
    points = np.random.default_rng(3).normal(size=(40, 4))
    graph = knn_graph.neighbour_graph(points, neighbours=6, weight="affinity")
    search = resolution_search.resolution_search(graph, np.arange(40) % 5, draws=20)
    for row in search.draws.itertuples():
        partition = leidenalg.RBConfigurationVertexPartition(
            graph, search.partitions[row.partition], weights="weight", resolution_parameter=row.resolution
        )
        assert row.quality == pytest.approx(partition.quality() / 2 / sum(graph.es["weight"]))


def test_partitions_are_as_good_as_those_of_leidenalg(noisy):
    graph, _, member, _ = noisy
    draws = resolution_search.resolution_search(graph, member, draws=150).draws
    theirs = np.empty(len(draws))
    for i, resolution in enumerate(draws["resolution"]):
        partition = leidenalg.find_partition(
            graph,
            leidenalg.RBConfigurationVertexPartition,
            resolution_parameter=resolution,
            n_iterations=2,
            seed=i,
        )
        theirs[i] = partition.quality() / 2 / graph.ecount()
    assert draws["quality"].mean() > 0.998 * theirs.mean()


def test_search_is_seeded_and_leaves_the_callers_generator_alone(noisy):
    graph, distances, member, _ = noisy
    random.seed(7)
    expected = random.random()
    random.seed(7)
    first = resolution_search.resolution_search(graph, member, draws=50, seed=4, distances=distances)
    assert random.random() == expected
    igraph.Graph.Erdos_Renyi(20, 0.5)
    second = resolution_search.resolution_search(graph, member, draws=50, seed=4, distances=distances)
    assert first.draws.equals(second.draws)
    assert first.partitions.tobytes() == second.partitions.tobytes()
    other = resolution_search.resolution_search(graph, member, draws=50, seed=5)
    assert not first.draws["resolution"].equals(other.draws["resolution"])


def test_the_first_maximum_and_its_plateau(noisy):
    graph, _, member, kind = noisy
    search = resolution_search.resolution_search(graph, member, draws=200)
    best = search.best("f_published")
    values = search.draws["f_published"]
    assert best.value == values.max()
    assert best.resolution == search.draws["resolution"][values.to_numpy().argmax()]
    assert best.draws == np.isclose(values, best.value).sum()
    assert best.low <= best.resolution <= best.high
    assert adjusted_rand_score(best.labels, kind) > 0.9
    assert len(np.unique(search.partitions, axis=0)) == len(search.partitions) < 200


def test_any_graph_with_any_labels_is_searched():
    triangles = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (2, 3), (1, 0)]
    members = ["a", "b", "c"] * 2
    best = resolution_search.resolution_search(triangles, members, draws=100).best("f_weighted")
    assert best.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert best.value == 1
    directed = igraph.Graph(6, triangles, directed=True)
    again = resolution_search.resolution_search(directed, members, draws=100).best("f_weighted")
    assert again.labels.tolist() == best.labels.tolist()


def test_profile_has_the_best_partition_everywhere(noisy):
    graph, distances, member, _ = noisy
    search = resolution_search.resolution_search(graph, member, draws=300)
    profile, partitions = resolution_search.exact_profile(graph, member, search=search, distances=distances)
    np.testing.assert_allclose(profile["low"][1:], profile["high"][:-1])
    assert (profile["low"].iloc[0], profile["high"].iloc[-1]) == (0.01, 3.0)
    fitted, expected = leiden.quality_lines(graph, partitions)
    resolutions = search.draws["resolution"].to_numpy()
    at = np.searchsorted(profile["high"], resolutions)
    assert (fitted[at] - resolutions * expected[at] >= search.draws["quality"] - 1e-12).all()
    change = profile["high"].to_numpy()[:-1]
    np.testing.assert_allclose(fitted[:-1] - change * expected[:-1], fitted[1:] - change * expected[1:])
    assert profile["longest"].sum() == 1
    assert profile["clusters"][profile["longest"]].item() > 1
    assert profile["ari_next"].iloc[0] == pytest.approx(adjusted_rand_score(partitions[0], partitions[1]))


def test_profile_of_two_triangles_changes_where_arithmetic_says():
    edges = [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (2, 3)]
    profile, _ = resolution_search.exact_profile(edges, [0, 1, 2] * 2, low=0.1, high=1.5)
    # one cluster: 1 - g; two triangles: 6/7 - g/2
    assert profile["high"].iloc[0] == pytest.approx(2 / 7)
    assert profile["clusters"].tolist()[:2] == [1, 2]


def test_a_search_takes_little_time(noisy):
    graph, _, member, _ = noisy
    start = time.process_time()
    resolution_search.resolution_search(graph, member, draws=200)
    assert time.process_time() - start < 2  # 0.1 s on an idle core


@pytest.mark.parametrize(
    ("action", "named"),
    [
        (lambda: knn_graph.neighbour_graph(np.ones((5, 2)), neighbours=5), "neighbours: 5"),
        (lambda: knn_graph.neighbour_graph(np.ones((5, 2)), neighbours=1, counting_self=True), "allowed are 2 to 5"),
        (lambda: knn_graph.neighbour_graph(np.ones((5, 2)), neighbours=2, weight="x"), "x"),
        (lambda: resolution_search.resolution_search([(0, 1)], [0, 1], low=2, high=1), "from 2 to 1"),
        (lambda: resolution_search.resolution_search(igraph.Graph(3), [0, 1, 2]), "no edges"),
        (lambda: resolution_search.exact_profile([(0, 1)], [0, 1], low=0), "0 < low"),
        (lambda: partition_scores.member_codes([0, 1], 3), "2 labels"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(action, named):
    with pytest.raises(InputError, match=named) as raised:
        action()
    assert "\n" not in str(raised.value)
