"""Passes of a model of `transformers` that begin at the heads of a layer, not at the tokens.

The model runs as it always does, with its own masks and positions, but the layers before are stepped over: each hands
on what it was given, and the layer itself is given the hidden states that were recorded on an undisturbed pass. The
module that forms its attention is not run either: its heads' outputs are known. Whether a type of model can be entered
so is found by looking at one pass and trying it.
"""

from contextlib import ExitStack, contextmanager
from itertools import count

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

_ATOL = 1e-4  # by which hidden states may miss those of a pass from the start, relative to their spread


class _NotSo(Exception):
    """The model cannot be entered at a layer; its message says why."""


class Restart:
    """Enters a model at the heads of a layer.

    Parameters
    ----------
    stack : list of torch.nn.Module
        The layers, in the order in which they run.
    attention : list of (torch.nn.Module, torch.nn.Module or None)
        Of each layer the module whose output the heads' outputs are, and what projects them within it, if it does.
    given_out : dict from torch.nn.Module to Tensor or tuple
        What those modules gave out once: in what form they do.
    """

    def __init__(self, stack, attention, given_out):
        self._stack, self._attention, self._given_out = stack, attention, given_out

    @contextmanager
    def at(self, layer, stream, heads):
        """While this lasts, a pass of the model begins at a layer's heads.

        Parameters
        ----------
        layer : int
        stream : Tensor of shape (batch, position, d_model)
            What enters the layer.
        heads : callable
            Called without arguments when the layer needs the outputs of its heads, (batch, position, head, d_head).
        """
        module, projection = self._attention[layer]

        def known(*args, **kwargs):
            mixed = heads().flatten(-2)
            return _as(self._given_out[module], mixed if projection is None else projection(mixed))

        def stepped_over(like):
            return lambda *args, **kwargs: _as(like, _hidden(args, kwargs))

        with ExitStack() as stack:
            for before in self._stack[:layer]:
                stack.enter_context(_instead(before, stepped_over(self._given_out[before])))
            handle = self._stack[layer].register_forward_pre_hook(_entering(stream), with_kwargs=True)
            stack.callback(handle.remove)
            stack.enter_context(_instead(module, known))
            yield

    @contextmanager
    def recording(self, layers=None):
        """While this lasts, what enters the layers (all when not given) is appended to the list that is given out."""
        streams = []

        def keep(_, args, kwargs):
            streams.append(_hidden(args, kwargs))

        handles = [
            self._stack[layer].register_forward_pre_hook(keep, with_kwargs=True)
            for layer in (range(len(self._stack)) if layers is None else layers)
        ]
        try:
            yield streams
        finally:
            for handle in handles:
                handle.remove()


def find(model, layers, run, editing):
    """How a model is entered at a layer.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    layers : int
        How many it has.
    run : callable
        Given a context manager, runs the model within it on a few sequences; returns what the readout reads.
    editing : callable
        `PretrainedFamily.editing`.

    Returns
    -------
    Restart or None
    reason : str or None
        Why it cannot be entered.
    """
    try:
        restart = _looked_at(model, layers, run, editing)
        _try(restart, layers, run, editing)
    except _NotSo as error:
        return None, str(error)
    except Exception as error:  # whatever the code of 200 types raises when its layers are stepped over
        return None, f"{type(error).__name__} when layers are stepped over"
    return restart, None


def _looked_at(model, layers, run, editing):
    """What one pass shows: which modules are the layers, which form attention, which project the heads' outputs."""
    seen, running, given_out = [], [], {}  # of each layer's attention: modules running, outputs of heads, what is next

    def before(module, _):
        leaf = not module._modules and module._parameters
        if seen and seen[-1]["next"] is None and leaf:
            seen[-1]["next"] = module
        running.append(module)

    def after(module, _, output):
        running.pop()
        given_out[module] = output

    def edit(mixed):
        seen.append({"modules": list(running), "heads": mixed, "next": None})
        return mixed

    handles = register_module_forward_pre_hook(before), register_module_forward_hook(after)
    try:
        run(editing(edit))
    finally:
        for handle in handles:
            handle.remove()
    if len(seen) != layers:
        raise _NotSo("its layers call attention another number of times")
    stack = _stack(model, [one["modules"] for one in seen])
    needed = [*stack, *(one["modules"][-1] for one in seen)]
    if any(not isinstance(given_out[module], torch.Tensor | tuple) for module in needed):
        raise _NotSo("its layers give out something else than hidden states")
    attention = [_formed(one, given_out[one["modules"][-1]]) for one in seen]
    return Restart(stack, attention, {module: given_out[module] for module in needed})


def _stack(model, running):
    """The list of layers in which the modules running at each layer's attention lie, each in another."""
    for modules in model.modules():
        if isinstance(modules, torch.nn.ModuleList) and len(modules) == len(running):
            layers = list(modules)
            if all(any(each is layer for each in at) for layer, at in zip(layers, running, strict=True)):
                return layers
    raise _NotSo("its layers are not one list")


def _formed(one, output):
    """The module that forms a layer's attention, and what projects the heads' outputs within it, if it does."""
    flat = one["heads"].flatten(-2)
    first = output if isinstance(output, torch.Tensor) else output[0]
    if first.shape == flat.shape and torch.equal(first, flat):
        return one["modules"][-1], None
    projection = one["next"]
    if projection is not None and torch.allclose(projection(flat), first, atol=1e-5):
        return one["modules"][-1], projection
    raise _NotSo("what its attention gives out is not a projection of its heads' outputs")


@torch.no_grad()
def _try(restart, layers, run, editing):
    """Passes begun at some layers, with outputs of heads doubled, must be what passes from the start are."""
    heads = []

    def keep(mixed):
        heads.append(mixed)
        return mixed

    with restart.recording() as streams:
        run(editing(keep))
    if any(stream.shape[:-1] != mixed.shape[:2] for stream, mixed in zip(streams, heads, strict=True)):
        raise _NotSo(f"what enters its layers is of shape {tuple(streams[0].shape)}, not batch, position and d_model")
    for layer in sorted({0, layers // 2, layers - 1}):
        numbers = count()
        slow = run(editing(lambda mixed, layer=layer, numbers=numbers: mixed * (1 + (next(numbers) == layer))))
        with restart.at(layer, streams[layer], lambda layer=layer: 2 * heads[layer]):
            fast = run(editing(lambda mixed: mixed))
        if not torch.allclose(fast, slow, atol=_ATOL * float(slow.std()), rtol=_ATOL):
            raise _NotSo(f"begun at layer {layer}, a pass gives something else than from the start")


def _hidden(args, kwargs):
    """The hidden states that a layer is given."""
    found = args[0] if args else kwargs.get("hidden_states")
    if not isinstance(found, torch.Tensor):
        raise _NotSo("its layers are not given hidden states")
    return found


def _entering(stream):
    def replace(_, args, kwargs):
        if args:
            return (stream, *args[1:]), kwargs
        return args, kwargs | {"hidden_states": stream}

    return replace


@contextmanager
def _instead(module, forward):
    """While this lasts, `forward` gives what a module gives out."""
    module.forward = forward
    try:
        yield
    finally:
        del module.forward


def _as(like, tensor):
    """A tensor in the form in which a module gives it out: by itself, or the first of several, the others nothing."""
    return tensor if isinstance(like, torch.Tensor) else (tensor, *[None] * (len(like) - 1))
