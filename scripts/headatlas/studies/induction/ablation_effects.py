"""What later layers make good of what ablated induction heads did, read from the table of effects of `self_repair`."""

import pandas as pd

SETS = ["one", "layer"]  # a head, and all that were chosen of its layer


def repair(effects, kind="mean"):
    """How much of the direct effect of a layer's induction heads later heads make good.

    The layer is that of the member's strongest induction head before the last layer, which was chosen on other
    sequences: the set of the greatest effect would be the one whose direct effect came out too large.

    Parameters
    ----------
    effects : DataFrame
        As `self_repair.effect_tables` gives, its sets of one head by strength.
    kind : {"zero", "mean", "resample"}

    Returns
    -------
    DataFrame
        A row for each member with induction heads before its last layer: member, set, heads, later_layers, direct,
        total, repair, repair_low and repair_high (95% interval over sequences), control_repair (mean of its
        controls); and direct_singly and repair_singly, sums over the heads before the last layer ablated one by one.
    """
    rows = []
    for member, own in effects[effects["kind"] == kind].groupby("member"):
        sets = own[(own["control_of"] < 0) & own["group"].isin(SETS) & (own["later_layers"] > 0)]
        if sets.empty:
            continue
        layers = sets["heads"].str.split(".").str[0]
        ones = sets[sets["group"] == "one"].sort_values("set")
        of_layer = sets[layers == layers.loc[ones.index[0]]]
        whole = of_layer.loc[of_layer["size"].idxmax()]
        control = own.loc[own["control_of"] == whole["set"], "repair"].mean()
        names = ("set", "heads", "later_layers", "direct", "total", "repair", "repair_low", "repair_high")
        singly = {f"{name}_singly": ones[name].sum() for name in ("direct", "repair")}
        rows.append({"member": member, **whole[list(names)].to_dict(), "control_repair": control, **singly})
    columns = ["member", "set", "heads", "later_layers", "direct", "total", "repair", "repair_low", "repair_high"]
    return pd.DataFrame(rows, columns=[*columns, "control_repair", "direct_singly", "repair_singly"])
