"""What ablations of induction heads say: redundancy within a layer, and what later layers make good.

Both are read from the table of effects of `self_repair`, whose sets are single heads, those of a layer, and all.
"""

import pandas as pd


def redundancy(effects, kind="mean"):
    """Whether the induction heads of a layer stand in for one another: the joint effect against the sum of single ones.

    Parameters
    ----------
    effects : DataFrame
        As `effect_tables` gives.
    kind : {"zero", "mean", "resample"}

    Returns
    -------
    DataFrame of [member, layer, heads, size, singly, together, excess, control]
        A row for each member with a layer of two or more induction heads: of those layers the one of the greatest joint
        effect. `excess` is the joint effect less the sum, in nats; `control` the mean effect of as many heads of the
        layer that are no induction heads, missing where there are none.
    """
    rows = []
    for member, own in effects[effects["kind"] == kind].groupby("member"):
        real = own[own["control_of"] < 0]
        layers = real[real["group"] == "layer"]
        if layers.empty:
            continue
        together = layers.loc[layers["total"].idxmax()]
        singly = real.loc[(real["group"] == "one") & real["heads"].isin(together["heads"].split()), "total"].sum()
        control = own.loc[own["control_of"] == together["set"], "total"].mean()
        rows.append((member, int(together["heads"].split(".")[0]), together["heads"], together["size"], singly))
        rows[-1] += (together["total"], together["total"] - singly, control)
    return pd.DataFrame(rows, columns=["member", "layer", "heads", "size", "singly", "together", "excess", "control"])


def repair(effects, kind="mean"):
    """How much of the direct effect of a layer's induction heads later heads make good.

    Parameters are those of `redundancy`.

    Returns
    -------
    DataFrame of [member, set, heads, later_layers, direct, total, repair, control_repair, direct_singly, repair_singly]
        A row for each member with induction heads before its last layer: of the sets within one layer that of the
        greatest direct effect. `control_repair` is the mean repair of its controls;
        `direct_singly` and `repair_singly` are sums over the heads before the last layer ablated one by one.
    """
    rows = []
    for member, own in effects[effects["kind"] == kind].groupby("member"):
        sets = own[(own["control_of"] < 0) & (own["group"] != "all") & (own["later_layers"] > 0)]
        if sets.empty:
            continue
        most = sets.loc[sets["direct"].idxmax()]
        control = own.loc[own["control_of"] == most["set"], "repair"].mean()
        names = ("set", "heads", "later_layers", "direct", "total", "repair")
        singly = sets.loc[sets["group"] == "one", ["direct", "repair"]].sum()
        rows.append((member, *(most[name] for name in names), control, *singly))
    columns = ["member", "set", "heads", "later_layers", "direct", "total", "repair", "control_repair"]
    columns += ["direct_singly", "repair_singly"]
    return pd.DataFrame(rows, columns=columns)
