"""GPT-2 small's and BERT base's shapes, random weights: ours beside plain `transformers`, in turn in one process.

Ablation: each head of the model zeroed in turn, the last position's logits read; the peer runs the whole model once
for each head, with a forward hook on the output projection of its layer. Patterns: the peer asks for
`output_attentions` under eager attention. Seconds are of a processor.
"""

import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import numpy as np
import torch
import transformers

from headatlas.attention import patterns
from headatlas.attention.packing import unpack
from headatlas.models import families, interventions, knockout

SIZE = 64  # tokens of a prompt
SHAPES = {  # configuration, task, class, output projection of a layer
    "GPT-2 small": (
        transformers.GPT2Config, "causal", transformers.AutoModelForCausalLM, "transformer.h.{}.attn.c_proj"
    ),
    "BERT base": (
        transformers.BertConfig, "masked", transformers.AutoModelForMaskedLM,
        "bert.encoder.layer.{}.attention.output.dense",
    ),
}  # fmt: skip


def opened(folder, shape):
    """Our family and a model of `transformers` with the same random weights, drawn wide enough for heads to matter."""
    configure, task, auto, _ = SHAPES[shape]
    torch.manual_seed(0)
    config = configure(attn_implementation="eager", initializer_range=0.1)
    model = auto.from_config(config).eval().requires_grad_(False)
    weights = {name: value[None].contiguous() for name, value in model.named_parameters()}
    files = folder / "model.safetensors", folder / "config.json"
    families.save_family(*files, weights, {"kind": "pretrained", "task": task, "config": config.to_dict(), "pad": None})
    return families.load_family(*files), model


def our_logits(member, tokens):
    """The last position's logits with each head zeroed, (layer and head, prompt, vocabulary)."""
    last, found = np.full(len(tokens), tokens.shape[1] - 1), {}
    with torch.inference_mode():
        for prompts, kind, layer, hidden in knockout.knock_out(member, tokens, ("zero",), at=last):
            if kind:
                found[layer, prompts.start] = member.readout.logits(hidden[:, :, 0])
    starts = sorted({start for _, start in found})
    return torch.cat([torch.cat([found[layer, start] for start in starts], 1) for layer in range(member.layers)])


def hooked_logits(model, tokens, projection):
    """The same by plain hooks, a pass of all prompts for each head."""
    config, ids = model.config, torch.from_numpy(tokens)
    width, rows = config.hidden_size // config.num_attention_heads, []
    with torch.inference_mode():
        for layer in range(config.num_hidden_layers):
            for head in range(config.num_attention_heads):

                def zero(_, given, head=head):
                    mixed = given[0].clone()
                    mixed[..., head * width : (head + 1) * width] = 0.0
                    return mixed, *given[1:]

                handle = model.get_submodule(projection.format(layer)).register_forward_pre_hook(zero)
                rows.append(model(ids).logits[:, -1])
                handle.remove()
    return torch.stack(rows)


def our_patterns(family, tokens):
    return [packed for *_, packed in patterns.blocks(family, tokens)]


def eager_patterns(model, tokens):
    with torch.inference_mode():
        return model(torch.from_numpy(tokens), output_attentions=True).attentions


def timed(work):
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def in_turn(ours, theirs, rounds):
    """Median seconds of both, the median ratio, and what both gave at last."""
    taken = [(timed(ours), timed(theirs)) for _ in range(rounds)]
    seconds = [(fast[0], slow[0]) for fast, slow in taken]
    ratio = statistics.median(slow / fast for fast, slow in seconds)
    return *(statistics.median(side) for side in zip(*seconds, strict=True)), ratio, taken[-1][0][1], taken[-1][1][1]


def furthest(found, expected, packing):
    """The largest difference of packed patterns, a layer each, from those of `transformers`."""
    differences = [
        np.abs(unpack(packed, SIZE, packing).reshape(-1) - theirs.transpose(0, 1).numpy().reshape(-1)).max()
        for packed, theirs in zip(found, expected, strict=True)
    ]
    return float(np.max(differences))  # NaN where there is one


def measure(rounds=3, prompts=1):
    """Yield the rows of the table: dicts with `work`, `ours`, `theirs`, `ratio` (their seconds over ours), `note`."""
    for shape, (_, _, _, projection) in SHAPES.items():
        with tempfile.TemporaryDirectory() as folder:
            family, model = opened(Path(folder), shape)
            tokens = np.random.default_rng(0).integers(0, family.vocabulary, (prompts, SIZE))
            member, said = interventions.open_member(family, 0), f"{shape}'s shape, {prompts} x {SIZE} tokens"

            sides = partial(our_patterns, family, tokens), partial(eager_patterns, model, tokens)
            for warm in sides:
                warm()
            *taken, found, expected = in_turn(*sides, 3 * rounds)
            difference = furthest(found, expected, "lower" if family.causal else "full")
            yield row(f"patterns, {said}, beside eager `output_attentions`", *taken, difference, 1e-5)

            sides = partial(our_logits, member, tokens), partial(hooked_logits, model, tokens, projection)
            *taken, found, expected = in_turn(*sides, rounds)
            if not (expected - expected.mean(0)).abs().amax((1, 2)).gt(1e-2).all():
                raise SystemExit(f"{said}: a head does nothing, so that equal logits would show nothing")
            difference = float((found - expected).abs().max())
            yield row(f"144 heads zeroed, last logits, {said}, beside forward hooks", *taken, difference, 1e-4)


def row(work, fast, slow, ratio, difference, bound):
    if not difference < bound:
        raise SystemExit(f"{work}: the two sides differ by {difference:.1e}, more than {bound:.0e}")
    ours, theirs = f"{fast:.2f} CPU s", f"{slow:.2f} CPU s"
    return {"work": work, "ours": ours, "theirs": theirs, "ratio": ratio, "note": f"they differ by {difference:.0e}"}
