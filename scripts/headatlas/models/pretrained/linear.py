"""A model with its norms reduced to their scales: what is left of a path through it is then a linear map, or is not."""

from contextlib import contextmanager

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from headatlas.base.errors import InputError

_RTOL = 1e-3  # by which a map may miss being linear, of its largest entry
_ACTIVATIONS = {functional.gelu, functional.relu, functional.silu, torch.tanh, torch.Tensor.tanh, torch.relu}
_ACTIVATION_MODULES = ("transformers.activations", "torch.nn.modules.activation")


class NotLinearError(Exception):
    """A path of which no matrix can be given; its message says which."""


class _WithoutActivations(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in _ACTIVATIONS:
            return args[0]
        if function is torch.erf:  # of a GELU written out: x (1 + erf) / 2
            return torch.ones_like(args[0])
        return function(*args, **(kwargs or {}))


@contextmanager
def linearised(module, activations=False):
    """While this lasts, every norm in a module multiplies by its scale alone: no centring, no division, no bias.

    Parameters
    ----------
    module : torch.nn.Module
    activations : bool
        Non-linear functions let everything through too.
    """
    patched = []
    for part in module.modules():
        if "Norm" in type(part).__name__ and not list(part.children()):
            part.forward = _scaling(part, part.forward)
            patched.append(part)
        elif activations and type(part).__module__ in _ACTIVATION_MODULES and not isinstance(part, _ATTENTION):
            part.forward = _same
            patched.append(part)
    try:
        if activations:
            with _WithoutActivations():
                yield
        else:
            yield
    finally:
        for part in patched:
            del part.forward


_ATTENTION = torch.nn.MultiheadAttention  # torch keeps it among its activations


def _same(inputs):
    return inputs


def _scaling(norm, forward):
    """What a norm does when it is reduced to its scale; the scale is found when it is first asked for a shape."""
    found = {}

    def scaled(inputs, *others, **more):
        if any(isinstance(other, torch.Tensor) for other in (*others, *more.values())):
            raise NotLinearError(f"{type(norm).__name__} reads a gate beside what it normalises")
        shape = inputs.shape[1:]
        if shape not in found:
            found[shape] = scale(forward, shape, inputs)
        return forward(inputs) if found[shape] is None else inputs * found[shape]

    return scaled


def scale(norm, shape, like):
    """What a norm multiplies by, once it has normalised: found from what it does, whatever it calls its weight.

    Parameters
    ----------
    norm : callable
    shape : tuple of int
        Of one of its inputs, (..., width).
    like : Tensor
        Of the type and on the device of its inputs.

    Returns
    -------
    Tensor of shape (1, ...), or None for a norm that is a linear map already

    Raises
    ------
    NotLinearError
        If it neither divides by the root mean square nor, centred, by the standard deviation of the last axis.
    """
    generator = torch.Generator().manual_seed(0)
    one, other = (10 * torch.randn(1, *shape, generator=generator).to(like) for _ in range(2))
    shift = norm(torch.zeros_like(one))
    for centred in (False, True):
        factor = (norm(one) - shift) / _normalised(one, centred)
        if _alike(factor * _normalised(other, centred), norm(other) - shift):
            return factor
    if _alike(2 * (norm(one) - shift), norm(2 * one) - shift):
        return None
    raise NotLinearError("a norm divides by neither the root mean square nor the standard deviation of the last axis")


def _normalised(inputs, centred):
    inputs = inputs - inputs.mean(-1, keepdim=True) if centred else inputs
    return inputs / inputs.square().mean(-1, keepdim=True).sqrt()


def _alike(one, other):
    return bool((one - other).abs().max() <= _RTOL * other.abs().max())


def probes(width, like):
    """Rows that tell a linear map: nothing, each direction alone, and two at random that tell whether it is one."""
    generator = torch.Generator().manual_seed(1)
    random = torch.randn(2, width, generator=generator)
    return torch.cat([torch.zeros(1, width), torch.eye(width), random]).to(like)


def matrix(answers, what):
    """The matrix of a map from what it gave for `probes`: (width, ...) from answers (width + 3, ...).

    Raises
    ------
    NotLinearError
        If the map is not linear (up to a constant); the message begins with `what`.
    """
    width = len(answers) - 3
    found = answers[1:-2] - answers[0]  # (width, ...)
    random = probes(width, answers)[-2:]
    if not torch.isfinite(answers).all() or not _alike(torch.tensordot(random, found, 1), answers[-2:] - answers[0]):
        raise NotLinearError(f"{what} are no linear map of what a layer reads")
    return found


def refused(model_type, error):
    """The error of a model whose head weights cannot be had."""
    return InputError(
        f"model type {model_type!r}: its OV and QK weights cannot be had, {error}; "
        "leave out the scores from weights for this model"
    )
