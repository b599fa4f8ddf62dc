"""What knocking out heads does: Figures 12 to 14 of "Attention phrenology", and what that paper did not measure."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.models.ablations import ABLATIONS
from headatlas.plotting import style
from headatlas.plotting.point_names import name_points
from headatlas.studies.phrenology import head_tables
from headatlas.studies.phrenology.validation import effect_agreement

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
    style.headline(figure, f"Next token after {_quoted(prompt)} without {head}")
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
        agree = f"; the three ablations move the logits alike (correlation {least:.2f} or more)"
    by = KINDS[kinds[0] if protocol == "published" else "mean"]
    style.finding(figure, f"{head}, {by}, promoted {', '.join(down)} and suppressed {', '.join(up)}{agree}")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes, (points, rows) in zip(panels, placed, strict=True):
        name_points(axes, points[rows[: 3 * labels]], [style.printable(names[i]) for i in rows[: 3 * labels]], labels)
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
    """Shifts of the likeliest tokens: an array (head, token), the heads' groups, the heads and the tokens' names."""
    mean = logits.groupby("token", sort=True)["clean"].mean()
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


@style.paper
def effects(table, facts):
    """Fig 14, published: heads on a plane by what knocking them out changes, coloured by cluster.

    Parameters
    ----------
    table : DataFrame of [model, member, layer, head, cluster, published_1, published_2]
        Of probabilities normalised over the positions of a prompt in place of the vocabulary.
    facts : Mapping
        `explained_variance`: effect -> two shares; `prompts`: how many.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = style.blank(0.72 * style.WIDTH, 3.7)
    axes = figure.subplots()
    size = 22 * min(1.0, (400 / len(table)) ** 0.5)
    for cluster, own in table.groupby("cluster"):
        look = {"color": [style.colour(cluster)], "marker": style.marker(cluster), "s": size}
        axes.scatter(
            own["published_1"], own["published_2"], edgecolors="white", linewidths=0.3, label=str(cluster), **look
        )
    first, second = facts["explained_variance"]["published"]
    axes.set(xlabel=f"component 1 ({first:.0%} of variance)", ylabel=f"component 2 ({second:.0%})")
    axes.margins(0.08)
    axes.locator_params(nbins=5)
    style.headline(figure, f"Effects of zero ablation: two components hold {first + second:.0%} of their variance")
    figure.legend(
        title="cluster", loc="outside lower center", ncols=min(12, table["cluster"].nunique()), handletextpad=0.1,
        columnspacing=0.9,
    )  # fmt: skip
    return style.finding(
        figure, f"two components hold {first + second:.0%} of the variance of the effects ({facts['prompts']} prompts, "
        "softmax over the positions of a prompt, as published)"
    )  # fmt: skip


@style.paper
def effects_by_distance(distances, cosines, partners, bins=10):
    """Fig 14, corrected: how alike the effects of two heads are, by how far apart their attention lies.

    Parameters
    ----------
    distances, cosines : arrays of shape (head, head)
        Jensen-Shannon distances of attention; cosines of the effects of mean ablation, not-a-number within a network.
    partners : array of int, (head,)
        Group of partners, or -1.
    bins : int
        Of equally many pairs.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from scipy.stats import spearmanr  # slow to import

    first, second = np.nonzero(np.triu(np.isfinite(cosines), 1))
    if len(first) < 3:
        return style.nothing_to_show("Effects are compared across networks, and there is only one.")
    far, alike = distances[first, second], cosines[first, second]
    matched = (partners[first] == partners[second]) & (partners[first] >= 0)
    figure = style.blank(0.8 * style.WIDTH, 3.2)
    axes = figure.subplots()
    axes.axhline(0, color="0.4", linewidth=0.6)
    axes.scatter(far, alike, s=2, color="0.75", linewidths=0, rasterized=True, label="two heads of two networks")
    axes.scatter(
        far[matched], alike[matched], s=9, color=style.colour(1), marker="s", linewidths=0, alpha=0.7, rasterized=True,
        label="partners",
    )  # fmt: skip
    edges = np.quantile(far, np.linspace(0, 1, bins + 1))
    of_bin = np.clip(np.searchsorted(edges, far, side="right") - 1, 0, bins - 1)
    parts = [alike[of_bin == i] for i in range(bins)]
    middles = [far[of_bin == i].mean() if len(part) else np.nan for i, part in enumerate(parts)]
    means = [part.mean() if len(part) else np.nan for part in parts]
    axes.plot(middles, means, color=style.colour(0), marker="o", markersize=4, linewidth=1.2, label="mean, by tenths")
    axes.set(xlabel="distance of attention (Jensen-Shannon, √bit)", ylabel="cosine of ablation effects")
    low, high = np.percentile(alike, (0.5, 99.5))
    axes.set_ylim(min(low, -0.1), max(high, 0.1))
    figure.legend(loc="outside lower center", ncols=3, handletextpad=0.2, columnspacing=1, markerscale=1.5)
    rank = float(spearmanr(far, alike).statistic)
    how = (
        "The farther apart two heads attend, the less alike their effects"
        if rank < -0.1
        else ("How far apart two heads attend says little of their effects")
    )
    style.headline(figure, f"{how} (rank correlation {rank:+.2f})")
    words = f"distance of attention and cosine of effects correlate at {rank:+.2f} (ranks, {len(far):,} pairs of heads)"
    if matched.any() and not matched.all():
        means = alike[matched].mean(), alike[~matched].mean()
        words += f"; partners' effects have a mean cosine of {means[0]:.2f}, others' of {means[1]:.2f}"
    return style.finding(figure, words)


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
    figure = style.blank(style.WIDTH, 4.4)
    panels = figure.subplots(3, 1, sharex=True, height_ratios=[2, 1, 1])
    size = min(3.2, 260 / len(places))
    for axes, kind in zip(panels, ("mean", "zero", "resample"), strict=True):
        axes.axhline(0, color="0.3", linewidth=0.6)
        if kind == "mean" and "other" in by_kind:
            _with_errors(axes, by_kind["other"], "0.55", size, marker="D", markerfacecolor="white", zorder=1)
        for cluster, part in by_kind[kind].groupby("cluster"):
            _with_errors(axes, part, style.colour(cluster), size, marker="o", markeredgewidth=0)
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
    panels[-1].set(xlabel="heads, by group and cost", xlim=(-0.8, len(places) - 0.2))
    figure.supylabel("loss added (nats per token)", fontsize=8)
    style.headline(figure, worth_in_words(table))
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
    counts = worth_in_words(table)
    counts = counts[:1].lower() + counts[1:]
    return style.finding(figure, f"mean ablation costs {said}; {counts} ({windows} windows, 95% intervals)")


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
    draw = one_cluster if protocol == "published" else cluster_matrix
    return draw(_together(prompts, models), clusters, cluster, prompt)


def draw_knockout_effects(knockouts, clusters, distances, partners, protocol):
    """Fig 14; corrected, the effects of mean ablation against the distance of attention."""
    if protocol == "published":
        table = tables.read(knockouts, [*_IDENTITY, "published_1", "published_2"])
        return effects(table.merge(tables.read(clusters)), tables.facts(knockouts))
    heads, far = head_tables.read_distances(distances)
    members = head_tables.member_labels(heads)
    cosines = effect_agreement.residual_cosines(tables.read_lists(knockouts, "mean"), members)
    cosines = np.where(members[:, None] == members, np.nan, cosines)
    return effects_by_distance(far, cosines, tables.read(partners, ["group"])["group"].to_numpy())


def draw_knockout_losses(losses, kinds, models):
    """A file of losses of each model, in their order."""
    windows = tables.facts(losses[0])["windows"]
    groups = head_tables.read_groups("corrected", kinds=kinds)
    return loss_without(_together(losses, models), groups, windows)
