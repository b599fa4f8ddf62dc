"""Training a family of toy transformers: all members at once, each as if it were alone.

The weights of a family are stacked, every member reads windows of its own in an order of its own,
and losses are summed over members, so no member feels another. A GPU computes all members in the
same products; on a CPU, which gains nothing from that, each core takes a member of its own.
"""

import hashlib
import json
import math
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from headatlas.base import progress
from headatlas.base.errors import InputError
from headatlas.models import checkpoints, minibatches, transformer
from headatlas.models.adam import MEANS, Adam
from headatlas.models.cross_entropy import CrossEntropy

SCHEDULES = ("constant", "linear")
_WARM_UP = 0.05  # of the steps, in which a linear schedule reaches its learning rate
_LOOK = 20  # steps between looks at the loss on a GPU, each of which stops it


@dataclass(frozen=True)
class TrainingSettings:
    """How a family is trained.

    Parameters
    ----------
    epochs : int
        Times each member reads all its windows, in a new order each time.
    batch : int
        Windows in a step, for each member.
    learning_rate, betas, weight_decay
        AdamW's (Loshchilov & Hutter 2019; decoupled, on all weights).
    schedule : {"constant", "linear"}
        Of the learning rate: the same at every step, or rising over the first twentieth of the steps and from there
        falling in a straight line towards 0 after the last.
    masking : float
        Share of tokens replaced by the mask and predicted; bidirectional models only.
    evaluations : int
        How often, along the way, losses are recorded.
    snapshots : int
        How often, along the way, weights are recorded: as many steps as these, less those that coincide, on a log
        scale (`snapshot_steps`).
    first_snapshot : int
        The step at which that scale begins; the weights of step 0 are recorded too.
    checkpoint_seconds : float
        Seconds from one checkpoint to the next.
    """

    epochs: int
    batch: int
    learning_rate: float
    schedule: str
    betas: tuple[float, float]
    weight_decay: float
    masking: float
    evaluations: int
    snapshots: int
    first_snapshot: int
    checkpoint_seconds: float = 300.0


def learning_rate(settings, step, steps):
    """The learning rate of a step, 0 to `steps` - 1, under a training's schedule."""
    if settings.schedule == "constant":
        return settings.learning_rate
    warm_up = max(1, round(_WARM_UP * steps))
    return settings.learning_rate * min((step + 1) / warm_up, (steps - step) / (steps + 1 - warm_up))


class _Group:
    """Members computed together, with their weights and their optimiser."""

    def __init__(self, members, weights, settings, device):
        self.members = members  # a slice
        self.leaves = {name: _leaf(name, value[members], device) for name, value in weights.items()}
        self.table = self.leaves.get(
            "unembedding.weight", self.leaves["token_embedding"]
        )  # (member, vocabulary, d_model)
        self.cross_entropy = CrossEntropy()
        for table in {self.table, self.leaves["token_embedding"]}:  # large: written in place at each step
            table.grad = torch.zeros_like(table)
        self.read = None  # the tokens whose rows of the token embedding's gradient are not zero
        self.optimiser = Adam(self.leaves.values(), settings.learning_rate, settings.betas, settings.weight_decay)

    def resume(self, means, step, device):
        """Take up the optimiser's running means (member, ...) as they were after `step` steps."""
        for name, leaf in self.leaves.items():
            state = self.optimiser.state[leaf]
            state["step"].fill_(step)
            for mean in MEANS:
                state[mean] = _leaf(name, means[f"{mean}/{name}"][self.members], device).detach()


def train(
    architecture,
    seeds,
    windows,
    evaluation,
    settings,
    device="cpu",
    pad=None,
    mask=None,
    scratch=None,
    on_record=None,
    together=None,
    on_snapshot=None,
):
    """Train a family; member i comes out as it would alone with its seed and windows.

    Parameters
    ----------
    architecture : transformer.Architecture
    seeds : sequence of int, not negative
        One for each member: its initial weights, the order of its windows and its masks.
    windows : integer array of shape (member, window, size)
        `size` is context + 1 for a causal model (inputs and their next tokens), context otherwise.
    evaluation : integer array of shape (window, size)
        Held-out windows, the same for all members; the masks on them never change.
    settings : TrainingSettings
    device : str or torch.device
        "cuda" trains in mixed precision (bfloat16 products, float32 weights), "cpu" in float32.
    pad, mask : int, optional
        Token id that is neither attended to nor scored, and the one that hides a masked token.
    scratch : path-like, optional
        Folder for a checkpoint, from which a killed training goes on to the same bytes; it is
        removed at the end. One that belongs to another training is not used.
    on_record : callable, optional
        Called with each row of the history, a dict, when it is made.
    together : int, optional
        Members computed in the same matrix products: all on a GPU and one on a CPU by default.
    on_snapshot : callable, optional
        Called with the step and the weights, as they are returned, at each of `settings.snapshots` steps, in order;
        a training that goes on from a checkpoint calls it for the steps before that too.

    Returns
    -------
    weights : dict of str to Tensor, each of shape (member, ...), on the CPU
    history : pandas.DataFrame
        Columns `member`, `step`, `epoch` (epochs done), `split` (train: mean over the steps since
        the last record; validation: the held-out windows), `loss` (nats per scored token) and `accuracy`.

    Raises
    ------
    InputError
        If windows, seeds and architecture do not fit one another, or a loss is not finite.
    """
    windows, evaluation = np.asarray(windows), np.asarray(evaluation)
    _check(architecture, seeds, windows, evaluation, settings, mask)
    device = torch.device(device)
    members, count, _ = windows.shape
    per_epoch = math.ceil(count / settings.batch)
    steps = settings.epochs * per_epoch
    records = {round(i * steps / settings.evaluations) for i in range(1, settings.evaluations + 1)}
    wanted = set(snapshot_steps(steps, settings.snapshots, settings.first_snapshot) if on_snapshot is not None else [])
    reader = minibatches.Reader(architecture, seeds, windows, settings, pad, mask, device)
    held_out = minibatches.held_out(architecture, evaluation, settings, pad, mask, device)

    checkpoint = Path(scratch) / "checkpoint.safetensors" if scratch is not None else None
    identity = _identity(architecture, seeds, windows, evaluation, settings, pad, mask, device)
    saved = checkpoints.load(checkpoint, identity) if checkpoint is not None else None
    facts, tensors = saved or ({"step": 0, "history": [], "sums": [[0.0] * members] * 3}, {})
    weights = _under("weights/", tensors)
    weights = weights or transformer.initial_weights(architecture, seeds)
    together = together or (members if device.type == "cuda" else 1)
    groups = [
        _Group(slice(first, first + together), weights, settings, device) for first in range(0, members, together)
    ]
    step, history = facts["step"], facts["history"]
    sums = torch.tensor(facts["sums"], dtype=torch.float64, device=device)  # loss, correct, scored; since a record
    if saved:
        for group in groups:
            group.resume(tensors, step, device)
        print(f"training: goes on from step {step} of {steps}", file=sys.stderr)
    snapshots = {taken: _under(f"snapshot {taken}/", tensors) for taken in sorted(wanted) if saved and taken <= step}
    for taken, recorded in snapshots.items():
        on_snapshot(taken, recorded)
    del weights, tensors, saved

    def snapshot():
        if step in wanted:
            snapshots[step] = _stacked(groups, lambda leaf, state: leaf)
            on_snapshot(step, snapshots[step])

    def record(split, totals):
        for member, (loss, correct, scored) in enumerate(totals.T.tolist()):
            row = {"member": member, "step": step, "epoch": step / per_epoch, "split": split}
            row |= {"loss": loss / max(scored, 1), "accuracy": correct / max(scored, 1)}
            history.append(row)
            if on_record is not None:
                on_record(row)

    def evaluate():
        found = each(lambda group: _evaluate(group, architecture, held_out, pad), groups)
        totals = torch.cat(list(found), 1)  # (3, member)
        record("validation", totals)
        return float(totals[0].sum() / totals[2].sum())

    bar = progress.bar(steps, f"training {members} member{'s'[: members > 1]}", "steps")
    with bar as shown, _side_by_side(device, len(groups)) as each:
        shown.update(step)
        latest = history[-1]["loss"] if history else evaluate()
        unchecked, tokens, began = [], 0, time.monotonic()
        checkpointed = began
        if not snapshots:
            snapshot()
        while step < steps:
            totals = torch.empty_like(sums)
            batches = [reader.read(step, group.members) for group in groups]
            for group in groups:
                group.optimiser.learning_rate = learning_rate(settings, step, steps)
            learnt = each(lambda group, batch: _learn(group, architecture, batch, pad), groups, batches)
            for group, batch, total in zip(groups, batches, learnt, strict=True):
                totals[:, group.members] = total
                tokens += batch.inputs.numel()
            step += 1
            sums += totals
            unchecked.append(totals[0] / totals[2].clamp(min=1))
            shown.update()

            due = checkpoint is not None and time.monotonic() - checkpointed >= settings.checkpoint_seconds
            if device.type == "cpu" or len(unchecked) == _LOOK or due or step in records:
                losses = torch.stack(unchecked).cpu()  # (step, member)
                unchecked = []
                _check_finite(losses, step, seeds, settings)
                rate = tokens / (time.monotonic() - began)
                note = f"loss {losses[-1].mean():.3f}, held out {latest:.3f}, {rate:,.0f} tokens/s"
                shown.set_postfix_str(note, refresh=False)
            paused = time.monotonic()
            if step in records:
                record("train", sums)
                sums.zero_()
                latest = evaluate()
            snapshot()
            if due:
                facts = {"step": step, "history": history, "sums": sums.tolist()}
                checkpoints.save(checkpoint, identity, facts, _state(groups, snapshots))
                checkpointed = time.monotonic()
            began += time.monotonic() - paused  # tokens per second are those of training alone

    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    history = pd.DataFrame(history).astype({"member": "int32", "step": "int32"})
    return _stacked(groups, lambda leaf, state: leaf), history


@contextmanager
def _side_by_side(device, groups):
    """A `map` over groups; on a CPU its threads take whole groups, since threads that share a small product wait."""
    threads = torch.get_num_threads()
    workers = min(threads, groups) if device.type == "cpu" else 1
    if workers == 1:
        yield map
        return
    torch.set_num_threads(threads // workers)
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,)) as pool:
            yield pool.map
    finally:
        torch.set_num_threads(threads)


def _scored(x, batch):
    """Of x (member, batch, position, d_model), what the unembedding reads for scored tokens, (member, row, d_model)."""
    x = x.flatten(1, 2)
    if batch.places is None:
        return x
    return x.gather(1, batch.places[..., None].expand(len(x), -1, x.shape[-1]))


def _learn(group, architecture, batch, pad):
    """One step of a group; returns its summed loss, correct and scored tokens, (3, member)."""
    leaves, device = group.leaves, batch.inputs.device
    embedding = leaves["token_embedding"]
    members = torch.arange(len(embedding), device=device)[:, None, None]
    with torch.no_grad():
        if architecture.embedding_max_norm is not None:  # the rows about to be used are shortened for good
            shorter = transformer.within_norm(embedding[members, batch.inputs], architecture.embedding_max_norm)
            embedding[members, batch.inputs] = shorter
        rows = transformer.token_rows(leaves, architecture, batch.inputs)
    rows.requires_grad_()
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        x = _scored(transformer.hidden(leaves, architecture, batch.inputs, pad, rows), batch)
    found = group.cross_entropy(
        x.detach().float(),
        group.table.detach(),
        leaves["unembedding.bias"].detach(),
        batch.targets,
        batch.scored / batch.scored.sum(1, keepdim=True).clamp(min=1),
        group.table.grad,
    )
    for leaf in leaves.values():
        if leaf is not group.table and leaf is not embedding:
            leaf.grad = None
    x.backward(found.hidden.to(x.dtype))
    leaves["unembedding.bias"].grad = found.bias
    if embedding is not group.table and group.read is not None:
        embedding.grad[members, group.read] = 0.0
    embedding.grad.index_put_((members, batch.inputs), rows.grad, accumulate=True)
    group.read = batch.inputs
    group.optimiser.step()
    return _sums(found, batch.scored)


@torch.no_grad()
def _evaluate(group, architecture, held_out, pad):
    """Summed loss, correct and scored held-out tokens, (3, member); in float32 on every device."""
    bias, totals = group.leaves["unembedding.bias"], 0
    for batch in held_out:
        x = _scored(transformer.hidden(group.leaves, architecture, batch.inputs, pad), batch)
        targets = batch.targets.expand(len(x), -1)
        totals = totals + _sums(group.cross_entropy(x, group.table, bias, targets), batch.scored)
    return totals.cpu()


def _sums(found, scored):
    parts = found.losses * scored, found.correct * scored, scored.expand_as(found.losses)
    return torch.stack([part.sum(1, dtype=torch.float64) for part in parts])  # (3, member)


def _leaf(name, value, device):
    """A copy of a weight, fit to be trained."""
    return _turned(name, value).to(device, copy=True, memory_format=torch.contiguous_format).requires_grad_()


def _turned(name, value):
    """The unembedding's matrix transposed: in training it is a table with a row for each token."""
    return value.mT if name == "unembedding.weight" else value


def _stacked(groups, take):
    """One tensor (member, ...) per weight, on the CPU, of what `take(leaf, its optimiser's state)` gives."""
    stacked = {}
    for name in groups[0].leaves:
        parts = [take(group.leaves[name], group.optimiser.state[group.leaves[name]]) for group in groups]
        stacked[name] = _turned(name, torch.cat([part.detach().cpu() for part in parts])).contiguous()
    return stacked


def snapshot_steps(steps, count, first=1):
    """The steps at which `count` snapshots of `steps` steps of training are taken: 0, then `first` to last by ratio.

    Equal steps are taken once, so that there may be fewer.
    """
    if count < 2:
        return [steps][:count]
    return sorted({0, *np.geomspace(min(first, steps), steps, count - 1).round().astype(int).tolist()})


def snapshots_as_family(taken, config, tokens_per_step):
    """Snapshots as a family of their own, whose members are a seed at a step: what reads a family reads them.

    Parameters
    ----------
    taken : dict from int to dict of str to Tensor of shape (member, ...)
        Weights by step.
    config : dict
        Of the family that was trained.
    tokens_per_step : int
        Tokens that a member sees in a step.

    Returns
    -------
    weights : dict of str to Tensor of shape (step and member, ...)
        Empty where there are no snapshots.
    config : dict
        `seeds` and, in `snapshots`, the member, step and tokens of each.
    """
    members = range(len(config["seeds"]))
    named = [{"member": m, "step": step, "tokens": step * tokens_per_step} for step in taken for m in members]
    names = next(iter(taken.values()), {})
    weights = {name: torch.cat([recorded[name] for recorded in taken.values()]) for name in names}
    return weights, {**config, "seeds": [config["seeds"][one["member"]] for one in named], "snapshots": named}


def _under(prefix, tensors):
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _state(groups, snapshots):
    """All tensors that a checkpoint holds."""
    tensors = {f"weights/{name}": value for name, value in _stacked(groups, lambda leaf, state: leaf).items()}
    for mean in MEANS:
        stacked = _stacked(groups, lambda leaf, state, mean=mean: state[mean])
        tensors |= {f"{mean}/{name}": value for name, value in stacked.items()}
    for step, recorded in snapshots.items():
        tensors |= {f"snapshot {step}/{name}": value for name, value in recorded.items()}
    return tensors


def _check(architecture, seeds, windows, evaluation, settings, mask):
    size = architecture.context + architecture.causal
    if windows.ndim != 3 or len(windows) != len(seeds):
        raise InputError(f"windows: shape {windows.shape} is not (member, window, size) with {len(seeds)} members")
    for name, array in (("windows", windows), ("evaluation", evaluation)):
        if not array.size:
            raise InputError(f"{name}: there are none; at least one is needed")
        if array.shape[-1] > size or array.shape[-1] < 1 + architecture.causal:
            raise InputError(f"{name}: {array.shape[-1]} tokens long, but the model takes {size}")
        if array.min() < 0 or array.max() >= architecture.vocabulary:
            wrong = array.min() if array.min() < 0 else array.max()
            raise InputError(f"{name}: token {wrong} is outside the vocabulary of {architecture.vocabulary}")
    if min(seeds) < 0:
        raise InputError(f"seeds: {min(seeds)} is negative; seeds are whole numbers from 0 up")
    for name in ("epochs", "batch", "evaluations", "first_snapshot"):
        if getattr(settings, name) < 1:
            raise InputError(f"{name}: {getattr(settings, name)} is too few; at least 1")
    if settings.schedule not in SCHEDULES:
        raise InputError(f"schedule: {settings.schedule!r} is not known; allowed: {', '.join(SCHEDULES)}")
    if settings.snapshots < 0:
        raise InputError(f"snapshots: {settings.snapshots} is too few; at least 0")
    if not architecture.causal and (mask is None or not 0 <= mask < architecture.vocabulary):
        raise InputError(f"mask: {mask} is no token id; a bidirectional model needs one to hide tokens with")
    if not architecture.causal and not 0 < settings.masking < 1:
        raise InputError(f"masking: {settings.masking} must lie between 0 and 1")


def _check_finite(losses, step, seeds, settings):
    """Stop at the first loss that is not finite; `losses` (step, member) are those up to `step`."""
    wrong = (~losses.isfinite()).nonzero()
    if len(wrong):
        row, member = wrong[0].tolist()
        raise InputError(
            f"learning_rate: with {settings.learning_rate} the loss of member {member} (seed {seeds[member]}) was "
            f"{losses[row, member]:g} at step {step - len(losses) + row}, which is not finite; a lower one is needed"
        )


def _identity(architecture, seeds, windows, evaluation, settings, pad, mask, device):
    """Digest of all that decides where a training ends."""
    digest = hashlib.sha256()
    decides = asdict(settings)
    del decides["checkpoint_seconds"]
    decides |= {"architecture": asdict(architecture), "seeds": [int(seed) for seed in seeds], "pad": pad, "mask": mask}
    decides |= {"device": device.type, "torch": torch.__version__}
    digest.update(json.dumps(decides, sort_keys=True).encode())
    for array in (windows, evaluation):
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()
