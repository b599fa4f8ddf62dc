"""The evidence for every kind and every group of partners, in one table, and the verdict that follows from it.

A group is supported if it is stable (a Jaccard index of 0.75 or more under halves of the prompts and without each
member) and its heads do alike: the mean-ablation effects agree across members beyond permutations, at most 0.05 after
Holm's correction over the groups. Every number that the verdict rests on stands beside it.
"""

import numpy as np
import pandas as pd

from headatlas.base.statistics import interval_of_mean
from headatlas.models import ablations
from headatlas.studies.phrenology.correspondence.stability import STABLE
from headatlas.studies.phrenology.validation import (
    effect_agreement,
    findings,
    partner_agreement,
    transplant_shares,
    universality,
)

ABLATIONS = ("mean", *(kind for kind in ablations.ABLATIONS if kind != "mean"))  # the first decides
_TEST = ["cosine", "null_mean", "null_95", "r2", "p", "p_floor", "p_holm", "permutations"]


def weigh(heads, distances, effects, circuits, transplants, stability, match, *, permutations, seed=0):
    """All the evidence for kinds and partners.

    Parameters
    ----------
    heads : DataFrame of [model, member, layer, head, kind, group]
        In the order of all matrices; `kind` may be a candidate; `group` is below 0 for a head without partners.
    distances : array of shape (head, head)
        Between attention patterns (Jensen-Shannon).
    effects : mapping from an ablation to an array of shape (head, head)
        Inner products of the heads' effects.
    circuits : mapping from {"ov", "qk"} to an array of shape (head, head)
        Cosines; not a number where a model's weights are not known.
    transplants : tuple of DataFrame
        `transplants.transplant`.
    stability : DataFrame
        As in `evidence`.
    match : callable
        (distances, members, layers) to one group of partners per head: what found the partners by attention.
    permutations, seed : int
        Of all tests.

    Returns
    -------
    dict
        effects (what, ablation and the columns of `effect_agreement.agreement`), agreement, shares, head_shares,
        universality and evidence (DataFrames of the modules of these names; heads by their identity), findings (str).
    """
    identity = heads[["model", "member", "layer", "head"]].reset_index(drop=True)
    members = identity.groupby(["model", "member"], sort=False).ngroup().to_numpy()
    layers, kinds, groups = (heads[name].to_numpy() for name in ("layer", "kind", "group"))
    strata = pd.factorize(pd.MultiIndex.from_arrays([members, layers, kinds]))[0]
    often = {"permutations": permutations, "seed": seed}
    of_kinds = "candidate" if (stability["what"] == "candidate").any() else "kind"
    tests = [
        effect_agreement.agreement(effects[ablation], members, layers, *of, **often).assign(
            what=what, ablation=ablation
        )
        for ablation in ABLATIONS
        for what, of in ((of_kinds, (kinds,)), ("partner", (groups, kinds)))
    ]
    tests = pd.concat(tests, ignore_index=True)
    alike = {name: cosines for name, cosines in circuits.items() if np.isfinite(cosines).all()}
    alike["effects"] = effect_agreement.residual_cosines(effects[ABLATIONS[0]], members)
    judged = list(alike)  # measures that did not find the partners
    alike = {"attention": 1 - np.asarray(distances, dtype=np.float64), **alike}
    partners = {"attention": partner_agreement.partners_of(groups, members)}
    for name in judged:
        partners[name] = partner_agreement.partners_of(match(1 - alike[name], members, layers), members)
    agreement = partner_agreement.agreement(partners, members, strata, **often)
    shares = transplant_shares.Shares(*transplants, partners["attention"], members, kinds)
    overall = transplant_shares.overall(shares, strata, **often)
    by_head = transplant_shares.by_head(shares)
    alike["transplant"] = shares.recovered("as mapped")["partner"] / shares.cost[:, None]
    universal = universality.universality(alike, partners["attention"], members, layers, strata, judged, **often)
    universal = heads.reset_index(drop=True).join(universal.set_index("row"))
    table = evidence(stability, tests, shares_by_group(by_head, groups))
    words = findings.text(table, agreement, overall, universal, members.max() + 1)
    by_head = identity.iloc[by_head["row"]].reset_index(drop=True).join(by_head.drop(columns="row"))
    found = {"effects": tests, "agreement": agreement, "shares": overall, "head_shares": by_head}
    return found | {"universality": universal, "evidence": table, "findings": words}


def evidence(stability, effects, shares):
    """One row for each group.

    Parameters
    ----------
    stability : DataFrame of [what, group, heads, members, resampling, jaccard, low, high]
        `what` is "kind", "candidate" (found where a continuum would give as much: never supported) or "partner";
        `resampling` "prompts" or "members".
    effects : DataFrame of [what, ablation, group, cosine, null_mean, null_95, r2, p, p_floor, p_holm, permutations]
        Group -1, all together, is left out.
    shares : DataFrame of [group, share, low, high]
        Of the loss that partners recover, as mapped, by groups of partners.

    Returns
    -------
    DataFrame
        what, group, heads, members; jaccard_prompts and jaccard_members with their `_low` and `_high`; of the mean
        ablation cosine, null_mean, null_95, r2, p, p_floor, p_holm and permutations; cosine_zero, p_holm_zero,
        cosine_resample and p_holm_resample; transplant, transplant_low and transplant_high (partners alone); stable,
        alike and supported (bool).
    """
    key = ["what", "group"]
    table = stability[[*key, "heads", "members"]].drop_duplicates(key)
    for resampling in ("prompts", "members"):
        part = stability[stability["resampling"] == resampling]
        names = {
            name: f"jaccard_{resampling}{end}" for name, end in (("jaccard", ""), ("low", "_low"), ("high", "_high"))
        }
        table = table.merge(part[[*key, *names]].rename(columns=names), on=key, how="left", validate="one_to_one")
    for ablation in ABLATIONS:
        part = effects[effects["ablation"] == ablation]
        if ablation == ABLATIONS[0]:
            part = part[[*key, *_TEST]]
        else:
            part = part[[*key, "cosine", "p_holm"]].rename(
                columns={"cosine": f"cosine_{ablation}", "p_holm": f"p_holm_{ablation}"}
            )
        table = table.merge(part, on=key, how="left", validate="one_to_one")
    names = {"share": "transplant", "low": "transplant_low", "high": "transplant_high"}
    own = shares[["group", *names]].rename(columns=names).assign(what="partner")
    table = table.merge(own, on=key, how="left", validate="one_to_one")
    table["stable"] = (table["jaccard_prompts"] >= STABLE) & (table["jaccard_members"] >= STABLE)
    table["alike"] = table["p_holm"] <= findings.LEVEL
    table["supported"] = table["stable"] & table["alike"] & (table["what"] != "candidate")
    return table.sort_values(key, ignore_index=True)


def shares_by_group(by_head, groups):
    """Share recovered by partners, for each group: mean over its heads, with the interval of that mean.

    Parameters
    ----------
    by_head : DataFrame
        `transplant_shares.by_head`.
    groups : integer array of shape (head,)

    Returns
    -------
    DataFrame
        group, share, low, high (95% of the mean over heads, one of each member).
    """
    own = by_head[(by_head["source"] == "partner") & (by_head["norm"] == "as mapped")]
    labels = np.asarray(groups)[own["row"].to_numpy(dtype=int)]
    rows = [
        (label, *interval_of_mean(own["share"].to_numpy()[labels == label])) for label in np.unique(labels[labels >= 0])
    ]
    return pd.DataFrame(rows, columns=["group", "share", "low", "high"]).astype({"group": "int64"})
