"""Figure 6 of "Attention phrenology" (Edkins & Wiechecki 2023): what the heads of a group attend to, as maps."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from headatlas.attention import packing
from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.plotting import style
from headatlas.studies.phrenology.figures.clusters import cluster_colours, groups_of, label_of, names_in

_MOST_MEANS = 5  # mean patterns of groups side by side
_MOST_ROWS = 2400  # of Figure 6; more would be less than one pixel each
SHOWN_PROMPTS = 32  # of Figure 6, where there are few heads


@style.paper
def pair_weights(packed, places, clusters, names):
    """Fig 6: the weight of every token pair in single patterns, split by cluster.

    Parameters
    ----------
    packed : array of shape (head, prompt, entry)
        Of the first prompts; so many as leave at most 2,400 rows are drawn.
    places : tuple of int arrays, (entry,)
        Query and key of every entry.
    clusters : array of int, (head,)
    names : dict from cluster to str

    Returns
    -------
    matplotlib.figure.Figure
    """
    clusters = np.asarray(clusters)
    if len(packed) != len(clusters):
        raise InputError(f"pair weights: {len(packed)} heads have patterns, {len(clusters)} a cluster")
    prompts = min(packed.shape[1], max(1, _MOST_ROWS // len(packed)))
    order = np.argsort(clusters, kind="stable")
    rows = packed[order, :prompts].reshape(-1, packed.shape[-1])
    split = np.repeat(clusters[order], prompts)
    figure = style.blank(style.WIDTH, 4.0)
    axes = figure.subplots()
    image = axes.imshow(rows, aspect="auto", cmap="magma", vmin=0, vmax=1, interpolation="antialiased")
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, location="top", aspect=45, shrink=0.7, pad=0.015, label="attention weight")
    bar.outline.set_visible(False)
    query, key = places
    starts = np.flatnonzero(np.diff(query, prepend=-1))
    ends = np.append(starts[1:], len(query))
    for start in starts[1:]:
        axes.axvline(start - 0.5, color="white", linewidth=0.3)
    ticks, labels = style.thinned(list((starts + ends - 1) / 2), list(query[starts]), len(query), 12)
    axes.set_xticks(ticks, labels)
    axes.set_xlabel("pairs of tokens: by query position, and within it by key")
    edge = axes.inset_axes((-0.025, 0, 0.018, 1))
    edge.imshow(cluster_colours(split)[:, None], aspect="auto", extent=(0, 1, len(rows) - 0.5, -0.5))
    edge.spines[:].set_visible(False)
    edge.set(xticks=[])
    bounds = np.append(np.flatnonzero(np.diff(split, prepend=-1)), len(split))
    for bound in bounds[1:-1]:
        axes.axhline(bound - 0.5, color="white", linewidth=0.9)
    middles = list((bounds[:-1] + bounds[1:]) / 2)
    texts = [label_of(split[bound], names, 26) for bound in bounds[:-1]]
    ticks, texts = style.thinned(middles, texts, len(rows), 22)
    edge.set_yticks(ticks, texts)
    axes.set_yticks([])
    edge.set_ylabel(f"cluster (rows: {prompts} prompts of each head)")
    own = query == key
    shares = ", ".join(f"{rows[split == value][:, own].mean():.2f}" for value in np.unique(split))
    return style.finding(figure, f"the mean weight of a token with itself is {shares} in clusters 0 to {split.max()}")


@style.paper
def mean_patterns(patterns, clusters, names, causal):
    """Fig 6, corrected: the mean attention of the heads of each group, and their attention by distance.

    Parameters
    ----------
    patterns : array of shape (head, query, key)
        Mean attention of every head.
    clusters : array of int, (head,)
    names : dict from cluster to str
    causal : bool
        Whether heads look back only.

    Returns
    -------
    matplotlib.figure.Figure
    """
    clusters = np.asarray(clusters)
    values, counts = np.unique(clusters, return_counts=True)
    shown = values[: 2 * _MOST_MEANS]
    columns = min(_MOST_MEANS, len(shown))
    rows = -(-len(shown) // columns)
    figure = style.blank(style.WIDTH, 1.45 * rows + 2.2)
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.45 * rows, 1.9))
    panels = upper.subplots(rows, columns, squeeze=False).ravel()
    own = [np.nanmean(patterns[clusters == value], axis=0) for value in shown]
    seen = np.tri(patterns.shape[1], dtype=bool) if causal else np.ones(patterns.shape[1:], dtype=bool)
    top = max(mean[seen].max() for mean in own)
    for axes, value, mean, count in zip(panels, shown, own, counts, strict=False):
        image = axes.imshow(np.where(seen, mean, np.nan), cmap=style.map_with_gaps("magma"), vmin=0, vmax=top)
        axes.set(xticks=[], yticks=[], xlabel="key")
        axes.set_title(style.wrapped(f"{label_of(value, names)} ({count} heads)", 5.2 / columns), pad=3)
        axes.spines[:].set_visible(False)
    panels[0].set_ylabel("query")
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    bar = upper.colorbar(image, ax=panels.tolist(), aspect=15, pad=0.02, label="attention")
    bar.outline.set_visible(False)
    axes = lower.subplots()
    size = patterns.shape[1]
    reach = np.arange(size if causal else 2 * size - 1) - (0 if causal else size - 1)
    by_reach = {value: by_distance(mean, reach) for value, mean in zip(shown, own, strict=True)}
    for value, mean in by_reach.items():
        look = {"color": style.colour(value), "marker": style.marker(value), "markersize": 4, "linewidth": 1.1}
        axes.plot(reach, mean, label=f"group {value}", **look)
    uniform = seen / seen.sum(1, keepdims=True)
    axes.plot(reach, by_distance(uniform, reach), color="0.45", linestyle=":", linewidth=1.2, label="uniform head")
    axes.set(xlabel="distance from query back to key" if causal else "query less key", ylabel="mean attention")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.legend(ncols=1 if len(shown) < 6 else 2)
    at = int(np.flatnonzero(reach == 0)[0])
    chance = by_distance(uniform, reach)[at]
    said = ", ".join(f"group {value} {mean[at]:.2f}" for value, mean in by_reach.items())
    style.headline(figure, f"Attention to the current token: {said} (uniform {chance:.2f})")
    ranges = []
    for value, mean in by_reach.items():
        one = [by_distance(pattern, reach)[at] for pattern in patterns[clusters == value]]
        ranges.append(f"{mean[at]:.2f} (heads {min(one):.2f} to {max(one):.2f}) in group {value}")
    return style.finding(
        figure, f"a head's attention to the current token is {', '.join(ranges)}; a uniform head's is {chance:.2f}"
    )


def by_distance(pattern, reach):
    """Mean of a map along its diagonals: weights whose key lies `reach` before the query."""
    return np.array([np.diagonal(pattern, -step).mean() for step in reach])


def draw_pair_weights(patterns, clusters, kinds, names, protocol):
    """Fig 6; a file of patterns of each model."""
    packed = np.concatenate([packing.first_prompts(path, SHOWN_PROMPTS) for path in patterns])
    facts, groups = tables.facts(patterns[0]), groups_of(protocol, clusters, kinds)
    if protocol == "corrected":
        means = packing.unpack(packed.mean(1), facts["size"], facts["packing"])
        return mean_patterns(means, groups, names_in(names, protocol), facts["packing"] == "lower")
    return pair_weights(packed, packing.places(facts["size"], facts["packing"]), groups, {})
