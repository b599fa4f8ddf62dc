"""Figure 5 of Chen ("Exploring transformer interpretability", section 2): what a long context gains."""

import numpy as np

from headatlas.base import tables
from headatlas.plotting import style
from headatlas.studies.induction.figures.panels import log_axis
from headatlas.studies.induction.findings import gain


@style.paper
def in_context(pairs, curves, facts, gains, protocol):
    """Fig 5: what a long context gains over a short one, text by text; corrected, with intervals and whole curves.

    Parameters
    ----------
    pairs : dict from model to DataFrame of [protocol, member, text, short, long]
    curves : dict from model to DataFrame of [member, size, loss, low, high]
    facts : dict from model to Mapping
        `short`, `long`, `causal`, `texts`, `skipped`.
    gains : dict from (model, protocol, member) to (mean, low, high)
    protocol : {"published", "corrected"}

    Returns
    -------
    matplotlib.figure.Figure
    """
    both = protocol == "corrected"
    wide = len(pairs)
    figure = style.blank(max(2.6, min(style.WIDTH, 2.3 * wide)), 4.8 if both else 2.7)
    room = (figure.get_figwidth() - 0.5) / wide - 0.2
    panels = figure.subplots(2 if both else 1, wide, squeeze=False)
    for column, (model, table) in enumerate(pairs.items()):
        axes, own = panels[0, column], table[table["protocol"] == protocol]
        for member, rows in own.groupby("member"):
            values = np.sort((rows["short"] - rows["long"]).to_numpy())[::-1]
            colour = style.member_colour(member)
            axes.plot(np.arange(1, len(values) + 1), values, ".", markersize=3, color=colour)
            mean, low, high = gains[model, protocol, member]
            axes.axhline(mean, color=colour, linewidth=0.9)
            if both:
                axes.axhspan(low, high, color=colour, alpha=0.15, linewidth=0)
        mean = np.mean([gains[model, protocol, member][0] for member in own["member"].unique()])
        axes.axhline(0, color="0.6", linewidth=0.6, zorder=0)
        axes.set_title(style.wrapped(f"{model}\nmean {mean:.2f} nats", room))
        axes.set_xlabel("texts, sorted")
        if both:
            _curve(panels[1, column], curves[model], facts[model], room)
    said = facts[next(iter(facts))]
    panels[0, 0].set_ylabel(f"loss in {said['short']} less\nloss in {said['long']} tokens (nats)")
    if both:
        panels[1, 0].set_ylabel("loss (nats)")
    means = {
        model: np.mean([gain[0] for (one, kind, _), gain in gains.items() if (one, kind) == (model, protocol)])
        for model in pairs
    }
    style.finding(figure, f"mean gain in nats: {', '.join(f'{model} {mean:+.2f}' for model, mean in means.items())}")
    return figure


def _curve(axes, curve, facts, room):
    for member, rows in curve.groupby("member"):
        colour = style.member_colour(member)
        axes.plot(rows["size"], rows["loss"], color=colour, linewidth=1)
        axes.fill_between(rows["size"], rows["low"], rows["high"], color=colour, alpha=0.15, linewidth=0)
    for size in (facts["short"], facts["long"]):
        axes.axvline(size, color="0.6", linewidth=0.6, linestyle=":", zorder=0)
    log_axis(axes, curve["size"].min(), curve["size"].max(), narrow=room < 2)
    axes.set_xlabel(style.wrapped("position of the token" if facts["causal"] else "context of the masked token", room))
    axes.set_title(style.wrapped(f"{facts['texts']} texts, {facts['skipped']} too short", room), fontsize=8)


def draw_in_context(pairs, curve, models, protocol):
    """Fig 5; a file of each model, in their order."""
    files = list(zip(models, pairs, strict=True))
    pairs = {model: tables.read(path) for model, path in files}
    gains = {}
    for model, table in pairs.items():
        for member, rows in table[table["protocol"] == protocol].groupby("member"):
            gains[model, protocol, member] = gain(rows)
    curves = {model: tables.read(path) for model, path in zip(models, curve, strict=True)}
    return in_context(pairs, curves, {model: tables.facts(path) for model, path in files}, gains, protocol)
