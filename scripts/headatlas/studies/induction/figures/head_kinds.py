"""Induction heads that copy and that do not, and heads that only copy."""

from matplotlib.lines import Line2D

from headatlas.base import tables
from headatlas.plotting import style
from headatlas.scores.induction_scores import LEAST
from headatlas.studies.induction.head_kinds import COPYING, KINDS


@style.paper
def head_kinds(table, copying):
    """Attention to where an induction head looks, against copying.

    Parameters
    ----------
    table : DataFrame
        As `head_kinds.tell_apart` gives, with `model`.
    copying : float
        From which a head copies.

    Returns
    -------
    matplotlib.figure.Figure
    """
    models = list(dict.fromkeys(table["model"]))
    across = min(3, len(models))
    down = -(-len(models) // across)
    figure = style.blank(max(2.8, style.WIDTH * across / 3), 2.4 * down + 0.3)
    panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[len(models) :]:
        axes.axis("off")
    looks = [(style.HELD_OUT, "o"), (style.TRAIN, "D"), (style.colour(4), "^"), ("0.55", "s")]
    shades = dict(zip(KINDS, looks, strict=True))
    for axes, model in zip(panels.flat, models, strict=False):
        own = table[table["model"] == model]
        for kind, (colour, shape) in shades.items():
            rows = own[(own["kind"] == kind) & own["copying"].notna()]
            errors = rows[["attention_error", "copying_error"]].fillna(0).to_numpy().T
            line = {"color": colour, "elinewidth": 0.6, "markersize": 3, "markeredgewidth": 0}
            axes.errorbar(rows["attention"], rows["copying"], errors[1], errors[0], shape, **line)
        axes.axvline(LEAST, color="0.6", linewidth=0.6, linestyle=":")
        axes.axhline(copying, color="0.6", linewidth=0.6, linestyle=":")
        axes.axhline(0, color="0.85", linewidth=0.5, zorder=0)
        axes.set_title(style.wrapped(model, 1.5))
        axes.set_xlim(-0.03, 1.03)
    known = table["copying"].dropna()
    reach = 0.1 + known.abs().max() if len(known) else 1
    panels[0, 0].set_ylim(min(-0.2, known.min() - 0.1) if len(known) else -1, reach)
    for axes in panels[-1]:
        axes.set_xlabel("attention to where an\ninduction head looks")
    for axes in panels[:, 0]:
        axes.set_ylabel("copying")
    counted = table["kind"].value_counts()
    said = ", ".join(f"{counted.get(kind, 0)} {kind}" for kind in shades)
    style.finding(figure, f"of {len(table)} heads {said}")
    keys = [
        Line2D([], [], linestyle="", marker=shape, markersize=4, color=colour, label=f"{kind} ({counted.get(kind, 0)})")
        for kind, (colour, shape) in shades.items()
    ]
    figure.legend(
        handles=keys, loc="outside lower center", ncols=4 if across > 2 else 2, handletextpad=0.1, columnspacing=1
    )
    return figure


def draw_look_alikes(look_alikes):
    """Read the table of all models."""
    return head_kinds(tables.read(look_alikes), COPYING)
