"""Attention of every head beside the same weighted by what the values that it attends to write."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from headatlas.base import tables
from headatlas.base.statistics import describe_mean
from headatlas.plotting import style
from headatlas.studies.phrenology import head_tables
from headatlas.studies.phrenology.figures.heads import groups_of
from headatlas.studies.phrenology.figures.knockout_logits import of_all_models

MOST_PANELS = 9
_IDENTITY = head_tables.IDENTITY
_DASHED = (0, (2.5, 1.2))


def uniform(size, causal):
    """Attention of a head that attends to all tokens alike: by distance, and to the first token.

    Returns
    -------
    by_distance : ndarray
        From 0 on, or from -(size - 1) on where later tokens are seen; of a causal model without the first query.
    first : float
    """
    seen = np.tri(size) if causal else np.ones((size, size))
    first = int(causal)  # query
    pattern = (seen / seen.sum(1, keepdims=True))[first:]
    shifts = range(0 if causal else 1 - size, size)
    by_distance = [np.diagonal(pattern, first - shift).mean() for shift in shifts]
    return np.array(by_distance), float(pattern[:, 0].mean())


@style.paper
def raw_and_weighted(heads, table, what, size, causal):
    """Attention to the first token and by distance, as it is and weighted by what values write.

    Parameters
    ----------
    heads : DataFrame of [model, member, layer, head, group]
    table : DataFrame of [model, member, layer, head, place, distance, attention, weighted, difference, standard_error]
        As `value_weighted.place_table` gives.
    what : str
        What the groups are.
    size : int
        Positions of a window.
    causal : bool
        Whether heads look back only.

    Returns
    -------
    matplotlib.figure.Figure
    """
    expected, first_expected = uniform(size, causal)
    first = heads.merge(table[table["place"] == "first token"], on=_IDENTITY)
    first = first.sort_values(["group", "attention"], ascending=[True, False], kind="stable").reset_index(drop=True)
    groups = np.unique(heads["group"])
    shown = groups[:MOST_PANELS]
    figure = style.blank(style.WIDTH, 4.4)
    upper, lower = figure.subfigures(2, 1, height_ratios=(2.3, 2.1))
    axes = upper.subplots()
    dot = float(np.clip(240 / len(first), 1.2, 3.5))
    for row in first.itertuples():
        colour = style.colour(int(row.group))
        axes.plot([row.Index] * 2, [row.attention, row.weighted], color=colour, linewidth=0.9)
        axes.plot(row.Index, row.attention, "o", color=colour, mfc="white", markersize=dot, markeredgewidth=0.7)
        axes.plot(row.Index, row.weighted, "o", color=colour, markersize=dot, markeredgewidth=0)
    axes.axhline(first_expected, color="0.4", linewidth=0.9, linestyle=":")
    starts = np.flatnonzero(np.diff(first["group"], prepend=first["group"].iloc[0] - 1))
    for start in starts[1:] if len(starts) <= 20 else ():
        axes.axvline(start - 0.5, color="0.85", linewidth=0.5, zorder=0)
    middles = (starts + np.append(starts[1:], len(first)) - 1) / 2
    axes.set_xticks(*style.thinned(middles.tolist(), [str(group) for group in groups], len(first), 24))
    axes.tick_params(axis="x", length=0)
    key = f"heads, by {what} (hollow: attention; filled: weighted by what values write; dotted: uniform head)"
    axes.set(xlabel=style.wrapped(key, style.WIDTH - 0.6), ylabel="attention to the first token")
    axes.set(xlim=(-1, len(first)), ylim=(0, None))
    far = heads.merge(table[table["place"] == "distance"], on=_IDENTITY)
    means = far.groupby(["group", "distance"])[["attention", "weighted"]].mean()
    panels = lower.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)[0]
    for panel, group in zip(panels, shown, strict=True):
        own, colour = means.loc[group], style.colour(int(group))
        panel.plot(own.index, own["attention"], color=colour, linewidth=1, linestyle=_DASHED)
        panel.plot(own.index, own["weighted"], color=colour, linewidth=1.3)
        panel.plot(own.index, expected, color="0.4", linewidth=0.9, linestyle=":")
        panel.set_title(str(group), fontsize=8)
    panels[0].xaxis.set_major_locator(MaxNLocator(2, integer=True))
    panels[0].set(ylabel="attention by distance", ylim=(0, None))
    cut = "" if len(shown) == len(groups) else f"; {len(shown)} of {len(groups)} groups"
    note = f"distance from query back to key (dashed: attention; solid: weighted{cut})"
    lower.supxlabel(style.wrapped(note, style.WIDTH - 0.2), fontsize=8)
    changed = (first["difference"].abs() > 1.96 * first["standard_error"]) & (first["difference"] != 0)
    down = int((changed & (first["difference"] < 0)).sum())
    verb, count = ("lose", down) if 2 * down >= changed.sum() else ("gain", int(changed.sum()) - down)
    style.headline(figure, f"Weighted by what values write, {count} of {len(first)} heads {verb} on the first token")
    networks = [first.groupby(["model", "member"])[name].mean() for name in ("attention", "weighted", "difference")]
    own = far.groupby(_IDENTITY, sort=False)[["attention", "weighted"]]
    moved = own.apply(lambda part: 0.5 * (part["weighted"] - part["attention"]).abs().sum())
    words = (
        f"of attention {networks[0].mean():.3f} is on the first token (uniform head {first_expected:.3f}), and "
        f"{networks[1].mean():.3f} once weighted by what values write, a change of "
        f"{describe_mean(networks[2], 3, signed=True)}; {changed.sum()} of {len(first)} heads change by more than 1.96 "
        f"standard errors, {down} of them down, and across distances weighting moves at most {moved.max():.2f} of a "
        f"head's attention (median {moved.median():.2f})"
    )
    return style.finding(figure, words)


def draw_value_weighted(partners, kinds, weighted, models):
    """A file of attention by place of each model, in their order."""
    heads, what = groups_of(partners, kinds)
    facts = tables.facts(weighted[0])
    return raw_and_weighted(heads, of_all_models(weighted, models), what, facts["size"], facts["causal"])
