"""Figures 7 and 8 of Chen ("Exploring transformer interpretability", section 2): induction maps by setup."""

from headatlas.base import tables
from headatlas.plotting import style
from headatlas.studies.induction.figures.panels import READINGS, draw_map, head_grid, nothing, panels_of, scale_bar

_STANDARD = [("standard", "same"), ("standard", "before"), ("standard", "after")]
_SHUFFLED = [
    ("shuffled", "after_left"),
    ("shuffled", "before_right"),
    ("bidirectional", "earlier"),
    ("bidirectional", "later"),
]


@style.paper
def induction_maps(found, columns, protocol):
    """Figs 7 and 8: induction maps, a row of panels per member, a column per reading.

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
    rows = panels_of(chosen)
    if not rows:
        return nothing("causal models have no masks: these setups are for masked models")
    shapes = [(own["layer"].max() + 1, own["head"].max() + 1) for *_, own in rows]
    widest = max(heads for _, heads in shapes)
    heights = [max(0.75, 1.55 * layers / max(widest, layers)) + 0.25 for layers, _ in shapes]
    figure = style.blank(1.3 + 1.45 * len(columns), sum(heights) + 0.6)
    panels = figure.subplots(len(rows), len(columns), squeeze=False, height_ratios=heights)
    top = max(0.2, max(own["value"].max() for *_, own in rows))
    for line, (title, _, _, own) in zip(panels, rows, strict=True):
        for axes, (setup, reading) in zip(line, columns, strict=True):
            part = own[(own["setup"] == setup) & (own["reading"] == reading)]
            draw_map(axes, head_grid(part), part["chance"].iloc[0], top)
        line[0].set_ylabel("layer")
        line[0].annotate(title, (-0.3, 0.5), xycoords="axes fraction", ha="right", va="center", fontsize=6.5)
    for letter, axes, (_, reading) in zip("abcdef", panels[0], columns, strict=False):
        axes.set_title(f"({letter}) {READINGS[reading]}", fontsize=7)
    for axes in panels[-1]:
        axes.set_xlabel("head", labelpad=1)
    scale_bar(figure, panels, top, "mean attention")
    return figure


def draw_induction(maps, models, protocol):
    """Fig 7; a file of each model, in their order."""
    return induction_maps(_read(maps, models), _STANDARD, protocol)


def draw_shuffled(maps, models, protocol):
    """Fig 8; a file of each model, in their order."""
    return induction_maps(_read(maps, models), _SHUFFLED, protocol)


def _read(maps, models):
    return {model: tables.read(path) for model, path in zip(models, maps, strict=True)}
