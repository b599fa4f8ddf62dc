"""Transplants: a head of one network in the place of a head of another, and how much of the loss it makes good.

Head j of network B writes a vector into the residual stream at every position. Its mean at each position stays; what
varies about it is replaced by what varies in head i of network A, computed in A on the same prompts. The two streams
are carried into one another by their unembeddings: with U_A (d_A, vocabulary) the unembedding of A, its final norm's
scale folded in and centred over the vocabulary (a softmax does not see what is added to all logits), a direction x of A
means the logits x U_A. The map M (d_A, d_B) is the least-squares solution of M U_B = U_A,

    M = U_A U_B^T (U_B U_B^T)^+,

so that x M in B means as nearly as B can what x means in A; what B's stream cannot say is lost, and the rest is shorter
for it. Hence two measurements: as mapped, and at equal length (root mean square over positions) to what is replaced.
Of two copies of one network M is the identity, and the head's own copy makes good all of the loss.

The loss recovered is that of the mean ablation of head j less that of the transplant, in nats per token; its share of
what the ablation costs is 1 for the head itself and 0 for silence, and below 0 where the donor does harm.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from headatlas.base import progress
from headatlas.base.errors import InputError
from headatlas.base.statistics import mean_and_error
from headatlas.models import interventions, knockout
from headatlas.models.knockout import prompt_losses, scored

RECOVERED = ("recovered", "recovered_equal_norm")
_IDENTITY = ["model", "member", "layer", "head"]


class Donor(NamedTuple):
    """What is taken from one network: everything that a transplant needs of it."""

    varying: list  # by layer, (prompt, position, head, d_head): the heads' outputs less their means
    variations: list  # by layer, (head, d_head, d_head): `knockout.output_statistics`
    means: list  # by layer, (position, head, d_head)
    writers: list  # by layer, (head, d_head, d_model)
    unembedding: torch.Tensor  # (d_model, vocabulary), float64, centred over the vocabulary


def unembedding_map(giver, taker):
    """The least-squares map from one residual stream to another by which their unembeddings agree.

    Parameters
    ----------
    giver : Tensor of shape (d_giver, vocabulary)
    taker : Tensor of shape (d_taker, vocabulary)
        Both centred over the vocabulary; where vocabularies differ in length, the tokens that both have.

    Returns
    -------
    Tensor of shape (d_giver, d_taker)
    """
    common = min(giver.shape[1], taker.shape[1])
    giver, taker = giver[:, :common], taker[:, :common]
    return giver @ taker.T @ torch.linalg.pinv(taker @ taker.T, hermitian=True)


def take_donor(family, index, inputs, pad=None):
    """Everything that a transplant needs of one member, over all prompts (prompt, position)."""
    member = interventions.open_member(family, index)
    means, variations = knockout.output_statistics(member, inputs, pad)
    parts = [[] for _ in means]
    for part in knockout.blocks(member, inputs, 0):
        for layer, outputs in enumerate(member.run(inputs[part]).outputs):
            parts[layer].append(outputs - means[layer])
    writers = [member.writers(layer) for layer in range(member.layers)]
    try:
        matrix = torch.from_numpy(family.head_weights(index, 0)["W_U"]).to(family.device)
    except InputError:  # a type whose weights are not known: without the final norm's scale
        matrix = member.readout.table.T
    matrix = matrix.double() - matrix.double().mean(1, keepdim=True)
    return Donor([torch.cat(layer) for layer in parts], variations, means, writers, matrix)


def transplant(members, tokens, *, between_layers, pad=None, mask=None, seed=0):
    """Put every head of every other member in the place of every head, a layer at a time.

    Parameters
    ----------
    members : list of (str, family, int)
        A model's name, its family (`families.load_family`) and the number of a member in it; one tokenizer for all.
    tokens : integer array of shape (prompt, position)
        Held-out windows.
    between_layers : bool
        Whether, as a control, heads of another layer of the same donor (one layer drawn for each) are transplanted too.
    pad, mask : int, optional
    seed : int
        Of the masks of bidirectional models, and of the layers that control donors come from.

    Returns
    -------
    costs : DataFrame
        One row for each head: model, member, layer, head, loss (undisturbed), ablation (by the mean: loss without the
        head less that) and ablation_error (over prompts).
    pairs : DataFrame
        One row for each transplant: receiver and donor (rows of `costs`), recovered and recovered_equal_norm (nats per
        token). Empty for a single member.

    Raises
    ------
    InputError
        If some models are causal and others not.
    """
    causal = {family.causal for _, family, _ in members}
    if len(causal) > 1:
        raise InputError("transplants: causal and bidirectional models are in one study; allowed: one kind")
    inputs, targets = scored(tokens, causal.pop(), pad, mask, seed)
    donors = [take_donor(family, index, inputs, pad) for _, family, index in members]
    rows = _rows(members)
    place = rows.groupby(["taker", "layer"], sort=False).indices  # (member, layer) -> rows of its heads
    rng = np.random.default_rng(seed)
    costs, pairs = [], [_no_pairs()]
    for taker, (_, family, index) in enumerate(progress.track(members, "transplants", "members")):
        plan = _plan(donors, taker, between_layers, rng)
        own, found = _received(family, index, donors, taker, plan, inputs, targets)
        costs.append(pd.DataFrame(own))
        for (giver, layer, their_layer), recovered in found.items():
            receivers, sent = place[taker, layer], place[giver, their_layer]
            columns = {"receiver": np.repeat(receivers, len(sent)), "donor": np.tile(sent, len(receivers))}
            columns |= {name: values.ravel() for name, values in zip(RECOVERED, recovered, strict=True)}
            pairs.append(pd.DataFrame(columns))
    pairs = pd.concat(pairs, ignore_index=True).astype({"receiver": "int32", "donor": "int32"})
    costs = rows[_IDENTITY].join(pd.concat(costs, ignore_index=True))
    return costs, pairs.sort_values(["receiver", "donor"], ignore_index=True)


def _rows(members):
    """[model, member, layer, head, taker] of all heads, member by member; `taker` counts the members."""
    parts = []
    for taker, (name, family, index) in enumerate(members):
        layer, head = np.indices((family.layers, family.heads), dtype=np.int32).reshape(2, -1)
        part = pd.DataFrame({"model": name, "member": np.int32(index), "layer": layer, "head": head})
        parts.append(part.assign(taker=taker))
    return pd.concat(parts, ignore_index=True)


def _plan(donors, taker, between_layers, rng):
    """(giver, layer of the receiving heads, layer of the given heads): the same layer, and another as a control."""
    plan = []
    for giver, donor in enumerate(donors):
        if giver == taker:
            continue
        for layer in range(len(donors[taker].writers)):
            if layer < len(donor.writers):
                plan.append((giver, layer, layer))
            others = [other for other in range(len(donor.writers)) if other != layer]
            if between_layers and others:
                plan.append((giver, layer, int(rng.choice(others))))
    return plan


def _received(family, index, donors, taker, plan, inputs, targets):
    """What ablating the heads of one member costs, and what each donor's heads make good in their places."""
    member, us = interventions.open_member(family, index), donors[taker]
    mapped, factors = {}, {}
    for giver, layer, their_layer in plan:
        them = donors[giver]
        carry = unembedding_map(them.unembedding, us.unembedding)
        writers = them.writers[their_layer].double() @ carry  # (head, d_head, d_model of the taker)
        sizes = knockout.written_size(them.variations[their_layer], writers)
        own = knockout.written_size(us.variations[layer], us.writers[layer])
        equal = own[:, None] / sizes.clamp(min=1e-30)  # (head, their head)
        dtype = us.writers[layer].dtype
        mapped[giver, layer, their_layer] = writers.to(dtype)
        factors[giver, layer, their_layer] = (torch.ones_like(equal).to(dtype), equal.to(dtype))
    clean, ablated, sums = [], [], {}
    for part in knockout.blocks(member, inputs, max(member.heads, *(len(writers) for writers in mapped.values()), 1)):
        trace, wanted = member.run(inputs[part]), targets[part]

        def losses(hidden, wanted=wanted):
            return prompt_losses(member.readout, hidden, wanted)

        own = [_written(*pair, part) for pair in zip(us.varying, us.writers, strict=True)]
        silent = [losses(member.shifted(trace, layer, -written)) for layer, written in enumerate(own)]
        clean.append(losses(trace.hidden[None])[0])  # (prompt,)
        ablated.append(np.concatenate(silent))  # (head, prompt)
        for key in plan:
            giver, layer, their_layer = key
            sent = _written(donors[giver].varying[their_layer], mapped[key], part)
            total = sums.setdefault(key, np.zeros((2, len(own[layer]), len(sent))))
            for norm, factor in enumerate(factors[key]):
                for head, hidden in enumerate(knockout.exchange(member, trace, layer, own[layer], sent, factor)):
                    total[norm, head] += np.nansum(silent[layer][head] - losses(hidden), 1)
    clean, ablated = np.concatenate(clean), np.concatenate(ablated, 1)
    effect, error = mean_and_error(ablated - clean)
    count = np.isfinite(clean).sum()
    return (
        {"loss": np.nanmean(clean), "ablation": effect, "ablation_error": error},
        {key: total / count for key, total in sums.items()},
    )


def _written(varying, writers, part):
    """What heads write to the stream, (head, prompt, position, d_model), for some of the prompts."""
    return torch.einsum("pthd,hdm->hptm", varying[part], writers)


def identified(costs, pairs):
    """The transplants with the identity of both heads in place of their rows.

    Parameters
    ----------
    costs, pairs : DataFrame
        What `transplant` gives.

    Returns
    -------
    DataFrame
        model, member, layer, head (that receives), donor_model, donor_member, donor_layer, donor_head, recovered,
        recovered_equal_norm.
    """
    sides = [("", "receiver"), ("donor_", "donor")]
    columns = {f"{prefix}{name}": costs[name].to_numpy()[pairs[side]] for prefix, side in sides for name in _IDENTITY}
    return pd.DataFrame(columns | {name: pairs[name].to_numpy() for name in RECOVERED})


def alone(heads, losses):
    """What `transplant` gives for a network that has no others, from the losses of its knockouts.

    Parameters
    ----------
    heads : DataFrame
        Of model, member, layer, head.
    losses : DataFrame
        `knockout_effects.loss_table`, of its one member.

    Returns
    -------
    costs, pairs : DataFrame
    """
    columns = ["layer", "head", "loss", "effect", "standard_error"]
    own = losses.loc[losses["kind"] == "mean", columns]
    own = heads[_IDENTITY].merge(own, on=["layer", "head"], how="left", validate="one_to_one")
    own["loss"] -= own["effect"]
    costs = own.rename(columns={"effect": "ablation", "standard_error": "ablation_error"}).set_index(heads.index)
    return costs, _no_pairs()


def _no_pairs():
    return pd.DataFrame(columns=["receiver", "donor", *RECOVERED], dtype=float)


def rows_of(costs, table):
    """What `transplant` gave, from its table of costs and the transplants as `identified` writes them."""
    rows = costs[_IDENTITY].assign(row=np.arange(len(costs)))
    pairs = {}
    for prefix, side in (("", "receiver"), ("donor_", "donor")):
        named = rows.rename(columns={name: f"{prefix}{name}" for name in _IDENTITY})
        names = [f"{prefix}{name}" for name in _IDENTITY]
        pairs[side] = table[names].merge(named, on=names, how="left", validate="many_to_one")["row"].to_numpy()
    return costs, pd.DataFrame(pairs | {name: table[name] for name in RECOVERED})
