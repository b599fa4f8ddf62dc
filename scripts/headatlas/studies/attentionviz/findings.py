"""What the study of joint embeddings found, in sentences with numbers."""

import numpy as np

from headatlas.base.errors import InputError
from headatlas.base.statistics import bootstrap_interval

_METHODS = {"space": "before any map", "pca": "in PCA", "umap": "in UMAP", "tsne": "in t-SNE"}


def text(models):
    """The findings of all models of the study as Markdown.

    Parameters
    ----------
    models : mapping from a model's name to a mapping of `scales`, `constructions`, `invariance`, `parts_of_speech`
        DataFrames as `criteria.choose`, `constructions.compare`, `scaling.invariances` and `parts_of_speech.measure`
        give; the last is None where the corpus has no tags.

    Returns
    -------
    str
    """
    if not models:
        raise InputError("findings: no model given; there must be at least one")
    lines = []
    for name, tables in models.items():
        found = [
            *_constants(tables["scales"]),
            *_gains(tables["constructions"]),
            *_best(tables["constructions"]),
            *_invariance(tables["invariance"]),
            *_parts_of_speech(tables["parts_of_speech"]),
        ]
        lines += [f"**{name}**", "", *(f"- {sentence}" for sentence in found), ""]
    return "\n".join(lines)


def _of(table, **equal):
    for column, value in equal.items():
        table = table[table[column] == value]
    return table


def _constants(scales):
    published = _of(scales, protocol="published", criterion="weighted_correlation_scaled")
    closed = _of(scales, protocol="corrected", criterion="closed_form")
    known = closed[closed["c"].notna()]
    yield (
        f"The published criterion (weighted correlation, scaled, on its grid) chooses c from {published['c'].min():g} "
        f"to {published['c'].max():g} for the {len(published)} heads, median {published['c'].median():g}; at these "
        f"constants squared distance and dot product correlate by {published['correlation'].median():.3f} (median)."
    )
    if known.empty:
        yield "The closed form is missing for every head: too few pairs."
        return
    yield (
        f"The closed form on continuous c gives {known['c'].min():.2f} to {known['c'].max():.2f}, median "
        f"{known['c'].median():.2f}, and a correlation of {known['correlation'].median():.3f}, which no other constant "
        f"can beat; {len(closed) - len(known)} of {len(closed)} heads have none."
    )
    grid = _of(scales, protocol="corrected", criterion="weighted_correlation")
    whole = (grid["high"] / grid["low"] >= 5).sum()
    yield (
        f"The corrected weighted correlation is missing for {grid['c'].isna().sum()} heads; for {whole} the 95% "
        "interval of its constant spans a factor of 5 or more: evidence that does not choose."
    )


def _paired(table, method):
    """Spearman by construction, one column each, one row per head that has them all."""
    rows = _of(table, method=method)
    wide = rows.pivot(index=["member", "layer", "head"], columns="construction", values="spearman")
    return wide[["published grid", "closed form", "exact"]].dropna()


def _gains(table):
    for method in dict.fromkeys(table["method"]):
        wide = _paired(table, method)
        if len(wide) < 2:
            yield f"Spearman of closeness with attention {_METHODS[method]}: too few heads have all constructions."
            continue
        means = wide.mean()
        gains = []
        for name in ("closed form", "exact"):
            values = (wide[name] - wide["published grid"]).to_numpy()
            low, high = bootstrap_interval(values)
            gains.append(f"{name} {means[name]:.3f} ({np.mean(values):+.3f}, 95% interval {low:+.3f} to {high:+.3f})")
        yield (
            f"Spearman of closeness with attention {_METHODS[method]}, mean over {len(wide)} heads: published grid "
            f"{means['published grid']:.3f}, {', '.join(gains)}."
        )


def _best(table):
    maps = table[table["method"] != "space"]
    medians = maps.groupby(["construction", "method"], sort=False)["spearman"].mean()
    construction, method = medians.idxmax()
    trust = maps.groupby(["construction", "method"], sort=False)["trustworthiness"].mean()
    yield (
        f"Of all maps on a plane, {_METHODS[method][3:]} of the construction '{construction}' shows attention best: "
        f"mean Spearman {medians.max():.3f}, mean trustworthiness {trust[construction, method]:.3f}."
    )


def _invariance(table):
    largest = table.groupby("change", sort=False)["difference"].max()
    said = ", ".join(f"{change} {value:.1e}" for change, value in largest.items())
    yield f"Largest change of an attention weight: {said}."


def _parts_of_speech(table):
    if table is None:
        yield "The corpus has no part-of-speech tags, so which part of speech attends to which was not measured."
        return
    sure = table[table["significant"]]
    yield (
        f"Of {len(table)} pairs of categories over all heads, {len(sure)} differ from what positions alone would give "
        "(Benjamini-Hochberg, 5%)."
    )
    asked = _of(table, query="NOUN", key="PRON")
    if asked.empty:
        yield "Too few sentences hold nouns and pronouns to ask whether nouns attend to pronouns."
        return
    more = asked[asked["significant"] & (asked["excess"] > 0)]
    less = asked[asked["significant"] & (asked["excess"] < 0)]
    best = asked.loc[asked["excess"].idxmax()]
    yield (
        f"Do noun queries attend to pronoun keys? More than positions give in {len(more)} of {len(asked)} heads, less "
        f"in {len(less)}; most in member {best['member']} layer {best['layer']} head {best['head']}, with "
        f"{best['share']:.1%} of its attention to other tokens where chance gives {best['chance']:.1%} (excess "
        f"{best['low']:+.1%} to {best['high']:+.1%})."
    )
    if len(sure):
        top = sure.loc[sure["excess"].idxmax()]
        yield (
            f"The largest excess: {top['query'].lower()} queries to {top['key'].lower()} keys in member "
            f"{top['member']} layer {top['layer']} head {top['head']}, {top['share']:.1%} where chance "
            f"gives {top['chance']:.1%}."
        )
