"""What the attention heads of a model of `transformers` do while it runs: seen, and changed on the way.

Most models call `transformers`' registry of attention functions; while one is watched, `attend` stands there in the
place of the model's own eager function. Models with attention code of their own run as they are, and the operations
that they call are watched: attention is a softmax, over the last axis, of what a product of two tensors gave, whose
result is multiplied with a third. In both ways a model does what its eager implementation does.
"""

import threading
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import NamedTuple

import torch
import transformers
from torch.nn import functional
from torch.overrides import TorchFunctionMode

EAGER = "eager"  # the implementation that every model has and that forms patterns


class Seen(NamedTuple):
    """What one call of attention saw; keys and values are repeated for the heads that share them."""

    queries: torch.Tensor  # (batch, head, query, d_head)
    keys: torch.Tensor  # (batch, head, key, d_head)
    values: torch.Tensor  # (batch, head, key, d_value)
    pattern: torch.Tensor  # (batch, head, query, key)
    scaling: float | None  # scores are q.k times it, and what else enters them; None where it was not asked for
    softcap: float | None = None


class NotAPatternError(Exception):
    """Attention that is not a softmax over tokens whose every term is known; its message says why."""


class AllLayersSeen(Exception):
    """Ends a forward pass after its last pattern: neither the last layer's output nor logits are needed."""


class Capture:
    """What was seen in one forward pass, in call order: layers that share their weights have one module.

    Parameters
    ----------
    stop_after : int, optional
        Calls after which the pass ends.
    keep : callable, optional
        From a `Seen` to what is kept of it in `layers`.
    """

    def __init__(self, stop_after=None, keep=None):
        self.layers, self._stop_after, self._keep = [], stop_after, keep

    def add(self, seen):
        self.layers.append(seen if self._keep is None else self._keep(seen))
        if len(self.layers) == self._stop_after:
            raise AllLayersSeen


_capture = ContextVar("headatlas_capture", default=None)
_visit = ContextVar("headatlas_visit", default=None)  # the same, given the patterns too
_edit = ContextVar("headatlas_edit", default=None)  # what replaces the heads' outputs, called layer by layer
_watched = ContextVar("headatlas_watched", default=False)
_standing_in, _lock = 0, threading.Lock()


@contextmanager
def watched(own_code=None, *, capture=None, visit=None, edit=None):
    """While this lasts, what the heads of a model do is seen and may be changed.

    Parameters
    ----------
    own_code : OwnCode, optional
        For a model with attention code of its own; without it, its calls of the registry are watched.
    capture : Capture, optional
        Told of every layer's attention in turn.
    visit : callable, optional
        Given the pattern (batch, head, query, key) and the outputs (batch, position, head, d_value) of every layer in
        turn; it returns the outputs that the layer goes on with.
    edit : callable, optional
        The same, given the outputs alone.
    """
    given = [(_capture, capture), (_visit, visit), (_edit, edit)]
    tokens = [(variable, variable.set(value)) for variable, value in given if value is not None]
    tokens.append((_watched, _watched.set(True)))
    already = tokens[-1][1].old_value is True
    try:
        with nullcontext() if already else own_code or _in_the_registry():
            yield
    finally:
        for variable, token in reversed(tokens):
            variable.reset(token)


@contextmanager
def _in_the_registry():
    """`attend` stands where models look up what "eager" means, which else is their own eager function."""
    global _standing_in
    functions = transformers.AttentionInterface._global_mapping
    with _lock:
        functions[EAGER] = attend
        _standing_in += 1
    try:
        yield
    finally:
        with _lock:
            _standing_in -= 1
            if not _standing_in:
                del functions[EAGER]


def _shown(seen, outputs):
    """The outputs (batch, position, head, d_value) that a layer goes on with, once whoever watches has seen it."""
    capture, visit, edit = _capture.get(), _visit.get(), _edit.get()
    if capture is not None:
        capture.add(seen)
    outputs = outputs if visit is None else visit(seen.pattern, outputs)
    return outputs if edit is None else edit(outputs)


# What models hand to their attention function besides, without an effect on what it computes here.
_WITHOUT_EFFECT = {"position_ids", "position_embeddings", "cache_position", "past_key_values", "hidden_states"}
_SINKS = ("s_aux", "sinks")


def attend(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **kwargs):
    """An attention function of `transformers` that shows what it does to whoever watches."""
    scaling = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
    groups = query.shape[1] // key.shape[1]
    if groups > 1:  # grouped-query attention: a key head serves neighbouring query heads
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    _require_known(module, kwargs)

    scores = (query.float() @ key.float().transpose(-1, -2)).mul_(scaling)  # (batch, head, query, key)
    if kwargs.get("softcap") is not None:
        scores = torch.tanh(scores / kwargs["softcap"]) * kwargs["softcap"]
    if kwargs.get("position_bias") is not None:
        scores = scores + kwargs["position_bias"].float()
    pattern = _masked(scores, attention_mask, _is_causal(module, kwargs)).softmax(-1)

    mixed = (pattern.to(value.dtype) @ value).transpose(1, 2).contiguous()  # (batch, position, head, d_value)
    return _shown(Seen(query, key, value, pattern, scaling, kwargs.get("softcap")), mixed), None


def _require_known(module, kwargs):
    if any(kwargs.get(sink) is not None for sink in _SINKS):
        raise NotAPatternError("part of each row goes to no token (attention sinks), so that rows do not sum to one")
    known = _WITHOUT_EFFECT | {"softcap", "position_bias", "is_causal", "sliding_window"}
    for key, value in kwargs.items():
        if isinstance(value, torch.Tensor) and key not in known:
            raise NotAPatternError(
                f"{type(module).__name__} gives its attention function {key}, of which it is not known what it does"
            )


def _is_causal(module, kwargs):
    given = kwargs.get("is_causal")
    return getattr(module, "is_causal", False) if given is None else given


def _masked(scores, mask, causal):
    """Scores with -inf where a query may not look; a query that may look nowhere (padding) sees itself."""
    size, length = scores.shape[-2:]
    if mask is None:
        if not causal or size == 1:
            return scores
        blocked = torch.ones(size, length, dtype=torch.bool, device=scores.device).triu(length - size + 1)
        return scores.masked_fill(blocked, -torch.inf)
    mask = mask[..., :length]
    if mask.dtype == torch.bool:
        blocked = ~mask
    else:
        blocked = mask <= torch.finfo(mask.dtype).min / 2
        scores = scores + mask.float()
    nowhere = blocked.all(-1, keepdim=True)
    itself = torch.eye(size, length, dtype=torch.bool, device=scores.device)
    return scores.masked_fill(blocked & ~(nowhere & itself), -torch.inf).masked_fill(nowhere & itself, 0.0)


_SOFTMAX = {functional.softmax, torch.softmax, torch.Tensor.softmax}
_PRODUCTS = {torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm, torch.Tensor.bmm}
_ADDED_PRODUCTS = {torch.baddbmm, torch.Tensor.baddbmm}
_CASTS = {torch.Tensor.to, torch.Tensor.type, torch.Tensor.type_as, torch.Tensor.float, torch.Tensor.half}


class OwnCode(TorchFunctionMode):
    """Watches the operations of a model that does not call the registry.

    Parameters
    ----------
    heads : int, optional
        How many heads a layer has, where that is known; else `batch` must be given.
    batch : int, optional
        How many sequences a pass has.
    measuring : bool
        Each layer's scaling is found too, as the derivative of its scores by its products of queries and keys.
    """

    def __init__(self, heads=None, batch=None, measuring=False):
        super().__init__()
        self._heads, self._batch, self._measuring = heads, batch, measuring
        self._products, self._attention = [], None

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in _SOFTMAX:
            return self._softmax(function, args, kwargs)
        if function in _PRODUCTS:
            return self._product(function, args, kwargs, *args[:2])
        if function in _ADDED_PRODUCTS:
            left = args[1] if len(args) > 1 else kwargs["batch1"]
            right = args[2] if len(args) > 2 else kwargs["batch2"]
            return self._product(function, args, kwargs, left, right, kwargs.get("alpha", 1.0))
        found = function(*args, **kwargs)
        if self._attention is not None and function in _CASTS and _same_storage(args[0], self._attention[2]):
            self._attention = (*self._attention[:2], found, self._attention[3])
        return found

    def _softmax(self, function, args, kwargs):
        pattern, scores = function(*args, **kwargs), args[0]
        if scores.ndim < 3:
            return pattern
        for left, right, product, factor in self._products:
            if product.numel() == scores.numel() and product.shape[-2:] == scores.shape[-2:]:
                slope = self._slope(scores, product)
                if slope is None and self._measuring:
                    continue
                scaling = None if slope is None else slope * factor
                pattern = _itself_where_nowhere(pattern, scores)
                self._attention = (left, right, pattern, scaling)
                break
        self._products.clear()
        return pattern

    def _product(self, function, args, kwargs, left, right, factor=1.0):
        found = function(*args, **kwargs)
        if self._attention is not None and _same_storage(left, self._attention[2]):
            return self._mixed(found, right)
        if found.ndim >= 3 and left.ndim >= 3 and right.ndim >= 3:
            if self._measuring and torch.is_grad_enabled():
                leaf = found.detach().requires_grad_()
                found = leaf.clone()
                self._products.append((left, right, leaf, factor))
            else:
                self._products.append((left, right, found, factor))
        return found

    def _slope(self, scores, product):
        if not self._measuring or not scores.requires_grad:
            return None
        slope = torch.autograd.grad(scores.sum(), product, allow_unused=True, retain_graph=True)[0]
        return None if slope is None else float(slope.max())

    def _mixed(self, outputs, values):
        """The product of a pattern and values, as the model goes on with it."""
        queries, keys, pattern, scaling = self._attention
        self._attention = None
        self._products.clear()
        rows = outputs.shape[:-2].numel()
        heads = self._heads or rows // self._batch
        by_head = [self._by_head(part, rows, heads) for part in (queries, keys.transpose(-1, -2), values, pattern)]
        mixed = self._by_head(outputs, rows, heads).transpose(1, 2)
        shown = _shown(Seen(*by_head, scaling), mixed)
        return outputs if shown is mixed else shown.transpose(1, 2).reshape(outputs.shape)

    @staticmethod
    def _by_head(part, rows, heads):
        """A tensor of all heads, (batch, head, ...) whatever axes it had before its last two."""
        if part.ndim == 4 and part.shape[:2].numel() != rows:  # one head of keys for all
            part = part.expand(rows // heads, heads, *part.shape[-2:])
        return part.reshape(rows // heads, heads, *part.shape[-2:])


def _same_storage(one, other):
    return (
        isinstance(one, torch.Tensor)
        and one.numel() == other.numel()
        and one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
    )


def _itself_where_nowhere(pattern, scores):
    """A query that may look nowhere (padding) sees itself."""
    nowhere = scores.amax(-1, keepdim=True) <= torch.finfo(scores.dtype).min / 4
    if not nowhere.any():
        return pattern
    itself = torch.eye(*scores.shape[-2:], dtype=pattern.dtype, device=pattern.device)
    return torch.where(nowhere, itself, pattern)
