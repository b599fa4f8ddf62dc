"""The loss without induction heads: redundancy within a layer, and what later heads make good."""

import numpy as np

from headatlas.base import tables
from headatlas.base.statistics import interval_of_mean
from headatlas.plotting import style
from headatlas.studies.induction import ablation_effects


@style.paper
def redundancy(effects, kind="mean"):
    """Whether the induction heads of a layer stand in for one another: single effects summed, and the joint one.

    Parameters
    ----------
    effects : dict from model to DataFrame
        As `self_repair.effect_tables` gives.
    kind : {"zero", "mean", "resample"}
        Of the ablations drawn.

    Returns
    -------
    matplotlib.figure.Figure
    """
    found = {model: rows for model, table in effects.items() if len(rows := ablation_effects.redundancy(table, kind))}
    unasked = [model for model in effects if model not in found]
    if not found:
        return style.nothing_to_show("redundancy cannot be asked of these models: no layer has two induction heads")
    across = min(2, len(found))
    down = -(-len(found) // across)
    figure = style.blank(max(style.COLUMN, style.WIDTH * across / 2), 2.6 * down + 0.5)
    panels = figure.subplots(down, across, squeeze=False)
    for axes in panels.flat[len(found) :]:
        axes.axis("off")
    for axes, (model, rows) in zip(panels.flat, found.items(), strict=False):
        for row in rows.itertuples():
            values = [row.singly, row.together, row.control]
            axes.plot(range(3), values, "o-", color=style.member_colour(row.member), markersize=3.5, linewidth=0.9)
        if rows["control"].isna().all():
            axes.text(2, 0, "too few\nothers", ha="center", va="bottom", fontsize=style.SMALL, color="0.4")
        axes.set_title(style.wrapped(f"{model}\n{_said(rows['excess'])}", style.WIDTH / across - 0.35), fontsize=8)
        axes.set_xticks(range(3), ["each, summed", "together", "as many others"], rotation=40, ha="right")
        axes.set_xlim(-0.4, 2.4)
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    for axes in panels[:, 0]:
        axes.set_ylabel("rise of the loss\non repeated tokens (nats)")
    style.finding(figure, _findings("together less the sum of each", found, "excess"))
    note = "each line a member; above: together less the sum,\nwith its 95% interval over members"
    if unasked:
        note += f"\nnot asked of {', '.join(unasked)}: no layer has two induction heads"
    figure.supxlabel(style.wrapped(note, figure.get_figwidth() - 0.2), fontsize=8)
    return figure


def _said(values):
    mean, low, high = interval_of_mean(values)
    return f"{mean:+.2f}" + (f" ({low:+.2f} to {high:+.2f})" if np.isfinite(low) else "") + " nats"


def _findings(what, found, column):
    said = "; ".join(f"{model} {_said(rows[column])}" for model, rows in found.items())
    return f"{what}, with 95% intervals over members: {said}"


@style.paper
def backup_heads(effects, backups, kind="mean"):
    """What later heads make good of the loss without the induction heads of a layer, and how their scores change.

    Parameters
    ----------
    effects, backups : dict from model to DataFrame
        As `self_repair.effect_tables` gives.
    kind : {"zero", "mean", "resample"}
        Of the ablations drawn.

    Returns
    -------
    matplotlib.figure.Figure
    """
    found = {model: rows for model, table in effects.items() if len(rows := ablation_effects.repair(table, kind))}
    unasked = [model for model in effects if model not in found]
    if not found:
        return style.nothing_to_show(
            "self-repair cannot be asked of these models: no layer lies after an induction head"
        )
    figure = style.blank(style.WIDTH, 2.1 * len(found) + 0.8)
    panels = figure.subplots(len(found), 2, squeeze=False, width_ratios=(2, 3))
    for (left, right), (model, rows) in zip(panels, found.items(), strict=True):
        for row in rows.itertuples():
            dot = {"color": style.member_colour(row.member), "markersize": 3.5}
            left.plot([0, 1], [row.direct, row.total], "o-", linewidth=0.9, **dot)
            later = _later(backups[model], row, kind)
            places = np.arange(len(later)) + 0.12 * (row.member - rows["member"].mean())
            right.errorbar(places, later["change"], later["standard_error"], fmt="o", elinewidth=0.9, **dot)
        left.set_title(style.wrapped(f"{model}\nmade good: {_said(rows['repair'])}", 0.4 * style.WIDTH), fontsize=8)
        left.set_xticks([0, 1], ["no later head\nresponds", "all\nrespond"])
        left.set(xlim=(-0.4, 1.4), ylabel="rise of the loss (nats)")
        left.set_ylim(bottom=min(0, left.get_ylim()[0]))
        names = [f"{one.layer}.{one.head}" for one in later.itertuples()]
        right.set_xticks(*style.thinned(range(len(names)), names, len(names), 9))
        right.axhline(0, color="0.6", linewidth=0.6, zorder=0)
        right.set_ylabel("change of induction score")
    panels[0, 1].set_title("later heads, with the induction\nheads before them ablated", fontsize=8)
    panels[-1, 1].set_xlabel("later heads (layer.head)")
    style.finding(figure, _findings("what later layers make good", found, "repair"))
    note = "each colour a member; in brackets the 95% interval over members"
    if unasked:
        note += f"\nnot asked of {', '.join(unasked)}: no layer lies after an induction head"
    figure.supxlabel(style.wrapped(note, figure.get_figwidth() - 0.2), fontsize=8)
    return figure


def _later(backups, row, kind):
    """Changes of the heads in layers after the first of a set."""
    own = backups[(backups["member"] == row.member) & (backups["kind"] == kind) & (backups["set"] == row.set)]
    first = min(int(name.split(".")[0]) for name in row.heads.split())
    return own[(own["layer"] > first) & ~own["ablated"]].sort_values(["layer", "head"])


def draw_redundancy(effects, models):
    """Read a file of each model, in their order."""
    return redundancy({model: tables.read(path) for model, path in zip(models, effects, strict=True)})


def draw_backup_heads(effects, backups, models):
    """Read a file of each model, in their order."""
    effects = {model: tables.read(path) for model, path in zip(models, effects, strict=True)}
    backups = {model: tables.read(path) for model, path in zip(models, backups, strict=True)}
    return backup_heads(effects, backups)
