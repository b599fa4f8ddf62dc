"""A screen of all heads by attribution, and the exact ablation of those that it puts first.

To first order, setting a head's output to its mean changes a loss by its derivative by the output, times the mean less
the output, summed over what the head gives out (attribution patching: Nanda 2023; Syed, Rager & Conmy 2023). Two passes
forwards and one backwards estimate every head of a model so. How far the estimates can be trusted is measured: the
heads that they put first are ablated, and as many drawn from the others, which shows what the screen may have missed.
"""

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from torch.nn import functional

from headatlas.base import progress
from headatlas.base.statistics import mean_and_error
from headatlas.models.knockout import blocks, mean_outputs, prompt_losses, scored
from headatlas.models.memory_limits import FORWARD, LOGITS

FIRST, DRAWN, NOT_ABLATED = "first", "drawn", "not ablated"


def screen_table(member, tokens, *, causal, most, pad=None, mask=None, seed=0):
    """What ablating each head costs by the screen and, for some, by ablation to its mean.

    Parameters
    ----------
    member : what `interventions.open_member` gives
    tokens : integer array of shape (prompt, position)
        Windows, over which means are taken too.
    causal : bool
    most : int
        Heads that are ablated for standing first by the size of the estimate, and again as many drawn from the others.
    pad, mask : int, optional
    seed : int
        Of what is drawn, and of masks.

    Returns
    -------
    DataFrame
        layer, head, estimate (nats per token that the loss rises by), ablated ("first", "drawn" or "not ablated"), and
        for those ablated effect and standard_error, as in `knockout_effects.loss_table` under "mean".
    """
    inputs, targets = scored(tokens, causal, pad, mask, seed)
    means = mean_outputs(member, inputs, pad)
    estimates, _ = mean_and_error(_attributions(member, inputs, targets, means))  # (layer, head)
    layer, head = np.indices(estimates.shape).reshape(2, -1)
    table = pd.DataFrame({"layer": layer, "head": head, "estimate": estimates.ravel()})
    order = np.argsort(-table["estimate"].abs().to_numpy(), kind="stable")
    first, others = order[:most], order[most:]
    drawn = np.random.default_rng(seed).permutation(others)[:most]
    table["ablated"] = NOT_ABLATED
    for rows, name in ((first, FIRST), (drawn, DRAWN)):
        table.loc[rows, "ablated"] = name
    chosen = table[table["ablated"] != NOT_ABLATED]
    effect, error = _ablated(member, inputs, targets, means, chosen)
    table.loc[chosen.index, "effect"], table.loc[chosen.index, "standard_error"] = effect, error
    return table


def agreement(table):
    """How well the screen ranks heads: Spearman's correlation of estimates and effects, over those ablated.

    Parameters
    ----------
    table : DataFrame
        What `screen_table` gives, of one member.

    Returns
    -------
    dict
        heads (ablated), spearman (0 by chance; None where it is not defined), first and drawn (the largest size of an
        effect among the heads that stand first, and among those drawn from the others; None where there are none).
    """
    ablated = table[table["ablated"] != NOT_ABLATED]
    found = float(spearmanr(ablated["estimate"], ablated["effect"])[0]) if len(ablated) > 2 else np.nan
    largest = ablated["effect"].abs().groupby(ablated["ablated"]).max()
    sizes = {name: float(largest[name]) if name in largest else None for name in (FIRST, DRAWN)}
    return {"heads": len(ablated), "spearman": found if np.isfinite(found) else None} | sizes


def describe(found):
    """A sentence that says what `agreement` found."""
    ranks = "not defined" if found["spearman"] is None else f"{found['spearman']:.2f} (0 by chance)"
    said = f"screen: over {found['heads']} heads ablated, Spearman's correlation of estimate and effect is {ranks}"
    if found[DRAWN] is None:
        return said
    return (
        f"{said}; the largest effect among those the screen puts first is {found[FIRST]:.3g} nats, "
        f"among as many drawn from the others {found[DRAWN]:.3g}"
    )


def _attributions(member, inputs, targets, means):
    """The estimated rise of each prompt's loss, (layer, head, prompt); NaN where nothing of a prompt is predicted."""
    prompts, size = inputs.shape
    counts = (targets >= 0).sum(1)
    rows = min(FORWARD // member.prompt_bytes(size, member.layers), LOGITS // (len(member.readout.table) * size))
    block, found = max(1, rows), []
    for start in progress.track(range(0, prompts, block), "screen of all heads"):
        part = slice(start, start + block)

        def loss(hidden, part=part):
            wanted = torch.from_numpy(targets[part]).to(hidden.device)
            where = wanted >= 0
            logits = functional.linear(hidden[where], member.readout.table, member.readout.bias)
            if (cap := member.readout.softcap) is not None:
                logits = cap * torch.tanh(logits / cap)
            each = functional.cross_entropy(logits, wanted[where], reduction="none")
            return (each / where.sum(1).repeat_interleave(where.sum(1))).sum()

        outputs, slopes = member.slopes(inputs[part], loss)
        by_layer = [
            (slope * (mean[:size] - output)).sum((1, 3)).double().T
            for slope, mean, output in zip(slopes, means, outputs, strict=True)
        ]
        found.append(torch.stack(by_layer).cpu().numpy())  # (layer, head, prompt)
    return np.where(counts > 0, np.concatenate(found, 2), np.nan)


def _ablated(member, inputs, targets, means, chosen):
    """Effect and standard error of setting each of some heads (rows of layer, head) to its mean."""
    by_layer = {layer: rows["head"].to_numpy().copy() for layer, rows in chosen.groupby("layer")}
    found, most = [], max(map(len, by_layer.values()))
    for part in progress.track(blocks(member, inputs, most), "heads ablated"):
        trace, losses = member.run(inputs[part]), []
        clean = prompt_losses(member.readout, trace.hidden[None], targets[part])
        for layer, heads in by_layer.items():
            change = (means[layer][: inputs.shape[1]] - trace.outputs[layer])[:, :, heads]
            written = torch.einsum("pthd,hdm->hptm", change, member.writers(layer)[heads])
            losses.append(prompt_losses(member.readout, member.shifted(trace, layer, written), targets[part]) - clean)
        found.append(np.concatenate(losses))
    return mean_and_error(np.concatenate(found, 1))
