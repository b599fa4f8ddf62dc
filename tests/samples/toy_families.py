"""A small toy family and windows for it to read."""

import json
from dataclasses import asdict

import numpy as np
from safetensors.torch import save_file

from architectures import architecture_of
from headatlas.models import families, transformer


def toy(folder, members=2, **options):
    sizes = {"vocabulary": 30, "context": 6, "layers": 2, "heads": 3, "d_model": 12, "d_head": 4, "d_mlp": 8}
    architecture = architecture_of(**(sizes | options))
    save_file(transformer.initial_weights(architecture, range(members)), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"kind": "toy", "architecture": asdict(architecture)}))
    return families.load_family(folder / "model.safetensors", folder / "config.json")


def windows(prompts, size=6, vocabulary=30):
    return np.random.default_rng(1).integers(0, vocabulary, (prompts, size)).astype(np.int32)
