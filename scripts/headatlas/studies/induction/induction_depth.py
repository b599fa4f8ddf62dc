"""Where in a model its induction heads lie: do they always appear in later layers? (Chen, section 2.5, Fig 9)."""

import numpy as np
import pandas as pd

from headatlas.scores.induction_scores import is_induction

DRAWS = 2000
FEWEST_LAYERS = 3  # with two, "later" is a coin with two sides


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
        Of the bootstrap over heads.

    Returns
    -------
    dict
        layers, depth, low, high (95% interval over heads), heads, above (how many score at all above chance).
    """
    weights = np.maximum(scores["value"] - scores["chance"], 0).to_numpy(np.float64)
    layers = int(scores["layer"].max()) + 1
    depth = relative_depth(scores["layer"].to_numpy(), layers)
    found = {"layers": layers, "heads": len(weights), "above": int((weights > 0).sum())}
    if not weights.any():
        return found | {"depth": np.nan, "low": np.nan, "high": np.nan}
    drawn = np.random.default_rng(seed).integers(0, len(weights), (draws, len(weights)))
    totals = weights[drawn].sum(1)
    resampled = (weights[drawn] * depth[drawn]).sum(1)[totals > 0] / totals[totals > 0]
    low, high = np.quantile(resampled, [0.025, 0.975])
    return found | {"depth": float(weights @ depth / weights.sum()), "low": float(low), "high": float(high)}


def depth_table(scores, *, seed=0):
    """`weighted_depth` of every member of every model.

    Parameters
    ----------
    scores : DataFrame of [protocol, model, member, layer, head, value, standard_error, chance]
    seed : int

    Returns
    -------
    DataFrame
        protocol, model, member, induction_heads (how many heads are), layers, heads, above, depth, low, high.
    """
    rows = []
    for (protocol, model, member), own in scores.groupby(["protocol", "model", "member"], sort=False):
        identity = {"protocol": protocol, "model": model, "member": np.int32(member)}
        identity["induction_heads"] = int(is_induction(own).sum())
        rows.append(identity | weighted_depth(own, seed=seed))
    return pd.DataFrame(rows)


def askable(depths):
    """The corrected rows of members of which it can be asked whether induction lies in later layers.

    They have `FEWEST_LAYERS` layers or more, and an induction head.
    """
    enough = (depths["layers"] >= FEWEST_LAYERS) & (depths["induction_heads"] > 0)
    return depths[(depths["protocol"] == "corrected") & enough]
