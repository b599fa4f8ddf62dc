"""Adam against PyTorch's own optimisers, to the bit."""

import pytest
import torch

from headatlas.models import adam


def moved(make, steps=5):
    """Leaves after some steps under gradients that are drawn; the second has none at first, the third never."""
    generator = torch.Generator().manual_seed(2)
    leaves = [torch.randn(size, generator=generator).requires_grad_() for size in ((40, 7), (3,), (2,))]
    optimiser = make(leaves)
    for step in range(steps):
        optimiser.zero_grad()
        assert all(leaf.grad is None for leaf in leaves)
        for leaf in leaves[: 1 if step == 0 else 2]:
            leaf.grad = torch.randn(leaf.shape, generator=generator)
        optimiser.step()
    return leaves, optimiser


@pytest.mark.parametrize(("usual", "weight_decay"), [(torch.optim.Adam, 0.0), (torch.optim.AdamW, 0.3)])
def test_steps_are_those_of_pytorch(usual, weight_decay):
    settings = {"betas": (0.8, 0.95), "weight_decay": weight_decay}
    expected, reference = moved(lambda leaves: usual(leaves, lr=0.05, fused=True, **settings))
    found, optimiser = moved(lambda leaves: adam.Adam(leaves, 0.05, **settings))
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
        for name, value in reference.state[other].items():
            assert torch.equal(optimiser.state[one][name], value), name
