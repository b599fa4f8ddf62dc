"""The loss of a prediction: unembedding, softmax and cross-entropy as one step.

With a large vocabulary the logits are most of a training step, in time and in memory. Here a block
of rows at a time becomes logits, then probabilities, then the loss's gradient, in the same memory
while it is in the cache; nothing of the size (row, vocabulary) outlives its block. Gradients come
with the loss rather than through autograd.
"""

from typing import NamedTuple

import torch

from headatlas.models.memory_limits import LOGITS

_CACHE = 2**20  # numbers that the cache holds: element-wise passes stay within it


class Predictions(NamedTuple):
    """What became of each row, and the gradients of the weighted sum of losses where asked for."""

    losses: torch.Tensor  # (member, row), in nats
    correct: torch.Tensor  # (member, row), whether no other token has as high a logit
    hidden: torch.Tensor | None = None  # (member, row, d_model)
    bias: torch.Tensor | None = None  # (member, vocabulary)


class CrossEntropy:
    """Cross-entropy of `softmax(hidden @ table.T + bias)`, with its gradients; it keeps the memory it works in."""

    def __init__(self):
        self._memory = None

    def _logits(self, members, rows, vocabulary, like):
        stride = -(-vocabulary // 16) * 16  # rows that start at odd addresses make the products a third slower
        if self._memory is None or self._memory.numel() < members * rows * stride:
            self._memory = torch.empty(members * rows * stride, dtype=like.dtype, device=like.device)
        return self._memory[: members * rows * stride].view(members, rows, stride)[..., :vocabulary]

    @torch.no_grad()
    def __call__(self, hidden, table, bias, targets, weights=None, table_gradient=None):
        """Losses, and gradients if `weights` are given.

        Parameters
        ----------
        hidden : Tensor of shape (member, row, d_model)
        table : Tensor of shape (member, vocabulary, d_model)
            The unembedding, a row for each token: the products are fastest in this layout.
        bias : Tensor of shape (member, vocabulary)
        targets : int64 Tensor of shape (member, row)
        weights : Tensor of shape (member, row), optional
            Weight of each row's loss in the sum whose gradients are wanted.
        table_gradient : Tensor of shape (member, vocabulary, d_model), optional
            Where the table's gradient is written; needed with `weights`.

        Returns
        -------
        Predictions
            Matrix products are in bfloat16 on a GPU where gradients are wanted; all sums are in the
            precision of `bias`.
        """
        members, rows, _ = hidden.shape
        vocabulary, on_gpu, learns = table.shape[1], hidden.device.type == "cuda", weights is not None
        if on_gpu and learns:
            hidden, table = hidden.bfloat16(), table.bfloat16()
        blocks = 1 if on_gpu else -(-members * rows * vocabulary // LOGITS)
        block = -(-rows // blocks)
        piece = block if on_gpu else max(1, _CACHE // (members * vocabulary))
        losses, correct = [], []
        hidden_gradient, bias_gradient = torch.empty_like(hidden), torch.zeros_like(bias)
        for start in range(0, rows, block):
            x = hidden[:, start : start + block]
            logits = self._logits(members, x.shape[1], vocabulary, bias)  # (member, row, vocabulary)
            if x.dtype == logits.dtype:
                torch.baddbmm(bias[:, None], x, table.mT, out=logits)
            else:
                logits.copy_(torch.bmm(x, table.mT, out_dtype=logits.dtype)).add_(bias[:, None])
            for first in range(0, x.shape[1], piece):
                values = logits[:, first : first + piece]
                at = slice(start + first, start + first + values.shape[1])
                loss, right, total = _exponentials(values, targets[:, at, None])
                losses.append(loss)
                correct.append(right)
                if learns:
                    weight = weights[:, at, None]
                    values.mul_(weight / total).scatter_add_(2, targets[:, at, None], -weight)
                    bias_gradient += values.sum(1)
            if learns:
                gradient = logits.to(x.dtype)
                hidden_gradient[:, start : start + block] = gradient @ table
                if table_gradient.dtype == x.dtype:  # what the first block writes, the others add to
                    torch.baddbmm(table_gradient, gradient.mT, x, beta=float(start > 0), out=table_gradient)
                else:
                    table_gradient.copy_(gradient.mT @ x)
        losses, correct = torch.cat(losses, 1), torch.cat(correct, 1)
        if not learns:
            return Predictions(losses, correct)
        return Predictions(losses, correct, hidden_gradient.to(bias.dtype), bias_gradient)


def _exponentials(values, sought):
    """Turn logits (member, row, token) in place into exp(logit - highest); return loss, correct and their sum."""
    wanted = values.gather(2, sought)  # (member, row, 1)
    others = values.scatter_(2, sought, -torch.inf).amax(2, keepdim=True)
    values.scatter_(2, sought, wanted)
    highest = torch.maximum(wanted, others)
    total = values.sub_(highest).exp_().sum(2, keepdim=True)
    loss = total.log() + highest - wanted
    return loss[..., 0], (wanted > others)[..., 0], total
