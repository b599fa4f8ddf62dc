"""Induction heads and their look-alikes, by what they match and copy."""

from headatlas.base import tables
from headatlas.plotting import style
from headatlas.studies.induction.head_kinds import COPYING, MATCHING


@style.paper
def head_kinds(table, matching, copying):
    """Prefix matching against copying: an induction head does both.

    Parameters
    ----------
    table : DataFrame of [model, member, layer, head, prefix_matching, chance, copying, ov_copying, kind]
    matching, copying : float
        Where the quadrants are cut; `matching` is above chance.

    Returns
    -------
    matplotlib.figure.Figure
    """
    models = list(dict.fromkeys(table["model"]))
    across = min(3, len(models))
    down = -(-len(models) // across)
    figure = style.blank(max(2.8, style.WIDTH * across / 3), 2.4 * down)
    panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[len(models) :]:
        axes.axis("off")
    for axes, model in zip(panels.flat, models, strict=False):
        own = table[table["model"] == model]
        known = own[own["copying"].notna()]
        colours = [style.layer_colour(layer, own["layer"].max() + 1) for layer in known["layer"]]
        axes.scatter(known["prefix_matching"], known["copying"], c=colours, s=12, linewidths=0.3, edgecolors="white")
        axes.axvline(own["chance"].mean() + matching, color="0.6", linewidth=0.6, linestyle=":")
        axes.axhline(copying, color="0.6", linewidth=0.6, linestyle=":")
        for row in known[known["kind"] == "induction"].nlargest(3, "prefix_matching").itertuples():
            name = f"{row.layer}.{row.head}"
            axes.annotate(
                name, (row.prefix_matching, row.copying), xytext=(3, 2), textcoords="offset points", fontsize=6
            )
        counted = own["kind"].value_counts()
        said = ", ".join(
            f"{counted[kind]} {kind}" for kind in ("induction", "look-alike", "copier", "unknown") if kind in counted
        )
        axes.set_title(f"{model}\n{said or 'none matches or copies'}", fontsize=7)
        axes.set(xlim=(-0.03, 1.03), ylim=(-1.05, 1.05))
    for axes in panels[-1]:
        axes.set_xlabel("prefix matching")
    for axes in panels[:, 0]:
        axes.set_ylabel("copying")
    return figure


def draw_look_alikes(look_alikes):
    """Read the table of all models."""
    return head_kinds(tables.read(look_alikes), MATCHING, COPYING)
