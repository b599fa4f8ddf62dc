"""What stands behind kinds and partners: transplants, agreement of measures, and how universal each head is."""

import numpy as np
from matplotlib.lines import Line2D

from headatlas.attention import packing
from headatlas.base import tables
from headatlas.base.statistics import describe_p_value
from headatlas.plotting import style

SHOWN = 40  # heads named one by one in the figure of universality
PROMPTS = 64  # that mean attention is drawn over
_LEVEL = 0.95  # of intervals
_IDENTITY = ["model", "member", "layer", "head"]
_SOURCES = {
    "partner": ("its partner", style.colour(0), "o"),
    "kind": ("others of its group", style.colour(1), "s"),
    "others": ("others of the layer", "0.45", "D"),
    "other layer": ("another layer", style.colour(4), "^"),
}
_SHORT = {"partner": "partner", "kind": "same\ngroup", "others": "other\nheads", "other layer": "other\nlayer"}
_MEASURES = {
    "attention": "attention",
    "ov": "OV circuit",
    "qk": "QK circuit",
    "effects": "effects",
    "transplant": "transplant",
}


@style.paper
def transplants(heads, overall, groups):
    """For each head, how much of its mean-ablation loss its partner, others of its group and all others recover.

    Parameters
    ----------
    heads : DataFrame of [model, member, layer, head, norm, source, share, low, high]
        `transplant_shares.by_head`; 95% intervals over the networks that the donors are from.
    overall : DataFrame of [norm, source, share, low, high, chance, p, permutations]
        `transplant_shares.overall`.
    groups : DataFrame of [model, member, layer, head, kind]

    Returns
    -------
    matplotlib.figure.Figure
    """
    own = heads[heads["norm"] == "as mapped"]
    total = overall[overall["norm"] == "as mapped"].set_index("source")
    if own.empty or not np.isfinite(total.loc["partner", "share"]):
        return style.nothing_to_show("No head whose mean ablation costs anything has a partner in another network.")
    sources = [name for name in _SOURCES if np.isfinite(total.loc[name, "share"])]
    figure = style.blank(style.WIDTH, 3.3)
    left, right = figure.subplots(1, 2, width_ratios=[len(sources) / 2.6, 2.1])  # each source's share and name fit
    for axes in (left, right):
        axes.axhline(0, color="0.3", linewidth=0.6)
    equal = overall[overall["norm"] == "equal norm"].set_index("source")
    for place, source in enumerate(sources):
        _, colour, marker = _SOURCES[source]
        for table, shift, fill in ((total, -0.12, colour), (equal, 0.17, "white")):
            _interval(left, place + shift, table.loc[source], colour, marker, fill, 5)
    left.set_xticks(range(len(sources)), [f"{total.loc[name, 'share']:z.0%}\n{_SHORT[name]}" for name in sources])
    left.set(xlim=(-0.6, len(sources) - 0.4), ylabel="share of the loss recovered")
    for axes in (left, right):
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    left.set_title("all heads,\n95% over networks", loc="left")
    order = own[own["source"] == "partner"][[*_IDENTITY, "share"]].merge(groups, on=_IDENTITY)
    order = order.sort_values(["kind", "share"], ascending=[True, False], kind="stable", ignore_index=True)
    places = order[_IDENTITY].assign(place=np.arange(len(order)))
    size = min(3.4, 250 / len(order))
    for source in reversed(sources):
        _, colour, marker = _SOURCES[source]
        first = source == "partner"
        part = own[own["source"] == source].merge(places, on=_IDENTITY)
        right.errorbar(
            part["place"], part["share"], yerr=(part["share"] - part["low"], part["high"] - part["share"]),
            linestyle="", marker=marker, color=colour, markersize=size if first else 0.65 * size, markeredgewidth=0,
            elinewidth=0.7 if first else 0.35, alpha=1 if first else 0.75,
        )  # fmt: skip
    _name_kinds(right, order["kind"])
    beyond = own[(own["source"] == "partner") & (own["low"] > 0)]
    by_chance = (1 - _LEVEL) / 2 * len(order)
    said = f"of {len(order)}, {len(beyond)} recover\nmore than nothing, by chance {by_chance:.0f} (95%)"
    right.set_title(f"each head, by group: {said}", loc="left")
    low, high = np.nanpercentile(own[own["source"].isin(["partner", "others"])]["share"], [1, 99.5])
    right.set_ylim(min(low, 0) - 0.15, max(high, 0) + 0.15)  # an interval of a head that costs little may be longer
    partner, others, best = (total.loc[name] for name in ("partner", "others", "partner best"))
    less = total.loc["partner less others"]
    words = f"In the place of a head, its partner from another network recovers {partner['share']:z.0%} of the loss"
    style.headline(figure, f"{words}, other heads {others['share']:z.0%} ({_p_value(less)})")
    words = ", ".join(
        f"{name} {row['share']:z.0%}{_interval_words(row, 'z.0%')}"
        for name, row in (("its partner recovers", partner), ("other heads of the layer", others))
    )
    more = f"the partner {less['share']:z.0%} more ({_p_value(less)}, heads permuted within kinds)"
    chance = f"it is the best donor for {best['share']:z.0%} of heads, by chance {best['chance']:.1%}"
    style.finding(figure, f"of what mean ablation costs, {words}; {more}; {chance}")
    keys = [_key(*_SOURCES[name]) for name in sources]
    keys.append(_key("at equal norm", "0.3", "o", "white"))
    figure.legend(handles=keys, loc="outside lower center", ncols=3, handletextpad=0.2, columnspacing=1.2)
    return figure


def _p_value(row):
    permutations = int(row["permutations"]) if np.isfinite(row["permutations"]) else None
    return describe_p_value(row["p"], permutations, brief=True)


def _key(label, colour, marker, fill=None):
    return Line2D([], [], linestyle="", marker=marker, markersize=4, color=colour, mfc=fill or colour, label=label)


def _interval(axes, place, row, colour, marker, fill, size):
    """A share with its interval, where it is known."""
    reach = None if np.isnan(row["low"]) else [[row["share"] - row["low"]], [row["high"] - row["share"]]]
    axes.errorbar(
        [place], [row["share"]], yerr=reach, marker=marker, color=colour, markerfacecolor=fill, markersize=size,
        elinewidth=1.2, capsize=0,
    )  # fmt: skip


def _name_kinds(axes, kinds):
    """Name the kinds under heads that are sorted by them."""
    starts = np.flatnonzero(np.diff(kinds, prepend=kinds.iloc[0] - 1))
    ends = np.append(starts[1:], len(kinds))
    for start in starts[1:]:
        axes.axvline(start - 0.5, color="0.8", linewidth=0.5, zorder=0)
    names = [f"{kinds.iloc[start]} ({end - start})" for start, end in zip(starts, ends, strict=True)]
    axes.set_xticks(*style.thinned(((starts + ends - 1) / 2).tolist(), names, len(kinds), 9))
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.8, len(kinds) - 0.2)


@style.paper
def agreement(table):
    """How often two measures name the same partner, and how often heads permuted within kinds would.

    Parameters
    ----------
    table : DataFrame of [first, second, share, low, high, chance, chance_95, p, permutations]
        `partner_agreement.agreement`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if table.empty:
        return style.nothing_to_show("No partners: the networks differ in their heads, or there is only one.")
    figure = style.blank(0.85 * style.WIDTH, 0.36 * len(table) + 1.45)
    axes = figure.subplots()
    rows = len(table) - 1 - np.arange(len(table))
    axes.barh(rows, table["chance_95"], height=0.62, color="0.88", label="heads permuted within kinds: mean, 95%")
    axes.vlines(table["chance"], rows - 0.31, rows + 0.31, color="0.5", linewidth=1)
    clear = table["share"] > table["chance_95"]
    for row, part, found in zip(rows, table.to_dict("records"), clear, strict=True):
        reach = None if np.isnan(part["low"]) else [[part["share"] - part["low"]], [part["high"] - part["share"]]]
        axes.errorbar(
            [part["share"]], [row], xerr=reach, marker="o", markersize=5, color=style.colour(2),
            markerfacecolor=style.colour(2) if found else "white", elinewidth=1.2,
        )  # fmt: skip
        axes.annotate(f"{part['share']:.0%}", (part["share"], row + 0.14), ha="center", va="bottom")
        axes.annotate(_p_value(part), (1.01, row), xycoords=("axes fraction", "data"), va="center")
    names = [f"{_MEASURES[a]} and {_MEASURES[b]}" for a, b in zip(table["first"], table["second"], strict=True)]
    axes.set_yticks(rows, names)
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, None), ylim=(-0.5, len(table) - 0.3), xlabel="share with the same partner")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    first = table.iloc[0]
    style.headline(
        figure,
        f"Partners by {_MEASURES[first['first']]} are partners by {_MEASURES[first['second']]} for "
        f"{first['share']:.0%} of heads, permuted within kinds for {first['chance']:.0%} ({_p_value(first)})",
    )
    figure.legend(loc="outside lower center")
    said = ", ".join(
        f"{name} for {row['share']:.0%}{_interval_words(row, '.0%')}, "
        f"permuted for {row['chance']:.0%} ({_p_value(row)})"
        for name, row in zip(names, table.to_dict("records"), strict=True)
        if row["first"] == "attention"
    )
    said = said or names[0]
    how = "95% over networks, heads permuted within kinds"
    return style.finding(figure, f"two measures name the same partner: {said}; {how}")


def _interval_words(row, form, what=""):
    """Both ends of the interval of `what`, where they are known."""
    low, high = (row[f"{what}{end}"] for end in ("low", "high"))
    return f" ({low:{form}} to {high:{form}})" if np.isfinite(low) else ""


@style.paper
def universality(table, patterns):
    """Heads by how far their partners stand out of the noise, what they share by each measure, and who they are.

    Parameters
    ----------
    table : DataFrame of [model, member, layer, head, kind, score, beyond_noise, chance, p, permutations], measures
        `universality.universality`; score and measures with `_low` and `_high`.
    patterns : array of shape (head, query, key)
        Mean attention of the same heads, in the order of the table; the three most and the three least universal ones
        are drawn.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = np.flatnonzero(np.isfinite(table["score"]))
    if not len(rows):
        return style.nothing_to_show("No partners: the networks differ in their heads, or there is only one.")
    order = rows[np.argsort(table["score"].to_numpy()[rows], kind="stable")]
    kept = order if len(order) <= SHOWN else np.concatenate([order[: SHOWN // 2], order[-SHOWN // 2 :]])
    shown = table.iloc[kept]
    measures = [name for name in _MEASURES if name in table and np.isfinite(shown[name]).any()]
    figure = style.blank(style.WIDTH, max(4.4, 0.125 * len(shown) + 1.9))
    grid = figure.add_gridspec(6, 4, width_ratios=[1.7, 1.3, 0.8, 0.9])
    dots, map_, bars = (figure.add_subplot(grid[:, column]) for column in range(3))
    y = np.arange(len(shown))
    reach = [shown["score"] - shown["score_low"], shown["score_high"] - shown["score"]]
    colours = [style.cluster_colour(kind) for kind in shown["kind"]]
    dots.axvline(0, color="0.3", linewidth=0.6)
    dots.hlines(y, shown["score"] - reach[0], shown["score"] + reach[1], color=colours, linewidth=0.8)
    dots.scatter(shown["score"], y, c=colours, s=9, linewidths=0, zorder=3)
    dots.set_yticks(y, [_head(row, table) for row in shown.to_dict("records")], fontsize=style.SMALL)
    dots.set(xlabel="partners beyond noise\n(sd, 95% over networks)", title="how universal")
    values = shown[measures].to_numpy(dtype=float)
    spread = np.nanstd(values, 0)
    scaled = (values - np.nanmean(values, 0)) / np.where(spread > 0, spread, 1)
    map_.imshow(scaled, cmap=style.map_with_gaps(style.SIGNED), vmin=-2.5, vmax=2.5, aspect="auto", origin="lower")
    map_.set_xticks(range(len(measures)), [_MEASURES[name] for name in measures], rotation=50, ha="right")
    map_.set(yticks=[], title="alike (red: more\nthan the mean)")
    bars.barh(y, shown["beyond_noise"], color=colours, height=0.75)
    bars.scatter(shown["chance"], y, marker="|", color="black", s=9, linewidths=0.8)
    bars.set(xlim=(0, 1), xticks=[0, 1], yticks=[], title="partner\nbeyond noise", xlabel="of networks\n(|: permuted)")
    bars.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    for axes in (dots, map_, bars):
        axes.set_ylim(-0.7, len(shown) - 0.3)
        axes.tick_params(axis="y", length=0)
    chosen = [*order[::-1][:3], *order[:3][::-1]] if len(order) >= 6 else order[::-1]
    for place, row in enumerate(chosen):
        axes = figure.add_subplot(grid[place, 3])
        axes.imshow(patterns[row], cmap="Blues", vmin=0, vmax=np.nanmax(patterns[row]), interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        which = "most" if place < 3 else "least"
        axes.set_title(f"{which} {_head(table.iloc[row], table)}", fontsize=style.SMALL, pad=2)
    share = table["beyond_noise"].mean()
    cut = "" if len(kept) == len(order) else f"; the {SHOWN // 2} most and least of {len(order)}"
    chance = f"heads permuted within kinds in {table['chance'].mean():.0%}, {_p_value(table.iloc[order[-1]])}"
    said = f"have a partner beyond noise in {share:.0%} of the other networks ({chance})"
    style.headline(figure, f"Heads {said}{cut}; right: mean attention")
    most, least = (
        f"{_head(row, table)}, {row['score']:.2f} sd{_interval_words(row, '.2f', 'score_')}"
        for row in (table.iloc[order[-1]], table.iloc[order[0]])
    )
    style.finding(figure, f"heads {said}; the most universal is {most}, the least {least}")
    kinds = sorted(set(shown["kind"]))
    keys = [_key(f"group {kind}", style.cluster_colour(kind), "o") for kind in kinds]
    figure.legend(handles=keys, loc="outside lower center", ncols=min(10, len(keys)), handletextpad=0.1)
    return figure


def _head(row, table):
    parts = [f"m{row['member']}"] + ([f"L{row['layer']}"] if table["layer"].nunique() > 1 else []) + [f"h{row['head']}"]
    return " ".join(([str(row["model"])] if table["model"].nunique() > 1 else []) + parts)


def draw_transplants(head_shares, shares, universality):
    """Tables of `weigh_evidence`; the last names every head's kind."""
    kinds = tables.read(universality, [*_IDENTITY, "kind"])
    return transplants(tables.read(head_shares), tables.read(shares), kinds)


def draw_agreement(table):
    """The table of `weigh_evidence`."""
    return agreement(tables.read(table))


def draw_universality(table, patterns):
    """The table of `weigh_evidence`, and the attention patterns of each model, in their order."""
    facts = tables.facts(patterns[0])
    packed = np.concatenate([packing.first_prompts(path, PROMPTS).mean(1) for path in patterns])
    return universality(tables.read(table), packing.unpack(packed, facts["size"], facts["packing"]))
