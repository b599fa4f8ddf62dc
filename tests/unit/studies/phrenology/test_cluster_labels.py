"""Names of clusters: the planted score is the one that names."""

import numpy as np
import pandas as pd
import pytest

from headatlas.base.errors import InputError
from headatlas.studies.phrenology.cluster_labels import describe_clusters, hedges_g


def test_hedges_g_equals_the_formula_written_out():
    inside, outside = np.array([3.0, 4, 5]), np.array([1.0, 2, 2, 3])
    pooled = np.sqrt((2 * inside.var(ddof=1) + 3 * outside.var(ddof=1)) / 5)
    assert hedges_g(inside, outside) == pytest.approx((4 - 2) / pooled * (1 - 3 / (4 * 5 - 1)))
    assert hedges_g([1.0, 1], [0.0, 0]) == np.inf
    assert hedges_g([1.0, 1], [1.0, 1]) == 0
    assert np.isnan(hedges_g([1.0], []))


@pytest.fixture
def planted():
    """Four clusters of 6 heads: previous token, current token with low entropy, current token, nothing."""
    rng = np.random.default_rng(0)
    heads = pd.DataFrame({"member": np.repeat(np.arange(6), 4), "layer": 0, "head": np.tile(np.arange(4), 6)})
    heads["cluster"] = heads["head"]
    means = {
        "previous_token": [0.8, 0.2, 0.2, 0.25],
        "current_token": [0.1, 0.7, 0.7, 0.35],
        "entropy": [1.0, 0.3, 1.0, 0.8],
        "distance": [3.0, 3.0, 3.4, 3.1],
    }
    scores = pd.concat(
        heads[["member", "layer", "head"]].assign(
            score=score, value=np.array(mean)[heads["cluster"]] + rng.normal(0, 0.02, 24), chance=0.1
        )
        for score, mean in means.items()
    )
    return heads, scores


def test_clusters_are_named_by_what_sets_them_apart(planted):
    heads, scores = planted
    table = describe_clusters(heads, scores)
    assert table.groupby("cluster")["rank"].apply(list).tolist() == [[1, 2, 3, 4]] * 4
    names = table.groupby("cluster")["name"].first()
    assert names[0] == "previous token"
    assert names[1] == "low entropy"
    row = table[(table["cluster"] == 0) & (table["rank"] == 1)].iloc[0]
    inside = (scores["score"] == "previous_token") & (scores["head"] == 0)
    outside = (scores["score"] == "previous_token") & (scores["head"] != 0)
    assert row["mean"] == pytest.approx(scores["value"][inside].mean())
    assert row["effect"] == pytest.approx(hedges_g(scores["value"][inside], scores["value"][outside]))
    assert row["heads"] == 6


def test_equal_names_are_told_apart_and_indifference_is_mixed():
    heads = pd.DataFrame({"member": 0, "layer": 0, "head": np.arange(12), "cluster": np.repeat([0, 1, 2], 4)})
    a = [5, 5.1, 5, 4.9, 5, 5.1, 5, 4.9, 1, 1.1, 1, 0.9]
    b = [3, 3.5, 3, 2.5, 1, 1.5, 1, 0.5, 2, 2.5, 2, 1.5]
    scores = pd.concat(
        heads[["member", "layer", "head"]].assign(score=s, value=v) for s, v in (("first", a), ("second", b))
    )
    names = describe_clusters(heads, scores).groupby("cluster")["name"].first()
    assert names.is_unique
    noise = scores.assign(value=np.tile([1.0, 2, 3, 4], 6))
    assert set(describe_clusters(heads, noise)["name"]) == {"mixed"}


def test_missing_scores_do_not_count(planted):
    heads, scores = planted
    extra = scores[scores["score"] == "entropy"].assign(score="never", value=np.nan)
    assert "never" not in set(describe_clusters(heads, pd.concat([scores, extra]))["score"])
    with pytest.raises(InputError, match="none belongs"):
        describe_clusters(heads, scores.assign(member=99))
