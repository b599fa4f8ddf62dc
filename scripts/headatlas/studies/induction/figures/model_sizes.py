"""Figure 9 of Chen ("Exploring transformer interpretability", section 2): the induction of models of all sizes."""

import numpy as np

from headatlas.base import tables
from headatlas.plotting import style
from headatlas.studies.induction.figures.panels import draw_map, head_grid, panels_of, scale_bar
from headatlas.studies.induction.repeated_tokens import induction_rows


@style.paper
def sizes(found, depths, protocol):
    """Fig 9: induction maps of models of any shapes as one mosaic; corrected, how deep induction lies in each.

    Parameters
    ----------
    found : dict from model to DataFrame of [member, layer, head, value, chance]
        Induction scores of the protocol, one row per head.
    depths : DataFrame of [protocol, model, member, depth, low, high, p_value]
    protocol : {"published", "corrected"}

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = panels_of(found)
    across = min(len(rows), 6)
    down = -(-len(rows) // across)
    corrected = protocol == "corrected"
    below = 0.55 + 0.17 * len(rows) if corrected else 0.0
    figure = style.blank(style.WIDTH, 1.75 * down + below + 0.2)
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.75 * down, below)) if corrected else (figure, None)
    panels = upper.subplots(down, across, squeeze=False)
    top = max(0.2, max(own["value"].max() for *_, own in rows))
    for axes in panels.flat[len(rows) :]:
        axes.axis("off")
    for axes, (title, _, _, own) in zip(panels.flat, rows, strict=False):
        grid = head_grid(own)
        draw_map(axes, grid, own["chance"].iloc[0], top)
        axes.set_title(f"{title}\n{grid.shape[0]} x {grid.shape[1]}", fontsize=6)
    panels[0, 0].set_ylabel("layer")
    scale_bar(upper, panels, top, "induction score")
    if corrected:
        axes = lower.subplots()
        for place, (_, model, member, _) in enumerate(rows):
            own = depths[(depths["model"] == model) & (depths["member"] == member) & (depths["protocol"] == protocol)]
            _interval(axes, own.iloc[0], place, style.model_colour(list(found).index(model)))
        axes.axvline(0.5, color="0.6", linewidth=0.6, linestyle=":")
        axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), xlabel="mean depth of induction, input 0 to output 1")
        axes.set_yticks(range(len(rows)), [title.replace("\n", ", ") for title, *_ in rows])
    return figure


def _interval(axes, row, place, colour):
    if np.isfinite(row["depth"]):
        axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1)
        axes.plot(row["depth"], place, "o", color=colour, markersize=4)
        said = f"{row['depth']:.2f}" + (f" (p {row['p_value']:.3g})" if np.isfinite(row["p_value"]) else "")
        axes.annotate(said, (1.01, place), xycoords=("axes fraction", "data"), fontsize=6, va="center")


def draw_sizes(maps, depth, models, protocol):
    """Fig 9; a file of each model, in their order, and the depths of all."""
    found = {}
    for model, path in zip(models, maps, strict=True):
        rows = induction_rows(tables.read(path), tables.facts(path)["causal"])
        found[model] = rows[rows["protocol"] == protocol]
    return sizes(found, tables.read(depth), protocol)
