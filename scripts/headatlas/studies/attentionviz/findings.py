"""What the study of joint embeddings found, in sentences with numbers."""

import numpy as np

from headatlas.base import statements
from headatlas.base.errors import InputError
from headatlas.base.statistics import FEWEST, bootstrap_interval, interval_of_mean
from headatlas.studies.attentionviz import key_scaling

_LEVEL = 0.95  # of all intervals of one sentence together
_ONE_CONSTANT = ("unscaled", "published grid", "norm ratio", "closed form")
_NARROW = 1.25  # the largest over the smallest constant, for all to be close to their median
_CHANGES = {
    "scaling": "scaling queries against keys",
    "key translation": "shifting keys",
    "query translation": "shifting queries",
}
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
            *_constants(tables["scales"], tables["constructions"]),
            *_invariance(tables["invariance"]),
            *_parts_of_speech(tables["parts_of_speech"]),
        ]
        lines += [f"**{name}**", "", *(f"- {sentence}" for sentence in found), ""]
    return "\n".join(lines)


def _of(table, **equal):
    for column, value in equal.items():
        table = table[table[column] == value]
    return table


def _constants(scales, constructions):
    published = _of(scales, protocol="published", criterion="weighted_correlation_scaled")
    corrected = {
        name: _of(scales, protocol="corrected", criterion=name)
        for name in ("weighted_correlation", "weighted_correlation_scaled", "closed_form")
    }
    heads = len(published)
    unsure = {name: int(rows["undetermined"].sum()) for name, rows in corrected.items()}
    missing = int(corrected["weighted_correlation"]["c"].isna().sum())
    determined = unsure["weighted_correlation"] <= heads / 2
    title = f"The criterion of the report {'determines' if determined else 'does not determine'}"
    headline = statements.either(determined, f"{title} the constant of most heads.")
    yield (
        f"{headline} Corrected and with intervals, the weighted correlation leaves it "
        f"undetermined for {unsure['weighted_correlation']} of {heads} heads, scaled for "
        f"{unsure['weighted_correlation_scaled']}: it lies on the edge of the grid, its 95% interval spans half of the "
        f"grid, or too few pairs are near ({missing} heads). As published, without intervals, "
        f"{int(published['undetermined'].sum())} of {heads} constants lie on the edge."
    )
    closed, known = corrected["closed_form"], corrected["closed_form"]["c"].dropna()
    if known.empty:
        yield f"{statements.denied('A constant in closed form is not available for any head')}: too few pairs."
        return
    near = f"close to {known.median():.2g}" if known.max() <= _NARROW * known.min() else "that differ from head to head"
    yield (
        f"**Squared distance and dot product are opposed most at constants {near}**, between "
        f"{known.min():.2f} and {known.max():.2f} ({len(known)} of {heads} heads have one, "
        f"{heads - unsure['closed_form']} determined). There they correlate by "
        f"{closed['correlation'].median():.2f} (median over heads), "
        f"at the published constants ({published['c'].min():g} to {published['c'].max():g}) by "
        f"{published['correlation'].median():.2f}.{_against_spearman(constructions)}"
    )


def _against_spearman(table):
    """Is the constant in closed form also the one at which closeness follows attention best, before any map?"""
    wide = _by_head(table, "space")
    others = [name for name in _ONE_CONSTANT[:-1] if name in wide]
    if "closed form" not in wide or not others or len(wide) < 2:
        return ""
    best = wide[others].mean().idxmax()
    mean, low, high = _gain(wide["closed form"] - wide[best], 1 - (1 - _LEVEL) / len(others))
    said = "whether it is the best there is open"
    if high < 0:
        said = "it is not the best"
    elif low > 0:
        said = "it is the best"
    numbers = f"{wide['closed form'].mean():.2f} against {wide[best].mean():.2f} of '{best}'"
    return f" By the rank correlation of closeness with attention {said}: {numbers} ({_with_ends(mean, low, high)})."


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
        headline = statements.denied("How well distance shows attention is not available")
        yield f"{headline}: no head has all constructions."
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
        f"in {_METHODS[method]} " + ", ".join(f"{name} {_with_ends(*ends)}" for name, ends in found.items())
        for method, found in gains.items()
    )
    signs = {
        name: {np.sign(low) if np.sign(low) == np.sign(high) else 0 for _, low, high in of_name}
        for name in next(iter(gains.values()))
        if (of_name := [found[name] for found in gains.values()])
    }
    always = [f"'{name}'" for name, found in signs.items() if found == {1}]
    title = f"{_listed(always)} help{'s' if len(always) == 1 else ''} wherever one looks"
    title = title if always else "That a way of scaling helps wherever one looks is not shown"
    of_what = wide[best].index.get_level_values("member").nunique()
    over = f"{of_what} members" if of_what >= FEWEST else f"{len(wide[best])} heads"
    how = f"with intervals over {over}, 95% for the {len(signs)} ways together"
    yield f"{statements.either(always, f'{title}.')} Gain over no scaling, {how}: {said}."


def _gains(wide):
    """What each construction gains over no scaling: mean, low, high."""
    names = [name for name in wide if name != "unscaled"]
    return {name: _gain(wide[name] - wide["unscaled"], 1 - (1 - _LEVEL) / len(names)) for name in names}


def _gain(gain, level):
    """Mean and interval of a gain by head: over members, or over heads where there are too few members."""
    members = gain.groupby(level="member").mean()
    if len(members) >= FEWEST:
        return interval_of_mean(members, level)
    return gain.mean(), *map(float, bootstrap_interval(gain.to_numpy(), level=level))


def _with_ends(mean, low, high):
    return f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"


def _listed(words):
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _invariance(table):
    largest = table.groupby("change", sort=False)["difference"].max()
    said = ", ".join(f"{change} {value:.1g}" for change, value in largest.items())
    heads = table[table["difference"] >= key_scaling.UNCHANGED].groupby("change", sort=False).size()
    count = len(table) // table["change"].nunique()
    changed = "; ".join(f"{change} changes one in {number} of {count} heads" for change, number in heads.items())
    yield (
        f"{statements.found(f'{describe_invariance(largest)}.')} Largest change of an attention weight: {said}"
        f"{f' ({changed})' if changed else ''}."
    )


def describe_invariance(largest):
    """What leaves attention alone and what does not, as far as the changes say.

    Parameters
    ----------
    largest : Series
        The largest change of an attention weight, by what was changed.

    Returns
    -------
    str
        Without a full stop.
    """
    free = [_CHANGES[name] for name in largest.index[largest < key_scaling.UNCHANGED]]
    other = [_CHANGES[name] for name in largest.index[~(largest < key_scaling.UNCHANGED)]]
    alone, changed = (len(each) == 1 for each in (free, other))
    parts = [f"{_listed(free)} leave{'s' if alone else ''} attention alone"] if free else []
    if other:
        verb = ("does not" if changed else "do not") if free else f"change{'s' if changed else ''} attention"
        parts.append(f"{_listed(other)} {verb}")
    words = ", ".join(parts)
    return words[0].upper() + words[1:]


def _parts_of_speech(table):
    if table is None:
        yield "The corpus has no part-of-speech tags, so which part of speech attends to which was not measured."
        return
    sure = table[table["significant"]]
    heads = table[["member", "layer", "head"]].drop_duplicates()
    title = (
        "Some heads attend by parts of speech" if len(sure) else "That a head attends by parts of speech is not shown"
    )
    headline = statements.either(len(sure), f"{title}.")
    yield (
        f"{headline} Of {len(table)} pairs of categories in {len(heads)} heads, {len(sure)} differ from what the "
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
        return f"{statements.denied('Do noun queries attend to pronoun keys? Not shown')}: {answer}."
    best = more.loc[more["excess"].idxmax()]
    return (
        f"**Do noun queries attend to pronoun keys? In some heads**: {answer}; most in {_named(best)}, with "
        f"{best['share']:.1%} of their attention to other tokens where positions give {best['chance']:.1%} (excess "
        f"{best['low']:+.1%} to {best['high']:+.1%})."
    )


def _named(row):
    return f"member {row['member']} layer {row['layer']} head {row['head']}"
