"""Head scores of planted patterns, and against a plain loop over queries."""

import numpy as np
import pytest

from headatlas.base.errors import InputError
from headatlas.scores import pattern_scores

SIZE, PROMPTS = 12, 40


def packed(pattern, causal):
    """Patterns (..., query, key) as packed entries."""
    if not causal:
        return pattern.reshape(*pattern.shape[:-2], -1)
    query, key = np.tril_indices(pattern.shape[-1])
    return pattern[..., query, key]


def random_patterns(generator, heads, real, causal):
    """Random rows over the keys allowed; a padded query attends to itself."""
    prompts, size = real.shape
    pattern = generator.random((heads, prompts, size, size)) ** 3 * real[:, None, :]
    if causal:
        pattern = np.tril(pattern)
    pattern = np.where(real[None, :, :, None], pattern, np.eye(size))
    return (pattern / pattern.sum(-1, keepdims=True)).astype(np.float32)


def slow_scores(pattern, tokens, causal, pad):
    """The definitions, one query at a time: (score, head, prompt) as a mapping."""
    heads, prompts, size, _ = pattern.shape
    found = {score: np.full((heads, prompts), np.nan) for score in pattern_scores.MEASURES}
    for head in range(heads):
        for prompt in range(prompts):
            ids, sums = tokens[prompt], {score: [] for score in pattern_scores.MEASURES}
            real = [i for i in range(size) if pad is None or ids[i] != pad]
            for i in real:
                keys = [j for j in real if j <= i or not causal]
                if len(keys) < 2:
                    continue
                row = pattern[head, prompt, i].astype(float)
                if i - 1 in real:
                    sums["previous_token"].append(row[i - 1])
                sums["current_token"].append(row[i])
                if i != real[0]:
                    sums["first_token"].append(row[real[0]])
                same = [j for j in keys if j != i and ids[j] == ids[i]]
                if same:
                    sums["duplicate_token"].append(row[same].sum())
                sums["entropy"].append(-sum(p * np.log(p) for p in row if p > 0))
                sums["distance"].append(sum(row[j] * abs(i - j) for j in keys))
            for score, amounts in sums.items():
                if amounts:
                    found[score][head, prompt] = np.mean(amounts)
    return found


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("pad", [None, 0])
def test_scores_equal_a_loop_over_queries(causal, pad):
    generator = np.random.default_rng(1)
    tokens = generator.integers(1, 6, (6, 7))
    if pad is not None:
        tokens[0, 4:], tokens[1, :3], tokens[2], tokens[3, 1:] = pad, pad, pad, pad
    real = np.ones(tokens.shape, bool) if pad is None else tokens != pad
    pattern = random_patterns(generator, 3, real, causal)
    expected = slow_scores(pattern, tokens, causal, pad)
    found = pattern_scores.pattern_scores(packed(pattern, causal), tokens, causal=causal, pad=pad)
    uniform = np.where(real[:, None, :], np.tri(7) if causal else 1, 0) + 1e-30 * np.eye(7)
    uniform = (uniform / uniform.sum(-1, keepdims=True))[None]
    chance = slow_scores(uniform, tokens, causal, pad)
    for score, (values, levels) in found.items():
        np.testing.assert_allclose(values, expected[score], atol=1e-5, err_msg=score)
        np.testing.assert_allclose(levels, chance[score][0], atol=1e-5, err_msg=score)


@pytest.mark.parametrize(
    ("score", "shift"), [("previous_token", 1), ("current_token", 0), ("first_token", None), ("duplicate_token", 4)]
)
def test_planted_heads_score_one(score, shift):
    """A head that does one thing only; tokens repeat with period 4."""
    query = np.arange(SIZE)
    key = np.zeros(SIZE, int) if shift is None else np.where(query >= shift, query - shift, query)
    pattern = np.zeros((1, PROMPTS, SIZE, SIZE), np.float32)
    pattern[:, :, query, key] = 1
    tokens = np.random.default_rng(0).permuted(np.tile(np.arange(4), (PROMPTS, 1)), axis=1)
    tokens = np.tile(tokens, (1, SIZE // 4))
    table = pattern_scores.score_table([(0, 0, 0, packed(pattern, True))], tokens, causal=True).set_index("score")
    assert table.value[score] == pytest.approx(1)
    assert table.standard_error[score] == pytest.approx(0)
    assert 0 < table.chance[score] < 0.4
    assert table.value["entropy"] == 0


@pytest.mark.parametrize("causal", [True, False])
def test_uniform_head_scores_chance_and_noise_stays_within_three_errors(causal):
    generator = np.random.default_rng(2)
    tokens = generator.integers(0, 5, (400, SIZE))
    keys = np.tri(SIZE) if causal else np.ones((SIZE, SIZE))
    uniform = np.broadcast_to(keys / keys.sum(-1, keepdims=True), (1, 400, SIZE, SIZE))
    noise = random_patterns(generator, 1, np.ones(tokens.shape, bool), causal)
    patterns = packed(np.concatenate([uniform, noise]).astype(np.float32), causal)
    table = pattern_scores.score_table([(3, 1, 0, patterns)], tokens, causal=causal)
    exact = table[table["head"] == 0]
    np.testing.assert_allclose(exact.value, exact.chance, rtol=1e-5)
    noisy = table[(table["head"] == 1) & (table.score != "entropy")]
    assert (np.abs(noisy.value - noisy.chance) < 3.5 * noisy.standard_error).all()


def test_blocks_of_prompts_join_to_the_same_rows(monkeypatch):
    generator = np.random.default_rng(3)
    tokens = generator.integers(0, 5, (PROMPTS, SIZE))
    heads = [packed(random_patterns(generator, 2, tokens >= 0, True), True) for _ in range(3)]
    whole = pattern_scores.score_table([(0, layer, 0, part) for layer, part in enumerate(heads)], tokens, causal=True)
    pieces = [(0, layer, first, heads[layer][:, first : first + 15]) for first in (0, 15, 30) for layer in (0, 1, 2)]
    monkeypatch.setattr(pattern_scores, "_BLOCK_ENTRIES", 2 * heads[0].shape[2] * 4)
    split = pattern_scores.score_table(pieces, tokens, causal=True)
    assert list(whole.columns) == [
        "member",
        "layer",
        "head",
        "score",
        "value",
        "standard_error",
        "chance",
        "even",
        "odd",
    ]
    assert whole.equals(split)
    assert [str(kind) for kind in whole.dtypes[:3]] == ["int32"] * 3
    assert whole[["member", "layer", "head"]].drop_duplicates().values.tolist() == [
        [0, layer, head] for layer in range(3) for head in range(2)
    ]


def test_patterns_that_do_not_fit_the_tokens_are_refused():
    with pytest.raises(InputError, match=r"must be \(head, 2, 10\)"):
        pattern_scores.pattern_scores(np.zeros((1, 2, 16), np.float32), np.zeros((2, 4), int), causal=True)
