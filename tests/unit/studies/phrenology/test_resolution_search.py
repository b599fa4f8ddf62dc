"""The published search against brute force, scikit-learn and leidenalg, on any graph."""

import random
import time

import igraph
import leidenalg
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, silhouette_score

from headatlas.base.errors import InputError
from headatlas.studies.phrenology import knn_graph, leiden, partition_scores, resolution_search
from planted import planted_heads, unrelated_heads


@pytest.fixture(scope="module")
def noisy():
    """72 planted heads at a noise that leaves many different clusterings: graph, distances, member, type."""
    patterns, member, kind = planted_heads(noise=4)
    return *knn_graph.euclidean_graph(patterns, 8), member, kind


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
    best = resolution_search.resolution_search(triangles, members, draws=100).best("f_published")
    assert best.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert best.value == 1
    directed = igraph.Graph(6, triangles, directed=True)
    again = resolution_search.resolution_search(directed, members, draws=100).best("f_published")
    assert again.labels.tolist() == best.labels.tolist()


def test_a_search_takes_little_time(noisy):
    graph, _, member, _ = noisy
    start = time.process_time()
    resolution_search.resolution_search(graph, member, draws=200)
    assert time.process_time() - start < 2  # 0.1 s on an idle core


@pytest.mark.parametrize(
    ("action", "named"),
    [
        (lambda: resolution_search.resolution_search([(0, 1)], [0, 1], low=2, high=1), "from 2 to 1"),
        (lambda: resolution_search.resolution_search(igraph.Graph(3), [0, 1, 2]), "no edges"),
        (lambda: partition_scores.member_codes([0, 1], 3), "2 labels"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(action, named):
    with pytest.raises(InputError, match=named) as raised:
        action()
    assert "\n" not in str(raised.value)


def set_partitions(nodes):
    """Every partition of so many nodes, as labels."""
    if nodes == 0:
        yield []
        return
    for shorter in set_partitions(nodes - 1):
        for label in range(max(shorter, default=-1) + 2):
            yield [*shorter, label]


def f_by_hand(labels, members):
    labels, members, scores = np.asarray(labels), np.asarray(members), []
    for cluster in set(labels):
        inside = members[labels == cluster]
        precision, recall = len(set(inside)) / len(inside), len(set(inside)) / len(set(members))
        scores.append(2 * precision * recall / (precision + recall))
    return np.mean(scores) if len(scores) > 1 else 0


def test_the_published_search_of_a_graph_equals_brute_force():
    """From edges, member labels and resolutions it finds what trying all partitions finds: F, its plateau, clusters."""
    edges = [(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (4, 5), (3, 5), (5, 6), (6, 7), (7, 5), (1, 7)]
    members = [0, 1, 2, 0, 1, 2, 0, 1]
    resolutions = np.random.default_rng(1).uniform(0.01, 3, 60)
    adjacency = np.zeros((8, 8))
    for i, j in edges:
        adjacency[i, j] = adjacency[j, i] = 1
    degree = adjacency.sum(1)
    every = list(set_partitions(8))
    lines = np.array(
        [
            [
                (adjacency * same).sum() / degree.sum(),
                (np.outer(degree, degree) * same).sum() / degree.sum() ** 2,
            ]
            for same in (np.equal.outer(labels, labels) for labels in map(np.asarray, every))
        ]
    )
    quality = lines[:, 0] - resolutions[:, None] * lines[:, 1]  # (draw, partition)
    search = resolution_search.resolution_search(edges, members, converged=True, resolutions=resolutions)
    np.testing.assert_allclose(search.draws["quality"], quality.max(1))
    f = np.array([f_by_hand(every[best], members) for best in quality.argmax(1)])
    np.testing.assert_allclose(search.draws["f_published"], f)
    best = search.best()
    assert best.value == pytest.approx(f.max())
    assert best.resolution == resolutions[f.argmax()]
    assert best.draws == np.isclose(f, f.max()).sum()
    assert adjusted_rand_score(best.labels, every[quality[f.argmax()].argmax()]) == 1


def test_converged_more_draws_stand_behind_the_choice(noisy):
    graph, _, member, _ = noisy
    choices = {
        converged: [
            resolution_search.resolution_search(graph, member, draws=300, converged=converged, seed=seed).best()
            for seed in range(3)
        ]
        for converged in (False, True)
    }
    search = resolution_search.resolution_search(graph, member, draws=300, converged=True)
    fitted, expected = leiden.quality_lines(graph, search.partitions)
    every = fitted - search.draws["resolution"].to_numpy()[:, None] * expected  # (draw, partition)
    np.testing.assert_allclose(search.draws["quality"], every.max(1))  # the best found at any resolution
    draws = {converged: np.mean([choice.draws for choice in found]) for converged, found in choices.items()}
    assert draws[True] > draws[False]
    pair = {"published": choices[False][0], "converged": choices[True][0]}
    assert resolution_search.preferred(pair) == "converged"
    facts = resolution_search.facts_of(pair["converged"])
    assert sum(facts["clusters"]) == 72
    assert facts["value"] == pair["converged"].value


def test_label_null_takes_the_maximum_over_the_whole_search(noisy):
    graph, _, member, _ = noisy
    search = resolution_search.resolution_search(graph, member, draws=50)
    null = resolution_search.label_null(search, member, permutations=19, seed=3)
    rng = np.random.default_rng(3)
    again = [
        resolution_search.resolution_search(graph, rng.permutation(member), draws=50).best().value for _ in range(19)
    ]
    assert null["null_mean"] == pytest.approx(np.mean(again))
    assert null["observed"] == pytest.approx(search.best().value)
    assert null["p"] >= 1 / 20


@pytest.mark.parametrize("exclude", [True, False])
def test_exclusion_within_members_and_nothing_else_passes_the_published_null(exclude):
    """Why F is no evidence: of members that have nothing in common, it finds that their own heads keep apart."""
    passed, member = 0, np.repeat(np.arange(9), 8)
    for seed in range(4):
        heads = unrelated_heads(np.random.default_rng(seed), exclude)
        graph = knn_graph.neighbour_graph(heads, neighbours=8)
        search = resolution_search.resolution_search(graph, member, draws=100, converged=True)
        passed += resolution_search.label_null(search, member, permutations=19)["p"] <= 0.05
    assert passed >= 3 if exclude else passed <= 1
