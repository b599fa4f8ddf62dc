"""A square matrix with one row and one column per head, and the colours that say whose head it is."""

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.cluster.hierarchy import dendrogram, leaves_list, linkage
from scipy.spatial.distance import squareform

from headatlas.plotting import style

_LARGEST_OPTIMAL = 1000  # heads; optimal leaf ordering takes cubic time, and nobody sees it in more rows
_MOST_LABELS = 24
_MOST_LINES = 60  # separators; more would hide the matrix


def clustered_order(distances, groups=None):
    """Order of heads in which like stands beside like.

    Parameters
    ----------
    distances : array of shape (head, head)
    groups : array of shape (head,), optional
        Cluster of each head; clusters come one after another, each ordered inside.

    Returns
    -------
    array of int of shape (head,)
        Leaves of average-linkage clustering, in optimal order for up to 1,000 heads.
    """
    order = np.arange(len(distances)) if len(distances) < 3 else leaves_list(_tree(distances))
    return order if groups is None else order[np.argsort(np.asarray(groups)[order], kind="stable")]


def _tree(distances):
    distances = np.asarray(distances, dtype=np.float64)
    symmetric = (distances + distances.T) / 2
    np.fill_diagonal(symmetric, 0)
    optimal = len(distances) <= _LARGEST_OPTIMAL
    return linkage(squareform(symmetric, checks=False), "average", optimal_ordering=optimal)


def draw_tree(axes, distances):
    """Draw the tree of `clustered_order` on the right of a matrix in that order; none for fewer than three heads."""
    if len(distances) < 3:
        return
    drawn = dendrogram(_tree(distances), no_plot=True)
    place = (np.array(drawn["icoord"]) - 5) / 10  # scipy's leaves stand at 5, 15, 25, ...
    side = axes.inset_axes((1.02, 0, 0.3, 1))
    lines = np.stack([drawn["dcoord"], place], axis=-1)
    side.add_collection(LineCollection(lines, colors="0.3", linewidths=0.5))
    side.set(xlim=(0, np.max(drawn["dcoord"]) * 1.02 or 1), ylim=(len(distances) - 0.5, -0.5), yticks=[])
    side.spines["left"].set_visible(False)
    side.locator_params(nbins=2)
    side.set_xlabel("joined at")


def levels(heads):
    """The identity columns in which the heads differ, coarsest first: two of model, member and layer, or "head"."""
    columns = [name for name in ("model", "member", "layer") if name in heads and heads[name].nunique() > 1]
    return columns[:2] or ["head"]


def colours(heads, column):
    """One RGB colour per head, by an identity column; array of shape (head, 3)."""
    values = heads[column].tolist()
    if column == "member":
        return np.array([style.member_colour(value) for value in values])
    if column == "layer":
        return np.array([style.layer_colour(value, max(values) + 1) for value in values])
    if column == "head":
        return np.array([style.head_colour(value) for value in values])
    models = list(dict.fromkeys(values))
    return np.array([style.model_colour(models.index(value)) for value in values])


def key(figure, heads, column):
    """Name the colours of a strip below the figure, where they are few enough."""
    values = list(dict.fromkeys(heads[column]))
    if not 1 < len(values) <= 12:
        return
    seen = dict(zip(heads[column], map(tuple, colours(heads, column)), strict=True))
    handles = [
        Line2D([], [], linestyle="", marker="s", markersize=5, color=seen[value], label=style.printable(value, 14))
        for value in values
    ]
    wide = len(values) if max(len(handle.get_label()) for handle in handles) < 4 else 3
    figure.legend(
        handles=handles, loc="outside lower center", ncols=wide, title=column, handletextpad=0.1, columnspacing=0.8
    )


def apart(distances):
    """Limits of the colours of a matrix of distances: the middle 96% of those between two heads."""
    off = np.asarray(distances)[~np.eye(len(distances), dtype=bool)]
    return tuple(np.nanpercentile(off, (2, 98))) if len(off) else (0.0, 1.0)


def without_diagonal(distances):
    """The same without the distances of heads to themselves."""
    masked = np.array(distances, dtype=np.float64)
    np.fill_diagonal(masked, np.nan)
    return masked


def _starts(values):
    """Where each run of equal rows starts, and, at the end, how many rows there are."""
    values = np.asarray(values)
    return np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1, [len(values)]]).astype(int)


def _strips(axes, strip):
    """Colour strips (head, level, 3) along the left and the bottom, as the axes that carry the ticks."""
    n, deep = strip.shape[:2]
    wide = 0.02 * deep
    left = axes.inset_axes((-0.012 - wide, 0, wide, 1))
    left.imshow(strip, aspect="auto", extent=(0, 1, n - 0.5, -0.5))
    bottom = axes.inset_axes((0, -0.012 - wide, 1, wide))
    bottom.imshow(strip.transpose(1, 0, 2)[::-1], aspect="auto", extent=(-0.5, n - 0.5, 0, 1))
    for edge in (left, bottom):
        edge.set(xticks=[], yticks=[])
        edge.spines[:].set_visible(False)
    return left, bottom


def _label(left, bottom, starts, labels, outer):
    """Name blocks of rows and of columns at their centres; the outer of two levels stands further out."""
    centres = list((starts[:-1] + starts[1:] - 1) / 2)
    ticks, shown = style.thinned(centres, labels, starts[-1], _MOST_LABELS)
    upright = max(map(len, shown)) * len(shown) > 40
    for axis, rotation in ((left.yaxis, 90 if outer else 0), (bottom.xaxis, 90 if upright else 0)):
        axis.remove_overlapping_locs = False  # an outer block may have the same centre as an inner one
        axis.set_ticks(ticks, shown, minor=outer, rotation=rotation)
        axis.set_tick_params(which="minor" if outer else "major", length=0 if outer else 2, pad=13 if outer else 2)
    for text in left.yaxis.get_ticklabels(minor=outer):
        text.set_verticalalignment("center")


def draw(figure, axes, distances, label, *, strip, blocks, name, limits=None):
    """Draw a matrix of distances with its colour bar, colour strips, block separators and names of blocks.

    Parameters
    ----------
    figure, axes : where to draw
    distances : array of shape (head, head), in the order to be drawn
    label : str
        What the distances are, and their unit.
    strip : array of shape (head, level, 3)
        RGB colours, coarsest level first.
    blocks : list of sequences of length head
        What to separate and name the heads by, coarsest first; none for no blocks, two at most.
    name : str
        What the rows and columns are.
    limits : tuple of float, optional
        Of the colours; from 0 to the largest distance by default.

    Returns
    -------
    matplotlib.image.AxesImage
    """
    n = len(distances)
    low, high = (0, np.nanmax(distances) or 1) if limits is None else limits
    scale = {"vmin": low, "vmax": high}
    image = axes.imshow(
        distances, cmap=style.map_with_gaps(style.DISTANCES), interpolation="nearest" if n <= 1000 else "auto", **scale
    )
    axes.set(xticks=[], yticks=[], xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5))
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, location="top", shrink=0.9, aspect=25, pad=0.03, label=label)
    bar.locator = MaxNLocator(4)
    bar.outline.set_visible(False)
    left, bottom = _strips(axes, strip)
    for depth in range(len(blocks)):
        runs = np.unique(np.concatenate([_starts(block) for block in blocks[: depth + 1]]))
        outer = depth < len(blocks) - 1
        values = np.asarray(blocks[depth])[runs[:-1]]
        _label(left, bottom, runs, [style.printable(value, 24) for value in values], outer)
        if len(runs) <= _MOST_LINES:
            for edge in runs[1:-1] - 0.5:
                axes.axhline(edge, color="white", linewidth=0.9 if outer else 0.4)
                axes.axvline(edge, color="white", linewidth=0.9 if outer else 0.4)
    left.set_ylabel(name)
    bottom.set_xlabel(name)
    return image
