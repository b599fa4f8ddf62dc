"""Figures 7 and 8 of Chen ("Exploring transformer interpretability", section 2): induction maps by setup."""

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
    heights = [0.5 + 0.16 * min(24, own["layer"].max() + 1) for own in chosen.values()]
    figure = style.blank(style.WIDTH, sum(heights) + 0.7)
    panels = figure.subplots(len(chosen), len(columns), squeeze=False, height_ratios=heights)
    top = max(0.2, max(own["value"].max() for own in chosen.values()))
    for line, (model, own) in zip(panels, chosen.items(), strict=True):
        for axes, (setup, reading) in zip(line, columns, strict=True):
            draw_members(axes, own[(own["setup"] == setup) & (own["reading"] == reading)], top)
        line[0].set_ylabel("layer")
        line[0].annotate(
            style.wrapped(model, 0.85), (-0.35, 0.5), xycoords="axes fraction", ha="right", va="center", fontsize=8
        )
    for letter, axes, (_, reading) in zip("abcdef", panels[0], columns, strict=False):
        axes.set_title(style.wrapped(f"({letter}) {READINGS[reading]}", 3.6 / len(columns)), fontsize=8)
    for line in panels[:-1]:
        for axes in line:
            axes.set_xlabel("")
    style.finding(figure, _largest(chosen))
    scale_bar(figure, panels, top, "mean attention")
    return figure


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
