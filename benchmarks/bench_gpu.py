"""What a GPU gives: an ensemble trained at once, patterns and ablations at GPT-2 small's shape, held against the CPU.

Every row first shows that both sides compute the same. Without a GPU there are no rows.
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
from bench_training import BATCH, lens, ours, published, random_windows
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from headatlas.attention import patterns
from headatlas.attention.packing import unpack
from headatlas.models import families, interventions, knockout, transformer

MEMORY = 4 * 2**30  # bytes that a block of passes may take on the card


def seconds(work, rounds):
    """Median seconds of `work`, which ends with all of the card's work done; the first time does not count."""
    times = []
    for _ in range(rounds + 1):
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def toys(folder, architecture, device):
    """A family of two untrained members of the toy transformer, as the workflow opens it."""
    save_file(transformer.initial_weights(architecture, [0, 1]), folder / "model.safetensors")
    config = {"kind": "toy", "architecture": asdict(architecture), "seeds": [0, 1], "pad": None}
    (folder / "config.json").write_text(json.dumps(config))
    return families.load_family(folder / "model.safetensors", folder / "config.json", device)


def gpt2(folder, device):
    """A family of one model of GPT-2 small's shape with random weights, and the same in `transformers`."""
    from transformers import GPT2Config, GPT2LMHeadModel

    from headatlas.models import pretrained

    torch.manual_seed(0)
    peer = GPT2LMHeadModel._from_config(GPT2Config(), attn_implementation="eager", dtype=torch.float32).eval()
    if not (folder / "model.safetensors").exists():
        peer.save_pretrained(folder / "given")
        weights, described = pretrained.fetch([{"name": str(folder / "given")}], "causal", None)
        save_file(weights, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(described))
    return families.load_family(folder / "model.safetensors", folder / "config.json", device), peer.to(device)


def ablated(member, tokens):
    """Logits at the last position, (head of all layers, prompt, vocabulary), of each head's zero ablation in turn."""
    last, found = np.full(len(tokens), tokens.shape[1] - 1), []
    with torch.inference_mode():
        for _, kind, _, hidden in knockout.knock_out(member, tokens, ("zero",), at=last, memory=MEMORY):
            if kind is not None:
                found.append(
                    member.readout.logits(hidden[:, :, 0], member.readout.memory(hidden.shape[0] * hidden.shape[1]))
                )
    return found


def against_cpu(family_on, tokens, tolerance):
    """Largest differences between CPU and GPU of patterns and of ablated logits; stops where they are no rounding."""
    found = {}
    for device in ("cpu", "cuda"):
        family = family_on(device)
        packed = np.concatenate([packed for *_, packed in patterns.blocks(family, tokens)])
        logits = torch.cat(
            [part.flatten(0, -2).cpu() for part in ablated(interventions.open_member(family, 0), tokens)]
        )
        found[device] = packed, logits
    differences = [float(abs(one - other).max()) for one, other in zip(found["cpu"], found["cuda"], strict=True)]
    if not max(differences) < tolerance:
        raise SystemExit(f"GPU and CPU differ by {max(differences):.1e}")
    return differences


def row(work, fast, slow, note, rate="{:.3f} s"):
    """A row of the table; `fast` and `slow` are seconds."""
    return {"work": work, "ours": rate.format(fast), "theirs": rate.format(slow), "ratio": slow / fast, "note": note}


def training(vocabulary, members, steps, rounds):
    """Members trained at once against the same members in turn, and each of them on one CPU thread."""
    architecture, windows = published(vocabulary), random_windows(vocabulary, members)
    tokens = steps * BATCH * architecture.context * members
    (_, loss), (_, on_cpu) = (ours(architecture, windows[:1], 20, device) for device in ("cuda", "cpu"))
    if not abs(loss - on_cpu) < 0.02:  # products in bfloat16 on a GPU, over 20 steps
        raise SystemExit(f"losses differ: {loss:.4f} on the GPU, {on_cpu:.4f} on the CPU")
    together = [ours(architecture, windows, steps, "cuda")[0] for _ in range(rounds + 1)][1:]
    alone = [
        sum(ours(architecture, windows[m : m + 1], steps, "cuda")[0] for m in range(members)) for _ in range(rounds)
    ]
    fast, slow = statistics.median(together), statistics.median(alone)
    return {
        "work": f"{members} members at once or in turn, vocabulary {vocabulary:,}",
        "ours": f"{tokens / fast:,.0f} tokens/s",
        "theirs": f"{tokens / slow:,.0f} tokens/s",
        "ratio": slow / fast,
        "note": f"mean loss of 20 steps differs from the CPU's by {abs(loss - on_cpu):.0e}",
    }


def against_lens(vocabulary, members, steps, rounds):
    """Members trained at once against TransformerLens's models in turn, in its float32 and in our mixed precision."""
    architecture, windows = published(vocabulary), random_windows(vocabulary, members)
    tokens = steps * BATCH * architecture.context * members
    ours(architecture, windows, 1, "cuda"), lens(architecture, windows[:1], 1, "cuda")  # warm up
    fast, slow, mixed = [], [], []
    for _ in range(rounds):
        fast.append(ours(architecture, windows, steps, "cuda")[0])
        slow.append(members * lens(architecture, windows[:1], steps, "cuda", fused=True)[0])
        with torch.autocast("cuda", torch.bfloat16):
            mixed.append(members * lens(architecture, windows[:1], steps, "cuda", fused=True)[0])
    return {
        "work": f"{members} members at once, against {members} in turn in TransformerLens, vocabulary {vocabulary:,}",
        "ours": f"{tokens / statistics.median(fast):,.0f} tokens/s",
        "theirs": f"{tokens / statistics.median(slow):,.0f} tokens/s",
        "ratio": statistics.median(slow) / statistics.median(fast),
        "note": f"{statistics.median(mixed) / statistics.median(fast):.1f} times it in bfloat16; one model of it timed",
    }


def measure(rounds=3):
    """Yield the rows of the table: dicts with `work`, `ours`, `theirs`, `ratio` (their seconds over ours), `note`."""
    if not torch.cuda.is_available():
        return
    for vocabulary, members in ((4096, 9), (4096, 27), (50257, 9)):
        yield training(vocabulary, members, 100, rounds)
    draw = np.random.default_rng(0).integers
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        tokens = draw(0, 4096, (64, 16))
        by_patterns, by_logits = against_cpu(lambda device: toys(folder, published(4096), device), tokens, 1e-3)
        note = f"GPU and CPU: patterns differ by {by_patterns:.0e}, logits of ablations by {by_logits:.0e}"
        yield {"work": "the toy family on both", "ours": "", "theirs": "", "ratio": None, "note": note}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        by_patterns, by_logits = against_cpu(lambda device: gpt2(folder, device)[0], draw(0, 50257, (2, 16)), 1e-3)
        note = f"GPU and CPU: patterns differ by {by_patterns:.0e}, logits of ablations by {by_logits:.0e}"
        yield {"work": "GPT-2 small's shape on both", "ours": "", "theirs": "", "ratio": None, "note": note}
        family, peer = gpt2(folder, "cuda")
        tokens = draw(0, 50257, (64, 256))
        ids = torch.as_tensor(tokens, device="cuda")

        def take_eager():
            with torch.inference_mode():
                return [peer(part, output_attentions=True).attentions for part in ids.split(16)]

        def take_ours():
            return [packed for *_, packed in patterns.blocks(family, tokens, MEMORY)]

        found = unpack(take_ours()[0][:, :16], 256, "lower")
        eager = take_eager()[0][0].transpose(0, 1).cpu().numpy()
        if not (difference := float(np.abs(found - eager).max())) < 1e-4:
            raise SystemExit(f"patterns differ by {difference:.1e} from eager attention's")
        yield row(
            "patterns of 64 prompts x 256, GPT-2 small's shape, against `output_attentions`",
            seconds(take_ours, rounds),
            seconds(take_eager, rounds),
            f"ours packed and on the CPU, theirs left on the card; differ by {difference:.0e}",
        )
        member, few = interventions.open_member(family, 0), tokens[:16, :64]

        def hooked():
            found, cut = [], ids[:16, :64]
            with torch.inference_mode():
                for layer in range(12):
                    for head in range(12):
                        place = slice(64 * head, 64 * head + 64)

                        def zero(_, given, place=place):
                            changed = given[0].clone()
                            changed[..., place] = 0
                            return (changed,)

                        hook = peer.transformer.h[layer].attn.c_proj.register_forward_pre_hook(zero)
                        found.append(peer(cut, logits_to_keep=1).logits[:, 0])
                        hook.remove()
            return torch.stack(found)

        difference = float((torch.cat(ablated(member, few)).reshape(144, 16, -1) - hooked()).abs().max())
        if not difference < 1e-3:
            raise SystemExit(f"logits of ablations differ by {difference:.1e} from those of hooks")
        yield row(
            "144 heads zeroed in turn, 16 prompts x 64, last logits, against plain hooks",
            seconds(lambda: ablated(member, few), rounds),
            seconds(hooked, rounds),
            f"differ by {difference:.0e}",
        )
    for vocabulary in (4096, 50257):
        yield against_lens(vocabulary, 9, 100, rounds)
