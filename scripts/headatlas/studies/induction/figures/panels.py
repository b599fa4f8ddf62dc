"""What figures of induction heads share: a panel for every member, heat maps of layers by heads, axes of tokens."""

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
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
_LABELLED = 3  # heads of a map whose score is written out


def head_grid(rows, name="value"):
    """Values as an array (layer, head)."""
    return rows.pivot(index="layer", columns="head", values=name).to_numpy(np.float64)


def draw_map(axes, grid, chance, top):
    """A heat map of layers by heads, the first layer at the top, the strongest heads with their scores."""
    axes.imshow(grid, cmap=style.DISTANCES, vmin=0, vmax=top, aspect="equal")
    layers, heads = grid.shape
    axes.spines[:].set_visible(False)
    for axis, count in ((axes.xaxis, heads), (axes.yaxis, layers)):
        axis.set_ticks(range(0, count, max(1, -(-count // 6))))
        axis.set_tick_params(length=1.5, pad=1.5, labelsize=7)
    for place in np.argsort(-np.nan_to_num(grid), axis=None)[:_LABELLED]:
        layer, head = divmod(int(place), heads)
        if grid[layer, head] > chance + 0.05:
            size = min(6.5, 90 / max(layers, heads))
            colour = style.ink(colormaps[style.DISTANCES](grid[layer, head] / top)[:3])
            axes.text(
                head, layer, f"{grid[layer, head]:.2f}"[1:], ha="center", va="center", fontsize=size, color=colour
            )


def draw_members(axes, rows, top):
    """The maps of all members of a family side by side, with a gap between: heads of one place do not correspond.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    rows : DataFrame of [member, layer, head, value, chance]
    top : float
        Of the colour scale.
    """
    grids = [head_grid(own) for _, own in rows.groupby("member")]
    if len(grids) == 1:
        draw_map(axes, grids[0], rows["chance"].iloc[0], top)
        axes.set_xlabel("head", labelpad=1)
        return
    layers, heads = grids[0].shape
    gap = np.full((layers, 1), np.nan)
    wide = np.concatenate([part for grid in grids for part in (grid, gap)][:-1], axis=1)
    axes.imshow(wide, cmap=style.map_with_gaps(style.DISTANCES), vmin=0, vmax=top, aspect="auto")
    axes.spines[:].set_visible(False)
    middles = (heads + 1) * np.arange(len(grids)) + (heads - 1) / 2
    axes.set_xticks(*style.thinned(middles.tolist(), sorted(rows["member"].unique()), wide.shape[1], 4))
    axes.set_yticks(*style.thinned(range(layers), list(range(layers)), layers, 6))
    axes.tick_params(length=1.5, pad=1.5)
    axes.set_xlabel("member", labelpad=1)


def scale_bar(figure, axes, top, label, chances=()):
    """The colour bar of maps from 0 to `top`, with a white line at each level of chance; long where maps are low."""
    shrink = 0.7 if len(axes) > 1 else 1.0
    said = f"{label}\n(white: chance)" if len(chances) else label
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, top), style.DISTANCES), ax=axes, label=said, shrink=shrink, aspect=30, pad=0.02
    )
    for chance in chances:
        bar.ax.axhline(chance, color="white", linewidth=1.2)
    bar.outline.set_visible(False)


def log_axis(axes, low, high, narrow=False):
    """A logarithmic x axis with a few round numbers on it, as plain text; with one or two where it is narrow."""
    axes.set_xscale("log")
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    within = (1, 2, 5) if high < 30 * low else (1,)
    ticks = [m * 10**d for d in decades for m in within if low <= m * 10**d <= high]
    if narrow and len(ticks) > 2:
        ticks = [ticks[0], ticks[-1]]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(_short)


def _short(value, _):
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"
