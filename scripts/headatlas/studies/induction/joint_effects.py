"""Whether the induction heads of a layer stand in for one another: what they do together against one by one.

The loss cannot say. Cross-entropy is convex: of any heads whose logits simply add up, the first to go costs little and
the last much. So what is measured is the logit of the right token above the mean of all logits, with the norm before
the unembedding held to what it was on the intact run (`headatlas.models.final_norm`): on that scale the effects of
heads add up exactly, unless something after them answers otherwise to the absence of several than to that of each.
Their *excess* is the joint effect less the sum of single ones. Where nothing follows a layer's heads, neither heads
nor an MLP, it is zero by construction, and redundancy cannot be asked.

Any heads that much depends on may have an excess. The control is that of as many heads that are no induction heads:
of the same layer where it has two of them, else of the nearest layer that has, and that something follows too.
"""

from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import torch

from headatlas.base import progress
from headatlas.base.statistics import interval_of_mean, mean_and_error
from headatlas.models import interventions, knockout
from headatlas.models.ablations import DONORS, MEANS, needing
from headatlas.models.forward_batches import MEMORY
from headatlas.studies.induction.self_repair import Ablation, blocks

DRAWS = 6  # sets of each size, at most
_ROUNDING = 1e-4  # of a logit, within which a sum is a sum: runs are in single precision
COLUMNS = {  # of the table of joint effects
    **{
        "member": "int32",
        "layer": "int32",
        "heads": "string",
        "size": "int32",
        "induction": "bool",
        "followed": "bool",
    },
    **dict.fromkeys(("logit", "logit_singly", "excess", "excess_error", "loss", "loss_singly"), "double"),
}


def joint_table(family, heads, task, *, count=8, draws=DRAWS, kind="mean", seed=0, memory=MEMORY):
    """Effects of sets of a layer's heads, ablated together and one by one.

    Parameters
    ----------
    family : ToyFamily or PretrainedFamily
    heads : DataFrame of [member, layer, head]
        The induction heads, a member's strongest first.
    task : self_repair.Task
        Other sequences than those on which the heads were chosen.
    count : int
        How many of a member's induction heads at most: the strongest.
    draws : int
        Sets of each size, at most, beside all pairs of induction heads that something follows.
    kind : {"mean", "zero", "resample"}
        Of ablation.
    seed, memory
        As for `self_repair.ablate`.

    Returns
    -------
    DataFrame
        A row for each set of two heads or more of the layer that has most induction heads, and of its control: member,
        layer, heads, size, induction (bool), followed (whether heads or an MLP come after the layer), logit and
        logit_singly (fall of the right token's logit without the set, and the sum of the falls without each), excess
        and excess_error (their difference, its standard error over sequences), loss and loss_singly (rise of the
        loss, in nats, likewise). Logits are missing where it is not known what the last norm does.
    """
    rows = []
    for number in range(family.members):
        own = [(int(one.layer), int(one.head)) for one in heads[heads["member"] == number].itertuples()]
        sets = sets_of_heads(own[:count], own, family, draws, seed)
        if not sets:
            continue
        member = interventions.open_member(family, number)
        each = sorted({(head,) for one in sets for head in one})
        runs = (len(sets) + len(each)) * len(task.tokens)
        with progress.bar(runs, f"joint effects, member {number}", "sequences") as shown:
            found = _measure(member, task, [*each, *sets], kind, seed, memory, shown)
        for one in sets:
            singly, together = sum(found[head,] for head in one), found[one]  # (sequence, [logit, loss])
            (logit, loss), (logit_singly, loss_singly) = together.mean(0), singly.mean(0)
            excess, error = mean_and_error((together - singly)[:, 0])
            excess = 0.0 if abs(excess) < _ROUNDING * abs(logit) else excess
            layer = one[0][0]
            row = {"member": number, "layer": layer, "size": len(one)}
            row["heads"] = " ".join(f"{layer}.{head}" for _, head in one)
            row |= {"induction": one[0] in own, "followed": followed(family, layer), "logit": logit}
            row |= {"logit_singly": logit_singly, "excess": excess, "excess_error": error}
            rows.append(row | {"loss": loss, "loss_singly": loss_singly})
    types = {"string": object, "double": np.float64}
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({name: types.get(kind, kind) for name, kind in COLUMNS.items()})


def followed(family, layer):
    """Whether anything comes after a layer's heads that could answer to their absence: heads, or an MLP."""
    architecture = getattr(family, "architecture", None)  # models of `transformers` have MLPs
    return layer + 1 < family.layers or architecture is None or architecture.activation != "none"


def sets_of_heads(chosen, induction, family, draws=DRAWS, seed=0):
    """Sets of two heads or more of one layer, and as many of each size of a control.

    Parameters
    ----------
    chosen : list of (layer, head)
        Induction heads that may be ablated, strongest first.
    induction : list of (layer, head)
        All of them: none is a control.
    family : ToyFamily or PretrainedFamily
        How many layers and heads there are.
    draws, seed : int

    Returns
    -------
    list of tuple of (layer, head)
        Those of the layer with most of `chosen`, of several the one of the strongest, with all of its pairs where
        something follows; then the control's, if there is one. Empty where no layer has two.
    """
    layers = [layer for layer, _ in chosen]
    layer = max(layers, key=layers.count, default=None)
    own = sorted(head for head in chosen if head[0] == layer)
    if len(own) < 2:
        return []
    generator = np.random.default_rng(seed)
    sets = _of_each_size(own, len(own), draws, generator)
    if followed(family, layer):
        sets = [*combinations(own, 2), *(one for one in sets if len(one) > 2)]
    near = sorted(range(family.layers), key=lambda other: (abs(other - layer), other))
    for other in near:
        others = [(other, head) for head in range(family.heads) if (other, head) not in induction]
        if len(others) > 1 and followed(family, other):
            return sets + _of_each_size(others, len(own), draws, generator)
    return sets


def _of_each_size(heads, most, draws, generator):
    sets = []
    for size in range(2, min(most, len(heads)) + 1):
        if comb(len(heads), size) <= draws:
            sets += list(combinations(heads, size))
            continue
        drawn = set()
        while len(drawn) < draws:
            drawn.add(tuple(heads[at] for at in sorted(generator.choice(len(heads), size, replace=False))))
        sets += sorted(drawn)
    return sets


def _measure(member, task, sets, kind, seed, memory, shown):
    """By set, fall of the right token's logit and rise of the loss, (sequence, 2), means over its queries."""
    means = knockout.mean_outputs(member, task.tokens, memory=memory) if needing([kind], MEANS) else None
    donors = knockout.deranged(len(task.tokens), seed)
    found = {one: [] for one in sets}
    for part in blocks(member, task, memory):
        sizes = member.norm_sizes(task.tokens[part])
        others = member.run(task.tokens[donors[part]]).outputs if needing([kind], DONORS) else None
        intact = _read(member, task, part, lambda layer, pattern, outputs: outputs, sizes)
        for one in sets:
            ablation = Ablation(one, kind, means, others)
            found[one].append(_read(member, task, part, ablation.visit, sizes) - intact)
            shown.update(len(intact))
    return {one: np.concatenate(parts) * (-1, 1) for one, parts in found.items()}


def _read(member, task, part, visit, sizes):
    """Logit of the right token and loss, (sequence, 2)."""
    tokens, queries = task.tokens[part], torch.from_numpy(task.queries[part])
    rows = torch.arange(len(tokens))[:, None]
    targets = task.targets[part].astype(np.int64)

    def at_queries(hidden, read):
        hidden = hidden[rows, queries].flatten(0, 1)
        values = read(hidden, torch.from_numpy(targets).flatten().to(hidden.device))
        return values.view(targets.shape).double().mean(1).cpu().numpy()

    losses = at_queries(member.visited(tokens, visit), member.readout.losses)
    if sizes is None:
        return np.stack([np.full(len(losses), np.nan), losses], 1)
    held = at_queries(member.visited(tokens, visit, sizes=sizes), member.readout.above_mean)
    return np.stack([held, losses], 1)


def by_size(table):
    """Mean excess of each member's induction heads, and of their control, by how many are ablated together.

    Parameters
    ----------
    table : DataFrame
        As `joint_table` gives.

    Returns
    -------
    DataFrame of [member, size, logit, excess, control]
        Means over the sets of a size; `control` is missing for sizes that the control has too few heads for.
    """
    means = table.groupby(["induction", "member", "size"])[["logit", "excess"]].mean()
    of_induction = means.loc[True] if True in means.index else means.iloc[:0]
    control = means.loc[False, "excess"] if False in means.index else pd.Series(dtype=float)
    return of_induction.assign(control=control.reindex(of_induction.index)).reset_index()


def sign(rows):
    """Whether a model's heads stand in for one another (1), cost less together (-1), or it is not settled (0).

    Their excess, and what it is beyond that of the control, both lie on one side of zero by their 95% intervals over
    members: without a control, or with two members, nothing is settled.

    Parameters
    ----------
    rows : DataFrame
        As `redundancy` gives, of one model.
    """
    ends = np.array([interval_of_mean(rows[name])[1:] for name in ("excess", "beyond")])
    return int((ends[:, 0] > 0).all()) - int((ends[:, 1] < 0).all())


def redundancy(table):
    """How far a layer's induction heads stand in for one another, a row for each member.

    Parameters
    ----------
    table : DataFrame
        As `joint_table` gives.

    Returns
    -------
    DataFrame
        member, layer, heads (how many), followed, excess (mean over the sizes of sets), beyond (mean over the sizes
        that the control has too, of the excess less the control's; missing without a control), control_layer (-1
        without one), loss and loss_singly (rise of the loss without all of the heads, and summed over them one by
        one).
    """
    sizes, rows = by_size(table), []
    for member, own in table[table["induction"]].groupby("member"):
        of_sizes = sizes[sizes["member"] == member]
        controls = table.loc[(table["member"] == member) & ~table["induction"], "layer"]
        whole = own.loc[own["size"].idxmax()]
        row = {"member": member, "layer": whole["layer"], "heads": whole["size"], "followed": whole["followed"]}
        row |= {"excess": of_sizes["excess"].mean(), "beyond": (of_sizes["excess"] - of_sizes["control"]).mean()}
        row |= {"control_layer": -1 if controls.empty else int(controls.iloc[0])}
        rows.append(row | {"loss": whole["loss"], "loss_singly": whole["loss_singly"]})
    names = ["member", "layer", "heads", "followed", "excess", "beyond", "control_layer", "loss", "loss_singly"]
    return pd.DataFrame(rows, columns=names)
