"""Ablation of sets of heads against circuits whose effects are known, and against plain sums of head outputs."""

import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from architectures import architecture_of
from headatlas.base.errors import InputError
from headatlas.models import families, interventions, transformer
from headatlas.studies.induction import ablation_effects, findings, joint_effects, repeated_tokens, self_repair
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
    heads = repeated_tokens.induction_heads(repeated_tokens.map_table(wired, ASKING), True)
    effects, backups = self_repair.effect_tables(
        wired, heads, repeated, self_repair.ordinary_task(text, True), count=2, controls=1
    )
    real = effects[effects["control_of"] < 0]
    assert set(real["heads"]) == {"1.0"}  # the head wired for induction is the only induction head
    assert real["repair"].isna().all()  # nothing lies after it
    assert ablation_effects.repair(effects).empty
    assert joint_effects.joint_table(wired, heads, repeated).empty
    rows = effects.set_index(["heads", "kind"])
    assert rows.loc[("1.0", "zero"), "total"] > 0.3
    assert rows.loc[("1.1", "zero"), "control_of"] == 0
    assert rows.loc[("1.1", "zero"), "total"] == pytest.approx(0, abs=1e-5)
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
    heads = repeated_tokens.induction_heads(repeated_tokens.map_table(family, asking), False)
    effects, backups = self_repair.effect_tables(family, heads, repeated, text, count=2, controls=2)
    assert list(effects) == list(self_repair.EFFECTS)  # random weights: no head is an induction head
    assert effects.empty
    assert backups.empty
    heads = pd.DataFrame({"member": 0, "layer": 1, "head": range(4)})
    effects, backups = self_repair.effect_tables(family, heads, repeated, text, count=3, controls=2)
    assert effects[effects["kind"] == "mean"]["group"].tolist() == ["one"] * 3 + [
        "layer"
    ]  # and no other head as control
    assert len(backups) == 3 * 4 * 12
    assert (effects["later_layers"] == 1).all()
    np.testing.assert_allclose(effects["repair"], effects["direct"] - effects["total"], atol=1e-9)
    assert (effects["repair_low"] <= effects["repair"]).all()
    again, _ = self_repair.effect_tables(family, heads, repeated, text, count=3, controls=2, memory=1)
    np.testing.assert_allclose(again["total"], effects["total"], atol=1e-5)


def test_sets_are_induction_heads_and_controls_are_not():
    family, heads = SimpleNamespace(layers=2, heads=4), [(1, 1), (1, 3), (0, 2)]
    drawn = self_repair.sets_of_heads(heads, family, 8, 4)
    real = [one for one in drawn if one.control_of < 0]
    assert [one.heads for one in real] == [
        *(((1, 1),), ((1, 3),), ((0, 2),)),
        *(((1, 1), (1, 3)), ((1, 1), (1, 3), (0, 2))),
    ]
    assert [one.group for one in real] == ["one", "one", "one", "layer", "all"]
    controls = [one for one in drawn if one.control_of >= 0]
    assert len({(one.heads, one.control_of) for one in controls}) == len(controls)
    for members, group, of in controls:
        assert group == drawn[of].group
        assert sorted(layer for layer, _ in members) == sorted(layer for layer, _ in drawn[of].heads)
        assert not set(members) & set(heads)
    assert {one.control_of for one in controls} == {0, 1, 2, 3, 4}
    fewer = self_repair.sets_of_heads(heads, family, 2, 0)
    assert [one.heads for one in fewer] == [((1, 1),), ((1, 3),), ((1, 1), (1, 3))]
    crowded = self_repair.sets_of_heads([(0, 0), (0, 1), (0, 2)], family, 8, 5)
    assert {one.control_of for one in crowded} == {-1, 0, 1, 2}  # for all three together there is no like
    assert self_repair.sets_of_heads([], family, 8, 5) == []


def effects_of(pairs, later=1):
    """Effects (single ones, the joint one, the control's) of members with heads 0.0 and 0.1, and a direct effect."""
    rows = []
    for member, (singles, together, control) in enumerate(pairs):
        sets = [(f"0.{head}", "one", -1, total) for head, total in enumerate(singles)]
        sets += [("0.0 0.1", "layer", -1, together), ("0.2 0.3", "layer", len(singles), control)]
        for number, (heads, group, of, total) in enumerate(sets):
            row = {"member": member, "set": number, "heads": heads, "size": len(heads.split()), "group": group}
            row |= {"later_layers": later, "control_of": of, "kind": "mean", "total": total, "direct": 1.5 * total}
            repair = 0.5 * total if later else np.nan
            rows.append(row | {"repair": repair, "repair_low": repair - 0.1, "repair_high": repair + 0.1})
    return pd.DataFrame(rows)


def test_repair_is_asked_of_the_layer_of_the_strongest_head_and_only_where_layers_follow():
    table = effects_of([((0.1, 0.2), 3.0, 0.05)])
    found = ablation_effects.repair(table).iloc[0]
    assert found["heads"] == "0.0 0.1"
    assert found[["direct", "total", "repair", "control_repair"]].tolist() == pytest.approx([4.5, 3.0, 1.5, 0.025])
    assert found[["direct_singly", "repair_singly"]].tolist() == pytest.approx([0.45, 0.15])
    assert ablation_effects.repair(effects_of([((0.1, 0.2), 3.0, 0.05)], later=0)).empty
    elsewhere = {"set": 9, "heads": "1.0", "size": 1, "group": "one", "total": 50.0, "direct": 60.0}  # and weaker
    more = pd.concat([table, table.iloc[:1].assign(**elsewhere)], ignore_index=True)
    assert ablation_effects.repair(more).iloc[0]["heads"] == "0.0 0.1"


def repaired(lows, highs):
    """Effects of members of whose repair the interval is given."""
    table = effects_of([((0.1, 0.2), 3.0, 0.05)] * len(lows))
    low, high = (table["member"].map(dict(enumerate(ends))) for ends in (lows, highs))
    return table.assign(repair_low=low, repair_high=high)


def test_self_repair_is_said_of_as_many_members_as_show_it():
    def said(lows, highs):
        return findings._self_repair({"a": {"effects": repaired(lows, highs)}})

    headline, lines = said([0.1, 0.2, -1, 0.1, -2], [1, 1, 1, 1, -1])
    assert headline == (
        "**Later layers make good part of what ablated induction heads did in 3 of 5 members, and make the loss worse "
        "in 1.**"
    )
    assert "by chance 0.1 of 5 members would on either side" in lines[-1]
    assert said([-1] * 5, [1] * 5)[0].startswith(
        "__Later layers make good part of what ablated induction heads did in 0 of"
    )
    assert said([-1] * 9 + [0.1], [1] * 10)[0].startswith("__")  # one of ten may be by chance


@pytest.mark.parametrize("seed", range(3))
def test_of_noise_no_self_repair_is_found(seed):
    middle = np.random.default_rng(seed).normal(size=8)
    headline, _ = findings._self_repair({"a": {"effects": repaired(middle - 1.96, middle + 1.96)}})
    assert headline.startswith("__")


def backup():
    """One head a layer: 0.0 writes which token it sees, with a note; 1.0 writes it too where there is no note."""
    architecture = architecture_of(
        vocabulary=8, context=6, layers=2, heads=1, d_model=23, d_head=8, activation="none", layer_norm=False
    )
    weights = {name: torch.zeros(1, *shape) for name, shape in transformer.shapes(architecture).items()}
    token, out, note, place = slice(0, 8), slice(8, 16), 16, slice(17, 23)
    weights["token_embedding"][0, 1:, token] = torch.eye(8)[1:]  # the first token says nothing
    weights["position_embedding"][0, :, place] = torch.eye(6)
    for layer in (0, 1):
        of = f"layers.{layer}.attention."
        weights[of + "query.weight"][0, place, 0, :6] = 60 * torch.eye(6)  # each looks at its own token
        weights[of + "key.weight"][0, place, 0, :6] = torch.eye(6)
        weights[of + "value.weight"][0, token, 0] = torch.eye(8)
        weights[of + "output.weight"][0, 0, :, out] = torch.eye(8)
    weights["layers.0.attention.output.weight"][0, 0, :, note] = 1
    weights["layers.1.attention.query.weight"][0, note, 0, 6] = 120  # but after a note, at the first
    weights["layers.1.attention.key.weight"][0, 17, 0, 6] = 1
    weights["unembedding.weight"][0, out] = 10 * torch.eye(8)
    return architecture, weights


def test_a_later_head_that_does_the_same_when_the_first_is_gone_repairs_the_loss(tmp_path):
    family = toy(tmp_path, *backup())
    member = interventions.open_member(family, 0)
    tokens = np.random.default_rng(0).integers(1, 8, (40, 6))
    tokens[:, 0] = 0
    queries = np.tile(np.arange(1, 6), (40, 1))
    task = self_repair.Task(tokens, queries, np.take_along_axis(tokens, queries, 1))
    losses, _ = self_repair.ablate(member, task, [((0, 0),), ((1, 0),)], ["zero"])
    clean, total, direct = losses[0, "zero"].mean(0)
    assert direct - clean > 1  # were no other head to respond, the token would be lost
    assert total - clean < 0.2 * (direct - clean)
    clean, total, direct = losses[1, "zero"].mean(0)
    assert total == direct == pytest.approx(clean, abs=0.05)  # the backup does nothing while the first one is there


def test_text_of_padding_cannot_be_used():
    with pytest.raises(InputError, match="1 windows without padding"):
        self_repair.ordinary_task(np.array([[1, 2, 3], [1, 0, 0]]), True, pad=0)
