"""Losses and gradients of the unembedding against autograd's."""

import pytest
import torch
from torch.nn import functional

from headatlas.models import cross_entropy as unembedding


@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_losses_and_gradients_equal_autograds(dtype, tolerance, blocks, monkeypatch):
    monkeypatch.setattr(unembedding, "LOGITS", 2 * 30 * 37 // blocks)
    monkeypatch.setattr(unembedding, "_CACHE", 2 * 37 * 4)
    generator = torch.Generator().manual_seed(0)
    hidden, table, bias = (
        torch.randn(2, *shape, generator=generator, dtype=dtype, requires_grad=True)
        for shape in ((30, 8), (37, 8), (37,))
    )
    targets = torch.randint(0, 37, (2, 30), generator=generator)
    weights = torch.rand(2, 30, generator=generator, dtype=dtype)
    weights[:, ::4] = 0.0

    logits = hidden @ table.mT + bias[:, None]
    losses = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(2, 30)
    expected = torch.autograd.grad((losses * weights).sum(), (hidden, table, bias))

    table_gradient = torch.full_like(table, torch.nan).detach()
    cross_entropy = unembedding.CrossEntropy()
    for _ in range(2):  # its memory is used again
        found = cross_entropy(hidden, table, bias, targets, weights, table_gradient)
        close = {"atol": tolerance, "rtol": tolerance}
        torch.testing.assert_close(found.losses, losses, **close)
        torch.testing.assert_close((found.hidden, table_gradient, found.bias), expected, **close)
        assert torch.equal(found.correct, logits.argmax(-1) == targets)
    torch.testing.assert_close(cross_entropy(hidden, table, bias, targets).losses, losses, **close)


def test_very_unlikely_targets_have_finite_losses():
    hidden, table = torch.full((1, 1, 1), 400.0), torch.tensor([[[1.0], [-1.0]]])
    found = unembedding.CrossEntropy()(hidden, table, torch.zeros(1, 2), torch.tensor([[1]]))
    assert found.losses.item() == 800.0
