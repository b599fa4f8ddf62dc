"""Joint maps: the exact construction keeps every order, and judges agree with loops."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from headatlas.base.errors import InputError
from headatlas.studies.attentionviz import embedding_variants, joint_embeddings, key_scaling
from query_key_heads import PROMPTS, REAL, SIZE, chosen, compared, everything, head


@pytest.mark.parametrize("c", [0.2, 1.0, 5.0])
def test_exact_construction_orders_keys_by_dot_product_for_every_query(c):
    queries, keys = head(0, ratio=2.0, shift=0.6)
    of_queries, of_keys = joint_embeddings.construct(queries, keys, REAL, c, exact=True)
    assert of_queries.shape == (PROMPTS, SIZE, 6)
    flat = of_keys.reshape(-1, 6)  # every key of every sentence
    scores = queries.reshape(-1, 5).astype(float) @ keys.reshape(-1, 5).astype(float).T
    for query, row in zip(of_queries.reshape(-1, 6), scores, strict=True):
        far = np.linalg.norm(query - flat, axis=1)
        np.testing.assert_array_equal(np.argsort(far), np.argsort(-row))
    judged = joint_embeddings.judge(
        joint_embeddings.points_of(of_queries, of_keys, REAL), queries @ keys.swapaxes(1, 2), everything()
    )
    assert judged.spearman == pytest.approx(1)


def test_exactness_holds_where_prompts_are_padded():
    queries, keys = head(0)
    real = np.arange(SIZE) < np.random.default_rng(0).integers(4, SIZE + 1, (PROMPTS, 1))
    keys = np.where(real[..., None], keys, 1e3).astype(np.float32)  # padding must not set the scale
    built = joint_embeddings.construct(queries, keys, real, 1.0, exact=True)
    assert np.abs(built[1][real]).max() < 100
    points = joint_embeddings.points_of(*built, real)
    assert points.shape == (2 * real.sum(), 6)
    seen = key_scaling.visible(real, False)
    judged = joint_embeddings.judge(points, queries @ keys.swapaxes(1, 2), seen)
    assert judged.spearman == pytest.approx(1)


def test_scaled_then_translated_to_the_queries_centroid():
    queries, keys = head(1, shift=2.0)
    of_queries, of_keys = joint_embeddings.construct(queries, keys, REAL, 2.0)
    np.testing.assert_allclose(of_queries, queries / 2, rtol=1e-6)
    np.testing.assert_allclose(of_queries.mean((0, 1)), of_keys.mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(np.diff(of_keys, axis=1), np.diff(2.0 * keys.astype(float), axis=1), atol=1e-6)


def test_closeness_correlation_equals_a_loop_over_queries():
    queries, keys = head(2)
    seen = everything()
    scores = (queries @ keys.swapaxes(1, 2)).round(1)  # rounded: with ties
    plane = np.random.default_rng(0).integers(0, 4, (2, PROMPTS, SIZE, 2)).astype(float)
    found = joint_embeddings.closeness_correlation(*plane, scores, seen)
    assert np.isnan(found[:, :2]).all()
    attention = key_scaling.attention(queries, keys, seen, 1.0)
    assert attention.shape == scores.shape
    for prompt in range(PROMPTS):
        for query in range(2, SIZE):
            far = np.linalg.norm(plane[0, prompt, query] - plane[1, prompt, : query + 1], axis=1)
            if np.ptp(far) > 0:
                expected = spearmanr(-far, scores[prompt, query, : query + 1])[0]
                assert found[prompt, query] == pytest.approx(expected)
            else:
                assert np.isnan(found[prompt, query])


def test_judge_is_the_mean_over_queries_and_a_map_of_itself_is_trusted():
    queries, keys = head(2)
    built = joint_embeddings.construct(queries, keys, REAL, 1.0)
    space, scores = joint_embeddings.points_of(*built, REAL), queries @ keys.swapaxes(1, 2)
    found = joint_embeddings.judge(space, scores, everything(), space)
    assert found.spearman == pytest.approx(
        np.nanmean(joint_embeddings.closeness_correlation(*built, scores, everything()))
    )
    assert found.trustworthiness == 1
    random = joint_embeddings.judge(np.random.default_rng(0).normal(size=(len(space), 2)), scores, everything(), space)
    assert abs(random.spearman) < 4 * random.standard_error
    assert random.trustworthiness < 0.7


@pytest.mark.parametrize("method", joint_embeddings.METHODS)
def test_maps_are_the_same_each_time(method):
    points = joint_embeddings.points_of(*head(3), REAL)
    settings = {"epochs": 20} if method == "umap" else {}
    first, second = (joint_embeddings.embed(points, method, 7, **settings) for _ in range(2))
    assert first.shape == (len(points), 2)
    np.testing.assert_array_equal(first, second)


def test_published_map_is_the_first_two_of_three_components():
    points = joint_embeddings.points_of(*head(3), REAL)
    settings = embedding_variants.PUBLISHED_UMAP | {"epochs": 20}
    three = joint_embeddings._umap(points, 0, "cosine", 3, "random", 20)
    assert three.shape[1] == 3
    np.testing.assert_array_equal(joint_embeddings.embed(points, "umap", 0, **settings), three[:, :2])


def test_beyond_a_size_neighbours_are_not_found_by_all_distances(monkeypatch):
    def never(*_, **__):
        raise AssertionError("all distances")

    points = joint_embeddings.points_of(*head(3), REAL)
    monkeypatch.setattr(joint_embeddings, "ALL_PAIRS", 100)
    monkeypatch.setattr(joint_embeddings, "NearestNeighbors", never)
    assert joint_embeddings.embed(points, "umap", 0, epochs=5).shape == (len(points), 2)


def test_bad_maps_are_refused():
    with pytest.raises(InputError, match="'mds' is not known; allowed: pca, umap, tsne"):
        joint_embeddings.embed(np.zeros((9, 3)), "mds", 0)
    with pytest.raises(InputError, match="3 queries and keys make no map"):
        joint_embeddings.embed(np.zeros((3, 3)), "pca", 0)


def test_all_constructions_of_all_heads_are_judged():
    heads = [head(0), head(1, 6.0)]
    _, scales = chosen(heads)
    table, maps = compared(heads, scales)
    assert len(table) == 2 * len(embedding_variants.CONSTRUCTIONS) * 2
    exact = table.query("construction == 'exact' and method == 'space'")
    np.testing.assert_allclose(exact["spearman"], 1)
    assert table.query("method == 'pca'")["trustworthiness"].between(0.5, 1).all()
    assert table.query("method == 'space'")["trustworthiness"].isna().all()
    assert len(maps) == 2 * 2 * PROMPTS * SIZE


def test_missing_constants_are_missing_maps_except_the_exact_one():
    heads = [head(0)]
    _, scales = chosen(heads, minimum=10_000)
    table, _ = compared(heads, scales, mapped="exact")
    assert table.query("construction == 'closed form'")["spearman"].isna().all()
    assert table.query("construction == 'exact'")["spearman"].notna().all()


@pytest.mark.parametrize(
    ("mark", "published"),
    [(2.5, [0.2, 0.4, 0.8, 1.25, 2.5, 5]), (1.0, [0.2, 0.4, 0.8, 1, 2.5, 5]), (0.2, [0.2, 0.4, 0.8, 1.25, 2.5, 5])],
)
def test_six_constants_hold_the_chosen_one(mark, published):
    assert embedding_variants.six_constants(mark, "published") == (published, mark)
    assert embedding_variants.six_constants(0.93, "corrected") == ([0.2, 0.4, 0.93, 1.25, 2.5, 5], 0.93)
    assert len(embedding_variants.six_constants(np.nan, "corrected")[0]) == 6


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ((1, 12, 12), [(0, 1, 2), (0, 3, 3)]),
        ((9, 1, 8), [(0, 0, 2), (0, 0, 3)]),
        ((2, 2, 3), [(0, 0, 0), (0, 1, 2)]),
        ((1, 1, 1), [(0, 0, 0)]),
    ],
)
def test_heads_of_the_figures_are_the_papers_as_far_as_they_exist(sizes, wanted):
    facts = dict(zip(("members", "layers", "heads"), sizes, strict=True))
    assert embedding_variants.chosen_heads(None, facts) == wanted
    with pytest.raises(InputError, match="member 0 layer 0 head 99 found; allowed: up to"):
        embedding_variants.chosen_heads([[0, 0, 99]], facts)


def test_maps_of_a_head_mark_the_chosen_constant():
    queries, keys = head(0)
    _, scales = chosen([(queries, keys)])
    maps, quality = embedding_variants.scaled_maps(queries, keys, REAL, True, scales, (0, 0, 0), method="pca", seed=0)
    assert quality.groupby("protocol").size().to_dict() == {"corrected": 7, "published": 6}
    assert quality.groupby("protocol")["chosen"].sum().to_dict() == {"corrected": 1, "published": 1}
    mark = quality.query("protocol == 'corrected' and chosen")["c"].item()
    assert mark == embedding_variants.constant_of(scales, (0, 0, 0), "corrected", "closed_form")
    assert len(maps) == 13 * 2 * PROMPTS * SIZE
    assert set(maps["kind"]) == {"query", "key"}


def test_relation_and_its_ideal():
    queries, keys = head(0)
    _, scales = chosen([(queries, keys)])
    table = embedding_variants.relation(queries, keys, REAL, True, scales, (0, 0, 0), most=50)
    assert table.groupby("protocol").size().to_dict() == {"corrected": 50, "published": 50}
    for _, rows in table.groupby("protocol"):
        rows = rows.sort_values("score")
        assert (np.diff(rows["ideal"]) <= 1e-9).all()
    table = embedding_variants.relation(queries, keys, REAL, True, scales, (0, 0, 0), most=10_000)
    rows = table[table["protocol"] == "corrected"]
    wanted = scales.query("criterion == 'closed_form'")["score"].item()
    assert (rows["distance"] ** 2).corr(rows["score"]) == pytest.approx(wanted)
    assert rows["score"].corr(rows["ideal"]) < -0.9
