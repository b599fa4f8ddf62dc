"""Figure 5 of Chen ("Exploring transformer interpretability", section 2): what a long context gains."""

import numpy as np
from matplotlib.lines import Line2D

from headatlas.base import tables
from headatlas.base.statistics import describe_mean
from headatlas.plotting import style
from headatlas.studies.induction.figures.panels import log_axis
from headatlas.studies.induction.findings import GAINS, gain, told_texts


@style.paper
def in_context(pairs, curves, facts, gains, protocol):
    """Fig 5: what a long context gains over a short one, text by text; corrected, over one as long of another text.

    Parameters
    ----------
    pairs : dict from model to DataFrame of [protocol, member, text, short, elsewhere, long]
    curves : dict from model to DataFrame of [member, size, loss, low, high]
    facts : dict from model to Mapping
        `short`, `long`, `causal`, `texts`, `across`.
    gains : dict from (model, protocol, member) to (mean, low, high)
    protocol : {"published", "corrected"}

    Returns
    -------
    matplotlib.figure.Figure
    """
    both = protocol == "corrected"
    without, within = GAINS[protocol]
    wide = len(pairs)
    figure = style.blank(max(2.6, min(style.WIDTH, 2.3 * wide)), 4.8 if both else 2.7)
    room = (figure.get_figwidth() - 0.5) / wide - 0.1
    panels = figure.subplots(2 if both else 1, wide, squeeze=False, sharey="row")
    for column, (model, table) in enumerate(pairs.items()):
        axes, own = panels[0, column], table[table["protocol"] == protocol]
        for member, rows in own.groupby("member"):
            values = np.sort((rows[without] - rows[within]).to_numpy())[::-1]
            colour = style.member_colour(member)
            axes.plot(np.arange(1, len(values) + 1), values, ".", markersize=3, color=colour)
            mean, low, high = gains[model, protocol, member]
            axes.axhline(mean, color=colour, linewidth=0.9)
            if both:
                axes.axhspan(low, high, color=colour, alpha=0.15, linewidth=0)
        mean = np.mean([gains[model, protocol, member][0] for member in own["member"].unique()])
        axes.axhline(0, color="0.6", linewidth=0.6, zorder=0)
        axes.set_title(style.wrapped(f"{model}\nmean {mean:.2f}", room))
        axes.set_xlabel("texts, sorted")
        if both:
            _curve(panels[1, column], curves[model], facts[model], room)
            for member, loss in own.groupby("member")["elsewhere"].mean().items():
                panels[1, column].plot(facts[model]["long"], loss, "x", markersize=4, color=style.member_colour(member))
    said = facts[next(iter(facts))]
    panels[0, 0].set_ylabel(f"loss in {said['short']} less\nloss in {said['long']} tokens (nats)")
    if both:
        panels[0, 0].set_ylabel("loss in another text's\nless in its own (nats)")
    if both:
        panels[1, 0].set_ylabel("loss (nats)")
    members = sorted({member for *_, member in gains})
    keys = []
    if 1 < len(members) <= 12:
        keys = [Line2D([], [], color=style.member_colour(member), label=f"member {member}") for member in members]
    if both:
        keys.append(Line2D([], [], linestyle="", marker="x", color="0.3", label="far part another text's"))
    if keys:
        figure.legend(
            handles=keys,
            loc="outside lower center",
            ncols=min(len(keys), max(1, int(figure.get_figwidth() / 1.7))),
            handlelength=1.2,
        )
    said = "; ".join(f"{model} {_gain_in_words(gains, model, protocol)}" for model in pairs)
    of = "its own long context beside one of another text" if both else "the long context beside the short one"
    style.finding(figure, f"mean gain of {of}, in nats: {said}")
    return figure


def _gain_in_words(gains, model, protocol):
    """One member's mean with its bootstrap interval; of several the mean over them and its interval."""
    own = [gain for (one, of, _), gain in gains.items() if (one, of) == (model, protocol)]
    means = [mean for mean, *_ in own]
    if len(own) == 1:
        return f"{means[0]:+.2f} (95% {own[0][1]:+.2f} to {own[0][2]:+.2f}, over texts)"
    return describe_mean(means, signed=True)


def _curve(axes, curve, facts, room):
    for member, rows in curve.groupby("member"):
        colour = style.member_colour(member)
        axes.plot(rows["size"], rows["loss"], color=colour, linewidth=1)
        axes.fill_between(rows["size"], rows["low"], rows["high"], color=colour, alpha=0.15, linewidth=0)
    for size in (facts["short"], facts["long"]):
        axes.axvline(size, color="0.6", linewidth=0.6, linestyle=":", zorder=0)
    log_axis(axes, curve["size"].min(), curve["size"].max(), narrow=room < 2)
    axes.set_xlabel(style.wrapped("position of the token" if facts["causal"] else "context of the masked token", room))
    axes.set_title(style.wrapped(told_texts(facts), room), fontsize=8)


def draw_in_context(pairs, curve, models, protocol):
    """Fig 5; a file of each model, in their order."""
    files = list(zip(models, pairs, strict=True))
    pairs = {model: tables.read(path) for model, path in files}
    gains = {}
    for model, table in pairs.items():
        for member, rows in table[table["protocol"] == protocol].groupby("member"):
            gains[model, protocol, member] = gain(rows, protocol)
    curves = {model: tables.read(path) for model, path in zip(models, curve, strict=True)}
    return in_context(pairs, curves, {model: tables.facts(path) for model, path in files}, gains, protocol)
