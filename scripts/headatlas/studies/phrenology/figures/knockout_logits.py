"""Logits after one prompt with heads knocked out: Figures 12 and 13 of "Attention phrenology"."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.models.ablations import ABLATIONS
from headatlas.plotting import style
from headatlas.plotting.point_names import boxes_of, name_points
from headatlas.studies.phrenology import head_tables

KINDS = {kind: ablation.words for kind, ablation in ABLATIONS.items()}
LIKELY = 300  # tokens drawn where panels are small
MOVED = 10  # tokens that are coloured
PANELS = 24  # heads of a cluster shown at most
_IDENTITY = ["model", "member", "layer", "head"]
_UP, _DOWN, _REST = style.HELD_OUT, style.TRAIN, "0.72"  # suppressed by the head, promoted by it, neither


def _name(row, models, layers):
    own = ([f"layer {row['layer']}"] if layers > 1 else []) + [f"head {row['head']}"]
    member = f"member {row['member']}"
    return f"{row['model']}, {member}\n{', '.join(own)}" if models > 1 else ", ".join([member, *own])


def _quoted(prompt):
    return "“" + "".join(style.printable(token, 40) for token in prompt).replace("␣", " ").strip() + "”"


def _shifts(table, kind):
    """What is added to each logit without the head, beyond what is added to all: that changes no probability."""
    shift = table[kind].to_numpy(float) - table["clean"].to_numpy(float)
    return shift - np.median(shift)


def _points(axes, table, kind, protocol):
    """Logits with the head against those without it, or against their shift; tokens that it moves most are coloured."""
    x, shift = table["clean"].to_numpy(float), _shifts(table, kind)
    y = table[kind].to_numpy(float) if protocol == "published" else shift
    moved = np.argsort(-np.abs(shift), kind="stable")
    clear = np.zeros(len(shift), dtype=bool)
    clear[moved[:MOVED]] = np.abs(shift[moved[:MOVED]]) > 1e-9
    colours = np.where(~clear, _REST, np.where(shift > 0, _UP, _DOWN))
    order = np.argsort(clear, kind="stable")
    axes.scatter(x[order], y[order], c=colours[order], s=6, linewidths=0, alpha=0.85, rasterized=True)
    if protocol == "published":
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        edge = 0.04 * (high - low) or 1.0
        axes.plot([low - edge, high + edge], [low - edge, high + edge], color="0.4", linewidth=0.6, zorder=0)
        axes.set(xlim=(low - edge, high + edge), ylim=(low - edge, high + edge), aspect="equal")
    else:
        axes.axhline(0, color="0.4", linewidth=0.6, zorder=0)
        axes.margins(0.12)
    axes.locator_params(nbins=4)
    return np.stack([x, y], axis=1), moved


def _key_of_sides(figure, **where):
    labels = {_UP: "suppressed by the head", _DOWN: "promoted", _REST: f"not of the {MOVED} moved most"}
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=4, color=colour, label=label)
        for colour, label in labels.items()
    ]
    figure.legend(handles=handles, ncols=3, handletextpad=0.1, columnspacing=1.2, **where)


def _likeliest(table, protocol):
    """Only the tokens that may come, where they are compared."""
    return table if protocol == "published" else table.sort_values("clean", ascending=False, kind="stable").head(LIKELY)


@style.paper
def one_head(table, prompt, protocol, *, labels=10):
    """Fig 12: the logits of the next token after one prompt, with and without one head.

    Parameters
    ----------
    table : DataFrame of [member, layer, head, name, clean, zero, mean, resample]
        One head's; a row for each token.
    prompt : sequence of str
        Tokens of the prompt.
    protocol : {"published", "corrected"}
        The published figure knocks the head out by zero alone, and draws the logits rather than their shift.
    labels : int
        How many tokens are named at most: those that the head moves most.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if table.empty:
        raise InputError("logits after one prompt: the head to knock out is not in the table")
    kinds = ["zero"] if protocol == "published" else list(KINDS)
    figure = style.blank(style.WIDTH if len(kinds) > 1 else 0.8 * style.WIDTH, 3.2 if len(kinds) > 1 else 4.4)
    panels = figure.subplots(1, len(kinds), squeeze=False, sharey=protocol == "corrected")[0]
    table = _likeliest(table, protocol)
    placed = [_points(axes, table, kind, protocol) for axes, kind in zip(panels, kinds, strict=True)]
    row = table.iloc[0]
    head = _name(row, 1, 2 if row["layer"] else 1)
    for axes, kind in zip(panels, kinds, strict=True):
        axes.set(title=style.wrapped(KINDS[kind], 1.5 if len(kinds) > 1 else 3), xlabel="logit with the head")
    what = "logit without the head" if protocol == "published" else "shift without the head"
    panels[0].set_ylabel(what + ("" if protocol == "published" else "\n(less the median shift)"))
    _key_of_sides(figure, loc="outside lower center")
    shift = _shifts(table, kinds[0] if protocol == "published" else "mean")
    order = np.argsort(shift, kind="stable")
    names = table["name"].to_numpy()
    down, up = (
        [f"{style.printable(names[i])} ({shift[i]:+.1f})" for i in rows] for rows in (order[:3], order[::-1][:3])
    )
    agree = ""
    if protocol == "corrected":
        several = np.corrcoef([_shifts(table, kind) for kind in kinds])
        least = several[np.triu_indices(len(kinds), 1)].min()
        agree = f"; the logits' shifts by any two of the ablations correlate at {least:.2f} or more"
    said = f", by any ablation alike (correlation {least:.2f})" if agree and least > 0.9 else ""
    style.headline(figure, f"Next token after {_quoted(prompt)} without {head}{said}")
    by = KINDS[kinds[0] if protocol == "published" else "mean"]
    style.finding(figure, f"{head}, {by}, promoted {', '.join(down)} and suppressed {', '.join(up)}{agree}")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes, (points, rows) in zip(panels, placed, strict=True):
        first, coloured = rows[: 3 * labels], boxes_of(axes, points[rows[:MOVED]])
        name_points(axes, points[first], [style.printable(names[i]) for i in first], labels, coloured)
    return figure


@style.paper
def one_cluster(logits, clusters, cluster, prompt, *, labels=3):
    """Fig 13, published: the same for every head of one cluster, knocked out by zero.

    Parameters
    ----------
    logits : DataFrame of [model, member, layer, head, name, clean, zero]
    clusters : DataFrame of [model, member, layer, head, cluster]
        Cluster 0 is the largest.
    cluster : int
        Where there are fewer clusters, the last.
    prompt : sequence of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    cluster = min(cluster, int(clusters["cluster"].max()))
    heads = clusters[clusters["cluster"] == cluster].sort_values(_IDENTITY, kind="stable")
    models, layers = clusters["model"].nunique(), clusters["layer"].nunique()
    shown = heads.head(PANELS)
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    side = style.WIDTH / 4
    figure = style.blank(max(2.5, columns) * side, rows * side + 0.85)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    by_head = dict(list(logits.groupby(_IDENTITY, sort=False)))
    drawn = []
    for axes, (_, head) in zip(panels, shown.iterrows(), strict=False):
        own = _likeliest(by_head[tuple(head[name] for name in _IDENTITY)], "corrected")
        drawn.append((axes, own, *_points(axes, own, "zero", "published")))
        axes.set_title(_short(head, models, layers), fontsize=8, pad=3)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    several = f"first {len(shown)} of {len(heads)}" if len(heads) > len(shown) else f"{len(heads)}"
    style.headline(figure, f"Next token after {_quoted(prompt)}: cluster {cluster} ({several} heads), set to zero")
    figure.supylabel("logit without the head", fontsize=8)
    for place in range(max(0, len(shown) - columns), len(shown)):
        panels[place].set_xlabel("logit with it")
        panels[place].tick_params(labelbottom=True)
    _key_of_sides(figure, loc="outside lower center")
    within, across = _agreement(*_shift_matrix(logits, clusters, "zero")[:2], cluster)
    words = f"the shifts of two heads of cluster {cluster} correlate at {within:.2f} on average"
    style.finding(figure, f"{words}, those of a head of it and one of another cluster at {across:.2f}")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes, own, points, order in drawn:
        rows = order[: 3 * labels]
        name_points(axes, points[rows], [style.printable(own["name"].iloc[i], 10) for i in rows], labels)
    return figure


def _short(row, models, layers):
    """A head's name in a few letters: m3 L0 h2."""
    parts = [f"m{row['member']}"] + ([f"L{row['layer']}"] if layers > 1 else []) + [f"h{row['head']}"]
    return " ".join([*([style.printable(row["model"], 10)] if models > 1 else []), *parts])


def _shift_matrix(logits, clusters, kind):
    """Shifts of the likeliest tokens: an array (head, token), the heads' groups, the heads and the tokens' names.

    Of a large vocabulary each member's table has the tokens likely in it: those that all of them have are taken.
    """
    heads = logits.groupby("token", sort=True)["clean"]
    mean = heads.mean()[heads.size() == heads.size().max()]
    likely = mean.sort_values(ascending=False, kind="stable").index[:LIKELY]
    wide = logits.assign(shift=logits[kind] - logits["clean"]).pivot(index=_IDENTITY, columns="token", values="shift")
    wide = wide[likely]
    wide = wide.sub(wide.median(axis=1), axis=0)
    heads = wide.index.to_frame(index=False)
    groups = heads.merge(clusters[[*_IDENTITY, "cluster"]], how="left", on=_IDENTITY)["cluster"].to_numpy()
    names = logits.drop_duplicates("token").set_index("token")["name"].reindex(likely).to_numpy()
    return wide.to_numpy(float), groups, heads, names


def _agreement(shifts, groups, cluster):
    """Mean correlation of two heads of a group, and of one of it and one of another."""
    with np.errstate(invalid="ignore", divide="ignore"):
        alike = np.corrcoef(shifts)
    own = groups == cluster
    pairs = alike[np.ix_(own, own)][np.triu_indices(own.sum(), 1)]
    others = alike[np.ix_(own, ~own)]
    return tuple(float(np.nanmean(values)) if np.isfinite(values).any() else np.nan for values in (pairs, others))


@style.paper
def cluster_matrix(logits, clusters, cluster, prompt, *, shown=16):
    """Fig 13, corrected: how the heads of one group, replaced by their mean, move the tokens that they move most.

    Parameters
    ----------
    logits : DataFrame of [model, member, layer, head, token, name, clean, mean]
    clusters : DataFrame of [model, member, layer, head, cluster]
    cluster : int
        Where there are fewer groups, the last.
    prompt : sequence of str
    shown : int
        How many tokens.

    Returns
    -------
    matplotlib.figure.Figure
    """
    cluster = min(cluster, int(clusters["cluster"].max()))
    shifts, groups, heads, names = _shift_matrix(logits, clusters, "mean")
    rows = np.flatnonzero(groups == cluster)
    kept = rows[:PANELS]
    strongest = np.argsort(-np.abs(shifts[rows]).mean(0), kind="stable")[:shown]
    columns = strongest[np.argsort(shifts[rows][:, strongest].mean(0), kind="stable")]
    values = shifts[np.ix_(kept, columns)]
    bound = np.abs(values).max() or 1.0
    figure = style.blank(style.WIDTH, 0.17 * len(kept) + 1.75)
    axes = figure.subplots()
    image = axes.imshow(values, cmap=style.SIGNED, vmin=-bound, vmax=bound, aspect="auto")
    models, layers = clusters["model"].nunique(), clusters["layer"].nunique()
    axes.set_yticks(range(len(kept)), [_short(row, models, layers) for _, row in heads.iloc[kept].iterrows()])
    axes.set_xticks(range(len(columns)), [style.printable(names[i], 10) for i in columns], rotation=60, ha="right")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, aspect=20, pad=0.02, label="logit without the head\nless with it")
    bar.outline.set_visible(False)
    within, across = _agreement(shifts, groups, cluster)
    more = "agree more with one another than" if within > across + 0.05 else "agree no more than"
    cut = "" if len(kept) == len(rows) else f", first {len(kept)} shown"
    said = f"After {_quoted(prompt)}, the {len(rows)} heads of group {cluster}{cut} {more} with others: correlation"
    style.headline(figure, f"{said} {within:.2f}, with others {across:.2f}")
    words = f"without them, the logits of {len(shifts[0])} likely tokens shift alike at {within:.2f} (mean correlation"
    words = f"{words} of two heads of group {cluster}) and at {across:.2f} with heads of other groups"
    return style.finding(figure, words)


def of_all_models(paths, models):
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
    draw = one_cluster if protocol == "published" else cluster_matrix
    return draw(of_all_models(prompts, models), clusters, cluster, prompt)
