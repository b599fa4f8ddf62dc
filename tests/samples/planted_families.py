"""Families whose heads attend by a rule that the test wrote."""

import json
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import torch
from safetensors.torch import save_file

from architectures import architecture_of
from headatlas.base.errors import InputError
from headatlas.models import families, transformer

VOCABULARY, CONTEXT = 200, 42


class Planted:
    """A family of two members and one layer whose heads follow `rules`: of tokens (T,), the keys each query wants."""

    members, layers, d_head = 2, 1, 4
    device = torch.device("cpu")

    def __init__(self, rules, causal=True, weights=None):
        self.rules, self.causal, self.weights = rules, causal, weights
        self.heads, self.vocabulary, self.context, self.pad = len(rules), VOCABULARY, CONTEXT, 0
        self.window = CONTEXT

    layer_bytes = 1 << 10

    def window_bytes(self, size):
        return 1 << 10

    def attention(self, tokens, member):
        batch, size = tokens.shape
        allowed = np.tri(size) if self.causal else np.ones((size, size))
        pattern = np.empty((batch, self.heads, size, size), np.float32)
        for row in range(batch):
            for head, rule in enumerate(self.rules):
                wanted = rule(np.asarray(tokens[row])) * allowed  # (query, key)
                wanted = np.where(wanted.any(-1, keepdims=True), wanted, allowed)
                pattern[row, head] = wanted / wanted.sum(-1, keepdims=True)
        yield SimpleNamespace(layer=0, pattern=torch.from_numpy(pattern))

    def head_weights(self, member, layer):
        if self.weights is None:
            raise InputError("model type planted is not known")
        return self.weights


def uniform(tokens):
    return np.ones((len(tokens), len(tokens)))


def previous(tokens):
    return np.eye(len(tokens), k=-1)


def duplicate(tokens):
    return np.tril(tokens[:, None] == tokens[None, :], -1)


def after_earlier(tokens):
    return np.pad(duplicate(tokens), ((0, 0), (1, 0)))[:, :-1]


def before_later(tokens):
    return np.pad(np.triu(tokens[:, None] == tokens[None, :], 1), ((0, 0), (0, 1)))[:, 1:]


def wired_for_induction(folder):
    """A two-layer network wired by hand: head 0 of layer 0 notes the previous token, head 0 of layer 1 finds the note.

    The stream holds one-hot position, token and note; every head 1 is zero.
    """
    vocabulary, context = 30, 24
    settings = {"vocabulary": vocabulary, "context": context, "layers": 2, "heads": 2, "activation": "none"}
    settings |= {"d_model": context + 2 * vocabulary, "d_head": vocabulary, "layer_norm": False}
    architecture = architecture_of(**settings)
    weights = {name: torch.zeros_like(value) for name, value in transformer.initial_weights(architecture, [0]).items()}
    token, note = slice(context, context + vocabulary), slice(context + vocabulary, None)
    one = torch.eye(vocabulary)
    weights["token_embedding"][0, :, token] = one
    weights["position_embedding"][0, :, :context] = torch.eye(context)
    weights["unembedding.weight"][0, token] = one
    for layer, (asks, finds, writes) in enumerate(((slice(0, context), slice(0, context), note), (token, note, token))):
        part = {name: weights[f"layers.{layer}.attention.{name}.weight"][0] for name in ("query", "key", "value")}
        size = context if layer == 0 else vocabulary
        part["query"][asks, 0, :size] = 300 * torch.eye(size)
        part["key"][finds, 0, :size] = torch.roll(torch.eye(size), 1, 1) if layer == 0 else one
        part["value"][token, 0] = one
        weights[f"layers.{layer}.attention.output.weight"][0, 0, :, writes] = one
    save_file(weights, folder / "model.safetensors")
    config = {"kind": "toy", "architecture": asdict(architecture), "seeds": [0], "pad": None, "mask": None}
    (folder / "config.json").write_text(json.dumps(config | {"vocabulary": vocabulary}))
    return families.load_family(folder / "model.safetensors", folder / "config.json")
