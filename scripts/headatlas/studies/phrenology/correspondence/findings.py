"""What the search for kinds and partners found, in sentences: the answer first, every number with it."""

import numpy as np
import pandas as pd

from headatlas.base import statements
from headatlas.base.statistics import describe_p_value
from headatlas.studies.phrenology.correspondence.continuum import ALPHA
from headatlas.studies.phrenology.correspondence.kinds import describe_count, describe_plateaus
from headatlas.studies.phrenology.correspondence.stability import STABLE

PAPER = (
    "the paper reports F = 0.8295 at resolution 2.1634, shared by 334 of 1,000 draws, with 7 clusters of 15, 11, "
    "10, 10, 9, 9, 8 heads"
)


def kinds_sentences(facts, heads, plateaus, stability, agreement, names):
    """Are there kinds, how many, and how firmly are they known?

    Parameters
    ----------
    facts : dict
        Of kinds.parquet: are_kinds, p, continua, axis_share_within, axis_p.
    heads : DataFrame of [model, kind]
    plateaus, stability, agreement : DataFrame
    names : DataFrame of [what, group, name]

    Returns
    -------
    list of str
    """
    test = describe_p_value(facts["p"], facts["continua"]).replace("permutations", "continua")
    longest = describe_plateaus(plateaus)
    longest = longest[0].upper() + longest[1:]
    if not facts["are_kinds"]:
        return [
            f"{statements.denied('Kinds of heads cannot be told from a continuum here.')} {longest}; those of continua "
            f"with the same leading coordinate last as long ({test}). {_axis(facts)}",
            *_agreement(agreement, "candidate", "The groups of that plateau"),
        ]
    of_models = heads.groupby("kind")["model"].nunique()
    answer = statements.found(f"Heads come in {describe_count(plateaus)} kinds.")
    why = ""
    if heads["model"].nunique() > 1 and (of_models == 1).all():
        answer = statements.denied("No kind of heads is shared by the models compared.")
        why = " Each group holds heads of one model alone: what sets them apart may be the models, not what heads do."
    return [
        f"{answer} {longest}, longer than those of continua with the same leading coordinate ({test}).{why}",
        *[_of_group(rows, names) for _, rows in stability[stability["what"] == "kind"].groupby("group")],
        *_agreement(agreement, "kind", "Kinds"),
    ]


def _axis(facts):
    share, p = f"{facts['axis_share_within']:.0%} of the squared distances within members", facts["axis_p"]
    test = describe_p_value(p, facts["continua"]).replace("permutations", "random turns")
    if p <= ALPHA:
        return (
            f"Heads are spread along a coordinate that the members share: it makes up {share}, more than where each "
            f"member is turned at random ({test})."
        )
    return (
        f"Nor is it shown that members share a coordinate: the leading one makes up {share}, no more than where each "
        f"member is turned at random ({test})."
    )


def partner_sentences(partners, stability, agreement):
    """How many groups of partners there are, how firm and how unambiguous they are.

    Parameters
    ----------
    partners : DataFrame of [group, tie, ...]
    stability, agreement : DataFrame

    Returns
    -------
    list of str
    """
    if (partners["group"] < 0).all():
        return [
            f"{statements.denied('Partners are not available')}: heads can be matched only between two or more "
            "members with equally many heads in every layer."
        ]
    own = stability[stability["what"] == "partner"].pivot(index="group", columns="resampling", values="jaccard")
    firm = (own[[name for name in ("prompts", "members") if name in own]].fillna(np.inf) >= STABLE).all(axis=1)
    ties = int((partners["tie"] >= 0).sum())
    count = int(firm.sum())
    stable = f"{count} of them {'is' if count == 1 else 'are'} stable"
    matched = f"Matched one to one over all members, heads form {len(own)} groups of partners, as any heads do"
    said = f"mean Jaccard index of {STABLE} or more on other prompts and, of three members or more, without one"
    first = f"{matched}; {stable}" if count else f"{statements.denied('No group of partners is stable.')} {matched}"
    return [
        f"{first} ({said}), and {ties} of {len(partners)} heads belong to another group nearly as well. That tells how "
        "well the matching is known, not whether heads correspond.",
        *_agreement(agreement, "partner", "Groups of partners"),
    ]


def published_sentence(facts):
    """The published clusters, beside the paper's own numbers.

    Parameters
    ----------
    facts : dict
        Of clusters.parquet, as `search_resolutions` writes them.
    """
    chosen, other = facts[facts["leiden"]], facts["published"]
    sizes = ", ".join(map(str, chosen["clusters"]))
    score = "F" if facts["criterion"] == "f_published" else "modularity (a single member leaves no F)"
    words = (
        f"As published: {score} = {chosen['value']:.3f} at resolution {chosen['resolution']:.2f}, shared by "
        f"{chosen['draws']:,} draw{'' if chosen['draws'] == 1 else 's'}, "
        f"with {len(chosen['clusters'])} clusters of {sizes} heads; {PAPER}."
    )
    if facts["leiden"] == "converged":
        words += (
            f" Leiden stopped after two iterations, as the authors ran it, gives {other['value']:.3f}, "
            f"a score that {other['draws']:,} of the draws reach{'es' if other['draws'] == 1 else ''}."
        )
    if null := facts.get("null"):
        words += (
            f" Permuted member labels reach {null['null_mean']:.3f} (95% below {null['null_95']:.3f}, "
            f"{describe_p_value(null['p'], null['permutations'])}); heads of one member that exclude one another are "
            "enough to exceed that, so that it is no evidence that heads correspond."
        )
    return words


def _of_group(rows, names):
    group = int(rows["group"].iloc[0])
    name = names.loc[(names["what"] == "kind") & (names["group"] == group), "name"]
    found = rows.set_index("resampling")
    said = [
        f"{found.loc[key, 'jaccard']:.2f} (95% {found.loc[key, 'low']:.2f} to {found.loc[key, 'high']:.2f}) {what}"
        for key, what in (("prompts", "on other prompts"), ("members", "without one member"))
        if key in found.index and np.isfinite(found.loc[key, "jaccard"])
    ]
    heads, members = int(rows["heads"].iloc[0]), int(rows["members"].iloc[0])
    called = f", {name.iloc[0]}" if len(name) else ""
    again = f"found again with a Jaccard index of {', '.join(said)}"
    return f"Kind {group}{called}: {heads} heads in {members} members; {again}."


def _agreement(agreement, what, subject):
    own = agreement[agreement["what"] == what].set_index("resampling")
    said = [
        f"{words} {own.loc[key, 'ari']:.2f} (95% {own.loc[key, 'low']:.2f} to {own.loc[key, 'high']:.2f})"
        for key, words in (("prompts", "two halves of the prompts"), ("members", "all members and all but one"))
        if key in own.index and np.isfinite(own.loc[key, "ari"])
    ]
    return [f"{subject} agree (adjusted Rand index): {'; '.join(said)}."] if said else []


def head_cards(kinds, partners, published, names, scores):
    """One row per head: where it belongs, how firmly, and all its scores.

    Parameters
    ----------
    kinds : DataFrame of [model, member, layer, head, kind, silhouette, ...]
    partners : DataFrame of [model, member, layer, head, group, tie, distance_to_partners, consensus, ...]
    published : DataFrame of [model, member, layer, head, cluster]
    names : DataFrame of [what, group, name]
    scores : DataFrame of [model, member, layer, head, score, value]

    Returns
    -------
    DataFrame
        model, member, layer, head, kind, kind_name, silhouette, partners (group), partners_name, tie,
        distance_to_partners, consensus, published_cluster, then one column per score.
    """
    identity = ["model", "member", "layer", "head"]
    cards = kinds[[*identity, "kind", "silhouette"]]
    own = partners[[*identity, "group", "tie", "distance_to_partners", "consensus"]]
    cards = cards.merge(own.rename(columns={"group": "partners"}), on=identity, validate="one_to_one")
    for what, column in (("kind", "kind"), ("partner", "partners")):
        found = names[names["what"] == what].groupby("group")["name"].first()
        cards.insert(cards.columns.get_loc(column) + 1, f"{column}_name", cards[column].map(found))
    renamed = published.rename(columns={"cluster": "published_cluster"})
    cards = cards.merge(renamed[[*identity, "published_cluster"]], on=identity, validate="one_to_one")
    wide = scores.pivot(index=identity, columns="score", values="value").reset_index()
    return cards.merge(pd.DataFrame(wide), on=identity, how="left", validate="one_to_one")
