"""What knocking out heads does to predictions: losses, promoted tokens, and inner products between heads' effects.

The inner products of all heads' effect vectors are all that a principal component analysis, a nearest
neighbour or a distance needs; the vectors themselves, of prompts times vocabulary numbers each, are never kept.
"""

import numpy as np
import pandas as pd
import torch

from headatlas.base import progress
from headatlas.base.errors import InputError
from headatlas.base.statistics import mean_and_error
from headatlas.models import memory_limits
from headatlas.models.ablations import DONORS, MEANS, NOTHING, needing
from headatlas.models.knockout import (
    KINDS,
    Replacements,
    blocks,
    class_losses,
    draw_donors,
    exchange,
    knock_out,
    mean_outputs,
    output_statistics,
    reading,
    scored,
    written_size,
)
from headatlas.studies.phrenology import token_classes

EFFECTS = ("published", *KINDS)  # the published vectors are those of zero, normalised over the wrong axis


def loss_table(member, tokens, *, causal, others, pad=None, mask=None, seed=0, kinds=KINDS):
    """What ablating each head costs: the loss without it less the loss with it, and with another head in its place.

    Parameters
    ----------
    member : what `interventions.open_member` gives
    tokens : integer array of shape (prompt, position)
        Held-out windows; they are also what means are taken over and donors are drawn from.
    causal : bool
    pad, mask : int, optional
    others : int
        Heads of the same layer that take a head's place, one by one, at most: the control.
    seed : int
        Of the others, donors and masks.
    kinds : sequence of {"zero", "mean", "resample"}

    Returns
    -------
    DataFrame
        layer, head, kind (of ablation, or "other": the mean over other heads of the layer in its place, about its own
        mean and at equal root mean square length), loss (nats per token without the head), effect (that less the
        undisturbed loss; both are means over prompts of the mean over a prompt's predictions) and standard_error (of
        the effect, over prompts).
    """
    options = {"causal": causal, "pad": pad, "mask": mask, "others": others, "seed": seed, "kinds": kinds}
    return loss_tables(member, tokens, [], **options)[0]


def loss_tables(member, tokens, counted, *, causal, others, pad=None, mask=None, seed=0, kinds=KINDS):
    """The same, and what each head costs on each class of tokens.

    Parameters
    ----------
    member, tokens, causal, others, pad, mask, seed, kinds
        As for `loss_table`.
    counted : integer array
        Tokens that frequencies are counted in; with none, there are no classes.

    Returns
    -------
    losses, by_class : DataFrame
        The second, None without classes, has a row for each class (`token_classes.CLASSES`) too: token_class, and
        targets (how many tokens of the class were predicted).
    """
    inputs, targets = scored(tokens, causal, pad, mask, seed)
    classes = token_classes.of_targets(inputs, targets, counted, causal) if np.size(counted) else {}
    which = np.stack([targets >= 0, *classes.values()])  # (class, prompt, position)
    means, variations = output_statistics(member, inputs, pad)
    given = Replacements(means, draw_donors(inputs, seed, pad), pad)
    found = {}
    for part, kind, layer, hidden in knock_out(member, inputs, kinds, given):
        losses = class_losses(member.readout, hidden, targets[part], which[:, part])
        found.setdefault((kind, layer), []).append(losses)
    if others and member.heads > 1:
        for layer, losses in _in_place(member, inputs, targets, which, means, variations, others, seed):
            found.setdefault(("other", layer), []).append(losses)
    found = {key: np.concatenate(parts, -1) for key, parts in found.items()}  # (class, head, prompt)
    clean, rows = found.pop((None, -1)), [[] for _ in which]
    for (kind, layer), of_classes in found.items():
        for row, losses, undisturbed in zip(rows, of_classes, clean, strict=True):
            effect, error = mean_and_error(losses - undisturbed)
            identity = {"layer": layer, "head": np.arange(len(losses)), "kind": kind}
            numbers = {"loss": mean_and_error(losses)[0], "effect": effect, "standard_error": error}
            row.append(pd.DataFrame(identity | numbers))
    for row, name, where in zip(rows[1:], classes, which[1:], strict=True):
        row[:] = [part.assign(token_class=name, targets=int(where.sum())) for part in row]
    by_class = [part for row in rows[1:] for part in row]
    return _sorted(rows[0]), _sorted(by_class) if by_class else None


def _sorted(parts):
    return pd.concat(parts, ignore_index=True).sort_values(["layer", "head"], kind="stable", ignore_index=True)


def _in_place(member, inputs, targets, which, means, variations, others, seed):
    """Yield layer and losses (class, head, prompt), block by block: means over others of the layer in each's place."""
    rng = np.random.default_rng(seed)
    chosen = _chosen_others(member.heads, others, rng)  # (head, other)
    for part in blocks(member, inputs, chosen.shape[1]):
        trace = member.run(inputs[part])
        for layer, outputs in enumerate(trace.outputs):
            writers = member.writers(layer)
            varying = outputs - means[layer][: outputs.shape[1]]
            written = torch.einsum("pthd,hdm->hptm", varying, writers)  # (head, prompt, position, d_model)
            sizes = written_size(variations[layer], writers)
            losses = []
            for head, theirs in enumerate(chosen):
                factors = (sizes[head] / sizes[theirs].clamp(min=1e-30)).to(written.dtype)[None]
                (hidden,) = exchange(member, trace, layer, written[head : head + 1], written[theirs], factors)
                losses.append(class_losses(member.readout, hidden, targets[part], which[:, part]).mean(1))
            yield layer, np.stack(losses, 1)


def _chosen_others(heads, most, rng):
    """For each head, other heads of its layer in their order: all, or as many as asked for, drawn at random."""
    rows = [[other for other in range(heads) if other != head] for head in range(heads)]
    return np.array([np.sort(rng.permutation(row)[:most]) for row in rows])


class Effects:
    """The hidden states of one member's knockouts over some prompts, from which its effect vectors follow.

    Parameters
    ----------
    member : what `interventions.open_member` gives
    tokens : integer array of shape (prompt, position)
    others : integer array of shape (other prompt, position or more)
        Prompts that means are taken over and donors drawn from.
    causal : bool
    pad, mask : int, optional
    seed : int
        Of the donors.

    Attributes
    ----------
    readout : interventions.Readout
    clean : Tensor of shape (prompt, position, d_model)
    zero : Tensor of shape (head, prompt, position, d_model)
        Heads layer by layer. All positions, because the published vectors are normalised over them.
    last : dict from kind to Tensor of shape (head, prompt, d_model)
        At the last real position alone.
    at : Tensor of shape (prompt,)
    """

    def __init__(self, member, tokens, others, *, causal, pad=None, mask=None, seed=0):
        shown, at = reading(tokens, causal, pad, mask)
        others = np.asarray(others)[:, : shown.shape[1]]
        chosen = np.random.default_rng(seed).permutation(len(others))[np.arange(len(shown)) % len(others)]
        same = (others[chosen] == np.asarray(tokens)).all(1)  # a prompt is not its own donor
        chosen[same] = (chosen[same] + 1) % len(others)
        given = Replacements(mean_outputs(member, others, pad), others[chosen])
        self.readout, self.at = member.readout, torch.from_numpy(at)
        whole, last, besides = {}, {}, [kind for kind in KINDS if kind != "zero"]
        for _, kind, layer, hidden in knock_out(member, shown, ("zero",), given):
            whole.setdefault((kind, layer), []).append(hidden)
        for _, kind, layer, hidden in knock_out(member, shown, besides, given, at=at):
            last.setdefault((kind, layer), []).append(hidden[:, :, 0])
        self.clean = torch.cat(whole.pop((None, -1)), 1)[0]
        self.zero = torch.cat([torch.cat(parts, 1) for parts in whole.values()])
        rows = torch.arange(len(at))
        self.last = {"zero": self.zero[:, rows, self.at.to(self.zero.device)]}
        for kind in besides:
            self.last[kind] = torch.cat([torch.cat(parts, 1) for (k, _), parts in last.items() if k == kind])

    def __len__(self):
        return len(self.zero)

    def vectors(self, effect, prompts, vocabulary=None):
        """Effect vectors: how the probabilities at the last position change, over the first `vocabulary` tokens.

        Parameters
        ----------
        effect : {"published", "zero", "mean", "resample"}
            "published" are the probabilities of Edkins & Wiechecki 2023 under zero, whose softmax runs over
            positions in place of tokens.
        prompts : slice

        Returns
        -------
        Tensor of shape (head, prompt, vocabulary)
        """
        keep = slice(vocabulary)
        rows, at = torch.arange(self.clean[prompts].shape[0]), self.at[prompts].to(self.clean.device)
        if effect != "published":
            clean = self.readout.logits(self.clean[prompts][rows, at])
            knocked = self.readout.logits(self.last[effect][:, prompts])
            return knocked.softmax(-1)[..., keep] - clean.softmax(-1)[..., keep]

        def over_positions(hidden):  # (..., prompt, position, d_model)
            logits = self.readout.logits(hidden)[..., keep]
            past = torch.arange(logits.shape[-2], device=logits.device) <= at[:, None]  # padding takes no part
            total = logits.masked_fill(~past[..., None], -torch.inf).logsumexp(-2)
            return (logits[..., rows, at, :] - total).exp()

        clean = over_positions(self.clean[prompts])
        return torch.stack([over_positions(hidden) - clean for hidden in self.zero[:, prompts]])


def products(members, effect):
    """Inner products of the effect vectors of all heads of all members, over all prompts.

    Parameters
    ----------
    members : list of Effects
        Over the same prompts; where vocabularies differ in length, the tokens that all have.
    effect : {"published", "zero", "mean", "resample"}

    Returns
    -------
    float64 array of shape (head, head)
        Heads member by member.
    """
    vocabulary = min(len(member.readout.table) for member in members)
    prompts, size = members[0].clean.shape[:2]
    heads = sum(map(len, members))
    wide = heads + (max(map(len, members)) if effect != "published" else size)
    block = max(1, memory_limits.EFFECTS // (wide * vocabulary))
    found = np.zeros((heads, heads))
    for first in progress.track(range(0, prompts, block), f"effects, {effect}"):
        part = slice(first, min(first + block, prompts))
        vectors = torch.cat([member.vectors(effect, part, vocabulary).flatten(1) for member in members])
        found += (vectors @ vectors.T).double().cpu().numpy()
    return (found + found.T) / 2


def prompt_logits(member, prompt, others, *, causal, pad=None, mask=None, donors=16, seed=0):
    """Logits of what follows one prompt, with each head of a member knocked out.

    Parameters
    ----------
    member : what `interventions.open_member` gives
    prompt : integer sequence of shape (position,)
        A bidirectional model is shown a mask after it.
    others : integer array of shape (other prompt, other position)
        Prompts at least as long, which means are taken over and donors drawn from.
    causal : bool
    pad, mask : int, optional
    donors : int
        How many other prompts the logits of "resample" are the mean over.
    seed : int

    Returns
    -------
    clean : float32 array of shape (vocabulary,)
    knocked : dict from kind to float32 array of shape (head, vocabulary)
        Heads layer by layer.
    """
    prompt = np.asarray(prompt if causal or mask is None else [*prompt, mask])
    if len(prompt) > np.shape(others)[1]:
        raise InputError(f"prompt: {len(prompt)} tokens found; allowed: at most the {np.shape(others)[1]} of a window")
    others = np.asarray(others)[:, : len(prompt)]
    drawn = others[np.random.default_rng(seed).permutation(len(others))[:donors]]
    means = mean_outputs(member, others, pad)
    once, often = prompt[None], np.repeat(prompt[None], len(drawn), 0)
    found = {}
    for tokens, need in ((once, NOTHING), (once, MEANS), (often, DONORS)):
        given, at = Replacements(means, drawn, pad), np.full(len(tokens), len(prompt) - 1)
        parts = {}
        for _, kind, layer, hidden in knock_out(member, tokens, needing(KINDS, need), given, at=at):
            parts.setdefault((kind, layer), []).append(member.readout.logits(hidden[:, :, 0]).sum(1))
        found |= {key: sum(sums) / len(tokens) for key, sums in parts.items()}  # (head, vocabulary)
    clean = found.pop((None, -1))[0].cpu().numpy()
    by_kind = {kind: [logits for (k, _), logits in found.items() if k == kind] for kind in KINDS}
    return clean, {kind: torch.cat(logits).cpu().numpy() for kind, logits in by_kind.items()}


def prompt_table(member, prompt, others, shown=1000, **reading):
    """Logits of the tokens likeliest after one prompt, with each head knocked out; parameters as `prompt_logits`.

    Returns
    -------
    DataFrame
        layer, head, token (its id; the `shown` of highest undisturbed logit, highest first), clean, zero, mean and
        resample (logits, float32).
    """
    clean, knocked = prompt_logits(member, prompt, others, **reading)
    tokens = np.argsort(-clean, kind="stable")[:shown].astype(np.int32)
    rows = np.repeat(np.arange(member.layers * member.heads), len(tokens))
    columns = {"layer": rows // member.heads, "head": rows % member.heads}
    columns |= {"token": np.tile(tokens, member.layers * member.heads)}
    columns |= {"clean": np.tile(clean[tokens], member.layers * member.heads)}
    return pd.DataFrame(columns | {kind: logits[:, tokens].ravel() for kind, logits in knocked.items()})


def identity(model, member, layers, heads):
    """Rows of [model, member, layer, head] for all heads of one member, layer by layer."""
    layer, head = np.indices((layers, heads), dtype=np.int32).reshape(2, -1)
    return pd.DataFrame({"model": model, "member": np.int32(member), "layer": layer, "head": head})


def comparison(heads, members):
    """How the effects of all heads lie to one another.

    Parameters
    ----------
    heads : DataFrame of [model, member, layer, head]
    members : list of Effects

    Returns
    -------
    columns : dict
        Those of `heads`; for each of EFFECTS its inner products with all heads (a row of the matrix), and its first
        two principal components as `{effect}_1` and `{effect}_2`.
    facts : dict
        `explained_variance`: effect -> shares of the two components.
    """
    columns, shares = {name: heads[name].to_numpy() for name in heads.columns}, {}
    for effect in EFFECTS:
        found = products(members, effect)
        points, share = principal_components(found)
        columns |= {effect: found, f"{effect}_1": points[:, 0], f"{effect}_2": points[:, 1]}
        shares[effect] = share.tolist()
    return columns, {"explained_variance": shares}


def principal_components(products, count=2):
    """Principal components of vectors of which only the inner products are known.

    Parameters
    ----------
    products : array of shape (head, head)
    count : int

    Returns
    -------
    points : array of shape (head, count)
        Coordinates on the components, each with its largest coordinate positive.
    shares : array of shape (count,)
        Of the variance.
    """
    centred = products - products.mean(0) - products.mean(1, keepdims=True) + products.mean()
    values, vectors = np.linalg.eigh((centred + centred.T) / 2)
    values, vectors = values[::-1][:count].clip(0), vectors[:, ::-1][:, :count]
    points = vectors * np.sqrt(values)
    points = points * np.where(points[np.abs(points).argmax(0), np.arange(count)] < 0, -1, 1)
    return points, values / max(np.trace(centred), np.finfo(float).tiny)


def token_table(member, effect="zero", most=10):
    """The tokens that each head promotes and suppresses most, over all prompts.

    A head promotes what its knockout makes less probable.

    Parameters
    ----------
    member : Effects
    effect : {"zero", "mean", "resample"}
    most : int
        How many of each.

    Returns
    -------
    DataFrame
        row (of the member's heads), direction (promoted or suppressed), rank (from 1), token (its id), effect (mean
        change of its probability by the head's presence), standard_error (over prompts).
    """
    prompts = len(member.clean)
    total, squares = 0.0, 0.0
    block = max(1, memory_limits.EFFECTS // (2 * len(member) * len(member.readout.table)))
    for first in range(0, prompts, block):
        vectors = member.vectors(effect, slice(first, min(first + block, prompts)))
        total, squares = total - vectors.sum(1), squares + vectors.square().sum(1)
    mean = total / prompts  # (head, vocabulary)
    variance = (squares - prompts * mean.square()).clamp(min=0) / max(1, prompts - 1)
    error = (variance / prompts).sqrt() if prompts > 1 else torch.full_like(mean, torch.nan)
    most = min(most, mean.shape[1] // 2)
    parts = []
    for direction, sign in (("promoted", 1), ("suppressed", -1)):
        tokens = (sign * mean).topk(most, 1).indices.cpu()  # (head, rank)
        row = np.repeat(np.arange(len(member)), most)
        columns = {"row": row, "direction": direction, "rank": np.tile(np.arange(1, most + 1), len(member))}
        columns |= {"token": tokens.flatten().numpy()}
        for name, values in (("effect", mean), ("standard_error", error)):
            columns[name] = values.cpu().gather(1, tokens).flatten().double().numpy()
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True).sort_values(["row", "direction", "rank"], ignore_index=True)
