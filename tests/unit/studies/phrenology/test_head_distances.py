"""Distances of heads against scipy and plain loops."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.spatial.distance import jensenshannon as reference

from headatlas.attention.packing import rows_of
from headatlas.base.errors import InputError
from headatlas.studies.phrenology import head_distances


def random_heads(generator, heads, prompts, size, packing):
    rows = [end - start for start, end in rows_of(size, packing)]
    parts = [generator.dirichlet(np.full(keys, 0.3), (heads, prompts)) for keys in rows]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def slow_jensen_shannon(heads, size, packing, weights=None):
    rows = rows_of(size, packing)
    found = np.zeros((len(heads), len(heads)))
    for a in range(len(heads)):
        for b in range(len(heads)):
            # (query, prompt)
            each = [
                reference(heads[a, :, s:e].astype(float), heads[b, :, s:e].astype(float), 2, axis=1) for s, e in rows
            ]
            found[a, b] = np.average(np.transpose(each), weights=weights)
    return found


@pytest.mark.parametrize("packing", ["lower", "full"])
@pytest.mark.parametrize("bytes_of_block", [1, 3000, 1 << 28])
@pytest.mark.parametrize("step", [1, 37, 30000])
def test_distances_equal_scipy_whatever_the_blocks(monkeypatch, packing, bytes_of_block, step):
    monkeypatch.setattr(head_distances, "_BLOCK_BYTES", bytes_of_block)
    monkeypatch.setattr(head_distances, "_CACHED", step)
    heads = random_heads(np.random.default_rng(0), 7, 5, 4, packing)
    heads[2, :2] = heads[3, :2]
    heads[4, 0] = 0
    heads[4, 0, [start for start, _ in rows_of(4, packing)]] = 1
    found = head_distances.jensen_shannon(heads, 4, packing)
    np.testing.assert_allclose(found, slow_jensen_shannon(heads, 4, packing), atol=2e-6)
    flat = heads.reshape(7, -1).astype(float)
    np.testing.assert_allclose(head_distances.euclidean(heads), cdist(flat, flat), atol=1e-6)


def test_known_distances_and_equal_heads():
    heads = np.zeros((3, 1, 4), np.float32)
    heads[0, 0, [0, 2]] = heads[1, 0, [1, 3]] = 1  # each query attends to one key
    heads[2] = 0.5
    found = head_distances.jensen_shannon(heads, 2, "full")
    assert found[0, 1] == pytest.approx(1, abs=1e-6)
    assert found[0, 2] == pytest.approx(reference([1, 0], [0.5, 0.5], 2))
    twins = np.concatenate([random_heads(np.random.default_rng(3), 1, 50, 9, "lower")] * 2)
    assert (head_distances.jensen_shannon(twins, 9, "lower") == 0).all()
    assert (head_distances.euclidean(twins) == 0).all()


def test_rows_that_differ_in_the_last_digits_keep_their_distance():
    p = np.full((1, 1, 4), 0.25)
    q = p + np.array([1e-4, -1e-4, 2e-4, -2e-4])
    heads = np.concatenate([p, q]).repeat(4, axis=2)[:, :, [0, 4, 8, 12] * 4].astype(np.float32)
    expected = reference(*heads[:, 0, :4].astype(float), 2)
    assert head_distances.jensen_shannon(heads, 4, "full")[0, 1] == pytest.approx(expected, rel=1e-4)


def test_queries_without_weight_do_not_count():
    heads = random_heads(np.random.default_rng(1), 4, 6, 5, "lower")
    weights = np.random.default_rng(2).random((6, 5)) > 0.4
    found = head_distances.jensen_shannon(heads, 5, "lower", weights=weights)
    np.testing.assert_allclose(found, slow_jensen_shannon(heads, 5, "lower", weights), atol=2e-6)
    with pytest.raises(InputError, match="no query counts"):
        head_distances.jensen_shannon(heads, 5, "lower", weights=0 * weights)
    with pytest.raises(InputError, match="have 15 entries; 4 positions packed lower have 10"):
        head_distances.jensen_shannon(heads, 4, "lower")


def test_distances_on_parts_of_the_prompts_are_those_of_the_parts_alone():
    heads = random_heads(np.random.default_rng(3), 4, 7, 5, "lower")
    weights = np.random.default_rng(2).random((7, 5)) > 0.3
    parts = head_distances.jensen_shannon(heads, 5, "lower", weights, parts=3)
    np.testing.assert_allclose(parts.mean(0), head_distances.jensen_shannon(heads, 5, "lower", weights), atol=1e-6)
    for part in range(3):
        share = 3 * weights[part::3].sum() / weights.sum()
        alone = slow_jensen_shannon(heads[:, part::3], 5, "lower", weights[part::3])
        np.testing.assert_allclose(parts[part], share * alone, atol=2e-6)


def test_the_order_of_prompts_changes_nothing():
    heads = random_heads(np.random.default_rng(6), 4, 9, 5, "lower")
    found = head_distances.jensen_shannon(heads, 5, "lower")
    again = head_distances.jensen_shannon(heads[:, np.random.default_rng(7).permutation(9)], 5, "lower")
    np.testing.assert_allclose(again, found, atol=1e-6)


def test_inner_products_of_several_groups():
    heads = random_heads(np.random.default_rng(4), 6, 3, 4, "lower")
    flat = heads.reshape(6, -1).astype(float)
    np.testing.assert_allclose(head_distances.gram(heads[:4], heads[4:]), flat @ flat.T)


def test_two_thousand_heads_in_little_memory(monkeypatch, tmp_path):
    """Blocks of a memory-mapped array: Python never holds more than two of them beside the result."""
    import tracemalloc

    monkeypatch.setattr(head_distances, "_BLOCK_BYTES", 1 << 16)
    heads = np.lib.format.open_memmap(tmp_path / "heads.npy", "w+", np.float32, (2000, 8, 3))
    heads[:] = random_heads(np.random.default_rng(5), 2000, 8, 2, "lower")
    tracemalloc.start()
    products = head_distances.gram(heads)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert used < products.nbytes + (1 << 21)
    found = head_distances.jensen_shannon(heads, 2, "lower")
    some = [0, 5, 777, 1999]
    np.testing.assert_allclose(found[np.ix_(some, some)], slow_jensen_shannon(heads[some], 2, "lower"), atol=2e-6)
    assert np.array_equal(found, found.T)
