"""A toy model whose heads are knocked out, and prompts for it."""

import json
from dataclasses import asdict

import numpy as np
import torch
from safetensors.torch import save_file

from headatlas.models import families, knockout
from headatlas.models.transformer import Architecture

SMALL = Architecture(vocabulary=40, context=7, layers=1, heads=2, d_model=12, d_head=5, d_mlp=20, activation="gelu")


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
