"""Every head of a study at a glance: scores beside ablation costs, mean patterns, partners, and the tokens it joins."""

import numpy as np
import pandas as pd
from matplotlib.colors import PowerNorm
from matplotlib.ticker import MaxNLocator

from headatlas.attention import packing
from headatlas.base import tables
from headatlas.base.statistics import jackknife_interval
from headatlas.data import tokenizer_reading
from headatlas.plotting import style
from headatlas.studies.phrenology import head_tables
from headatlas.studies.phrenology.figures.attention_maps import by_distance

MOST_MAPS = 9  # networks and groups of the figure of mean patterns
MOST_GROUPS = 20  # that are told apart in one panel
TYPICAL = 12  # heads whose tokens are shown
PAIRS = 3  # of tokens, for each head
PROMPTS = 64  # that mean attention is drawn over
_IDENTITY = head_tables.IDENTITY
_LOOKS = {"current_token": "attention to the current token", "entropy": "entropy of attention (nats)"}


def groups_of(partners, kinds):
    """Heads with the group that figures sort them by: of partners, or of the longest plateau where there are none."""
    heads = tables.read(partners, [*_IDENTITY, "group", "distance_to_partners"])
    candidates = tables.read(kinds, [*_IDENTITY, "candidate"]).rename(columns={"candidate": "plateau"})
    heads = heads.merge(candidates, on=_IDENTITY)
    matched = (heads["group"] >= 0).any()
    what = "group of partners" if matched else "group"
    return heads.assign(group=heads["group"] if matched else heads["plateau"]), what


def _of_models(paths, models):
    """Files of one model each as one table."""
    parts = [tables.read(path).assign(model=model) for model, path in zip(models, paths, strict=True)]
    return pd.concat(parts, ignore_index=True)


@style.paper
def scores_and_costs(heads, scores, costs, what):
    """Heads by scores in units of chance, and what each head's mean ablation costs.

    Parameters
    ----------
    heads : DataFrame of [model, member, layer, head, group]
    scores : DataFrame of [model, member, layer, head, score, value, standard_error, chance]
        Those that can be negative or have no positive chance are left out.
    costs : DataFrame of [model, member, layer, head, effect, standard_error]
        Nats per token.
    what : str
        What the groups are.

    Returns
    -------
    matplotlib.figure.Figure
    """
    of_score = scores.groupby("score")
    known = of_score["chance"].min().gt(0) & of_score["value"].min().ge(0)  # else times chance has no meaning
    scores = scores[scores["score"].map(known)]
    beyond = (scores["value"] - scores["chance"]).abs() > 2 * scores["standard_error"]
    ratio = np.log2((scores["value"] / scores["chance"]).clip(lower=2.0**-6))
    wide = scores.assign(ratio=ratio.where(beyond)).pivot(index=_IDENTITY, columns="score", values="ratio")
    heads = heads.merge(costs, on=_IDENTITY).sort_values(["group", "effect"], ascending=[True, False], kind="stable")
    names = list(dict.fromkeys(scores["score"]))
    values = wide.reindex(pd.MultiIndex.from_frame(heads[_IDENTITY]))[names].to_numpy()
    n = len(heads)
    figure = style.blank(style.WIDTH, float(np.clip(0.05 * n, 2.2, 4.6)) + 2.0)
    axes, bars = figure.subplots(1, 2, sharey=True, width_ratios=(2.2, 1))
    bound = float(np.clip(np.nanmax(np.abs(values), initial=1), 1, 4))
    colours = style.map_with_gaps(style.SIGNED)
    image = axes.imshow(values, cmap=colours, vmin=-bound, vmax=bound, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(names)), [name.replace("_", " ") for name in names], rotation=50, ha="right")
    groups = heads["group"].to_numpy()
    starts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
    ends = np.append(starts[1:], n)
    axes.set_yticks(*style.thinned(((starts + ends - 1) / 2).tolist(), groups[starts].tolist(), n, 24))
    axes.tick_params(length=0)
    for start in starts[1:] if len(starts) <= 2 * MOST_GROUPS else ():  # more lines would hide the rows
        for panel in (axes, bars):
            panel.axhline(start - 0.5, color="0.2", linewidth=0.5)
    axes.set_ylabel(f"heads, by {what} and cost")
    bar = figure.colorbar(image, ax=axes, location="top", aspect=28, pad=0.02, extend="both")
    bar.set_label("score, times chance (grey: within 2 standard errors)")
    ticks = np.arange(-int(bound), int(bound) + 1)
    bar.set_ticks(ticks.tolist(), labels=[f"{2.0**tick:g}" if tick >= 0 else f"1/{2 ** -int(tick)}" for tick in ticks])
    bars.barh(np.arange(n), heads["effect"], height=0.8, color=[style.colour(int(group)) for group in groups])
    bars.set(xlabel="loss added by mean\nablation (nats per token)", xlim=(min(0, heads["effect"].min()), None))
    bars.tick_params(axis="y", left=False, labelleft=False)
    bars.xaxis.set_major_locator(MaxNLocator(4))
    clear = {name: int((values[:, place] > 0).sum()) for place, name in enumerate(names)}
    most = max(clear, key=clear.get)
    said = f"{clear[most]} of {n} heads are above chance in {most.replace('_', ' ')}"
    if "induction" in clear and most != "induction":
        said += f" and {clear['induction']} in induction"
    style.headline(figure, said)
    cost = heads["effect"]
    words = f"{said} (beyond two standard errors); a head's mean ablation costs {cost.median():.2f} nats per token"
    return style.finding(figure, f"{words} (median; {cost.min():.2f} to {cost.max():.2f})")


def rank_over_members(table):
    """Rank correlation of `value` and `effect` over heads, and its interval: heads of a network are dependent.

    Parameters
    ----------
    table : DataFrame of [model, member, value, effect]

    Returns
    -------
    rank, low, high : float
        95% over networks; NaN of fewer than three.
    """
    from scipy.stats import spearmanr  # slow to import

    def rank(part):
        return float(spearmanr(part["value"], part["effect"]).statistic)

    networks = table.groupby(["model", "member"], sort=False).ngroup()
    left = [rank(table[networks != one]) for one in range(networks.max() + 1)] if networks.max() > 0 else [np.nan]
    return rank(table), *jackknife_interval(rank(table), left, within=(-1, 1))


@style.paper
def costs_against_attention(heads, scores, costs, what):
    """What ablating a head costs against what its attention looks like, one point per head.

    Parameters
    ----------
    heads, scores, costs, what
        As in `scores_and_costs`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = heads.merge(costs[[*_IDENTITY, "effect", "standard_error"]], on=_IDENTITY)
    figure = style.blank(style.WIDTH, 3.1)
    said, found, many = [], [], heads["group"].nunique() > MOST_GROUPS
    for axes, (score, label) in zip(figure.subplots(1, 2, sharey=True), _LOOKS.items(), strict=True):
        own = table.merge(scores[scores["score"] == score][[*_IDENTITY, "value"]], on=_IDENTITY)
        for group, part in [(0, own)] if many else own.groupby("group"):  # so many no reader tells apart
            look = {
                "color": style.colour(int(group)),
                "marker": style.marker(int(group)),
                "markersize": 2.5 if many else 4,
            }
            axes.errorbar(
                part["value"], part["effect"], yerr=1.96 * part["standard_error"], linestyle="", elinewidth=0.6,
                markeredgecolor="white", markeredgewidth=0.3, label=str(group), **look,
            )  # fmt: skip
        axes.axhline(0, color="0.4", linewidth=0.6)
        rank, low, high = rank_over_members(own)
        ends = (
            f"95% {low:+.2f} to {high:+.2f} over networks" if np.isfinite(low) else "too few networks for an interval"
        )
        axes.set(xlabel=label, title=f"rank correlation {rank:+.2f}\n({ends})")
        found.append((rank, low, high))
        said.append(f"{label.partition(' (')[0]} at {rank:+.2f} ({ends})")
        axes.locator_params(axis="x", nbins=5)
    figure.axes[0].set_ylabel("loss added by mean ablation\n(nats per token, 95%)")
    if not many:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        keep = {"handletextpad": 0.1, "columnspacing": 0.8, "ncols": min(len(labels), 9)}
        figure.legend(handles, labels, loc="outside lower center", title=what, **keep)
    rank, low, high = found[0]
    title = f"Ablation cost and attention to the current token: rank correlation {rank:+.2f}"
    if low > 0 or high < 0:
        title = f"The more a head attends to the current token, the {'more' if rank > 0 else 'less'} its ablation costs"
    style.headline(figure, title)
    return style.finding(figure, f"the cost of a head's mean ablation correlates with {' and with '.join(said)}")


@style.paper
def mean_patterns(heads, patterns, what, causal):
    """The mean attention of every head, one row per network and one column per group, and attention by distance.

    Parameters
    ----------
    heads : DataFrame of [model, member, layer, head, group]
    patterns : array of shape (head, query, key)
    what : str
        What the groups are.
    causal : bool
        Whether heads look back only.

    Returns
    -------
    matplotlib.figure.Figure
    """
    networks = heads[["model", "member"]].drop_duplicates().reset_index(drop=True)
    row_of = heads.merge(networks.reset_index(names="row"), on=["model", "member"], how="left")["row"].to_numpy()
    groups = np.unique(heads["group"])[:MOST_MAPS]
    rows = min(len(networks), MOST_MAPS)
    size = patterns.shape[1]
    seen = np.tri(size, dtype=bool) if causal else np.ones((size, size), dtype=bool)
    figure = style.blank(style.WIDTH, 0.44 * rows + 2.2)
    upper, lower = figure.subfigures(2, 1, height_ratios=(0.44 * rows + 0.7, 1.5))
    axes, pitch = upper.subplots(), size + max(1, size // 5)
    page = np.ones((pitch * rows, pitch * len(groups), 4))
    colours, norm = style.map_with_gaps("Blues"), PowerNorm(0.5, 0, 1)
    for column, group in enumerate(groups):
        for row in range(rows):
            own = np.flatnonzero((heads["group"] == group).to_numpy() & (row_of == row))
            if len(own):
                shown = np.where(seen, patterns[own].mean(0), np.nan)
                page[row * pitch :, column * pitch :][:size, :size] = colours(norm(np.ma.masked_invalid(shown)))
    axes.imshow(page, interpolation="nearest", aspect="auto")
    middle = (size - 1) / 2
    several = networks["model"].nunique() > 1
    names = [f"{style.printable(r.model, 8)} {r.member}" if several else str(r.member) for r in networks.itertuples()]
    axes.set_yticks(np.arange(rows) * pitch + middle, names[:rows])
    axes.set_xticks(np.arange(len(groups)) * pitch + middle, [str(group) for group in groups])
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set(xlabel=what, ylabel="network")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    reach = np.arange(size if causal else 2 * size - 1) - (0 if causal else size - 1)
    uniform = by_distance(seen / seen.sum(1, keepdims=True), reach)
    panels, within = lower.subplots(1, len(groups), sharex=True, sharey=True, squeeze=False)[0], []
    for lines, group in zip(panels, groups, strict=True):
        every = np.array([by_distance(pattern, reach) for pattern in patterns[(heads["group"] == group).to_numpy()]])
        lines.plot(reach, every[:24].T, color=style.colour(int(group)), linewidth=0.4, alpha=0.5)
        lines.plot(reach, every.mean(0), color=style.colour(int(group)), linewidth=1.4)
        lines.plot(reach, uniform, color="0.4", linewidth=0.9, linestyle=":")
        within.append(every[:, np.flatnonzero(reach == 0)[0]])
    first = panels[0]
    first.xaxis.set_major_locator(MaxNLocator(2, integer=True))
    first.set(ylim=(0, 1), ylabel="attention\nby distance")
    lower.supxlabel("distance from query back to key (dotted: uniform head)", fontsize=8)
    count = heads["group"].nunique()
    cut = "" if rows == len(networks) else f", the first {rows} of {len(networks)} networks"
    cut += "" if len(groups) == count else f", {len(groups)} of {count} groups"
    style.headline(figure, f"Mean attention of every head (each map: query by key){cut}")
    means = np.array([values.mean() for values in within])
    spread = np.mean([values.std() for values in within])
    several = what.replace("group", "groups", 1)
    words = f"attention to the current token goes from {means.min():.2f} to {means.max():.2f} over {several} (uniform"
    words = f"{words} {uniform[np.flatnonzero(reach == 0)[0]]:.2f}) and varies by {spread:.2f} within one"
    return style.finding(figure, f"{words} (standard deviation over its heads)")


@style.paper
def flow_of_partners(heads, score, stable, what):
    """Where the heads of each group stand in every network, from most to least attention to the current token.

    Parameters
    ----------
    heads : DataFrame of [model, member, layer, head, group, tie]
    score : array of float, (head,)
        By which the heads of a network are ranked.
    stable : set of int
        Groups that are found again.
    what : str
        What the score is.

    Returns
    -------
    matplotlib.figure.Figure
    """
    heads = heads.assign(score=np.asarray(score, dtype=float))
    if not (heads["group"] >= 0).any():
        return style.nothing_to_show(
            "Partners are not available: they need two or more members with equally many heads in every layer."
        )
    heads["rank"] = heads.groupby(["model", "member"])["score"].rank(method="first")
    networks = heads[["model", "member"]].drop_duplicates().reset_index(drop=True)
    heads = heads.merge(networks.reset_index(names="column"), on=["model", "member"])
    groups = np.unique(heads.loc[heads["group"] >= 0, "group"])
    height = float(np.clip(0.24 * heads["rank"].max(), 2.0, 5.0))
    figure = style.blank(style.WIDTH, height + 1.1)
    axes, many = figure.subplots(), len(groups) > MOST_GROUPS
    pitch = 0.8 * 72 * height / heads["rank"].max()  # points from head to head
    thick, dot = min(3, 0.6 * pitch), min(8.4, max(1.5, 0.8 * pitch))
    smooth = np.linspace(0, 1, 25)
    bend = 3 * smooth**2 - 2 * smooth**3
    for group in groups:
        own = heads[heads["group"] == group].sort_values("column", kind="stable")
        solid = int(group) in stable
        colour, order = (style.colour(int(group)), 2 + solid) if solid or not many else ("0.75", 1)
        for one, other in zip(own.itertuples(), own.iloc[1:].itertuples(), strict=False):
            x = one.column + smooth * (other.column - one.column)
            y = one.rank + bend * (other.rank - one.rank)
            axes.plot(x, y, color=colour, linewidth=thick if solid else 0.4 * thick, alpha=0.55, zorder=order)
        axes.scatter(
            own["column"], own["rank"], s=dot**2, zorder=order, marker="o", linewidths=min(1.1, dot / 4),
            edgecolors=[colour],
            facecolors=[colour if tie < 0 else "white" for tie in own["tie"]],
        )  # fmt: skip
        if not many:
            for point in own.itertuples():
                ink = style.ink(colour) if point.tie < 0 else "black"
                at = {"ha": "center", "va": "center", "fontsize": style.SMALL, "zorder": 4}
                axes.text(point.column, point.rank, str(group), color=ink, **at)
    several = networks["model"].nunique() > 1
    names = [f"{style.printable(r.model, 10)} {r.member}" if several else str(r.member) for r in networks.itertuples()]
    axes.set_xticks(range(len(networks)), names, rotation=90 if several else 0)
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    key = (
        f"grey: the {len(groups) - len(stable)} groups that are not stable" if many else "number: group; thick: stable"
    )
    axes.set(xlabel=f"network ({key}; hollow: fits another too)", ylabel=f"heads by rank of {what}")
    axes.margins(x=0.03, y=0.06)
    spread = heads[heads["group"] >= 0].groupby("group")["rank"].std().mean()
    every = heads.groupby(["model", "member"])["rank"].std().mean()
    style.headline(figure, f"Partners, matched by attention, vary by {spread:.1f} ranks of {what}")
    words = (
        f"ranks by {what} of a group of partners vary by {spread:.2f} over networks (standard deviation; of all heads "
        f"of a network {every:.2f}), no evidence that they correspond, for they were matched by attention"
    )
    return style.finding(figure, f"{words}; {len(stable)} of {len(groups)} groups are stable (thick)")


@style.paper
def joined_tokens(heads, circuits, names, what):
    """The pairs of tokens that the most typical head of each group joins: from query to key, and from source to target.

    Parameters
    ----------
    heads : DataFrame of [model, member, layer, head, group, distance_to_partners]
    circuits : DataFrame of [model, member, layer, head, circuit, rank, source, target, value, chance]
        `circuit`: qk, whose query `source` scores its key `target`, or ov, whose `source` raises the logit of `target`.
    names : dict from int to str
        Of tokens.
    what : str
        What the groups are.

    Returns
    -------
    matplotlib.figure.Figure
    """
    typical = heads.sort_values("distance_to_partners", kind="stable").groupby("group").head(1)
    grouped = typical[typical["group"] >= 0].sort_values("group")
    typical = grouped.head(TYPICAL)
    rows = []
    for head in typical.itertuples():
        place = (circuits[_IDENTITY] == [getattr(head, name) for name in _IDENTITY]).all(axis=1)
        own = circuits[place].sort_values("rank", kind="stable")
        rows.append((head, {circuit: own[own["circuit"] == circuit].head(PAIRS) for circuit in ("qk", "ov")}))
    line, top = 0.165, 0.76
    height = top + (PAIRS + 0.5) * line * len(rows) + 0.1
    figure = style.blank(style.WIDTH, height, layout="none")
    edges = (0.1, 1.0, 3.25)  # inches
    of = "each" if len(typical) == len(grouped) else f"the first {len(typical)} of {len(grouped)}"
    said = what if of == "each" else what.replace("group", "groups", 1)
    title = f"Tokens that the most typical head of {of} {said} joins\n(grey: no more than random heads reach)"
    figure.text(0.5, 1 - 0.08 / height, title, ha="center", va="top", fontsize=9)
    headings = ("head", "QK: query → key, score (chance)", "OV: source → token, logit (chance)")
    for x, heading in zip(edges, headings, strict=True):
        figure.text(x / style.WIDTH, 1 - 0.5 / height, heading, va="top", weight="bold")
    layers = heads["layer"].nunique() > 1
    beyond = 0
    for row, (head, pairs) in enumerate(rows):
        upper = top + row * (PAIRS + 0.5) * line
        place = f"m{head.member} " + (f"L{head.layer} " if layers else "") + f"h{head.head}"
        figure.text(edges[0] / style.WIDTH, 1 - upper / height, f"{head.group}: {place}", va="top")
        for x, circuit in zip(edges[1:], ("qk", "ov"), strict=True):
            for depth, pair in enumerate(pairs[circuit].itertuples()):
                source, target = (style.printable(names.get(token, "?"), 9) for token in (pair.source, pair.target))
                clear = pair.value > pair.chance
                beyond += clear
                words = f"{source} → {target}   {pair.value:.1f} ({pair.chance:.1f})"
                y = 1 - (upper + depth * line) / height
                figure.text(x / style.WIDTH, y, words, va="top", color="black" if clear else "0.5")
    total = sum(len(part) for _, pairs in rows for part in pairs.values())
    if not total:
        return style.nothing_to_show("No tokens that heads join: there are no groups of heads.")
    words = f"{beyond} of {total} of the strongest pairs exceed what random heads of the same size reach at that rank"
    return style.finding(figure, words)


def draw_head_scores(partners, kinds, scores, losses, models):
    """Files of scores and of losses of each model, in their order."""
    heads, what = groups_of(partners, kinds)
    costs = _of_models(losses, models)
    return scores_and_costs(heads, _of_models(scores, models), costs[costs["kind"] == "mean"], what)


def draw_ablation_costs(partners, kinds, scores, losses, models):
    """The same."""
    heads, what = groups_of(partners, kinds)
    costs = _of_models(losses, models)
    return costs_against_attention(heads, _of_models(scores, models), costs[costs["kind"] == "mean"], what)


def draw_mean_patterns(partners, kinds, patterns):
    """A file of patterns of each model, in their order."""
    heads, what = groups_of(partners, kinds)
    facts = tables.facts(patterns[0])
    packed = np.concatenate([packing.first_prompts(path, PROMPTS).mean(1) for path in patterns])
    return mean_patterns(
        heads, packing.unpack(packed, facts["size"], facts["packing"]), what, facts["packing"] == "lower"
    )


def draw_partner_flow(partners, cards, stability):
    """Partners, with the scores on the heads' cards."""
    from headatlas.studies.phrenology.correspondence.stability import STABLE

    heads = tables.read(partners)
    score = heads[_IDENTITY].merge(tables.read(cards, [*_IDENTITY, "current_token"]), on=_IDENTITY, how="left")
    least = tables.read(stability, what="partner").groupby("group")["jaccard"].min()
    stable = {int(group) for group in least.index[least >= STABLE]}
    return flow_of_partners(heads, score["current_token"], stable, "attention to the current token")


def draw_joined_tokens(partners, kinds, circuits, tokenizer, tokenizer_config, models):
    """A file of circuits of each model, in their order."""
    heads, what = groups_of(partners, kinds)
    table = _of_models(circuits, models)
    reader = tokenizer_reading.read_tokenizer(tokenizer, tokenizer_config)
    tokens = np.unique(table[["source", "target"]].to_numpy())
    names = dict(zip(tokens.tolist(), tokenizer_reading.describe_tokens(reader, tokens.tolist()), strict=True))
    return joined_tokens(heads, table, names, what)
