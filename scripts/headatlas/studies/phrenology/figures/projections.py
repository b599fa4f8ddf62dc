"""Figures 7, 8 and 11 of "Attention phrenology" (Edkins & Wiechecki 2023): heads and tokens on planes."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, NullLocator

from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.plotting import style
from headatlas.plotting.point_names import boxes_of, name_points
from headatlas.studies.phrenology.figures import correspondence, matrix

ARTIFICIAL = [  # by the `head` column of the rows whose model is "artificial": label, face, edge
    ("uniform over the past", "black", "white"),
    ("self", "0.40", "white"),
    ("half self, half previous", "0.80", "black"),
]
_CLASSES = ("stop word", "starts a word", "piece of a word", "punctuation")
_SHOWN = {
    "published": "Score of each token with itself before the softmax",
    "corrected": "Attention to the first token as a multiple of a uniform head's",
}
METHODS = {"umap": "UMAP", "tsne": "t-SNE", "pca": "PCA"}


# Figure 7: distances between heads


@style.paper
def head_distances(heads, euclidean):
    """Fig 7: how far apart the attention patterns of heads lie, in the order of the heads.

    Parameters
    ----------
    heads : DataFrame of [model, member, layer, head], one row per head
        `model` may be left out where there is only one.
    euclidean : array of shape (head, head)

    Returns
    -------
    matplotlib.figure.Figure
    """
    n = len(heads)
    if np.shape(euclidean) != (n, n):
        shape = " x ".join(map(str, np.shape(euclidean)))
        raise InputError(f"head distances: a matrix of {shape} for {n} heads; it must be {n} x {n}")
    figure = style.blank(0.72 * style.WIDTH, 3.9)
    levels = matrix.levels(heads)
    strip = np.stack([matrix.colours(heads, level) for level in levels], axis=1)  # (head, level, 3)
    label = "Euclidean distance between patterns"
    name = "heads" if levels == ["head"] else f"heads, by {' and '.join(levels)}"
    blocks = [heads[level].to_numpy() for level in levels]
    shown, limits = matrix.without_diagonal(euclidean), matrix.apart(euclidean)
    matrix.draw(figure, figure.subplots(), shown, label, strip=strip, blocks=blocks, name=name, limits=limits)
    off = ~np.eye(n, dtype=bool)
    same = (blocks[0][:, None] == blocks[0]) & off
    if same.any() and (off & ~same).any():
        within, across = np.asarray(euclidean)[same].mean(), np.asarray(euclidean)[off & ~same].mean()
        as_far = "as far apart as" if abs(within / across - 1) < 0.1 else f"{within / across:.2f} times as far apart as"
        style.headline(figure, f"Heads of one {levels[0]} are {as_far} of two")
        words = f"the mean distance is {within:.1f} within a {levels[0]} and {across:.1f} across"
        style.finding(figure, f"{words}, over {same.sum() // 2:,} and {(off & ~same).sum() // 2:,} pairs")
    return figure


# Figure 8: heads on a plane


def _marked(heads):
    """Marker of each head: shape tells models apart, else layers; and what each shape stands for."""
    models = list(dict.fromkeys(heads["model"]))
    if len(models) > 1:
        places, names = [models.index(model) for model in heads["model"]], [style.printable(m, 16) for m in models]
    elif heads["layer"].nunique() > 1 and heads["member"].nunique() > 1:
        places, names = heads["layer"].tolist(), [f"layer {layer}" for layer in range(heads["layer"].max() + 1)]
    else:
        return np.full(len(heads), "o"), []
    shapes = np.array([style.marker(place) for place in places])
    return shapes, [(style.marker(place), name) for place, name in enumerate(names)]


def _key(marker, label, face, edge="white", size=5):
    return Line2D([], [], linestyle="", marker=marker, markersize=size, color=face, markeredgecolor=edge, label=label)


def _own_neighbours(points, values, neighbours=5):
    """Share of the nearest neighbours that have a head's own value, and the share that chance has."""
    values = np.asarray(values)
    far = np.square(points[:, None] - points[None]).sum(-1)
    np.fill_diagonal(far, np.inf)
    nearest = np.argsort(far, axis=1, kind="stable")[:, : min(neighbours, len(points) - 1)]
    same = values[:, None] == values
    chance = (same.sum() - len(values)) / max(len(values) * (len(values) - 1), 1)
    return float(np.take_along_axis(same, nearest, 1).mean()) if len(points) > 1 else np.nan, float(chance)


@style.paper
def head_projections(table, facts, protocol, score=None):
    """Fig 8: heads on a plane by UMAP, t-SNE and PCA, with artificial heads as landmarks.

    Parameters
    ----------
    table : DataFrame of [model, member, layer, head, method, component_1, component_2]
        One row per head and method (umap, tsne, pca); artificial heads have model "artificial".
    facts : Mapping
        `quality`: method -> {"trustworthiness", "continuity"}; `explained_variance`: the shares of the
        variance, between 0 and 1, that the two components of PCA explain.
    protocol : {"published", "corrected"}
        The corrected figure says how far each panel can be trusted.
    score : Series by (model, member, layer, head), optional
        Attention to the current token: colours the heads, where given, in place of who they belong to.

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = table.assign(artificial=table["model"] == "artificial")
    real = table[~table["artificial"]]
    column = "member" if real["member"].nunique() > 1 else "layer" if real["layer"].nunique() > 1 else "head"
    shapes, marks = _marked(real)
    colours = matrix.colours(real, column)
    if score is not None:
        values = score.reindex(pd.MultiIndex.from_frame(real[["model", "member", "layer", "head"]])).to_numpy()
        norm = Normalize(np.nanmin(values), np.nanmax(values))
        colours = colormaps["viridis"](norm(values))[:, :3]
    shrink = min(1.0, (400 / np.sum(real["method"] == real["method"].iloc[0])) ** 0.5)
    methods = [method for method in METHODS if (table["method"] == method).any()]
    figure = style.blank(style.WIDTH, 2.95)
    panels = figure.subplots(1, len(methods), squeeze=False)[0]
    for axes, method in zip(panels, methods, strict=True):
        chosen = (real["method"] == method).to_numpy()
        for shape in dict.fromkeys(shapes[chosen]):
            here = chosen & (shapes == shape)
            x, y = real.loc[here, "component_1"], real.loc[here, "component_2"]
            size = {"s": 16 * shrink, "linewidths": 0.3 * shrink}
            axes.scatter(x, y, c=colours[here], marker=shape, edgecolors="white", **size)
        for place, row in enumerate(table[table["artificial"] & (table["method"] == method)].itertuples()):
            label, face, edge = ARTIFICIAL[row.head]
            point = (row.component_1, row.component_2)
            axes.scatter(*point, s=36, c=face, edgecolors=edge, linewidths=0.8, zorder=3, label=label)
            text = axes.annotate("ABC"[place], point, (4, 3), textcoords="offset points", fontweight="bold", zorder=4)
            text.set_path_effects([withStroke(linewidth=2, foreground="white")])
        quality = facts["quality"][method]
        said = f"\ntrust {quality['trustworthiness']:.2f},\ncontinuity {quality['continuity']:.2f}"
        axes.set_title(METHODS[method] + (said if protocol == "corrected" else ""))
        axes.margins(0.1)
        axes.locator_params(nbins=4)
        if method == "pca":
            shares = [f" ({share:.0%})" for share in facts.get("explained_variance", ())] or ["", ""]
            axes.set(xlabel=f"component 1{shares[0]}", ylabel=f"component 2{shares[1]}", xticks=[], yticks=[])
        else:  # neither map has a scale
            axes.set(xlabel=f"{METHODS[method]} 1", ylabel=f"{METHODS[method]} 2", xticks=[], yticks=[])
    if score is not None:
        bar = figure.colorbar(ScalarMappable(norm, "viridis"), ax=panels.tolist(), aspect=18, pad=0.01)
        bar.set_label("attention to the current token")
        bar.outline.set_visible(False)
    _keys_below(figure, table, real, column if score is None else None, colours, marks)
    first = real[real["method"] == methods[0]]
    points = first[["component_1", "component_2"]].to_numpy()
    if real[column].nunique() < 2 or len(first) < 3:
        return figure
    own, chance = _own_neighbours(points, first[column])
    mixed = "mix" if own < 2 * chance else "keep to themselves"
    said = f"{column}s {mixed}: {own:.0%} of a head's neighbours are of its own (chance {chance:.0%})"
    if score is not None and "pca" in methods:
        here = (real["method"] == "pca").to_numpy()
        rank = abs(_rank_correlation(real.loc[here, "component_1"], values[here]))
        said = f"component 1 of PCA is attention to the current token (rank correlation {rank:.2f}); {said}"
    style.headline(figure, said[:1].upper() + said[1:])
    trust = ", ".join(f"{METHODS[method]} {facts['quality'][method]['trustworthiness']:.2f}" for method in methods)
    words = f"{own:.0%} of a head's five nearest neighbours in {METHODS[methods[0]]} are of its own {column}, by chance"
    if score is not None and "pca" in methods:
        words = f"component 1 of PCA ranks heads by attention to the current token at {rank:.2f}, and {words}"
    return style.finding(figure, f"{words} {chance:.0%} (trustworthiness: {trust})")


def _keys_below(figure, table, real, column, colours, marks):
    """What colours, shapes and letters stand for, in one block below the panels."""
    words = "   ".join(f"{letter} {label}" for letter, (label, *_) in zip("ABC", ARTIFICIAL, strict=True))
    words = f"artificial heads: {words}" if table["artificial"].any() else ""
    handles, title = [], words
    if column is not None:
        seen = dict(zip(real[column], map(tuple, colours), strict=True))
        _, values = style.thinned(range(len(seen)), sorted(seen), len(seen), 13)
        handles += [_key("o", str(value), seen[value]) for value in values]
        title = f"{words}\n{column}".strip()
    _, shown = style.thinned(range(len(marks)), marks, len(marks), 6)
    handles += [_key(marker, label, "0.5") for marker, label in shown]
    if not handles:
        figure.supxlabel(words, fontsize=8)
        return
    longest = max(len(key.get_label()) for key in handles)
    columns = max(1, min(len(handles), int((style.WIDTH - 0.2) * 72 / (4.6 * (longest + 4)))))
    look = {"ncols": columns, "handletextpad": 0.1, "columnspacing": 0.8}
    legend = figure.legend(handles=handles, title=title or None, loc="outside lower center", **look)
    legend.get_title().set_multialignment("center")


# Figure 11: tokens on a plane


def _classes(tokens):
    """The class of every token: the name of one of _CLASSES."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # slow to import, and of this figure alone

    found = []
    for token in map(str, tokens):
        word = token.strip(" ␣Ġ▁")
        if not any(letter.isalnum() for letter in word):
            found.append("punctuation")
        elif word.lower() in ENGLISH_STOP_WORDS:
            found.append("stop word")
        else:
            found.append("starts a word" if token != word or word[:1].isupper() else "piece of a word")
    return np.array(found)


def _named(points, tokens):
    """Rows in the order in which they are named: one of each token, the farthest out first, then all others."""
    scale = np.ptp(points, axis=0)
    scale[scale == 0] = 1
    far = np.argsort(-np.square((points - np.median(points, axis=0)) / scale).sum(1), kind="stable").tolist()
    first = {tokens[row]: row for row in reversed(far)}
    return list(dict.fromkeys([*sorted(first.values(), key=far.index), *far]))


@style.paper
def tokens_on_plane(table, protocol, *, labels=36):
    """Fig 11: tokens placed by how much each head, of every model, looks from them to the first, by a uniform head's.

    Parameters
    ----------
    table : DataFrame of [protocol, prompt, position, token, component_1, component_2]
        Rows of other protocols are left out.
    protocol : {"published", "corrected"}
        What was published is, despite its title, each token's score with itself before the softmax. Corrected, the
        spread of every kind of token along the second component stands beside the plane.
    labels : int
        How many tokens are named at most, where a name hides no other point.

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = table[table["protocol"] == protocol]
    if table.empty:
        raise InputError(f"attention to the first token: no rows of the protocol {protocol!r}; published or corrected")
    points = table[["component_1", "component_2"]].to_numpy(dtype=np.float64)
    tokens = table["token"].tolist()
    figure = style.blank(style.WIDTH, 3.9)
    axes, *beside = np.atleast_1d(
        figure.subplots(1, 2, sharey=True, width_ratios=(3.2, 1)) if protocol == "corrected" else figure.subplots()
    )
    classes = _classes(tokens)
    for place, name in enumerate(_CLASSES):
        here = classes == name
        look = {"color": style.colour(place), "marker": style.marker(place), "s": 12, "linewidths": 0, "alpha": 0.8}
        axes.scatter(*points[here].T, label=f"{name} ({here.sum()})", **look)
    axes.set(xlabel="component 1 (over heads)", ylabel="component 2 (over heads)")
    if beside:
        _spread_out(axes, points)
        _by_class(beside[0], points[:, 1], classes)
    axes.margins(0.07)
    figure.legend(loc="outside lower center", ncols=4, handletextpad=0.1, columnspacing=1)
    position = table["position"].to_numpy()
    follows = [abs(_rank_correlation(points[:, place], position)) for place in range(2)]
    stops = classes == "stop word"
    parted, error = distinguished(points[:, 1], stops)
    said = f"component 1 ranks tokens by position at {follows[0]:.2f}"
    if protocol == "corrected" and np.isfinite(parted):
        verdict = "tells" if parted - 0.5 > error else "does not tell"
        said = f"component 2 {verdict} stop words from others (AUC {parted:.2f}, chance 0.50 ± {error:.2f})"
    style.headline(figure, f"{_SHOWN[protocol]}: {said}")
    prompts = table["prompt"].nunique()
    sentence = (
        f"component 1 ranks tokens by position at {follows[0]:.2f} and component 2 at {follows[1]:.2f} (absolute rank "
        f"correlation); component 2 tells stop words from others with AUC {parted:.2f} (0.50 ± {error:.2f} by chance; "
        f"{stops.sum()} of {len(stops)} tokens of {prompts} prompts)"
    )
    style.finding(figure, sentence)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # names are placed for the axes as they now stand
    rows = _named(points, tokens)
    name_points(axes, points[rows], [style.printable(tokens[row]) for row in rows], labels, boxes_of(axes, points))
    return figure


def _spread_out(axes, points):
    """Scales on which a few points far out do not press all others together: linear as far as half of them lie."""
    for name, axis, values in zip("xy", (axes.xaxis, axes.yaxis), points.T, strict=True):
        width = np.median(np.abs(values - np.median(values))) or 1.0
        getattr(axes, f"set_{name}scale")("asinh", linear_width=width)
        ticks = [m * 10.0**power for power in range(-3, 6) for m in (1, 3) if m * 10.0**power >= width]
        axis.set_major_locator(FixedLocator([*(-tick for tick in ticks), 0, *ticks]))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter("{x:g}")


def _by_class(axes, values, classes):
    """Where each kind of token lies: its median, its middle half and its middle nine tenths."""
    for place, name in enumerate(_CLASSES):
        own = values[classes == name]
        if not len(own):
            continue
        low, first, middle, third, high = np.quantile(own, (0.05, 0.25, 0.5, 0.75, 0.95))
        axes.plot([place, place], [low, high], color=style.colour(place), linewidth=1)
        axes.plot([place, place], [first, third], color=style.colour(place), linewidth=5, solid_capstyle="butt")
        axes.plot(place, middle, style.marker(place), color="white", markeredgecolor="black", markersize=4)
    axes.set(xlim=(-0.6, len(_CLASSES) - 0.4), xticks=[], xlabel="by kind of token:\nmiddle 50% and 90%")


def _rank_correlation(a, b):
    from scipy.stats import spearmanr  # slow to import

    return float(spearmanr(a, b).statistic) if len(a) > 2 else np.nan


def distinguished(values, chosen):
    """How well a value tells some rows from the others, whichever way it runs, and what chance makes of it.

    Parameters
    ----------
    values : array of shape (row,)
    chosen : array of bool of shape (row,)

    Returns
    -------
    auc, error : float
        Area under the curve, at least 0.5, and how far from 0.5 chance takes 95% of groups of these sizes;
        not-a-number where one of the groups is empty.
    """
    from scipy.stats import rankdata

    inside, outside = int(chosen.sum()), int((~chosen).sum())
    if not inside or not outside:
        return np.nan, np.nan
    auc = float((rankdata(values)[chosen].sum() - inside * (inside + 1) / 2) / (inside * outside))
    return max(auc, 1 - auc), float(1.96 * np.sqrt((inside + outside + 1) / (12 * inside * outside)))


def draw_head_distances(distances, kinds, partners, protocol):
    """Fig 7; corrected by Jensen-Shannon, the heads of a kind and partners side by side."""
    if protocol == "corrected":
        return correspondence.draw_head_distances(distances, kinds, partners)
    heads = tables.read(distances, ["model", "member", "layer", "head"])
    return head_distances(heads, tables.read_lists(distances, "euclidean"))


def draw_projections(projections, cards, protocol):
    """Fig 8; corrected, coloured by what the heads do."""
    score = None
    if protocol == "corrected":
        score = tables.read(cards, ["model", "member", "layer", "head", "current_token"])
        score = score.set_index(["model", "member", "layer", "head"])["current_token"]
    return head_projections(tables.read(projections), tables.facts(projections), protocol, score)


def draw_first_token(first_token, protocol):
    """Fig 11."""
    return tokens_on_plane(tables.read(first_token), protocol)
