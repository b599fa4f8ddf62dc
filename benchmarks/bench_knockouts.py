"""All heads of one member knocked out, side by side with TransformerLens's hooks on the same weights.

Both sides give the last position's logits of 1,024 prompts x 16 with each of 8 heads zeroed, and the
undisturbed ones. TransformerLens runs one pass with a hook for each head, prompts in batches that suit
its memory; ours restarts from the cached residual stream and unembeds the last position alone.
"""

import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from bench_training import lens_model, published
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from headatlas.models import families, interventions, knockout, transformer

PROMPTS, SIZE, BATCH = 1024, 16, 64


def opened(folder, architecture):
    """The family whose seed 0 TransformerLens's copy is made of."""
    save_file(transformer.initial_weights(architecture, [0]), folder / "model.safetensors")
    config = {"kind": "toy", "architecture": asdict(architecture), "seeds": [0], "pad": None}
    (folder / "config.json").write_text(json.dumps(config))
    return families.load_family(folder / "model.safetensors", folder / "config.json")


def ours(member, tokens, take):
    """Seconds; `take` is given the first prompt, the heads (None: undisturbed), logits (head, prompt, vocabulary)."""
    started = time.perf_counter()
    last, memory = np.full(len(tokens), SIZE - 1), member.readout.memory(member.heads * BATCH)
    with torch.inference_mode():
        for prompts, kind, _, hidden in knockout.knock_out(member, tokens, ("zero",), at=last):
            for part in range(0, hidden.shape[1], BATCH):
                logits = member.readout.logits(hidden[:, part : part + BATCH, 0], memory)
                take(prompts.start + part, None if kind is None else slice(None), logits)
    return time.perf_counter() - started


def theirs(model, tokens, take):
    """The same for TransformerLens."""
    started = time.perf_counter()
    ids = torch.from_numpy(tokens)

    def knocking(head):
        def zero(mixed, hook):
            mixed[:, :, head] = 0.0
            return mixed

        return [("blocks.0.attn.hook_z", zero)]

    with torch.inference_mode():
        for first in range(0, len(ids), BATCH):
            batch = ids[first : first + BATCH]
            take(first, None, model(batch)[:, -1][None])
            for head in range(model.cfg.n_heads):
                take(first, head, model.run_with_hooks(batch, fwd_hooks=knocking(head))[:, -1][None])
    return time.perf_counter() - started


def compare(vocabulary, rounds, prompts):
    """Median seconds of both sides, the median ratio, and the largest difference of their logits."""
    architecture = published(vocabulary)
    tokens = np.random.default_rng(0).integers(0, vocabulary, (prompts, SIZE))
    model = lens_model(architecture, "cpu").eval()
    with tempfile.TemporaryDirectory() as folder:
        member = interventions.open_member(opened(Path(folder), architecture), 0)
    checked = min(prompts, BATCH)
    kept = torch.zeros(2, architecture.heads + 1, checked, vocabulary)  # (side, undisturbed and heads, prompt, token)

    def into(side):
        def take(first, heads, logits):
            if first < checked:
                where = slice(0, 1) if heads is None else slice(1, None) if heads == slice(None) else heads + 1
                kept[side, where, first : first + logits.shape[1]] = logits

        return take

    ours(member, tokens[:checked], into(0)), theirs(model, tokens[:checked], into(1))  # warm up
    difference = float((kept[0] - kept[1]).abs().max())
    if not difference < 1e-4 or not kept[0, 1:].sub(kept[0, :1]).abs().amax((1, 2)).gt(1e-2).all():
        raise SystemExit(f"the two sides' logits differ by {difference:.1e}, or a head does nothing")
    times = [(ours(member, tokens, into(0)), theirs(model, tokens, into(1))) for _ in range(rounds)]
    ratio = statistics.median(slow / fast for fast, slow in times)
    return *(statistics.median(side) for side in zip(*times, strict=True)), ratio, difference


def measure(rounds=3, prompts=PROMPTS):
    """Yield the rows of the table: dicts with `work`, `ours`, `theirs`, `ratio` (their seconds over ours), `note`."""
    for vocabulary, aim in ((4096, 8), (50257, 20)):
        fast, slow, ratio, difference = compare(vocabulary, rounds, prompts)
        yield {
            "work": f"8 heads knocked out, {prompts:,} prompts x {SIZE}, last logits, vocabulary {vocabulary:,}",
            "ours": f"{fast:.2f} s",
            "theirs": f"{slow:.2f} s",
            "ratio": ratio,
            "note": f"aim: {aim}; logits differ by {difference:.0e}",
        }
