"""Figures 7, 8 and 11 of "Attention phrenology" (Edkins & Wiechecki 2023): heads and tokens on planes."""

import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.lines import Line2D

from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.plotting import style
from headatlas.studies.phrenology.figures import correspondence, matrix

ARTIFICIAL = [  # by the `head` column of the rows whose model is "artificial": label, face, edge
    ("uniform over the past", "black", "white"),
    ("self", "0.40", "white"),
    ("half self, half previous", "0.80", "black"),
]
METHODS = {"umap": "UMAP", "tsne": "t-SNE", "pca": "PCA"}
_MARKERS = "os^DvP<X>*ph"


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
    figure = style.blank(0.6 * style.WIDTH, 4.7)
    levels = matrix.levels(heads)
    strip = np.stack([matrix.colours(heads, level) for level in levels], axis=1)  # (head, level, 3)
    label = "Euclidean distance between attention patterns"
    name = "heads" if levels == ["head"] else f"heads, by {' and '.join(levels)}"
    blocks = [heads[level].to_numpy() for level in levels]
    matrix.draw(figure, figure.subplots(), euclidean, label, strip=strip, blocks=blocks, name=name)
    return figure


# Figure 8: heads on a plane


def _marked(heads):
    """Marker and area of each head: shape tells models (else layers) apart, area the layers where shape cannot."""
    models = list(dict.fromkeys(heads["model"]))
    depth = heads["layer"].to_numpy()
    layers = depth.max() + 1
    areas = np.full(len(heads), 16.0)
    if heads["member"].nunique() == 1 or layers == 1:  # colour tells layers apart, or there is one
        layers = 1
    if len(models) > 1:
        shapes = np.array([_MARKERS[models.index(model) % len(_MARKERS)] for model in heads["model"]])
        legend = [(_MARKERS[place % len(_MARKERS)], model) for place, model in enumerate(models)]
    elif 1 < layers <= len(_MARKERS):
        return np.array(list(_MARKERS))[depth], areas, [(_MARKERS[layer], f"layer {layer}") for layer in range(layers)]
    else:
        shapes, legend = np.full(len(heads), "o"), []
    if layers > 1:
        areas = 8 + 28 * depth / (layers - 1)
        legend = [*legend, ("o", "larger: later layer")]
    return shapes, areas, legend


def _key(marker, label, face, edge="white", size=5):
    return Line2D([], [], linestyle="", marker=marker, markersize=size, color=face, markeredgecolor=edge, label=label)


def _columns(handles, width):
    """How many keys of a legend stand side by side in `width` inches, by rule of thumb."""
    sizes = [0.25 + 0.055 * len(key.get_label()) for key in handles]
    return len(handles) if sum(sizes) <= width else max(1, int(width / max(sizes)))


@style.paper
def head_projections(table, facts, protocol):
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

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = table.assign(artificial=table["model"] == "artificial")
    real = table[~table["artificial"]]
    column = "member" if real["member"].nunique() > 1 else "layer" if real["layer"].nunique() > 1 else "head"
    shapes, areas, marks = _marked(real)
    colours = matrix.colours(real, column)
    shrink = min(1.0, (400 / np.sum(real["method"] == real["method"].iloc[0])) ** 0.5)

    landmarks = [_key("o", *kind) for kind in ARTIFICIAL] if table["artificial"].any() else []
    seen = dict(zip(real[column], map(tuple, colours), strict=True))
    _, values = style.thinned(range(len(seen)), sorted(seen), len(seen), 13)
    keys = {
        "artificial heads": landmarks,
        column: [_key("o", str(value), seen[value]) for value in values],
        "marker": [_key(marker, label, "0.5") for marker, label in marks],
    }
    keys = {title: handles for title, handles in keys.items() if handles}
    methods = [method for method in METHODS if (table["method"] == method).any()]
    # Everything is placed in inches: panels of the same size, and below them the keys, one line each.
    side, left, gap, line, across = 1.88, 0.32, 0.32, 0.2, 5.6
    top, keys_from = 0.5 if protocol == "corrected" else 0.35, 0.52
    width = style.WIDTH
    columns = {title: _columns(handles, across) for title, handles in keys.items()}
    lines = {title: -(-len(handles) // columns[title]) for title, handles in keys.items()}
    height = top + side + keys_from + line * sum(lines.values()) + 0.05
    figure = style.blank(width, height, layout="none")
    for place, method in enumerate(methods):
        start = left + place * (side + gap) + (0.2 if method == "pca" and place else 0)
        axes = figure.add_axes((start / width, 1 - (top + side) / height, side / width, side / height))
        chosen = (real["method"] == method).to_numpy()
        for shape in dict.fromkeys(shapes[chosen]):
            here = chosen & (shapes == shape)
            x, y = real.loc[here, "component_1"], real.loc[here, "component_2"]
            size = {"s": areas[here] * shrink, "linewidths": 0.3 * shrink}
            axes.scatter(x, y, c=colours[here], marker=shape, edgecolors="white", **size)
        for row in table[table["artificial"] & (table["method"] == method)].itertuples():
            label, face, edge = ARTIFICIAL[row.head]
            point = (row.component_1, row.component_2)
            axes.scatter(*point, s=36, c=face, edgecolors=edge, linewidths=0.8, zorder=3, label=label)
        axes.set_title(METHODS[method], pad=14 if protocol == "corrected" else 6)
        if protocol == "corrected":
            quality = facts["quality"][method]
            said = f"trustworthiness {quality['trustworthiness']:.2f}, continuity {quality['continuity']:.2f}"
            axes.text(0.5, 1.02, said, transform=axes.transAxes, ha="center", va="bottom", fontsize=7)
        axes.margins(0.07)
        axes.locator_params(nbins=6)
        axes.yaxis.labelpad = axes.xaxis.labelpad = 2
        if method == "pca":
            shares = [f" ({share:.0%} of variance)" for share in facts.get("explained_variance", ())] or ["", ""]
            axes.set(xlabel=f"component 1{shares[0]}", ylabel=f"component 2{shares[1]}")
        else:  # neither map has a scale
            axes.set(xlabel=f"{METHODS[method]} 1", ylabel=f"{METHODS[method]} 2", xticks=[], yticks=[])

    upper = top + side + keys_from
    for title, handles in keys.items():
        figure.text(left / width, 1 - (upper + 0.03) / height, title, va="top", fontsize=7)
        figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(1.25 / width, 1 - upper / height),
            ncols=columns[title],
            borderaxespad=0,
            borderpad=0.2,
            handletextpad=0.1,
            columnspacing=1.2,
        )
        upper += line * lines[title]
    return figure


# Figure 11: tokens on a plane


def _worth_a_label(points, tokens, most):
    """Rows to label: each stop-word where it lies most often, then the points furthest out, well apart."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # slow to import, and of this figure alone

    words = [str(token).strip(" ␣Ġ▁").lower() for token in tokens]
    scale = np.ptp(points, axis=0)
    scale[scale == 0] = 1
    counted = {
        word: [i for i, other in enumerate(words) if other == word] for word in words if word in ENGLISH_STOP_WORDS
    }
    chosen = []
    for word in sorted(counted, key=lambda word: (-len(counted[word]), word))[: most // 3]:
        rows = np.array(counted[word])
        from_middle = np.abs((points[rows] - np.median(points[rows], axis=0)) / scale).sum(axis=1)
        chosen.append(int(rows[from_middle.argmin()]))
    outlying = (((points - points.mean(axis=0)) / scale) ** 2).sum(axis=1)
    for row in np.argsort(-outlying, kind="stable"):
        if len(chosen) >= most:
            break
        steps = np.abs((points[chosen] - points[row]) / scale) if chosen else np.full((1, 2), np.inf)
        if not np.any((steps[:, 0] < 0.07) & (steps[:, 1] < 0.03)):
            chosen.append(int(row))
    return chosen


def _name_points(axes, points, tokens, chosen):
    """Write tokens beside their points; what cannot be kept clear of another name is left out."""
    from adjustText import adjust_text  # slow to import, and of this figure alone

    near = {"x": points[:, 0], "y": points[:, 1]} if len(points) <= 2000 else {}
    arrows = {"arrowstyle": "-", "color": "0.5", "linewidth": 0.4}
    while chosen:
        texts = [axes.text(*points[row], style.printable(tokens[row]), fontsize=6.5) for row in chosen]
        _, drawn = adjust_text(texts, **near, ax=axes, iter_lim=30, arrowprops=arrows)
        # How far a name may reach into another: the boxes are taller than most letters.
        boxes = [text.get_window_extent().padded(-2) for text in texts]
        clear = [not any(boxes[i].overlaps(other) for other in boxes[:i]) for i in range(len(boxes))]
        if all(clear):
            return
        for artist in (*texts, *drawn):
            artist.remove()
        chosen = [row for row, kept in zip(chosen, clear, strict=True) if kept]


@style.paper
def tokens_on_plane(table, protocol, *, labels=60):
    """Fig 11: tokens placed by how much each head, of every model, looks from them to the first token.

    Parameters
    ----------
    table : DataFrame of [protocol, prompt, position, token, component_1, component_2]
        Rows of other protocols are left out.
    protocol : {"published", "corrected"}
        What was published is, despite its title, each token's score with itself before the softmax.
    labels : int
        How many tokens are named at most: stop-words, then the furthest out.

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = table[table["protocol"] == protocol]
    if table.empty:
        raise InputError(f"attention to the first token: no rows of the protocol {protocol!r}; published or corrected")
    points = table[["component_1", "component_2"]].to_numpy(dtype=np.float64)
    tokens = table["token"].tolist()
    first, last = int(table["position"].min()), int(table["position"].max())
    figure = style.blank(height=5.6)
    axes = figure.subplots()
    colours = ListedColormap([style.layer_colour(position, last + 1) for position in range(first, last + 1)])
    norm = BoundaryNorm(np.arange(first, last + 2) - 0.5, last + 1 - first)
    drawn = axes.scatter(*points.T, c=table["position"], cmap=colours, norm=norm, s=9, linewidths=0, alpha=0.8)
    axes.margins(0.06)
    prompts = table["prompt"].nunique()
    titles = {
        "published": f"Score of each token with itself before the softmax ({prompts} prompts)",
        "corrected": f"Attention of each later token to the first token of its prompt ({prompts} prompts)",
    }
    axes.set(xlabel="component 1 (over heads)", ylabel="component 2 (over heads)", title=titles[protocol])
    bar = figure.colorbar(drawn, ax=axes, label="position in the prompt", aspect=40, pad=0.015)
    bar.set_ticks(list(range(first, last + 1, max(1, (last + 1) // 16))))
    bar.outline.set_visible(False)
    bar.ax.minorticks_off()

    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # labels are placed for the axes as they now stand
    _name_points(axes, points, tokens, _worth_a_label(points, tokens, labels))
    return figure


def draw_head_distances(distances, kinds, partners, protocol):
    """Fig 7; corrected by Jensen-Shannon, the heads of a kind and partners side by side."""
    if protocol == "corrected":
        return correspondence.draw_head_distances(distances, kinds, partners)
    heads = tables.read(distances, ["model", "member", "layer", "head"])
    return head_distances(heads, tables.read_lists(distances, "euclidean"))


def draw_projections(projections, protocol):
    """Fig 8."""
    return head_projections(tables.read(projections), tables.facts(projections), protocol)


def draw_first_token(first_token, protocol):
    """Fig 11."""
    return tokens_on_plane(tables.read(first_token), protocol)
