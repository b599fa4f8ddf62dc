"""The figures of Chen, "Exploring transformer interpretability", section 1, numbered as in the report, and more.

After Yeh et al. 2023 (AttentionViz): queries are green, keys are pink.
"""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm, to_rgb
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.plotting import style
from headatlas.studies.attentionviz.parts_of_speech import CATEGORIES

QUERY, KEY = style.TRAIN, style.HELD_OUT  # blue and orange: told apart by all readers, and circle and diamond
METHODS = {"space": "no map", "pca": "PCA", "umap": "UMAP", "tsne": "t-SNE"}
CRITERIA = {
    "weighted_correlation": "weighted correlation",
    "weighted_correlation_scaled": "weighted corr., scaled",
    "norm_ratio": "ratio of norms",
    "closed_form": "closed form",
}
COLOURS = ("type", "position", "part_of_speech")
IDENTITY = ["member", "layer", "head"]


def _points(axes, maps, size, colour="type", rasterized=False):
    """Queries, and keys above them."""
    for kind, base in (("query", QUERY), ("key", KEY)):
        rows = maps[maps["kind"] == kind]
        shades = _shades(rows, base, colour)
        marker = "o" if kind == "query" else "D"
        axes.scatter(
            rows["component_1"],
            rows["component_2"],
            s=size if kind == "query" else 0.8 * size,
            c=shades,
            marker=marker,
            linewidths=0,
            alpha=0.6,
            rasterized=rasterized,
        )
    axes.set(xticks=[], yticks=[])
    axes.margins(0.04)


def _shades(rows, base, colour):
    if colour == "type":
        return [to_rgb(base)] * len(rows)
    if colour == "position":  # light at the start of a prompt, dark at its end
        scale = colormaps["Blues" if base == QUERY else "Oranges"]
        return scale(0.3 + 0.7 * rows["normalised_position"].to_numpy())
    return [_category_colour(tag) for tag in rows["tag"]]


def _category_colour(tag):
    return style.cluster_colour(CATEGORIES.index(tag)) if tag in CATEGORIES else to_rgb("0.8")


def _kinds():
    return [dot(QUERY, "query"), dot(KEY, "key", "D")]


def dot(colour, label, marker="o"):
    return Line2D([], [], linestyle="", marker=marker, markersize=4, color=colour, label=label, markeredgewidth=0)


def name_of(identity):
    member, layer, head = identity
    return f"member {member}, layer {layer}, head {head}"


def _frame(axes, colour, width):
    for spine in axes.spines.values():
        spine.set(visible=True, color=colour, linewidth=width)


def _judged(row):
    return f"Spearman {row.spearman:.2f}, trustworthiness {row.trustworthiness:.2f}"


def of_head(table, identity, **equal):
    for column, value in dict(zip(IDENTITY, identity, strict=True), **equal).items():
        table = table[table[column] == value]
    return table


def heads_of(table):
    """The heads of a table in the order in which they come, as (member, layer, head)."""
    return list(dict.fromkeys(map(tuple, table[IDENTITY].to_numpy().tolist())))


def _mark(quality, identity, protocol):
    """The row of the constant chosen; where there is none, of constant 1 or the least."""
    rows = of_head(quality, identity, protocol=protocol, exact=False)
    chosen = rows[rows["chosen"]]
    return (chosen if len(chosen) else rows[(rows["c"] - 1).abs() == (rows["c"] - 1).abs().min()]).iloc[0]


@style.paper
def joint_embedding(maps, quality, relation, protocol):
    """Fig 1: one head's queries and keys in one picture, and the inverse relation wished for, from the data.

    Parameters
    ----------
    maps, quality : DataFrame
        As `constructions.scaled_maps` gives; of the first head the map of the constant chosen is drawn.
    relation : DataFrame
        As `constructions.relation` gives.
    protocol : {"published", "corrected"}

    Returns
    -------
    matplotlib.figure.Figure
    """
    identity = heads_of(maps)[0]
    mark = _mark(quality, identity, protocol)
    figure = style.blank(height=3.3)
    left, right = figure.subplots(1, 2)
    _points(left, of_head(maps, identity, protocol=protocol, exact=False, c=mark.c), 7)
    _frame(left, "0.7", 0.6)
    left.set_title(f"(a) {name_of(identity)}, c = {mark.c:.3g}\n{_judged(mark)}")
    left.legend(handles=_kinds(), loc="best", handletextpad=0.1)
    rows = of_head(relation, identity, protocol=protocol).sort_values("score")
    right.scatter(rows["score"], rows["distance"], s=2, c="0.55", linewidths=0, alpha=0.5, rasterized=True)
    right.plot(rows["score"], rows["ideal"], color=style.HELD_OUT, linewidth=1.4)
    found = np.corrcoef(rows["score"], rows["distance"])[0, 1]
    keys = [
        dot("0.55", f"pairs of the head (correlation {found:.2f})"),
        Line2D([], [], color=style.HELD_OUT, label="ideal: the exact construction"),
    ]
    right.legend(handles=keys, loc="upper right")
    right.set(xlabel="dot product of query and key", ylabel="distance", title="(b) the relation wished for\n")
    right.set_ylim(0, 1.25 * max(rows["distance"].max(), rows["ideal"].max()))
    return figure


@style.paper
def scale_maps(table, protocol):
    """Fig 2: the constant that each criterion chooses for each head; one row per layer (and member).

    Parameters
    ----------
    table : DataFrame
        As `criteria.choose` gives. A head without evidence is crossed out.
    protocol : {"published", "corrected"}

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = table[table["protocol"] == protocol]
    criteria = [name for name in CRITERIA if (table["criterion"] == name).any()]
    if not criteria:
        raise InputError(f"scales: no rows of the protocol {protocol!r}; published or corrected")
    rows, columns = table[["member", "layer"]].drop_duplicates().shape[0], table["head"].max() + 1
    height = min(7.5, max(2.1, 1.2 + 1.55 * rows / columns))
    figure = style.blank(height=height)
    norm = LogNorm(0.2, 5)
    colours = colormaps["PuOr"].with_extremes(bad=style.NOTHING)
    panels = figure.subplots(1, len(criteria), squeeze=False, sharey=True)[0]
    for place, (axes, criterion) in enumerate(zip(panels, criteria, strict=True)):
        wide = table[table["criterion"] == criterion].pivot(index=["member", "layer"], columns="head", values="c")
        grid = wide.to_numpy()
        axes.imshow(grid, cmap=colours, norm=norm, aspect="auto", interpolation="nearest")
        for row, column in np.argwhere(np.isnan(grid)):
            axes.text(column, row, "x", ha="center", va="center", color="0.35", fontsize=6)
        if protocol == "corrected":
            _hatch_undetermined(axes, table[table["criterion"] == criterion], wide.index)
        name = f"({'abcd'[place]}) {CRITERIA[criterion]}"
        if criterion == "norm_ratio":
            name += "" if protocol == "published" else ", root"
        axes.set_title(style.wrapped(name, style.WIDTH / (len(criteria) + 0.9)))
        axes.set_xlabel("head")
        ticks, labels = style.thinned(range(grid.shape[1]), list(range(grid.shape[1])), grid.shape[1], 5)
        axes.set_xticks(ticks, labels)
        members = wide.index.get_level_values("member")
        names = [
            f"{member}" if wide.index.get_level_values("layer").nunique() == 1 else f"{member}.{layer}"
            for member, layer in wide.index
        ]
        if members.nunique() == 1:
            names = [str(layer) for _, layer in wide.index]
        ticks, names = style.thinned(range(len(names)), names, len(names), 24)
        axes.set_yticks(ticks, names)
        axes.spines[:].set_visible(False)
    several = table["member"].nunique() > 1
    deep = table["layer"].nunique() > 1
    panels[0].set_ylabel("member.layer" if several and deep else "member (one layer)" if several else "layer")
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=list(panels), aspect=25, extend="both", label="constant c")
    bar.ax.yaxis.set_major_locator(FixedLocator([0.2, 0.4, 0.8, 1.25, 2.5, 5]))
    bar.ax.yaxis.set_major_formatter("{x:g}")
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.outline.set_visible(False)
    notes = ["x: too little evidence to choose"] if table["c"].isna().any() else []
    if protocol == "corrected" and (table["undetermined"] & table["c"].notna()).any():
        notes.append("hatched: undetermined, on the edge of the grid or with an interval that spans half of it")
    unsure = table[table["undetermined"]].groupby("criterion").size()
    heads = len(table) // len(criteria)
    counted = ", ".join(f"{CRITERIA[name]} {unsure.get(name, 0)}" for name in criteria)
    style.finding(figure, f"heads of {heads} whose constant is undetermined: {counted}")
    if notes:
        figure.supxlabel(style.wrapped("; ".join(notes), style.WIDTH - 0.2), fontsize=8)
    return figure


def _hatch_undetermined(axes, rows, lines):
    """Hatch the cells whose constant the data do not tell; `lines` are the (member, layer) of the heat map's rows."""
    unsure = rows[rows["undetermined"] & rows["c"].notna()]
    heights = lines.get_indexer(pd.MultiIndex.from_frame(unsure[["member", "layer"]]))
    corners = [(head - 0.5, height - 0.5) for head, height in zip(unsure["head"], heights, strict=True)]
    cells = [[(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)] for x, y in corners]
    axes.add_collection(
        PolyCollection(cells, facecolors=(0.86, 0.86, 0.86, 0.55), edgecolors="0.35", hatch="/////", linewidths=0)
    )


@style.paper
def scaled_embeddings(maps, quality, protocol, place):
    """Figs 3 and 4: one head's joint maps at six constants, the chosen one framed; corrected, the exact one beside.

    Parameters
    ----------
    maps, quality : DataFrame
        As `constructions.scaled_maps` gives.
    protocol : {"published", "corrected"}
    place : int
        0 for the first head, Fig 3; 1 for the second, Fig 4, or the only one.

    Returns
    -------
    matplotlib.figure.Figure
    """
    identity = heads_of(quality)[: place + 1][-1]
    rows = of_head(quality, identity, protocol=protocol)
    figure = style.blank(height=4.9 if protocol == "published" else 4.1)
    panels = figure.subplots(2, 3 if protocol == "published" else 4).ravel()
    for axes in panels[len(rows) :]:
        axes.axis("off")
    for axes, row in zip(panels, rows.itertuples(), strict=False):
        _points(axes, of_head(maps, identity, protocol=protocol, exact=row.exact, c=row.c), 4, rasterized=True)
        _frame(axes, style.HELD_OUT if row.chosen else "0.7", 2.0 if row.chosen else 0.6)
        title = f"exact, c = {row.c:.3g}" if row.exact else f"c = {row.c:.3g}" + (" (chosen)" if row.chosen else "")
        axes.set_title(title, color=style.HELD_OUT if row.chosen else "black")
        axes.set_xlabel(f"Spearman {row.spearman:.2f}\ntrustworthiness {row.trustworthiness:.2f}", fontsize=6.5)
    figure.suptitle(f"Joint maps of {name_of(identity)}", fontsize=9)
    best, chosen = rows.loc[rows["spearman"].idxmax()], rows[rows["chosen"]]
    said = ", ".join(f"{row.spearman:.2f} at the constant chosen ({row.c:.3g})" for row in chosen.itertuples())
    style.finding(
        figure,
        f"closeness on the map follows attention with a Spearman of {said}, {best['spearman']:.2f} at "
        f"the best ({'exact' if best['exact'] else format(best['c'], '.3g')})",
    )
    if protocol == "published":
        figure.legend(handles=_kinds(), loc="outside lower center", ncols=2, handletextpad=0.1)
    else:
        panels[len(rows)].legend(handles=_kinds(), loc="center", handletextpad=0.1)
    return figure


def best_method(table, construction):
    """The kind of map that is trusted most over all heads: the median decides."""
    rows = table[(table["construction"] == construction) & (table["method"] != "space")]
    return rows.groupby("method", sort=False)["trustworthiness"].median().fillna(0).idxmax()


@style.paper
def global_view(maps, table, colour="type"):
    """All heads at once: a small joint map of each, one row per layer (and member), one column per head.

    Parameters
    ----------
    maps, table : DataFrame
        As `constructions.compare` gives. Of several kinds of map the one with the highest median trustworthiness is
        drawn.
    colour : {"type", "position", "part_of_speech"}

    Returns
    -------
    matplotlib.figure.Figure
    """
    if colour not in COLOURS:
        raise InputError(f"colour: {colour!r} is not known; allowed: {', '.join(COLOURS)}")
    construction = "closed form"
    method = best_method(table, construction)
    trust = table[(table["construction"] == construction) & (table["method"] == method)]
    every = table[["member", "layer"]].drop_duplicates().to_numpy().tolist()
    columns = int(table["head"].max()) + 1
    left, top, bottom = 0.45, 0.78, 0.5 if colour == "part_of_speech" else 0.3
    side = (style.WIDTH - left - 0.05) / columns
    tall = min(side, 1.1)
    width, height = style.WIDTH, top + tall * len(every) + bottom
    figure = style.blank(width, height, layout="none")
    # one axes in inches for all heads: an axes of its own each costs more than the points, and a page of pixels
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.set(xlim=(0, width), ylim=(0, height), autoscale_on=False)
    grouped = dict(list(maps[maps["method"] == method].groupby(IDENTITY, sort=False)))
    several, deep = (len({row[place] for row in every}) > 1 for place in (0, 1))
    shape, placed, frames = np.array([0.94 * side, 0.94 * tall]), [], []
    for row, (member, layer) in enumerate(every):
        for head in range(columns):
            corner = np.array([left + side * head, height - top - tall * (row + 1)])
            frames.append(corner + shape * [(0, 0), (1, 0), (1, 1), (0, 1)])
            if (member, layer, head) in grouped:
                placed.append(_within(grouped[member, layer, head], corner, shape))
            else:
                axes.text(*corner + shape / 2, "x", ha="center", va="center", color="0.35")
            if row == 0:
                above = ((corner[0] + shape[0] / 2) / width, (corner[1] + shape[1] + 2 / 72) / height)
                figure.text(*above, f"{head}", ha="center", fontsize=8)
        label = f"{member}.{layer}" if several and deep else f"{member}" if several else f"{layer}"
        beside = ((left - 0.06) / width, (corner[1] + shape[1] / 2) / height)
        figure.text(*beside, label, ha="right", va="center", fontsize=8)
    if placed:
        _points(axes, pd.concat(placed), max(0.4, 3 * side), colour, rasterized=True)
    axes.add_collection(PolyCollection(frames, facecolors="none", edgecolors="0.85", linewidths=0.4, zorder=2.5))
    medians = trust[["trustworthiness", "spearman"]].median()
    said = f"{METHODS[method]} of every head, scaled by the closed form: median trustworthiness "
    said += f"{medians['trustworthiness']:.2f}, median Spearman with attention {medians['spearman']:.2f}"
    style.finding(figure, said)
    above = style.wrapped(said, width - 0.3)
    figure.text(0.5, 1 - 0.06 / height, above, ha="center", va="top", fontsize=8)
    figure.text((left + side * columns / 2) / width, 1 - 0.44 / height, "head", ha="center", va="top", fontsize=8)
    name = "member.layer" if several and deep else "member" if several else "layer"
    middle = 1 - (top + tall * len(every) / 2) / height
    figure.text(0.06 / width, middle, name, rotation=90, ha="left", va="center", fontsize=8)
    figure.legend(handles=_keys(maps, colour), loc="lower center", ncols=5, handletextpad=0.1, columnspacing=0.8)
    return figure


def _within(points, corner, shape):
    """Points of a map, moved into a panel, with the margins that axes leave."""
    of_map = points[["component_1", "component_2"]].to_numpy(dtype=np.float64)
    low, spread = of_map.min(0), np.ptp(of_map, axis=0)
    share = np.divide(of_map - low, spread, out=np.full_like(of_map, 0.5), where=spread > 0)
    x, y = (corner + shape * (0.04 + share) / 1.08).T
    return points.assign(component_1=x, component_2=y)


def _keys(maps, colour):
    if colour == "type":
        return _kinds()
    if colour == "position":
        ends = ((0.3, "first"), (1.0, "last"))
        return [
            dot(colormaps[scale](shade), f"{kind}, {end} token")
            for kind, scale in (("query", "Blues"), ("key", "Oranges"))
            for shade, end in ends
        ]
    present = [name for name in CATEGORIES if (maps["tag"] == name).any()]
    keys = [dot(_category_colour(name), name.lower()) for name in present]
    return [*keys, dot("0.4", "query"), dot("0.4", "key", "D")]


def draw_joint_embedding(maps, quality, relation, protocol):
    """Fig 1."""
    return joint_embedding(tables.read(maps), tables.read(quality), tables.read(relation), protocol)


def draw_scales(scales, protocol):
    """Fig 2."""
    return scale_maps(tables.read(scales), protocol)


def draw_scaled_embeddings(maps, quality, place, protocol):
    """Figs 3 and 4: the first or the second chosen head."""
    return scaled_embeddings(tables.read(maps), tables.read(quality), protocol, place)


def draw_global_view(maps, constructions, colour):
    """All heads at once, coloured by one property of the tokens."""
    return global_view(tables.read(maps), tables.read(constructions), colour)
