"""The time of the phase change: when the scores of snapshots pass half of what they end with."""

import numpy as np
import pandas as pd

from headatlas.scores.induction_scores import ERRORS
from headatlas.studies.induction.repeated_tokens import strongest


def of_members(table, counted):
    """When each member's induction, in-context learning and previous-token head pass half of what they end with.

    Parameters
    ----------
    table : DataFrame
        As `training_dynamics.trace` gives.
    counted : DataFrame of [member, layer, head]
        The induction heads of the trained members, as `repeated_tokens.induction_heads` gives.

    Returns
    -------
    DataFrame
        member, forms (whether it has an induction head), layer, head (its strongest induction head at the end, or its
        strongest head where none is one), final (its score there), earlier_layer, earlier_head (the head of an
        earlier layer that attends to the previous token most at the end; -1 where none does beyond chance), and in
        tokens seen induction, width (from a tenth to nine tenths of the final score), in_context and previous_token.
        Times are missing where no induction head forms, or there is no such earlier head.
    """
    rows = []
    for member, own in table.groupby("member"):
        scores = own[own["score"] == "induction"]
        last = scores[scores["step"] == scores["step"].max()]
        heads = counted.loc[counted["member"] == member, ["layer", "head"]]
        row = {"member": member, "forms": len(heads) > 0}
        last = last.merge(heads) if len(heads) else last
        best = strongest(last.assign(held_out_error=np.nan)).iloc[0]
        row |= {"layer": int(best["layer"]), "head": int(best["head"]), "final": float(best["value"])}
        row |= {"earlier_layer": -1, "earlier_head": -1}
        row |= dict.fromkeys(("induction", "width", "in_context", "previous_token"), np.nan)
        if row["forms"]:
            rise = curve(scores, best["layer"], best["head"])
            row["induction"] = _passes(rise, 0.5)
            row["width"] = _passes(rise, 0.9) - _passes(rise, 0.1)
            row["in_context"] = _passes(curve(own[own["score"] == "in_context"], -1, -1), 0.5)
            earlier = own[(own["score"] == "previous_token") & (own["layer"] < best["layer"])]
            if len(earlier):
                at_end = earlier[earlier["step"] == earlier["step"].max()]
                before = strongest(at_end.assign(held_out_error=np.nan)).iloc[0]
                beyond = before["choice"] - at_end.loc[before.name, "chance"]
                if beyond > ERRORS * at_end.loc[before.name, "standard_error"]:
                    row |= {"earlier_layer": int(before["layer"]), "earlier_head": int(before["head"])}
                    row["previous_token"] = _passes(curve(earlier, before["layer"], before["head"]), 0.5)
        rows.append(row)
    return pd.DataFrame(rows)


def curve(scores, layer, head):
    """Tokens seen, ascending, and a head's values of a score that it was not chosen by."""
    own = scores[(scores["layer"] == layer) & (scores["head"] == head)].sort_values("tokens")
    return own["tokens"].to_numpy(np.float64), own["held_out"].to_numpy(np.float64)


def _passes(rise, share):
    """The tokens at which a curve passes a share of its way from its first value to its last, for the first time."""
    tokens, values = rise
    level = values[0] + share * (values[-1] - values[0])
    above = np.flatnonzero((values - level) * np.sign(values[-1] - values[0]) >= 0)
    if not len(above):
        return np.nan
    at = above[0]
    if at == 0:
        return float(tokens[0])
    part = (level - values[at - 1]) / (values[at] - values[at - 1])
    return float(tokens[at - 1] + part * (tokens[at] - tokens[at - 1]))
