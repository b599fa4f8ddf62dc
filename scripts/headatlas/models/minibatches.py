"""Training examples: which windows a member reads at a step, and what of them it must predict."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from headatlas.models.memory_limits import EVALUATION_TOKENS

_ORDER, _MASKS, _EVALUATION = range(3)  # streams of random numbers drawn from one seed


@dataclass(frozen=True)
class Examples:
    """What members read and must predict at once."""

    inputs: torch.Tensor  # (member, batch, position)
    places: torch.Tensor | None  # (member, row), which of the batch * position are scored; None for all
    targets: torch.Tensor  # (member, row)
    scored: torch.Tensor  # (member, row), 1.0, or 0.0 where a row only fills up


class Reader:
    """The examples of every step, drawn from seed and step alone: a resumed training needs no other state.

    Parameters are those of `training.train`.
    """

    def __init__(self, architecture, seeds, windows, settings, pad, mask, device):
        self.architecture, self.seeds, self.windows, self.settings = architecture, seeds, windows, settings
        self.pad, self.mask, self.device = pad, mask, device
        self.epoch, self.order = None, None

    def read(self, step, members):
        """The Examples of a step for some members, a slice."""
        batch = self.settings.batch
        epoch, within = divmod(step, math.ceil(self.windows.shape[1] / batch))
        if epoch != self.epoch:
            count = self.windows.shape[1]
            self.order = [_generator(seed, _ORDER, epoch).permutation(count) for seed in self.seeds]
            self.epoch = epoch
        tokens, hidden = [], []
        for member in range(*members.indices(len(self.seeds))):
            chosen = self.order[member][within * batch : (within + 1) * batch]
            tokens.append(self.windows[member, chosen])
            if not self.architecture.causal:
                hidden.append(_hidden(tokens[-1], self.settings.masking, _generator(self.seeds[member], _MASKS, step)))
        tokens = np.stack(tokens).astype(np.int64)  # (member, batch, size)
        hidden = np.stack(hidden) if hidden else None
        return _examples(tokens, hidden, self.pad, self.mask, self.device)


def _generator(*seeds):
    return np.random.default_rng([int(seed) for seed in seeds])


def _hidden(tokens, share, generator):
    """Which tokens are masked, at random, of the same shape as `tokens`."""
    return generator.random(tokens.shape) < share


def _examples(tokens, hidden, pad, mask, device):
    """Inputs and targets from tokens (member, batch, size); `hidden` tells masked ones, None for a causal model."""
    real = tokens != pad if pad is not None else np.ones(tokens.shape, dtype=bool)
    if hidden is None:
        inputs, targets = tokens[..., :-1], tokens[..., 1:]
        scored = real[..., :-1] & real[..., 1:]
    else:
        scored = hidden & real
        inputs, targets = np.where(scored, mask, tokens), tokens
    targets, scored = (array.reshape(len(tokens), -1) for array in (targets, scored))  # (member, row)
    places = None
    if not scored.all():  # only rows that are scored reach the unembedding, filled up to the member with the most
        most = max(1, scored.sum(1).max())
        places = np.argsort(~scored, axis=1, kind="stable")[:, :most]
        targets, scored = np.take_along_axis(targets, places, 1), np.take_along_axis(scored, places, 1)
        places = torch.from_numpy(places).to(device)
    return Examples(
        torch.from_numpy(np.ascontiguousarray(inputs)).to(device),
        places,
        torch.from_numpy(np.ascontiguousarray(targets)).to(device),
        torch.from_numpy(scored.astype(np.float32)).to(device),
    )


def held_out(architecture, evaluation, settings, pad, mask, device):
    """Held-out windows (window, size) as a list of Examples with one member, under masks that never change."""
    size = max(1, EVALUATION_TOKENS // evaluation.shape[1])
    hidden = _hidden(evaluation, settings.masking, _generator(0, _EVALUATION))
    parts = []
    for first in range(0, len(evaluation), size):
        part = slice(first, first + size)
        tokens = evaluation[None, part].astype(np.int64)  # (1, batch, size)
        parts.append(_examples(tokens, None if architecture.causal else hidden[None, part], pad, mask, device))
    return parts
