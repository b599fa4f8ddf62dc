"""Ablation of induction heads, one by one and together, and the later heads that take over.

A set of heads is ablated at every position: their outputs (mixes of values, before W_O) become zero, their mean at that
position, or their outputs on another sequence (`headatlas.models.knockout`). Measured on random repeated tokens:

total effect    rise of the loss with everything after the set computed anew
direct effect   rise of the loss with the outputs of all other heads held to what they were on the intact run, so that
                the ablation reaches the logits through no other head (MLPs and norms do answer to it)
repair          direct less total: what the other heads make good (Wang et al. 2022, "Interpretability in the wild",
                found such backup heads in GPT-2; McGrath et al. 2023, "The Hydra effect", measured self-repair so)

and the change of every other head's induction score. Repair can be asked only of a set after which heads lie: with none
there it is zero by construction, and missing here. The loss of ordinary text says what else a set was good for. Heads
are those that count as induction heads on other sequences (`repeated_tokens.induction_heads`); controls are sets of
as many heads of the same layers that are no induction heads, where there are as many.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from headatlas.base import progress
from headatlas.base.errors import InputError
from headatlas.base.statistics import bootstrap_interval, mean_and_error
from headatlas.models import interventions, knockout
from headatlas.models.ablations import ABLATIONS, DONORS, MEANS, needing
from headatlas.models.forward_batches import MEMORY
from headatlas.scores import induction_scores
from headatlas.studies.induction import repeated_tokens

GROUPS = ("one", "layer", "all")  # a head by itself, all that were chosen of a layer, all that were chosen
EFFECTS = {  # the columns of the table of effects
    **{"member": "int32", "set": "int32", "heads": "string", "size": "int32", "group": "string"},
    **{"later_layers": "int32", "control_of": "int32", "kind": "string", "loss": "double"},
    **dict.fromkeys(("total", "total_error", "direct", "direct_error", "ordinary", "ordinary_error"), "double"),
    **dict.fromkeys(("repair", "repair_low", "repair_high"), "double"),
}
BACKUPS = {
    **{"member": "int32", "set": "int32", "kind": "string", "layer": "int32", "head": "int32", "ablated": "bool"},
    **dict.fromkeys(("before", "after", "change", "standard_error"), "double"),
}


class Task(NamedTuple):
    """Sequences whose loss is measured, and where induction heads would look."""

    tokens: np.ndarray  # (sequence, position)
    queries: np.ndarray  # (sequence, query), positions that are read
    targets: np.ndarray  # (sequence, query), what they are to predict
    keys: np.ndarray | None = None  # (sequence, query), where an induction head looks; None on ordinary text


def repeated_task(asking, causal):
    """Random repeated tokens: every position of the second copy, or of masked models the mask.

    Parameters
    ----------
    asking : repeats.Asking
    causal : bool

    Returns
    -------
    Task
    """
    if not causal:
        trials = repeated_tokens.draw_trials("standard", "corrected", asking)
        return Task(trials.tokens, *(part[:, None] for part in (trials.masked, trials.hidden, trials.keys["same"])))
    length, first = asking.room("standard", "corrected"), len(asking.before)
    around = {"special": {*asking.special, *asking.before, *asking.after}, "before": asking.before}
    tokens = induction_scores.repeated_tokens(asking.vocabulary, length, 2, asking.trials, [asking.seed, 11], **around)
    queries = np.tile(first + length + np.arange(length - 1), (len(tokens), 1))
    return Task(tokens, queries, np.take_along_axis(tokens, queries + 1, 1), queries - length + 1)


def ordinary_task(windows, causal, *, pad=None, mask=None, seed=0):
    """Ordinary text: every next token, or of masked models one masked token of each window.

    Parameters
    ----------
    windows : integer array of shape (window, position)
        Those with padding are left out.
    causal : bool
    pad, mask : int, optional
    seed : int

    Returns
    -------
    Task
    """
    windows = windows[(windows != pad).all(1)] if pad is not None else windows
    if len(windows) < 2:
        raise InputError(f"ordinary text: {len(windows)} windows without padding; at least 2 are needed")
    if causal:
        queries = np.tile(np.arange(windows.shape[1] - 1), (len(windows), 1))
        return Task(windows, queries, windows[:, 1:])
    queries = np.random.default_rng(seed).integers(0, windows.shape[1], (len(windows), 1))
    shown = windows.copy()
    np.put_along_axis(shown, queries, mask, 1)
    return Task(shown, queries, np.take_along_axis(windows, queries, 1))


class HeadSet(NamedTuple):
    """Heads that are ablated together."""

    heads: tuple  # of (layer, head)
    group: str  # one of GROUPS
    control_of: int = -1  # the number of the set that it is a control of


def sets_of_heads(induction, family, count, controls, seed=0):
    """The induction heads one by one, those of a layer together, all of them together, and their controls.

    Parameters
    ----------
    induction : list of (layer, head)
        Those of a member, the strongest first.
    family : ToyFamily or PretrainedFamily
        How many layers and heads there are.
    count : int
        How many induction heads at most.
    controls : int
        Sets drawn at random for each of these, without repetition, of as many heads of the same layers that are no
        induction heads; fewer, or none, where there are not as many.
    seed : int

    Returns
    -------
    list of HeadSet
        Empty where no head is an induction head.
    """
    chosen = induction[:count]
    others = {
        layer: [head for head in range(family.heads) if (layer, head) not in induction]
        for layer in range(family.layers)
    }
    sets = [HeadSet((one,), "one") for one in chosen]
    by_layer = {layer: tuple(head for head in chosen if head[0] == layer) for layer in sorted({at for at, _ in chosen})}
    sets += [HeadSet(heads, "layer") for heads in by_layer.values() if len(heads) > 1]
    if len(by_layer) > 1:
        sets.append(HeadSet(tuple(chosen), "all"))
    generator = np.random.default_rng(seed)
    for number, of in enumerate(list(sets)):
        drawn = {_like(of.heads, others, generator) for _ in range(controls)}
        sets += [HeadSet(heads, of.group, number) for heads in sorted(drawn) if heads]
    return sets


def _like(of, others, generator):
    """As many heads of the same layers out of `others` (by layer); nothing where a layer has too few."""
    drawn = []
    for layer in sorted({layer for layer, _ in of}):
        wanted, there = sum(at == layer for at, _ in of), others.get(layer, [])
        if len(there) < wanted:
            return ()
        drawn += [(layer, int(head)) for head in sorted(generator.choice(there, wanted, replace=False))]
    return tuple(drawn)


def intact(member, task, part):
    """An undisturbed run: losses (sequence, query), scores by layer (sequence, head), outputs by layer."""
    return _run(member, task, part, lambda layer, outputs: outputs)


def _run(member, task, part, edit):
    """Losses (sequence, query), and by layer scores (sequence, head) and the outputs gone on with."""
    scores, gone_on = [], []
    tokens, queries = task.tokens[part], torch.from_numpy(task.queries[part])
    rows = torch.arange(len(tokens))[:, None]
    keys = None if task.keys is None else torch.from_numpy(task.keys[part])

    def visit(layer, pattern, outputs):
        if keys is not None:
            scores.append(pattern[rows, :, queries, keys].mean(1).double().cpu().numpy())  # (sequence, head)
        gone_on.append(edit(layer, outputs))
        return gone_on[-1]

    hidden = member.visited(tokens, visit)  # (sequence, position, d_model)
    read = hidden[rows, queries].flatten(0, 1)
    targets = torch.from_numpy(task.targets[part].astype(np.int64)).to(read.device)
    with torch.no_grad():
        losses = member.readout.losses(read, targets.flatten()).view(targets.shape)
    return losses.double().cpu().numpy(), scores, gone_on


class Ablation(NamedTuple):
    """What becomes of the head outputs of a run."""

    heads: tuple  # of (layer, head)
    kind: str  # of `ablations.ABLATIONS`
    means: list | None = None  # by layer, (position, head, d_head)
    donors: list | None = None  # by layer, (sequence, position, head, d_head)
    frozen: list | None = None  # by layer, the outputs that all other heads are held to

    def __call__(self, layer, outputs):
        outputs = outputs if self.frozen is None else self.frozen[layer]  # (sequence, position, head, d_head)
        chosen = [head for at, head in self.heads if at == layer]
        if not chosen:
            return outputs
        changed = outputs.clone()
        mean, donor = (None if by is None else by[layer][..., chosen, :] for by in (self.means, self.donors))
        changed[:, :, chosen] = ABLATIONS[self.kind].replace(outputs[:, :, chosen], mean, donor)
        return changed

    def visit(self, layer, pattern, outputs):
        """The same, as `interventions` wants it."""
        return self(layer, outputs)


def ablate(member, task, sets, kinds=knockout.KINDS, seed=0, memory=MEMORY, shown=None, directly=True):
    """Ablate sets of heads.

    Parameters
    ----------
    member : what `interventions.open_member` gives
    task : Task
    sets : list of tuples of (layer, head)
    kinds : sequence of str
        Of `ablations.ABLATIONS`.
    seed : int
        Of which sequence stands in for which.
    memory : int
        Bytes, about.
    shown : what `progress.bar` gives, optional
    directly : bool
        Whether direct effects are wanted, each of which takes a run of its own; not a number otherwise.

    Returns
    -------
    losses : dict from (set's index, kind) to ndarray of shape (sequence, 3)
        Intact, total and direct, averaged over a sequence's queries.
    scores : dict from (set's index, kind) to ndarray of shape (sequence, layer, head)
        Induction scores; of the intact run under None. Empty on ordinary text.
    """
    means = knockout.mean_outputs(member, task.tokens, memory=memory) if needing(kinds, MEANS) else None
    donors = knockout.deranged(len(task.tokens), seed)
    found, scores = {}, {}
    for part in blocks(member, task, memory):
        clean, before, outputs = intact(member, task, part)
        others = member.run(task.tokens[donors[part]]).outputs if needing(kinds, DONORS) else None
        _add(scores, None, before)
        for index, heads in enumerate(sets):
            for kind in kinds:
                total, after, _ = _run(member, task, part, Ablation(heads, kind, means, others))
                direct = np.full_like(total, np.nan)
                if directly:
                    direct, _, _ = _run(member, task, part, Ablation(heads, kind, means, others, outputs))
                stacked = np.stack([losses.mean(1) for losses in (clean, total, direct)], 1)
                found.setdefault((index, kind), []).append(stacked)
                _add(scores, (index, kind), after)
            if shown is not None:
                shown.update(len(clean))
    losses = {key: np.concatenate(parts) for key, parts in found.items()}
    return losses, {key: np.concatenate(parts) for key, parts in scores.items()}


def _add(scores, key, by_layer):
    if by_layer:
        scores.setdefault(key, []).append(np.stack(by_layer, 1))  # (sequence, layer, head)


def effect_tables(
    family, induction, repeated, ordinary, *, count=8, controls=3, kinds=knockout.KINDS, seed=0, memory=MEMORY
):
    """Effects of ablating every member's induction heads, and of their controls.

    Parameters
    ----------
    family : ToyFamily or PretrainedFamily
    induction : DataFrame of [member, layer, head]
        The induction heads, a member's strongest first, as `repeated_tokens.induction_heads` gives.
    repeated, ordinary : Task
        On which effects are measured; other sequences than those on which the heads were chosen.
    count, controls : int
        As for `sets_of_heads`.
    kinds, seed, memory
        As for `ablate`.

    Returns
    -------
    effects : DataFrame
        member, set, heads (such as "1.0 1.2": layer.head), size, group, later_layers (how many lie after the first of
        the set's), control_of (a set, or -1), kind, and in nats loss (intact, on repeated tokens), total, direct,
        repair (missing without later layers), ordinary (each with `_error` or, for repair, `_low` and `_high`, over
        sequences).
    backups : DataFrame
        member, set, kind, layer, head, ablated (bool), before, after, change, standard_error: induction scores.
    """
    effects, backups = [pd.DataFrame(columns=list(EFFECTS))], [pd.DataFrame(columns=list(BACKUPS))]
    for number in range(family.members):
        member = interventions.open_member(family, number)
        own = induction.loc[induction["member"] == number, ["layer", "head"]].to_numpy().tolist()
        sets = sets_of_heads([tuple(head) for head in own], family, count, controls, seed)
        if not sets:
            continue
        chosen = [one.heads for one in sets]
        with progress.bar(2 * len(sets) * len(repeated.tokens), f"ablation, member {number}", "sequences") as shown:
            losses, scores = ablate(member, repeated, chosen, kinds, seed, memory, shown)
            plain, _ = ablate(member, ordinary, chosen, kinds, seed, memory, shown, directly=False)
        for index, (heads, group, control_of) in enumerate(sets):
            later = family.layers - 1 - min(layer for layer, _ in heads)
            for kind in kinds:
                identity = {"member": number, "set": index, "heads": " ".join(f"{la}.{he}" for la, he in heads)}
                identity |= {"size": len(heads), "group": group, "later_layers": later}
                identity |= {"control_of": control_of, "kind": kind}
                row = identity | _effects(losses[index, kind], plain[index, kind], seed)
                if not later:
                    row |= dict.fromkeys(("repair", "repair_low", "repair_high"), np.nan)
                effects.append(pd.DataFrame([row]))
                if control_of < 0:
                    backups.append(_changes(scores[None], scores[index, kind], heads, number, index, kind))
    return _typed(effects, EFFECTS), _typed(backups, BACKUPS)


def _typed(parts, columns):
    whole = pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)[list(columns)]
    types = {"string": object, "double": np.float64}
    return whole.astype({name: types.get(kind, kind) for name, kind in columns.items()})


def blocks(member, task, memory):
    height = max(1, memory // member.prompt_bytes(task.tokens.shape[1], 2))
    return [slice(low, low + height) for low in range(0, len(task.tokens), height)]


def _effects(found, plain, seed):
    total, direct = found[:, 1] - found[:, 0], found[:, 2] - found[:, 0]
    row = {"loss": float(found[:, 0].mean())}
    for name, values in (("total", total), ("direct", direct), ("ordinary", plain[:, 1] - plain[:, 0])):
        mean, error = mean_and_error(values)
        row |= {name: float(mean), f"{name}_error": float(error)}
    low, high = bootstrap_interval(direct, total, seed=seed)
    return row | {"repair": row["direct"] - row["total"], "repair_low": float(low), "repair_high": float(high)}


def _changes(before, after, heads, member, index, kind):
    change, error = mean_and_error(after - before, axis=0)  # (layer, head)
    layer, head = np.indices(change.shape, dtype=np.int32).reshape(2, -1)
    ablated = np.zeros(change.shape, dtype=bool)
    for at in heads:
        ablated[at] = True
    columns = {"member": np.int32(member), "set": np.int32(index), "kind": kind, "layer": layer, "head": head}
    numbers = {"before": before.mean(0), "after": after.mean(0), "change": change, "standard_error": error}
    columns |= {"ablated": ablated.ravel(), **{name: value.ravel() for name, value in numbers.items()}}
    return pd.DataFrame(columns)
