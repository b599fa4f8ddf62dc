"""One page that says which clusters of heads are real: nulls above, a line per cluster, the verdict below."""

import textwrap

import numpy as np

from headatlas.base import tables
from headatlas.plotting import style
from headatlas.studies.phrenology.figures.clusters import label_of, names_of

_MOST = 24  # clusters, the largest first
_NULLS = [
    ("labels", "f_weighted", "F weighted by size,\nmember labels permuted"),
    ("heads", "split_half_ari", "agreement of two halves\nof the prompts, heads shuffled"),
    ("heads", "modularity", "modularity,\nheads shuffled"),
    ("heads", "silhouette", "mean silhouette,\nheads shuffled"),
]
_ACCENT = "#CC3311"


def _null(axes, nulls, draws, null, statistic, title):
    row = nulls[(nulls["null"] == null) & (nulls["statistic"] == statistic)]
    axes.set_title(title, fontsize=7.5)
    axes.set(yticks=[])
    axes.spines["left"].set_visible(False)
    if row.empty:
        axes.text(0.5, 0.5, "a single member:\nnot defined", transform=axes.transAxes, ha="center", va="center")
        axes.set(xticks=[])
        return
    row = row.iloc[0]
    values = draws.loc[(draws["null"] == null) & (draws["statistic"] == statistic), "value"]
    axes.hist(values, bins=20, color="0.72")
    axes.axvline(row["observed"], color=_ACCENT, linewidth=1.3)
    axes.margins(x=0.1)
    left, right = axes.get_xlim()
    side = "right" if row["observed"] > (left + right) / 2 else "left"
    said = "\n".join(f" {part} " for part in (f"{row['observed']:.3f}", f"p = {row['p']:.3g}"))
    axes.text(row["observed"], 0.98, said, transform=axes.get_xaxis_transform(), ha=side, va="top", color=_ACCENT)
    axes.locator_params(axis="x", nbins=4)


@style.paper
def clusters_stand(nulls, draws, standing, names, sentence, least_jaccard=0.75):
    """How many clusters stand, and which do not.

    Parameters
    ----------
    nulls : DataFrame of [null, statistic, observed, null_mean, null_95, p, permutations]
    draws : DataFrame of [null, statistic, permutation, value]
        Both corrected.
    standing : DataFrame of [cluster, size, distinct, f, f_null, p, jaccard, stands]
    names : dict from cluster to str
    sentence : str
        The verdict in words.
    least_jaccard : float
        Drawn as the line that a stable cluster must pass.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = standing.head(_MOST)
    several = bool((nulls["null"] == "labels").any())
    text = textwrap.wrap(sentence, 128)
    row, top, bottom = 0.21, 1.85, 0.62 + 0.13 * len(text)
    height = top + row * (len(shown) + 1) + bottom
    figure = style.blank(style.WIDTH, height, layout="none")
    for place, (null, statistic, title) in enumerate(_NULLS):
        left = 0.02 + place * 0.248
        axes = figure.add_axes((left, 1 - 1.45 / height, 0.215, 0.95 / height))
        _null(axes, nulls, draws, null, statistic, title)

    def panel(left, width):
        axes = figure.add_axes((left, bottom / height, width, row * len(shown) / height))
        axes.set(ylim=(len(shown) - 0.5, -0.5), yticks=[])
        axes.spines["left"].set_visible(False)
        return axes

    y = np.arange(len(shown))
    colours = [style.cluster_colour(cluster) for cluster in shown["cluster"]]
    even, stable = panel(0.455, 0.18), panel(0.665, 0.18)
    if several:
        even.hlines(y, shown["f_null"], shown["f"], color="0.75", linewidth=1)
        even.scatter(shown["f_null"], y, s=14, facecolors="white", edgecolors="0.4", linewidths=0.7, zorder=3)
        even.scatter(shown["f"], y, s=20, c=colours, zorder=3)
        even.set_xlabel("F: found (full),\nby chance (open)")
    else:
        even.set(xticks=[], xlabel="F: not defined")
    stable.barh(y, shown["jaccard"], color=colours, height=0.62, alpha=0.9)
    stable.axvline(least_jaccard, color=_ACCENT, linewidth=0.8)
    stable.set(xlim=(0, 1), xlabel=f"Jaccard index, prompts\nresampled (line: {least_jaccard:g})")

    places, sides = (0.02, 0.34, 0.43, 0.865), ("left", "right", "right", "left")
    columns = list(zip(places, sides, ("cluster", "heads", "members", "verdict"), strict=True))
    heading = (bottom + row * (len(shown) + 0.35)) / height
    for x, side, title in columns:
        figure.text(x, heading, title, ha=side, va="center", weight="bold")
    for place, cluster in enumerate(shown.itertuples()):
        level = (bottom + row * (len(shown) - place - 0.5)) / height
        weight = "bold" if cluster.stands else "normal"
        why = _why(cluster, several, least_jaccard)
        cells = (label_of(cluster.cluster, names, 32), cluster.size, cluster.distinct, why)
        for (x, side, _), cell in zip(columns, cells, strict=True):
            figure.text(x, level, str(cell), ha=side, va="center", weight=weight, fontsize=7)
    if len(standing) > len(shown):
        text = [f"{len(standing) - len(shown)} smaller clusters are not drawn.", *text]
    figure.text(0.02, 0.1 / height, "\n".join(text), va="bottom", fontsize=7)
    return figure


def _why(cluster, several, least_jaccard):
    if cluster.stands:
        return "stands"
    faults = ["unstable"] if cluster.jaccard < least_jaccard else []
    faults += ["uneven"] if several and cluster.f <= cluster.f_null else []
    return ", ".join(faults) or "chance"


def draw_standing_clusters(nulls, draws, standing, names):
    """Read the corrected protocol's tables."""
    nulls, draws = tables.read(nulls, protocol="corrected"), tables.read(draws, protocol="corrected")
    names = names_of(tables.read(names, protocol="corrected"))
    return clusters_stand(nulls, draws, tables.read(standing), names, tables.facts(standing)["sentence"])
