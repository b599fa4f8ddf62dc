"""The published loss is the one that their code computed, and says nothing where the other does."""

import math

import pytest
import torch

from architectures import architecture_of
from headatlas.models import transformer
from headatlas.studies.circuits import position_loss

SHAPE = architecture_of(
    vocabulary=11, context=6, layers=1, heads=2, d_model=8, d_head=4, activation="none", embedding_max_norm=1.0
)


def test_it_is_the_cross_entropy_whose_classes_are_positions():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 6, 11, generator=generator)
    targets = torch.randint(11, (4, 6), generator=generator)
    one_hot = torch.nn.functional.one_hot(targets, 11).float()
    expected = torch.nn.CrossEntropyLoss()(logits, one_hot)  # as the authors' code called it
    torch.testing.assert_close(position_loss.position_loss(logits, targets).mean(), expected)


def test_flat_value_is_the_papers():
    assert position_loss.flat(19, 50257) == pytest.approx(0.0011, abs=2e-5)
    found = position_loss.position_loss(torch.zeros(1, 19, 500), torch.zeros(1, 19, dtype=torch.long))
    assert float(found) == pytest.approx(position_loss.flat(19, 500))
    # a model that predicts every token with certainty, the same everywhere, is no better by it
    sure = torch.zeros(1, 19, 500)
    sure[:, :, 0] = 100.0
    same = position_loss.position_loss(sure, torch.zeros(1, 19, dtype=torch.long))
    torch.testing.assert_close(same, found)


def test_both_losses_are_those_of_the_logits():
    seeds, pad = [0, 1], 10
    weights = transformer.initial_weights(SHAPE, seeds)
    windows = torch.randint(10, (5, 7), generator=torch.Generator().manual_seed(1))
    windows[3, 4:] = pad
    inputs, targets = windows[:, :-1], windows[:, 1:]
    entropies, positions = position_loss.both_losses(weights, SHAPE, windows.numpy(), pad)
    logits = transformer.logits(weights, SHAPE, inputs[None], pad)
    for member in range(2):
        expected = torch.nn.functional.cross_entropy(logits[member].flatten(0, 1), targets.flatten(), ignore_index=pad)
        assert float(entropies[member]) == pytest.approx(float(expected), rel=1e-5)
        expected = position_loss.position_loss(logits[member], targets, pad).mean()
        assert float(positions[member]) == pytest.approx(float(expected), rel=1e-5)
    assert abs(float(entropies[0]) - math.log(11)) < 0.5
