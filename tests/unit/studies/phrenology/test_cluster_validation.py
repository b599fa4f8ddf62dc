"""Clusters judged on planted heads: what is there is found and said to stand, what is noise is called noise."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from headatlas.base.errors import InputError
from headatlas.studies.phrenology import cluster_validation, knn_graph
from headatlas.studies.phrenology.cluster_validation import SearchSettings
from planted import planted_heads

BUILD = partial(knn_graph.euclidean_graph, neighbours=8)
SETTINGS = SearchSettings(draws=60)


def judged(noise, seed=0):
    """The whole judgement of planted heads: chosen labels, types, the verdict, the null tables."""
    patterns, member, kind = planted_heads(noise=noise, seed=seed, prompts=40)
    graph, distances = BUILD(patterns)
    search = SETTINGS(graph, member, distances)
    labels = search.best(SETTINGS.criterion).labels
    nulls = pd.concat(
        [
            cluster_validation.label_null(search, member, permutations=100).table,
            cluster_validation.head_null(patterns, member, BUILD, SETTINGS, permutations=19).table,
        ]
    )
    resampled = cluster_validation.bootstrap_clusters(patterns, member, BUILD, SETTINGS, resamples=10)
    table = cluster_validation.cluster_evenness(labels, member, permutations=500)
    found = cluster_validation.verdict(table, cluster_validation.cluster_jaccard(labels, resampled), nulls)
    return labels, kind, found, nulls.set_index(["null", "statistic"])


@pytest.mark.parametrize(("noise", "agreement"), [(0.5, 0.99), (2, 0.9), (3.5, 0.6)])
def test_planted_types_are_recovered_and_stand(noise, agreement):
    labels, kind, found, nulls = judged(noise)
    assert adjusted_rand_score(labels, kind) > agreement
    assert nulls.loc[("labels", "f_weighted"), "p"] <= 0.05
    for statistic in ("modularity", "silhouette", "split_half_ari"):
        assert nulls.loc[("heads", statistic), "p"] <= 0.05
    if noise < 3:
        assert found.table["stands"].all()
        assert found.sentence.startswith("8 of 8 clusters stand")


def test_pure_noise_is_called_noise():
    _, _, found, nulls = judged(None)
    assert nulls.loc[("labels", "f_weighted"), "observed"] > 0.6  # yet it looks like something
    assert nulls.loc[("labels", "f_weighted"), "p"] > 0.05
    assert nulls.loc[("labels", "f_published"), "p"] > 0.05
    assert (nulls.loc["heads", "p"] > 0.05).all()
    assert not found.table["stands"].any()
    assert found.sentence.startswith("None of ")
    assert "no better than chance" in found.sentence


def test_label_null_takes_the_maximum_over_the_whole_search():
    patterns, member, _ = planted_heads(noise=4, prompts=20)
    graph, _ = BUILD(patterns)
    search = SETTINGS(graph, member)
    null = cluster_validation.label_null(search, member, permutations=5, seed=3)
    rng = np.random.default_rng(3)
    for _, drawn in null.draws.groupby("permutation"):
        again = SETTINGS(graph, rng.permutation(member))  # the whole search, with permuted labels
        drawn = drawn.set_index("statistic")["value"]
        for statistic in ("f_published", "f_weighted"):
            assert drawn[statistic] == pytest.approx(again.best(statistic).value)


def test_shuffling_keeps_every_members_patterns_and_loses_the_heads():
    patterns, member, _ = planted_heads(types=3, members=2, prompts=30)
    before = patterns.copy()
    shuffled = cluster_validation.shuffle_heads(patterns, member, np.random.default_rng(0))
    np.testing.assert_array_equal(patterns, before)
    moved = 0
    for one in (0, 1):
        for prompt in range(30):
            ours, theirs = patterns[member == one, prompt], shuffled[member == one, prompt]
            assert {row.tobytes() for row in ours} == {row.tobytes() for row in theirs}
            moved += (ours != theirs).any(1).sum()
    assert 80 < moved < 160  # two thirds of 180


def test_processes_change_nothing():
    patterns, member, _ = planted_heads(types=4, members=4, prompts=10)
    build, settings = partial(knn_graph.euclidean_graph, neighbours=3), SearchSettings(draws=20)
    alone = cluster_validation.head_null(patterns, member, build, settings, permutations=4)
    together = cluster_validation.head_null(patterns, member, build, settings, permutations=4, jobs=2)
    assert alone.draws.equals(together.draws)


def test_jaccard_equals_sets():
    rng = np.random.default_rng(1)
    labels, resampled = rng.integers(0, 4, 30), rng.integers(0, 5, (6, 30))
    found = cluster_validation.cluster_jaccard(labels, resampled)
    for i, other in enumerate(resampled):
        for cluster in range(4):
            own = set(np.flatnonzero(labels == cluster))
            theirs = [set(np.flatnonzero(other == c)) for c in range(5)]
            assert found[i, cluster] == pytest.approx(max(len(own & t) / len(own | t) for t in theirs))


@pytest.mark.parametrize("method", ["hierarchical", "leiden"])
def test_consensus_finds_what_most_resamples_share(method):
    rng = np.random.default_rng(2)
    truth = np.repeat(np.arange(5), 8)
    resampled = np.array([np.where(rng.random(40) < 0.2, rng.integers(0, 5, 40), truth) for _ in range(30)])
    together, labels = cluster_validation.consensus(resampled, method)
    assert adjusted_rand_score(labels, truth) == 1
    assert together[0, 1] == pytest.approx((resampled[:, 0] == resampled[:, 1]).mean())
    np.testing.assert_array_equal(np.diag(together), 1)


def test_evenness_of_a_cluster_against_chance():
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    member = np.array([0, 1, 2, 0, 0, 0, 1, 2, 1])
    table = cluster_validation.cluster_evenness(labels, member, permutations=4000).set_index("cluster")
    assert table["distinct"].tolist() == [3, 1, 2]
    assert table["f"].tolist() == pytest.approx([1, 1 / 3, 2 / 3])
    assert table.loc[0, "p"] == pytest.approx(24 / 84, abs=0.03)  # 4 * 3 * 2 of C(9, 3) draws hit all members
    assert table.loc[1, "p"] == 1
    assert table["f_null"].to_numpy() == pytest.approx((24 * 1 + 55 * 2 / 3 + 5 / 3) / 84, abs=0.02)


def test_seeds_agree_where_the_types_are_plain():
    patterns, member, _ = planted_heads(noise=0.5, prompts=20)
    graph, _ = BUILD(patterns)
    np.testing.assert_allclose(cluster_validation.seed_agreement(graph, member, SETTINGS, seeds=3), 1)


def test_verdict_says_which_cluster_falls_and_why():
    table = pd.DataFrame({"cluster": [0, 1, 2], "f": [0.9, 0.8, 0.2], "f_null": [0.6, 0.6, 0.2], "size": [9, 8, 1]})
    row = {"null": "labels", "statistic": "f_weighted", "observed": 0.9, "null_mean": 0.6, "null_95": 0.7, "p": 0.005}
    found = cluster_validation.verdict(table, [[0.9, 0.5, 1.0], [0.8, 0.7, 1.0]], pd.DataFrame([row]))
    assert found.table["stands"].tolist() == [True, False, False]
    assert found.sentence == (
        "1 of 3 clusters stands (0): not found again under resampled prompts (Jaccard < 0.75): 1; no more even over "
        "members than chance: 2; F = 0.900 against 0.600 under permuted member labels (95% below 0.700, p = 0.005)."
    )
    found = cluster_validation.verdict(table, [[0.9, 0.5, 1.0]], pd.DataFrame([{**row, "p": 0.2}]))
    assert not found.table["stands"].any()
    with pytest.raises(InputError, match="f_published"):
        cluster_validation.verdict(table, [[0.9, 0.5, 1.0]], pd.DataFrame([row]), criterion="f_published")
