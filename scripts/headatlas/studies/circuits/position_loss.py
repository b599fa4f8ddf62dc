"""The loss of Jayakumar et al. ("Interpretability of Transformer Circuits"), as computed by their code and as meant.

Logits of shape (window, position, vocabulary) and one-hot targets of the same shape went to a cross-entropy that takes
its second axis for the classes. So the softmax runs over the POSITIONS of a window, separately for each token of the
vocabulary, and the mean is taken over windows and vocabulary. A model that knows nothing scores T ln T / V: 0.0011 for
19 positions and GPT-2's 50,257 tokens, however large the loss of its predictions.
"""

import math

import torch

from headatlas.models import transformer
from headatlas.models.memory_limits import LOGITS


def flat(positions, vocabulary):
    """The loss over positions of a model whose logits are all equal, where no position is padding."""
    return positions * math.log(positions) / vocabulary


def flat_loss(windows, vocabulary, pad=None):
    """The same on given windows (window, size), in which padding is not scored."""
    targets = torch.as_tensor(windows)[:, 1:]
    scored = targets.numel() if pad is None else int((targets != pad).sum())
    return scored / len(targets) * math.log(targets.shape[1]) / vocabulary


def position_loss(logits, targets, pad=None):
    """Cross-entropy over positions.

    Parameters
    ----------
    logits : Tensor of shape (window, position, vocabulary)
    targets : integer Tensor of shape (window, position)
    pad : int, optional
        A target that is not scored.

    Returns
    -------
    Tensor of shape (window,)
        The sum over positions of minus the logarithm of a target's share among the positions, over the vocabulary.
    """
    shares = logits.log_softmax(1)
    scored = torch.ones_like(targets, dtype=logits.dtype) if pad is None else (targets != pad).to(logits.dtype)
    found = shares.gather(2, targets[..., None])[..., 0]  # (window, position)
    return -(found * scored).sum(1) / logits.shape[2]


@torch.no_grad()
def both_losses(weights, architecture, windows, pad=None):
    """Both losses of every member of a causal family on the same windows.

    Parameters
    ----------
    weights : dict of str to Tensor, each of shape (member, ...)
    architecture : transformer.Architecture
    windows : integer array of shape (window, size)
    pad : int, optional

    Returns
    -------
    cross_entropy, over_positions : Tensor of shape (member,), float64
        Nats per scored token over the vocabulary; and the mean of `position_loss` over windows.
    """
    windows = torch.as_tensor(windows, dtype=torch.long)
    device, members = weights["token_embedding"].device, len(weights["token_embedding"])
    inputs, targets = windows[:, :-1].to(device), windows[:, 1:].to(device)
    real = torch.ones_like(inputs, dtype=torch.bool) if pad is None else (inputs != pad) & (targets != pad)
    step = max(1, LOGITS // (inputs.shape[1] * architecture.vocabulary))
    sums = torch.zeros(2, members, dtype=torch.float64)
    for member in range(members):
        own = {name: value[member : member + 1] for name, value in weights.items()}
        for first in range(0, len(windows), step):
            part = slice(first, first + step)
            logits = transformer.logits(own, architecture, inputs[None, part], pad)[0]  # (window, position, vocabulary)
            losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets[part], reduction="none")
            sums[0, member] += (losses * real[part]).sum(dtype=torch.float64).cpu()
            sums[1, member] += position_loss(logits, targets[part], pad).sum(dtype=torch.float64).cpu()
    return sums[0] / real.sum().cpu(), sums[1] / len(windows)
