"""What ablating every head costs in loss, which the paper on attention phrenology did not measure."""

import numpy as np
from matplotlib.lines import Line2D

from headatlas.base import tables
from headatlas.models.ablations import ABLATIONS
from headatlas.plotting import style
from headatlas.studies.phrenology import head_tables
from headatlas.studies.phrenology.figures.knockout_logits import of_all_models

_IDENTITY = ["model", "member", "layer", "head"]


@style.paper
def loss_without(table, clusters, windows):
    """What ablating every head costs: held-out loss without it, and with another head in its place, less that with it.

    Parameters
    ----------
    table : DataFrame of [model, member, layer, head, kind, effect, standard_error]
        Kinds of ablation, and "other": the mean over other heads of the layer in the head's place, at equal norm.
    clusters : DataFrame of [model, member, layer, head, cluster]
    windows : int
        How many the losses are means over.

    Returns
    -------
    matplotlib.figure.Figure
    """
    heads = table.merge(clusters[[*_IDENTITY, "cluster"]], on=_IDENTITY, validate="many_to_one")
    first = heads[heads["kind"] == "mean"].sort_values(["cluster", "effect"], ascending=[True, False], kind="stable")
    places = first[_IDENTITY].reset_index(drop=True).assign(place=np.arange(len(first)))
    heads = heads.merge(places, on=_IDENTITY)
    by_kind = dict(list(heads.groupby("kind", sort=False)))
    kinds = sorted(ABLATIONS, key=lambda kind: kind != "mean")  # the one that decides first, and larger
    figure = style.blank(style.WIDTH, 1.1 * (1 + len(kinds)))
    panels = figure.subplots(len(kinds), 1, sharex=True, height_ratios=[2, *[1] * (len(kinds) - 1)])
    size = min(3.2, 260 / len(places))
    for axes, kind in zip(panels, kinds, strict=True):
        axes.axhline(0, color="0.3", linewidth=0.6)
        if kind == "mean" and "other" in by_kind:
            _with_errors(axes, by_kind["other"], "0.55", size, marker="D", markerfacecolor="white", zorder=1)
        for cluster, part in by_kind[kind].groupby("cluster"):
            _with_errors(axes, part, style.colour(cluster), size, marker="o", markeredgewidth=0)
        axes.set_title(f"head {ABLATIONS[kind].words}", loc="left", pad=3)
        axes.margins(y=0.08)
    spans = heads.groupby("cluster")["place"].agg(["min", "max"])
    for start in spans["min"].iloc[1:]:
        for axes in panels:
            axes.axvline(start - 0.5, color="0.8", linewidth=0.5, zorder=0)
    names = [str(cluster) for cluster in spans.index]
    middles = spans.mean(axis=1).tolist()
    panels[-1].set_xticks(*style.thinned(middles, names, len(places), 40))
    panels[-1].tick_params(axis="x", length=0)
    panels[-1].set(xlabel="heads, by group and cost", xlim=(-0.8, len(places) - 0.2))
    figure.supylabel("loss added (nats per token)", fontsize=8)
    style.headline(figure, costs_in_words(table))
    keys = [Line2D([], [], linestyle="", marker="o", markersize=4, color="0.3", label="ablated (95%)")]
    if "other" in by_kind:
        label = "another head of its layer in its place (mean)"
        keys.append(Line2D([], [], linestyle="", marker="D", markersize=3.5, color="0.55", mfc="white", label=label))
    figure.legend(handles=keys, loc="outside lower center", ncols=2, handletextpad=0.2, columnspacing=1.2)
    costs = by_kind["mean"].groupby("cluster")["effect"].agg(["mean", "min", "max"])
    said = ", ".join(
        f"{row['mean']:.2f} nats per token in group {group} ({row['min']:.2f} to {row['max']:.2f})"
        for group, row in costs.head(3).iterrows()
    )
    counts = costs_in_words(table)
    counts = counts[:1].lower() + counts[1:]
    return style.finding(figure, f"mean ablation costs {said}; {counts} ({windows} windows, 95% intervals)")


def _with_errors(axes, table, colour, size, **marks):
    axes.errorbar(
        table["place"], table["effect"], yerr=1.96 * table["standard_error"], linestyle="", markersize=size,
        color=colour, elinewidth=0.8, capsize=0, **marks,
    )  # fmt: skip


def costs_in_words(table):
    """For how many heads ablation raises the loss, and for how many another head in the place costs more."""
    by_kind = {kind: part.set_index(_IDENTITY) for kind, part in table.groupby("kind")}
    ablated = by_kind["mean"]
    costly = int((ablated["effect"] > 1.96 * ablated["standard_error"]).sum())
    words = f"mean ablation raises the loss for {costly} of {len(ablated)} heads"
    if "other" in by_kind:
        worse = int((by_kind["other"]["effect"].reindex(ablated.index) > ablated["effect"]).sum())
        words += f"; for {worse}, another head in the place costs more than the ablation"
    return words


def draw_knockout_losses(losses, kinds, models):
    """A file of losses of each model, in their order."""
    windows = tables.facts(losses[0])["windows"]
    groups = head_tables.read_groups("corrected", kinds=kinds)
    return loss_without(of_all_models(losses, models), groups, windows)
