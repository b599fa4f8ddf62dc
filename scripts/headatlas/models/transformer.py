"""The toy transformer, as functions of a mapping of stacked weights.

Every tensor has a leading member axis: a family of independently seeded networks is one set of
weights, and each function computes all of its members at once. The structure is that of
TransformerLens's `HookedTransformer`: pre-LayerNorm blocks with biases everywhere, a final
LayerNorm and an unembedding with a bias (Elhage et al. 2021, "A mathematical framework for
transformer circuits"); the options strip it down to the models of Edkins & Wiechecki 2023
("Attention phrenology") and Jayakumar et al. ("Interpretability of Transformer Circuits").
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn import functional

from headatlas.base.errors import InputError

ACTIVATIONS = ("none", "identity", "relu", "gelu", "solu_ln")


@dataclass(frozen=True)
class Architecture:
    """What a toy transformer is made of.

    Parameters
    ----------
    vocabulary, context, layers, heads, d_model, d_head : int
        Number of token ids, longest window, blocks, heads in a block, and widths.
    d_mlp : int
        Width of the MLP's hidden layer; not used without one.
    activation : {"none", "identity", "relu", "gelu", "solu_ln"}
        "none" leaves the MLP out; "identity" keeps it without a non-linearity (Jayakumar et al.);
        "solu_ln" is x * softmax(x) followed by a LayerNorm (Elhage et al. 2022, "Softmax linear units").
    residual : bool
        Whether a block's output is added to its input, or replaces it (Jayakumar et al.).
    layer_norm : bool
        Whether there is a LayerNorm before attention, before the MLP and before the unembedding.
    tied_layers : bool
        Whether the same block is applied `layers` times.
    causal : bool
        Whether a position sees its past only (next-token prediction) or all (masked tokens).
    tied_unembedding : bool
        Whether the unembedding is the transposed token embedding.
    embedding_max_norm : float or None
        Longest a token's embedding may be, as in `torch.nn.Embedding(max_norm=...)`.
    """

    vocabulary: int
    context: int
    layers: int
    heads: int
    d_model: int
    d_head: int
    d_mlp: int
    activation: str
    residual: bool
    layer_norm: bool
    tied_layers: bool
    causal: bool
    tied_unembedding: bool
    embedding_max_norm: float | None

    def __post_init__(self):
        for name in ("vocabulary", "context", "layers", "heads", "d_model", "d_head"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: {getattr(self, name)} is too small: a transformer needs at least 1")
        if self.activation not in ACTIVATIONS:
            raise InputError(f"activation: {self.activation!r} is not known: choose one of {', '.join(ACTIVATIONS)}")
        if self.activation != "none" and self.d_mlp < 1:
            raise InputError(f"d_mlp: {self.d_mlp} is too small for an MLP: at least 1, or activation none")
        if self.embedding_max_norm is not None and not self.embedding_max_norm > 0:
            raise InputError(f"embedding_max_norm: {self.embedding_max_norm} must be above 0, or null for no limit")


class LayerAttention(NamedTuple):
    """What the heads of one layer did."""

    layer: int
    queries: torch.Tensor  # (member, batch, head, position, d_head)
    keys: torch.Tensor  # (member, batch, head, position, d_head)
    pattern: torch.Tensor  # (member, batch, head, query, key)
    values: torch.Tensor | None = None  # (member, batch, head, position, d_head), where they were asked for


def shapes(architecture):
    """The shape of every weight without its member axis, by name, in the order they are drawn."""
    a = architecture
    norm = {"weight": (a.d_model,), "bias": (a.d_model,)}
    block = {f"norm_attention.{name}": shape for name, shape in norm.items()} if a.layer_norm else {}
    for part in ("query", "key", "value"):
        block[f"attention.{part}.weight"] = (a.d_model, a.heads, a.d_head)
        block[f"attention.{part}.bias"] = (a.heads, a.d_head)
    block["attention.output.weight"] = (a.heads, a.d_head, a.d_model)
    block["attention.output.bias"] = (a.d_model,)
    if a.activation != "none":
        if a.layer_norm:
            block |= {f"norm_mlp.{name}": shape for name, shape in norm.items()}
        block |= {"mlp.in.weight": (a.d_model, a.d_mlp), "mlp.in.bias": (a.d_mlp,)}
        if a.activation == "solu_ln":
            block |= {"mlp.norm.weight": (a.d_mlp,), "mlp.norm.bias": (a.d_mlp,)}
        block |= {"mlp.out.weight": (a.d_mlp, a.d_model), "mlp.out.bias": (a.d_model,)}

    every = {"token_embedding": (a.vocabulary, a.d_model), "position_embedding": (a.context, a.d_model)}
    for layer in range(1 if a.tied_layers else a.layers):
        every |= {f"layers.{layer}.{name}": shape for name, shape in block.items()}
    if a.layer_norm:
        every |= {f"norm_final.{name}": shape for name, shape in norm.items()}
    if not a.tied_unembedding:
        every["unembedding.weight"] = (a.d_model, a.vocabulary)
    every["unembedding.bias"] = (a.vocabulary,)
    return every


def initial_weights(architecture, seeds):
    """Draw the weights of a family; those of member i depend on `seeds[i]` alone.

    Embeddings and matrices are normal with standard deviation 0.8 / sqrt(d_model), biases are 0 and
    LayerNorms the identity (TransformerLens's default).

    Parameters
    ----------
    architecture : Architecture
    seeds : sequence of int
        One for each member.

    Returns
    -------
    dict of str to Tensor
        float32, each of shape (member, ...); the names are those of `shapes`.
    """
    deviation = 0.8 / math.sqrt(architecture.d_model)
    generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
    weights = {}
    for name, shape in shapes(architecture).items():
        if name.endswith("bias"):
            weights[name] = torch.zeros(len(generators), *shape)
        elif "norm" in name:
            weights[name] = torch.ones(len(generators), *shape)
        else:
            drawn = torch.empty(len(generators), *shape)
            for member, generator in enumerate(generators):
                drawn[member].normal_(0.0, deviation, generator=generator)
            weights[name] = drawn
    return weights


def attention_layers(weights, architecture, tokens, pad=None, values=False):
    """Yield what the heads do, layer by layer, computing nothing that no pattern depends on, or values if asked for.

    Parameters
    ----------
    weights : dict of str to Tensor, each of shape (member, ...)
    architecture : Architecture
    tokens : integer Tensor of shape (member or 1, batch, position)
        With a leading 1, all members read the same tokens.
    pad : int, optional
        Token that is never attended to; a query that is itself padding also sees itself, so that
        every row sums to one.
    values : bool
        Whether values are wanted, also the last layer's.

    Yields
    ------
    LayerAttention
        One for each layer; rows of `pattern` (over keys) sum to one.
    """
    barrier = _barrier(architecture, tokens, pad)
    x = _embedded(weights, architecture, tokens)
    for layer in range(architecture.layers):
        block = _block(weights, architecture, layer)
        normed = _norm(x, block, "norm_attention")
        queries, keys = _heads(normed, block, "query"), _heads(normed, block, "key")
        pattern = _pattern(queries, keys, barrier)
        last = layer + 1 == architecture.layers
        carried = _heads(normed, block, "value") if values or not last else None
        yield LayerAttention(layer, queries, keys, pattern, carried if values else None)
        if not last:
            mixed = pattern @ carried  # (member, batch, head, position, d_head)
            x = _after_block(x, mixed, block, architecture)


def hidden(weights, architecture, tokens, pad=None, rows=None, visit=None):
    """What the unembedding reads: the residual stream after the last block and the final LayerNorm.

    Parameters are those of `attention_layers`, and `rows`: what `token_rows` gives, where a caller
    wants the gradient of the rows looked up rather than of the whole table; and `visit`: a callable
    that is given every layer's number, pattern (member, batch, head, query, key) and head outputs
    (member, batch, head, position, d_head), and returns the outputs that the layer goes on with.

    Returns
    -------
    Tensor of shape (member, batch, position, d_model)
    """
    barrier = _barrier(architecture, tokens, pad)
    x = _embedded(weights, architecture, tokens, rows)
    for layer in range(architecture.layers):
        block = _block(weights, architecture, layer)
        normed = _norm(x, block, "norm_attention")
        queries, keys, values = (_heads(normed, block, part) for part in ("query", "key", "value"))
        pattern = _pattern(queries, keys, barrier)
        mixed = pattern @ values  # (member, batch, head, position, d_head)
        mixed = mixed if visit is None else visit(layer, pattern, mixed)
        x = _after_block(x, mixed, block, architecture)
    return _norm(x, weights, "norm_final")


def logits(weights, architecture, tokens, pad=None):
    """Unnormalised log-probabilities of every token id; parameters are those of `attention_layers`.

    Returns
    -------
    Tensor of shape (member, batch, position, vocabulary)
        For a causal model, position t predicts token t + 1; for the other kind, token t.
    """
    x = hidden(weights, architecture, tokens, pad)
    return _linear(x, unembedding_matrix(weights, architecture), weights["unembedding.bias"])


def unembedding_matrix(weights, architecture):
    """The matrix from the residual stream to logits, (member, d_model, vocabulary): a view, tied or not."""
    if architecture.tied_unembedding:
        return weights["token_embedding"].transpose(1, 2)
    return weights["unembedding.weight"]


def within_norm(rows, limit):
    """Shorten the rows longer than `limit`, by the rule of `torch.nn.Embedding(max_norm=limit)`.

    The factor carries no gradient, as there.

    Parameters
    ----------
    rows : Tensor of shape (..., d_model)
    limit : float or None
        None leaves all rows as they are.
    """
    if limit is None:
        return rows
    with torch.no_grad():
        norms = rows.norm(dim=-1, keepdim=True)
        factors = torch.where(norms > limit, limit / (norms + 1e-7), 1.0)
    return rows * factors


def token_rows(weights, architecture, tokens):
    """Embeddings of tokens (member or 1, batch, position) as (member, batch, position, d_model)."""
    table = weights["token_embedding"]
    members, vocabulary, width = table.shape
    first = torch.arange(members, device=tokens.device).view(-1, 1, 1) * vocabulary
    rows = functional.embedding(tokens + first, table.reshape(-1, width))
    return within_norm(rows, architecture.embedding_max_norm)


def _embedded(weights, architecture, tokens, rows=None):
    size = tokens.shape[-1]
    if size > architecture.context:
        raise InputError(f"a window of {size} tokens is too long: the model's context is {architecture.context}")
    rows = token_rows(weights, architecture, tokens) if rows is None else rows
    return rows + weights["position_embedding"][:, None, :size]  # (member, batch, position, d_model)


def _barrier(architecture, tokens, pad):
    """Added to a query's scores, broadcastable to (member, batch, head, query, key): 0, or minus infinity where it may
    not see a key; None where it sees all."""
    size, device = tokens.shape[-1], tokens.device
    past = torch.ones(size, size, dtype=torch.bool, device=device).tril()
    if pad is None and not architecture.causal:
        return None
    allowed = past
    if pad is not None:
        real = (tokens != pad)[:, :, None, None, :]  # (member, batch, 1, 1, key)
        itself = torch.eye(size, dtype=torch.bool, device=device)
        allowed = (real & past if architecture.causal else real) | itself
    return torch.zeros(allowed.shape, device=device).masked_fill_(~allowed, -math.inf)


def _block(weights, architecture, layer):
    prefix = f"layers.{0 if architecture.tied_layers else layer}."
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def _linear(x, weight, bias):
    """x (member, ..., in) times weight (member, in, out) plus bias (member, out), each member by itself."""
    rows = x.flatten(1, -2)  # (member, row, in)
    return torch.baddbmm(bias[:, None], rows, weight).view(*x.shape[:-1], -1)


def _norm(x, weights, name):
    """LayerNorm with weights (member, width); nothing where the architecture has none."""
    weight, bias = weights.get(f"{name}.weight"), weights.get(f"{name}.bias")
    if weight is None:
        return x
    if len(weight) == 1:  # one fused call
        return functional.layer_norm(x, x.shape[-1:], weight[0], bias[0])
    shape = (-1, *[1] * (x.ndim - 2), x.shape[-1])
    return torch.addcmul(bias.view(shape), functional.layer_norm(x, x.shape[-1:]), weight.view(shape))


def _heads(x, block, part):
    """Queries, keys or values, (member, batch, head, position, d_head)."""
    weight, bias = block[f"attention.{part}.weight"], block[f"attention.{part}.bias"]
    mapped = _linear(x, weight.flatten(2), bias.flatten(1))  # (member, batch, position, head * d_head)
    return mapped.unflatten(-1, weight.shape[2:]).transpose(2, 3)


def _pattern(queries, keys, barrier):
    scores = queries / math.sqrt(queries.shape[-1]) @ keys.transpose(-1, -2)  # (member, batch, head, query, key)
    if barrier is not None:
        scores += barrier
    return scores.softmax(-1)


def _after_block(x, mixed, block, architecture):
    """The stream after a block whose heads mixed their values to (member, batch, head, position, d_head)."""
    return _after_mlp(_after_attention(x, mixed, block, architecture), block, architecture)


def _after_attention(x, mixed, block, architecture):
    together = mixed.transpose(2, 3).flatten(-2)  # (member, batch, position, head * d_head)
    written = _linear(together, block["attention.output.weight"].flatten(1, 2), block["attention.output.bias"])
    return x + written if architecture.residual else written


def _after_mlp(x, block, architecture):
    if architecture.activation == "none":
        return x
    inner = _linear(_norm(x, block, "norm_mlp"), block["mlp.in.weight"], block["mlp.in.bias"])
    inner = _activated(inner, block, architecture.activation)  # (member, batch, position, d_mlp)
    written = _linear(inner, block["mlp.out.weight"], block["mlp.out.bias"])
    return x + written if architecture.residual else written


def _activated(x, block, activation):
    if activation == "relu":
        return x.relu()
    if activation == "gelu":
        return functional.gelu(x, approximate="tanh")  # GPT-2's
    if activation == "solu_ln":
        return _norm(x * x.softmax(-1), block, "mlp.norm")
    return x
