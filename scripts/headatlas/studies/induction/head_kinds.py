"""Induction heads that copy what they find, induction heads that do not, and heads that copy wherever they look.

An induction head of Olsson et al. (2022) matches prefixes and copies. Which heads count as induction heads is decided
by their attention, once for the whole study (`repeated_tokens.induction_heads`); here they are told apart by whether
they raise the logit of what they see: a score of `COPYING` that lies above 0 by as many standard errors as the
attention of an induction head lies above chance.
"""

import numpy as np
import pandas as pd

from headatlas.scores.induction_scores import ERRORS, is_induction

COPYING = 0.1  # of the copying score's range of -1 to 1
KINDS = ("finds and copies", "only finds", "only copies", "neither")
UNKNOWN = "unknown"
_SCORES = ("prefix_matching", "copying", "ov_copying", "previous_token", "duplicate_token")
_HEADS = ["member", "layer", "head"]


def tell_apart(scores, found):
    """Tell the heads of a model apart by whether they are induction heads, and whether they copy.

    Parameters
    ----------
    scores : DataFrame of [member, layer, head, score, value, standard_error, chance]
        A table of scores. Of bidirectional models the better of forward and mirrored prefix matching is kept.
    found : DataFrame of [member, layer, head, value, standard_error, chance]
        Attention to where an induction head looks, of every head, under the corrected protocol
        (`repeated_tokens.induction_rows`).

    Returns
    -------
    DataFrame
        member, layer, head, attention, attention_error, chance, copying, copying_error, prefix_matching, ov_copying,
        previous_token, duplicate_token, kind (one of `KINDS`, or `UNKNOWN` where a model's weights are not known).
    """
    found = found.set_index(_HEADS)
    matching = scores[scores["score"].isin(("prefix_matching", "prefix_matching_mirrored"))]
    wide = scores[scores["score"].isin(_SCORES)].pivot(index=_HEADS, columns="score", values="value")
    wide = wide.reindex(index=found.index, columns=_SCORES).astype(np.float64)
    errors = scores[scores["score"] == "copying"].set_index(_HEADS)["standard_error"].reindex(found.index)
    table = pd.DataFrame({"attention": found["value"], "attention_error": found["standard_error"]})
    table["chance"], table["copying"], table["copying_error"] = found["chance"], wide["copying"], errors
    table["prefix_matching"] = matching.groupby(_HEADS)["value"].max().reindex(found.index)
    table = table.join(wide[["ov_copying", "previous_token", "duplicate_token"]])
    finds = is_induction(found)
    copies = (table["copying"] >= COPYING) & (table["copying"] > ERRORS * table["copying_error"].fillna(0))
    table["kind"] = np.select([finds & copies, finds, copies], KINDS[:3], KINDS[3])
    table.loc[table["copying"].isna() & table["ov_copying"].isna(), "kind"] = UNKNOWN
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
    return pd.crosstab(table["model"], table["kind"]).reindex(columns=[*KINDS, UNKNOWN], fill_value=0)
