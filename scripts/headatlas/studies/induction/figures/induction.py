"""The figures on induction heads of Chen ("Exploring transformer interpretability", section 2), numbered as there."""

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.ticker import FixedLocator, NullLocator

from headatlas.plotting import style

READINGS = {
    "same": "the earlier instance",
    "before": "the token before it",
    "after": "the token after it",
    "after_left": "after the left\nneighbour's earlier one",
    "before_right": "before the right\nneighbour's earlier one",
    "earlier": "the earlier instance",
    "later": "the later instance",
}
SETUPS = {"standard": "standard", "shuffled": "shuffled", "bidirectional": "bidirectional"}
_MAPS = style.DISTANCES
_LABELLED = 3  # heads of a map whose score is written out
_NEAR = 2  # positions shown on either side of one that matters


def panels_of(tables):
    """Every member of every model, as (title, model, member, rows)."""
    found = []
    for model, table in tables.items():
        members = sorted(table["member"].unique())
        for member in members:
            title = model if len(members) == 1 else f"{model}\nmember {member}"
            found.append((title, model, member, table[table["member"] == member]))
    return found


def _grid(rows, name="value"):
    """Values as an array (layer, head)."""
    return rows.pivot(index="layer", columns="head", values=name).to_numpy(np.float64)


def _map(axes, grid, chance, top):
    """A heat map of layers by heads, the first layer at the top, the strongest heads with their scores."""
    axes.imshow(grid, cmap=_MAPS, vmin=0, vmax=top, aspect="equal")
    layers, heads = grid.shape
    axes.spines[:].set_visible(False)
    for axis, count in ((axes.xaxis, heads), (axes.yaxis, layers)):
        axis.set_ticks(range(0, count, max(1, -(-count // 6))))
        axis.set_tick_params(length=1.5, pad=1.5, labelsize=6)
    for place in np.argsort(-np.nan_to_num(grid), axis=None)[:_LABELLED]:
        layer, head = divmod(int(place), heads)
        if grid[layer, head] > chance + 0.05:
            size = min(6.5, 90 / max(layers, heads))
            colour = style.ink(colormaps[_MAPS](grid[layer, head] / top)[:3])
            axes.text(
                head, layer, f"{grid[layer, head]:.2f}"[1:], ha="center", va="center", fontsize=size, color=colour
            )


def _scale(figure, axes, top, label):
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, top), _MAPS), ax=axes, label=label, shrink=0.7, aspect=30, pad=0.02
    )
    bar.outline.set_visible(False)


def _nothing(text):
    figure = style.blank(0.6 * style.WIDTH, 1.2)
    figure.text(0.5, 0.5, text, ha="center", va="center")
    return figure


# Figure 5: in-context learning


@style.paper
def in_context(pairs, curves, facts, gains, protocol):
    """Fig 5: what a long context gains over a short one, text by text; corrected, with intervals and whole curves.

    Parameters
    ----------
    pairs : dict from model to DataFrame of [protocol, member, text, short, long]
    curves : dict from model to DataFrame of [member, size, loss, low, high]
    facts : dict from model to Mapping
        `short`, `long`, `causal`, `texts`, `skipped`.
    gains : dict from (model, protocol, member) to (mean, low, high)
    protocol : {"published", "corrected"}

    Returns
    -------
    matplotlib.figure.Figure
    """
    both = protocol == "corrected"
    wide = len(pairs)
    figure = style.blank(max(2.6, min(style.WIDTH, 2.3 * wide)) if wide < 4 else 1.75 * wide, 4.4 if both else 2.5)
    panels = figure.subplots(2 if both else 1, wide, squeeze=False)
    for column, (model, table) in enumerate(pairs.items()):
        axes, own = panels[0, column], table[table["protocol"] == protocol]
        for member, rows in own.groupby("member"):
            values = np.sort((rows["short"] - rows["long"]).to_numpy())[::-1]
            colour = style.member_colour(member)
            axes.plot(np.arange(1, len(values) + 1), values, ".", markersize=3, color=colour)
            mean, low, high = gains[model, protocol, member]
            axes.axhline(mean, color=colour, linewidth=0.9)
            if both:
                axes.axhspan(low, high, color=colour, alpha=0.15, linewidth=0)
        mean = np.mean([gains[model, protocol, member][0] for member in own["member"].unique()])
        axes.axhline(0, color="0.6", linewidth=0.6, zorder=0)
        axes.set(title=f"{model}\nmean {mean:.2f} nats", xlabel="text, by what it gains")
        if both:
            _curve(panels[1, column], curves[model], facts[model])
    said = facts[next(iter(facts))]
    panels[0, 0].set_ylabel(f"loss in {said['short']} less\nloss in {said['long']} tokens (nats)")
    if both:
        panels[1, 0].set_ylabel("loss (nats)")
    return figure


def _curve(axes, curve, facts):
    for member, rows in curve.groupby("member"):
        colour = style.member_colour(member)
        axes.plot(rows["size"], rows["loss"], color=colour, linewidth=1)
        axes.fill_between(rows["size"], rows["low"], rows["high"], color=colour, alpha=0.15, linewidth=0)
    for size in (facts["short"], facts["long"]):
        axes.axvline(size, color="0.6", linewidth=0.6, linestyle=":", zorder=0)
    _log_axis(axes, curve["size"].min(), curve["size"].max())
    axes.set(xlabel="position of the token" if facts["causal"] else "tokens of the masked one's context")
    axes.set_title(f"{facts['texts']} texts, {facts['skipped']} too short", fontsize=7)


def _log_axis(axes, low, high):
    """A logarithmic x axis with a few round numbers on it, as plain text."""
    axes.set_xscale("log")
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    within = (1, 2, 5) if high < 30 * low else (1,)
    ticks = [m * 10**d for d in decades for m in within if low <= m * 10**d <= high]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1e3:g}k" if value >= 1e3 else f"{value:g}")


# Figure 6: the scheme
_SCHEME_WIDTH = 0.96 * style.WIDTH  # inches
_ARC = 0.26  # inches above or below the tokens, at most: between them and the key


@style.paper
def scheme(trials, protocol):
    """Fig 6: the setups, each drawn from an actual trial.

    Parameters
    ----------
    trials : dict from model to dict
        What `asking.shown` gives; for each setup the first model that has it is shown.
    protocol : {"published", "corrected"}

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = []
    for model, found in trials.items():
        setups = [setup for setup in SETUPS if setup in found[protocol]]  # as in the report
        for setup in setups:
            one, causal = found[protocol][setup], len(setups) == 1
            if (setup, causal) not in [(what, kind) for _, what, kind, _ in shown]:
                shown.append((model, setup, causal, one))
    figure = style.blank(style.WIDTH, 1.25 * len(shown), layout="none")
    for row, (model, setup, causal, one) in enumerate(shown):
        height = 1 / len(shown)
        axes = figure.add_axes((0.02, 1 - (row + 1) * height, _SCHEME_WIDTH / style.WIDTH, height * 0.8))
        axes.axis("off")
        name = "two copies, causal" if causal else SETUPS[setup]
        axes.set_title(
            f"({'abcdef'[row]}) {name}: {model}, {one['length']} tokens a copy", loc="left", pad=1, fontsize=7
        )
        _trial(axes, one, causal)
    return figure


def _trial(axes, one, causal):
    one = {**one, "keys": {name: one["keys"][name] for name in READINGS if name in one["keys"]}}
    size, at = len(one["tokens"]), one["masked"]
    mattering = [at, *(key for key in one["keys"].values() if 0 <= key < size)]
    kept = sorted({p for m in mattering for p in range(max(0, m - _NEAR), min(size, m + _NEAR + 1))} | {0, size - 1})
    if size <= 36:
        kept = list(range(size))
    places, left = {}, 0.0
    for before, position in zip([None, *kept], kept, strict=False):
        left += 0.6 if before is not None and position > before + 1 else 0.0
        places[position] = left
        left += 1.0
    axes.set(xlim=(0, left), ylim=(-1.6, 1.9))
    letters = min(7.0, 190 / len(kept))
    for before, position in zip([None, *kept], kept, strict=False):
        x = places[position]
        if before is not None and position > before + 1:
            axes.text(x - 0.3, 0, "…", ha="center", va="center")
        read = position in one["keys"].values()
        face = "#F0E442" if position == at else "#CFE8F7" if read else "0.96"
        axes.add_patch(Rectangle((x + 0.04, -0.5), 0.92, 1, facecolor=face, edgecolor="0.7", linewidth=0.4))
        text = "MASK" if position == at and not causal else style.printable(one["tokens"][position], 9)
        axes.text(x + 0.5, 0, text, ha="center", va="center", fontsize=letters, rotation=90 if len(kept) > 20 else 0)
    for number, key in enumerate(one["keys"].values()):
        if key not in places:
            continue
        up = number % 2 == 0
        start, end = places[at] + 0.5, places[key] + 0.5
        edge = 0.55 if up else -0.55
        span = abs(start - end) * _SCHEME_WIDTH / left  # inches; an arc's height is half its bend times its span
        bend = min(0.18, 2 * _ARC / max(span, 1e-9)) * (1 if (start > end) == up else -1)
        style_of = {"arrowstyle": "-|>", "mutation_scale": 6, "linewidth": 0.8, "color": style.head_colour(number)}
        axes.add_patch(FancyArrowPatch((start, edge), (end, edge), connectionstyle=f"arc3,rad={bend}", **style_of))
    labels = [READINGS[name].replace("\n", " ") for name in one["keys"]]
    keys = [Line2D([], [], color=style.head_colour(number), label=label) for number, label in enumerate(labels)]
    axes.legend(
        handles=keys, loc="lower right", bbox_to_anchor=(1, 0.93), ncols=len(keys), fontsize=6.5, borderaxespad=0
    )


# Figures 7 and 8: induction maps


@style.paper
def maps(tables, columns, protocol):
    """Figs 7 and 8: induction maps, a row of panels per member, a column per reading.

    Parameters
    ----------
    tables : dict from model to DataFrame of [protocol, setup, reading, member, layer, head, value, chance]
    columns : list of (setup, reading)
    protocol : {"published", "corrected"}

    Returns
    -------
    matplotlib.figure.Figure
    """
    chosen = {}
    for model, table in tables.items():
        rows = table[(table["protocol"] == protocol) & table["setup"].isin([setup for setup, _ in columns])]
        if len(rows):
            chosen[model] = rows
    rows = panels_of(chosen)
    if not rows:
        return _nothing("causal models have no masks: these setups are for masked models")
    shapes = [(own["layer"].max() + 1, own["head"].max() + 1) for *_, own in rows]
    widest = max(heads for _, heads in shapes)
    heights = [max(0.75, 1.55 * layers / max(widest, layers)) + 0.25 for layers, _ in shapes]
    figure = style.blank(1.3 + 1.45 * len(columns), sum(heights) + 0.6)
    panels = figure.subplots(len(rows), len(columns), squeeze=False, height_ratios=heights)
    top = max(0.2, max(own["value"].max() for *_, own in rows))
    for line, (title, _, _, own) in zip(panels, rows, strict=True):
        for axes, (setup, reading) in zip(line, columns, strict=True):
            part = own[(own["setup"] == setup) & (own["reading"] == reading)]
            _map(axes, _grid(part), part["chance"].iloc[0], top)
        line[0].set_ylabel("layer")
        line[0].annotate(title, (-0.3, 0.5), xycoords="axes fraction", ha="right", va="center", fontsize=6.5)
    for letter, axes, (_, reading) in zip("abcdef", panels[0], columns, strict=False):
        axes.set_title(f"({letter}) {READINGS[reading]}", fontsize=7)
    for axes in panels[-1]:
        axes.set_xlabel("head", labelpad=1)
    _scale(figure, panels, top, "mean attention")
    return figure


# Figure 9: sizes


@style.paper
def sizes(tables, depths, protocol):
    """Fig 9: induction maps of models of any shapes as one mosaic; corrected, how deep induction lies in each.

    Parameters
    ----------
    tables : dict from model to DataFrame of [member, layer, head, value, chance]
        Induction scores of the protocol, one row per head.
    depths : DataFrame of [protocol, model, member, depth, low, high, p_value]
    protocol : {"published", "corrected"}

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = panels_of(tables)
    across = min(len(rows), 6)
    down = -(-len(rows) // across)
    corrected = protocol == "corrected"
    below = 0.55 + 0.17 * len(rows) if corrected else 0.0
    figure = style.blank(style.WIDTH, 1.75 * down + below + 0.2)
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.75 * down, below)) if corrected else (figure, None)
    panels = upper.subplots(down, across, squeeze=False)
    top = max(0.2, max(own["value"].max() for *_, own in rows))
    for axes in panels.flat[len(rows) :]:
        axes.axis("off")
    for axes, (title, _, _, own) in zip(panels.flat, rows, strict=False):
        grid = _grid(own)
        _map(axes, grid, own["chance"].iloc[0], top)
        axes.set_title(f"{title}\n{grid.shape[0]} x {grid.shape[1]}", fontsize=6)
    panels[0, 0].set_ylabel("layer")
    _scale(upper, panels, top, "induction score")
    if corrected:
        axes = lower.subplots()
        for place, (_, model, member, _) in enumerate(rows):
            own = depths[(depths["model"] == model) & (depths["member"] == member) & (depths["protocol"] == protocol)]
            _interval(axes, own.iloc[0], place, style.model_colour(list(tables).index(model)))
        axes.axvline(0.5, color="0.6", linewidth=0.6, linestyle=":")
        axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), xlabel="mean depth of induction, input 0 to output 1")
        axes.set_yticks(range(len(rows)), [title.replace("\n", ", ") for title, *_ in rows])
    return figure


def _interval(axes, row, place, colour):
    if np.isfinite(row["depth"]):
        axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1)
        axes.plot(row["depth"], place, "o", color=colour, markersize=4)
        said = f"{row['depth']:.2f}" + (f" (p {row['p_value']:.3g})" if np.isfinite(row["p_value"]) else "")
        axes.annotate(said, (1.01, place), xycoords=("axes fraction", "data"), fontsize=6, va="center")


# Beyond the report


@style.paper
def dynamics(tables):
    """Induction, previous-token and in-context-learning scores against the tokens seen in training.

    Parameters
    ----------
    tables : dict from model to DataFrame of [member, step, tokens, score, layer, head, value]

    Returns
    -------
    matplotlib.figure.Figure
    """
    if not tables:
        return _nothing("no model of this study kept snapshots of its training")
    figure = style.blank(max(3.0, min(style.WIDTH, 2.5 * len(tables))), 4.2)
    panels = figure.subplots(2, len(tables), squeeze=False, sharex="col", sharey="row")
    for (heads, learning), (model, table) in zip(panels.T, tables.items(), strict=True):
        first = table.loc[table["tokens"] > 0, "tokens"].min()
        for member, own in table.groupby("member"):
            for score, dashes in (("induction", "-"), ("previous_token", (0, (3, 1.5)))):
                best = own[own["score"] == score].groupby("tokens")["value"].max()
                label = f"strongest {score.replace('_', '-')} head" if member == table["member"].min() else None
                seen = np.maximum(best.index, first / 2)  # a log scale has no zero
                heads.plot(seen, best, color=style.member_colour(member), linewidth=1, linestyle=dashes, label=label)
            gain = own[own["score"] == "in_context"].sort_values("tokens")
            learning.plot(
                np.maximum(gain["tokens"], first / 2), gain["value"], color=style.member_colour(member), linewidth=1
            )
        _log_axis(heads, first, table["tokens"].max())
        heads.set(title=model, ylim=(0, 1))
        learning.set_xlabel("tokens seen")
        learning.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    panels[0, 0].set_ylabel("score of the strongest head")
    panels[1, 0].set_ylabel("in-context learning (nats)")
    panels[0, 0].legend(loc="upper left")
    return figure


@style.paper
def look_alikes(table, matching, copying):
    """Prefix matching against copying: an induction head does both.

    Parameters
    ----------
    table : DataFrame of [model, member, layer, head, prefix_matching, chance, copying, ov_copying, kind]
    matching, copying : float
        Where the quadrants are cut; `matching` is above chance.

    Returns
    -------
    matplotlib.figure.Figure
    """
    models = list(dict.fromkeys(table["model"]))
    across = min(3, len(models))
    down = -(-len(models) // across)
    figure = style.blank(max(2.8, style.WIDTH * across / 3), 2.4 * down)
    panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[len(models) :]:
        axes.axis("off")
    for axes, model in zip(panels.flat, models, strict=False):
        own = table[table["model"] == model]
        known = own[own["copying"].notna()]
        colours = [style.layer_colour(layer, own["layer"].max() + 1) for layer in known["layer"]]
        axes.scatter(known["prefix_matching"], known["copying"], c=colours, s=12, linewidths=0.3, edgecolors="white")
        axes.axvline(own["chance"].mean() + matching, color="0.6", linewidth=0.6, linestyle=":")
        axes.axhline(copying, color="0.6", linewidth=0.6, linestyle=":")
        for row in known[known["kind"] == "induction"].nlargest(3, "prefix_matching").itertuples():
            name = f"{row.layer}.{row.head}"
            axes.annotate(
                name, (row.prefix_matching, row.copying), xytext=(3, 2), textcoords="offset points", fontsize=6
            )
        counted = own["kind"].value_counts()
        said = ", ".join(
            f"{counted[kind]} {kind}" for kind in ("induction", "look-alike", "copier", "unknown") if kind in counted
        )
        axes.set_title(f"{model}\n{said or 'none matches or copies'}", fontsize=7)
        axes.set(xlim=(-0.03, 1.03), ylim=(-1.05, 1.05))
    for axes in panels[-1]:
        axes.set_xlabel("prefix matching")
    for axes in panels[:, 0]:
        axes.set_ylabel("copying")
    return figure
