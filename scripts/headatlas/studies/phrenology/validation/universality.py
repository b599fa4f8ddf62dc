"""How universal each head is: how alike its partners in the other members are, by every measure at hand.

Partners are found by attention. That they are more than the best of a bad lot is judged by what did not find them: the
OV circuit, the QK circuit and the ablation effects. For each, the similarities of two members' heads of a layer are
taken less the means of either head (a head that is alike to all others has no partner for that), in units of their
spread over pairs that are not partners; the three are averaged. A head has a partner beyond noise in another member
where that average exceeds 95% of those of pairs that are not partners, so by chance it does so in 5% of members.
"""

import numpy as np
import pandas as pd

from headatlas.base.statistics import bootstrap_interval

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
    scores : float array of shape (head, member)
        Mean over measures in standard deviations of pairs that are not partners; NaN where there is no partner.
    threshold : float
        Their 95th percentile over pairs that are not partners; NaN where there are none.
    """
    members, layers = np.asarray(members), np.asarray(layers)
    theirs = partners[:, members]  # (head, head): the partner in that member
    compared = (layers[:, None] == layers) & (theirs >= 0)
    is_partner = compared & (theirs == np.arange(len(members)))
    noise = compared & ~is_partner
    if not noise.any():
        return np.full(partners.shape, np.nan), np.nan
    scores = np.zeros(compared.shape)
    for similarity in similarities:
        rest = _interactions(np.asarray(similarity, dtype=np.float64), members, layers)
        scores += rest / max(rest[noise].std(), np.finfo(float).tiny) / len(similarities)
    found = np.take_along_axis(scores, np.maximum(partners, 0), 1)
    return np.where(partners >= 0, found, np.nan), float(np.quantile(scores[noise], LEVEL))


def universality(measures, partners, members, layers, judged=("ov", "qk", "effects"), draws=2000, seed=0):
    """One row for each head: its similarity to its partners by every measure, and in how many members it has one.

    Parameters
    ----------
    measures : mapping from a name to an array of shape (head, head) or (head, member)
        Similarities, or what is known of each head and member; NaN where nothing is.
    partners, members, layers
        As in `beyond_noise`.
    judged : sequence of str
        Measures that say whether a partner is beyond noise.
    draws, seed : int
        Of the bootstrap over the other members.

    Returns
    -------
    DataFrame
        row (head), members (in which it has a partner), one column for each measure (mean over members) with its
        interval in `{measure}_low` and `{measure}_high`, score (`beyond_noise`, mean over members) with its interval,
        beyond_noise (share of members in which the partner is) and chance (of that).
    """
    scores, threshold = beyond_noise([measures[name] for name in judged], partners, members, layers)
    columns = {"row": np.arange(len(partners)), "members": (partners >= 0).sum(1)}
    for name, values in [*measures.items(), ("score", scores)]:
        values = np.asarray(values, dtype=np.float64)
        if values.shape != partners.shape:
            values = np.take_along_axis(values, np.maximum(partners, 0), 1)
        values = np.where(partners >= 0, values, np.nan)
        ends = [_interval(own[np.isfinite(own)], draws, seed) for own in values]
        known = np.isfinite(values).sum(1)
        columns[name] = np.divide(np.nansum(values, 1), known, out=np.full(len(known), np.nan), where=known > 0)
        columns[f"{name}_low"], columns[f"{name}_high"] = np.array(ends).T
    share = (scores > threshold).sum(1) / np.maximum(1, columns["members"])
    columns["beyond_noise"] = np.where((columns["members"] > 0) & np.isfinite(threshold), share, np.nan)
    return pd.DataFrame(columns).assign(chance=1 - LEVEL)


def _interval(values, draws, seed):
    return bootstrap_interval(values, draws=draws, seed=seed) if len(values) > 1 else (np.nan, np.nan)


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
