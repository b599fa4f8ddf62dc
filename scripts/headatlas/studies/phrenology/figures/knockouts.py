"""What knocking out heads does: Figures 12 to 14 of "Attention phrenology", and what that paper did not measure."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.models.ablations import ABLATIONS
from headatlas.plotting import style
from headatlas.studies.phrenology import head_tables

KINDS = {kind: ablation.words for kind, ablation in ABLATIONS.items()}
COMPONENTS = [f"{effect}_{component}" for effect in ("published", *KINDS) for component in (1, 2)]
LIKELY = 300  # tokens drawn where panels are small
PANELS = 24  # heads of a cluster shown at most
_IDENTITY = ["model", "member", "layer", "head"]
_UP, _DOWN, _REST = "#D55E00", "#0072B2", "0.72"  # suppressed by the head, promoted by it, neither


def _name(row, models, layers):
    own = ([f"layer {row['layer']}"] if layers > 1 else []) + [f"head {row['head']}"]
    member = f"member {row['member']}"
    return f"{row['model']}, {member}\n{', '.join(own)}" if models > 1 else ", ".join([member, *own])


def _quoted(prompt):
    return "“" + "".join(style.printable(token, 40) for token in prompt).replace("␣", " ").strip() + "”"


def _logits(axes, table, kind, labels, size=6.0):
    """Logits before and after, one point per token, the likeliest named; those the head moves most are coloured."""
    x, y = table["clean"].to_numpy(float), table[kind].to_numpy(float)
    shift = y - x
    clear = np.abs(shift - np.median(shift)) > 2 * np.std(shift) + 1e-9
    # a knockout that moves every logit by the same amount changes no probability
    colours = np.where(~clear, _REST, np.where(shift > np.median(shift), _UP, _DOWN))
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    edge = 0.04 * (high - low) or 1.0
    axes.plot([low - edge, high + edge], [low - edge, high + edge], color="0.4", linewidth=0.6, zorder=0)
    order = np.argsort(clear, kind="stable")
    axes.scatter(x[order], y[order], c=colours[order], s=5 if labels else 3, linewidths=0, alpha=0.85, rasterized=True)
    axes.set(xlim=(low - edge, high + edge), ylim=(low - edge, high + edge), aspect="equal")
    axes.locator_params(nbins=5)
    return [
        axes.text(x[row], y[row], style.printable(table["name"].iloc[row]), fontsize=size, color="0.1")
        for row in np.argsort(-x, kind="stable")[:labels]
    ]


def _spread(axes, texts, table, kind, steps=60):
    """Move names off the points and one another; what stays in another's way, the less likely token, goes unnamed."""
    from adjustText import adjust_text  # slow to import, and of two figures alone

    places = [text.get_position() for text in texts]
    adjust_text(texts, x=table["clean"], y=table[kind], ax=axes, iter_lim=steps, expand=(1.1, 1.2))
    kept = []
    for text, place in zip(texts, places, strict=True):
        box = text.get_window_extent().padded(-1)
        if any(box.overlaps(other) for other in kept):
            text.remove()
            continue
        kept.append(box)
        corners = axes.transData.inverted().transform([(box.x0, box.y0), (box.x1, box.y1)])
        near = np.clip(place, corners[0], corners[1])
        axes.plot(*zip(place, near, strict=True), color="0.6", linewidth=0.35, zorder=1)


def _room(figure, below):
    """Keep `below` inches at the foot of a figure free of panels."""
    share = below / figure.get_figheight()
    figure.get_layout_engine().set(rect=(0, share, 1, 1 - share))


def _key_of_sides(figure, **where):
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=4, color=_UP, label="suppressed by the head"),
        Line2D([], [], linestyle="", marker="o", markersize=4, color=_DOWN, label="promoted by the head"),
        Line2D([], [], linestyle="", marker="o", markersize=4, color=_REST, label="within 2 sd of the median shift"),
    ]
    figure.legend(handles=handles, ncols=3, handletextpad=0.1, columnspacing=1.5, **where)


@style.paper
def one_head(table, prompt, protocol, *, labels=30):
    """Fig 12: the logits of the next token after one prompt, with and without one head.

    Parameters
    ----------
    table : DataFrame of [member, layer, head, name, clean, zero, mean, resample]
        One head's; a row for each token.
    prompt : sequence of str
        Tokens of the prompt.
    protocol : {"published", "corrected"}
        The published figure knocks the head out by zero alone.
    labels : int
        How many tokens are named: those of highest undisturbed logit.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if table.empty:
        raise InputError("logits after one prompt: the head to knock out is not in the table")
    kinds = ["zero"] if protocol == "published" else list(KINDS)
    width = 0.72 * style.WIDTH if protocol == "published" else style.WIDTH
    figure = style.blank(width, 5.2 if protocol == "published" else 3.1, layout="constrained")
    _room(figure, 0.28)
    panels = figure.subplots(1, len(kinds), squeeze=False)[0]
    if protocol == "corrected":  # panels a third as large: fewer names, and only the tokens that may come
        labels, table = labels // 2, table.sort_values("clean", ascending=False, kind="stable").head(LIKELY)
    texts = [
        _logits(axes, table, kind, labels, 6.5 if len(kinds) == 1 else 5.0)
        for axes, kind in zip(panels, kinds, strict=True)
    ]
    row = table.iloc[0]
    head = _name(row, 1, 2 if row["layer"] else 1)
    for axes, kind in zip(panels, kinds, strict=True):
        axes.set(
            title=f"{head}, {KINDS[kind]}" if len(kinds) == 1 else KINDS[kind],
            xlabel=f"logit ({len(table):,} likeliest tokens)",
        )
    panels[0].set_ylabel("logit without the head")
    figure.suptitle(f"Next token after {_quoted(prompt)}" + ("" if len(kinds) == 1 else f", {head}"))
    _key_of_sides(figure, loc="lower center")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes, kind, drawn in zip(panels, kinds, texts, strict=True):
        _spread(axes, drawn, table, kind)
    return figure


@style.paper
def one_cluster(logits, clusters, cluster, prompt, protocol, *, labels=6):
    """Fig 13: the same for every head of one cluster.

    Parameters
    ----------
    logits : DataFrame of [model, member, layer, head, name, clean, zero, mean]
    clusters : DataFrame of [model, member, layer, head, cluster]
        Cluster 0 is the largest.
    cluster : int
        Where there are fewer clusters, the last.
    prompt : sequence of str
    protocol : {"published", "corrected"}
        Heads are knocked out by zero, or replaced by their mean.

    Returns
    -------
    matplotlib.figure.Figure
    """
    cluster = min(cluster, int(clusters["cluster"].max()))
    heads = clusters[clusters["cluster"] == cluster].sort_values(_IDENTITY, kind="stable")
    kind = "zero" if protocol == "published" else "mean"
    models, layers = clusters["model"].nunique(), clusters["layer"].nunique()
    shown = heads.head(PANELS)
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    side = style.WIDTH / 4
    figure = style.blank(max(2.2, columns) * side, rows * (side + 0.1) + 0.75)
    _room(figure, 0.28)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    by_head = dict(list(logits.groupby(_IDENTITY, sort=False)))
    drawn = []
    for axes, (_, head) in zip(panels, shown.iterrows(), strict=False):
        own = by_head[tuple(head[name] for name in _IDENTITY)]
        own = own.sort_values("clean", ascending=False, kind="stable").head(LIKELY)
        drawn.append((axes, own, _logits(axes, own, kind, labels, 5.0)))
        axes.set_title(_name(head, models, layers), fontsize=7, pad=3)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    several = f"first {len(shown)} of {len(heads)}" if len(heads) > len(shown) else f"{len(heads)}"
    colour = style.cluster_colour(cluster)
    figure.suptitle(f"Cluster {cluster} ({several} heads): next token after {_quoted(prompt)}", color="black")
    for place, (axes, *_) in enumerate(drawn):
        if place + columns >= len(shown):
            axes.set_xlabel(f"logit ({LIKELY} likeliest)" if logits["token"].nunique() > LIKELY else "logit")
    figure.supylabel(f"logit, the head {KINDS[kind]}", fontsize=7.5)
    for axes, *_ in drawn:
        axes.spines[["left", "bottom"]].set_color(colour)
        axes.spines[["left", "bottom"]].set_linewidth(1.4)
    _key_of_sides(figure, loc="lower center")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes, own, texts in drawn:
        _spread(axes, texts, own, kind, 20)
    return figure


def _cluster_keys(clusters, size=5):
    return [
        Line2D([], [], linestyle="", marker="o", markersize=size, color=style.cluster_colour(i), label=str(i))
        for i in sorted(set(clusters))
    ]


@style.paper
def effects(table, facts, protocol):
    """Fig 14: heads on a plane by what knocking them out changes, coloured by cluster.

    Parameters
    ----------
    table : DataFrame of [model, member, layer, head, cluster] and `{effect}_1`, `{effect}_2`
        For the effects published, zero, mean and resample.
    facts : Mapping
        `explained_variance`: effect -> two shares; `prompts`: how many.
    protocol : {"published", "corrected"}
        The published probabilities are normalised over the positions of a prompt in place of the vocabulary.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = {"published": "set to zero"} if protocol == "published" else KINDS
    figure = style.blank(
        0.62 * style.WIDTH if protocol == "published" else style.WIDTH, 4.4 if len(shown) == 1 else 3.1
    )
    _room(figure, 0.42)
    for axes, (effect, title) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True):
        colours = [style.cluster_colour(cluster) for cluster in table["cluster"]]
        x, y = table[f"{effect}_1"], table[f"{effect}_2"]
        size = 22 * min(1.0, (400 / len(table)) ** 0.5)
        axes.scatter(x, y, c=colours, s=size, edgecolors="white", linewidths=0.3)
        first, second = facts["explained_variance"][effect]
        axes.set(title=title, xlabel=f"component 1 ({first:.0%} of variance)", ylabel=f"component 2 ({second:.0%})")
        axes.margins(0.08)
        axes.locator_params(nbins=5)
    over = "positions" if protocol == "published" else "the vocabulary"
    figure.suptitle(
        f"Change of the last token's probabilities without a head\n({facts['prompts']} prompts, softmax over {over})"
    )
    keys = _cluster_keys(table["cluster"])
    figure.legend(
        handles=keys, title="cluster", loc="lower center", ncols=min(12, len(keys)), handletextpad=0.1, columnspacing=1
    )
    return figure


@style.paper
def loss_without(table, clusters, windows):
    """What every head is worth: the held-out loss without it less the loss with it, and with another head in its place.

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
    figure = style.blank(style.WIDTH, 4.6)
    _room(figure, 0.3)
    panels = figure.subplots(3, 1, sharex=True, height_ratios=[2, 1, 1])
    size = min(3.2, 260 / len(places))
    for axes, kind in zip(panels, ("mean", "zero", "resample"), strict=True):
        axes.axhline(0, color="0.3", linewidth=0.6)
        if kind == "mean" and "other" in by_kind:
            _with_errors(axes, by_kind["other"], "0.55", size, marker="D", markerfacecolor="white", zorder=1)
        for cluster, part in by_kind[kind].groupby("cluster"):
            _with_errors(axes, part, style.cluster_colour(cluster), size, marker="o", markeredgewidth=0)
        axes.set_title(f"head {KINDS[kind]}", loc="left", pad=3)
        axes.margins(y=0.08)
    spans = heads.groupby("cluster")["place"].agg(["min", "max"])
    for start in spans["min"].iloc[1:]:
        for axes in panels:
            axes.axvline(start - 0.5, color="0.8", linewidth=0.5, zorder=0)
    names = [str(cluster) for cluster in spans.index]
    middles = spans.mean(axis=1).tolist()
    panels[-1].set_xticks(*style.thinned(middles, names, len(places), 40))
    panels[-1].tick_params(axis="x", length=0)
    panels[-1].set(xlabel="heads, by cluster and cost", xlim=(-0.8, len(places) - 0.2))
    figure.supylabel("loss added, nats per token", fontsize=7.5)
    figure.suptitle(f"{worth_in_words(table)}\n(held-out loss, mean over {windows} windows, 95% intervals)")
    keys = [Line2D([], [], linestyle="", marker="o", markersize=4, color="0.3", label="the head ablated")]
    if "other" in by_kind:
        label = "another head of its layer in its place (mean over them, equal norm)"
        keys.append(Line2D([], [], linestyle="", marker="D", markersize=3.5, color="0.55", mfc="white", label=label))
    figure.legend(handles=keys, loc="lower center", ncols=2, handletextpad=0.2, columnspacing=1.5)
    return figure


def _with_errors(axes, table, colour, size, **marks):
    axes.errorbar(
        table["place"], table["effect"], yerr=1.96 * table["standard_error"], linestyle="", markersize=size,
        color=colour, elinewidth=0.8, capsize=0, **marks,
    )  # fmt: skip


def worth_in_words(table):
    """How many heads are worth something, and for how many another head in the place costs more than the ablation."""
    by_kind = {kind: part.set_index(_IDENTITY) for kind, part in table.groupby("kind")}
    ablated = by_kind["mean"]
    worth = int((ablated["effect"] > 1.96 * ablated["standard_error"]).sum())
    words = f"{worth} of {len(ablated)} heads are worth something"
    if "other" in by_kind:
        worse = int((by_kind["other"]["effect"].reindex(ablated.index) > ablated["effect"]).sum())
        words += f"; for {worse}, another head in the place costs more than the ablation"
    return words


def _together(paths, models):
    """Files of one model each as one table."""
    return pd.concat(
        [tables.read(path).assign(model=model) for model, path in zip(models, paths, strict=True)], ignore_index=True
    )


def draw_one_head(prompt, head, protocol):
    """Fig 12: `head` is its member, layer and head."""
    member, layer, head = head
    table = tables.read(prompt, member=member, layer=layer, head=head)
    return one_head(table, [tables.facts(prompt)["text"]], protocol)


def draw_one_cluster(prompts, clusters, kinds, models, cluster, protocol):
    """Fig 13; a file of each model, in their order."""
    prompt = [tables.facts(prompts[0])["text"]]
    clusters = head_tables.read_groups(protocol, clusters=clusters, kinds=kinds)
    return one_cluster(_together(prompts, models), clusters, cluster, prompt, protocol)


def draw_knockout_effects(knockouts, clusters, kinds, protocol):
    """Fig 14."""
    table, facts = tables.read(knockouts, [*_IDENTITY, *COMPONENTS]), tables.facts(knockouts)
    groups = head_tables.read_groups(protocol, clusters=clusters, kinds=kinds)
    return effects(table.merge(groups), facts, protocol)


def draw_knockout_losses(losses, kinds, models):
    """A file of losses of each model, in their order."""
    windows = tables.facts(losses[0])["windows"]
    groups = head_tables.read_groups("corrected", kinds=kinds)
    return loss_without(_together(losses, models), groups, windows)
