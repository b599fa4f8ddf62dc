"""Do the heads of a group do alike? Their ablation effects, compared across members, against heads permuted.

Effects come as inner products of the changes that ablating each head makes to the next token's probabilities
(`knockout_effects`). Each is scaled to length one, so that heads that do much do not decide alone, and the mean effect
of all heads of the other members is taken off: what all heads do alike is no agreement of a group.
"""

import numpy as np
import pandas as pd

from headatlas.base.progress import bar
from headatlas.base.statistics import holm, permutation_p_value

ALL = -1  # in the column `group`: all groups together


def residual_cosines(products, members):
    """Cosines between effects of length one, each less the mean effect of all heads of the other members.

    Parameters
    ----------
    products : array of shape (head, head)
        Inner products of effects.
    members : sequence of shape (head,)
        Labels of any kind, at least two.

    Returns
    -------
    array of shape (head, head)
        0 for a head without any effect.
    """
    unit, others = _unit(np.asarray(products, dtype=np.float64)), _others(members)
    less = unit - others @ unit - (others @ unit).T + others @ unit @ others.T
    return _unit(less)


def agreement(products, members, layers, groups, strata=None, permutations=2000, seed=0):
    """Agreement of the effects of each group's heads across members, against permutations.

    The statistic is the mean cosine over pairs of the group's heads in different members (`residual_cosines`). In the
    null, heads are permuted within their member and layer, and within their stratum where these are given: partners
    are tested within kinds, so that what a kind has in common does not count for its partners.

    Parameters
    ----------
    products : array of shape (head, head)
    members, layers : sequences of shape (head,)
    groups : integer array of shape (head,)
        Below 0: in no group.
    strata : sequence of shape (head,), optional
        For instance kinds.
    permutations, seed : int

    Returns
    -------
    DataFrame
        One row for each group and one for all together (group -1): group, heads, members (how many it has), cosine,
        null_mean and null_95 (95th percentile) of it, p (one-sided), p_floor (the smallest that the permutations, or
        the number of distinct arrangements where that is smaller, can give), p_holm (over groups; NaN for all
        together), r2 (share of squares of the unit effects that the mean effect of the group's heads in other members
        explains beyond the mean effect of all heads there; negative where it explains less), permutations. NaN for a
        group that has heads in one member only.
    """
    members, groups = pd.factorize(np.asarray(members))[0], np.asarray(groups)
    products = np.asarray(products, dtype=np.float64)
    cosines = residual_cosines(products, members)
    within = [members, np.asarray(layers)] + ([] if strata is None else [np.asarray(strata)])
    within = pd.factorize(pd.MultiIndex.from_arrays(within))[0]
    names = np.unique(groups[groups >= 0])
    pairs = [_cross_pairs(np.flatnonzero(groups == name), members) for name in names]
    none = np.empty(0, dtype=np.int64)  # where no head is in a group
    first, second = (np.concatenate([none, *(found[side] for found in pairs)]) for side in (0, 1))
    counts = np.array([len(found[0]) for found in pairs], dtype=np.int64)
    of_group = np.repeat(np.arange(len(names)), counts)

    def measured(order):
        sums = np.bincount(of_group, cosines[order[first], order[second]], minlength=len(names))
        return np.append(sums, sums.sum()) / np.append(counts, max(1, counts.sum())).clip(min=1)

    observed, null = measured(np.arange(len(members))), np.empty((permutations, len(names) + 1))
    rng = np.random.default_rng(seed)
    with bar(permutations, "effects permuted", "permutations") as shown:
        for permutation in range(permutations):
            null[permutation] = measured(permuted_within(within, rng))
            shown.update()
    rows = []
    for column, name in enumerate([*names, ALL]):
        chosen = groups == name if name != ALL else groups >= 0
        asked = (counts[column] if name != ALL else counts.sum()) > 0
        row = {"group": int(name), "heads": int(chosen.sum()), "members": len(np.unique(members[chosen]))}
        values = np.round(null[:, column], 12)  # sums in another order must not decide a tie
        fewest = permutations + 1 if name == ALL else min(permutations + 1, _arrangements(within, chosen))
        row |= {"cosine": observed[column], "null_mean": values.mean(), "null_95": np.quantile(values, 0.95)}
        row |= {"p": permutation_p_value(np.round(observed[column], 12), values), "p_floor": 1 / fewest}
        row |= {"r2": _r2(products, members, groups, chosen), "permutations": permutations}
        rows.append(row if asked else row | dict.fromkeys(("cosine", "null_mean", "null_95", "p", "p_floor"), np.nan))
    table = pd.DataFrame(rows)
    table.insert(table.columns.get_loc("p_floor") + 1, "p_holm", holm(table["p"].where(table["group"] != ALL)))
    return table


def permuted_within(strata, rng):
    """A permutation of heads that leaves each in its stratum (head,)."""
    order, places = np.empty(len(strata), dtype=np.int64), np.argsort(strata, kind="stable")
    order[places] = places[np.lexsort((rng.random(len(strata)), strata[places]))]
    return order


def _unit(products):
    """Inner products of the same vectors at length one; a vector of length zero stays zero."""
    lengths = np.sqrt(np.clip(np.diag(products), 0, None))
    lengths[lengths < 1e-9 * max(lengths.max(initial=0), np.finfo(float).tiny)] = 0
    scale = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return products * scale * scale[:, None]


def _others(members):
    """A matrix whose rows average over all heads of other members."""
    members = np.asarray(members)
    others = (members[:, None] != members).astype(np.float64)
    return others / np.maximum(others.sum(1, keepdims=True), 1)


def _cross_pairs(rows, members):
    """Pairs of the given heads that are in different members, as two arrays."""
    first, second = (rows[side] for side in np.triu_indices(len(rows), 1))
    apart = members[first] != members[second]
    return first[apart], second[apart]


def _arrangements(within, chosen):
    """How many different sets the permutations can make of the chosen heads."""
    from scipy.special import binom

    total, taken = np.bincount(within), np.bincount(within[chosen], minlength=within.max() + 1)
    return float(np.prod(binom(total, taken)))


def _r2(products, members, groups, chosen):
    """R² of the unit effects of the chosen heads, predicted by the mean of their groups in the other members."""
    unit, rows = _unit(products), np.flatnonzero(chosen)
    same = (groups[rows, None] == groups) & (members[rows, None] != members)  # (chosen, head)
    counts = same.sum(1)
    rows, same = rows[counts > 0], same[counts > 0]
    if not len(rows):
        return np.nan
    near, others = same / same.sum(1, keepdims=True), _others(members)[rows]

    def missed(weights):
        cross = np.einsum("ij,ij->i", weights, unit[rows])
        return (np.diag(unit)[rows] - 2 * cross + np.einsum("ij,ij->i", weights @ unit, weights)).sum()

    return 1 - missed(near) / max(missed(others), np.finfo(float).tiny)
