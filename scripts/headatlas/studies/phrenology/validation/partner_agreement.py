"""Do attention, weights and effects name the same partners? Shares of heads for which two of them do.

Whatever says how alike two heads are gives each head a partner in every other member, by one matching of all members
(`correspondence.partners`). Two of them agree on a head and a member where they give the same partner. By chance they
do so for one head in as many as the layer has, and more often where both know the kinds: so in the null, heads are
permuted within member, layer and kind.
"""

from itertools import combinations

import numpy as np
import pandas as pd

from headatlas.base.progress import bar
from headatlas.base.statistics import permutation_p_value
from headatlas.studies.phrenology.validation.effect_agreement import permuted_within

NONE = -1
_COLUMNS = ["first", "second", "share", "low", "high", "chance", "chance_95", "p", "permutations"]


def partners_of(groups, members):
    """The partner of every head in every member: the head there of its group.

    Parameters
    ----------
    groups : integer array of shape (head,)
        Below 0: in no group.
    members : integer array of shape (head,)
        From 0 on.

    Returns
    -------
    int array of shape (head, member)
        Rows of heads; -1 where there is none, and in the head's own member.
    """
    groups, members = np.asarray(groups), np.asarray(members)
    partners = np.full((len(groups), members.max() + 1), NONE)
    for group in np.unique(groups[groups >= 0]):
        rows = np.flatnonzero(groups == group)
        partners[np.ix_(rows, members[rows])] = rows
        partners[rows, members[rows]] = NONE
    return partners


def agreement(partners, members, strata, permutations=1000, draws=2000, seed=0):
    """For every two ways of finding partners, the share of heads and members for which they find the same.

    Parameters
    ----------
    partners : mapping from a name to an int array of shape (head, member)
    members : integer array of shape (head,)
        From 0 on.
    strata : integer array of shape (head,)
        Heads are permuted within these in the null: member, layer and kind.
    permutations : int
    draws : int
        Of members, with replacement, behind the interval.
    seed : int

    Returns
    -------
    DataFrame
        first, second (names), share, low and high (95%, members resampled), chance (mean of the null), chance_95 (its
        95th percentile), p (one-sided), permutations. No row where no head has a partner by both.
    """
    members, rng = np.asarray(members), np.random.default_rng(seed)
    pairs = list(combinations(partners, 2))
    orders = [permuted_within(np.asarray(strata), rng) for _ in range(permutations)]
    rows = []
    with bar(len(pairs), "partners permuted", "pairs of matchings") as shown:
        for first, second in pairs:
            shown.update()
            same, both = _compared(partners[first], partners[second])
            if not both.any():
                continue
            share = same.sum() / both.sum()
            null = [_share(partners[first], _relabelled(partners[second], order)) for order in orders]
            low, high = resampled_members(_by_member(same, members), _by_member(both, members), draws, seed)
            row = {"first": first, "second": second, "share": share, "low": low, "high": high}
            row |= {"chance": np.mean(null), "chance_95": np.quantile(null, 0.95)}
            rows.append(row | {"p": permutation_p_value(share, null), "permutations": permutations})
    return pd.DataFrame(rows, columns=_COLUMNS)


def resampled_members(parts, wholes, draws=2000, seed=0, level=0.95):
    """Interval of a ratio of sums over pairs of members, members drawn with replacement.

    Both members of a pair are drawn: pairs that share a member are not independent.

    Parameters
    ----------
    parts, wholes : arrays of shape (member, member)
        The diagonal counts for nothing.
    draws, seed : int
    level : float

    Returns
    -------
    low, high : float
        NaN with fewer than three members: any two drawn alike leave none.
    """
    count = len(parts)
    if count < 3:
        return np.nan, np.nan
    apart = ~np.eye(count, dtype=bool)
    drawn = np.random.default_rng(seed).integers(0, count, (draws, count))
    times = (drawn[:, :, None] == np.arange(count)).sum(1)  # (draw, member)
    above = np.einsum("di,ij,dj->d", times, np.where(apart, parts, 0), times)
    below = np.einsum("di,ij,dj->d", times, np.where(apart, wholes, 0), times)
    ratios = np.divide(above, below, out=np.full(draws, np.nan), where=below != 0)
    if not np.isfinite(ratios).any():
        return np.nan, np.nan
    return tuple(float(end) for end in np.nanquantile(ratios, [(1 - level) / 2, (1 + level) / 2]))


def _compared(first, second):
    """Where two matchings (head, member) agree, and where both give a partner."""
    both = (first >= 0) & (second >= 0)
    return both & (first == second), both


def _share(first, second):
    same, both = _compared(first, second)
    return same.sum() / max(1, both.sum())


def _relabelled(partners, order):
    """The matching (head, member) in which head i is called order[i]."""
    named = np.where(partners >= 0, np.asarray(order)[partners], NONE)
    found = np.empty_like(named)
    found[order] = named
    return found


def _by_member(values, members):
    """Sums of (head, member) over the heads of each member, (member, member)."""
    sums = np.zeros((values.shape[1], values.shape[1]))
    np.add.at(sums, members, values.astype(float))
    return sums
