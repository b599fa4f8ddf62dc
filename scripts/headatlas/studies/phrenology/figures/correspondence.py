"""Which heads correspond: the plateaus that count the kinds, matrices ordered by kind, consensus, and partners."""

import re

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from headatlas.base import tables
from headatlas.base.statistics import describe_p_value
from headatlas.plotting import style
from headatlas.studies.phrenology import head_tables
from headatlas.studies.phrenology.correspondence.kinds import describe_count
from headatlas.studies.phrenology.correspondence.stability import STABLE
from headatlas.studies.phrenology.figures import matrix

_CHOSEN, _RIVAL, _OTHER = style.colour(3), style.colour(1), "0.35"
_MOST_GROUPS = 40  # rows of the figure of partners


@style.paper
def number_of_kinds(table, lengths, facts):
    """Fig 4, corrected: over which range of resolutions each number of groups lasts, and whether continua do as well.

    Parameters
    ----------
    table : DataFrame of [kinds, low, high, length, chosen, rival]
        As `kinds.find_kinds` gives it.
    lengths : array of float, (continuum,)
        Of the longest plateau of every continuum.
    facts : mapping
        length (of the real heads by the same quick search), p, continua, are_kinds.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = style.blank(style.WIDTH, 2.9)
    steps, test = figure.subplots(1, 2, width_ratios=(1.7, 1))
    for row in table.itertuples():
        colour = _CHOSEN if row.chosen else _RIVAL if row.rival else _OTHER
        wide = 3.5 if row.chosen or row.rival else 1.2
        steps.plot([row.low, row.high], [row.kinds] * 2, color=colour, linewidth=wide, solid_capstyle="butt")
        if row.chosen or row.rival:
            words = f"{row.kinds} groups, a factor of {np.exp(row.length):.1f}"
            # steps rise to the right: words stand left of the next step, or, where there is no room, right of this one
            first, last = np.log(table["low"].min()), np.log(table["high"].max())
            right = np.log(row.high) - first > 0.5 * (last - first)
            look = {"ha": "right", "va": "bottom"} if right else {"ha": "left", "va": "center"}
            offset = (-2, 4) if right else (5, 0)
            steps.annotate(words, (row.high, row.kinds), offset, textcoords="offset points", color=colour, **look)
    edges = np.append(table["low"], table["high"].iloc[-1])
    steps.stairs(table["kinds"], edges, color="0.75", linewidth=0.6, baseline=None, zorder=0)
    steps.set(xscale="log", yscale="log", xlabel="resolution (log scale)", ylabel="groups (log scale)")
    ticks = [count for count in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64) if count <= table["kinds"].max() * 1.05]
    steps.set_yticks(ticks, [str(count) for count in ticks], minor=False)
    steps.set_yticks([], minor=True)
    shown = [tick for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5) if edges[0] <= tick <= edges[-1]]
    shown = shown if len(shown) < 6 else [tick for tick in shown if tick in (0.01, 0.05, 0.2, 1, 5)]
    steps.set_xticks(shown, [f"{tick:g}" for tick in shown])
    steps.set_xticks([], minor=True)
    steps.set_ylim(0.85, max(4.0, table["kinds"].max() * 1.3))
    bins = np.linspace(0, max(lengths.max(), facts["length"]) * 1.05 or 1, 25)
    test.hist(lengths, bins=bins, color="0.75", label="continua")
    test.axvline(facts["length"], color=_CHOSEN, linewidth=1.4, label="these heads")
    test.set(xlabel="longest plateau\n(natural log of its factor)", ylabel="continua")
    words = describe_p_value(facts["p"], facts["continua"]).replace("permutations", "continua")
    test.set_title("continua made from\nthese distances")
    figure.legend(*test.get_legend_handles_labels(), loc="outside lower right", ncols=2)
    chosen = table[table["chosen"]].iloc[0]
    verdict = "longer than in continua" if facts["are_kinds"] else "no longer than in continua"
    factor = np.exp(chosen["length"])
    rivals = describe_count(table[table["rival"]]) if table["rival"].any() else ""
    rivals = f" (nearly as long: {rivals.replace(' or ', ' and ')})" if rivals else ""
    said = f"{chosen['kinds']} groups last longest, over a factor of {factor:.2f}{rivals}, {verdict}: {words}"
    style.headline(figure, said)
    return style.finding(figure, said)


def _strip(groups):
    """Colours of the heads' groups, (head, 1, 3); heads without one are grey."""
    return np.array([style.colour(group) if group >= 0 else (0.85,) * 3 for group in groups])[:, None]


def _ordered(figure, axes, values, groups, label, name, limits):
    """A matrix with groups one after the other, the diagonal left out, and the mean in each block of two groups."""
    order = matrix.clustered_order(1 - values if label.startswith("share") else values, groups)
    masked = np.array(values, dtype=np.float64)[np.ix_(order, order)]
    np.fill_diagonal(masked, np.nan)
    blocks = [np.asarray(groups)[order]] if (np.asarray(groups) >= 0).any() else []
    strip = _strip(np.asarray(groups))[order]
    image = matrix.draw(figure, axes, masked, label, strip=strip, blocks=blocks, name=name, limits=limits)
    if blocks and len(set(blocks[0])) <= 6:
        for i in sorted(set(blocks[0])):
            for j in sorted(set(blocks[0])):
                rows, columns = np.flatnonzero(blocks[0] == i), np.flatnonzero(blocks[0] == j)
                mean = np.nanmean(masked[np.ix_(rows, columns)]) if len(rows) + len(columns) > 2 else np.nan
                if np.isfinite(mean):
                    share = (mean - limits[0]) / max(limits[1] - limits[0], 1e-12)
                    colour = style.ink(image.cmap(np.clip(share, 0, 1))[:3])
                    off = 0.09 * len(values) if i == j else 0  # from the diagonal
                    place = columns.mean() + off, rows.mean() - off
                    axes.text(*place, f"{mean:.2f}", ha="center", va="center", color=colour, fontsize=8.5)
    return image


@style.paper
def ordered_distances(heads, distances, kinds, partners, are_kinds):
    """Fig 7, corrected: Jensen-Shannon distances with the heads of a kind, and with partners, side by side.

    Parameters
    ----------
    heads : DataFrame of [model, member, layer, head]
    distances : array of shape (head, head)
    kinds, partners : arrays of int, (head,)
        -1 for heads without a group. Without any partners the right half is left out.
    are_kinds : bool
        Whether the groups on the left are kinds, or pieces of a continuum.

    Returns
    -------
    matplotlib.figure.Figure
    """
    two = bool((np.asarray(partners) >= 0).any())
    figure = style.blank(style.WIDTH if two else 0.72 * style.WIDTH, 3.6 if two else 3.9)
    limits = matrix.apart(distances)
    label = "mean Jensen-Shannon distance (√bit)" if not two else "Jensen-Shannon distance (√bit)"
    panels = figure.subplots(1, 1 + two, squeeze=False)[0]
    name = "heads, by kind" if are_kinds else "heads, by group (no kinds)"
    _ordered(figure, panels[0], distances, kinds, label, name, limits)
    if two:
        _ordered(figure, panels[1], distances, partners, label, "heads, by group of partners", limits)
    said = [f"{_within_and_across(distances, kinds)} {'kinds' if are_kinds else 'groups'}"]
    if two:
        said.append(f"{_within_and_across(distances, partners)} groups of partners")
    shown = partners if two else kinds
    style.headline(figure, f"Heads lie {_within_and_across(distances, shown)} {said[-1].split('across ')[1]}")
    return style.finding(figure, f"heads lie {' and '.join(said)} (mean distance, √bit)")


def _within_and_across(distances, groups):
    groups, off = np.asarray(groups), ~np.eye(len(distances), dtype=bool)
    same = groups[:, None] == groups
    within, across = np.asarray(distances)[same & off], np.asarray(distances)[~same]
    means = [values.mean() if len(values) else np.nan for values in (within, across)]
    return f"{means[0]:.2f} apart within and {means[1]:.2f} across"


@style.paper
def shared_groups(heads, shared, groups, agreement):
    """How often two heads fall into one group on halves of the prompts.

    Parameters
    ----------
    heads : DataFrame of [model, member, layer, head]
    shared : dict from str ("kind", "candidate", "partner") to array (head, head)
        Share of the halves.
    groups : dict from str to array of int, (head,)
    agreement : DataFrame of [what, resampling, ari, low, high]

    Returns
    -------
    matplotlib.figure.Figure
    """
    two = len(shared) == 2
    figure = style.blank(style.WIDTH if two else 0.72 * style.WIDTH, 3.95 if two else 4.1)
    titles = {"kind": "kind", "candidate": "group (no kinds)", "partner": "group of partners"}
    said = []
    found = agreement.set_index(["what", "resampling"])["ari"]
    for axes, (what, values) in zip(figure.subplots(1, len(shared), squeeze=False)[0], shared.items(), strict=True):
        known = [(key, found.get((what, key), np.nan)) for key in ("prompts", "members")]
        words = {"prompts": "halves of the prompts", "members": "members left out"}
        label = "share of halves in one group"
        lines = [f"{words[key]}: ARI {ari:.2f}" for key, ari in known if np.isfinite(ari)]
        ends = agreement[agreement["what"] == what].set_index("resampling")
        how = {"prompts": "on halves of the prompts", "members": "with a member left out"}
        each = [
            f"{ari:.2f} ({ends.loc[key, 'low']:.2f} to {ends.loc[key, 'high']:.2f}) {how[key]}"
            for key, ari in known
            if np.isfinite(ari) and "low" in ends
        ]
        said += [f"by {titles[what]}, {' and '.join(each)}"] if each else []
        _ordered(figure, axes, values, groups[what], label, "\n".join((f"heads, by {titles[what]}", *lines)), (0, 1))
        axes.child_axes[0].set_ylabel(f"heads, by {titles[what]}")
    if said:
        style.headline(figure, "How often two heads fall into one group on random halves of the prompts")
        style.finding(figure, f"partitions agree (adjusted Rand index, 95%) {'; '.join(said)}")
    return figure


@style.paper
def groups_of_partners(table, stability, names):
    """Whose counterpart each head is: a row for each group of partners, a column for each member.

    Parameters
    ----------
    table : DataFrame of [model, member, layer, head, group, tie, distance_to_partners]
    stability : DataFrame of [group, resampling, jaccard, low, high]
        Of partners.
    names : dict from group to str

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = table[table["group"] >= 0]
    if table.empty:
        return style.nothing_to_show(
            "Partners are not available: they need two or more members with equally many heads in every layer."
        )
    order = table.groupby("group")["distance_to_partners"].mean().sort_values(kind="stable").index[:_MOST_GROUPS]
    row_of = {group: row for row, group in enumerate(order)}
    shown = table[table["group"].isin(order)]
    networks = table[["model", "member"]].drop_duplicates().reset_index(drop=True)
    column = shown.merge(networks.reset_index(names="column"), on=["model", "member"], how="left")["column"].to_numpy()
    row = shown["group"].map(row_of).to_numpy()
    values = np.full((len(order), len(networks)), np.nan)
    values[row, column] = shown["distance_to_partners"]
    figure = style.blank(style.WIDTH, 1.75 + 0.27 * len(order))
    axes, bars = figure.subplots(1, 2, sharey=True, width_ratios=(1.9, 1))
    image = axes.imshow(values, cmap=style.DISTANCES, aspect="auto")
    layers = table["layer"].nunique() > 1
    for x, y, head in zip(column, row, shown.itertuples(), strict=True):
        colour = style.ink(image.cmap(image.norm(head.distance_to_partners))[:3])
        label = f"L{head.layer}H{head.head}" if layers else str(head.head)
        axes.text(x, y, label, ha="center", va="center", color=colour, fontsize=style.SMALL)
        if head.tie >= 0:
            axes.add_patch(Rectangle((x - 0.46, y - 0.42), 0.92, 0.84, fill=False, edgecolor=_RIVAL, linewidth=1.2))
    several = networks["model"].nunique() > 1
    ends = [f"{style.printable(r.model, 10)} {r.member}" if several else str(r.member) for r in networks.itertuples()]
    axes.set_xticks(range(len(networks)), ends, rotation=90 if several else 0)
    axes.set_yticks(range(len(order)), [f"{group} {_named(names, group)}"[:26] for group in order])
    axes.set(xlabel="member, with its head\n(framed: fits another group too)")
    bar = figure.colorbar(image, ax=axes, location="top", aspect=30, pad=0.02, label="mean distance to partners (√bit)")
    bar.locator = MaxNLocator(4)
    looks = {
        "prompts": (style.TRAIN, "o", -0.15, "halves of the prompts"),
        "members": (style.HELD_OUT, "s", 0.15, "a member left out"),
    }
    for resampling, (colour, marker, shift, label) in looks.items():
        own = stability[(stability["resampling"] == resampling) & stability["group"].isin(order)].dropna()
        if own.empty:
            continue
        y = own["group"].map(row_of) + shift
        reach = np.abs(own[["low", "high"]].to_numpy().T - own["jaccard"].to_numpy())
        bars.errorbar(
            own["jaccard"], y, xerr=reach, fmt=marker, color=colour, markersize=3.5, elinewidth=0.8, label=label
        )
    bars.axvline(STABLE, color="0.6", linewidth=0.8, linestyle=":")
    bars.set(xlim=(0, 1.04), xlabel=f"Jaccard (95%),\nstable from {STABLE:g}")
    bars.tick_params(axis="y", left=False, labelleft=False)
    bars.legend(loc="lower right", bbox_to_anchor=(1.05, 1), handletextpad=0.2)
    every = stability.groupby("group")["jaccard"].min()
    stable, count = int((every >= STABLE).sum()), table["group"].nunique()
    ties = int((table["tie"] >= 0).sum())
    cut = "" if len(order) == count else f"; shown: the {len(order)} whose heads are nearest"
    style.headline(figure, f"{stable} of {count} groups of partners are found again{cut}")
    sentence = (
        f"{stable} of {count} groups of partners are stable (Jaccard {STABLE:g} or more on halves of the prompts and "
        f"with a member left out), and {ties} of {len(table)} heads fit another group nearly as well"
    )
    return style.finding(figure, sentence)


def _named(names, group):
    """A group's name without the numbers behind it."""
    return re.sub(r" \([^)]*\)", "", names.get(group, ""))


def draw_head_distances(distances, kinds, partners):
    """Fig 7, corrected."""
    heads, jensen_shannon = head_tables.read_distances(distances)
    groups = tables.read(kinds, ["candidate"])["candidate"].to_numpy()
    matched = tables.read(partners, ["group"])["group"].to_numpy()
    return ordered_distances(heads, jensen_shannon, groups, matched, tables.facts(kinds)["are_kinds"])


def draw_consensus(kinds, partners, consensus, agreement):
    """How often two heads are in one group on other prompts."""
    groups = {
        "candidate": tables.read(kinds, ["candidate"])["candidate"].to_numpy(),
        "partner": tables.read(partners, ["group"])["group"].to_numpy(),
    }
    groups["kind"] = groups["candidate"]
    found = tables.read(consensus, ["what"])["what"].unique()
    shared = {what: tables.read_lists(consensus, "together", what=what) for what in found}
    return shared_groups(tables.read(kinds, head_tables.IDENTITY), shared, groups, tables.read(agreement))


def draw_partners(partners, stability, names):
    """Whose counterpart each head is."""
    named = tables.read(names, what="partner").groupby("group")["name"].first().to_dict()
    return groups_of_partners(tables.read(partners), tables.read(stability, what="partner"), named)
