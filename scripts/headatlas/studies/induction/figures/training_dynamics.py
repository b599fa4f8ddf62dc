"""Induction while a model trains."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from headatlas.base import tables
from headatlas.base.statistics import describe_mean, interval_of_mean
from headatlas.plotting import style
from headatlas.studies.induction import phase_changes
from headatlas.studies.induction.figures.panels import log_axis
from headatlas.studies.induction.repeated_tokens import induction_heads


@style.paper
def training_dynamics(found, counted):
    """Induction, previous-token and in-context-learning scores against the tokens seen in training.

    Heads are those that `phase_changes.of_members` names: chosen at the end, on other sequences than are drawn.

    Parameters
    ----------
    found : dict from model to DataFrame
        As `training_dynamics.trace` gives.
    counted : dict from model to DataFrame of [member, layer, head]
        The induction heads of the trained models.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if not found:
        return style.nothing_to_show("no model of this study kept snapshots of its training")
    figure = style.blank(max(3.0, min(style.WIDTH, 2.3 * len(found))), 4.4)
    panels = figure.subplots(2, len(found), squeeze=False, sharex="col", sharey="row")
    for column, (model, table) in enumerate(found.items()):
        heads, learning = panels[:, column]
        times = phase_changes.of_members(table, counted[model])
        first = table.loc[table["tokens"] > 0, "tokens"].min()
        for row in times.itertuples():
            own, colour = table[table["member"] == row.member], style.member_colour(row.member)
            drawn = [(heads, "induction", row.layer, row.head, "-"), (learning, "in_context", -1, -1, "-")]
            if np.isfinite(row.previous_token):
                drawn.append((heads, "previous_token", row.earlier_layer, row.earlier_head, (0, (3, 1.5))))
            for axes, score, layer, head, dashes in drawn:
                tokens, values = phase_changes.curve(own[own["score"] == score], layer, head)
                tokens = np.maximum(tokens, 0.8 * first)  # a log scale has no zero
                axes.plot(tokens, values, color=colour, linewidth=0.9, linestyle=dashes)
        for axes in (heads, learning):
            _shade(axes, times["induction"], first, table["tokens"].max())
        heads.axhline(table.loc[table["score"] == "induction", "chance"].mean(), color="0.6", linewidth=0.6)
        log_axis(heads, first, table["tokens"].max(), narrow=len(found) > 2)
        heads.set(title=style.wrapped(model, figure.get_figwidth() / len(found) - 0.15), ylim=(0, 1))
        learning.set_xlabel("tokens seen")
        learning.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    style.finding(figure, _when(found, counted))
    panels[0, 0].set_ylabel("attention")
    panels[1, 0].set_ylabel("in-context learning (nats)")
    keys = [
        Line2D([], [], color="0.3", linewidth=0.9, label="strongest induction head"),
        Line2D([], [], color="0.3", linewidth=0.9, linestyle=(0, (3, 1.5)), label="previous-token head below it"),
        Line2D([], [], color="0.6", linewidth=0.6, label="chance"),
        Rectangle((0, 0), 1, 1, color=style.HELD_OUT, alpha=0.15, label="half of the rise, 95% over members"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=1 + (len(found) > 2), fontsize=8)
    return figure


def _when(found, counted):
    said = []
    for model, table in found.items():
        times = phase_changes.of_members(table, counted[model])["induction"] / 1e3
        if times.notna().any():
            told = describe_mean(times, 0, within=(0, table["tokens"].max() / 1e3))
            said.append(f"{model} after {told} thousand tokens")
    if not said:
        return "no model forms an induction head"
    return f"the strongest induction head has half of its rise in {', '.join(said)}"


def _shade(axes, times, first, end):
    mean, low, high = interval_of_mean(times, within=(0.8 * first, end))  # as far as curves are drawn
    if np.isfinite(low):
        axes.axvspan(low, high, color=style.HELD_OUT, alpha=0.15, linewidth=0)
    if np.isfinite(mean):
        axes.axvline(mean, color=style.HELD_OUT, linewidth=0.8)


def draw_dynamics(dynamics, maps, models):
    """Read a file of each model, in their order."""
    found = {model: tables.read(path) for model, path in zip(models, dynamics, strict=True)}
    counted = {
        model: induction_heads(tables.read(path), tables.facts(path)["causal"])
        for model, path in zip(models, maps, strict=True)
    }
    return training_dynamics(found, counted)
