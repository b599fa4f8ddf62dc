"""Induction while a model trains."""

import numpy as np

from headatlas.base import tables
from headatlas.plotting import style
from headatlas.studies.induction.figures.panels import log_axis, nothing


@style.paper
def training_dynamics(found):
    """Induction, previous-token and in-context-learning scores against the tokens seen in training.

    Parameters
    ----------
    found : dict from model to DataFrame of [member, step, tokens, score, layer, head, value]

    Returns
    -------
    matplotlib.figure.Figure
    """
    if not found:
        return nothing("no model of this study kept snapshots of its training")
    figure = style.blank(max(3.0, min(style.WIDTH, 2.5 * len(found))), 4.2)
    panels = figure.subplots(2, len(found), squeeze=False, sharex="col", sharey="row")
    for (heads, learning), (model, table) in zip(panels.T, found.items(), strict=True):
        first = table.loc[table["tokens"] > 0, "tokens"].min()
        for member, own in table.groupby("member"):
            for score, dashes in (("induction", "-"), ("previous_token", (0, (3, 1.5)))):
                best = own[own["score"] == score].groupby("tokens")["value"].max()
                label = f"strongest {score.replace('_', '-')} head" if member == table["member"].min() else None
                seen = np.maximum(best.index, first / 2)  # a log scale has no zero
                heads.plot(seen, best, color=style.member_colour(member), linewidth=1, linestyle=dashes, label=label)
            gain = own[own["score"] == "in_context"].sort_values("tokens")
            learning.plot(
                np.maximum(gain["tokens"], first / 2), gain["value"], color=style.member_colour(member), linewidth=1
            )
        log_axis(heads, first, table["tokens"].max())
        heads.set(title=model, ylim=(0, 1))
        learning.set_xlabel("tokens seen")
        learning.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    panels[0, 0].set_ylabel("score of the strongest head")
    panels[1, 0].set_ylabel("in-context learning (nats)")
    panels[0, 0].legend(loc="upper left")
    return figure


def draw_dynamics(dynamics, models):
    """Read a file of each model, in their order."""
    return training_dynamics({model: tables.read(path) for model, path in zip(models, dynamics, strict=True)})
