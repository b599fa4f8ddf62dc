"""Figures 7 and 8 of Chen ("Exploring transformer interpretability", section 2): induction maps by setup."""

import numpy as np

from headatlas.base import tables
from headatlas.plotting import style
from headatlas.studies.induction.figures.panels import READINGS, draw_members, scale_bar

_STANDARD = [("standard", "same"), ("standard", "before"), ("standard", "after")]
_SHUFFLED = [
    ("shuffled", "after_left"),
    ("shuffled", "before_right"),
    ("bidirectional", "earlier"),
    ("bidirectional", "later"),
]


@style.paper
def induction_maps(found, columns, protocol):
    """Figs 7 and 8: induction maps, a row of panels per model with its members side by side, a column per reading.

    Parameters
    ----------
    found : dict from model to DataFrame of [protocol, setup, reading, member, layer, head, value, chance]
    columns : list of (setup, reading)
    protocol : {"published", "corrected"}

    Returns
    -------
    matplotlib.figure.Figure
    """
    chosen = {}
    for model, table in found.items():
        rows = table[(table["protocol"] == protocol) & table["setup"].isin([setup for setup, _ in columns])]
        if len(rows):
            chosen[model] = rows
    if not chosen:
        return style.nothing_to_show("causal models have no masks: these setups are for masked models")
    alone = len(chosen) == 1
    heights = [0.65 + max(0.16 * min(24, own["layer"].max() + 1), 0.8 * alone) for own in chosen.values()]
    figure = style.blank(style.WIDTH, sum(heights) + 1.2)
    panels = figure.subplots(len(chosen), len(columns), squeeze=False, height_ratios=heights, sharey="row")
    top = max(0.2, max(own["value"].max() for own in chosen.values()))
    room = (style.WIDTH - (0.8 if alone else 1.8)) / len(columns)
    framed = False
    for place, (line, (model, own)) in enumerate(zip(panels, chosen.items(), strict=True)):
        induction = ("standard", "same" if (found[model]["setup"] == "shuffled").any() else "after")
        for letter, axes, (setup, reading) in zip("abcdef", line, columns, strict=False):
            shown = own[(own["setup"] == setup) & (own["reading"] == reading)]
            draw_members(axes, shown, top)
            if (setup, reading) == induction:
                axes.spines[:].set(visible=True, color=style.HELD_OUT, linewidth=1.5)
                framed = True
            best = shown.loc[shown["value"].idxmax()]
            sure = best["value"] > best["chance"] + 5 * best["standard_error"]
            largest = f"{'most ' if axes is line[0] else ''}{best['value']:.2f}{'*' if sure else ''}"
            heading = style.wrapped(f"({letter}) {READINGS[reading]}", room) + "\n" if place == 0 else ""
            axes.set_title(heading + largest, fontsize=8)
        line[0].set_ylabel("layer")
        if not alone:
            beside = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right", "va": "center"}
            line[0].annotate(style.wrapped(model, 0.85), (0, 0.5), (-34, 0), fontsize=8, **beside)
    for line in panels[:-1]:
        for axes in line:
            axes.set_xlabel("")
    for axes in panels[:, 1:].flat:
        axes.tick_params(labelleft=False)
    style.headline(figure, _most(chosen))
    style.finding(figure, _largest(chosen))
    chances = np.unique(np.concatenate([own["chance"] for own in chosen.values()]).round(3))
    scale_bar(figure, panels, top, "mean attention", chances)
    note = "*: above chance by 5 standard errors"
    figure.supxlabel(f"framed: what an induction head attends to; {note}" if framed else note, fontsize=8)
    return figure


def _most(chosen):
    """Where the most attention goes, of all models."""
    model, best = max(
        ((model, own.loc[own["value"].idxmax()]) for model, own in chosen.items()), key=lambda found: found[1]["value"]
    )
    where = READINGS[best["reading"]].replace("\n", " ").replace(" it", " the earlier instance")
    return f"{model}: the most attention goes to {where}, {best['value']:.2f} (chance {best['chance']:.2f})"


def _largest(chosen):
    said = []
    for model, own in chosen.items():
        best = own.loc[own["value"].idxmax()]
        where = READINGS[best["reading"]].replace("\n", " ")
        said.append(
            f"{model} {best['value']:.2f} (chance {best['chance']:.2f}; member {best['member']} layer {best['layer']} "
            "head "
            f"{best['head']}, at {where})"
        )
    return f"the largest attention is {'; '.join(said)}"


def draw_induction(maps, models, protocol):
    """Fig 7; a file of each model, in their order."""
    return induction_maps(_read(maps, models), _STANDARD, protocol)


def draw_shuffled(maps, models, protocol):
    """Fig 8; a file of each model, in their order."""
    return induction_maps(_read(maps, models), _SHUFFLED, protocol)


def _read(maps, models):
    return {model: tables.read(path) for model, path in zip(models, maps, strict=True)}
