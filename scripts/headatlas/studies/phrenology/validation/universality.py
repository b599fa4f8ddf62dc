"""How universal each head is: how alike its partners in the other members are, by every measure at hand.

Partners are found by attention. That they are more than the best of a bad lot is judged by what did not find them: the
OV circuit, the QK circuit and the ablation effects. For each, the similarities of two members' heads of a layer are
taken less the means of either head (a head that is alike to all others has no partner for that), in units of their
spread over pairs that are not partners; the three are averaged. A head has a partner beyond noise in another member
where that average exceeds 95% of those of pairs that are not partners. Heads of one kind do so more often than one time
in twenty, partners or not: so chance is how often they do with heads permuted within member, layer and kind.
"""

import numpy as np
import pandas as pd

from headatlas.base.progress import bar
from headatlas.base.statistics import interval_of_mean, permutation_p_value
from headatlas.studies.phrenology.validation.effect_agreement import permuted_within
from headatlas.studies.phrenology.validation.partner_agreement import relabelled

LEVEL = 0.95  # of pairs that are not partners lie below what is beyond noise


def beyond_noise(similarities, partners, members, layers):
    """How far each head's partners stand out from pairs of heads that are not partners.

    Parameters
    ----------
    similarities : sequence of array of shape (head, head)
        Measures that did not choose the partners.
    partners : int array of shape (head, member)
        `partner_agreement.partners_of`.
    members : integer array of shape (head,)
        From 0 on.
    layers : sequence of shape (head,)

    Returns
    -------
    scores : float array of shape (head, head)
        Mean over measures in standard deviations of pairs that are not partners.
    threshold : float
        Their 95th percentile over pairs that are not partners; NaN where there are none, and so are all scores.
    """
    members, layers = np.asarray(members), np.asarray(layers)
    theirs = partners[:, members]  # (head, head): the partner in that member
    compared = (layers[:, None] == layers) & (theirs >= 0)
    is_partner = compared & (theirs == np.arange(len(members)))
    noise = compared & ~is_partner
    if not noise.any():
        return np.full(compared.shape, np.nan), np.nan
    scores = np.zeros(compared.shape)
    for similarity in similarities:
        rest = _interactions(np.asarray(similarity, dtype=np.float64), members, layers)
        scores += rest / max(rest[noise].std(), np.finfo(float).tiny) / len(similarities)
    return scores, float(np.quantile(scores[noise], LEVEL))


def universality(
    measures, partners, members, layers, strata, judged=("ov", "qk", "effects"), permutations=1000, seed=0
):
    """One row for each head: its similarity to its partners by every measure, and in how many members it has one.

    Parameters
    ----------
    measures : mapping from a name to an array of shape (head, head) or (head, member)
        Similarities, or what is known of each head and member; NaN where nothing is.
    partners, members, layers
        As in `beyond_noise`.
    strata : integer array of shape (head,)
        Heads are permuted within these for chance: member, layer and kind.
    judged : sequence of str
        Measures that say whether a partner is beyond noise.
    permutations, seed : int

    Returns
    -------
    DataFrame
        row (head), members (in which it has a partner), one column for each measure (mean over members) with its
        interval in `{measure}_low` and `{measure}_high`, score (`beyond_noise`, mean over members) with its interval,
        beyond_noise (share of members in which the partner is), chance (of that) and, the same in all rows, p
        (one-sided, of the mean of beyond_noise) and permutations. Intervals are 95% over members; NaN of two.
    """
    scores, threshold = beyond_noise([measures[name] for name in judged], partners, members, layers)
    columns = {"row": np.arange(len(partners)), "members": (partners >= 0).sum(1)}
    for name, values in [*measures.items(), ("score", scores)]:
        values = np.asarray(values, dtype=np.float64)
        if values.shape != partners.shape:
            values = _of_partners(values, partners)
        values = np.where(partners >= 0, values, np.nan)
        within = (-1, 1) if name in ("attention", *judged) else (-np.inf, np.inf)
        found = np.array([interval_of_mean(own, within=within) for own in values])
        columns |= {f"{name}{end}": found[:, at] for at, end in enumerate(("", "_low", "_high"))}
    found = _shares(scores, threshold, partners)
    chance, null, rng = np.zeros(len(partners)), np.empty(permutations), np.random.default_rng(seed)
    with bar(permutations, "partners permuted", "permutations") as shown:
        for permutation in range(permutations):
            drawn = _shares(scores, threshold, relabelled(partners, permuted_within(np.asarray(strata), rng)))
            chance, null[permutation] = chance + drawn / permutations, _mean(drawn)
            shown.update()
    p = permutation_p_value(_mean(found), null) if np.isfinite(threshold) else np.nan
    return pd.DataFrame(columns).assign(beyond_noise=found, chance=chance, p=p, permutations=permutations)


def _shares(scores, threshold, partners):
    """Share of the members that hold a partner of a head in which it is beyond noise, (head,); NaN where none does."""
    known = (partners >= 0).sum(1)
    beyond = ((_of_partners(scores, partners) > threshold) & (partners >= 0)).sum(1)
    return np.divide(beyond, known, out=np.full(len(known), np.nan), where=(known > 0) & np.isfinite(threshold))


def _of_partners(values, partners):
    """Values (head, head) of the partners (head, member)."""
    return np.take_along_axis(values, np.maximum(partners, 0), 1)


def _mean(shares):
    """Mean over heads that have partners, with the last bits rounded off: their order must not decide a tie."""
    known = np.isfinite(shares)
    return round(shares[known].mean(), 12) if known.any() else np.nan


def _interactions(similarity, members, layers):
    """What is left of the similarities of every two members' heads of a layer without the means of rows and columns."""
    rest = np.zeros_like(similarity)
    blocks = [
        np.flatnonzero((members == m) & (layers == layer)) for layer in np.unique(layers) for m in np.unique(members)
    ]
    for rows in blocks:
        for columns in blocks:
            block = similarity[np.ix_(rows, columns)]
            if block.size:
                centred = block - block.mean(0) - block.mean(1, keepdims=True) + block.mean()
                rest[np.ix_(rows, columns)] = centred
    return rest
