"""What a page shows of attention, against plain loops and planted heads."""

import numpy as np
import pytest

from headatlas.atlas import attention
from headatlas.atlas.encoding import unblock
from headatlas.atlas.results import Results
from headatlas.attention.packing import pack
from results_folders import PROMPTS, SIZE, write_results


def some_patterns(prompts=6, size=5, seed=0):
    rng = np.random.default_rng(seed)
    weights = np.tril(rng.random((prompts, size, size)))
    return (weights / weights.sum(-1, keepdims=True)).astype(np.float32)


def entropy(row):
    row = row[row > 0]
    return -(row * np.log2(row)).sum()


def test_departure_is_the_mean_jensen_shannon_divergence_from_the_mean():
    whole = some_patterns()
    mean = whole.mean(0)
    expected = [
        np.mean(
            [
                entropy((prompt[q] + mean[q]) / 2) - entropy(prompt[q]) / 2 - entropy(mean[q]) / 2
                for q in range(len(mean))
            ]
        )
        for prompt in whole.astype(float)
    ]
    np.testing.assert_allclose(attention.departures(pack(whole), 5, "lower"), expected, atol=1e-6)


def test_a_head_that_ignores_the_prompt_never_departs():
    same = np.repeat(some_patterns(1), 4, axis=0)
    assert attention.departures(pack(same), 5, "lower").max() < 1e-6


def test_chosen_prompts_are_the_extremes_and_the_middle_of_each_decile():
    departure = np.random.default_rng(0).permutation(100) / 100
    chosen = attention.chosen_prompts(departure)
    assert [departure[p] for p, why in chosen if why == "strongest"] == [i / 100 for i in range(99, 91, -1)]
    assert all(abs(departure[p] - 0.5) <= 0.03 for p, why in chosen if why == "typical")
    for decile in range(1, 11):
        found = [departure[p] for p, why in chosen if why == f"decile {decile}"]
        assert len(found) == 1
        assert all((decile - 1) / 10 <= value < decile / 10 for value in found)
    assert {p for p, _ in attention.chosen_prompts([0.5])} == {0}


@pytest.mark.parametrize("packing", ["lower", "full"])
def test_uniform_head_by_offset_equals_a_loop(packing):
    size, total, count = 6, {}, {}
    for query in range(size):
        keys = range(query + 1) if packing == "lower" else range(size)
        for key in keys:
            total[query - key] = total.get(query - key, 0) + 1 / len(keys)
            count[query - key] = count.get(query - key, 0) + 1
    steps, _ = attention.offsets(size, packing)
    np.testing.assert_allclose(attention.uniform_by_offset(size, packing), [total[s] / count[s] for s in steps])


def test_a_pair_that_is_sought_is_found_with_its_numbers():
    rng = np.random.default_rng(0)
    size, prompts = 6, 200
    tokens = rng.integers(2, 9, (prompts, size))
    tokens[:, 1], tokens[::2, 5] = 0, 1  # token 0 at position 1; every other prompt ends in token 1
    whole = np.tril(np.ones((prompts, size, size)))
    whole[::2, 5] = 0.02
    whole[::2, 5, 1] = 1  # token 1 seeks token 0
    whole = (whole / whole.sum(-1, keepdims=True)).astype(np.float32)
    packed = pack(whole)
    best = attention.TokenPairs.of(tokens, size, "lower").sought(packed, packed.mean(0))[0]
    assert (best["query"], best["key"], best["count"]) == (1, 0, 100)
    assert best["weight"] == pytest.approx(whole[0, 5, 1], abs=1e-5)
    assert best["excess"] == pytest.approx(whole[0, 5, 1] - whole[:, 5, 1].mean(), abs=1e-5)


def test_a_head_of_positions_alone_seeks_no_pair():
    tokens = np.random.default_rng(0).integers(0, 4, (100, 5))
    packed = pack(np.repeat(some_patterns(1), 100, axis=0))
    assert attention.TokenPairs.of(tokens, 5, "lower").sought(packed, packed.mean(0)) == []


def test_shared_prompts_keep_within_their_room_and_are_never_more_than_there_are():
    costs = [(100, 10), (900, 100)]
    found = attention.shared_prompts(costs, [10, 1000], 11_000, limit=256)
    assert found == [10, 103]  # what the first leaves goes to the second
    assert sum(fixed + each * (n - 4) for (fixed, each), n in zip(costs, found, strict=True)) <= 11_000
    assert attention.shared_prompts(costs, [1000, 1000], 5_000, limit=256) == [204, 24]  # as many bytes for each
    assert attention.shared_prompts([(0, 1e6)], [1000], 1000) == [4]


def test_bytes_of_heads_are_estimated_well(tmp_path):
    write_results(tmp_path)
    results = Results(tmp_path)
    fixed, per_prompt = attention.page_bytes(results, "planted")
    for shared in (4, PROMPTS):
        taken = sum(len(packed) for name, packed in attention.pieces(results, "planted", shared) if name != "planted")
        assert taken == pytest.approx(fixed + (shared - 4) * per_prompt, rel=0.1)


@pytest.mark.parametrize("packing", ["lower", "full"])
def test_every_pair_has_the_numbers_that_a_loop_finds(packing, monkeypatch):
    monkeypatch.setattr(attention, "_PAIRS", 1000)
    monkeypatch.setattr(attention, "_LEAST_EXCESS", -np.inf)
    rng, size, prompts = np.random.default_rng(0), 4, 30
    tokens, whole = rng.integers(0, 3, (prompts, size)), rng.random((prompts, size, size)).astype(np.float32)
    mean, seen = whole.mean(0), {}
    for prompt in range(prompts):
        for query in range(0 if packing == "full" else 1, size):
            for key in range(size if packing == "full" else query + 1):
                pair = (tokens[prompt, query], tokens[prompt, key])
                found = whole[prompt, query, key], whole[prompt, query, key] - mean[query, key]
                seen.setdefault(pair, []).append(found)
    packed, average = (whole.reshape(prompts, -1), mean.reshape(-1)) if packing == "full" else (pack(whole), pack(mean))
    sought = attention.TokenPairs.of(tokens, size, packing).sought(packed, average)
    assert {(each["query"], each["key"]) for each in sought} == {pair for pair in seen if len(seen[pair]) >= 5}
    for each in sought:
        weights, excess = np.transpose(seen[each["query"], each["key"]])
        assert each["count"] == len(weights)
        assert each["weight"] == pytest.approx(weights.mean(), abs=1e-6)
        assert each["excess"] == pytest.approx(excess.mean(), abs=1e-6)
        assert each["error"] == pytest.approx(excess.std(ddof=0) / np.sqrt(len(excess) - 1), abs=1e-6)


def test_long_prompts_are_paired_on_as_many_as_fit(monkeypatch):
    monkeypatch.setattr(attention, "_PAIR_ENTRIES", 45)
    tokens = np.zeros((20, 5), int)
    pairs = attention.TokenPairs.of(tokens, 5, "lower")  # 15 entries a prompt
    assert pairs.prompts == 3
    assert pairs.places.max() < 45
    assert pairs.count.tolist() == [3 * 14], "the first query has no choice"


def test_heads_that_are_worked_on_at_once_are_the_same(tmp_path):
    write_results(tmp_path)
    one, three = (list(attention.pieces(Results(tmp_path), "planted", 5, threads)) for threads in (1, 3))
    assert one == three


def test_thumbnail_is_the_pattern_and_a_coarse_one_keeps_its_rows_sums():
    fine = some_patterns(1)[0]
    np.testing.assert_array_equal(attention.thumbnail(pack(fine[None])[0], 5, "lower"), np.rint(fine * 255))
    coarse = attention.thumbnail(pack(some_patterns(1, 96))[0], 96, "lower")
    assert coarse.shape == (24, 24)
    np.testing.assert_allclose(coarse.sum(1) / 255, 1, atol=0.05)


def test_pieces_hold_the_tables_patterns(tmp_path):
    weights, tokens = write_results(tmp_path)
    blocks = dict(attention.pieces(Results(tmp_path), "planted", 5))
    header, (pictures, curves, errors, ids) = unblock(blocks["planted"])
    assert len(pictures) == len(curves) == len(errors) == len(blocks) - 1
    np.testing.assert_array_equal(ids, tokens[header["prompts"]])
    first = curves[0]  # the head that looks back by one, on every prompt alike
    assert first[1] == pytest.approx(1)
    assert first[0] == pytest.approx(1 / SIZE)
    assert errors[0].max() == pytest.approx(0, abs=1e-6)
    header, (mean, departure, shared, own) = unblock(blocks["planted/2/1/3"])
    packed = pack(weights[2, 1, 3])
    np.testing.assert_allclose(mean / 65535, packed.mean(0), atol=1e-5)
    np.testing.assert_allclose(shared / 255, packed[:5], atol=1 / 509)
    np.testing.assert_allclose(own / 255, packed[header["own"]], atol=1 / 509)
    np.testing.assert_allclose(departure / 65535, attention.departures(packed, SIZE, "lower"), atol=1e-5)
    assert len(departure) == PROMPTS
    assert {p for p, _ in header["chosen"]} <= set(range(5)) | set(header["own"])
