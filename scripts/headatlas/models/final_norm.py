"""The norm before the unembedding, held to the sizes that the stream had on an intact run.

A norm divides the stream by its size, which falls when heads are ablated: what is left of it then counts for more. So
two heads that do nothing but add to a logit seem to stand in for one another. With the sizes held to those of the
intact run, logits are sums over what the parts of a model write, and what heads add to them adds up.
"""

from contextlib import contextmanager

import torch

from headatlas.models import transformer

_EPSILON = 1e-5  # of PyTorch's LayerNorm


def size(x, centred, epsilon=_EPSILON):
    """What a norm divides by, (..., 1): the standard deviation, or of norms that do not centre the root mean square."""
    x = x - x.mean(-1, keepdim=True) if centred else x
    return (x.square().mean(-1, keepdim=True) + epsilon).sqrt()


def held(normed, x, sizes, offset, centred, epsilon=_EPSILON):
    """What a norm would have given, had it divided by other sizes than those of its input.

    Parameters
    ----------
    normed, x : Tensor of shape (prompt, position, width)
        What it gave, and what it was given.
    sizes : Tensor of shape (prompt, position, 1)
    offset : Tensor of shape (width,), or 0
        What it adds at the end.
    centred : bool
        Whether it takes out the mean.
    epsilon : float

    Returns
    -------
    Tensor of the shape of `normed`
    """
    return offset + (normed - offset) * (size(x, centred, epsilon) / sizes)


def of_toy(weights, x, sizes=None):
    """What the readout of a toy model of one member reads of its stream (member, prompt, position, d_model)."""
    normed = transformer._norm(x, weights, "norm_final")
    if sizes is None or "norm_final.weight" not in weights:
        return normed[0]
    return held(normed[0], x[0], sizes, weights["norm_final.bias"][0], centred=True)


class FinalNorm:
    """The module that gives what the readout of a model of `transformers` reads, where that is a norm.

    Attributes
    ----------
    sizes : Tensor of shape (prompt, position, 1), or None
        What it divided by on the run in which it was looked for; None where no such module was found.
    """

    def __init__(self):
        self.sizes, self._calls = None, []

    @contextmanager
    def looking(self):
        """While this lasts, every norm that is called is noted; then `settle` with what the readout read."""

        def after(module, inputs, output):
            if "norm" in type(module).__name__.lower() and torch.is_tensor(output):
                self._calls.append((module, inputs[0], output))

        hook = torch.nn.modules.module.register_module_forward_hook(after)
        try:
            yield
        finally:
            hook.remove()

    def settle(self, hidden):
        """Find the norm among those that were noted: the one called once whose output is what the readout read."""
        calls, self._calls = self._calls, []
        found = [call for call in calls if call[2].shape == hidden.shape and torch.equal(call[2], hidden)]
        if not found or sum(module is found[-1][0] for module, *_ in calls) > 1:
            return
        module, x, normed = found[-1]
        self._module, bias = module, getattr(module, "bias", None)
        self._offset = 0 if bias is None else bias.detach()
        self._epsilon = getattr(module, "eps", getattr(module, "variance_epsilon", 0))
        for centred in (True, False):
            sizes = size(x, centred, self._epsilon)
            part = (x - x.mean(-1, keepdim=True) if centred else x).flatten(0, -2)
            scaled = ((normed - self._offset) * sizes).flatten(0, -2)
            gain = (scaled * part).sum(0) / part.square().sum(0).clamp(min=1e-12)
            if torch.allclose(scaled, gain * part, rtol=1e-3, atol=1e-3 * float(scaled.abs().max())):
                self.sizes, self._centred = sizes, centred
                return

    @contextmanager
    def holding(self, sizes):
        """While this lasts, the norm divides by these sizes."""

        def after(_, inputs, output):
            return held(output, inputs[0], sizes, self._offset, self._centred, self._epsilon)

        hook = self._module.register_forward_hook(after)
        try:
            yield
        finally:
            hook.remove()
