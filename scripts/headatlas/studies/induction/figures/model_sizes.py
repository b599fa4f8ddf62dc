"""Figure 9 of Chen ("Exploring transformer interpretability", section 2): the induction of models of all sizes."""

import numpy as np

from headatlas.base import tables
from headatlas.base.statistics import interval_of_mean
from headatlas.plotting import style
from headatlas.studies.induction import induction_depth
from headatlas.studies.induction.figures.panels import draw_members, scale_bar
from headatlas.studies.induction.repeated_tokens import induction_rows


@style.paper
def sizes(found, depths, protocol):
    """Fig 9: induction maps of models of any shapes as one mosaic; corrected, how deep induction lies in each.

    Parameters
    ----------
    found : dict from model to DataFrame of [member, layer, head, value, chance]
        Induction scores of the protocol, one row per head.
    depths : DataFrame
        As `induction_depth.depth_table` gives; drawn are the members of which later layers can be asked.
    protocol : {"published", "corrected"}

    Returns
    -------
    matplotlib.figure.Figure
    """
    across = min(len(found), 3)
    down = -(-len(found) // across)
    depths = induction_depth.askable(depths)
    asked = list(dict.fromkeys(depths["model"])) if protocol == "corrected" else []
    below = 0.55 + 0.2 * len(asked) if asked else 0.0
    figure = style.blank(style.WIDTH, 1.5 * down + below + 0.3)
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.5 * down + 0.2, below)) if asked else (figure, None)
    panels = upper.subplots(down, across, squeeze=False)
    top = max(0.2, max(own["value"].max() for own in found.values()))
    for axes in panels.flat[len(found) :]:
        axes.axis("off")
    best = {}
    for axes, (model, own) in zip(panels.flat, found.items(), strict=False):
        layers, heads = own["layer"].max() + 1, own["head"].max() + 1
        draw_members(axes, own, top)
        axes.set_title(style.wrapped(f"{model}\n{layers} x {heads}", 3.9 / across), fontsize=8)
        best[model] = own.loc[own["value"].idxmax()]
    said = ", ".join(f"{model} {row['value']:.2f} in layer {row['layer']}" for model, row in best.items())
    style.finding(figure, f"the strongest induction head: {said}")
    panels[0, 0].set_ylabel("layer")
    scale_bar(upper, panels, top, "induction score")
    if asked:
        _depths(lower.subplots(), depths, asked)
    return figure


def _depths(axes, depths, models):
    """Each member's mean depth of induction, and its interval over members, or over heads where there is but one."""
    for place, model in enumerate(models):
        own, colour = depths[depths["model"] == model], style.model_colour(place)
        mean, low, high = interval_of_mean(own["depth"], within=(0, 1))
        if len(own) == 1:
            low, high = own["low"].iloc[0], own["high"].iloc[0]
        axes.plot([low, high], [place, place], color=colour, linewidth=1)
        axes.plot(own["depth"], np.full(len(own), place), "o", color=colour, markersize=2.5, alpha=0.6, linewidth=0)
        axes.plot(mean, place, "D", color=colour, markersize=4)
        said = f"{mean:.2f}" + (f" ({low:.2f} to {high:.2f})" if np.isfinite(low) else "")
        axes.annotate(said, (1.01, place), xycoords=("axes fraction", "data"), fontsize=8, va="center")
    axes.axvline(0.5, color="0.6", linewidth=0.6, linestyle=":")
    axes.set(xlim=(0, 1), ylim=(len(models) - 0.5, -0.5), xlabel="mean depth of induction, input 0 to output 1")
    axes.set_yticks(range(len(models)), [f"{model}" for model in models])


def draw_sizes(maps, depth, models, protocol):
    """Fig 9; a file of each model, in their order, and the depths of all."""
    found = {}
    for model, path in zip(models, maps, strict=True):
        rows = induction_rows(tables.read(path), tables.facts(path)["causal"])
        found[model] = rows[rows["protocol"] == protocol]
    return sizes(found, tables.read(depth), protocol)
