"""What the study of joint embeddings found, in sentences with numbers."""

import numpy as np

from headatlas.base.errors import InputError
from headatlas.base.statistics import bootstrap_interval, interval_of_mean

_COMPARED = ("published grid", "closed form", "exact")  # with no scaling at all
_METHODS = {"space": "the full space", "pca": "PCA", "umap": "UMAP", "tsne": "t-SNE"}


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
            *_closeness(tables["constructions"]),
            *_constants(tables["scales"]),
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
    corrected = {
        name: _of(scales, protocol="corrected", criterion=name)
        for name in ("weighted_correlation", "weighted_correlation_scaled", "closed_form")
    }
    heads = len(published)
    unsure = {name: int(rows["undetermined"].sum()) for name, rows in corrected.items()}
    missing = int(corrected["weighted_correlation"]["c"].isna().sum())
    title = (
        "The criterion of the report does not determine"
        if unsure["weighted_correlation"] > heads / 2
        else ("The criterion of the report determines")
    )
    yield (
        f"**{title} the constant of most heads.** Corrected and with intervals, the weighted correlation leaves it "
        f"undetermined for {unsure['weighted_correlation']} of {heads} heads, scaled for "
        f"{unsure['weighted_correlation_scaled']}: it lies on the edge of the grid, its 95% interval spans half of the "
        f"grid, or too few pairs are near ({missing} heads). As published, without intervals, "
        f"{int(published['undetermined'].sum())} of {heads} constants lie on the edge."
    )
    closed, known = corrected["closed_form"], corrected["closed_form"]["c"].dropna()
    if known.empty:
        yield "**The best constant is not available for any head**: too few pairs."
        return
    yield (
        f"**The best constant on a continuous scale is close to {known.median():.2g}.** It lies between "
        f"{known.min():.2f} and {known.max():.2f} ({len(known)} of {heads} heads have one, "
        f"{heads - unsure['closed_form']} determined). There squared distance and dot product correlate by "
        f"{closed['correlation'].median():.2f} (median over heads), "
        f"at the published constants ({published['c'].min():g} to {published['c'].max():g}) by "
        f"{published['correlation'].median():.2f}."
    )


def _by_head(table, method):
    """Spearman by construction, one column each, one row per head that has them all."""
    rows = _of(table, method=method)
    wide = rows.pivot(index=["member", "layer", "head"], columns="construction", values="spearman")
    return wide[list(dict.fromkeys(rows["construction"]))].dropna()


def _closeness(table):
    methods = list(dict.fromkeys(table["method"]))
    wide = {method: rows for method in methods if len(rows := _by_head(table, method))}
    on_plane = {method: rows.mean() for method, rows in wide.items() if method != "space"}
    if not on_plane:
        yield "**How well distance shows attention is not available**: no head has all constructions."
        return
    best = max(on_plane, key=lambda method: on_plane[method].max())
    value, name = on_plane[best].max(), on_plane[best].idxmax()
    trust = _of(table, method=best, construction=name)["trustworthiness"].mean()
    strength = "good" if value >= 0.7 else "moderate" if value >= 0.4 else "poor"
    said = "; ".join(
        f"{_METHODS[method]} {', '.join(f'{rows[one].mean():.2f} {one}' for one in rows)}"
        for method, rows in wide.items()
    )
    yield (
        f"**On a plane, distance is a {strength} proxy for attention.** Rank correlation (Spearman) of closeness with "
        f"attention, per query, mean over {len(wide[best])} heads: {said}. The best plane is {_METHODS[best]} of "
        f"'{name}' (trustworthiness {trust:.2f})."
    )
    gains = {method: _gains(rows) for method, rows in wide.items() if len(rows) > 1}
    if not gains:
        return
    said = "; ".join(
        f"in {_METHODS[method]} "
        + ", ".join(f"{name} {mean:+.2f} ({low:+.2f} to {high:+.2f})" for name, (mean, low, high) in found.items())
        for method, found in gains.items()
    )
    signs = {
        name: {np.sign(low) if np.sign(low) == np.sign(high) else 0 for _, low, high in of_name}
        for name in _COMPARED
        if (of_name := [found[name] for found in gains.values()])
    }
    always = [name for name, found in signs.items() if found == {1}]
    title = f"'{always[0]}' helps wherever one looks" if always else "No way of scaling helps wherever one looks"
    of_what = wide[best].index.get_level_values("member").nunique()
    over = f"{of_what} members" if of_what > 1 else f"{len(wide[best])} heads"
    yield f"**{title}.** Gain over no scaling, with 95% intervals over {over}: {said}."


def _gains(wide):
    """What each construction gains over no scaling: mean, low, high, over members, or heads where there is but one."""
    found = {}
    for name in _COMPARED:
        gain = wide[name] - wide["unscaled"]
        members = gain.groupby(level="member").mean()
        if len(members) > 1:
            found[name] = interval_of_mean(members)
        else:
            found[name] = (gain.mean(), *map(float, bootstrap_interval(gain.to_numpy())))
    return found


def _invariance(table):
    largest = table.groupby("change", sort=False)["difference"].max()
    said = ", ".join(f"{change} {value:.1g}" for change, value in largest.items())
    yield (
        "**Scaling and shifting keys leave attention alone, shifting queries does not.** Largest change of an "
        f"attention weight: {said}."
    )


def _parts_of_speech(table):
    if table is None:
        yield "The corpus has no part-of-speech tags, so which part of speech attends to which was not measured."
        return
    sure = table[table["significant"]]
    heads = table[["member", "layer", "head"]].drop_duplicates()
    title = "Some heads attend by parts of speech" if len(sure) else "No head attends by parts of speech"
    yield (
        f"**{title}.** Of {len(table)} pairs of categories in {len(heads)} heads, {len(sure)} differ from what the "
        "positions of query and key alone would give (Benjamini-Hochberg, 5%)."
    )
    asked = _of(table, query="NOUN", key="PRON")
    if asked.empty:
        yield "Too few sentences hold nouns and pronouns to ask whether nouns attend to pronouns."
    else:
        yield _asked(asked)
    if len(sure):
        top = sure.loc[sure["excess"].idxmax()]
        yield (
            f"The largest excess is that of {top['query'].lower()} queries to {top['key'].lower()} keys in "
            f"{_named(top)}: {top['share']:.1%} of their attention to other tokens, where positions give "
            f"{top['chance']:.1%}."
        )


def _asked(asked):
    more = asked[asked["significant"] & (asked["excess"] > 0)]
    less = asked[asked["significant"] & (asked["excess"] < 0)]
    answer = f"more than positions give in {len(more)} of {len(asked)} heads, less in {len(less)}"
    if more.empty:
        return f"**Do noun queries attend to pronoun keys? No**: {answer}."
    best = more.loc[more["excess"].idxmax()]
    return (
        f"**Do noun queries attend to pronoun keys? In some heads**: {answer}; most in {_named(best)}, with "
        f"{best['share']:.1%} of their attention to other tokens where positions give {best['chance']:.1%} (excess "
        f"{best['low']:+.1%} to {best['high']:+.1%})."
    )


def _named(row):
    return f"member {row['member']} layer {row['layer']} head {row['head']}"
