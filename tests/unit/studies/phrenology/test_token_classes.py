"""Classes of predicted tokens, and what heads cost on each."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from headatlas.models import interventions, knockout
from headatlas.studies.phrenology import knockout_effects, token_classes
from knockout_models import SMALL, gathered, some_tokens, toy
from toy_models import perturbed


def places(classes, name):
    return np.argwhere(classes[name]).tolist()


def test_classes_of_a_passage_written_out():
    tokens = np.array([[5, 6, 5, 7, 9], [6, 6, 8, 0, 0]])  # 0 is padding
    inputs, targets = knockout.scored(tokens, True, pad=0)
    assert targets.tolist() == [[6, 5, 7, 9], [6, 8, -1, -1]]
    found = token_classes.of_targets(inputs, targets, [5, 5, 5, 6, 6, 7, 8, 9], causal=True)
    assert tuple(found) == token_classes.CLASSES
    assert places(found, "repeated") == [[0, 1], [1, 0]]
    assert places(found, "new") == [[0, 0], [0, 2], [0, 3], [1, 1]]
    assert places(found, "frequent") == [[0, 0], [0, 1], [1, 0]]  # 5 and 6 are five of eight tokens, 5 alone three
    assert places(found, "rare") == [[0, 2], [0, 3], [1, 1]]
    assert places(found, "first") == [[0, 0], [1, 0]]
    assert places(found, "first half") == [[0, 1]]
    assert places(found, "second half") == [[0, 2], [0, 3], [1, 1]]


def test_a_masked_token_is_repeated_where_it_stands_anywhere_else():
    inputs, targets = np.array([[9, 3, 4, 3], [9, 4, 4, 9]]), np.array([[3, -1, -1, -1], [9, -1, -1, 3]])
    found = token_classes.of_targets(inputs, targets, [3, 4], causal=False)
    assert places(found, "repeated") == [[0, 0], [1, 0]]
    assert places(found, "new") == [[1, 3]]
    looking_back = token_classes.of_targets(inputs, targets, [3, 4], causal=True)
    assert places(looking_back, "repeated") == [[1, 0]]  # token 3 comes later in the first


@pytest.mark.parametrize("pad", [None, 39])
def test_losses_by_class_are_means_of_the_same_cross_entropies(tmp_path, pad):
    architecture = replace(SMALL, layers=2, heads=3)
    member = interventions.open_member(toy(tmp_path, architecture, perturbed(architecture, [5]), pad), 0)
    tokens = some_tokens(pad)
    tokens[2:] = tokens[2:] % 4  # some are repeated
    losses, by_class = knockout_effects.loss_tables(member, tokens, tokens, causal=True, pad=pad, others=2, seed=1)
    alone = knockout_effects.loss_table(member, tokens, causal=True, pad=pad, others=2, seed=1)
    np.testing.assert_allclose(losses["effect"], alone["effect"])
    inputs, targets = knockout.scored(tokens, True, pad)
    classes = token_classes.of_targets(inputs, targets, tokens, True)
    assert all(classes[name].any() for name in classes)
    donors = knockout.draw_donors(inputs, 1, pad)
    given = knockout.Replacements(knockout.mean_outputs(member, inputs, pad), donors, pad)
    logits = gathered(member, inputs, replacements=given)
    wanted = torch.tensor(targets)
    by_token = {
        key: functional.cross_entropy(
            found.movedim(-1, 1), wanted.expand(len(found), -1, -1), ignore_index=-1, reduction="none"
        ).numpy()
        for key, found in logits.items()
    }
    clean = by_token.pop((None, -1))[0]
    for (kind, layer), found in by_token.items():
        for name, own in classes.items():
            rows = by_class[
                (by_class["layer"] == layer) & (by_class["kind"] == kind) & (by_class["token_class"] == name)
            ]
            assert rows["head"].tolist() == [0, 1, 2]
            assert set(rows["targets"]) == {own.sum()}
            kept = own.any(1)
            effects = ((found - clean) * own).sum(-1)[:, kept] / own.sum(1)[kept]  # (head, prompt)
            np.testing.assert_allclose(rows["effect"], effects.mean(1), atol=2e-6)
            if kept.sum() > 1:
                errors = effects.std(1, ddof=1) / kept.sum() ** 0.5
                np.testing.assert_allclose(rows["standard_error"], errors, atol=2e-6)
    assert set(by_class["kind"]) == {*knockout.KINDS, "other"}
    assert knockout_effects.loss_tables(member, tokens, [], causal=True, pad=pad, others=0)[1] is None
