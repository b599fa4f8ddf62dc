"""Training curves, with the losses that counting single tokens and pairs of tokens would reach."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.data import ngram_baselines
from headatlas.plotting import style

_SPLITS = ("train", "held out")
_COLOURS = dict(zip(_SPLITS, (style.TRAIN, style.HELD_OUT), strict=True))


def _curves(axes, history, quantity):
    """One thin line per member and a thick one for their mean, by split."""
    splits = history["split"].where(history["split"] == "train", "held out")
    for split in _SPLITS:
        rows = history[(splits == split) & history[quantity].notna()].sort_values("step", kind="stable")
        if rows.empty:
            continue
        for _, member in rows.groupby("member"):
            axes.plot(member["step"], member[quantity], color=_COLOURS[split], linewidth=0.4, alpha=0.45)
        mean = rows.groupby("step")[quantity].mean()
        marker = "o" if len(mean) == 1 else ""
        axes.plot(mean.index, mean, color=_COLOURS[split], linewidth=1.5, marker=marker, markersize=3)


def _baselines(axes, baselines):
    """Dashed lines at the members' mean baselines, named in the right margin where no curve can hide them."""
    means = {name: float(baselines[name].mean()) for name in ("unigram", "bigram")}
    low, high = axes.get_ylim()
    low, high = min(low, *means.values()), max(high, *means.values())
    close = abs(means["unigram"] - means["bigram"]) < 0.15 * (high - low)
    for name, value in means.items():
        axes.axhline(value, color="0.25", linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
        side = "center" if not close else "bottom" if value == max(means.values()) else "top"
        at = {"xycoords": axes.get_yaxis_transform(), "xytext": (3, 0), "textcoords": "offset points"}
        axes.annotate(f"{name}\n{value:.2f}", (1, value), va=side, color="0.25", **at)


@style.paper
def training_curves(histories, baselines, titles):
    """Loss and accuracy while training, one column of panels per model.

    Parameters
    ----------
    histories : DataFrame of [member, step, epoch, split, loss, accuracy], or a list of them
        Loss in nats per token, accuracy between 0 and 1; each split but "train" counts as held out.
    baselines : DataFrame of [unigram, bigram] with one row per member, or a list of them
        Held-out losses of the smoothed unigram and bigram models, in nats per token.
    titles : str, or a list of them
        Names of the models.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if isinstance(titles, str):
        histories, baselines, titles = [histories], [baselines], [titles]
    if not len(histories) == len(baselines) == len(titles):
        counts = f"{len(histories)} histories, {len(baselines)} tables of baselines, {len(titles)} titles"
        raise InputError(f"training curves: {counts}; there must be one of each per model")
    models = len(titles)
    figure = style.blank(style.WIDTH if models > 1 else style.COLUMN, 3.8)
    panels = figure.subplots(2, models, squeeze=False, sharex="col", sharey="row", height_ratios=(3, 2))
    for (loss, accuracy), history, baseline, title in zip(panels.T, histories, baselines, titles, strict=True):
        _curves(loss, history, "loss")
        _baselines(loss, baseline)
        _curves(accuracy, history, "accuracy")
        accuracy.set_ylim(bottom=0)
        accuracy.yaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))  # whole percents, where shown as such
        accuracy.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0 if accuracy.get_ylim()[1] > 0.06 else 1))
        accuracy.set_xlabel("training step")
        loss.set_title(style.wrapped(title, (style.WIDTH - 0.8) / models) if models > 1 else title)
    panels[0, 0].set_ylabel("loss (nats per token)")
    panels[1, 0].set_ylabel("token accuracy")
    figure.align_ylabels(panels[:, 0])
    most = max(int(np.max(history["member"].nunique())) for history in histories)
    keys = [Line2D([], [], color=_COLOURS[split], linewidth=1.5, label=split) for split in _SPLITS]
    if most > 1:
        keys.append(Line2D([], [], color="0.4", linewidth=0.4, label="single members"))
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), columnspacing=0.9, handlelength=1.2)
    ended = [_ended(history, baseline) for history, baseline in zip(histories, baselines, strict=True)]
    said = [f"{title}: {words}" for title, words in zip(titles, ended, strict=True)] if models > 1 else ended
    return style.finding(figure, "; ".join(said))


def _ended(history, baselines):
    """Where the held-out loss ended beside what counting reaches, in words."""
    held_out = history[(history["split"] != "train") & history["loss"].notna()].sort_values("step", kind="stable")
    if held_out.empty:
        return "nothing was held out"
    last = held_out.groupby("member")["loss"].last()
    unigram, bigram = (float(baselines[name].mean()) for name in ("unigram", "bigram"))
    spread = f" ± {last.std():.2f} over {len(last)} members" if len(last) > 1 else ""
    beats = (
        "below both baselines" if ngram_baselines.below(last.mean(), unigram, bigram) else "not below both baselines"
    )
    counts = f"unigram {unigram:.2f}, bigram {bigram:.2f}"
    return f"the held-out loss ends at {last.mean():.2f}{spread}, {beats} ({counts}; nats per token)"


def draw_training(training, baselines, model):
    """One model's curves."""
    return training_curves(tables.read(training), tables.read(baselines), model)
