"""The screen of heads: its estimates are derivatives, and it puts first the heads whose ablation costs most."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from headatlas.models import interventions, knockout
from headatlas.studies.phrenology import knockout_effects, knockout_screen
from knockout_models import SMALL, some_tokens, toy
from tiny_checkpoints import checkpoint, opened, task_of
from toy_models import perturbed

MANY = replace(SMALL, layers=3, heads=4)


def member_of(folder, name, pad=None):
    if name == "toy":
        return interventions.open_member(toy(folder, MANY, perturbed(MANY, [5]), pad), 0)
    return interventions.open_member(opened(folder, [checkpoint(folder / "given", name)], task_of(name), pad=pad), 0)


def prompts(pad=None, count=6):
    tokens = np.random.default_rng(0).integers(3, 28, (count, 6))
    if pad is not None:
        tokens[0, 4:] = tokens[1, 1:] = pad
    return tokens


@pytest.mark.parametrize("name", ["toy", "gpt2", "llama", "gemma2", "bert", "albert", "modernbert"])
def test_slopes_are_the_loss_s_derivatives(tmp_path, name):
    member, tokens = member_of(tmp_path, name), prompts(count=2)
    outputs, slopes = member.slopes(tokens, lambda hidden: hidden.square().sum())
    trace = member.run(tokens)
    for layer, (output, slope) in enumerate(zip(outputs, slopes, strict=True)):
        torch.testing.assert_close(output, trace.outputs[layer], atol=1e-5, rtol=1e-5)
        change = 1e-3 * slope / slope.norm()  # the steepest way up
        each = change.permute(2, 0, 1, 3)  # one head at a time
        up, down = (member.replaced(trace, layer, sign * each).double().square().sum((1, 2, 3)) for sign in (1, -1))
        expected = (slope * change).sum((0, 1, 3)).double()
        torch.testing.assert_close((up - down) / 2, expected, atol=2e-2 * float(expected.abs().max()), rtol=2e-2)


@pytest.mark.parametrize("pad", [None, 39])
def test_the_heads_ablated_have_the_exact_effect_and_all_an_estimate(tmp_path, pad):
    member, tokens = member_of(tmp_path, "toy", pad), some_tokens(pad)
    table = knockout_screen.screen_table(member, tokens, causal=True, most=3, pad=pad, seed=1)
    exact = knockout_effects.loss_table(member, tokens, causal=True, others=0, pad=pad, seed=1, kinds=("mean",))
    assert table[["layer", "head"]].to_numpy().tolist() == exact[["layer", "head"]].to_numpy().tolist()
    assert table["estimate"].notna().all()
    assert table["ablated"].value_counts().to_dict() == {"first": 3, "drawn": 3, "not ablated": 6}
    ablated = table["ablated"] != "not ablated"
    for column in ("effect", "standard_error"):
        np.testing.assert_allclose(table.loc[ablated, column], exact.loc[ablated, column], atol=2e-6)
        assert table.loc[~ablated, column].isna().all()
    sizes = table["estimate"].abs()
    assert sizes[table["ablated"] == "first"].min() >= sizes[table["ablated"] != "first"].max()


@pytest.mark.parametrize("name", ["toy", "gpt2"])
def test_small_changes_are_estimated_exactly(tmp_path, name):
    """Where heads hardly vary about their means, the loss is a linear function of what they give out."""
    member, tokens = member_of(tmp_path, name), prompts()
    inputs, targets = knockout_effects.scored(tokens, True)
    step = 1e-2
    means = knockout.mean_outputs(member, inputs)
    trace = member.run(inputs)
    estimates = knockout_screen._attributions(member, inputs, targets, means)
    clean = knockout.prompt_losses(member.readout, trace.hidden[None], targets)
    for layer, outputs in enumerate(trace.outputs):
        change = step * (means[layer] - outputs).permute(2, 0, 1, 3)
        losses = [
            knockout.prompt_losses(member.readout, member.replaced(trace, layer, sign * change), targets)
            for sign in (1, -1)
        ]
        found = (losses[0] - losses[1]) / (2 * step)
        assert clean.shape[1] == found.shape[1] == len(tokens)
        np.testing.assert_allclose(found, estimates[layer], atol=0.03 * np.abs(estimates[layer]).max())


def test_estimates_rank_heads_as_their_ablation_does(tmp_path):
    member, tokens = member_of(tmp_path, "toy"), prompts(count=24)
    table = knockout_screen.screen_table(member, tokens, causal=True, most=12)
    found = knockout_screen.agreement(table)
    assert found["heads"] == 12
    assert found["spearman"] > 0.8
    backwards = knockout_screen.agreement(table.assign(effect=-table["effect"]))
    assert backwards["spearman"] == pytest.approx(-found["spearman"])


def test_agreement_says_what_the_screen_may_have_missed():
    rows = [
        (0.5, "first", 0.4),
        (0.3, "first", -0.2),
        (0.1, "drawn", 0.6),
        (0.0, "drawn", 0.0),
        (0.1, "not ablated", np.nan),
    ]
    table = pd.DataFrame(rows, columns=["estimate", "ablated", "effect"])
    found = knockout_screen.agreement(table)
    assert found == {"heads": 4, "spearman": pytest.approx(0.0), "first": 0.4, "drawn": 0.6}
    assert "over 4 heads ablated" in knockout_screen.describe(found)
    assert "drawn from the others 0.6" in knockout_screen.describe(found)
    all_first = knockout_screen.agreement(table.assign(ablated="first").iloc[:2])
    assert (all_first["spearman"], all_first["drawn"]) == (None, None)
    assert "not defined" in knockout_screen.describe(all_first)
