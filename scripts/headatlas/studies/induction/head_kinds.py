"""Induction heads and their look-alikes: who finds the earlier occurrence, and who copies what it finds.

An induction head does both (Olsson et al. 2022, "prefix matching" and "copying"). A head that looks to the right place
but does not raise the logit of what it sees is a look-alike; one that copies wherever it looks is a copier. One rule
says what looks to the right place, `induction_scores.is_induction`, and one what copies: a score of `COPYING` that lies
above 0 by as many standard errors.
"""

import numpy as np
import pandas as pd

from headatlas.scores.induction_scores import ERRORS, is_induction

COPYING = 0.1  # of the copying score's range of -1 to 1
KINDS = ("induction", "look-alike", "copier", "neither")
_SCORES = ("prefix_matching", "copying", "ov_copying", "previous_token", "duplicate_token")


def tell_apart(scores, asked=None):
    """Tell the heads of a model apart by prefix matching and copying.

    Parameters
    ----------
    scores : DataFrame of [member, layer, head, score, value, standard_error, chance]
        A table of scores. Of bidirectional models the better of forward and mirrored prefix matching counts.
    asked : DataFrame of [member, layer, head, value, standard_error, chance], optional
        Induction scores at masks, which take the place of prefix matching where they are higher: a masked model has
        no need to find a token that it is shown.

    Returns
    -------
    DataFrame
        member, layer, head, prefix_matching, prefix_matching_error, chance, copying, copying_error, ov_copying,
        previous_token, duplicate_token, kind (one of `KINDS`, or "unknown" where a model's weights are not known).
    """
    heads = ["member", "layer", "head"]
    matching = scores[scores["score"].isin(("prefix_matching", "prefix_matching_mirrored"))]
    best = matching.loc[matching.groupby(heads)["value"].idxmax()].set_index(heads)
    wide = scores[scores["score"].isin(_SCORES)].pivot(index=heads, columns="score", values="value")
    errors = scores[scores["score"] == "copying"].set_index(heads)["standard_error"]
    table = wide.reindex(columns=_SCORES).astype(np.float64)
    if asked is not None:
        own = asked.set_index(heads).reindex(best.index)
        better = (own["value"] > best["value"]).to_numpy()
        best.loc[better, ["value", "standard_error", "chance"]] = own.loc[better, ["value", "standard_error", "chance"]]
    table["prefix_matching"] = best["value"]
    table.insert(1, "prefix_matching_error", best["standard_error"])
    table.insert(2, "chance", best["chance"])
    table.insert(4, "copying_error", errors.reindex(table.index))
    matches = is_induction(best.reindex(table.index))
    copies = (table["copying"] >= COPYING) & (table["copying"] > ERRORS * table["copying_error"].fillna(0))
    table["kind"] = np.select([matches & copies, matches, copies], KINDS[:3], KINDS[3])
    table.loc[table["copying"].isna() & table["ov_copying"].isna(), "kind"] = "unknown"
    return table.reset_index()


def counts(table):
    """How many heads of each kind there are, a row per model.

    Parameters
    ----------
    table : DataFrame of [model, kind]

    Returns
    -------
    DataFrame
    """
    return pd.crosstab(table["model"], table["kind"]).reindex(columns=[*KINDS, "unknown"], fill_value=0)
