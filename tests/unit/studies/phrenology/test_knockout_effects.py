"""What is read from knockouts, against the same worked out from all logits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch.nn import functional

from headatlas.base.errors import InputError
from headatlas.models import interventions, knockout
from headatlas.studies.phrenology import knockout_effects
from knockout_models import SMALL, SQUARE, gathered, shifted_one_by_one, some_tokens, toy, written_one_by_one
from tiny_checkpoints import checkpoint, opened
from toy_models import perturbed

TWO = replace(SMALL, layers=2)


def member_of(folder, architecture=TWO, pad=None, seed=5):
    return interventions.open_member(toy(folder, architecture, perturbed(architecture, [seed]), pad), 0)


def losses_by_prompt(logits, targets):
    """Mean cross-entropy of each prompt, (pass, prompt), of logits (pass, prompt, position, vocabulary)."""
    wanted = torch.tensor(targets).expand(len(logits), -1, -1)
    losses = functional.cross_entropy(logits.movedim(-1, 1), wanted, ignore_index=-1, reduction="none")
    count = (targets >= 0).sum(1)
    return np.where(count, losses.sum(-1).numpy() / count.clip(1), np.nan)


def assert_effects(rows, losses, clean):
    """Rows of the table, head by head, are those of losses (head, prompt) against the undisturbed (prompt,)."""
    assert rows["head"].tolist() == list(range(len(losses)))
    effects = losses - clean
    count = np.isfinite(clean).sum()
    np.testing.assert_allclose(rows["effect"], np.nanmean(effects, 1), atol=2e-6)
    np.testing.assert_allclose(rows["standard_error"], np.nanstd(effects, 1, ddof=1) / count**0.5, atol=2e-6)
    np.testing.assert_allclose(rows["loss"], np.nanmean(losses, 1), atol=2e-6)


@pytest.mark.parametrize("pad", [None, 39])
@pytest.mark.parametrize("causal", [True, False])
def test_losses_are_cross_entropies(tmp_path, causal, pad):
    member = member_of(tmp_path, replace(TWO, causal=causal), pad)
    tokens = some_tokens(pad)
    table = knockout_effects.loss_table(member, tokens, causal=causal, pad=pad, mask=38, others=0, seed=1)
    inputs, targets = knockout_effects.scored(tokens, causal, pad, 38, 1)
    donors = knockout.draw_donors(inputs, 1, pad)
    given = knockout.Replacements(knockout.mean_outputs(member, inputs, pad), donors, pad)
    logits = gathered(member, inputs, replacements=given)
    (clean,) = losses_by_prompt(logits.pop((None, -1)), targets)
    for (kind, layer), found in logits.items():
        rows = table[(table["layer"] == layer) & (table["kind"] == kind)]
        assert_effects(rows, losses_by_prompt(found, targets), clean)
    assert table["kind"].tolist() == list(knockout.KINDS) * 4


@pytest.mark.parametrize("pad", [None, 39])
def test_the_control_is_another_head_in_the_place_at_equal_size(tmp_path, pad):
    weights = perturbed(SQUARE, [5])
    member = interventions.open_member(toy(tmp_path, SQUARE, weights, pad), 0)
    own, tokens = {name: value[0].double() for name, value in weights.items()}, some_tokens(pad)
    table = knockout_effects.loss_table(member, tokens, causal=True, pad=pad, others=9, kinds=("mean",))
    inputs, targets = knockout_effects.scored(tokens, True, pad)
    real = torch.ones(inputs.shape, dtype=torch.bool) if pad is None else torch.tensor(inputs != pad)
    varying = {}
    for key, written in written_one_by_one(own, SQUARE, inputs, pad).items():
        mean = (written * real[..., None]).sum(0) / real.sum(0).clamp(min=1)[:, None]
        varying[key] = written - mean
    size = {key: value[real].square().sum(-1).mean().sqrt() for key, value in varying.items()}
    (clean,) = losses_by_prompt(shifted_one_by_one(own, SQUARE, inputs, 0, 0 * varying[0, 0], pad)[None], targets)
    for layer in range(2):
        losses = []
        for head in range(3):
            by_other = []
            for other in {0, 1, 2} - {head}:
                shift = varying[layer, other] * size[layer, head] / size[layer, other] - varying[layer, head]
                by_other.append(shifted_one_by_one(own, SQUARE, inputs, layer, shift, pad))
            losses.append(losses_by_prompt(torch.stack(by_other), targets).mean(0))
        rows = table[(table["layer"] == layer) & (table["kind"] == "other")]
        assert_effects(rows, np.stack(losses), clean)
    assert (table.loc[table["kind"] == "other", "effect"].abs() > 1e-3).all()


def test_as_many_others_as_asked_for(tmp_path):
    member, tokens = member_of(tmp_path, replace(TWO, heads=4)), some_tokens(None)
    few = knockout_effects.loss_table(member, tokens, causal=True, others=2)
    all_others = knockout_effects.loss_table(member, tokens, causal=True, others=3)
    assert len(few) == len(all_others) == 8 * 4
    is_control = few["kind"] == "other"
    assert (few["effect"] != all_others["effect"])[is_control].any()
    np.testing.assert_allclose(few["effect"][~is_control], all_others["effect"][~is_control], atol=1e-6)


def test_something_is_predicted_of_every_prompt():
    tokens = some_tokens(39)
    inputs, targets = knockout_effects.scored(tokens, True, 39)
    assert inputs.shape == (4, 5)
    assert (targets >= 0).sum(1).tolist() == [3, 0, 5, 5]  # a single token has no next one
    inputs, targets = knockout_effects.scored(tokens, False, 39, 38)
    assert ((targets >= 0).sum(1) >= 1).all()
    assert (targets[tokens == 39] == -1).all()
    assert ((inputs == 38) == (targets >= 0)).all()
    with pytest.raises(InputError, match="no mask token"):
        knockout_effects.scored(tokens, False)


def all_effects(member, tokens, seed=0):
    """Effect vectors (head, prompt, vocabulary) of every kind from all logits, tokens without padding."""
    chosen = np.random.default_rng(seed).permutation(len(tokens))
    same = chosen == np.arange(len(tokens))
    chosen[same] = (chosen[same] + 1) % len(tokens)
    given = knockout.Replacements(knockout.mean_outputs(member, tokens), tokens[chosen])
    logits = gathered(member, tokens, replacements=given)
    clean = logits.pop((None, -1))[0]
    found = {}
    for kind in knockout.KINDS:
        knocked = torch.cat([values for (name, _), values in logits.items() if name == kind])
        found[kind] = knocked[:, :, -1].softmax(-1) - clean[:, -1].softmax(-1)
        if kind == "zero":
            found["published"] = (knocked.softmax(2) - clean.softmax(1))[:, :, -1]  # the axis of positions
    return found


def test_products_are_those_of_the_vectors(tmp_path):
    tokens = some_tokens(None)
    members, vectors = [], {effect: [] for effect in knockout_effects.EFFECTS}
    for seed in (5, 6):
        (tmp_path / str(seed)).mkdir()
        member = member_of(tmp_path / str(seed), seed=seed)
        members.append(knockout_effects.Effects(member, tokens, tokens, causal=True))
        for effect, values in all_effects(member, tokens).items():
            vectors[effect].append(values.flatten(1))
    for effect, parts in vectors.items():
        stacked = torch.cat(parts).double().numpy()
        found = knockout_effects.products(members, effect)
        assert found.shape == (8, 8)
        np.testing.assert_allclose(found, stacked @ stacked.T, atol=1e-6)


def test_models_of_one_tokenizer_may_differ_in_rows_that_fill_up(tmp_path):
    tokens = some_tokens(None, size=5) % 30
    sizes = ("small", "large")
    for name in sizes:
        (tmp_path / name).mkdir()
    small = member_of(tmp_path / "small")
    large = interventions.open_member(
        opened(tmp_path / "large", [checkpoint(tmp_path / "given", "gpt2", vocab_size=48)], "causal"), 0
    )
    members = [knockout_effects.Effects(member, tokens, tokens, causal=True) for member in (small, large)]
    found = knockout_effects.products(members, "zero")
    assert found.shape == (4 + 12, 4 + 12)
    alone = members[1].vectors("zero", slice(None))[..., :40].flatten(1).double().numpy()
    np.testing.assert_allclose(found[4:, 4:], alone @ alone.T, atol=1e-6)


def test_promoted_and_suppressed_tokens(tmp_path):
    """A head that always writes one token's unembedding promotes that token."""
    weights = perturbed(SMALL, [5])
    a = replace(SMALL, activation="none", layer_norm=False)
    weights = {name: value for name, value in weights.items() if "norm" not in name and "mlp" not in name}
    weights["layers.0.attention.value.weight"][:, :, 1] = 0
    weights["layers.0.attention.value.bias"][:, 1] = torch.tensor([1.0, 0, 0, 0, 0])
    weights["layers.0.attention.output.weight"][:, 1] = 0
    weights["layers.0.attention.output.weight"][0, 1, 0] = weights["unembedding.weight"][0, :, 7]
    member = interventions.open_member(toy(tmp_path, a, weights), 0)
    tokens = some_tokens(None)
    effects = knockout_effects.Effects(member, tokens, tokens, causal=True)
    table = knockout_effects.token_table(effects, most=4)
    assert len(table) == 2 * 2 * 4
    own = table[(table["row"] == 1) & (table["direction"] == "promoted")]
    assert own["token"].iloc[0] == 7
    vectors = -all_effects(member, tokens)["zero"][1].numpy()  # (prompt, vocabulary)
    np.testing.assert_allclose(own["effect"].iloc[0], vectors[:, 7].mean(), atol=1e-6)
    np.testing.assert_allclose(own["standard_error"].iloc[0], vectors[:, 7].std(ddof=1) / 2, atol=1e-6)
    down = table[(table["row"] == 1) & (table["direction"] == "suppressed")]
    assert down["token"].tolist() == np.argsort(vectors.mean(0), kind="stable")[:4].tolist()
    constant = knockout_effects.token_table(effects, "mean", most=1)
    assert constant.loc[constant["row"] == 1, "effect"].abs().max() < 1e-6


def test_logits_after_one_prompt(tmp_path):
    member = member_of(tmp_path)
    others, prompt = some_tokens(None, prompts=5), [3, 1, 2]
    clean, knocked = knockout_effects.prompt_logits(member, prompt, others, causal=True, donors=99)
    means = knockout.mean_outputs(member, others[:, :3])
    tokens = np.repeat([prompt], 5, 0)
    found = gathered(member, tokens, replacements=knockout.Replacements(means, others[:, :3]))
    np.testing.assert_allclose(clean, found[None, -1][0, 0, -1], atol=1e-5)
    for kind in knockout.KINDS:
        expected = torch.cat([found[kind, 0], found[kind, 1]])[:, :, -1].mean(1)
        np.testing.assert_allclose(knocked[kind], expected, atol=1e-5)
    with pytest.raises(InputError, match="7 tokens found; allowed: at most the 6"):
        knockout_effects.prompt_logits(member, [0] * 7, others, causal=True)


def test_components_from_inner_products_are_those_of_the_vectors():
    vectors = np.random.default_rng(0).normal(size=(9, 30)) * np.linspace(3, 1, 30)
    points, shares = knockout_effects.principal_components(vectors @ vectors.T)
    fitted = PCA(2).fit(vectors)
    np.testing.assert_allclose(np.abs(points), np.abs(fitted.transform(vectors)), atol=1e-9)
    np.testing.assert_allclose(shares, fitted.explained_variance_ratio_)
    assert (points[np.abs(points).argmax(0), [0, 1]] > 0).all()


def test_comparison_holds_every_effect(tmp_path):
    tokens = some_tokens(None)
    members = [knockout_effects.Effects(member_of(tmp_path), tokens, tokens, causal=True)]
    heads = knockout_effects.identity("toy", 0, 2, 2)
    columns, facts = knockout_effects.comparison(heads, members)
    assert list(columns)[:4] == ["model", "member", "layer", "head"]
    assert columns["layer"].tolist() == [0, 0, 1, 1]
    for effect in knockout_effects.EFFECTS:
        assert columns[effect].shape == (4, 4)
        assert len(columns[f"{effect}_2"]) == 4
        assert 0 <= sum(facts["explained_variance"][effect]) <= 1 + 1e-9


def test_the_likeliest_tokens_after_a_prompt(tmp_path):
    member, others = member_of(tmp_path), some_tokens(None)
    table = knockout_effects.prompt_table(member, [3, 1], others, shown=5, causal=True)
    clean, knocked = knockout_effects.prompt_logits(member, [3, 1], others, causal=True)
    assert len(table) == 4 * 5
    own = table[(table["layer"] == 1) & (table["head"] == 0)]
    assert own["token"].tolist() == np.argsort(-clean)[:5].tolist()
    np.testing.assert_array_equal(own["clean"], np.sort(clean)[::-1][:5])
    np.testing.assert_array_equal(own["resample"], knocked["resample"][2, own["token"]])
