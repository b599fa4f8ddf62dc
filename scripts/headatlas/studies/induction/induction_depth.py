"""Where in a model its induction heads lie: do they always appear in later layers? (Chen, section 2.5, Fig 9)."""

import numpy as np
import pandas as pd

from headatlas.base.statistics import permutation_p_value

DRAWS = 2000


def relative_depth(layer, layers):
    """The middle of a layer between input (0) and output (1); a model's only layer lies at one half."""
    return (np.asarray(layer) + 0.5) / layers


def weighted_depth(scores, *, draws=DRAWS, seed=0):
    """Mean relative depth of a member's heads, weighted by what their induction scores are above chance.

    Parameters
    ----------
    scores : DataFrame of [layer, head, value, chance]
        One row per head.
    draws, seed : int
        Of the bootstrap over heads, and of the permutation of scores over heads.

    Returns
    -------
    dict
        depth, low, high (95% interval over heads), p_value (of a depth as great were scores laid out at random; NaN
        where all heads are in one layer), heads, above (how many score at all above chance).
    """
    weights = np.maximum(scores["value"] - scores["chance"], 0).to_numpy(np.float64)
    depth = relative_depth(scores["layer"].to_numpy(), scores["layer"].max() + 1)
    found = {"heads": len(weights), "above": int((weights > 0).sum())}
    if not weights.any():
        return {"depth": np.nan, "low": np.nan, "high": np.nan, "p_value": np.nan, **found}
    generator = np.random.default_rng(seed)
    observed = float(weights @ depth / weights.sum())
    drawn = generator.integers(0, len(weights), (draws, len(weights)))
    totals = weights[drawn].sum(1)
    resampled = (weights[drawn] * depth[drawn]).sum(1)[totals > 0] / totals[totals > 0]
    low, high = np.quantile(resampled, [0.025, 0.975])
    p_value = np.nan
    if scores["layer"].nunique() > 1:
        orders = np.argsort(generator.random((draws, len(weights))), axis=1)
        p_value = permutation_p_value(observed, weights[orders] @ depth / weights.sum())
    return {"depth": observed, "low": float(low), "high": float(high), "p_value": float(p_value), **found}


def depth_table(scores, *, seed=0):
    """`weighted_depth` of every member of every model.

    Parameters
    ----------
    scores : DataFrame of [protocol, model, member, layer, head, value, chance]
    seed : int

    Returns
    -------
    DataFrame
        protocol, model, member, depth, low, high, p_value, heads, above.
    """
    rows = []
    for (protocol, model, member), own in scores.groupby(["protocol", "model", "member"], sort=False):
        identity = {"protocol": protocol, "model": model, "member": np.int32(member)}
        rows.append(identity | weighted_depth(own, seed=seed))
    return pd.DataFrame(rows)
