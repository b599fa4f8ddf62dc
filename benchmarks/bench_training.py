"""Training, side by side with TransformerLens: tokens per second, and the share of the machine's speed.

Both sides take the same steps of AdamW from the same weights on the same windows, in turn, in this
process; a difference in their losses stops the benchmark. Run it where TransformerLens is installed:
`make bench`, or `python benchmarks/bench_training.py` with a smaller `--rounds`.
"""

import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from headatlas.models import training, transformer

BATCH, LEARNING_RATE, BETAS, DECAY = 64, 1e-3, (0.9, 0.98), 1.0


def published(vocabulary):
    """The architecture of Edkins & Wiechecki 2023."""
    sizes = {"context": 16, "layers": 1, "heads": 8, "d_model": 256, "d_head": 64, "d_mlp": 2048}
    kind = {"residual": True, "layer_norm": True, "tied_layers": False, "causal": True, "tied_unembedding": False}
    return transformer.Architecture(vocabulary, activation="solu_ln", embedding_max_norm=None, **sizes, **kind)


def random_windows(vocabulary, members=1):
    return np.random.default_rng(0).integers(0, vocabulary, (members, BATCH, 17))


def ours(architecture, windows, steps, device):
    """Seconds for `steps` steps of all members, and the first member's mean loss over them."""
    records = []
    _, history = training.train(
        architecture,
        list(range(len(windows))),
        windows,
        windows[0, :1],
        training.TrainingSettings(steps, BATCH, LEARNING_RATE, "constant", BETAS, DECAY, 0.15, 1, 0, 1),
        device,
        on_record=lambda row: records.append((row["split"], time.perf_counter())),
    )
    # The last record before the first step is the evaluation of the last member's initial weights.
    started = max(moment for split, moment in records[: len(windows)])
    ended = min(moment for split, moment in records if split == "train")
    return ended - started, history[(history["split"] == "train") & (history["member"] == 0)]["loss"].iloc[0]


def lens_model(architecture, device):
    """TransformerLens's network with the weights that our seed 0 starts from."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    a = architecture
    model = HookedTransformer(
        HookedTransformerConfig(
            n_layers=a.layers,
            n_heads=a.heads,
            n_ctx=a.context,
            d_model=a.d_model,
            d_head=a.d_head,
            d_mlp=a.d_mlp,
            d_vocab=a.vocabulary,
            act_fn=a.activation,
            normalization_type="LN",
            device=str(device),
        )
    )
    weights = {name: value[0] for name, value in transformer.initial_weights(a, [0]).items()}
    state = {
        "embed.W_E": weights["token_embedding"],
        "pos_embed.W_pos": weights["position_embedding"],
        "ln_final.w": weights["norm_final.weight"],
        "ln_final.b": weights["norm_final.bias"],
        "unembed.W_U": weights["unembedding.weight"],
        "unembed.b_U": weights["unembedding.bias"],
    }
    for layer in range(a.layers):
        old, new = f"layers.{layer}.", f"blocks.{layer}."
        for short, part in (("Q", "query"), ("K", "key"), ("V", "value")):
            state[f"{new}attn.W_{short}"] = weights[f"{old}attention.{part}.weight"].transpose(0, 1)
            state[f"{new}attn.b_{short}"] = weights[f"{old}attention.{part}.bias"]
        state |= {
            f"{new}attn.W_O": weights[f"{old}attention.output.weight"],
            f"{new}attn.b_O": weights[f"{old}attention.output.bias"],
            f"{new}mlp.W_in": weights[f"{old}mlp.in.weight"],
            f"{new}mlp.b_in": weights[f"{old}mlp.in.bias"],
            f"{new}mlp.W_out": weights[f"{old}mlp.out.weight"],
            f"{new}mlp.b_out": weights[f"{old}mlp.out.bias"],
        }
        for norm, name in (("ln1", "norm_attention"), ("ln2", "norm_mlp"), ("mlp.ln", "mlp.norm")):
            state |= {f"{new}{norm}.w": weights[f"{old}{name}.weight"], f"{new}{norm}.b": weights[f"{old}{name}.bias"]}
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or any(not name.endswith(("mask", "IGNORE")) for name in missing):
        raise SystemExit(f"TransformerLens's weights have other names: {missing} {unexpected}")
    return model


def lens(architecture, windows, steps, device, fused=None):
    """The same for TransformerLens: seconds and mean loss; its own `train` leaves `fused` at PyTorch's default."""
    model = lens_model(architecture, device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=BETAS, weight_decay=DECAY, fused=fused)
    tokens = torch.from_numpy(windows[0]).to(device)  # (batch, 17)
    losses = []
    started = time.perf_counter()
    for _ in range(steps):
        optimiser.zero_grad()
        found = model(tokens[:, :-1]).flatten(0, 1)  # (batch * position, vocabulary)
        loss = torch.nn.functional.cross_entropy(found, tokens[:, 1:].flatten())
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return time.perf_counter() - started, statistics.fmean(losses)


def peak(device):
    """Operations per second of one large float32 matrix product."""
    a, b = torch.randn(2, 2048, 2048, device=device)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        (a @ b)[0, 0].item()
        seconds.append(time.perf_counter() - started)
    return 2 * 2048**3 / min(seconds)


def operations(architecture):
    """Matrix-product operations of one training step, for each token: 6 for each weight in a product."""
    shapes = transformer.shapes(architecture).items()
    return 6 * sum(np.prod(shape) for name, shape in shapes if name.endswith("weight") and "norm" not in name)


def against_lens(vocabulary, steps, rounds, device):
    """One row of the table."""
    architecture, windows = published(vocabulary), random_windows(vocabulary)
    tokens = steps * BATCH * architecture.context
    ours(architecture, windows, 1, device), lens(architecture, windows, 1, device)  # warm up
    rates, theirs, ratios, fused_ratios, shares = [], [], [], [], []
    for _ in range(rounds):
        fastest = peak(device)
        seconds, loss = ours(architecture, windows, steps, device)
        their_seconds, their_loss = lens(architecture, windows, steps, device)
        fused_seconds, _ = lens(architecture, windows, steps, device, fused=True)
        if abs(loss - their_loss) > 2e-4:
            raise SystemExit(f"the two sides disagree: mean loss {loss:.6f} here, {their_loss:.6f} in TransformerLens")
        rates.append(tokens / seconds)
        theirs.append(tokens / their_seconds)
        ratios.append(their_seconds / seconds)
        fused_ratios.append(fused_seconds / seconds)
        shares.append(operations(architecture) * tokens / seconds / fastest)
    return {
        "work": f"training, vocabulary {vocabulary:,}",
        "ours": f"{statistics.median(rates):,.0f} tokens/s",
        "theirs": f"{statistics.median(theirs):,.0f} tokens/s",
        "ratio": statistics.median(ratios),
        "note": f"{100 * statistics.median(shares):.0f}% of the matrix-product peak; "
        f"{statistics.median(fused_ratios):.2f} times the peer when it is given fused AdamW too; "
        f"mean losses over {steps} steps differ by {abs(loss - their_loss):.0e}",
    }


def on_all_cores(vocabulary, steps, rounds):
    """A member for each core against the peer's one model on all cores, as PyTorch uses them; one row of the table."""
    cores, threads = os.cpu_count(), torch.get_num_threads()
    architecture, windows = published(vocabulary), random_windows(vocabulary, cores)
    tokens = steps * BATCH * architecture.context
    torch.set_num_threads(cores)
    ours(architecture, windows, 1, "cpu"), lens(architecture, windows, 1, "cpu")  # warm up
    rates, theirs, fused = [], [], []
    for _ in range(rounds):
        rates.append(cores * tokens / ours(architecture, windows, steps, "cpu")[0])
        theirs.append(tokens / lens(architecture, windows, steps, "cpu")[0])
        fused.append(tokens / lens(architecture, windows, steps, "cpu", fused=True)[0])
    torch.set_num_threads(threads)
    return {
        "work": f"training on {cores} cores, vocabulary {vocabulary:,}",
        "ours": f"{statistics.median(rates):,.0f} tokens/s of {cores} members",
        "theirs": f"{statistics.median(theirs):,.0f} tokens/s of one model",
        "ratio": statistics.median(a / b for a, b in zip(rates, theirs, strict=True)),
        "note": f"{statistics.median(a / b for a, b in zip(rates, fused, strict=True)):.2f} times the peer "
        "when it is given fused AdamW too",
    }


def ensemble(vocabulary, members, steps, rounds, device):
    """Members as one ensemble against the same members one after another; one row of the table."""
    architecture, windows = published(vocabulary), random_windows(vocabulary, members)
    tokens = steps * BATCH * architecture.context * members
    together, alone = [], []
    for _ in range(rounds):
        together.append(ours(architecture, windows, steps, device)[0])
        alone.append(sum(ours(architecture, windows[m : m + 1], steps, device)[0] for m in range(members)))
    return {
        "work": f"{members} members at once or in sequence, vocabulary {vocabulary:,}",
        "ours": f"{tokens / statistics.median(together):,.0f} tokens/s",
        "theirs": f"{tokens / statistics.median(alone):,.0f} tokens/s",
        "ratio": statistics.median(b / a for a, b in zip(together, alone, strict=True)),
        "note": f"on {device}",
    }


def measure(rounds=5, device=None):
    """Yield all rows: dicts with `work`, `ours`, `theirs`, `ratio` (their seconds over ours) and `note`."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    yield against_lens(4096, 10, rounds, device)
    yield against_lens(50257, 2, rounds, device)
    if device == "cpu":
        yield on_all_cores(4096, 10, rounds)
        yield on_all_cores(50257, 2, rounds)
    yield ensemble(4096, 9, 3, rounds, device)
