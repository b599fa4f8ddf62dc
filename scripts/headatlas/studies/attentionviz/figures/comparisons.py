"""What joint embeddings are held against: other constructions, other queries and keys, parts of speech."""

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from headatlas.base import tables
from headatlas.plotting import style
from headatlas.studies.attentionviz.figures.joint_embeddings import IDENTITY, METHODS, dot, heads_of, name_of, of_head
from headatlas.studies.attentionviz.key_scaling import UNCHANGED
from headatlas.studies.attentionviz.parts_of_speech import CATEGORIES


@style.paper
def construction_scores(table):
    """Which construction, and which map of it, shows attention best: one dot per head, the median as a bar.

    Parameters
    ----------
    table : DataFrame
        As `constructions.compare` gives.

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = list(dict.fromkeys(table["construction"]))
    methods = list(dict.fromkeys(table["method"]))
    figure = style.blank(height=3.7)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    spread = np.linspace(-1, 1, len(heads_of(table)))
    panels = ((upper, "spearman", methods), (lower, "trustworthiness", methods[1:]))
    for axes, quantity, shown in panels:
        for place, method in enumerate(methods):
            if method not in shown:
                continue
            colour = style.model_colour(place)
            for at, name in enumerate(names):
                values = table.loc[(table["construction"] == name) & (table["method"] == method), quantity].to_numpy()
                x = at + (place - (len(methods) - 1) / 2) * 0.8 / len(methods)
                axes.scatter(x + 0.28 / len(methods) * spread, values, s=4, color=colour, alpha=0.5, linewidths=0)
                if np.isfinite(values).any():
                    half = 0.36 / len(methods)
                    axes.plot([x - half, x + half], [np.nanmedian(values)] * 2, color="black", linewidth=1.2, zorder=3)
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="x", length=0)
        axes.grid(axis="y", color="0.9", linewidth=0.5)
        axes.set_axisbelow(True)
    upper.axhline(0, color="0.5", linewidth=0.6)
    upper.set_ylabel("Spearman of closeness\nwith attention, per query")
    lower.set_ylabel("trustworthiness\nof the map")
    lower.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names])
    means = table.groupby(["method", "construction"])["spearman"].mean().unstack()[names]
    said = "; ".join(
        f"{METHODS[method]} {means.loc[method].max():.2f} ({means.loc[method].idxmax()})" for method in methods
    )
    style.finding(figure, f"closeness shows attention best (mean Spearman over {len(spread)} heads) by: {said}")
    flat = means.drop(index="space", errors="ignore").stack().dropna()
    if len(flat):
        best, named = flat.idxmax()
        style.headline(
            figure, f"On a plane, {METHODS[best]} of '{named}' shows attention best: mean Spearman {flat.max():.2f}"
        )
    full = {"space": "no map (all dimensions)"}
    keys = [
        dot(style.model_colour(place), full.get(method, METHODS[method])) for place, method in enumerate(methods)
    ] + [Line2D([], [], color="black", linewidth=1.2, label="median")]
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), handletextpad=0.3)
    return figure


@style.paper
def invariances(table):
    """What leaves attention alone and what does not: the largest change of an attention weight, one dot per head.

    Parameters
    ----------
    table : DataFrame
        As `scaling.invariances` gives.

    Returns
    -------
    matplotlib.figure.Figure
    """
    changes = list(dict.fromkeys(table["change"]))
    figure = style.blank(0.7 * style.WIDTH, 2.7)
    axes = figure.subplots()
    for place, change in enumerate(changes):
        values = np.maximum(table.loc[table["change"] == change, "difference"].to_numpy(), 1e-9)
        x = place + 0.5 * (np.arange(len(values)) + 0.5) / len(values) - 0.25
        axes.scatter(x, values, s=6, color=style.TRAIN, alpha=0.6, linewidths=0)
    axes.axhline(UNCHANGED, color=style.HELD_OUT, linewidth=1)
    axes.text(len(changes) - 0.55, UNCHANGED, "tolerance", color=style.HELD_OUT, va="bottom", ha="right")
    axes.set(yscale="log", xlim=(-0.5, len(changes) - 0.5), ylabel="largest change\nof an attention weight")
    axes.set_ylim(bottom=5e-10, top=3)
    axes.yaxis.set_major_formatter("{x:.0e}")  # the usual one needs mathematical text
    largest = table.groupby("change")["difference"].max()
    style.finding(figure, f"largest change of a weight: {', '.join(f'{name} {largest[name]:.0e}' for name in changes)}")
    free = [change for change in changes if largest[change] < UNCHANGED]
    costs = [change for change in changes if largest[change] >= UNCHANGED]
    clauses = [f"{' and '.join(free)} leave it alone"] * bool(free) + [f"{' and '.join(costs)} not"] * bool(costs)
    style.headline(figure, f"Attention before and after: {', '.join(clauses)}")
    axes.set_xticks(range(len(changes)), [change.replace(" ", "\n") for change in changes])
    return figure


@style.paper
def attention_between_parts(table, asked=("NOUN", "PRON")):
    """Which part of speech attends to which beyond chance, and one question asked of every head.

    Parameters
    ----------
    table : DataFrame
        As `parts_of_speech.measure` gives.
    asked : tuple of str
        Categories of the query and of the key whose heads stand on the right; those of the largest excess where the
        table has no such rows.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = table[(table["query"] == asked[0]) & (table["key"] == asked[1])]
    if rows.empty:
        best = table.loc[table["excess"].abs().idxmax()]
        rows = table[(table["query"] == best["query"]) & (table["key"] == best["key"])]
    asked = (rows["query"].iloc[0], rows["key"].iloc[0])
    names = [name for name in CATEGORIES if (table["query"] == name).any()]
    strongest = table.loc[table["excess"].where(table["significant"], -1).idxmax()]
    identity = tuple(strongest[IDENTITY])
    grid = of_head(table, identity).pivot(index="query", columns="key", values="excess").loc[names, names].to_numpy()
    sure = (
        of_head(table, identity).pivot(index="query", columns="key", values="significant").loc[names, names].to_numpy()
    )
    figure = style.blank(height=3.4)
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    bound = max(float(np.nanmax(np.abs(grid))), 1e-6)
    norm = Normalize(-bound, bound)
    image = left.imshow(grid, cmap=style.SIGNED, norm=norm)
    for row, column in np.argwhere(sure):
        ink = style.ink(image.cmap(norm(grid[row, column]))[:3])
        left.text(column, row, "•", ha="center", va="center", color=ink, fontsize=7)
    short = [name.lower() for name in names]
    left.set_xticks(range(len(names)), short, rotation=90)
    left.set_yticks(range(len(names)), short)
    left.set(xlabel="key", ylabel="query")
    left.set_title(style.wrapped(f"(a) {name_of(identity)}: attention beyond chance", 0.45 * style.WIDTH))
    left.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=left, shrink=0.85, label="share of attention, less chance")
    bar.outline.set_visible(False)
    rows = rows.sort_values("excess", kind="stable")
    heights = np.arange(len(rows))
    colours = np.where(rows["significant"], style.HELD_OUT, "0.6")
    right.hlines(heights, rows["low"], rows["high"], color=colours, linewidth=1)
    right.scatter(rows["excess"], heights, s=8, color=colours, zorder=3, linewidths=0)
    right.axvline(0, color="0.5", linewidth=0.6)
    right.set(ylabel=f"{len(rows)} heads, least first", yticks=[], xlabel="share of attention, less chance")
    right.set_title(
        style.wrapped(f"(b) do {asked[0].lower()} queries attend to {asked[1].lower()} keys?", 0.34 * style.WIDTH)
    )
    keys = [dot(style.HELD_OUT, "beyond chance (5%)"), dot("0.6", "not")]
    right.legend(handles=keys, loc="lower right", handletextpad=0.1)
    return figure


def draw_constructions(constructions):
    """Read the table of every construction."""
    return construction_scores(tables.read(constructions))


def draw_invariance(invariance):
    """Read the table of changes."""
    return invariances(tables.read(invariance))


def draw_parts_of_speech(parts_of_speech):
    """Read the table of all pairs of parts of speech."""
    return attention_between_parts(tables.read(parts_of_speech))
