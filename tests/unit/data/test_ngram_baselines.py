"""The baselines against counting by hand."""

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.data import ngram_baselines


def by_hand(windows, evaluation, vocabulary, pad, causal):
    """Interpolated Kneser-Ney from its definition, one token at a time."""

    def pairs(windows):
        for window in windows.tolist():
            for before, after in zip(([] if causal else ["start"]) + window, window[causal:], strict=False):
                if pad not in (before, after):
                    yield before, after

    def discount(counts):
        once, twice = (sum(count == n for count in counts.values()) for n in (1, 2))
        return once / (once + 2 * twice) if once else 0.5

    def smoothed(counts, token, base):
        total, d = sum(counts.values()), discount(counts)
        return max(counts[token] - d, 0) / total + d * len(counts) / total * base

    both = Counter(pairs(windows))
    single = Counter()
    for (_, after), count in both.items():
        single[after] += count
    contexts = Counter(after for _, after in both)
    d = discount(both)
    losses = []
    for before, after in pairs(evaluation):
        continuation = smoothed(contexts, after, 1 / vocabulary)
        own = {pair: count for pair, count in both.items() if pair[0] == before}
        if own:
            total = sum(own.values())
            bigram = max(own.get((before, after), 0) - d, 0) / total + d * len(own) / total * continuation
        else:
            bigram = continuation
        losses.append((-math.log(smoothed(single, after, 1 / vocabulary)), -math.log(bigram)))
    return np.mean(losses, axis=0)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("pad", [None, 0])
def test_baselines_equal_counting_by_hand(pad, causal):
    generator = np.random.default_rng(0)
    windows = generator.zipf(1.5, (2, 60, 7)).clip(0, 29).astype(np.int32)  # (member, window, size)
    evaluation = generator.zipf(1.5, (25, 7)).clip(0, 29).astype(np.int32)
    windows[:, ::3, 5:] = evaluation[::3, 5:] = 0
    found = ngram_baselines.baselines(windows, evaluation, 30, pad, causal)
    assert found["member"].tolist() == [0, 1]
    for member in range(2):
        expected = by_hand(windows[member], evaluation, 30, pad, causal)
        np.testing.assert_allclose(found.loc[member, ["unigram", "bigram"]].to_numpy(float), expected, rtol=1e-12)


def test_probabilities_sum_to_one():
    windows = np.array([[[0, 1], [1, 2], [1, 2], [2, 0], [2, 1]]])
    everything = [ngram_baselines.baselines(windows, np.array([[1, after]]), 5).loc[0] for after in range(5)]
    for column in ("unigram", "bigram"):
        assert sum(math.exp(-row[column]) for row in everything) == pytest.approx(1.0)


def test_what_is_certain_costs_little_and_the_order_matters():
    windows = np.tile(np.arange(8), (1, 200, 4))
    baselines = ngram_baselines.baselines(windows, windows[0, :5], 8)
    assert baselines["unigram"][0] == pytest.approx(math.log(8), abs=0.01)
    assert baselines["bigram"][0] < 0.01


def test_nothing_to_score_is_refused():
    with pytest.raises(InputError, match=r"^evaluation: "):
        ngram_baselines.baselines(np.ones((1, 3, 4), dtype=int), np.zeros((3, 4), dtype=int), 5, pad=0)


def judged(folder, model, losses, bigram):
    """Tables of a model's training, whose last held-out losses of two members are given, and of its baselines."""
    (folder / model).mkdir()
    rows = [
        (step, split, loss + 5 * (step < 9) - 4 * (split == "train"))
        for loss in losses
        for step in (0, 9)
        for split in ("train", "validation")
    ]
    paths = [folder / model / f"{name}.parquet" for name in ("training", "baselines")]
    tables.write(paths[0], pd.DataFrame(rows, columns=["step", "split", "loss"]))
    tables.write(paths[1], pd.DataFrame({"unigram": [9.0, 9.0], "bigram": bigram}))
    return paths


def test_a_model_that_does_not_beat_the_bigrams_has_learnt_too_little(tmp_path):
    good = judged(tmp_path, "good", [4.0, 4.2], [4.2, 4.4])
    weak = judged(tmp_path, "weak", [5.0, 5.24], [4.7, 4.8])
    assert ngram_baselines.too_little_training(good) == ngram_baselines.too_little_training([]) == ""
    said = "TOO LITTLE TRAINING TO INTERPRET: weak (held-out loss 5.12, bigram baseline 4.75 nats)"
    assert ngram_baselines.too_little_training([*good, *weak]) == said
    assert ngram_baselines.in_findings("Two kinds.\n", good) == "Two kinds.\n"
    assert ngram_baselines.in_findings("Two kinds.\n", weak) == f"Two kinds.\n\n{said}.\n"
