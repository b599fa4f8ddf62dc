"""A toy model whose heads are knocked out, and prompts for it."""

import json
from dataclasses import asdict, replace

import numpy as np
import torch
from safetensors.torch import save_file

from architectures import architecture_of
from headatlas.models import families, knockout
from toy_models import one_by_one

SMALL = architecture_of(vocabulary=40, context=7, layers=1, heads=2, d_model=12, d_head=5, d_mlp=20, activation="gelu")
SQUARE = replace(SMALL, layers=2, heads=3, d_head=4)  # its heads together write any vector of the stream


def toy(folder, architecture, weights, pad=None):
    save_file(weights, folder / "model.safetensors")
    config = {"kind": "toy", "architecture": asdict(architecture), "seeds": [0], "pad": pad}
    (folder / "config.json").write_text(json.dumps(config))
    return families.load_family(folder / "model.safetensors", folder / "config.json")


def some_tokens(pad, prompts=4, size=6):
    tokens = np.random.default_rng(1).integers(0, 39, (prompts, size))
    if pad is not None:
        tokens[0, 4:] = pad
        tokens[1, 1:] = pad
    return tokens


def gathered(member, tokens, **options):
    """All logits by (kind, layer): (head, prompt, read position, vocabulary)."""
    found = {}
    for _, kind, layer, hidden in knockout.knock_out(member, tokens, **options):
        found.setdefault((kind, layer), []).append(member.readout.logits(hidden))
    return {key: torch.cat(parts, 1) for key, parts in found.items()}


def written_one_by_one(weights, architecture, tokens, pad=None):
    """What each head of one member writes, by (layer, head): (prompt, position, d_model), from the definitions."""
    written = {}

    def keep(layer, head, mixed):
        written.setdefault((layer, head), []).append(mixed @ weights[f"layers.{layer}.attention.output.weight"][head])
        return mixed

    for ids in tokens:
        one_by_one(weights, architecture, torch.tensor(ids), pad, keep)
    return {key: torch.stack(parts) for key, parts in written.items()}


def shifted_one_by_one(weights, architecture, tokens, layer, shift, pad=None):
    """Logits (prompt, position, vocabulary) with `shift` (prompt, position, d_model) added to a layer's heads.

    From the definitions, for architectures like SQUARE: the shift is said by the heads themselves.
    """
    outward = weights[f"layers.{layer}.attention.output.weight"].flatten(0, 1)  # (head * d_head, d_model)
    said = (shift @ torch.linalg.inv(outward)).unflatten(-1, (architecture.heads, architecture.d_head))
    found = []
    for prompt, ids in enumerate(tokens):

        def add(at, head, mixed, prompt=prompt):
            return mixed + said[prompt, :, head] if at == layer else mixed

        found.append(one_by_one(weights, architecture, torch.tensor(ids), pad, add)[0])
    return torch.stack(found)
