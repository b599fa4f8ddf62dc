"""What the validation of kinds and partners found, in words."""

import numpy as np

from headatlas.base import statements
from headatlas.base.statistics import describe_holm, describe_p_value
from headatlas.studies.phrenology.correspondence.stability import STABLE

LEVEL = 0.05  # of p after Holm
INTERCHANGEABLE = 0.9  # of the loss, recovered for certain

_MEASURES = {
    "attention": "attention",
    "ov": "the OV circuit",
    "qk": "the QK circuit",
    "effects": "the ablation effects",
}
NOT_ASKED = (
    "Whether heads have partners in other networks cannot be asked here: it takes at least two networks with one "
    "tokenizer and as many heads in each layer."
)


def text(evidence, agreement, overall, universal, members):
    """Findings as a Markdown list.

    Parameters
    ----------
    evidence : DataFrame
        `evidence.evidence`.
    agreement : DataFrame
        `partner_agreement.agreement`.
    overall : DataFrame
        `transplant_shares.overall`.
    universal : DataFrame of [model, member, layer, head, ...]
        `universality.universality`.
    members : int
        How many networks were compared.

    Returns
    -------
    str
    """
    if members < 2:
        return f"- {NOT_ASKED}\n"
    lines = [*_transplants(overall, members), *_verdicts(evidence), *_matchings(agreement), *_universal(universal)]
    return "".join(f"- {line}\n" for line in lines)


def _transplants(overall, members):
    rows = overall[overall["norm"] == "as mapped"].set_index("source")
    equal = overall[overall["norm"] == "equal norm"].set_index("source")
    partner, less = rows.loc["partner"], rows.loc["partner less others"]
    if not np.isfinite(partner["share"]):
        return ["Transplants: no head whose mean ablation costs anything has a partner, so nothing could be recovered."]
    best, p = rows.loc["partner best"], _p_value(less)
    replaces = less["p"] <= LEVEL and not less["low"] <= 0  # of two networks there is no interval
    if replaces:
        alike = ""
        if partner["low"] > INTERCHANGEABLE:
            alike = " and are interchangeable"
        elif partner["high"] < 1:
            alike = " and are not interchangeable"
        verdict = f"Heads of independently trained networks correspond{alike}"
    else:
        verdict = "That a head's partner replaces it better than other heads do is not beyond chance"
    headline = statements.either(replaces, f"{verdict}.")
    line = (
        f"{headline} Put in the place of a head of another network, its partner recovers "
        f"{_percent(partner)} of what the mean ablation costs, {_others(rows)}. The partner recovers "
        f"{_percent(less)} more than the others of the layer ({p}) and is the best of them for "
        f"{_percent(best)} of heads and networks (chance {best['chance']:.1%}; mean rank {best['rank']:.1f}, by chance "
        f"{best['rank_chance']:.1f})."
    )
    norm = (
        f"At equal norm the partner recovers {_percent(equal.loc['partner'])} and the others "
        f"{_percent(equal.loc['others'])}: below zero, what is put in does more harm than knocking the head out."
    )
    lines = [line, norm]
    if np.isfinite(rows.loc["other layer", "share"]):
        lines.append(f"As a control, heads of another layer recover {_percent(rows.loc['other layer'])}.")
    return lines


def _others(rows):
    parts = []
    if np.isfinite(rows.loc["kind", "share"]):
        parts.append(f"others of its group by the plateau {_percent(rows.loc['kind'])}")
    parts.append(f"all others of the layer {_percent(rows.loc['others'])}")
    return " and ".join(parts)


def _verdicts(evidence):
    lines = []
    names = {"kind": "kinds", "candidate": "groups of the plateau", "partner": "groups of partners"}
    for what, own in evidence.groupby("what", sort=False):
        supported, missed = own[own["supported"]], own[~own["supported"]]
        counted = f"{len(supported)} of {len(own)} {names[what]} {'is' if len(supported) == 1 else 'are'} supported"
        line = (
            f"{statements.either(len(supported), counted)}: "
            f"stable (Jaccard {STABLE} or more on halves of the prompts and without each network), and the effects of "
            f"their heads' mean ablation agree across networks (p at most {LEVEL} by Holm)."
        )
        if what == "candidate":
            line += " A continuum of heads would give as much, so these are no kinds."
        for row in supported.itertuples():
            line += (
                f" {_group(row)}: Jaccard {_two(row.jaccard_prompts)} and {_two(row.jaccard_members)}; {_effect(row)}."
            )
        if len(missed):
            line += f" Not supported: {'; '.join(f'{_group(row)} ({_why(row)})' for row in missed.itertuples())}."
        lines.append(line)
    return lines


def _group(row):
    name = {"kind": "Kind", "candidate": "Group of the plateau", "partner": "Partners"}[row.what]
    networks = f"{row.members} networks" if row.members > 1 else "one network"
    return f"{name} {row.group} ({row.heads} heads, {networks})"


def _effect(row):
    alike = "its heads' effects are weakly similar" if row.r2 < 0 else "its heads' effects are similar"
    p = _p_value({"p": row.p, "permutations": row.permutations}, brief=True)
    share = f"; partners recover {row.transplant:z.0%} of the loss" if np.isfinite(row.transplant) else ""
    return (
        f"{alike}: cosine {_three(row.cosine)}, permuted {_three(row.null_mean)}, R² {_three(row.r2)}, {p}, by Holm "
        f"{_holm(row)}{share}"
    )


def _why(row):
    if not np.isfinite(row.p):
        return "heads of one network only"
    reasons = [] if row.stable else [f"Jaccard {_two(row.jaccard_prompts)} and {_two(row.jaccard_members)}"]
    if not row.alike:
        reasons.append(f"effects: cosine {_three(row.cosine)}, permuted {_three(row.null_mean)}, by Holm {_holm(row)}")
    return "; ".join(reasons) or "a continuum gives as much"


def _holm(row):
    return describe_holm(row.p_holm, row.p, row.p_floor)


def _matchings(agreement):
    if agreement.empty:
        return []
    parts = []
    for row in agreement[agreement["first"] == "attention"].itertuples():
        p = _p_value({"p": row.p, "permutations": row.permutations}, brief=True)
        chance = f"{row.chance:.0%} with heads permuted within kinds, {p}"
        ends = f"95% {row.low:.0%} to {row.high:.0%}; " if np.isfinite(row.low) else ""
        parts.append(f"{_MEASURES[row.second]} for {row.share:.0%} ({ends}{chance})")
    if not parts:
        return []
    return [f"Of heads and networks, partners by attention are also partners by {', by '.join(parts)}."]


def _universal(universal):
    known = universal[np.isfinite(universal["score"])].sort_values("score", ascending=False, kind="stable")
    if known.empty:
        return []
    beyond = known["p"].iloc[0] <= LEVEL
    verdict = "By weights and effects, partners are alike beyond what other heads of their group by the plateau are"
    headline = statements.found(f"{verdict}.") if beyond else statements.denied(f"{verdict}: not shown.")
    of_groups = [
        f"group {kind}: {own['beyond_noise'].mean():.0%} ({own['chance'].mean():.0%})"
        for kind, own in known.groupby("kind")
    ]
    line = (
        f"{headline} A head's partner is beyond noise in {known['beyond_noise'].mean():.0%} of the other networks, a "
        f"head of the same group in its place in {known['chance'].mean():.0%} ({_p_value(known.iloc[0])})"
        f"{'; ' + ', '.join(of_groups) if len(of_groups) > 1 else ''}."
    )
    if beyond:
        most, least = (f"{_head(row)}, in {row['beyond_noise']:.0%} ({row['chance']:.0%})" for row in _ends(known))
        line += f" Most universal: {most} of the networks; least: {least}."
    return [line]


def _ends(known):
    return known.iloc[0], known.iloc[-1]


def _head(row):
    return f"{row['model']} member {row['member']} layer {row['layer']} head {row['head']}"


def _percent(row):
    form = "z.0%"
    if not np.isfinite(row["share"]):
        return "not available"
    if not np.isfinite(row["low"]):
        return f"{row['share']:{form}}"
    return f"{row['share']:{form}} (95% {row['low']:{form}} to {row['high']:{form}})"


def _p_value(row, brief=False):
    permutations = int(row["permutations"]) if np.isfinite(row["permutations"]) else None
    return describe_p_value(row["p"], permutations, brief=brief)


def _two(value):
    return f"{value:.2f}" if np.isfinite(value) else "not available"


def _three(value):
    return f"{value:.3f}" if np.isfinite(value) else "not available"
