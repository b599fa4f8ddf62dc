"""The eigenvalues of every head's OV circuit in the complex plane, with the copying score they amount to."""

import numpy as np
import pandas as pd
from matplotlib.collections import EllipseCollection

from headatlas.base import tables
from headatlas.plotting import style
from headatlas.studies.phrenology import head_tables
from headatlas.studies.phrenology.figures.heads import groups_of

MOST_ROWS, MOST_COLUMNS = 9, 9
_IDENTITY = head_tables.IDENTITY
_RADIUS, _PITCH = 0.4, 1.22  # of the circle of a head's largest eigenvalue, and from row to row
_ROW = 0.5  # inches
_UNCLEAR = "0.62"


def placed(heads):
    """Where each head is drawn: networks by groups where each has one head of every group, else by copying.

    Parameters
    ----------
    heads : DataFrame of [model, member, layer, head, group, copying]

    Returns
    -------
    heads : DataFrame
        With `row` and `column`, of at most 9 x 9 heads.
    by_group : bool
    """
    networks = heads.groupby(["model", "member"], sort=False).ngroup()
    groups = np.unique(heads["group"])
    full = len(heads) == len(groups) * (networks.max() + 1)
    one_each = full and not heads.duplicated(["model", "member", "group"]).any()
    if one_each and networks.max() < MOST_ROWS and len(groups) <= MOST_COLUMNS:
        return heads.assign(row=networks, column=np.searchsorted(groups, heads["group"])), True
    ordered = heads.sort_values("copying", ascending=False, kind="stable")
    most = MOST_ROWS * MOST_COLUMNS
    ends = ordered if len(ordered) <= most else pd.concat([ordered[: (most + 1) // 2], ordered[-(most // 2) :]])
    place = np.arange(len(ends))
    return ends.assign(row=place // MOST_COLUMNS, column=place % MOST_COLUMNS), False


@style.paper
def eigenvalues_of_heads(heads, eigenvalues, what):
    """Eigenvalues of OV circuits, a circle for each head whose radius is the largest modulus, and copying scores.

    Parameters
    ----------
    heads : DataFrame of [model, member, layer, head, group, copying, low, high]
        `low` and `high`: ends of 95% of random heads.
    eigenvalues : list of complex array, one for each head
    what : str
        What the groups are.

    Returns
    -------
    matplotlib.figure.Figure
    """
    heads = heads.assign(clear=(heads["copying"] < heads["low"]) | (heads["copying"] > heads["high"]))
    shown, by_group = placed(heads.reset_index(drop=True))
    rows, columns = int(shown["row"].max()) + 1, int(shown["column"].max()) + 1
    across = (style.WIDTH - 0.6) / max(columns, 4) / (_ROW / _PITCH)  # from column to column: they fill the page
    figure = style.blank(style.WIDTH, _ROW * rows + 2.4)
    axes, strip = figure.subplots(2, 1, height_ratios=(_ROW * rows, 1.3))
    centres = np.stack([across * shown["column"], _PITCH * shown["row"]], 1)
    size = np.full(len(shown), 2 * _RADIUS)
    circles = EllipseCollection(
        size, size, 0 * size, units="xy", offsets=centres, offset_transform=axes.transData, facecolors="none",
        edgecolors="0.8", linewidths=0.5,
    )  # fmt: skip
    axes.add_collection(circles)
    for (x, y), head in zip(centres, shown.itertuples(), strict=True):
        ink = style.colour(int(head.group)) if head.clear else _UNCLEAR
        axes.plot([x - _RADIUS, x + _RADIUS], [y, y], color="0.88", linewidth=0.5, zorder=0)
        axes.plot([x, x], [y - _RADIUS, y + _RADIUS], color="0.88", linewidth=0.5, zorder=0)
        own = eigenvalues[head.Index] / max(np.abs(eigenvalues[head.Index]).max(), 1e-30) * _RADIUS
        axes.plot(x + own.real, y - own.imag, ".", color=ink, markersize=3, markeredgewidth=0)
        words = {"ha": "center", "va": "top", "fontsize": style.SMALL, "color": "black" if head.clear else "0.45"}
        axes.text(x, y + _RADIUS + 0.02, f"{head.copying:+.2f}", **words)
    axes.set(xlim=(-across / 2, (columns - 0.5) * across), ylim=(_PITCH * rows - 0.5, -0.5), aspect="equal")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    networks = heads[["model", "member"]].drop_duplicates()
    several = networks["model"].nunique() > 1
    names = [f"{style.printable(r.model, 8)} {r.member}" if several else str(r.member) for r in networks.itertuples()]
    axes.set_yticks([], [])
    axes.set_xticks([], [])
    if by_group:
        axes.set_yticks(_PITCH * np.arange(rows), names)
        axes.set_xticks(across * np.arange(columns), [str(group) for group in np.unique(heads["group"])])
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set(xlabel=what if by_group else "heads, from most to least copying", ylabel="network" if by_group else "")
    _scores(strip, heads, what)
    clear, count = int(heads["clear"].sum()), len(heads)
    positive = int((heads["clear"] & (heads["copying"] > 0)).sum())
    said = f"{clear} of {count} heads copy or do the opposite, by chance {0.05 * count:.0f} would"
    cut = "" if len(shown) == count else f"; shown: the {len(shown)} that copy most and least"
    style.headline(figure, f"{said}{cut}")
    shares = np.array([np.mean(own.real > 0) for own in eigenvalues])
    words = (
        f"the OV copying score of {clear} of {count} heads lies outside 95% of random heads, where chance gives "
        f"{0.05 * count:.1f}: {positive} raise the token that they read, {clear - positive} lower it; "
        f"{shares.mean():.0%} of eigenvalues have a positive real part ({shares.min():.0%} to {shares.max():.0%} of a "
        "head's)"
    )
    return style.finding(figure, words)


def _scores(axes, heads, what):
    """Copying of every head by group, over the band of 95% of random heads."""
    groups = np.unique(heads["group"])
    column = np.searchsorted(groups, heads["group"])
    within = heads.groupby("group").cumcount() / heads.groupby("group")["head"].transform("size").clip(lower=1)
    x = column + 0.7 * (within - within.mean())
    axes.axhspan(heads["low"].mean(), heads["high"].mean(), color="0.92", linewidth=0, zorder=0)
    axes.axhline(0, color="0.5", linewidth=0.6, zorder=1)
    for group in groups:
        own = (heads["group"] == group).to_numpy()
        for clear in (True, False):
            at = own & (heads["clear"] == clear).to_numpy()
            ink = style.colour(int(group)) if clear else _UNCLEAR
            axes.plot(x[at], heads["copying"][at], style.marker(int(group)), color=ink, markersize=3.5, linestyle="")
    axes.set_xticks(*style.thinned(list(range(len(groups))), [str(group) for group in groups], len(groups), 24))
    axes.set(xlabel=f"{what} (band: 95% of random heads; grey: within it)", ylabel="OV copying")
    axes.set(xlim=(-0.5, len(groups) - 0.5), ylim=(-1.08, 1.08))


def draw_ov_eigenvalues(partners, kinds, eigenvalues, models):
    """A file of eigenvalues of each model, in their order."""
    heads, what = groups_of(partners, kinds)
    parts, found = [], []
    for model, path in zip(models, eigenvalues, strict=True):
        parts.append(tables.read(path, [*_IDENTITY[1:], "copying", "low", "high"]).assign(model=model))
        found += list(tables.read_lists(path, "real") + 1j * tables.read_lists(path, "imaginary"))
    table = pd.concat(parts, ignore_index=True).assign(place=lambda known: np.arange(len(known)))
    heads = heads.merge(table, on=_IDENTITY)
    heads = heads[heads["copying"].notna()]
    if heads.empty:
        return style.nothing_to_show(
            "No eigenvalues of OV circuits: the weights of these models are not known by head."
        )
    return eigenvalues_of_heads(heads, [found[place] for place in heads["place"]], what)
