"""Toy transformers with weights that no initialisation has, and members one by one."""

import torch
from torch import nn

from headatlas.models import transformer

SEEDS = [5, 6, 7]


def perturbed(architecture, seeds=SEEDS):
    """Initial weights with biases and LayerNorms that matter."""
    generator = torch.Generator().manual_seed(0)
    weights = transformer.initial_weights(architecture, seeds)
    return {name: value + 0.3 * torch.randn(value.shape, generator=generator) for name, value in weights.items()}


def one_by_one(weights, architecture, tokens, pad, replace=lambda layer, head, mixed: mixed):
    """Logits of one member, one prompt: loops over heads and queries, from the definitions.

    `replace` is given each head's output, (position, d_head), and returns what goes on in its place.
    """
    a = architecture

    def norm(x, name):
        if f"{name}.weight" not in weights:
            return x
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    table = weights["token_embedding"]
    looked_up = nn.Embedding(*table.shape, max_norm=a.embedding_max_norm, _weight=table.clone())
    x = looked_up(tokens).detach() + weights["position_embedding"][: len(tokens)]
    patterns = []
    for layer in range(a.layers):
        block = f"layers.{0 if a.tied_layers else layer}"
        normed, written = norm(x, f"{block}.norm_attention"), torch.zeros_like(x)
        pattern = x.new_zeros(a.heads, len(tokens), len(tokens))
        for head in range(a.heads):
            part = {
                name: normed @ weights[f"{block}.attention.{name}.weight"][:, head]
                + weights[f"{block}.attention.{name}.bias"][head]
                for name in ("query", "key", "value")
            }
            for query in range(len(tokens)):
                seen = [key for key in range(len(tokens)) if key == query or tokens[key] != pad]
                seen = [key for key in seen if key <= query or not a.causal]
                scores = torch.stack([part["query"][query] @ part["key"][key] for key in seen]) / a.d_head**0.5
                pattern[head, query, seen] = scores.softmax(0)
            mixed = replace(layer, head, pattern[head] @ part["value"])
            written += mixed @ weights[f"{block}.attention.output.weight"][head]
        patterns.append(pattern)
        written += weights[f"{block}.attention.output.bias"]
        x = x + written if a.residual else written
        if a.activation != "none":
            inner = norm(x, f"{block}.norm_mlp") @ weights[f"{block}.mlp.in.weight"] + weights[f"{block}.mlp.in.bias"]
            if a.activation == "relu":
                inner = inner.clamp(min=0)
            elif a.activation == "gelu":
                inner = 0.5 * inner * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (inner + 0.044715 * inner**3)))
            elif a.activation == "solu_ln":
                inner = norm(inner * inner.exp() / inner.exp().sum(-1, keepdim=True), f"{block}.mlp.norm")
            written = inner @ weights[f"{block}.mlp.out.weight"] + weights[f"{block}.mlp.out.bias"]
            x = x + written if a.residual else written
    unembedding = table.T if a.tied_unembedding else weights["unembedding.weight"]
    return norm(x, "norm_final") @ unembedding + weights["unembedding.bias"], patterns
