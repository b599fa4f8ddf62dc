"""Figure 6 of Chen ("Exploring transformer interpretability", section 2): the setups of random repeated tokens."""

from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Rectangle

from headatlas.base import tables
from headatlas.plotting import style
from headatlas.studies.induction.figures.panels import READINGS

SETUPS = {"standard": "standard", "shuffled": "shuffled", "bidirectional": "bidirectional"}
_NEAR = 2  # positions shown on either side of one that matters
_SCHEME_WIDTH = 0.96 * style.WIDTH  # inches
_ARC = 0.26  # inches above or below the tokens, at most: between them and the key


@style.paper
def scheme(trials, protocol):
    """Fig 6: the setups, each drawn from an actual trial.

    Parameters
    ----------
    trials : dict from model to dict
        What `asking.shown` gives; for each setup the first model that has it is shown.
    protocol : {"published", "corrected"}

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = []
    for model, found in trials.items():
        setups = [setup for setup in SETUPS if setup in found[protocol]]  # as in the report
        for setup in setups:
            one, causal = found[protocol][setup], len(setups) == 1
            if (setup, causal) not in [(what, kind) for _, what, kind, _ in shown]:
                shown.append((model, setup, causal, one))
    figure = style.blank(style.WIDTH, 1.45 * len(shown), layout="none")
    for row, (model, setup, causal, one) in enumerate(shown):
        height = 1 / len(shown)
        axes = figure.add_axes((0.02, 1 - (row + 1) * height, _SCHEME_WIDTH / style.WIDTH, height * 0.72))
        axes.axis("off")
        name = "two copies, causal" if causal else SETUPS[setup]
        axes.set_title(
            f"({'abcdef'[row]}) {name}: {model}, {one['length']} tokens a copy", loc="left", pad=15, fontsize=8
        )
        _trial(axes, one, causal)
    return style.finding(figure, "; ".join(_in_words(*row) for row in shown))


def _in_words(model, setup, causal, one):
    """Which token a trial asks for, and where its attention is read."""
    name = "two copies, causal" if causal else SETUPS[setup]
    read = ", ".join(READINGS[key].replace("\n", " ") for key in one["keys"] if key in READINGS)
    size = len(one["tokens"])
    asked = style.printable(one["tokens"][one["masked"]], 9)
    return f"{name} ({model}): token {one['masked'] + 1} of {size}, {asked}, read at {read}"


def _trial(axes, one, causal):
    one = {**one, "keys": {name: one["keys"][name] for name in READINGS if name in one["keys"]}}
    size, at = len(one["tokens"]), one["masked"]
    mattering = [at, *(key for key in one["keys"].values() if 0 <= key < size)]
    kept = sorted({p for m in mattering for p in range(max(0, m - _NEAR), min(size, m + _NEAR + 1))} | {0, size - 1})
    if size <= 36:
        kept = list(range(size))
    places, left = {}, 0.0
    for before, position in zip([None, *kept], kept, strict=False):
        left += 0.6 if before is not None and position > before + 1 else 0.0
        places[position] = left
        left += 1.0
    axes.set(xlim=(0, left), ylim=(-1.6, 1.9))
    letters = min(7.0, max(6.0, 190 / len(kept)))
    for before, position in zip([None, *kept], kept, strict=False):
        x = places[position]
        if before is not None and position > before + 1:
            axes.text(x - 0.3, 0, "…", ha="center", va="center")
        read = position in one["keys"].values()
        face = style.colour(7) if position == at else style.colour(2 + len(style.PALETTE)) if read else "0.96"
        axes.add_patch(Rectangle((x + 0.04, -0.5), 0.92, 1, facecolor=face, edgecolor="0.7", linewidth=0.4))
        text = "MASK" if position == at and not causal else style.printable(one["tokens"][position], 9)
        axes.text(x + 0.5, 0, text, ha="center", va="center", fontsize=letters, rotation=90 if len(kept) > 20 else 0)
    for number, key in enumerate(one["keys"].values()):
        if key not in places:
            continue
        up = number % 2 == 0
        start, end = places[at] + 0.5, places[key] + 0.5
        edge = 0.55 if up else -0.55
        span = abs(start - end) * _SCHEME_WIDTH / left  # inches; an arc's height is half its bend times its span
        bend = min(0.18, 2 * _ARC / max(span, 1e-9)) * (1 if (start > end) == up else -1)
        style_of = {"arrowstyle": "-|>", "mutation_scale": 6, "linewidth": 0.8, "color": style.head_colour(number)}
        axes.add_patch(FancyArrowPatch((start, edge), (end, edge), connectionstyle=f"arc3,rad={bend}", **style_of))
    labels = [READINGS[name].replace("\n", " ") for name in one["keys"]]
    keys = [Line2D([], [], color=style.head_colour(number), label=label) for number, label in enumerate(labels)]
    axes.legend(handles=keys, loc="lower right", bbox_to_anchor=(1, 0.93), ncols=len(keys), fontsize=8, borderaxespad=0)


def draw_repeats(maps, models, protocol):
    """Fig 6; a file of each model, in their order."""
    return scheme({model: tables.facts(path)["trials"] for model, path in zip(models, maps, strict=True)}, protocol)
