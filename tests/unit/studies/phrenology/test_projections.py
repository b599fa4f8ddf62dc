"""Projections of planted heads, and PCA against scikit-learn on the unpacked vectors."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from headatlas.base import umap_cache
from headatlas.base.errors import InputError
from headatlas.studies.phrenology import projections

SIZE, PROMPTS = 6, 10


def mixed_heads(count=16, seed=0):
    """Packed heads near one of the landmarks each, by turns."""
    generator = np.random.default_rng(seed)
    landmarks = projections.artificial_heads(PROMPTS, SIZE, "lower")
    rows = [generator.dirichlet(np.ones(i + 1), (count, PROMPTS)) for i in range(SIZE)]
    noise = np.concatenate(rows, axis=-1)
    return (0.8 * landmarks[np.arange(count) % 3] + 0.2 * noise).astype(np.float32)


@pytest.fixture(scope="module")
def projected():
    heads = mixed_heads()
    return heads, projections.project(heads, SIZE, "lower", seed=3)


def turned_alike(found, expected):
    """`expected` with each component's sign as in `found`."""
    return expected * np.sign((found * expected).sum(0))


def test_artificial_heads():
    uniform, own, half = projections.artificial_heads(2, 3, "lower")
    np.testing.assert_allclose(uniform[1], [1, 1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3], rtol=1e-6)
    assert own[0].tolist() == [1, 0, 1, 0, 0, 1]
    assert half[0].tolist() == [1, 0.5, 0.5, 0, 0.5, 0.5]
    full = projections.artificial_heads(2, 3, "full").reshape(3, 2, 3, 3)
    np.testing.assert_allclose(full[0], 1 / 3, rtol=1e-6)
    assert full[2, 0].tolist() == [[1, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5]]


def test_artificial_heads_leave_padding_alone():
    real = np.array([[True, True, False], [False, True, True]])
    heads = projections.artificial_heads(2, 3, "full", real).reshape(3, 2, 3, 3)
    np.testing.assert_allclose(heads.sum(-1), 1, rtol=1e-6)
    assert heads[0, 0].tolist() == [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]]
    assert heads[2, 1].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0.5, 0.5]]


def test_pca_equals_that_of_the_raw_vectors(projected):
    heads, found = projected
    flat = np.concatenate([heads, projections.artificial_heads(PROMPTS, SIZE, "lower")]).reshape(19, -1)
    reference = PCA(2, svd_solver="full").fit(flat.astype(float))
    points = reference.transform(flat)
    np.testing.assert_allclose(found.coordinates["pca"], turned_alike(found.coordinates["pca"], points), atol=1e-5)
    np.testing.assert_allclose(found.explained_variance, reference.explained_variance_ratio_, rtol=1e-5)


def test_heads_lie_by_their_landmarks_on_every_plane(projected):
    found = projected[1]
    for method, points in found.coordinates.items():
        assert points.shape == (19, 2)
        distances = np.linalg.norm(points[:16, None] - points[None, 16:], axis=-1)
        assert (distances.argmin(1) == np.arange(16) % 3).mean() > 0.9, method
        quality = found.quality[method]
        assert quality["neighbours"] == 5
        assert 0.8 < quality["trustworthiness"] <= 1, method
        assert 0.8 < quality["continuity"] <= 1, method


def test_the_same_seed_gives_the_same_points(projected):
    heads, found = projected
    again = projections.project(heads, SIZE, "lower", seed=3)
    for method, points in found.coordinates.items():
        assert np.array_equal(points, again.coordinates[method]), method
    assert found.quality == again.quality


def test_too_few_heads_are_refused():
    with pytest.raises(InputError, match=r"7 heads are too few for neighbours 5 .* at least 11"):
        projections.project(mixed_heads(7), SIZE, "lower")


def test_components_equal_those_of_scikit_learn():
    heads = mixed_heads(9)
    weights, ratios = projections.components(heads, count=5, prompts=4)
    reference = PCA(5, svd_solver="full").fit(heads.reshape(9, -1).astype(float))
    expected = reference.components_.reshape(5, PROMPTS, -1)[:, :4]
    found = weights.reshape(5, -1).T
    np.testing.assert_allclose(found, turned_alike(found, expected.reshape(5, -1).T), atol=1e-5)
    np.testing.assert_allclose(ratios, reference.explained_variance_ratio_, rtol=1e-5)
    assert np.array_equal(weights, projections.components(heads, count=5, prompts=4)[0])
    with pytest.raises(InputError, match="span 4 components; 5"):
        projections.components(heads[:5], count=5)


def test_planted_direction_is_the_first_component():
    """Heads that differ only in how much they attend to themselves."""
    uniform, own, _ = projections.artificial_heads(PROMPTS, SIZE, "lower")
    share = np.linspace(0, 1, 7, dtype=np.float32)[:, None, None]
    weights, ratios = projections.components(share * own + (1 - share) * uniform, count=1, prompts=PROMPTS)
    direction = (own - uniform) / np.linalg.norm(own - uniform)
    assert abs((weights[0] * direction).sum()) == pytest.approx(1, abs=1e-5)
    assert ratios[0] == pytest.approx(1)


def test_first_token_features():
    generator = np.random.default_rng(0)
    queries, keys = generator.normal(size=(2, 3, 4, SIZE, 8)).astype(np.float32)
    found = projections.self_scores(queries, keys, 0.5)
    assert found[2, 1, 3] == pytest.approx(0.5 * queries[2, 1, 3] @ keys[2, 1, 3], rel=1e-5)
    pattern = generator.random((3, 4, SIZE, SIZE))
    rows, columns = np.tril_indices(SIZE)
    expected = pattern[:, :, 1:, 0]
    packed = {"lower": pattern[:, :, rows, columns], "full": pattern.reshape(3, 4, -1)}
    for packing, heads in packed.items():
        assert np.array_equal(projections.first_token_attention(heads, SIZE, packing), expected)


def test_first_token_map_equals_scikit_learn():
    features = np.random.default_rng(0).random((5, 4, 6))
    points, ratios = projections.first_token(features)
    reference = PCA(2).fit(features.reshape(5, -1).T)
    expected = reference.transform(features.reshape(5, -1).T)
    flat = points.reshape(-1, 2)
    np.testing.assert_allclose(flat, turned_alike(flat, expected), atol=1e-5)
    np.testing.assert_allclose(ratios, reference.explained_variance_ratio_)
    with pytest.raises(InputError, match="at least 2"):
        projections.first_token(features[:1])


def test_heads_alone_on_a_plane():
    heads = mixed_heads(24)
    points = projections.umap_plane(heads, seed=3)
    np.testing.assert_array_equal(points, projections.umap_plane(heads, seed=3))
    kind = np.arange(24) % 3
    apart = np.linalg.norm(points[:, None] - points, axis=-1)
    same = kind[:, None] == kind
    assert apart[same].mean() < 0.6 * apart[~same].mean()
    few = projections.umap_plane(heads[:5])
    assert few.shape == (5, 2)  # too few for UMAP: principal components
    flat = few - few.mean(0)
    np.testing.assert_allclose(flat.T @ flat - np.diag((flat**2).sum(0)), 0, atol=1e-4)
    assert projections.umap_plane(heads[:2]).shape == (2, 2)


def test_what_numba_compiles_for_umap_is_kept(projected):
    from umap import layouts, umap_

    epoch = layouts._nb_optimize_layout_euclidean_single_epoch
    for function in (umap_.smooth_knn_dist, umap_.compute_membership_strengths, epoch):
        stats = function.stats
        assert stats.cache_path, function
        assert sum(stats.cache_hits.values()) + sum(stats.cache_misses.values()), function


def test_what_is_compiled_after_installation_is_what_maps_need():
    run = """
import numpy as np
from headatlas.base import umap_cache
from headatlas.studies.attentionviz import joint_embeddings
from headatlas.studies.phrenology import projections
umap_cache.prepare()
umap_, layouts = umap_cache.load_umap().umap_, umap_cache.load_umap().layouts
needed = umap_.smooth_knn_dist, umap_.compute_membership_strengths, layouts._nb_optimize_layout_euclidean_single_epoch
known = [function.signatures for function in needed]
points = np.random.default_rng(0).normal(size=(40, 6))
joint_embeddings.embed(points, "umap", 0, metric="cosine", components=3, epochs=1)
projections.umap_plane(points)
assert all(known) and known == [function.signatures for function in needed], (known, [f.signatures for f in needed])
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(umap_cache.__file__).parents[2])}
    subprocess.run([sys.executable, "-W", "ignore", "-c", run], check=True, env=environment)
