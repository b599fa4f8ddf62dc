"""The figures of Chen, "Exploring transformer interpretability", section 1, numbered as in the report, and more.

After Yeh et al. 2023 (AttentionViz): queries are blue circles, keys are orange diamonds.
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
from headatlas.data import tokenizer_reading
from headatlas.plotting import style
from headatlas.plotting.point_names import name_points
from headatlas.studies.attentionviz import attended_keys, key_scaling
from headatlas.studies.attentionviz.parts_of_speech import CATEGORIES

QUERY, KEY = style.TRAIN, style.HELD_OUT  # blue and orange: told apart by all readers, and circle and diamond
METHODS = {"space": "no map", "pca": "PCA", "umap": "UMAP", "tsne": "t-SNE"}
CRITERIA = {
    "weighted_correlation": "weighted correlation",
    "weighted_correlation_scaled": "weighted corr., scaled",
    "norm_ratio": "ratio of norms",
    "closed_form": "closed form",
}
IDENTITY = ["member", "layer", "head"]


def draw_points(axes, maps, size, colour="type", rasterized=False):
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
    return [category_colour(tag) for tag in rows["tag"]]


def category_colour(tag):
    return style.cluster_colour(CATEGORIES.index(tag)) if tag in CATEGORIES else to_rgb("0.8")


def kinds():
    return [dot(QUERY, "query"), dot(KEY, "key", "D")]


def dot(colour, label, marker="o"):
    return Line2D([], [], linestyle="", marker=marker, markersize=4, color=colour, label=label, markeredgewidth=0)


def name_of(identity):
    member, layer, head = identity
    return f"member {member}, layer {layer}, head {head}"


def _frame(axes, colour, width):
    for spine in axes.spines.values():
        spine.set(visible=True, color=colour, linewidth=width)


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
    """Fig 1: one head's queries and keys in one picture, and how their distances fall with dot products, from the data.

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
    figure = style.blank(height=3.6)
    left, right = figure.subplots(1, 2)
    draw_points(left, of_head(maps, identity, protocol=protocol, exact=False, c=mark.c), 7)
    _frame(left, "0.7", 0.6)
    left.set_title(f"(a) {name_of(identity)}, c = {mark.c:.3g},\ntrustworthiness {mark.trustworthiness:.2f}")
    left.legend(handles=kinds(), loc="best", handletextpad=0.1)
    rows = of_head(relation, identity, protocol=protocol).sort_values("score")
    right.scatter(rows["score"], rows["distance"], s=2, c="0.55", linewidths=0, alpha=0.5, rasterized=True)
    right.plot(rows["score"], rows["ideal"], color=style.HELD_OUT, linewidth=1.4)
    found = np.corrcoef(rows["score"], rows["distance"])[0, 1]
    keys = [
        dot("0.55", "pairs of a query and a key"),
        Line2D([], [], color=style.HELD_OUT, label="exact, in one dimension more"),
    ]
    right.legend(handles=keys, loc="upper right")
    right.set(
        xlabel="dot product of query and key",
        ylabel="distance",
        title="(b) distance against dot product:\na falling line is wanted",
    )
    right.set_ylim(0, 1.25 * max(rows["distance"].max(), rows["ideal"].max()))
    style.headline(
        figure,
        f"Distance falls with the dot product at a correlation of {found:.2f}; on the map, closeness ranks with "
        f"attention at {mark.spearman:.2f} (Spearman)",
    )
    return style.finding(
        figure,
        f"{name_of(identity)}: distance and dot product correlate with {found:.2f} before any map; at c = {mark.c:.3g} "
        f"closeness on the map follows attention with a Spearman of {mark.spearman:.2f} ± {mark.standard_error:.2f}",
    )


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
    height = min(7.9, max(2.5, 1.6 + 1.55 * rows / columns))
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
        chosen = f"\n{np.nanmin(grid):.2g} to {np.nanmax(grid):.2g}" if np.isfinite(grid).any() else "\nnone"
        axes.set_title(style.wrapped(name, style.WIDTH / (len(criteria) + 0.9)) + chosen)
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
    style.headline(figure, _determined(table, criteria, unsure, heads, protocol))
    if notes:
        figure.supxlabel(style.wrapped("; ".join(notes), style.WIDTH - 0.2), fontsize=8)
    return figure


def _determined(table, criteria, unsure, heads, protocol):
    """Whether the criteria tell a head's constant, in one clause for the grid and one for what is computed directly."""
    grid = [unsure.get(name, 0) for name in criteria if name.startswith("weighted")]
    where = "lie on the edge of the grid" if protocol == "published" else "are undetermined"
    said = [f"Constants chosen by correlation {where} for {' and '.join(map(str, grid))} of {heads} heads"]
    last = table.loc[table["criterion"] == criteria[-1], "c"].dropna()
    if len(last) and not criteria[-1].startswith("weighted"):
        said.append(f"by the {CRITERIA[criteria[-1]]} they are {last.min():.2f} to {last.max():.2f}")
    return "; ".join(said if grid else said[1:])


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
def scaled_embeddings(maps, quality, protocol, place, attended=None, names=None):
    """Figs 3 and 4: one head's joint maps at six constants; corrected, the chosen one large and the exact one beside.

    Parameters
    ----------
    maps, quality : DataFrame
        As `constructions.scaled_maps` gives.
    protocol : {"published", "corrected"}
    place : int
        0 for the first head, Fig 3; 1 for the second, Fig 4, or the only one.
    attended : DataFrame of [query, key, weight], optional
        What some queries of the first prompt attend to, by position: drawn as arrows.
    names : sequence of str, optional
        Tokens of the first prompt, written at the arrows' ends on the large map.

    Returns
    -------
    matplotlib.figure.Figure
    """
    identity = heads_of(quality)[: place + 1][-1]
    rows = of_head(quality, identity, protocol=protocol)
    best, chosen = rows.loc[rows["spearman"].idxmax()], rows[rows["chosen"]]
    if protocol == "published":
        figure = style.blank(height=4.9)
        panels, rest = figure.subplots(2, 3).ravel().tolist(), []
    else:
        figure = style.blank(height=3.7)
        places = [f"{'AA'}{line}" for line in ("bcd", "efg")]
        by_letter = figure.subplot_mosaic("\n".join(places), width_ratios=(1.15, 1.15, 1, 1, 1))
        panels = [by_letter[letter] for letter in "Abcdefg"]
        rows = rows.sort_values(["chosen", "exact", "c"], ascending=[False, True, True], kind="stable")
    rest = panels[len(rows) :]
    for axes in rest:
        axes.axis("off")
    for axes, row in zip(panels, rows.itertuples(), strict=False):
        own = of_head(maps, identity, protocol=protocol, exact=row.exact, c=row.c)
        large = protocol == "corrected" and axes is panels[0]
        draw_points(axes, own, 8 if large else 4, rasterized=True)
        if attended is not None:
            _arrows(axes, own, attended)
        _frame(axes, style.HELD_OUT if row.chosen else "0.7", 2.0 if row.chosen else 0.6)
        title = f"exact, c = {row.c:.3g}" if row.exact else f"c = {row.c:.3g}" + (" (chosen)" if row.chosen else "")
        axes.set_title(title, color=style.HELD_OUT if row.chosen else "black")
        trust = "trustworthiness" if large or protocol == "published" else "trust"
        is_best = row.spearman == best["spearman"]
        axes.set_xlabel(
            f"Spearman {row.spearman:.2f}\n{trust} {row.trustworthiness:.2f}",
            fontweight="bold" if is_best else "normal",
        )
    arrows = "; arrows: what five queries of a prompt attend to most" if attended is not None else ""
    style.headline(
        figure,
        f"{name_of(identity).capitalize()}: closeness ranks with attention at {best['spearman']:.2f} at best "
        f"(Spearman, bold){arrows}",
    )
    said = ", ".join(
        f"{row.spearman:.2f} ± {row.standard_error:.2f} at the constant chosen ({row.c:.3g})"
        for row in chosen.itertuples()
    )
    style.finding(
        figure,
        f"closeness on the map follows attention with a Spearman of {said}, {best['spearman']:.2f} at "
        f"the best ({'exact' if best['exact'] else format(best['c'], '.3g')})",
    )
    figure.legend(handles=kinds(), loc="outside lower center", ncols=2, handletextpad=0.1)
    if protocol == "corrected" and attended is not None and names is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # names are placed for the axes as they now stand
        shown = rows.iloc[0]
        _name_ends(panels[0], of_head(maps, identity, protocol=protocol, exact=shown.exact, c=shown.c), attended, names)
    return figure


def _name_ends(axes, maps, attended, names):
    """The tokens of queries and keys that arrows join, in the colours of their points."""
    first = maps[maps["prompt"] == 0].set_index(["kind", "position"])[["component_1", "component_2"]]
    taken = []
    for kind, colour in (("query", QUERY), ("key", KEY)):
        positions = list(dict.fromkeys(attended[kind]))
        points = first.loc[kind].reindex(positions).to_numpy(dtype=np.float64)
        tokens = [style.printable(names[position]) for position in positions]
        name_points(axes, points, tokens, len(tokens), taken, color=colour, fontweight="bold")
        taken = [text.get_window_extent() for text in axes.texts]


def _arrows(axes, maps, attended):
    """From queries of the first prompt to the keys that they attend to, the darker the more."""
    first = maps[maps["prompt"] == 0].set_index(["kind", "position"])[["component_1", "component_2"]]
    starts = first.loc["query"].reindex(attended["query"]).to_numpy(dtype=np.float64)
    ends = first.loc["key"].reindex(attended["key"]).to_numpy(dtype=np.float64)
    shades = np.zeros((len(attended), 4))
    shades[:, 3] = 0.35 + 0.65 * attended["weight"].to_numpy()
    how = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.006, "headwidth": 5, "headlength": 6}
    axes.quiver(*starts.T, *(ends - starts).T, color=shades, zorder=3, **how)


def draw_joint_embedding(maps, quality, relation, protocol):
    """Fig 1."""
    return joint_embedding(tables.read(maps), tables.read(quality), tables.read(relation), protocol)


def draw_scales(scales, protocol):
    """Fig 2."""
    return scale_maps(tables.read(scales), protocol)


def draw_scaled_embeddings(maps, quality, queries_keys, tokenizer, tokenizer_config, place, protocol):
    """Figs 3 and 4: the first or the second chosen head, with arrows from queries of the first prompt."""
    quality, facts = tables.read(quality), tables.facts(queries_keys)
    of_first = dict(zip(IDENTITY, heads_of(quality)[: place + 1][-1], strict=True)) | {"prompt": 0}
    queries, keys = (tables.read_lists(queries_keys, name, **of_first) for name in ("query", "key"))
    tokens = tables.read(queries_keys, ["token"], **of_first)["token"].to_numpy()
    (seen,) = key_scaling.visible(tokens[None] != facts["pad"], facts["causal"])
    attended = attended_keys.most_attended(queries, keys, seen, facts["scaling"])
    names = None
    if protocol == "corrected":
        names = tokenizer_reading.describe_tokens(tokenizer_reading.read_tokenizer(tokenizer, tokenizer_config), tokens)
    return scaled_embeddings(tables.read(maps), quality, protocol, place, attended, names)
