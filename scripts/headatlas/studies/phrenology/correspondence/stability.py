"""Stability of groups of heads: are they found again on other prompts, and without any one member?

Prompts are halved at random again and again; members are left out one at a time. A group's stability is its Jaccard
index with the group of the other partition that resembles it most (Hennig 2007), 0.75 and more counting as stable; that
of all groups together is the adjusted Rand index, 0 for partitions that agree by chance.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from headatlas.base.errors import InputError
from headatlas.base.progress import bar

STABLE = 0.75
ABSENT = -1  # of a head that was left out, or has no group
INTERVAL = 2.5, 97.5  # percentiles over resamples


@dataclass(frozen=True)
class Resampled:
    """Partitions of the same heads under both resamplings.

    Attributes
    ----------
    prompts : array of int32, (half, head)
        Rows 2i and 2i + 1 belong to the two halves of one halving.
    members : array of int32, (member left out, head)
        -1 for the heads of that member.
    """

    prompts: np.ndarray
    members: np.ndarray


def on_halves(find, parts, *, halvings, seed=0, shown=None):
    """Groups found on both halves of the prompts, halved again and again: int32 (half, head), a halving's two together.

    Parameters are those of `resample`; `shown` is a progress bar to move on.
    """
    parts = np.asarray(parts)
    if len(parts) < 2:
        raise InputError("stability: a single prompt cannot be halved; at least 2 are needed")
    rng, every, found = np.random.default_rng(seed), np.arange(parts.shape[1]), []
    for _ in range(halvings):
        for half in np.array_split(rng.permutation(len(parts)), 2):
            found.append(find(parts[np.sort(half)].mean(0), every))
        if shown is not None:
            shown.update()
    return np.array(found, dtype=np.int32)


def resample(find, parts, members, *, halvings, seed=0, description="resamplings"):
    """Repeat a search for groups on halves of the prompts and without each member.

    Parameters
    ----------
    find : callable
        (distances (head, head), rows (head,)) to one label per row, -1 for none: rows are those heads of all that take
        part.
    parts : array of float, (part, head, head)
        Distances on disjoint parts of the prompts, of which each half takes half.
    members : sequence, (head,)
    halvings, seed : int
    description : str
        Of the progress shown.

    Returns
    -------
    Resampled
        Without rows in `members` where fewer than three members leave nothing to compare.
    """
    parts, members = np.asarray(parts), np.asarray(members)
    names = np.unique(members)
    left_out = names if len(names) > 2 else names[:0]
    whole, without = parts.mean(0), np.full((len(left_out), len(members)), ABSENT, dtype=np.int32)
    with bar(halvings + len(left_out), description, "resamplings") as shown:
        halves = on_halves(find, parts, halvings=halvings, seed=seed, shown=shown)
        for i, name in enumerate(left_out):
            rows = np.flatnonzero(members != name)
            without[i, rows] = find(whole[np.ix_(rows, rows)], rows)
            shown.update()
    return Resampled(halves, without)


def jaccard(labels, resampled):
    """How much of each group is found again: its best Jaccard index in every resample.

    Parameters
    ----------
    labels : array of int, (head,)
        -1 for heads without a group.
    resampled : array of int, (resample, head)
        -1 for heads that are left out, which count in neither.

    Returns
    -------
    array of float, (resample, group)
        NaN where no head of the group takes part.
    """
    labels = np.asarray(labels)
    result = np.full((len(resampled), labels.max(initial=ABSENT) + 1), np.nan)
    for i, other in enumerate(np.asarray(resampled)):
        present = other != ABSENT
        for group in range(result.shape[1]):
            own = (labels == group) & present
            if own.any():
                both = np.bincount(other[own])
                size = np.bincount(other[present])[: len(both)]
                result[i, group] = (both / (own.sum() + size - both)).max()
    return result


def stability_table(what, labels, resampled, members):
    """Stability of every group under both resamplings.

    Parameters
    ----------
    what : str
        What the groups are, in every row.
    labels : array of int, (head,)
    resampled : Resampled
    members : sequence, (head,)

    Returns
    -------
    DataFrame
        what, group, heads, members (that have one), resampling ("prompts", "members"), jaccard (mean), low, high (95%
        of the resamples). Groups by number; under "members" NaN where there are fewer than three.
    """
    labels, members = np.asarray(labels), np.asarray(members)
    rows = []
    for resampling in ("prompts", "members"):
        found = jaccard(labels, getattr(resampled, resampling))
        for group in range(found.shape[1]):
            own, values = labels == group, found[:, group][~np.isnan(found[:, group])]
            summary = (values.mean(), *np.percentile(values, INTERVAL)) if len(values) else (np.nan,) * 3
            rows.append((what, group, own.sum(), len(np.unique(members[own])), resampling, *summary))
    columns = ["what", "group", "heads", "members", "resampling", "jaccard", "low", "high"]
    table = pd.DataFrame(rows, columns=columns).astype({"jaccard": float, "low": float, "high": float})
    return table.sort_values(["group", "resampling"], ascending=[True, False], ignore_index=True)


def agreement_table(what, labels, resampled):
    """Agreement of whole partitions: the two halves of each halving, and all heads with those without one member.

    Returns
    -------
    DataFrame
        what, resampling ("prompts", "members"), ari (mean adjusted Rand index), low, high (95% of the resamples),
        resamples.
    """
    labels, rows = np.asarray(labels), []
    halves = [
        adjusted_rand_score(first, second)
        for first, second in zip(resampled.prompts[::2], resampled.prompts[1::2], strict=True)
    ]
    without = [adjusted_rand_score(labels[left != ABSENT], left[left != ABSENT]) for left in resampled.members]
    for resampling, values in (("prompts", halves), ("members", without)):
        summary = (np.mean(values), *np.percentile(values, INTERVAL)) if values else (np.nan,) * 3
        rows.append((what, resampling, *summary, len(values)))
    return pd.DataFrame(rows, columns=["what", "resampling", "ari", "low", "high", "resamples"])


def together(halves):
    """Share of partitions (half, head) in which two heads are in one group: (head, head)."""
    return np.mean([(row[:, None] == row) & (row != ABSENT) for row in np.asarray(halves)], axis=0)


def consensus_table(heads, shared):
    """How often each head is in one group with every other, one row a head and kind of group.

    Parameters
    ----------
    heads : DataFrame
        What identifies each head.
    shared : mapping from str to (head, head) array
        What `together` gives, by kind of group.

    Returns
    -------
    dict of arrays
        what (the kind of group), the columns of `heads`, together (head).
    """
    columns = {"what": np.repeat(list(shared), len(heads))}
    columns |= {name: np.tile(heads[name].to_numpy(), len(shared)) for name in heads}
    return columns | {"together": np.concatenate(list(shared.values()))}
