"""What a cluster of heads does: the head scores that set it apart, as effect sizes, and a short name made of them."""

import numpy as np
import pandas as pd

from headatlas.base.errors import InputError

LARGE = 0.8  # Cohen's convention for a large standardised difference


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


def describe_clusters(clusters, scores):
    """Every cluster by the scores that set its heads apart from all other heads.

    Parameters
    ----------
    clusters : DataFrame
        cluster, and the columns that say which head: member, layer, head, and model where the scores have it.
    scores : DataFrame
        The same identity, score (name), value, and chance if known.

    Returns
    -------
    DataFrame
        cluster, heads (with that score), rank (1 sets the cluster apart most), score, mean, rest (mean of all other
        heads), chance, effect (Hedges' g), name (of the cluster, the same in all of its rows).
    """
    identity = [name for name in ("model", "member", "layer", "head") if name in clusters and name in scores]
    merged = clusters[[*identity, "cluster"]].merge(scores, on=identity, validate="one_to_many")
    merged = merged[merged["value"].notna()]
    if merged.empty:
        raise InputError(f"scores: none belongs to any of {len(clusters)} clustered heads (matched by {identity})")
    rows = []
    for cluster in sorted(clusters["cluster"].unique()):
        for score, found in merged.groupby("score", sort=True):
            inside = found["cluster"] == cluster
            values = found["value"]
            if not inside.any():
                continue
            rows.append(
                {
                    "cluster": cluster,
                    "heads": int(inside.sum()),
                    "score": score,
                    "mean": values[inside].mean(),
                    "rest": values[~inside].mean(),
                    "chance": found.loc[inside, "chance"].mean() if "chance" in found else np.nan,
                    "effect": hedges_g(values[inside], values[~inside]),
                }
            )
    table = pd.DataFrame(rows)
    strength = table["effect"].abs().fillna(-1)
    table["rank"] = strength.groupby(table["cluster"]).rank(ascending=False, method="first").astype(int)
    table = table.sort_values(["cluster", "rank"], ignore_index=True)
    table.insert(2, "rank", table.pop("rank"))
    names = table.groupby("cluster").apply(_name, 1)
    for cluster, name in names[names.duplicated(keep=False) & (names != "mixed")].items():
        longer = _name(table[table["cluster"] == cluster], 2)
        names[cluster] = longer if longer != name else name
    return table.assign(name=table["cluster"].map(names))


def _name(rows, count):
    """The top scores with a large effect, "low" before those that the cluster lacks; "mixed" where there is none."""
    rows = rows[rows["effect"].abs() >= LARGE].head(count)
    words = [("low " if row.effect < 0 else "") + row.score.replace("_", " ") for row in rows.itertuples()]
    return ", ".join(words) or "mixed"


def head_cards(clusters, names, scores, stability, standing):
    """One row per head: where it belongs, how firmly, and all its scores.

    Parameters
    ----------
    clusters : DataFrame of [model, member, layer, head, protocol, cluster]
    names : dict from protocol to DataFrame
        Of `describe_clusters`.
    scores : DataFrame of [model, member, layer, head, score, value]
    stability : DataFrame of [model, member, layer, head, consensus, share]
    standing : DataFrame of [cluster, stands, ...]
        Of the corrected clusters.

    Returns
    -------
    DataFrame
        model, member, layer, head, cluster, name, stands, share (of resamples with the others of its cluster),
        consensus, published_cluster, published_name, then one column per score.
    """
    identity = ["model", "member", "layer", "head"]
    cards = stability[identity]
    for protocol, prefix in (("corrected", ""), ("published", "published_")):
        own = clusters[clusters["protocol"] == protocol].drop(columns="protocol")
        own = own.assign(name=own["cluster"].map(names[protocol].groupby("cluster")["name"].first()))
        renamed = own.rename(columns={"cluster": f"{prefix}cluster", "name": f"{prefix}name"})
        cards = cards.merge(renamed, on=identity, validate="one_to_one")
    cards = cards.merge(stability, on=identity, validate="one_to_one")
    cards["stands"] = cards["cluster"].map(standing.set_index("cluster")["stands"])
    wide = scores.pivot(index=identity, columns="score", values="value").reset_index()
    first = ["cluster", "name", "stands", "share", "consensus", "published_cluster", "published_name"]
    return cards[[*identity, *first]].merge(wide, on=identity, how="left", validate="one_to_one")
