"""The figures of "Interpretability of Transformer Circuits" (Jayakumar et al.) that are no heat maps."""

import textwrap

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, NullFormatter, PercentFormatter

from headatlas.base import tables
from headatlas.plotting import style
from headatlas.studies.circuits import findings

_AXES = {"max_length": "longest text", "d_model": "d_model", "learning_rate": "learning rate"}

_LINES = ("-", "--", ":", "-.")  # of learning rates


@style.paper
def tokenizers(texts, protocol):
    """Fig 1: texts sampled under each tokenizer, and which of their pieces only continue a word.

    Parameters
    ----------
    texts : DataFrame of [model, tokenizer, sample, position, piece, generated, continuation]
    protocol : {"published", "corrected"}
        The published figure is one text of each tokenizer; the corrected one measures all of them.

    Returns
    -------
    matplotlib.figure.Figure
    """
    drawn = texts[texts["sample"] >= 0]
    models = list(dict.fromkeys(drawn["model"]))
    named = {model: drawn.loc[drawn["model"] == model, "tokenizer"].iloc[0] for model in models}
    shown = 1 if protocol == "published" else 4
    figure = style.blank(style.WIDTH, 0.7 + 0.2 * (shown + 1.6) * len(models) + (1.2 if shown > 1 else 0))
    heights = [0.2 * (shown + 1.6) * len(models) + 0.2, *([1.4] if shown > 1 else [])]
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    lines = [(model, sample) for model in models for sample in [None, *range(shown)]]
    axes = panels[0]
    axes.set(xlim=(0, 1), ylim=(len(lines) - 0.5, -0.5))
    axes.axis("off")
    for row, (model, sample) in enumerate(lines):
        if sample is None:
            axes.text(0, row, named[model], fontweight="bold", va="center")
            continue
        own = drawn[(drawn["model"] == model) & (drawn["sample"] == sample)].sort_values("position")
        _pieces(figure, axes, row, own)
    said = "sampled text by tokenizer (orange: a piece that continues a word; grey: the prompt)"
    figure.suptitle(style.wrapped(said, style.WIDTH - 0.2), fontsize=8.5)
    if shown > 1:
        added = drawn[drawn["generated"]]
        per_text = added.groupby(["model", "sample"])["continuation"].mean()
        places = range(len(models))
        means = [per_text[model].mean() for model in models]
        errors = [per_text[model].std(ddof=1) / np.sqrt(max(1, len(per_text[model]))) for model in models]
        panels[1].barh(places, means, xerr=np.nan_to_num(errors), color="#E69F00", height=0.6)
        panels[1].set_yticks(places, [named[model] for model in models])
        panels[1].invert_yaxis()
        panels[1].xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
        count = drawn["sample"].nunique()
        panels[1].set_xlabel(f"pieces that continue a word\n(mean of {count} sampled texts, with standard error)")
    return figure


def _pieces(figure, axes, row, text):
    """One text's pieces side by side."""
    renderer = figure.canvas.get_renderer()
    wide = axes.get_position().width * figure.get_size_inches()[0] * figure.dpi
    left = 0.02
    for piece in text.itertuples():
        colour = "0.55" if not piece.generated else "#B35C00" if piece.continuation else "black"
        drawn = axes.text(left, row, style.printable(piece.piece, 18), va="center", color=colour, fontsize=7)
        left += drawn.get_window_extent(renderer).width / wide + 0.012


@style.paper
def learning_curves(table, ended, axes, protocol):
    """Fig 2: losses and accuracies by epoch of all runs on the first corpus and tokenizer of the sweep.

    Losses per token of other tokenizers, and baselines of other texts, are not comparable with them.

    Parameters
    ----------
    table : DataFrame
        All runs: model, the axes, step, epoch, split, loss, accuracy, unigram, bigram.
    ended : DataFrame
        The last held-out loss of every seed of the runs of the grid, with the axes.
    axes : dict from axis to list of values
    protocol : {"published", "corrected"}
        Corrected, the baselines are drawn, and below what each parameter does to the last loss.

    Returns
    -------
    matplotlib.figure.Figure
    """
    corrected = protocol == "corrected"
    text = {axis: axes[axis][0] for axis in ("corpus", "tokenizer")}
    table, ended = (
        rows[(rows["corpus"] == text["corpus"]) & (rows["tokenizer"] == text["tokenizer"])] for rows in (table, ended)
    )
    variants = list(dict.fromkeys(table["variant"]))
    varied = [axis for axis in axes if ended[axis].nunique() > 1] if corrected else []
    figure = style.blank(style.WIDTH, 2.3 + (2.3 if corrected else 1.9) + (1.9 if varied else 0))
    parts = figure.subfigures(2 if varied else 1, 1, squeeze=False, height_ratios=[4.4, 2.0][: 2 if varied else 1])
    panels = parts[0, 0].subplots(2, 2, sharex=True)
    for row, quantity in enumerate(("loss", "accuracy")):
        for column, (split, title) in enumerate((("train", "train"), ("validation", "held out"))):
            panel = panels[row, column]
            for model, own in table[table["split"] == split].groupby("model", sort=False):
                mean = own.groupby("epoch")[quantity].mean()
                colour = style.model_colour(variants.index(own["variant"].iloc[0]))
                rate = own["learning_rate"].iloc[0]
                style_ = ["-", "--", ":", "-."][
                    axes["learning_rate"].index(rate) % 4 if rate in axes["learning_rate"] else 3
                ]
                panel.plot(mean.index, mean, color=colour, linewidth=0.9, linestyle=style_, label=model)
            name = "loss (nats per token)" if quantity == "loss" else "token accuracy"
            panel.set(title=f"{title} {quantity}", ylabel=name, xlabel="epoch" if row else "")
            if quantity == "accuracy":
                panel.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
                panel.set_ylim(bottom=0)
            elif corrected:
                for baseline in ("unigram", "bigram"):
                    for value in sorted(set(table[baseline].round(3))):
                        panel.axhline(value, color="0.25", linewidth=0.7, linestyle=(0, (4, 2)), zorder=1)
                    value = table[baseline].max()
                    at = {"xytext": (3, 0), "textcoords": "offset points", "va": "center", "fontsize": 6}
                    panel.annotate(baseline, (1, value), xycoords=panel.get_yaxis_transform(), color="0.25", **at)
    parts[0, 0].suptitle(f"corpus {text['corpus']}, tokenizer {text['tokenizer']}", fontsize=8)
    _sweep_key(parts[0, 0], variants, axes)
    last = ended.groupby("variant")["loss"].mean()
    said = ", ".join(f"{name} {last[name]:.2f}" for name in variants if name in last)
    style.finding(
        figure,
        f"last held-out loss (nats per token, mean over runs): {said}; bigram baseline {table['bigram'].mean():.2f}",
    )
    if varied:
        _parameters(parts[1, 0], ended, varied, variants)
    return figure


def _sweep_key(figure, variants, axes):
    keys = [Line2D([], [], color=style.model_colour(place), label=name) for place, name in enumerate(variants)]
    rates = axes["learning_rate"]
    keys += [
        Line2D([], [], color="0.3", linestyle=_LINES[place % len(_LINES)], label=f"learning rate {rate:g}")
        for place, rate in enumerate(rates)
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=3, columnspacing=1)


def _parameters(figure, ended, varied, variants):
    """One panel per parameter: last losses of all runs and seeds at each value, their mean and its error over seeds."""
    panels = figure.subplots(1, len(varied), squeeze=False, sharey=True)[0]
    for panel, axis in zip(panels, varied, strict=True):
        values = list(dict.fromkeys(ended[axis].sort_values() if axis != "variant" else ended[axis]))
        for place, value in enumerate(values):
            own = ended[ended[axis] == value]
            spots = place + np.linspace(-0.12, 0.12, len(own)) if len(own) > 1 else [place]
            panel.scatter(spots, own["loss"], s=12, c=[style.model_colour(variants.index(v)) for v in own["variant"]])
            by_seed = own.groupby("member")["loss"].mean()
            panel.errorbar(place, by_seed.mean(), by_seed.sem(), 0.25, color="black", elinewidth=1.2, fmt="none")
        short = [str(value).replace("two-layer", "2").replace("one-layer", "1") for value in values]
        panel.set_xticks(range(len(values)), short)
        panel.set(title=_AXES.get(axis, axis), xlim=(-0.5, len(values) - 0.5))
    panels[0].set_ylabel("last held-out loss\n(nats per token)")
    seeds = ended["member"].nunique()
    said = f"each point a run and seed, each bar a mean over {seeds} seeds ± its standard error"
    if seeds < 2:
        said = "each point a run, each bar a mean; one seed, so what matters is not asked"
    figure.suptitle(style.wrapped(f"loss by parameter: {said}", style.WIDTH - 0.3), fontsize=8)


@style.paper
def losses_compared(table, facts):
    """The published loss, over positions, beside the cross-entropy over the vocabulary on the same training run.

    Parameters
    ----------
    table : DataFrame of [step, split, cross_entropy, over_positions, flat]
    facts : Mapping
        vocabulary, and size: positions and one.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = style.blank(style.WIDTH, 3.1)
    left, right = figure.subplots(1, 2)
    for split, colour in (("train", style.TRAIN), ("held out", style.HELD_OUT)):
        own = table[table["split"] == split].sort_values("step")
        steps = own["step"] + 1
        left.plot(steps, own["over_positions"], color=colour, marker="o", markersize=3, linewidth=1.2, label=split)
        right.plot(steps, own["cross_entropy"], color=colour, marker="o", markersize=3, linewidth=1.2, label=split)
    held = table[table["split"] == "held out"].sort_values("step").iloc[[0, -1]]
    ends = {
        name: " to ".join(format(value, digits) for value in held[name])
        for name, digits in (("over_positions", ".4f"), ("cross_entropy", ".2f"))
    }
    style.finding(
        figure,
        f"held out, the published loss goes from {ends['over_positions']} where the cross-entropy goes from "
        f"{ends['cross_entropy']} nats",
    )
    positions, vocabulary = facts["size"] - 1, facts["vocabulary"]
    right.axhline(
        np.log(vocabulary), color="0.25", linewidth=0.8, linestyle=(0, (4, 2)), label="uniform prediction: ln V"
    )
    for split, colour in (("train", style.TRAIN), ("held out", style.HELD_OUT)):  # their shares of padding differ
        nothing = table[table["split"] == split]["flat"].iloc[0]
        left.axhline(nothing, color=colour, linewidth=0.8, linestyle=(0, (4, 2)))
    left.plot([], [], color="0.25", linewidth=0.8, linestyle=(0, (4, 2)), label="uniform prediction: T ln T / V")
    title = f"as published: softmax over the\n{positions} positions"
    left.set(title=title, xlabel="training step + 1", ylabel="mean over text and vocabulary", xscale="log")
    title = f"cross-entropy: softmax over the\n{vocabulary:,} tokens of the vocabulary"
    right.set(title=title, xlabel="training step + 1", ylabel="nats per token", xscale="log")
    left.set_ylim(bottom=0)
    right.set_ylim(bottom=0)
    for panel in (left, right):
        panel.legend()
        panel.xaxis.set_major_formatter(FormatStrFormatter("%d"))
        panel.xaxis.set_minor_formatter(NullFormatter())
    return figure


@style.paper
def settings(table):
    """Table I: one row per setting, one column per work.

    Parameters
    ----------
    table : DataFrame
        The first column names the setting.

    Returns
    -------
    matplotlib.figure.Figure
    """
    cells = [["\n".join(textwrap.wrap(str(cell), 22)) for cell in row] for row in table.to_numpy()]
    lines = [max(cell.count("\n") + 1 for cell in row) for row in cells]
    figure = style.blank(style.WIDTH, 0.5 + 0.17 * sum(lines) + 0.08 * len(lines), layout="none")
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    axes.axis("off")
    axes.set(xlim=(0, 4), ylim=(sum(lines) + 0.5 * len(lines) + 1.5, 0))
    starts = (0, 0.9, 1.95, 3.0)
    for start, name in zip(starts, table.columns, strict=True):
        axes.text(start, 0.7, name, fontweight="bold", va="center")
    upper = 1.5
    axes.axhline(upper - 0.1, color="black", linewidth=0.6)
    for row, height in zip(cells, lines, strict=True):
        for start, cell in zip(starts, row, strict=True):
            axes.text(start, upper + 0.15, cell, va="top", fontsize=7)
        upper += height + 0.5
    return figure


def draw_tokenizers(text, models, protocol):
    """Fig 1: the texts of its models."""
    texts = tables.read(text)
    return tokenizers(texts[texts["model"].isin(models)], protocol)


def draw_sweep(sweep, axes, protocol):
    """Fig 2."""
    table = tables.read(sweep)
    return learning_curves(table, findings.in_grid(findings.outcomes(table, by_seed=True), axes), axes, protocol)


def draw_losses(losses):
    """Read the losses of one run at its snapshots."""
    return losses_compared(tables.read(losses), tables.facts(losses))


def draw_settings(models):
    """Table I, and its rows."""
    table = findings.settings_table(models)
    return settings(table), table
