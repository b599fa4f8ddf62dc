"""The constant c: criteria against loops written out, the closed form against a fine grid, and attention left alone."""

import numpy as np
import pandas as pd
import pytest

from headatlas.attention.queries_keys import LayerVectors
from headatlas.studies.attentionviz import key_scaling, scale_selection
from query_key_heads import PROMPTS, SIZE, WIDTH, chosen, everything, head


def viewed(queries, keys, c, centred=False):
    """Distances and dot products as they are by definition."""
    queries, keys = queries.astype(np.float64), keys.astype(np.float64)
    moved = keys
    if centred:
        keys = keys - keys.mean((0, 1))
        moved = keys + queries.mean((0, 1)) / c**2
    return np.linalg.norm((queries / c)[:, :, None] - (moved * c)[:, None], axis=-1), queries @ keys.swapaxes(1, 2)


def weighted(x, y, w):
    return np.cov(x, y, aweights=w)[0, 1] / np.sqrt(np.cov(x, aweights=w) * np.cov(y, aweights=w))


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("c", [0.2, 1.0, 3.7])
def test_distances_are_those_of_the_scaled_and_translated_vectors(c, centred):
    queries, keys = head(shift=0.7)
    pairs = key_scaling.measure_pairs(queries, keys, everything(), centred)
    far, scores = viewed(queries, keys, c, centred)
    np.testing.assert_allclose(key_scaling.distances(pairs, c), far, atol=1e-6)
    np.testing.assert_allclose(pairs.scores, scores, atol=1e-9)


def test_what_is_visible_is_neither_padding_nor_ahead():
    real = np.array([[True, True, False]])
    assert key_scaling.visible(real, True)[0].tolist() == [[True, False, False], [True, True, False], [False] * 3]
    assert key_scaling.visible(real, False)[0].tolist() == [[True, True, False]] * 2 + [[False] * 3]


def literal_published(queries, keys, constants, threshold):
    """The published notebook in loops: per query row with two near keys or more, then the mean over rows."""
    means, totals, counts = [], [], []
    for c in constants:
        found = []
        for q_of, k_of in zip(queries.astype(float), keys.astype(float), strict=True):
            for q in q_of:
                far = [np.linalg.norm(q / c - k * c) for k in k_of]
                near = [j for j, d in enumerate(far) if d < threshold]
                if len(near) < 2:
                    continue
                dots = [q @ k_of[j] for j in near]
                found.append(weighted(dots, [far[j] for j in near], [(threshold - far[j]) ** 2 for j in near]))
        means.append(np.mean(found) if found else 0.0)
        totals.append(np.sum(found))
        counts.append(len(found))
    return means, totals, counts


@pytest.mark.parametrize("threshold", [2.5, 12.0])
def test_published_weighted_correlations_equal_a_literal_loop(threshold):
    queries, keys = head(3, ratio=1.5)
    pairs = key_scaling.measure_pairs(queries, keys, everything(causal=False))
    totals, rows = key_scaling.published_rows(pairs, threshold=threshold)
    means, expected, counts = literal_published(queries, keys, key_scaling.CONSTANTS, threshold)
    assert rows.tolist() == counts
    assert sum(counts) > 0
    np.testing.assert_allclose(totals, expected, atol=1e-6)
    np.testing.assert_allclose(np.divide(totals, rows, out=np.zeros(7), where=rows > 0), means, atol=1e-8)


def test_pooled_scores_equal_weighted_correlations_over_all_near_pairs():
    queries, keys = head(4)
    seen = everything()
    pairs = key_scaling.measure_pairs(queries, keys, seen, centred=True)
    once = key_scaling.resampled(PROMPTS, 50, seed=0)
    found = key_scaling.pooled_scores(pairs, once, percentile=20, minimum=20)
    for place, c in enumerate(key_scaling.CONSTANTS):
        far, scores = viewed(queries, keys, c, centred=True)
        threshold = np.percentile(far[seen], 20)
        near = seen & (far < threshold)
        assert found.pairs[place] == near.sum()
        expected = weighted(scores[near], far[near], (threshold - far[near]) ** 2)
        np.testing.assert_allclose(found.pooled[0, place], expected, atol=1e-9)
        # a draw counts a sentence as often as it was drawn
        times = np.repeat(np.arange(PROMPTS), once[1].astype(int))
        again = near[times]
        expected = weighted(scores[times][again], far[times][again], (threshold - far[times][again]) ** 2)
        np.testing.assert_allclose(found.pooled[1, place], expected, atol=1e-9)


def test_few_pairs_are_no_evidence():
    queries, keys = head(4)
    pairs = key_scaling.measure_pairs(queries, keys, everything())
    once = key_scaling.resampled(PROMPTS, 5, seed=0)
    assert np.isnan(key_scaling.pooled_scores(pairs, once, percentile=0.5, minimum=20).pooled).all()
    assert key_scaling.nearest_to_minus_one([[np.nan, np.nan], [np.nan, 0.3], [0.0, 0.0]]).tolist() == [-1, 1, 0]
    nothing = pairs._replace(kept=np.zeros_like(pairs.kept))
    assert np.isnan(key_scaling.pooled_scores(nothing, once).pooled).all()
    assert np.isnan(key_scaling.norm_ratio(nothing))


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("seed", "ratio"), [(0, 1.0), (1, 9.0), (2, 0.05), (3, 2.0)])
def test_closed_form_equals_brute_force(seed, ratio, centred):
    queries, keys = head(seed, ratio, shift=0.3)
    seen = everything()
    pairs = key_scaling.measure_pairs(queries, keys, seen, centred)
    covariance = key_scaling.covariances(pairs, np.ones((1, PROMPTS)))[0]
    c, correlation = key_scaling.closed_form(covariance)
    grid = np.geomspace(c / 30, c * 30, 2001)
    brute = []
    for each in grid:
        far, scores = viewed(queries, keys, each, centred)
        brute.append(np.corrcoef(far[seen] ** 2, scores[seen])[0, 1])
    assert abs(np.log(grid[np.argmin(brute)] / c)) <= np.log(grid[1] / grid[0])
    np.testing.assert_allclose(correlation, min(brute), atol=1e-4)
    assert correlation <= min(brute) + 1e-12
    np.testing.assert_allclose(key_scaling.correlation_at(covariance, grid), brute, atol=1e-9)


def test_closed_form_divides_the_longer_queries():
    pairs = [key_scaling.measure_pairs(*head(0, ratio), everything()) for ratio in (1, 4, 25)]
    found = np.array(
        [key_scaling.closed_form(key_scaling.covariances(each, np.ones((1, PROMPTS)))[0]) for each in pairs]
    )
    np.testing.assert_allclose(found[:, 0] / found[0, 0], [1, 2, 5], rtol=1e-5)
    np.testing.assert_allclose(found[:, 1], found[0, 1], atol=1e-6)  # a pure change of length is undone


def test_closed_form_is_missing_where_nothing_varies():
    queries, keys = head(0)
    flat = key_scaling.measure_pairs(queries, np.zeros_like(keys), everything())
    assert np.isnan(key_scaling.closed_form(key_scaling.covariances(flat, np.ones((1, PROMPTS))))).all()
    falling = np.zeros((4, 4))  # score is the squared length of queries, negated: the smaller c, the better
    falling[0, 0], falling[0, 3], falling[3, 0], falling[3, 3], falling[1, 1], falling[2, 2] = 1, -0.9, -0.9, 1, 1, 0.01
    assert np.isnan(key_scaling.closed_form(falling)).all()


@pytest.mark.parametrize("causal", [True, False])
def test_scaling_and_key_translation_leave_attention_alone_and_query_translation_does_not(causal):
    queries, keys = head(5, ratio=3.0, shift=0.5)
    changed = key_scaling.invariance(queries, keys, everything(causal), scaling=WIDTH**-0.5)
    assert changed["scaling"] < 1e-5
    assert changed["key translation"] < 1e-5
    assert changed["query translation"] > 0.05


def test_attention_is_a_softmax_over_what_is_seen():
    queries, keys = head(6)
    seen = everything() & (np.arange(SIZE) != 4)[:, None] & (np.arange(SIZE) != 4)
    found = key_scaling.attention(queries, keys, seen, 0.5)
    scores = np.exp(queries[2, 3].astype(float) @ keys[2, :4].T * 0.5)
    np.testing.assert_allclose(found[2, 3, :4], scores / scores.sum(), atol=1e-9)
    assert not found[~seen].any()
    np.testing.assert_allclose(found.sum(-1), (np.arange(SIZE) != 4)[None].repeat(PROMPTS, 0), atol=1e-12)


def row(scales, head, protocol, criterion):
    (found,) = scales.query("head == @head and protocol == @protocol and criterion == @criterion").itertuples()
    return found


def test_every_head_gets_every_criterion_and_intervals_hold_the_choice():
    scores, scales = chosen([head(0), head(1, 6.0)])
    assert len(scales) == 2 * (3 + 4)
    assert len(scores) == 2 * 4 * 7
    for head_ in (0, 1):
        for criterion in key_scaling.CRITERIA:
            found = row(scales, head_, "corrected", criterion)
            assert found.low <= found.c <= found.high
    queries, keys = head(1, 6.0)
    ratio = np.median(np.linalg.norm(queries, axis=-1)) / np.median(np.linalg.norm(keys, axis=-1))
    assert row(scales, 1, "published", "norm_ratio").c == pytest.approx(ratio, rel=1e-5)
    assert row(scales, 1, "corrected", "norm_ratio").c == pytest.approx(ratio**0.5, rel=1e-5)


def test_published_scaled_correlation_divides_by_the_rows_of_all_heads():
    heads = [head(0), head(1, 6.0)]
    scores, scales = chosen(heads)
    loops = [literal_published(*each, key_scaling.CONSTANTS, 12.0) for each in heads]
    rows = np.sum([counts for *_, counts in loops], axis=0)
    for place, (_, totals, _) in enumerate(loops):
        found = scores.query(
            "head == @place and protocol == 'published' and criterion == 'weighted_correlation_scaled'"
        )
        np.testing.assert_allclose(found["score"], np.array(totals) / rows, atol=1e-8)
        assert (
            row(scales, place, "published", "weighted_correlation_scaled").c
            == key_scaling.CONSTANTS[np.argmin(np.array(totals) / rows)]
        )


def test_a_member_gets_the_same_constants_whatever_its_siblings_are():
    vectors = [np.stack(part) for part in zip(head(0), head(1, 6.0), strict=True)]
    sibling = [3 * part for part in vectors]
    settings = {"constants": key_scaling.CONSTANTS, "percentile": 20, "minimum": 20, "draws": 20, "seed": 0}
    real = np.ones(vectors[0].shape[1:3], dtype=bool)
    alone = scale_selection.choose([LayerVectors(0, 0, *vectors)], real, True, **settings)
    both = [LayerVectors(0, 0, *vectors), LayerVectors(1, 0, *sibling)]
    together = scale_selection.choose(both, real, True, **settings)
    for table, expected in zip(together, alone, strict=True):
        own = table[table["member"] == 0].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, expected)


def test_a_constant_on_the_edge_or_with_a_wide_interval_is_undetermined():
    generator = np.random.default_rng(8)
    noise = tuple(generator.normal(0, 1, (PROMPTS, SIZE, WIDTH)).astype(np.float32) for _ in range(2))
    _, scales = chosen([head(0), noise])
    assert not row(scales, 0, "corrected", "closed_form").undetermined
    grid = scales[scales["criterion"].str.startswith("weighted") & (scales["protocol"] == "corrected")]
    edge, wide = grid["c"].isin([0.2, 5.0]), grid["high"] / grid["low"] >= 5
    assert edge.any() or wide.any()
    assert (grid["undetermined"] == (edge | wide)).all()
    published = scales[scales["criterion"].str.startswith("weighted") & (scales["protocol"] == "published")]
    assert (published["undetermined"] == published["c"].isin([0.2, 5.0])).all()  # it has no interval
    _, scales = chosen([head(0)], minimum=10_000)
    assert scales.loc[scales["c"].isna(), "undetermined"].all()


def test_published_a_head_without_near_pairs_scores_zero_and_still_gets_a_constant():
    queries, keys = head(0)
    far = (queries + 1000, keys - 1000)
    scores, scales = chosen([head(0), far])
    of_far = scores.query("head == 1 and protocol == 'published'")
    assert (of_far["score"] == 0).all()
    assert row(scales, 1, "published", "weighted_correlation").c == key_scaling.CONSTANTS[0]
    assert row(scales, 1, "corrected", "weighted_correlation").c > 0  # its own percentile finds its near pairs
    _, scales = chosen([head(0)], minimum=10_000)
    corrected = scales.query("protocol == 'corrected' and criterion != 'norm_ratio'")
    assert corrected[["c", "low", "high", "score"]].isna().all(axis=None)


def test_published_criteria_see_the_first_sentences_only(monkeypatch):
    monkeypatch.setattr(key_scaling, "PUBLISHED_SENTENCES", 5)
    queries, keys = head(0)
    scores, _ = chosen([(queries, keys)])
    _, totals, rows = literal_published(queries[:5], keys[:5], key_scaling.CONSTANTS, 12.0)
    found = scores.query("protocol == 'published' and criterion == 'weighted_correlation'")
    np.testing.assert_allclose(found["score"], np.array(totals) / rows, atol=1e-8)


def test_prompts_are_as_many_as_their_pairs_allow():
    assert key_scaling.prompts_within(1000, 16, 25_600) == 100
    assert key_scaling.prompts_within(50, 16, 10**6) == 50
    assert key_scaling.prompts_within(50, 16, 1) == 2
