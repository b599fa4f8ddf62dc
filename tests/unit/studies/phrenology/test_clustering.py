"""The choices of each protocol: neighbours, the score that decides, and clusters in an order that does not drift."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.studies.phrenology import clustering, knn_graph
from planted import planted_heads


def test_members_of_two_models_are_different_networks():
    heads = pd.DataFrame({"model": ["b", "b", "a", "a"], "member": [0, 1, 0, 0]})
    assert clustering.member_labels(heads).tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("members", "heads", "published", "corrected"),
    [(9, 8, 8, 8), (3, 8, 8, 3), (1, 40, 8, 3), (12, 3, 8, 11), (2, 2, 3, 3)],
)
def test_neighbours(members, heads, published, corrected):
    labels = np.repeat(np.arange(members), heads)
    assert clustering.true_neighbours(labels, "published") == published  # nine with the head itself
    assert clustering.true_neighbours(labels, "corrected") == corrected
    assert clustering.true_neighbours(labels, "corrected", 2) == 2


def test_graphs_of_the_protocols():
    patterns, labels, _ = planted_heads(types=4, members=5, prompts=10)
    published, _ = clustering.graph_builder(labels, "published")(patterns)
    assert published.get_edgelist() == knn_graph.euclidean_graph(patterns, 9, counting_self=True)[0].get_edgelist()
    assert not published.is_weighted()
    assert clustering.graph_builder(labels, "corrected")(patterns)[0].is_weighted()
    assert not clustering.graph_builder(labels, "corrected", weight="binary")(patterns)[0].is_weighted()


def test_one_member_is_not_judged_by_evenness():
    assert clustering.criterion([0, 0, 1, 1], "published") == "f_published"
    assert clustering.search_settings([0, 0, 1, 1], "corrected", draws=5).criterion == "f_weighted"
    assert clustering.criterion([0, 0, 0], "corrected") == "modularity"


def test_one_head_alone_is_refused():
    with pytest.raises(InputError, match="at least 2 heads"):
        clustering.true_neighbours([0], "corrected")


def test_clusters_are_ordered_by_size_then_first_head():
    found = clustering.by_size([5, 9, 9, 2, 2, 7, 7, 7])
    assert found.tolist() == [3, 1, 1, 2, 2, 0, 0, 0]
    assert found.dtype == np.int32


def test_a_search_is_read_as_it_was_and_the_first_maximum_chosen(tmp_path):
    patterns, members, _ = planted_heads(types=4, members=5, prompts=10, noise=3)
    parts, searches = {}, {}
    for protocol in clustering.PROTOCOLS:
        graph, distances = clustering.graph_builder(members, protocol)(patterns)
        search = clustering.search_settings(members, protocol, draws=40)(graph, members, distances)
        searches[protocol] = search
        parts[protocol] = search.draws, search.partitions[search.draws["partition"]]
    tables.write(tmp_path / "t.parquet", clustering.clusterings(parts))
    for protocol, search in searches.items():
        again = clustering.read_search(tmp_path / "t.parquet", protocol)
        np.testing.assert_array_equal(again.partitions, search.partitions)
        pd.testing.assert_frame_equal(again.draws, search.draws, check_like=True)
        pd.testing.assert_frame_equal(again.scores, search.scores[again.scores.columns])
        labels, facts = clustering.chosen_clusters(again, "f_weighted")
        assert facts["value"] == search.draws["f_weighted"].max()
        assert facts["low"] <= facts["resolution"] <= facts["high"]
        assert adjusted_rand_score(labels, search.best("f_weighted").labels) == 1
        assert (np.diff(np.bincount(labels)) <= 0).all()


def test_embeddings_are_read_as_they_were_written(tmp_path):
    embedding = np.random.default_rng(0).random((3, 5, 2)).astype(np.float32)
    heads = {"model": ["a"] * 3, "member": [0, 0, 1], "layer": [0] * 3, "head": [0, 1, 0]}
    tables.write(tmp_path / "e.parquet", heads | {"embedding": embedding.reshape(3, -1)}, facts={"width": 2, "seed": 0})
    found, values = clustering.read_embedding(tmp_path / "e.parquet")
    assert list(found) == clustering.IDENTITY
    np.testing.assert_array_equal(values, embedding)
