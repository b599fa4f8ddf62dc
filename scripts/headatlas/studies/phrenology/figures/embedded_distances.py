"""Distances between embedded heads: Figure 2 of "Attention phrenology" (Edkins & Wiechecki 2023)."""

import numpy as np

from headatlas.base import tables
from headatlas.plotting import style
from headatlas.studies.phrenology.figures import matrix


@style.paper
def embedded_distances(heads, embedded, width, *, jensen_shannon=None):
    """Fig 2: distances of heads in the embedding, similar ones side by side, with the tree that orders them.

    Parameters
    ----------
    heads : DataFrame of [model, member, layer, head]
    embedded : array of shape (head, head)
        Euclidean.
    width : int
        Of the embedding.
    jensen_shannon : array of shape (head, head), optional
        Drawn beside it, in the order of its own tree.

    Returns
    -------
    matplotlib.figure.Figure
    """
    given = [(embedded, f"distance in the embedding\n(Euclidean, width {width})")]
    if jensen_shannon is not None:
        given.append((jensen_shannon, "distance of attention\n(mean Jensen-Shannon, √bit)"))
    two = len(given) == 2
    figure = style.blank(style.WIDTH if two else 0.72 * style.WIDTH, 3.35 if two else 3.9)
    column = matrix.levels(heads)[0]
    strip = matrix.colours(heads, column)[:, None]  # (head, 1, 3)
    order = matrix.clustered_order(given[-1][0])  # one for both, so that they can be compared
    panels = figure.subplots(1, len(given), squeeze=False)[0]
    for axes, (distances, label) in zip(panels, given, strict=True):
        ordered = matrix.without_diagonal(distances)[np.ix_(order, order)]
        limits, name = matrix.apart(distances), f"heads, colour: {column}"
        matrix.draw(figure, axes, ordered, label, strip=strip[order], blocks=[], name=name, limits=limits)
    matrix.draw_tree(panels[-1], given[-1][0])
    matrix.key(figure, heads, column)
    pairs = np.triu_indices(len(heads), 1)
    if two:
        rank = _rank_correlation(np.asarray(embedded)[pairs], np.asarray(jensen_shannon)[pairs])
        style.headline(figure, f"The embedding ranks distances as attention does (rank correlation {rank:.2f})")
        words = f"rank correlation {rank:.2f} between the two distances, over {len(pairs[0]):,} pairs of heads"
        return style.finding(figure, words)
    same = (heads[column].to_numpy()[:, None] == heads[column].to_numpy())[pairs]
    within, across = np.asarray(embedded)[pairs][same], np.asarray(embedded)[pairs][~same]
    if len(within) and len(across):
        figure = style.finding(
            figure,
            f"heads lie {within.mean():.2f} apart within a {column} and {across.mean():.2f} across (means over "
            f"{len(within):,} and {len(across):,} pairs)",
        )
    return figure


def _rank_correlation(a, b):
    from scipy.stats import spearmanr  # slow to import

    return float(spearmanr(a, b).statistic) if len(a) > 2 else np.nan


def draw_embedded_distances(published, corrected, distances, protocol):
    """Fig 2; corrected, the Jensen-Shannon distance of the heads' patterns beside the distance of their embeddings."""
    from sklearn.metrics.pairwise import euclidean_distances  # slow to import, and of this figure alone

    path = {"published": published, "corrected": corrected}[protocol]
    heads = tables.read(path, ["model", "member", "layer", "head"])
    embedded = euclidean_distances(tables.read_lists(path, "embedding"))
    beside = tables.read_lists(distances, "jensen_shannon") if protocol == "corrected" else None
    return embedded_distances(heads, embedded, tables.facts(path)["width"], jensen_shannon=beside)
