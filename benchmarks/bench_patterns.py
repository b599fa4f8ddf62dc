"""Attention patterns of 1,024 prompts x 16: ours against TransformerLens's best idiom, in turn in one process.

The published toy architecture (1 layer, 8 heads, d_model 256, SoLU with its LayerNorm) with the same
weights on both sides. TransformerLens stops after the first block and caches the pattern alone;
ours is what `patterns.write` does up to writing: packed float32 arrays, rows checked. The time with the
Parquet table written is a column of its own.
"""

import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from bench_training import published

from headatlas.attention import patterns
from headatlas.attention.packing import unpack
from headatlas.models import families, transformer

PROMPTS, SIZE = 1024, 16


def ours(folder, architecture, weights):
    """A family as the workflow opens it."""
    save_file(weights, folder / "model.safetensors")
    config = {"kind": "toy", "architecture": asdict(architecture), "seeds": [0], "pad": None}
    (folder / "config.json").write_text(json.dumps(config))
    return families.load_family(folder / "model.safetensors", folder / "config.json")


def theirs(architecture, weights):
    """A HookedTransformer of the same weights."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    a, w = architecture, {name: value[0] for name, value in weights.items()}
    config = HookedTransformerConfig(
        n_layers=a.layers, n_heads=a.heads, d_model=a.d_model, d_head=a.d_head, d_mlp=a.d_mlp, n_ctx=a.context,
        d_vocab=a.vocabulary, act_fn="solu_ln", normalization_type="LN", device="cpu", seed=0,
    )  # fmt: skip
    model = HookedTransformer(config)
    state = model.state_dict()
    copied = {"embed.W_E": w["token_embedding"], "pos_embed.W_pos": w["position_embedding"]}
    for theirs_, part in (("Q", "query"), ("K", "key"), ("V", "value")):
        copied[f"blocks.0.attn.W_{theirs_}"] = w[f"layers.0.attention.{part}.weight"].transpose(0, 1)
        copied[f"blocks.0.attn.b_{theirs_}"] = w[f"layers.0.attention.{part}.bias"]
    copied["blocks.0.ln1.w"] = w["layers.0.norm_attention.weight"]
    copied["blocks.0.ln1.b"] = w["layers.0.norm_attention.bias"]
    for name, value in copied.items():
        assert state[name].shape == value.shape, name
    model.load_state_dict(state | copied)
    return model.eval()


def seconds(work):
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(vocabulary, rounds):
    """Median seconds of each side, and the largest difference between their patterns."""
    architecture = published(vocabulary)
    weights = transformer.initial_weights(architecture, [0])
    tokens = np.random.default_rng(0).integers(0, vocabulary, (PROMPTS, SIZE), dtype=np.int32)
    model, name = theirs(architecture, weights), "blocks.0.attn.hook_pattern"
    inputs = torch.tensor(tokens, dtype=torch.long)

    def take_theirs():
        with torch.inference_mode():
            return model.run_with_cache(inputs, names_filter=name, stop_at_layer=1, return_type=None)[1][name]

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        family = ours(folder, architecture, weights)

        def take_ours():
            return [packed for *_, packed in patterns.blocks(family, tokens)]

        def write():
            with contextlib.redirect_stderr(io.StringIO()):  # progress is not what is compared here
                patterns.write(folder / "patterns.parquet", family, tokens)

        found = unpack(take_ours()[0], SIZE, "lower")
        difference = float(np.abs(found - take_theirs().transpose(0, 1).numpy()).max())
        works = {
            "theirs": take_theirs,
            "ours": take_ours,
            "written": write,
        }
        for work in works.values():
            work()
        times = {key: [] for key in works}
        for _ in range(rounds):  # in turn, so that both meet the same machine
            for key, work in works.items():
                times[key].append(seconds(work))
    return {key: statistics.median(value) for key, value in times.items()}, difference


def measure(rounds=9):
    """Yield the rows of the table: dicts with `work`, `ours`, `theirs`, `ratio` (their seconds over ours), `note`."""
    for vocabulary in (4096, 50257):
        times, difference = compare(vocabulary, rounds)
        if difference > 1e-5:
            raise SystemExit(f"the patterns differ by {difference:.1e}: the two sides do not compute the same")
        yield {
            "work": f"patterns of {PROMPTS} prompts x {SIZE}, vocabulary {vocabulary:,}",
            "ours": f"{times['ours']:.3f} s",
            "theirs": f"{times['theirs']:.3f} s",
            "ratio": times["theirs"] / times["ours"],
            "note": f"{times['written']:.3f} s with Parquet; patterns differ by {difference:.0e}",
        }
