"""Do heads that attend alike do alike? What knocking a head out does, predicted from its attention neighbours.

Heads come with a matrix of distances between their attention patterns and one of inner products
between the effects of knocking them out; all that is asked here follows from these two.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from headatlas.base.errors import InputError
from headatlas.base.progress import bar
from headatlas.base.statistics import describe_p_value, distance_correlation, permutation_p_value

KINDS = {"zero": "set to zero", "mean": "set to its mean", "resample": "taken from another prompt"}
_PAIRS = 20_000  # cross-member pairs that the distance correlation is taken over, at most


@dataclass(frozen=True)
class Prediction:
    """What was found, and what chance gives.

    Attributes
    ----------
    table : DataFrame
        statistic, observed, null_mean, null_95 (95th percentile), p (one-sided, observed counted in), permutations.
        The statistics are "cosine" (mean over heads), "r2" and "distance_correlation".
    heads : DataFrame
        cosine (between a head's effect and its prediction, both less the mean effect of the other members' heads),
        and null (mean of that under permutation), one row for each head.
    draws : DataFrame
        statistic, permutation, value.
    """

    table: pd.DataFrame
    heads: pd.DataFrame = field(repr=False)
    draws: pd.DataFrame = field(repr=False)


def predict(distances, products, members, layers, permutations, seed=0):
    """Predict every head's effect from the heads of all other members, and hold that against permutations.

    The prediction is the mean effect of the nearest head of each other member by attention. It is scored
    against what is known without attention: the mean effect of all heads of the other members. Effects are
    scaled to length one, so that heads that do much do not decide alone. In the null, the effects of the heads
    of a member and layer are dealt anew among them: neither a member's nor a layer's habits count as
    prediction. Pairs within a member are left out of the distance correlation (Székely et al. 2007):
    heads of one member exclude one another, which by itself would tie the two distances together.

    Parameters
    ----------
    distances : array of shape (head, head)
        Between attention patterns, Jensen-Shannon for instance.
    products : array of shape (head, head)
        Inner products of the effects of knocking heads out.
    members, layers : sequences of shape (head,)
        Labels of any kind; layers of different members that are called the same need not be alike.
    permutations, seed : int

    Returns
    -------
    Prediction

    Raises
    ------
    InputError
        If there is one member only: then it cannot be asked.
    """
    distances, unit = np.asarray(distances, dtype=np.float64), _unit(np.asarray(products, dtype=np.float64))
    members = pd.factorize(np.asarray(members))[0]
    if members.max() == 0:
        raise InputError("prediction across members: 1 member found; allowed: at least 2 to compare")
    group = pd.factorize(pd.MultiIndex.from_arrays([members, np.asarray(layers)]))[0]
    nearest, others = _weights(distances, members)
    rng = np.random.default_rng(seed)
    rows, columns = _cross_pairs(members, rng)
    apart = distances[rows, columns]

    def measured(order):
        """The statistics, and each head's cosine, when the effect of head i is that of head order[i]."""
        effects = unit[np.ix_(order, order)]
        cosine, r2 = _scores(effects, nearest, others)
        far = np.sqrt(np.clip(2 - 2 * effects[rows, columns], 0, None))
        return {"cosine": cosine.mean(), "r2": r2, "distance_correlation": distance_correlation(apart, far)}, cosine

    observed, cosine = measured(np.arange(len(members)))
    draws, by_head = [], np.zeros(len(members))
    with bar(permutations, "heads permuted within member and layer", "permutations") as shown:
        for permutation in range(permutations):
            found, own = measured(_within(group, rng))
            draws += [(name, permutation, value) for name, value in found.items()]
            by_head += own / permutations
            shown.update()
    draws = pd.DataFrame(draws, columns=["statistic", "permutation", "value"])
    table = [_row(name, value, draws.loc[draws["statistic"] == name, "value"]) for name, value in observed.items()]
    return Prediction(pd.DataFrame(table), pd.DataFrame({"cosine": cosine, "null": by_head}), draws)


def _row(statistic, observed, null):
    null = np.round(null.to_numpy(), 12)  # sums in another order must not decide a tie
    return {
        "statistic": statistic,
        "observed": observed,
        "null_mean": null.mean(),
        "null_95": np.quantile(null, 0.95),
        "p": permutation_p_value(np.round(observed, 12), null),
        "permutations": len(null),
    }


def _unit(products):
    """Inner products of the same vectors at length one; a vector of length zero stays zero."""
    lengths = np.sqrt(np.clip(np.diag(products), 0, None))
    scale = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return products * scale * scale[:, None]


def _weights(distances, members):
    """Two matrices whose rows average: over the nearest head of each other member, and over all their heads."""
    count = len(members)
    nearest = np.zeros((count, count))
    for member in np.unique(members):
        theirs = np.flatnonzero(members == member)
        ours = np.flatnonzero(members != member)
        nearest[ours, theirs[distances[np.ix_(ours, theirs)].argmin(1)]] = 1
    others = (members[:, None] != members).astype(np.float64)
    return nearest / nearest.sum(1, keepdims=True), others / others.sum(1, keepdims=True)


def _scores(products, nearest, others):
    """Each head's cosine between effect and prediction, less the mean of others; and the share of squares explained."""
    lengths = np.diag(products)

    def with_mixture(a, b):  # inner products of row mixtures a and b
        return np.einsum("ij,ij->i", a @ products, b)

    own_near, own_mean = (np.einsum("ij,ij->i", weights, products) for weights in (nearest, others))
    near_near, near_mean = with_mixture(nearest, nearest), with_mixture(nearest, others)
    mean_mean = with_mixture(others, others)
    inner = own_near - own_mean - near_mean + mean_mean
    rest, moved = lengths - 2 * own_mean + mean_mean, near_near - 2 * near_mean + mean_mean
    scale = np.sqrt(np.clip(rest, 0, None) * np.clip(moved, 0, None))
    cosine = np.divide(inner, scale, out=np.zeros_like(inner), where=scale > 1e-12)
    missed = lengths - 2 * own_near + near_near
    return cosine, 1 - missed.sum() / max(rest.sum(), np.finfo(float).tiny)


def _cross_pairs(members, rng):
    rows, columns = np.nonzero(np.triu(members[:, None] != members))
    if len(rows) > _PAIRS:
        chosen = np.sort(rng.choice(len(rows), _PAIRS, replace=False))
        rows, columns = rows[chosen], columns[chosen]
    return rows, columns


def _within(group, rng):
    """A permutation that leaves every head in its group."""
    order = np.empty(len(group), dtype=np.int64)
    places = np.argsort(group, kind="stable")
    order[places] = places[np.lexsort((rng.random(len(group)), group[places]))]
    return order


def predict_all(heads, distances, effects, permutations, seed=0):
    """Ask it of every kind of knockout.

    Parameters
    ----------
    heads : DataFrame of [model, member, layer, head]
    distances : array of shape (head, head)
    effects : mapping from a kind of knockout to inner products, (head, head)
    permutations, seed : int

    Returns
    -------
    dict
        "prediction", "heads" and "draws": the tables of `Prediction` with a column `kind` in front, heads with their
        identity; empty for a single member. "findings": the answer in words, about the first kind and then the others.
    """
    members = heads.groupby(["model", "member"], sort=False).ngroup().to_numpy()
    if members.max() == 0:
        empty = pd.DataFrame({"kind": pd.Series(dtype=object)})
        return {"prediction": empty, "heads": empty, "draws": empty, "findings": CANNOT_BE_ASKED}
    layers = heads["layer"].to_numpy()
    found = {kind: predict(distances, own, members, layers, permutations, seed) for kind, own in effects.items()}
    parts = {
        "prediction": [of.table.assign(kind=kind) for kind, of in found.items()],
        "heads": [heads.join(of.heads).assign(kind=kind) for kind, of in found.items()],
        "draws": [of.draws.assign(kind=kind) for kind, of in found.items()],
    }
    tables = {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}
    first, *others = found
    said = sentence(found[first], members.max() + 1, first)
    said += "".join(f" {_briefly(found[kind], kind)}" for kind in others)
    return {**tables, "findings": said}


def sentence(prediction, members, kind="zero"):
    """The answer in words."""
    rows = prediction.table.set_index("statistic")
    cosine, correlation = rows.loc["cosine"], rows.loc["distance_correlation"]
    if max(cosine["p"], correlation["p"]) < 0.05:
        verdict = "Heads that attend alike do alike, beyond chance"
    elif min(cosine["p"], correlation["p"]) < 0.05:
        verdict = "Whether heads that attend alike do alike is open: the two tests disagree"
    else:
        verdict = "That heads which attend alike do alike is not beyond chance"
    others = "the other member" if members == 2 else f"each of the {members - 1} other members"
    return (
        f"{verdict}. Predicted from the nearest head by attention of {others}, what knocking a head out "
        f"(its output {KINDS[kind]}) changes has a mean cosine of {cosine['observed']:.2f} with the prediction "
        f"({cosine['null_mean']:.2f} with heads permuted within member and layer, {_described(cosine)}; "
        f"R² {rows.loc['r2', 'observed']:.2f}, permuted {rows.loc['r2', 'null_mean']:.2f}). The distance correlation "
        f"of attention and effect over pairs of heads of different members is {correlation['observed']:.2f} "
        f"({correlation['null_mean']:.2f} permuted, {_described(correlation)})."
    )


def _described(row):
    return describe_p_value(row["p"], int(row["permutations"]))


def _briefly(prediction, kind):
    rows = prediction.table.set_index("statistic")
    cosine, correlation = rows.loc["cosine"], rows.loc["distance_correlation"]
    return (
        f"With its output {KINDS[kind]}: cosine {cosine['observed']:.2f} ({_described(cosine)}), "
        f"distance correlation {correlation['observed']:.2f} ({_described(correlation)})."
    )


CANNOT_BE_ASKED = (
    "Whether heads that attend alike do alike cannot be asked of one member: a head is predicted from the heads of "
    "other members."
)
