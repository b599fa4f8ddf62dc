"""Redundancy against heads that add up, heads that stand in for one another, and sums of logits by hand."""

import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from architectures import architecture_of
from headatlas.models import families, transformer
from headatlas.studies.induction import findings, joint_effects, self_repair
from tiny_checkpoints import checkpoint, opened, task_of
from toy_models import perturbed

TOKENS = np.random.default_rng(0).integers(1, 8, (30, 6))
TOKENS[:, 0] = 0
QUERIES = np.tile(np.arange(1, 6), (30, 1))
TASK = self_repair.Task(TOKENS, QUERIES, np.take_along_axis(TOKENS, QUERIES, 1))  # each token is to be said again


def toy(folder, architecture, members):
    """A family of the weights of several members, one dict each."""
    weights = {name: torch.cat([member[name] for member in members]) for name in members[0]}
    save_file(weights, folder / "model.safetensors")
    seeds = list(range(len(members)))
    config = {"kind": "toy", "architecture": asdict(architecture), "seeds": seeds, "pad": None}
    (folder / "config.json").write_text(json.dumps(config))
    return families.load_family(folder / "model.safetensors", folder / "config.json")


BARE = architecture_of(
    vocabulary=8, context=6, layers=2, heads=4, d_model=23, d_head=8, activation="none", layer_norm=False
)
TOKEN, OUT, NOTE, PLACE = slice(0, 8), slice(8, 16), 16, slice(17, 23)


def blank(architecture=BARE):
    weights = {name: torch.zeros(1, *shape) for name, shape in transformer.shapes(architecture).items()}
    weights["token_embedding"][0, 1:, TOKEN] = torch.eye(8)[1:]  # the first token says nothing
    weights["position_embedding"][0, :, PLACE] = torch.eye(6)
    weights["unembedding.weight"][0, OUT] = 5 * torch.eye(8)
    if architecture.layer_norm:
        for name in weights:
            if "norm" in name and name.endswith("weight"):
                weights[name] += 1
    return weights


def looks_at_itself(weights, layer, head):
    of = f"layers.{layer}.attention."
    weights[of + "query.weight"][0, PLACE, head, :6] = 60 * torch.eye(6)
    weights[of + "key.weight"][0, PLACE, head, :6] = torch.eye(6)
    weights[of + "value.weight"][0, TOKEN, head] = torch.eye(8)


def additive(norm, strength=1.0):
    """Heads 0.0 and 0.1 say the token, each with its own strength; nothing answers to them. 0.2 and 0.3 do nothing."""
    architecture = replace(BARE, layer_norm=norm)
    weights = blank(architecture)
    for head in (0, 1):
        looks_at_itself(weights, 0, head)
        weights["layers.0.attention.output.weight"][0, head, :, OUT] = strength * torch.eye(8)
    return architecture, weights


def standing_in():
    """Heads 0.0 and 0.1 leave the same note; with one or both, head 1.0 says the token, and without it nothing."""
    weights = blank()
    for head in (0, 1):
        looks_at_itself(weights, 0, head)
        weights["layers.0.attention.output.weight"][0, head, :, NOTE] = 1
    looks_at_itself(weights, 1, 0)
    of = "layers.1.attention."
    weights[of + "output.weight"][0, 0, :, OUT] = torch.eye(8)
    weights[of + "query.weight"][0, PLACE, 0, :6] = 0  # with a note it looks at itself
    weights[of + "query.weight"][0, PLACE, 0, 6] = 30  # without, at the first
    weights[of + "key.weight"][0, 17, 0, 6] = 1
    weights[of + "query.weight"][0, PLACE, 0, :6] = 20 * torch.eye(6)
    weights[of + "query.weight"][0, NOTE, 0, 6] = -60
    return BARE, weights


HEADS = pd.DataFrame({"layer": 0, "head": [0, 1]})


def of_members(count):
    return pd.concat([HEADS.assign(member=member) for member in range(count)])


def table_of(folder, architecture, weights, count=3):
    family = toy(folder, architecture, [weights] * count)
    return joint_effects.joint_table(family, of_members(count), TASK, kind="zero")


def said(**tables):
    return findings._redundancy({name: {"joint": table} for name, table in tables.items()})


@pytest.mark.parametrize("norm", [False, True])
def test_heads_that_add_up_are_not_redundant_though_their_loss_is_convex(tmp_path, norm):
    """Of the loss they cost more together than the sum of each, and the control costs nothing."""
    table = table_of(tmp_path, *additive(norm, 1.0 if not norm else 3.0))
    pair = table[table["induction"] & (table["member"] == 0)].iloc[0]
    assert pair["heads"] == "0.0 0.1"
    assert pair["logit"] > 1
    assert pair["loss"] - pair["loss_singly"] > 0.1
    assert pair["excess"] == pytest.approx(0, abs=1e-4)
    control = table[~table["induction"]]
    assert set(control["heads"]) == {"0.2 0.3"}
    assert control["logit"].abs().max() < 1e-5
    assert said(a=table)[0] == "__Whether induction heads of one layer are redundant is not settled.__"


def test_heads_that_stand_in_for_one_another_are_redundant(tmp_path):
    table = table_of(tmp_path, *standing_in())
    pair = table[table["induction"] & (table["member"] == 0)].iloc[0]
    assert pair["logit_singly"] == pytest.approx(0, abs=0.01)
    assert pair["excess"] == pytest.approx(pair["logit"], abs=0.01)
    assert pair["excess"] > 3
    jittered = table.assign(excess=table["excess"] + 0.01 * table["member"] * table["induction"])
    headline, lines = said(a=jittered)
    assert headline == (
        "**Induction heads of one layer are redundant: ablating them together costs more than the sum of each, beyond "
        "other heads.**"
    )
    assert "as many other heads, of layer 0, +0.00; beyond these +" in lines[0]


def test_logits_and_losses_are_those_of_the_runs_without_the_heads(tmp_path):
    architecture = architecture_of(
        vocabulary=8, context=6, layers=2, heads=4, d_model=10, d_head=4, activation="gelu", d_mlp=12
    )
    family = toy(tmp_path, architecture, [perturbed(architecture, [0])])
    table = joint_effects.joint_table(family, of_members(1), TASK, kind="zero", memory=1)
    sets = [((0, 0),), ((0, 1),), ((0, 0), (0, 1))]
    losses, _ = self_repair.ablate(families_member(family), TASK, sets, ["zero"])
    rise = [float((losses[index, "zero"][:, 1] - losses[index, "zero"][:, 0]).mean()) for index in range(3)]
    own = table[table["induction"]].iloc[0]
    assert own[["loss", "loss_singly"]].tolist() == pytest.approx([rise[2], rise[0] + rise[1]], abs=1e-5)
    assert own["excess"] == pytest.approx(own["logit"] - own["logit_singly"], abs=1e-6)
    assert own["excess_error"] > 0


def families_member(family):
    from headatlas.models import interventions

    return interventions.open_member(family, 0)


@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_pretrained_models_are_asked_too(tmp_path, name):
    family = opened(tmp_path, [checkpoint(tmp_path / "saved", name)], task_of(name))
    heads = pd.DataFrame({"member": 0, "layer": 2, "head": [1, 3]})
    tokens = np.random.default_rng(0).integers(4, 30, (6, 10))
    queries = np.full((6, 1), 7)
    task = self_repair.Task(tokens, queries, np.take_along_axis(tokens, queries + 1, 1))
    table = joint_effects.joint_table(family, heads, task)
    assert table["followed"].all()  # by MLPs
    assert table["induction"].tolist() == [True, False]
    assert table["heads"].tolist() == ["2.1 2.3", "2.0 2.2"]
    assert table[["excess", "loss"]].notna().all(axis=None)


def family_of(layers, heads, activation="none"):
    return SimpleNamespace(layers=layers, heads=heads, architecture=SimpleNamespace(activation=activation))


def test_sets_are_of_one_layer_and_of_every_size_and_controls_have_something_after_them():
    eight = [(1, head) for head in range(8)]
    sets = joint_effects.sets_of_heads(eight, eight, family_of(3, 8), draws=4)
    of = {layer: [one for one in sets if one[0][0] == layer] for layer in range(3)}
    assert len(of[0]) == 6 * 4 + 1
    assert len(of[1]) == 28 + 5 * 4 + 1  # all pairs of induction heads
    last = joint_effects.sets_of_heads(eight, eight, family_of(2, 8), draws=4)
    assert len(last) == 2 * (6 * 4 + 1)  # with nothing after them, no more than for the loss
    assert {len(one) for one in of[1]} == set(range(2, 9))
    assert not of[2]  # nothing follows the last layer, so that it is no control
    assert len(set(sets)) == len(sets)
    few = joint_effects.sets_of_heads([(1, 2), (0, 1), (1, 0)], [(1, 2), (0, 1), (1, 0)], family_of(3, 4))
    assert few == [((1, 0), (1, 2)), ((1, 1), (1, 3))]
    assert joint_effects.sets_of_heads([(1, 2), (0, 1)], [(1, 2), (0, 1)], family_of(3, 4)) == []
    assert joint_effects.sets_of_heads([], [], family_of(3, 4)) == []
    all_heads = [(0, 0), (0, 1)]
    assert joint_effects.sets_of_heads(all_heads, all_heads, family_of(1, 2)) == [((0, 0), (0, 1))]
    assert joint_effects.followed(family_of(1, 2, "gelu"), 0)


def joint_of(members, followed=True, control=True):
    """Joint effects of two and of three heads: (excess of induction heads, of the control) for each member."""
    rows = []
    for member, (excess, of_control) in enumerate(members):
        for size in (2, 3):
            names = " ".join(f"1.{head}" for head in range(size))
            row = {"member": member, "layer": 1, "heads": names, "size": size, "followed": followed, "logit": 5.0}
            row |= {"loss": 6.0, "loss_singly": 0.7}
            rows.append(row | {"induction": True, "excess": excess})
            if control:
                rows.append(row | {"induction": False, "layer": 0, "excess": of_control})
    return pd.DataFrame(rows)


def test_redundancy_is_said_of_the_models_that_show_it_and_of_no_other():
    clear = joint_of([(3.0, 0.1), (3.2, 0.0), (3.1, 0.1)])
    unsure = joint_of([(-0.3, 0.0), (0.3, 0.1), (0.2, 0.2)])
    fewer = joint_of([(-1.0, 0.0), (-1.1, 0.0), (-1.2, 0.0)])
    like_others = joint_of([(3.0, 3.1), (3.2, 3.0), (3.1, 3.3)])
    assert "are redundant" in said(a=clear)[0]
    assert said(a=clear, b=unsure)[0].endswith("beyond other heads, in a, which is not settled for b.**")
    for silent in (like_others, unsure, joint_of([(3.0, 0)] * 3, control=False), joint_of([(3.0, 0.1), (3.1, 0.0)])):
        assert said(b=silent)[0].startswith("__")  # as other heads have it, no control, or two members
    assert said(a=fewer, b=unsure)[0].startswith("**Induction heads of one layer cost less together")
    assert "not settled" in said(a=clear, b=fewer)[0]
    headline, lines = said(a=joint_of([(0.0, 0.0)] * 3, followed=False))
    assert headline == "__Redundancy within a layer cannot be asked of these models.__"
    assert "add up by construction; of the loss, which is no sum, they cost 0.70 nats one by one" in lines[0]
    assert lines[1] == "Cannot be asked of a: no heads and no MLP come after them."
    assert "no layer has two induction heads" in said(a=clear[:0])[1][0]
