"""All heads at once (after Yeh et al. 2023): how well each is shown, and maps from the worst shown to the best."""

import string

import numpy as np
import pandas as pd
from matplotlib import colormaps

from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.plotting import style
from headatlas.plotting.point_names import name_points
from headatlas.studies.attentionviz.figures.joint_embeddings import (
    IDENTITY,
    METHODS,
    category_colour,
    dot,
    draw_points,
    kinds,
    name_of,
)
from headatlas.studies.attentionviz.parts_of_speech import CATEGORIES

COLOURS = ("type", "position", "part_of_speech")
_SHOWN, _ABREAST = 12, 4  # heads whose maps are drawn, and how many side by side
_NEAREST = 10
_STAMP = 1.32  # inches from one map to the next, its title among them
_ASKED = {  # what is asked of the ten nearest neighbours of every point, and how it is called beside the axis
    "type": "neighbours of the\nother kind",
    "position": "position told by\nneighbours (rank)",
    "part_of_speech": "neighbours of the same\npart of speech",
}


def best_method(table, construction):
    """The kind of map that is trusted most over all heads: the median decides."""
    rows = table[(table["construction"] == construction) & (table["method"] != "space")]
    return rows.groupby("method", sort=False)["trustworthiness"].median().fillna(0).idxmax()


def told_by_neighbours(maps, colour):
    """What the nearest points of one head's map tell of a point, and what they would tell by chance.

    Parameters
    ----------
    maps : DataFrame of [kind, prompt, position, component_1, component_2, normalised_position, tag]
        The points of one head.
    colour : {"type", "position", "part_of_speech"}
        "type": the share of neighbours of the other kind, keys of a query; "position": how the place of a token in its
        text ranks with the mean of its neighbours', the same token not counted; "part_of_speech": the share of
        neighbours of the same part of speech, the same token not counted.

    Returns
    -------
    told, chance : float
        Not-a-number where too few points are there to ask.
    """
    from scipy.spatial import KDTree  # slow to import

    points = maps[["component_1", "component_2"]].to_numpy(dtype=np.float64)
    counted = np.isfinite(points).all(axis=1)
    if colour == "part_of_speech":
        counted &= (maps["tag"] != "").to_numpy()
    if counted.sum() <= 2 * _NEAREST:
        return np.nan, np.nan
    points, own = points[counted], np.arange(counted.sum())
    if colour != "type":
        _, own = np.unique(maps[["prompt", "position"]].to_numpy()[counted], axis=0, return_inverse=True)
    _, near = KDTree(points).query(points, _NEAREST + 2)  # the point itself is among them, and its token's other one
    itself = own[near] == own[:, None]
    near = np.take_along_axis(near, np.argsort(itself, axis=1, kind="stable")[:, :_NEAREST], axis=1)
    if colour == "position":
        position = maps["normalised_position"].to_numpy()[counted]
        ranks = pd.DataFrame({"own": position, "told": position[near].mean(1)}).rank()
        return float(np.corrcoef(ranks.to_numpy().T)[0, 1]), 0.0
    values = maps["kind" if colour == "type" else "tag"].to_numpy()[counted]
    _, values = np.unique(values.astype(str), return_inverse=True)
    alike, left_out = (values[near] == values[:, None]).mean(), np.bincount(own)[own]
    by_chance = ((np.bincount(values)[values] - left_out) / (len(points) - left_out)).mean()
    return (1 - alike, 1 - by_chance) if colour == "type" else (alike, by_chance)


@style.paper
def global_view(maps, table, colour="type"):
    """All heads at once: the maps of some, evenly from the least to the best, and below how well every head is shown.

    Parameters
    ----------
    maps, table : DataFrame
        As `embedding_variants.compare` gives, annotated. Of several kinds of map the one with the highest median
        trustworthiness is drawn.
    colour : {"type", "position", "part_of_speech"}

    Returns
    -------
    matplotlib.figure.Figure
    """
    if colour not in COLOURS:
        raise InputError(f"colour: {colour!r} is not known; allowed: {', '.join(COLOURS)}")
    method = best_method(table, "closed form")
    trust = table[(table["construction"] == "closed form") & (table["method"] == method)]
    known = trust[trust["spearman"].notna()].sort_values("spearman", kind="stable")
    grouped = dict(list(maps[maps["method"] == method].groupby(IDENTITY, sort=False)))
    heads = [head for head in map(tuple, known[IDENTITY].to_numpy().tolist()) if head in grouped]
    if not heads:
        return style.nothing_to_show(f"No constant was found for any of {len(trust)} heads, so that none has a map.")
    followed = known.set_index(IDENTITY)["spearman"].loc[heads].to_numpy()
    told, chance = np.array([told_by_neighbours(grouped[head], colour) for head in heads]).T
    ranks = np.unique(np.linspace(0, len(heads) - 1, min(_SHOWN, len(heads))).round().astype(int))
    across = min(_ABREAST, len(ranks))
    down = -(-len(ranks) // across)
    figure = style.blank(style.WIDTH, _STAMP * down + 2.1)
    upper, lower = figure.subfigures(2, 1, height_ratios=(_STAMP * down + 0.4, 1.7))
    panels = upper.subplots(down, across, squeeze=False).ravel()
    for axes in panels[len(ranks) :]:
        axes.axis("off")
    several, deep = (trust[name].nunique() > 1 for name in ("member", "layer"))
    for letter, rank, axes in zip(string.ascii_lowercase, ranks, panels, strict=False):
        draw_points(axes, grouped[heads[rank]], 5, colour, rasterized=True)
        for spine in axes.spines.values():
            spine.set(visible=True, color="0.7", linewidth=0.6)
        member, layer, head = heads[rank]
        name = f"{f'm{member} ' if several else ''}{f'l{layer} ' if deep else ''}h{head}"
        axes.set_title(f"({letter}) {name}: {followed[rank]:.2f}", pad=3, fontsize=8)
    below = lower.subplots()
    below.scatter(followed, told, s=9, color="0.65", linewidths=0)
    below.scatter(followed[ranks], told[ranks], s=14, color=style.PALETTE[0], linewidths=0, zorder=3)
    below.axhline(np.nanmean(chance), color="0.35", linewidth=0.8, linestyle=(0, (4, 2)))
    beside = {"xycoords": below.get_yaxis_transform(), "textcoords": "offset points", "va": "center"}
    below.annotate("chance", (1, np.nanmean(chance)), (2, 0), **beside)
    below.margins(0.08, 0.15)
    below.set(xlabel="Spearman of closeness on the map with attention, each dot a head", ylabel=_ASKED[colour])
    if colour != "position":
        below.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    said = _in_words(colour, method, followed, told, chance)
    style.headline(figure, f"{said[0]}; {said[1]}")
    ends = " to ".join(f"{followed[place]:.2f} ({name_of(heads[place])})" for place in (0, -1))
    style.finding(
        figure,
        f"{METHODS[method]} of every head, scaled by the closed form: median trustworthiness "
        f"{trust['trustworthiness'].median():.2f}, median Spearman with attention {np.median(followed):.2f}, from "
        f"{ends}; {said[1]}{f'; {len(trust) - len(heads)} heads have no map' if len(heads) < len(trust) else ''}",
    )
    figure.legend(
        handles=_keys(maps, colour), loc="outside lower center", ncols=5, handletextpad=0.1, columnspacing=0.8
    )
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # names are placed for the axes as they now stand
    name_points(below, np.stack([followed, told], 1)[ranks], list(string.ascii_lowercase[: len(ranks)]), len(ranks))
    return figure


def _in_words(colour, method, followed, told, chance):
    """How well heads are shown, and what neighbours tell, each as a clause."""
    shown = f"{METHODS[method]} shows attention at {followed[0]:.2f} to {followed[-1]:.2f} (Spearman)"
    middle, by_chance = np.nanmedian(told), np.nanmean(chance)
    if not np.isfinite(middle):
        return shown, "too few points to ask their neighbours"
    if colour == "position":
        return shown, f"a token's position ranks with that of its neighbours at {middle:.2f} (median; by chance 0)"
    what = "of the other kind" if colour == "type" else "of the same part of speech"
    return shown, f"{middle:.0%} of a point's ten neighbours are {what} (median; by chance {by_chance:.0%})"


def _keys(maps, colour):
    if colour == "type":
        return kinds()
    if colour == "position":
        ends = ((0.3, "first"), (1.0, "last"))
        return [
            dot(colormaps[scale](shade), f"{kind}, {end} token", shape)
            for kind, scale, shape in (("query", "Blues", "o"), ("key", "Oranges", "D"))
            for shade, end in ends
        ]
    present = [name for name in CATEGORIES if (maps["tag"] == name).any()]
    keys = [dot(category_colour(name), name.lower()) for name in present]
    return [*keys, dot("0.4", "query"), dot("0.4", "key", "D")]


def draw_global_view(maps, constructions, colour):
    """All heads at once, coloured by one property of the tokens."""
    return global_view(tables.read(maps), tables.read(constructions), colour)
