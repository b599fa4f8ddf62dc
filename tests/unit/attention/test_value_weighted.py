"""Attention weighted by what values write, against a loop over every pair of tokens."""

import numpy as np
import pytest
import torch

from headatlas.attention import value_weighted
from headatlas.models import transformer
from tiny_checkpoints import checkpoint, opened, task_of
from toy_families import toy, windows


def by_loop(pattern, written, real, causal):
    """Attention of one head on one prompt, as it is and weighted: {place: [mean, weighted mean]}."""
    size, found = len(pattern), {}
    for i in range(1 if causal else 0, size):
        if not real[i]:
            continue
        moved = [pattern[i, j] * np.linalg.norm(written[j]) for j in range(size)]
        for j in range(size):
            if not real[j] or (causal and j > i):
                continue
            pair = pattern[i, j], moved[j] / sum(moved)
            found.setdefault(i - j, []).append(pair)
            if j == 0 and i > 0:
                found.setdefault("first", []).append(pair)
    return {place: np.mean(pairs, 0) for place, pairs in found.items()}


def expected(family, shown, member):
    """Means over prompts of the loop, by layer, head and place, from the weights themselves."""
    weights, architecture = family.weights(member), family.architecture
    heads = {}
    for tokens in shown:
        real = tokens != (-1 if family.pad is None else family.pad)
        taken = transformer.attention_layers(
            weights, architecture, torch.tensor(tokens.astype(int))[None, None], family.pad, values=True
        )
        for layer in taken:
            block = transformer._block(weights, architecture, layer.layer)
            written = torch.einsum("hpd,hdm->hpm", layer.values[0, 0], block["attention.output.weight"][0])
            for head in range(family.heads):
                means = by_loop(layer.pattern[0, 0, head].numpy(), written[head].numpy(), real, family.causal)
                for place, pair in means.items():
                    heads.setdefault((layer.layer, head, place), []).append(pair)
    return {key: np.mean(pairs, 0) for key, pairs in heads.items()}


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("memory", [1, 1 << 28])
def test_equals_a_loop_over_every_pair_of_tokens(tmp_path, causal, memory):
    family, shown = toy(tmp_path, causal=causal), windows(5)
    family.pad = 0
    shown[shown == 0] = 1
    shown[1, 4:] = 0  # one prompt is shorter
    table = value_weighted.place_table(family, shown, memory)
    for member in range(family.members):
        wanted = expected(family, shown, member)
        own = table[table["member"] == member]
        assert len(own) == len(wanted) == family.layers * family.heads * ((6 if causal else 11) + 1)
        for row in own.itertuples():
            place = "first" if row.place == "first token" else int(row.distance)
            np.testing.assert_allclose((row.attention, row.weighted), wanted[row.layer, row.head, place], atol=1e-5)
            assert row.difference == pytest.approx(row.weighted - row.attention, abs=1e-6)
    assert (table["weighted"] - table["attention"]).abs().max() > 0.02  # weighting does something


def test_a_value_that_writes_nothing_takes_no_part():
    pattern = torch.full((1, 1, 3, 3), 1 / 3)
    values = torch.tensor([[[[0.0, 0.0], [3.0, 0.0], [0.0, 1.0]]]])
    writers = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    np.testing.assert_allclose(value_weighted.weighted(pattern, values, writers)[0, 0], [[0, 0.75, 0.25]] * 3)
    np.testing.assert_allclose(value_weighted.weighted(pattern, 0 * values, writers), pattern)


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert"])
def test_pretrained_models_write_what_their_heads_write(tmp_path, name):
    """Attention times the values is what the heads of a layer mix, as `visited` sees it."""
    family = opened(tmp_path, [checkpoint(tmp_path / "made", name)], task_of(name))
    shown = windows(3, size=7, vocabulary=28) + 2
    outputs = []
    member = value_weighted.interventions.open_member(family, 0)
    member.visited(shown, lambda layer, pattern, mixed: outputs.append(mixed) or mixed)
    for taken, mixed in zip(family.attention(shown, 0, values=True), outputs, strict=True):
        torch.testing.assert_close((taken.pattern @ taken.values).transpose(1, 2), mixed, atol=1e-5, rtol=1e-4)
    table = value_weighted.place_table(family, shown)
    sums = table[table["place"] == "distance"].groupby(["layer", "head"])["attention"].sum()
    assert len(sums) == family.layers * family.heads
    assert np.isfinite(table[["attention", "weighted"]]).all().all()
    assert (table["weighted"] - table["attention"]).abs().max() > 0.01
