"""Partners: whose counterpart a head is in every other member, by one matching of all members at once.

Each group of partners takes one head of every member; the matching is the one whose partners lie nearest to one
another in sum. Pairwise matchings need not agree with one another; this one does by construction.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from headatlas.base.errors import InputError
from headatlas.studies.phrenology.correspondence.stability import together

ROUNDS = 100  # of reassignment; a matching settles in fewer than ten


def blocks_of(members, layers):
    """Rows of heads by layer and member, where every member has as many heads in that layer as the others.

    Parameters
    ----------
    members, layers : sequences, (head,)

    Returns
    -------
    list of int arrays, (member, head of the member's layer)
        Empty with a single member, or where the members differ in their heads.
    """
    members, layers = np.asarray(members), np.asarray(layers)
    names = np.unique(members)
    if len(names) < 2:
        return []
    blocks = []
    for layer in np.unique(layers):
        rows = [np.flatnonzero((members == name) & (layers == layer)) for name in names]
        if len({len(row) for row in rows}) > 1:
            return []
        blocks.append(np.array(rows))
    return blocks


def match_partners(distances, members, layers, *, starts=10, seed=0):
    """Match the heads of all members, one of each in every group, layer by layer.

    From every start, each member's heads are assigned to the groups anew by the Hungarian algorithm, given those of all
    other members, until nothing changes; the matching of the least sum of distances between partners is taken.

    Parameters
    ----------
    distances : array of float, (head, head)
    members, layers : sequences, (head,)
    starts : int
        Random ones, beside one start from each member's heads.
    seed : int

    Returns
    -------
    array of int32, (head,)
        Groups, numbered layer by layer from the tightest to the loosest; -1 throughout where `blocks_of` has none.
    """
    distances = np.asarray(distances, dtype=np.float64)
    if len(distances) != len(members):
        raise InputError(f"partners: {len(members)} heads have a member, {len(distances)} have distances")
    groups = np.full(len(distances), -1, dtype=np.int32)
    for rows in blocks_of(members, layers):
        matched = _match(distances, rows, starts, np.random.default_rng(seed))
        groups[matched] = groups.max() + 1 + np.arange(rows.shape[1])
    return _tightest_first(groups, distances, layers)


def _tightest_first(groups, distances, layers):
    """Groups renumbered layer by layer, in each from the least to the greatest sum of distances inside."""
    distances, layers = np.asarray(distances, dtype=np.float64), np.asarray(layers)
    rows = [np.flatnonzero(groups == group) for group in range(groups.max(initial=-1) + 1)]
    key = [(layers[own[0]], distances[np.ix_(own, own)].sum()) for own in rows]
    renumbered = np.full_like(groups, -1)
    for number, group in enumerate(sorted(range(len(rows)), key=key.__getitem__)):
        renumbered[rows[group]] = number
    return renumbered


def finder(members, layers, **options):
    """`match_partners` as `stability.resample` repeats it: (distances, rows) to groups."""
    members, layers = np.asarray(members), np.asarray(layers)
    return lambda distances, rows: match_partners(distances, members[rows], layers[rows], **options)


def _match(distances, rows, starts, rng):
    """The best matching of heads (member, head): (member, group), and its groups in no particular order."""
    orders = [_follow(distances, rows, leader) for leader in range(len(rows))]
    orders += [rng.permuted(rows, axis=1) for _ in range(starts)]
    settled = [_settle(distances, order) for order in orders]
    return min(settled, key=lambda found: found[0])[1]


def _follow(distances, rows, leader):
    """Every member's heads assigned to those of one."""
    assigned = np.empty_like(rows)
    for member, own in enumerate(rows):
        assigned[member] = own[linear_sum_assignment(distances[np.ix_(rows[leader], own)])[1]]
    assigned[leader] = rows[leader]
    return assigned


def _settle(distances, matched):
    """Deal each member's heads anew until nothing changes: the sum of distances between partners, and the matching."""
    matched = matched.copy()
    to_group = sum(distances[:, own] for own in matched)  # (head, group), summed over members
    for _ in range(ROUNDS):
        before = matched.copy()
        for member, own in enumerate(matched):
            others = to_group - distances[:, own]
            _, order = linear_sum_assignment(others[own].T)
            matched[member] = own[order]
            to_group = others + distances[:, matched[member]]
        if (matched == before).all():
            break
    return round(sum(to_group[own, range(len(own))].sum() for own in matched) / 2, 12), matched


def consensus_partners(resampled, distances, members, layers, *, starts=10, seed=0):
    """The matching that resampled matchings agree on most, and how often any two heads are partners in them.

    Parameters
    ----------
    resampled : array of int, (resample, head)
        Matchings made on parts of the prompts.
    distances : array of float, (head, head)
        Decide between matchings that the resamples share equally.

    Returns
    -------
    groups : array of int32, (head,)
        As in `match_partners`.
    shared : array of float, (head, head)
        Share of resamples in which two heads are partners.
    """
    shared = together(resampled)
    scale = max(float(np.max(distances)), np.finfo(float).tiny)
    apart = 1 - shared + 1e-3 * np.asarray(distances, dtype=np.float64) / scale
    groups = match_partners(apart, members, layers, starts=starts, seed=seed)
    return _tightest_first(groups, distances, layers), shared


def consensus_of_heads(groups, together):
    """How often a head is matched with the other heads of its group, on average: (head,), NaN without partners."""
    same = (np.asarray(groups)[:, None] == groups) & (np.asarray(groups) >= 0) & ~np.eye(len(groups), dtype=bool)
    count = same.sum(1)
    return np.where(count > 0, (together * same).sum(1) / np.maximum(count, 1), np.nan)


def nearest_swaps(distances, groups, members, errors=2.0):
    """The exchange of a head with another of its member that costs least: does it belong elsewhere nearly as well?

    Parameters
    ----------
    distances : array of float, (part, head, head)
        On disjoint parts of the prompts; the spread over parts gives the error of a cost.
    groups : array of int, (head,)
        Of `match_partners`.
    members : sequence, (head,)
    errors : float
        An exchange that costs no more than so many standard errors is a tie.

    Returns
    -------
    tie : array of int32, (head,)
        The group of that exchange; -1 where every exchange costs more.
    cost : array of float, (head,)
        Of the cheapest exchange, in distance per pair of partners; NaN for a head without partners.
    away : array of float, (head,)
        Mean distance to its partners; NaN likewise.
    """
    distances, groups, members = np.asarray(distances, dtype=np.float64), np.asarray(groups), np.asarray(members)
    tie, (cost, away) = np.full(len(groups), -1, dtype=np.int32), np.full((2, len(groups)), np.nan)
    parts = len(distances)
    for head in np.flatnonzero(groups >= 0):
        partners = np.flatnonzero((groups == groups[head]) & (members != members[head]))
        if not len(partners):
            continue
        away[head] = distances[:, head, partners].mean()
        least = np.inf
        for other in np.flatnonzero((members == members[head]) & (groups >= 0) & (groups != groups[head])):
            theirs = np.flatnonzero((groups == groups[other]) & (members != members[head]))
            if len(theirs) != len(partners):
                continue  # a group of another layer
            change = distances[:, head, theirs] - distances[:, head, partners]
            change = (change + distances[:, other, partners] - distances[:, other, theirs]).mean(1) / 2  # (part,)
            error = change.std(ddof=1) / parts**0.5 if parts > 1 else 0.0
            if change.mean() < least:
                least, cost[head] = change.mean(), change.mean()
                tie[head] = groups[other] if change.mean() <= errors * error else -1
    return tie, cost, away
