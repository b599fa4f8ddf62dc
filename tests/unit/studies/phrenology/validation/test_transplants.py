"""Transplants equal plain loops, a copy makes good everything, and untrained networks nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from headatlas.base.errors import InputError
from headatlas.models import interventions, knockout
from headatlas.studies.phrenology.knockout_effects import loss_table, scored
from headatlas.studies.phrenology.validation import transplants
from knockout_models import SMALL, SQUARE, shifted_one_by_one, some_tokens, toy, written_one_by_one
from tiny_checkpoints import AUTO, checkpoint, opened
from toy_models import perturbed


def pair(folder, seeds, architecture=SQUARE, pad=None):
    family = toy(folder, architecture, perturbed(architecture, seeds), pad)
    return [("toy", family, index) for index in range(len(seeds))]


def mean_loss(logits, targets):
    """Mean over prompts of the mean cross-entropy of a prompt, from logits (prompt, position, vocabulary)."""
    losses = [
        functional.cross_entropy(own, torch.tensor(wanted), ignore_index=-1)
        for own, wanted in zip(logits, targets, strict=True)
        if (wanted >= 0).any()
    ]
    return float(torch.stack(losses).mean())


def carry(giver, taker):
    """The least-squares map by which two unembeddings (d_model, vocabulary) agree, by a solver of its own."""
    giver, taker = (matrix - matrix.mean(1, keepdims=True) for matrix in (giver, taker))
    return np.linalg.lstsq(taker.T, giver.T, rcond=None)[0].T


def test_the_map_is_the_least_squares_map():
    rng = np.random.default_rng(0)
    giver, taker = rng.normal(size=(5, 40)), rng.normal(size=(7, 40))
    centred = [torch.tensor(matrix - matrix.mean(1, keepdims=True)) for matrix in (giver, taker)]
    found = transplants.unembedding_map(*centred)
    np.testing.assert_allclose(found, carry(giver, taker), atol=1e-10)
    np.testing.assert_allclose(transplants.unembedding_map(centred[0], centred[0]), np.eye(5), atol=1e-10)
    turned, _ = np.linalg.qr(rng.normal(size=(7, 7)))
    found = transplants.unembedding_map(centred[1], torch.tensor(turned) @ centred[1])
    np.testing.assert_allclose(found, turned.T, atol=1e-9)  # a rotated stream is rotated back


def test_vocabularies_that_fill_up_are_cut_to_what_is_common():
    rng = np.random.default_rng(0)
    giver, taker = torch.tensor(rng.normal(size=(5, 30))), torch.tensor(rng.normal(size=(6, 40)))
    found = transplants.unembedding_map(giver, taker)
    torch.testing.assert_close(found, transplants.unembedding_map(giver, taker[:, :30]))


@pytest.mark.parametrize("pad", [None, 39])
def test_equal_to_a_loop_from_the_definitions(tmp_path, pad):
    members = pair(tmp_path, [5, 6, 7], pad=pad)
    own = [{name: value[index].double() for name, value in perturbed(SQUARE, [5, 6, 7]).items()} for index in range(3)]
    tokens = some_tokens(pad)
    costs, pairs = transplants.transplant(members, tokens, pad=pad, between_layers=True)
    inputs, targets = scored(tokens, True, pad)
    real = torch.ones(inputs.shape, dtype=torch.bool) if pad is None else torch.tensor(inputs != pad)
    varying = []
    for weights in own:
        written = written_one_by_one(weights, SQUARE, inputs, pad)
        counts = real.sum(0).clamp(min=1)[:, None]
        varying.append({key: value - (value * real[..., None]).sum(0) / counts for key, value in written.items()})
    unembeddings = [(w["norm_final.weight"][:, None] * w["unembedding.weight"]).numpy() for w in own]

    def loss(taker, layer, shift):
        return mean_loss(shifted_one_by_one(own[taker], SQUARE, inputs, layer, shift, pad), targets)

    for row in costs.itertuples():
        itself = varying[row.member][row.layer, row.head]
        clean, ablated = loss(row.member, row.layer, 0 * itself), loss(row.member, row.layer, -itself)
        np.testing.assert_allclose([row.loss, row.ablation], [clean, ablated - clean], atol=2e-6)
    chosen = pairs.sample(24, random_state=0)
    between = 0
    for row in chosen.itertuples():
        taker, giver = costs.iloc[row.receiver], costs.iloc[row.donor]
        assert taker["member"] != giver["member"]
        between += taker["layer"] != giver["layer"]
        itself = varying[taker["member"]][taker["layer"], taker["head"]]
        matrix = torch.tensor(carry(unembeddings[giver["member"]], unembeddings[taker["member"]]))
        sent = varying[giver["member"]][giver["layer"], giver["head"]] @ matrix
        size = [value[real].square().sum(-1).mean().sqrt() for value in (itself, sent)]
        ablated = loss(taker["member"], taker["layer"], -itself)
        for recovered, given in ((row.recovered, sent), (row.recovered_equal_norm, sent * size[0] / size[1])):
            expected = ablated - loss(taker["member"], taker["layer"], given - itself)
            np.testing.assert_allclose(recovered, expected, atol=3e-6)
            assert abs(expected) > 1e-5
    assert 0 < between < 24


def test_equal_to_plain_hooks_on_pretrained_models(tmp_path):
    """GPT-2 of transformers, a forward hook on the projection that the heads write through."""
    given = [checkpoint(tmp_path / f"given{seed}", "gpt2", seed) for seed in (0, 1)]
    family = opened(tmp_path, given, "causal")
    tokens = np.random.default_rng(0).integers(3, 30, (5, 8))
    costs, pairs = transplants.transplant([("gpt2", family, 0), ("gpt2", family, 1)], tokens, between_layers=False)
    models = [AUTO["causal"].from_pretrained(one["name"], attn_implementation="eager").eval() for one in given]
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    d_head, varying = family.d_head, {}
    for member, model in enumerate(models):
        for layer, block in enumerate(model.transformer.h):
            seen = []
            hook = block.attn.c_proj.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
            with torch.no_grad():
                model(torch.tensor(inputs))
            hook.remove()
            for head in range(family.heads):
                part = slice(head * d_head, (head + 1) * d_head)
                written = seen[0][..., part] @ block.attn.c_proj.weight[part].detach()
                varying[member, layer, head] = written - written.mean(0)
    unembeddings = [(m.transformer.ln_f.weight[:, None] * m.lm_head.weight.T).detach().double().numpy() for m in models]

    def loss(member, layer, shift):
        projection = models[member].transformer.h[layer].attn.c_proj
        hook = projection.register_forward_hook(lambda _, given, output: output + shift)
        with torch.no_grad():
            logits = models[member](torch.tensor(inputs)).logits
        hook.remove()
        return mean_loss(logits, targets)

    assert len(costs) == 2 * family.layers * family.heads
    for row in pairs.sample(12, random_state=1).itertuples():
        taker, giver = costs.iloc[row.receiver], costs.iloc[row.donor]
        itself = varying[taker["member"], taker["layer"], taker["head"]]
        matrix = torch.tensor(carry(unembeddings[giver["member"]], unembeddings[taker["member"]])).float()
        sent = varying[giver["member"], giver["layer"], giver["head"]] @ matrix
        expected = loss(taker["member"], taker["layer"], -itself) - loss(taker["member"], taker["layer"], sent - itself)
        np.testing.assert_allclose(row.recovered, expected, atol=2e-5)
    assert pairs["recovered"].abs().max() > 1e-3


def permuted_heads(weights, order):
    """The same network with its heads in another order."""
    turned = dict(weights)
    for name, value in weights.items():
        if ".attention.output.weight" in name:
            turned[name] = value[:, order]
        elif ".attention." in name and "output" not in name:
            turned[name] = value[..., order, :]
    return turned


def test_a_copy_with_its_heads_permuted_makes_good_all_by_the_true_partner(tmp_path):
    weights, order = perturbed(replace(SMALL, layers=2, heads=4), [5]), [2, 0, 3, 1]
    both = {name: torch.cat([value, permuted_heads(weights, order)[name]]) for name, value in weights.items()}
    family = toy(tmp_path, replace(SMALL, layers=2, heads=4), both)
    costs, pairs = transplants.transplant(
        [("toy", family, 0), ("toy", family, 1)], some_tokens(None), between_layers=False
    )
    pairs = pairs.join(costs, on="receiver").join(costs[["head"]].rename(columns={"head": "donor_head"}), on="donor")
    first = pairs[pairs["member"] == 0]
    true = np.array(order)[first["donor_head"]] == first["head"]
    assert true.sum() == 8
    for name in ("recovered", "recovered_equal_norm"):
        np.testing.assert_allclose(first.loc[true, name], first.loc[true, "ablation"], atol=2e-6)
        assert (first.loc[~true, name] - first.loc[~true, "ablation"]).abs().min() > 1e-5


def test_blocks_of_prompts_and_the_order_of_members_change_nothing(tmp_path, monkeypatch):
    members = pair(tmp_path, [5, 6, 7], replace(SMALL, layers=1))
    tokens = some_tokens(None, prompts=5)
    costs, pairs = transplants.transplant(members, tokens, between_layers=True)
    turned, turned_pairs = transplants.transplant(members[::-1], tokens, between_layers=True)
    monkeypatch.setattr(knockout, "blocks", lambda member, tokens, passes, memory=0: [slice(0, 2), slice(2, 5)])
    _, in_blocks = transplants.transplant(members, tokens, between_layers=True)
    np.testing.assert_allclose(in_blocks["recovered"], pairs["recovered"], atol=1e-6)
    place = {key: row for row, key in enumerate(zip(costs["member"], costs["head"], strict=True))}
    name = [place[key] for key in zip(turned["member"], turned["head"], strict=True)]
    back = turned_pairs.assign(
        receiver=np.take(name, turned_pairs["receiver"]), donor=np.take(name, turned_pairs["donor"])
    )
    back = back.sort_values(["receiver", "donor"])
    for column in ("recovered", "recovered_equal_norm"):
        np.testing.assert_allclose(back[column], pairs[column], atol=1e-6)


def test_families_of_one_tokenizer_and_different_widths(tmp_path):
    (tmp_path / "wide").mkdir()
    members = pair(tmp_path, [5, 6], replace(SMALL, layers=2))
    members += pair(tmp_path / "wide", [7], replace(SMALL, d_model=14, heads=3, layers=1))
    costs, pairs = transplants.transplant(members, some_tokens(None), between_layers=False)
    assert len(costs) == 4 + 4 + 3
    layer = costs["layer"].to_numpy()
    assert (layer[pairs["receiver"]] == layer[pairs["donor"]]).all()
    assert len(pairs) == 2 * (2 * 4) + 2 * (2 * 2 * 3)  # within the two of a kind, and with the third's only layer
    assert pairs.notna().all(axis=None)


def test_tables_carry_the_identity_of_both_heads(tmp_path):
    costs, pairs = transplants.transplant(
        pair(tmp_path, [5, 6], replace(SMALL, layers=2)), some_tokens(None), between_layers=True
    )
    table = transplants.identified(costs, pairs)
    row = table.iloc[7]
    assert row["donor_member"] == costs["member"][pairs["donor"][7]]
    assert row["head"] == costs["head"][pairs["receiver"][7]]
    again, found = transplants.rows_of(costs, table)
    assert again is costs
    for name in pairs:
        np.testing.assert_array_equal(found[name], pairs[name])


def test_bidirectional_models_are_read_at_masks(tmp_path):
    members = pair(tmp_path, [5, 6], replace(SMALL, causal=False))
    costs, pairs = transplants.transplant(members, some_tokens(None), mask=38, between_layers=True)
    assert pairs["recovered"].abs().max() > 1e-4
    assert costs["ablation"].notna().all()


def test_a_single_member_has_costs_and_no_donors(tmp_path):
    members = pair(tmp_path, [5, 6], SMALL)
    costs, pairs = transplants.transplant(members[:1], some_tokens(None), between_layers=True)
    both, _ = transplants.transplant(members, some_tokens(None), between_layers=True)
    np.testing.assert_allclose(costs["ablation"], both["ablation"][:2], atol=1e-7)
    assert pairs.empty
    assert transplants.identified(costs, pairs).empty
    _, family, index = members[0]
    losses = loss_table(interventions.open_member(family, index), some_tokens(None), causal=True, others=1)
    found, none = transplants.alone(costs[["model", "member", "layer", "head"]][::-1], losses)  # whatever their order
    pd.testing.assert_frame_equal(found.sort_index(), costs, check_exact=False, atol=1e-6)
    pd.testing.assert_frame_equal(none, pairs, check_dtype=False)


def test_what_cannot_be_transplanted_is_said(tmp_path):
    members = pair(tmp_path, [5, 6], SMALL)
    (tmp_path / "other").mkdir()
    other = pair(tmp_path / "other", [5], replace(SMALL, causal=False))
    with pytest.raises(InputError, match="causal and bidirectional"):
        transplants.transplant(members + other, some_tokens(None), between_layers=True)
