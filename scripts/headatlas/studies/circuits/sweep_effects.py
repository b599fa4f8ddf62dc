"""What the parameters of a sweep do to the loss: analysis of variance of its grid, with seeds as blocks.

The mean square of a parameter's values is held against the noise: what is left of the losses when each run's mean and
each seed's mean are taken out. So all runs together say how large noise is, and a parameter with many values has no
advantage over one with few. How far a parameter moves the loss is its variance component: the variance of its values'
mean losses, less what noise alone would give them.
"""

import numpy as np
import pandas as pd
from scipy.special import fdtrc

from headatlas.base.statistics import describe_p_value, holm

DRAWS = 10_000
LEVEL = 0.05  # of the tests, all of a sweep together
SURE = 0.975  # share of draws in which the parameter is first that is said to move the loss most
_COLUMNS = ("parameter", "value", "loss", "error", "values", "deviation", "f", "freedom", "noise_freedom", "p")
COLUMNS = (*_COLUMNS, "p_holm", "first", "noise", "runs", "seeds")


def effects(ended, axes, *, draws=DRAWS, seed=0):
    """Analysis of variance of the last losses of a sweep.

    Parameters
    ----------
    ended : DataFrame
        From `findings.outcomes` by seed, of the runs of a full grid.
    axes : sequence of str
    draws, seed : int
        Of the comparison of parameters with one another.

    Returns
    -------
    DataFrame
        A row for each value of each parameter that has several: parameter, value, loss (mean over the runs with that
        value), error (its standard error, from the noise of all runs); and of the parameter values (their number),
        deviation (square root of its variance component, in nats; 0 where its values differ less than noise does), f,
        freedom and noise_freedom (degrees), p, p_holm (over the parameters), first (share of draws, each as far from
        what was measured as noise may have brought it, in which its variance component is the largest), noise (standard
        deviation of a loss, in nats), runs, seeds. What needs noise to be known is missing with one seed, and where a
        loss is missing. The parameter of the largest variance component first.
    """
    varied = [axis for axis in axes if ended[axis].nunique() > 1]
    if not varied:
        return pd.DataFrame(columns=list(COLUMNS))
    wide = ended.pivot(index=varied, columns="member", values="loss")
    losses = wide.to_numpy(np.float64)  # (run, seed)
    runs, seeds = losses.shape
    residual = losses - losses.mean(1, keepdims=True) - losses.mean(0) + losses.mean()
    freedom = (runs - 1) * (seeds - 1)
    whole = freedom > 0 and bool(np.isfinite(losses).all()) and runs == np.prod([ended[a].nunique() for a in varied])
    noise = (residual**2).sum() / freedom if whole else np.nan  # a variance
    means = {axis: wide.mean(axis=1).groupby(level=axis, sort=False).mean() for axis in varied}
    components = {axis: own.var() - noise * len(own) / losses.size for axis, own in means.items()}
    first = _first(means, noise, freedom, losses.size, draws, seed) if whole else dict.fromkeys(varied, np.nan)
    rows = []
    for axis, own in means.items():
        each = losses.size // len(own)  # losses behind a value's mean
        with np.errstate(divide="ignore", invalid="ignore"):
            f = np.float64(each * own.var()) / noise
        row = {"parameter": axis, "error": np.sqrt(noise / each), "values": len(own)}
        row |= {"deviation": np.sqrt(np.maximum(components[axis], 0)), "f": f, "freedom": len(own) - 1}
        row |= {"noise_freedom": freedom, "p": float(fdtrc(len(own) - 1, freedom, f)) if whole else np.nan}
        row |= {"first": first[axis], "noise": np.sqrt(noise), "runs": runs, "seeds": seeds}
        rows += [{**row, "value": str(value), "loss": loss} for value, loss in own.items()]
    table = pd.DataFrame(rows)
    p_values = table.groupby("parameter", sort=False)["p"].first()
    table["p_holm"] = table["parameter"].map(dict(zip(p_values.index, holm(p_values), strict=True)))
    order = table["parameter"].map({axis: own.var() if not whole else components[axis] for axis, own in means.items()})
    return table.loc[order.sort_values(ascending=False, kind="stable").index, list(COLUMNS)].reset_index(drop=True)


def _first(means, noise, freedom, count, draws, seed):
    """Share of draws in which each parameter's variance component is the largest."""
    generator = np.random.default_rng(seed)
    variance = freedom * noise / generator.chisquare(freedom, draws)  # as large as noise may be
    components = []
    for own in means.values():
        error = variance * len(own) / count  # of a value's mean
        drawn = own.to_numpy() + np.sqrt(error)[:, None] * generator.standard_normal((draws, len(own)))
        components.append(drawn.var(1, ddof=1) - 2 * error)  # once of the measured means, once of the draw
    largest = np.argmax(components, axis=0)
    return {axis: float((largest == place).mean()) for place, axis in enumerate(means)}


def moving(table):
    """The parameters, of `effects`, that move the loss beyond noise, and the one among them that does so most, if any.

    Returns
    -------
    moves : list of str
    most : str or None
    """
    own = table.drop_duplicates("parameter")
    moves = own.loc[own["p_holm"] <= LEVEL]
    most = moves.loc[(moves["first"] >= SURE), "parameter"].tolist() if len(own) > 1 else []
    return moves["parameter"].tolist(), most[0] if most else None


def describe(rows):
    """What a parameter does, of its rows in `effects`, in words."""
    row = rows.iloc[0]
    name = row["parameter"].replace("_", " ")
    if not np.isfinite(row["p"]):
        return name
    return (
        f"{name}, F({row['freedom']}, {row['noise_freedom']}) = {row['f']:.1f}, {describe_p_value(row['p_holm'])}, "
        f"moves the loss by {row['deviation']:.2f} nats (standard deviation over its values beyond noise)"
    )


def describe_values(rows):
    """The mean loss at each value of a parameter, the least first."""
    ordered = rows.sort_values("loss", kind="stable").itertuples()
    return [f"{row.value} {row.loss:.2f}" + ("" if np.isnan(row.error) else f" ± {row.error:.2f}") for row in ordered]
