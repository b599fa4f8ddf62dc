"""Figures 1 to 4 of Exploring Transformer Interpretability (Chen 2023, part 1) beside a run."""

from headatlas.reproduction.claims import Claim
from headatlas.studies.attentionviz.findings import describe_invariance
from headatlas.studies.attentionviz.key_scaling import UNCHANGED

SETUP = {"model": "gpt2", "layers": 12, "heads": 12}
TABLES = {
    name: f"attentionviz/{{model}}/{name}.parquet"
    for name in ("invariance", "relation", "scales", "map_quality", "constructions")
}
_CRITERIA = {
    "weighted_correlation": "weighted correlation",
    "weighted_correlation_scaled": "scaled",
    "norm_ratio": "norm ratio",
}


def claims(tables):
    """What the report says and what a run gives; parameters as of `phrenology.claims`."""
    return [
        _invariance(tables["invariance"]),
        _relation(tables["relation"]),
        _scales(tables["scales"]),
        _maps(tables["map_quality"], tables["constructions"]),
    ]


def _invariance(table):
    largest = table.groupby("change", sort=False)["difference"].max()
    said = ", ".join(f"{change} {value:.1g}" for change, value in largest.items())
    return Claim(
        "Section 1.2",
        "Shifting queries and keys by a constant, and scaling them in opposite directions, leave attention alone.",
        f"largest change of a weight: {said}",
        f"{describe_invariance(largest)} (by less than {UNCHANGED:g})",
        bool(largest.max() < UNCHANGED),
        "no weight changes by .0001 or more, by any of the three",
    )


def _relation(table):
    found = {
        protocol: part["score"].corr(part["distance"], method="spearman")
        for protocol, part in table.groupby("protocol")
    }
    return Claim(
        "Figure 1",
        "Close queries and keys should have large dot products: an inverse relation is wished for.",
        f"rank correlation of dot product and distance {found['published']:.2f}, scaled as published",
        f"{found['corrected']:.2f} at the constant in closed form; the exact construction orders keys as attention "
        "does",
        bool(found["published"] < 0),
        "the correlation is negative (the figure itself shows a drawing, no data)",
    )


def _scales(table):
    said, differ = {}, True
    for protocol, part in table.groupby("protocol"):
        of_criteria = []
        for criterion, words in _CRITERIA.items():
            constants = part[part["criterion"] == criterion]["c"].dropna()
            if criterion != "norm_ratio":
                differ &= constants.nunique() > 1 or protocol != "published"
            of_criteria.append(f"{words} {constants.min():.2g} to {constants.max():.2g}")
        said[protocol] = ", ".join(of_criteria)
    criterion = table[(table["protocol"] == "corrected") & (table["criterion"] == "weighted_correlation")]
    undetermined = f"; undetermined for {int(criterion['undetermined'].sum())} of {len(criterion)} heads"
    return Claim(
        "Figure 2",
        "Each head has an optimal constant of its own among .2, .4, .8, 1, 1.25, 2.5, 5 under each criterion.",
        said["published"],
        said["corrected"] + undetermined,
        bool(differ),
        "heads differ in their constants; whether these are determined is the corrected column's question",
    )


def _maps(table, constructions):
    published = table[(table["protocol"] == "published") & ~table["exact"]]
    heads = ["member", "layer", "head"]
    best = published.loc[published.groupby(heads)["spearman"].idxmax()]
    chosen = published[published["chosen"]]
    pairs = chosen.merge(best, on=heads, suffixes=("", "_best"))  # a head without evidence has none chosen
    said = "; ".join(
        f"layer {row.layer} head {row.head}: {row.spearman:.2f} at the constant chosen ({row.c:g}), "
        f"{row.spearman_best:.2f} at the best ({row.c_best:g})"
        for row in pairs.itertuples()
    )
    plane = constructions[constructions["method"] == "umap"].groupby("construction")["spearman"].mean()
    return Claim(
        "Figures 3, 4",
        "The constants chosen (2.5 for layer 1 head 2 of GPT, .2 for layer 3 head 3) give the strong maps, whose "
        "clouds overlap.",
        f"rank correlation of closeness on the map with attention, {said}",
        "on UMAP's plane, mean over heads: " + ", ".join(f"{name} {value:.2f}" for name, value in plane.items()),
        bool((pairs["c"] == pairs["c_best"]).all()) if len(pairs) else None,
        "the constant chosen is the best of those drawn, for both heads",
    )
