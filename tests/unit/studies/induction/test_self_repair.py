"""Ablation of sets of heads against circuits whose effects are known, and against plain sums of head outputs."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from architectures import architecture_of
from headatlas.base.errors import InputError
from headatlas.models import families, interventions
from headatlas.studies.induction import findings, self_repair
from headatlas.studies.induction.repeated_tokens import Asking
from tiny_checkpoints import checkpoint, opened, task_of
from toy_models import perturbed

BARE = architecture_of(vocabulary=30, context=12, layers=3, heads=2, d_model=10, d_head=4, activation="none")
BARE = replace(BARE, layer_norm=False)
ASKING = Asking(vocabulary=30, context=24, trials=12, length=12, seed=1)


def toy(folder, architecture, weights):
    save_file(weights, folder / "model.safetensors")
    config = {"kind": "toy", "architecture": asdict(architecture), "seeds": [0], "pad": None}
    (folder / "config.json").write_text(json.dumps(config))
    return families.load_family(folder / "model.safetensors", folder / "config.json")


def unchanged(layer, pattern, outputs):
    return outputs


@pytest.mark.parametrize("name", ["toy", "gpt2", "llama", "bert", "albert"])
def test_a_visit_sees_what_heads_do_and_decides_what_goes_on(tmp_path, name):
    if name == "toy":
        architecture = replace(BARE, layer_norm=True)
        family = toy(tmp_path, architecture, perturbed(architecture, [0]))
    else:
        family = opened(tmp_path, [checkpoint(tmp_path / "saved", name)], task_of(name))
    member, tokens = interventions.open_member(family, 0), np.random.default_rng(0).integers(3, 30, (4, 11))
    trace, patterns = member.run(tokens), [taken.pattern for taken in family.attention(tokens, 0)]
    seen = []

    def visit(layer, pattern, outputs):
        seen.append(layer)
        torch.testing.assert_close(pattern, patterns[layer], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(outputs, trace.outputs[layer], atol=1e-5, rtol=1e-4)
        return outputs

    torch.testing.assert_close(member.visited(tokens, visit), trace.hidden, atol=1e-5, rtol=1e-4)
    assert seen == [0, 1, 2]
    assert member.visited(tokens, unchanged, [3, 0, 5, 10]).shape[:2] == (4, 1)

    def without(layer, pattern, outputs):
        return torch.cat([torch.zeros_like(outputs[:, :, :1]), outputs[:, :, 1:]], 2) if layer == 1 else outputs

    change = -trace.outputs[1].permute(2, 0, 1, 3)
    expected = member.replaced(trace, 1, change)[0]  # one head at a time, from the cached stream
    torch.testing.assert_close(member.visited(tokens, without), expected, atol=1e-4, rtol=1e-3)


def test_direct_effects_are_those_of_the_heads_own_terms(tmp_path):
    weights = perturbed(BARE, [0])
    member = interventions.open_member(toy(tmp_path, BARE, weights), 0)
    tokens = np.random.default_rng(1).integers(0, 30, (6, 12))
    task = self_repair.ordinary_task(tokens, True)
    sets = [((0, 1),), ((0, 0), (1, 1)), ((2, 0),)]
    losses, scores = self_repair.ablate(member, task, sets, ["zero"], memory=1)
    assert scores == {}
    trace = member.run(tokens)
    for index, heads in enumerate(sets):
        x = trace.hidden.clone()  # without a norm, the stream is a sum of terms
        for layer, head in heads:
            matrix = weights[f"layers.{layer}.attention.output.weight"][0, head]
            x = x - trace.outputs[layer][:, :, head] @ matrix
        logits = (x @ weights["unembedding.weight"][0] + weights["unembedding.bias"][0])[:, :-1].transpose(1, 2)
        wanted = functional.cross_entropy(logits, torch.from_numpy(tokens[:, 1:]), reduction="none").mean(1)
        np.testing.assert_allclose(losses[index, "zero"][:, 2], wanted, rtol=1e-4)
    np.testing.assert_allclose(losses[2, "zero"][:, 1], losses[2, "zero"][:, 2], rtol=1e-5)  # nothing comes after
    assert not np.allclose(losses[0, "zero"][:, 1], losses[0, "zero"][:, 2], rtol=1e-3)


def test_a_wired_circuit_breaks_where_it_is_cut(wired):
    repeated = self_repair.repeated_task(ASKING, True)
    assert (np.take_along_axis(repeated.tokens, repeated.keys, 1) == repeated.targets).all()
    text = np.random.default_rng(0).integers(0, 30, (10, 12))
    effects, backups = self_repair.effect_tables(
        wired, repeated, self_repair.ordinary_task(text, True), count=2, controls=1
    )
    rows = effects.set_index(["heads", "kind"])
    assert rows.index[0][0] == "1.0"  # the head wired for induction is the strongest
    assert (rows.loc[("1.0", "zero"), "total"] > 0.3).all()
    member = interventions.open_member(wired, 0)
    found, scores = self_repair.ablate(member, repeated, [((0, 0),), ((0, 1),)], ["zero", "mean"])
    before, after = scores[None].mean(0), scores[0, "zero"].mean(0)
    assert before[1, 0] > 0.9
    assert after[1, 0] < 0.2  # without its note of the previous token the induction head is blind
    clean, total, direct = found[0, "zero"].mean(0)
    assert total - clean > 0.3
    assert direct == pytest.approx(clean, abs=1e-6)  # the note itself is nothing that the logits read
    np.testing.assert_allclose(found[1, "zero"][:, 1], found[1, "zero"][:, 0], rtol=1e-5)  # an idle head
    changed = backups[(backups["set"] == 0) & (backups["kind"] == "zero")]
    assert changed["ablated"].sum() == 1
    assert changed.loc[~changed["ablated"], "change"].abs().max() < 1e-6


def test_masked_models_are_asked_at_their_masks(tmp_path):
    family = opened(tmp_path, [checkpoint(tmp_path / "saved", "bert")], "masked")
    asking = Asking(vocabulary=30, context=20, mask=3, special=(0,), before=(1,), after=(2,), trials=6, length=8)
    repeated = self_repair.repeated_task(asking, False)
    assert (np.take_along_axis(repeated.tokens, repeated.queries, 1) == 3).all()
    assert (np.take_along_axis(repeated.tokens, repeated.keys, 1) == repeated.targets).all()
    text = self_repair.ordinary_task(np.random.default_rng(0).integers(4, 30, (8, 10)), False, pad=0, mask=3)
    assert (text.tokens == 3).sum() == 8
    effects, backups = self_repair.effect_tables(family, repeated, text, count=2, controls=2)
    assert len(effects) == 3 * (3 + 3 * 2)
    assert len(backups) == 3 * 3 * 12
    np.testing.assert_allclose(effects["repair"], effects["direct"] - effects["total"], atol=1e-9)
    assert (effects["repair_low"] <= effects["repair"]).all()
    one = findings.self_repair(effects)
    assert one["heads"].tolist() == [effects.loc[effects["size"] == 2, "heads"].iloc[0]]
    again, _ = self_repair.effect_tables(family, repeated, text, count=2, controls=2, memory=1)
    np.testing.assert_allclose(again["total"], effects["total"], atol=1e-5)


def test_sets_are_the_strongest_heads_and_random_ones_of_their_layers():
    strengths = np.array([[0.1, 0.0, 0.2, 0.0], [0.0, 0.9, 0.0, 0.5]])
    drawn = self_repair.sets_of_heads(strengths, 3, 4)
    assert [heads for heads, of in drawn if of < 0] == [
        *(((1, 1),), ((1, 3),), ((0, 2),)),
        *(((1, 1), (1, 3)), ((1, 1), (1, 3), (0, 2))),
    ]
    for heads, of in drawn[5:]:
        real = drawn[of][0]
        assert sorted(layer for layer, _ in heads) == sorted(layer for layer, _ in real)
        assert not set(heads) & set(real)
    crowded = self_repair.sets_of_heads(np.array([[3.0, 2.0, 1.0]]), 2, 5)
    assert [of for _, of in crowded] == [-1, -1, -1, *([0] * 5), *([1] * 5)]  # for two of three heads there is no like


def test_text_of_padding_cannot_be_used():
    with pytest.raises(InputError, match="1 windows without padding"):
        self_repair.ordinary_task(np.array([[1, 2, 3], [1, 0, 0]]), True, pad=0)
