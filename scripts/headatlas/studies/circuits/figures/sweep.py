"""The figures of "Interpretability of Transformer Circuits" (Jayakumar et al.) that are no heat maps."""

import textwrap

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, NullFormatter, PercentFormatter

from headatlas.base import tables
from headatlas.base.statistics import FEWEST, describe_p_value
from headatlas.plotting import style
from headatlas.studies.circuits import findings, sweep_effects

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
    shown = 1 if protocol == "published" else 4
    lines = [(model, sample) for model in models for sample in [None, *range(shown)]]
    figure = style.blank(style.WIDTH, 0.4 + 0.23 * len(lines), layout=None)  # places are inches, which no layout moves
    shares = {model: _share(drawn[drawn["model"] == model]) for model in models}
    for row, (model, sample) in enumerate(lines):
        height = 1 - (0.5 + 0.23 * row) / figure.get_figheight()
        if sample is None:
            tokenizer, share = shares[model]
            said = f"{tokenizer}: {share}" if shown > 1 else tokenizer
            figure.text(0.01, height, said, va="center", fontsize=8)
            continue
        own = drawn[(drawn["model"] == model) & (drawn["sample"] == sample)].sort_values("position")
        _pieces(figure, height, own)
    said = "sampled text by tokenizer (orange: a piece that continues a word; grey: the prompt)"
    figure.suptitle(style.wrapped(said, style.WIDTH - 0.2), fontsize=8.5)
    return style.finding(figure, "; ".join(f"{tokenizer}: {share}" for tokenizer, share in shares.values()))


def _share(drawn):
    """A model's tokenizer, and in words how many of the pieces that it added continue a word, with their error."""
    per_text = drawn[drawn["generated"]].groupby("sample")["continuation"].mean()
    texts = f"{len(per_text)} texts"
    if len(per_text) >= FEWEST:
        texts += f", standard error {per_text.sem():.0%}"
    said = f"{per_text.mean():.0%} of pieces continue a word ({texts})"
    return drawn["tokenizer"].iloc[0], said


def _pieces(figure, height, text):
    """One text's pieces side by side, as far as they fit on the page."""
    renderer = figure.canvas.get_renderer()
    left, continuing = 0.02, style.colour(1 + 2 * len(style.PALETTE))  # orange, darker: it is text
    for piece in text.itertuples():
        colour = "0.55" if not piece.generated else continuing if piece.continuation else "black"
        drawn = figure.text(left, height, style.printable(piece.piece, 18), va="center", color=colour, fontsize=8)
        right = left + drawn.get_window_extent(renderer).width / figure.bbox.width
        if right > 0.97:
            drawn.set_text("…")
            return
        left = right + 0.012


@style.paper
def learning_curves(table, ended, axes, protocol, compared=None):
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
        Corrected, the baselines are drawn, and below what each parameter does to the last loss; published, the paper's
        loss on the run of `compared`.
    compared : DataFrame of [step, split, cross_entropy, over_positions, flat], optional
        The paper's loss and the cross-entropy of one run, at its snapshots.

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
    of_paper = not corrected and compared is not None
    rows = (["over_positions"] if of_paper else []) + ["loss", "accuracy"]
    figure = style.blank(style.WIDTH, 1.9 * len(rows) + (0.8 if corrected else 0.4) + (1.9 if varied else 0))
    parts = figure.subfigures(2 if varied else 1, 1, squeeze=False, height_ratios=[4.4, 2.0][: 2 if varied else 1])
    panels = parts[0, 0].subplots(len(rows), 2, sharex=not of_paper, squeeze=False)
    if of_paper:
        _published_loss(panels[0], compared)
    for row, quantity in enumerate(rows):
        if quantity == "over_positions":
            continue
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
            name = "cross-entropy\n(nats per token)" if quantity == "loss" else "token accuracy"
            panel.set(title=f"{title} {quantity}", ylabel="" if column else name)
            panel.set_xlabel("epoch" if quantity == "accuracy" else "")
            panel.set_xlim(left=0)
            if quantity == "accuracy":
                panel.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
                panel.set_ylim(bottom=0)
            elif corrected:
                for baseline in ("unigram", "bigram"):
                    for value in sorted(set(table[baseline].round(3))):
                        panel.axhline(value, color="0.25", linewidth=0.7, linestyle=(0, (4, 2)), zorder=1)
                    value = table[baseline].max()
                    at = {"xytext": (3, 0), "textcoords": "offset points", "va": "center"}
                    panel.annotate(baseline, (1, value), xycoords=panel.get_yaxis_transform(), color="0.25", **at)
    parts[0, 0].suptitle(f"corpus {text['corpus']}, tokenizer {text['tokenizer']}", fontsize=8.5)
    _sweep_key(parts[0, 0], variants, axes)
    moved = sweep_effects.effects(ended, list(axes))
    style.finding(figure, _ends(ended, moved, table["bigram"].mean(), compared if of_paper else None))
    if varied:
        _parameters(parts[1, 0], ended, moved, varied, variants)
    return figure


def _ends(ended, moved, bigram, compared):
    """The last losses in words: of each variant, the mean over its runs and its error from the noise of all runs."""
    of_variants = moved[moved["parameter"] == "variant"]
    last = sweep_effects.describe_values(of_variants) or [f"{ended['variant'].iloc[0]} {ended['loss'].mean():.2f}"]
    error = " ± standard error" if of_variants["error"].notna().any() else ""
    said = f"last held-out cross-entropy (nats per token, mean over runs{error}): {', '.join(last)}"
    said += f"; bigram baseline {bigram:.2f}"
    if compared is not None:
        held = compared[compared["split"] == "held out"].sort_values("step")["over_positions"]
        said += (
            "; the paper's loss, which is taken over positions, was measured on one run alone: "
            f"{held.iloc[0]:.4f} to {held.iloc[-1]:.4f}"
        )
    return said


def _published_loss(panels, compared):
    """The paper's loss of one run at its snapshots, training left and held out right."""
    for panel, split in zip(panels, ("train", "held out"), strict=True):
        own = compared[compared["split"] == split].sort_values("step")
        panel.plot(own["step"] + 1, own["over_positions"], color="black", marker="o", markersize=2.5, linewidth=0.9)
        panel.set(title=f"as published, {split} (one run)", xlabel="training step + 1", xscale="log")
        panel.set_ylim(bottom=0)
        panel.xaxis.set_major_formatter(FormatStrFormatter("%d"))
        panel.xaxis.set_minor_formatter(NullFormatter())
    panels[0].set_ylabel("over positions")


def _sweep_key(figure, variants, axes):
    keys = [Line2D([], [], color=style.model_colour(place), label=name) for place, name in enumerate(variants)]
    rates = axes["learning_rate"]
    keys += [
        Line2D([], [], color="0.3", linestyle=_LINES[place % len(_LINES)], label=f"learning rate {rate:g}")
        for place, rate in enumerate(rates)
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=3, columnspacing=1)


def _parameters(figure, ended, moved, varied, variants):
    """One panel per parameter: last losses of all runs and seeds at each value, and their mean with its error."""
    panels = figure.subplots(1, len(varied), squeeze=False, sharey=True)[0]
    for panel, axis in zip(panels, varied, strict=True):
        values = list(dict.fromkeys(ended[axis].sort_values() if axis != "variant" else ended[axis]))
        means = moved[moved["parameter"] == axis].set_index("value")
        for place, value in enumerate(values):
            own = ended[ended[axis] == value]
            spots = place + np.linspace(-0.12, 0.12, len(own)) if len(own) > 1 else [place]
            panel.scatter(spots, own["loss"], s=12, c=[style.model_colour(variants.index(v)) for v in own["variant"]])
            of_value = means.loc[str(value)]
            panel.errorbar(place, of_value["loss"], of_value["error"], 0.25, color="black", elinewidth=1.2, fmt="none")
        short = [str(value).replace("layer-", "layer\n").replace("-residual", "\nresidual") for value in values]
        panel.set_xticks(range(len(values)), short)
        test = f"\nHolm {describe_p_value(means['p_holm'].iloc[0])}" if means["p"].notna().any() else ""
        panel.set(title=f"{_AXES.get(axis, axis)}{test}", xlim=(-0.5, len(values) - 0.5))
    panels[0].set_ylabel("last held-out loss\n(nats per token)")
    said = "each point a run and seed, each bar a mean ± its standard error, from the noise between seeds of all runs"
    if moved["noise"].isna().any():
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
    cells = [["\n".join(textwrap.wrap(str(cell), 20)) for cell in row] for row in table.to_numpy()]
    lines = [max(cell.count("\n") + 1 for cell in row) for row in cells]
    figure = style.blank(style.WIDTH, 0.35 + 0.155 * sum(lines) + 0.06 * len(lines), layout="none")
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    axes.axis("off")
    axes.set(xlim=(0, 4), ylim=(sum(lines) + 0.4 * len(lines) + 1.7, 0))
    starts = (0, 1.0, 2.05, 3.05)
    for start, name in zip(starts, table.columns, strict=True):
        axes.text(start, 0.7, name, fontweight="bold", va="center")
    upper = 1.5
    axes.axhline(upper - 0.1, color="black", linewidth=0.6)
    for row, height in zip(cells, lines, strict=True):
        for start, cell in zip(starts, row, strict=True):
            axes.text(start, upper + 0.15, cell, va="top", fontsize=8)
        upper += height + 0.4
    ours = table.set_index("setting")["this run"]
    said = ", ".join(f"{name} {ours[name]}" for name in ("layers", "heads", "d_model", "training text") if name in ours)
    return style.finding(figure, f"this run has {said}")


def draw_tokenizers(text, models, protocol):
    """Fig 1: the texts of its models."""
    texts = tables.read(text)
    return tokenizers(texts[texts["model"].isin(models)], protocol)


def draw_sweep(sweep, axes, protocol, losses=None):
    """Fig 2; `losses` are those of the run on which the paper's loss was measured, if it was."""
    table = tables.read(sweep)
    ended = findings.in_grid(findings.outcomes(table, by_seed=True), axes)
    return learning_curves(table, ended, axes, protocol, tables.read(losses) if losses else None)


def draw_losses(losses):
    """Read the losses of one run at its snapshots."""
    return losses_compared(tables.read(losses), tables.facts(losses))


def draw_settings(models):
    """Table I, and its rows."""
    table = findings.settings_table(models)
    return settings(table), table
