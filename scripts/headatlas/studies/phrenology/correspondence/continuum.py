"""Are there kinds of heads at all, or are heads merely spread along an axis that the members share?

Leiden cuts a continuum into pieces too, and finds the same pieces again on other prompts. So the longest plateau is
held against those of continua made from the same distances: heads spread evenly along the curve that the distances'
leading coordinate draws, with the deviations from it that the real heads have. It is the reference of the gap statistic
(even along the principal axes: Tibshirani, Walther & Hastie 2001), laid along a curve, because an axis of attention is
an arch in the space of its distances, and the ends of an arch look like two groups.

Noise has a leading coordinate too. That heads are spread along one which the members share is said only where it holds
more of the distances within members than it does with every member turned at random: its heads keep their distances,
and what they have in common with other members is lost.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg import eigh
from scipy.spatial.distance import pdist, squareform

from headatlas.base.errors import InputError
from headatlas.base.progress import bar
from headatlas.base.statistics import permutation_p_value
from headatlas.studies.phrenology.correspondence.kinds import find_kinds

DEGREE = 3  # of the curve, a polynomial in the leading coordinate
NEAR = 0.25  # of the curve's half length: over such a range the size of deviations is averaged
QUICK = {"steps": 22, "starts": 1}  # of the search for kinds, of the real heads and of every continuum alike
ALPHA = 0.05


@dataclass(frozen=True)
class Continuum:
    """Attributes
    ----------
    length : float
        Of the real heads' longest plateau, by the quick search that the continua have too.
    lengths : array of float, (continuum,)
        Of theirs.
    p : float
        Share of continua with a plateau at least as long, the real one counted in.
    axis : array of float, (head,)
        The leading coordinate.
    share : float
        Of the sum of squared distances that it accounts for.
    share_within : float
        Of the sum of squared distances within members that their leading coordinate, one for all, accounts for.
    p_shared : float
        Share of turnings of the members, the real one counted in, in which it accounts for as much.
    """

    length: float
    lengths: np.ndarray
    p: float
    axis: np.ndarray
    share: float
    share_within: float
    p_shared: float

    @property
    def kinds(self):
        """Whether there are kinds: plateaus as long are rare among continua."""
        return self.p <= ALPHA


def coordinates(distances):
    """Classical scaling: points whose Euclidean distances are those given, (head, coordinate), leading one first.

    Signs are such that the coordinate farthest from zero is positive; what no real coordinate could account for is left
    out.
    """
    squares = np.square(np.asarray(distances, dtype=np.float64))
    centred = squares - squares.mean(0) - squares.mean(1)[:, None] + squares.mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    order = np.argsort(values)[::-1]
    kept = order[values[order] > 1e-9 * max(values[order[0]], np.finfo(float).tiny)]
    points = vectors[:, kept] * np.sqrt(values[kept])
    farthest = points[np.abs(points).argmax(0), np.arange(points.shape[1])]
    return points * np.where(farthest < 0, -1.0, 1.0)


def curve_through(points):
    """The curve that the leading coordinate draws through the points, and their deviations from it.

    Returns
    -------
    curve : callable
        From positions in [-1, 1] to points on it.
    position : array of float, (head,)
        Of the heads: the leading coordinate, its extremes at -1 and 1.
    deviations : array of float, (head, coordinate)
    """
    leading = points[:, 0]
    position = 2 * (leading - leading.min()) / max(np.ptp(leading), np.finfo(float).tiny) - 1
    basis = np.polynomial.legendre.legvander(position, DEGREE)
    fitted = np.linalg.lstsq(basis, points, rcond=None)[0]

    def curve(at):
        return np.polynomial.legendre.legvander(at, DEGREE) @ fitted

    return curve, position, points - curve(position)


def continuum_like(points, members, rng):
    """Points of a continuum made from others: even along the curve through them, with their deviations from it.

    Every member takes its places along the curve from a member drawn at random, as ranks among all heads, moved by as
    much as the heads of a member are apart: so a continuum's heads are spread evenly, and keep as far from the others
    of their member as the real ones do. Deviations are the real ones, rotated at random among the heads: they keep
    their covariance, lose whatever groups they form, and are as large as the real ones are in that part of the curve.

    Parameters
    ----------
    points : array of float, (head, coordinate)
    members : sequence, (head,)
    rng : numpy.random.Generator

    Returns
    -------
    array of float, (head, coordinate)
    """
    curve, position, deviations = curve_through(points)
    count, fine = len(points), np.linspace(-1, 1, 401)
    steps = np.linalg.norm(np.diff(curve(fine), axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(steps)])  # length of the curve up to each fine position
    places = _places_of_members(position.argsort(kind="stable").argsort(kind="stable"), np.asarray(members), rng)
    at = np.interp(places * along[-1], along, fine)
    near = np.exp(-np.square((at[:, None] - position) / NEAR) / 2)
    size = np.square(deviations).sum(1)
    local = np.sqrt(near @ size / near.sum(1) / max(size.mean(), np.finfo(float).tiny))
    rotation, triangle = np.linalg.qr(rng.normal(size=(count, count)))
    rotation *= np.sign(np.diag(triangle))  # uniform among all rotations (Mezzadri 2007)
    return curve(at) + local[:, None] * (rotation @ deviations)


def _places_of_members(ranks, members, rng):
    """Places between 0 and 1 for the heads of every member, from the ranks of those of a random one: (head,)."""
    rows = [np.flatnonzero(members == name) for name in np.unique(members)]
    places = np.empty(len(ranks))
    for own in rows:
        taken = rows[rng.integers(len(rows))]
        taken = taken if len(taken) == len(own) else rng.choice(taken, len(own))
        places[own] = (ranks[taken] + 0.5) / len(ranks) + (rng.random(len(own)) - 0.5) / len(own)
    return 1 - np.abs(1 - np.abs(places))  # folded back at both ends


def _longest(distances, neighbours):
    plateaus = find_kinds(distances, neighbours, **QUICK).plateaus
    return float(plateaus["length"][plateaus["chosen"]].sum())  # 0 where there is none


def leading_share(points):
    """Share of the squares of points (head, coordinate) of mean zero that their leading coordinate accounts for."""
    products, last = points @ points.T, len(points) - 1
    return eigh(products, eigvals_only=True, subset_by_index=[last, last])[0] / max(np.trace(products), 1e-300)


def within_members(points, members):
    """Points (head, coordinate) less the mean of those of their member."""
    members = pd.factorize(np.asarray(members))[0]
    return points - np.array([points[members == name].mean(0) for name in range(members.max() + 1)])[members]


def turned(points, members, rng):
    """The same points with those of every member turned at random about the origin: distances within members stay."""
    result, members = np.empty_like(points), np.asarray(members)
    for name in np.unique(members):
        own = members == name
        left, sizes, _ = np.linalg.svd(points[own], full_matrices=False)
        frame, triangle = np.linalg.qr(rng.normal(size=(points.shape[1], len(sizes))))
        result[own] = left * sizes @ (frame * np.sign(np.diag(triangle))).T
    return result


def shared_coordinate(points, members, *, draws, seed=0):
    """How much of the distances within members one coordinate makes up, and whether members share it.

    Parameters
    ----------
    points : array of float, (head, coordinate)
    members : sequence, (head,)
    draws, seed : int
        Of turnings of the members.

    Returns
    -------
    share, p : float
    """
    within, rng = within_members(points, members), np.random.default_rng(seed)
    shares = [leading_share(turned(within, members, rng)) for _ in range(draws)]
    share = round(float(leading_share(within)), 9)
    return share, permutation_p_value(share, np.round(shares, 9))


def against_continuum(distances, members, neighbours, *, draws, seed=0):
    """Hold the longest plateau against those of continua made from the same distances.

    Parameters
    ----------
    distances : array of float, (head, head)
    members : sequence, (head,)
    neighbours : int
        Of the graph, as for `find_kinds`.
    draws, seed : int
        Of the continua, and of as many turnings of the members.

    Returns
    -------
    Continuum
    """
    if draws < 1:
        raise InputError(f"continua: {draws}; at least 1 is needed")
    points, rng = coordinates(distances), np.random.default_rng(seed)
    squares = np.square(points).sum(0)
    lengths = np.empty(draws)
    with bar(draws, "plateaus of continua", "continua") as shown:
        for i in range(draws):
            lengths[i] = _longest(squareform(pdist(continuum_like(points, members, rng))), neighbours)
            shown.update()
    length = _longest(distances, neighbours)
    p = permutation_p_value(round(length, 9), np.round(lengths, 9))
    shared = shared_coordinate(points, members, draws=draws, seed=seed)
    return Continuum(length, lengths, p, points[:, 0], float(squares[0] / squares.sum()), *shared)
