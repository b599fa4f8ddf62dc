"""The judgement of planted heads, in tables and in words, for several members and for one."""

import numpy as np
import pandas as pd
import pytest

from headatlas.studies.phrenology import cluster_report
from headatlas.studies.phrenology.clustering import chosen_clusters, graph_builder, search_settings
from planted import planted_heads


def judged(members):
    patterns, member, kind = planted_heads(types=5, members=members, prompts=30, noise=0.5)
    if members == 1:  # five types of four heads each in a single network
        patterns, _, kind = planted_heads(types=5, members=4, prompts=30, noise=0.5)
        member = np.zeros(20, dtype=int)
    build, settings = graph_builder(member, "corrected"), search_settings(member, "corrected", draws=60)
    graph, distances = build(patterns)
    search = settings(graph, member, distances)
    labels, _ = chosen_clusters(search, settings.criterion)
    found = cluster_report.judge(
        patterns,
        member,
        labels,
        search,
        build,
        settings,
        distances,
        permutations={"labels": 60, "heads": 19},
        resamples=5,
    )
    return found, search, member, kind


def test_planted_types_stand_and_the_words_say_so():
    found, search, member, kind = judged(6)
    assert found.clusters["stands"].all()
    assert pd.crosstab(found.consensus, kind).gt(0).sum(axis=1).eq(1).all()
    assert found.share == pytest.approx(np.ones(30))
    assert found.agreement["ari"].tolist() == pytest.approx([1, 1, 1, 1])
    heads = pd.DataFrame({"model": "m", "member": member, "layer": 0, "head": np.tile(np.arange(5), 6)})
    published = cluster_report.as_published(search, member, 19)
    parts = found.tables(heads, published)
    assert set(parts["nulls"]["protocol"]) == {"published", "corrected"}
    assert parts["matched"]["first_member"].nunique() == 5
    pair = parts["pairs"].iloc[0]
    row = found.pairs.iloc[0]
    assert pair["second_member"] == member[int(row["second_row"])]
    text = cluster_report.words(found, published, search.best("f_published"))
    assert "5 of 5 clusters stand" in text
    assert "exclude one another" in text
    assert "100% of matched heads are in the same cluster" in text
    assert "As published: F = 1.000, 5 clusters" in text


def test_a_single_member_is_judged_without_evenness():
    found, search, member, _ = judged(1)
    assert set(found.nulls["null"]) == {"heads"}
    assert found.clusters["stands"].all()
    assert "evenness over members says nothing" in found.sentences[0]
    heads = pd.DataFrame({"model": "m", "member": member, "layer": 0, "head": np.arange(20)})
    assert cluster_report.as_published(search, member, 19) is None
    parts = found.tables(heads, None)
    assert parts["matched"].empty
    assert parts["pairs"].empty
    text = cluster_report.words(found, None, search.best("modularity"))
    assert "leaves no F-score" in text
    assert "One member" in text
    assert "exclude one another" not in text
