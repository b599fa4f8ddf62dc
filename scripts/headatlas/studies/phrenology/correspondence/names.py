"""What a group of heads does: the head scores that set it apart, and a name made only of what lies beyond chance.

A name is chosen on one half of the samples behind each score and measured on the other. "Previous token" is said of a
group only if its heads are beyond chance, "low previous token" only if all the others are; entropy and distance, which
have no chance to exceed, are named by their side. What takes two layers is said of no head of the first. So no group
is called after something that none of its heads does, and what its heads do is said before how they look, and that
before what they lack.
"""

import numpy as np
import pandas as pd

from headatlas.base.errors import InputError
from headatlas.scores import catalogue

LARGE = 0.8  # Cohen's convention for a large standardised difference
ERRORS = 2.0  # standard errors over members by which a mean exceeds chance
SIDES = {"entropy": ("broad", "sharp", "nats"), "distance": ("far", "near", "positions")}  # high, low, unit
NOTHING = "mixed"


def hedges_g(inside, outside):
    """Standardised difference of two means with pooled deviation, corrected for small samples (Hedges 1981).

    NaN where either group is empty or the two together leave no degree of freedom; infinite where the groups differ
    but do not vary.
    """
    inside, outside = np.asarray(inside, dtype=np.float64), np.asarray(outside, dtype=np.float64)
    freedom = len(inside) + len(outside) - 2
    if not len(inside) or not len(outside) or freedom < 1:
        return np.nan
    spread = np.sqrt((inside.var() * len(inside) + outside.var() * len(outside)) / freedom)
    difference = inside.mean() - outside.mean()
    if spread <= 1e-12 * max(abs(inside.mean()), abs(outside.mean())):
        return 0.0 if np.isclose(difference, 0, atol=1e-12) else np.copysign(np.inf, difference)
    return difference / spread * (1 - 3 / (4 * freedom - 1))


def above_chance(values, networks, chance):
    """Whether heads are beyond chance: by two standard errors of the mean over members (over heads, of one member).

    Parameters
    ----------
    values, chance : arrays of float, (head,)
    networks : array, (head,)
        The member every head comes from.
    """
    values = np.asarray(values, dtype=np.float64) - np.asarray(chance, dtype=np.float64)
    means = pd.Series(values).groupby(np.asarray(networks)).mean().to_numpy()
    means = values if len(means) == 1 else means
    error = means.std(ddof=1) / len(means) ** 0.5 if len(means) > 1 else 0.0
    return bool(len(means) and means.mean() > 0 and means.mean() > ERRORS * error)


def describe_groups(groups, scores):
    """Every group by the scores that set its heads apart from all other heads, and its name.

    Parameters
    ----------
    groups : DataFrame of [model, member, layer, head, group]
        Heads of group -1 belong to none, and count among the others.
    scores : DataFrame of [model, member, layer, head, score, value, chance, even, odd]

    Returns
    -------
    DataFrame
        group, heads (with that score), rank (1 sets the group apart most), score, mean, rest (mean of all other heads),
        chance, effect (Hedges' g), chosen (effect on the even samples), measured (effect on the odd ones), names
        (whether the score may name the group), name (of the group, the same in all of its rows).
    """
    identity = ["model", "member", "layer", "head"]
    merged = groups[[*identity, "group"]].merge(scores, on=identity, validate="one_to_many")
    merged = merged[merged["value"].notna()]
    if merged.empty:
        raise InputError(f"scores: none belongs to any of {len(groups)} heads (matched by {identity})")
    merged["network"] = merged.groupby(["model", "member"], sort=False).ngroup()
    rows = []
    for group in sorted(set(groups["group"]) - {-1}):
        for score, found in merged.groupby("score", sort=True):
            inside = found["group"] == group
            if not inside.any():
                continue
            own, others = found[inside], found[~inside]
            effects = {part: hedges_g(own[part], others[part]) for part in ("value", "even", "odd")}
            word = _word(score, own, others, "even", effects["even"])
            rows.append(
                {
                    "group": group,
                    "heads": int(inside.sum()),
                    "score": score,
                    "mean": own["odd"].mean(),
                    "rest": others["odd"].mean(),
                    "chance": own["chance"].mean(),
                    "effect": effects["value"],
                    "chosen": effects["even"],
                    "measured": effects["odd"],
                    "word": word if word == _word(score, own, others, "odd", effects["odd"]) else None,
                }
            )
    columns = ["group", "heads", "score", "mean", "rest", "chance", "effect", "chosen", "measured", "word"]
    table = pd.DataFrame(rows, columns=columns)
    strength = table["chosen"].abs().fillna(-1)
    table.insert(2, "rank", strength.groupby(table["group"]).rank(ascending=False, method="first").astype(int))
    table = table.sort_values(["group", "rank"], ignore_index=True)
    words = {group: _ranked(rows) for group, rows in table.groupby("group")}
    first = [rows["word"].iloc[0] for rows in words.values() if len(rows)]
    named = {  # groups of one word are told apart by what comes second
        group: _name(rows.head(1 + (len(rows) > 0 and first.count(rows["word"].iloc[0]) > 1)))
        for group, rows in words.items()
    }
    table["names"] = table["word"].notna()
    return table.drop(columns="word").assign(name=table["group"].map(named))


def _word(score, own, others, part, effect):
    """What a score says of a group on one half of its samples; None where it may say nothing."""
    if not abs(effect) >= LARGE:  # NaN too
        return None
    if not catalogue.score(score).names_heads:
        return None
    if score in SIDES:
        return SIDES[score][0 if effect > 0 else 1]
    beyond = own if effect > 0 else others
    beyond = beyond[beyond["layer"] >= catalogue.score(score).first_layer]
    if not above_chance(beyond[part], beyond["network"], beyond["chance"]):
        return None
    return f"{'' if effect > 0 else 'low '}{catalogue.score(score).words}"


def _ranked(rows):
    """The scores that may name a group: what it does first, how it looks second, what it lacks last."""
    rows = rows[rows["word"].notna()]
    lacking, side = rows["word"].str.startswith("low "), rows["score"].isin(SIDES)
    return rows.assign(last=2 * lacking + side).sort_values(["last", "rank"], kind="stable")


def _name(rows):
    """Their words, each with the mean that was measured."""
    said = zip(rows["word"], rows["mean"], rows["score"], strict=True)
    return ", ".join(f"{word} ({mean:.2f}{_unit(score)})" for word, mean, score in said) or NOTHING


def _unit(score):
    return f" {SIDES[score][2]}" if score in SIDES else ""


def describe_all(groupings, scores):
    """`describe_groups` of several groupings of the same heads, such as kinds and partners, one below the other.

    Parameters
    ----------
    groupings : dict from str to DataFrame
        What the groups are, as the column `what` has it.
    """
    described = [describe_groups(groups, scores).assign(what=what) for what, groups in groupings.items()]
    table = pd.concat([part for part in described if len(part)] or described[:1], ignore_index=True)
    return table[["what", *table.columns.drop("what")]]
