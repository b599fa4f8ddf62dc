"""Figures 2 to 6 of "Attention phrenology" (Edkins & Wiechecki 2023): the graph of heads and its clusters."""

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from headatlas.attention import packing
from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.plotting import style
from headatlas.studies.phrenology.figures import matrix

_MOST_ROWS = 2400  # of Figure 6; more would be less than one pixel each
SHOWN_PROMPTS = 32  # of Figure 6, where there are few heads
_SHAPES = "os^DvP<X>*ph"
PUBLISHED_COLOURS = 9  # Figure 3 as published takes the row's remainder for the model


def names_of(described):
    """The name of every cluster, by cluster, from the table of `cluster_names.describe_clusters`."""
    return described.groupby("cluster")["name"].first().to_dict()


def label_of(cluster, names, longest=34):
    """A cluster's number and name, as it is written everywhere."""
    name = names.get(cluster, "mixed")
    return f"{cluster} {name if len(name) <= longest else name[: longest - 1] + '…'}"


def cluster_colours(clusters):
    """One RGB colour per head, (head, 3)."""
    return np.array([style.cluster_colour(cluster) for cluster in clusters])


def _network_colours(heads):
    """One colour per head for the network that it comes from: its member, or its model where members are alone."""
    column = "member" if heads["member"].nunique() > 1 else "model" if heads["model"].nunique() > 1 else "layer"
    return matrix.colours(heads, column), column


def _keys(labels, colours, shape="o", **options):
    marks = {"linestyle": "", "markersize": 5, "markeredgecolor": "white", "marker": shape} | options
    return [Line2D([], [], color=colour, label=label, **marks) for label, colour in zip(labels, colours, strict=True)]


# Figure 2


@style.paper
def embedded_distances(heads, embedded, width, *, jensen_shannon=None):
    """Fig 2: distances of heads in the embedding, like beside like, with the tree that orders them.

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
    given = [(embedded, f"Euclidean distance between embedded heads (width {width})")]
    if jensen_shannon is not None:
        given.append((jensen_shannon, "mean Jensen-Shannon distance (√bit)"))
    two = len(given) == 2
    figure = style.blank(style.WIDTH if two else 0.62 * style.WIDTH, 4.0 if two else 4.5)
    figure.get_layout_engine().set(w_pad=0.08)  # the strips outside the matrix are not counted to the last pixel
    levels = matrix.levels(heads)
    strip = np.stack([matrix.colours(heads, level) for level in levels], axis=1)  # (head, level, 3)
    name = f"heads, like beside like, by {' and '.join(levels)}"
    for axes, (distances, label) in zip(figure.subplots(1, len(given), squeeze=False)[0], given, strict=True):
        order = matrix.clustered_order(distances)
        ordered = np.asarray(distances)[np.ix_(order, order)]
        matrix.draw(figure, axes, ordered, label, strip=strip[order], blocks=[], name=name)
        matrix.draw_tree(axes, distances)
    return figure


# Figure 3


def _graph(axes, places, edges, colours, shapes):
    points = places[["graph_1", "graph_2"]].to_numpy()
    ends = points[edges[["source", "target"]].to_numpy()]  # (edge, end, 2)
    strength = edges["weight"].to_numpy()
    widths = 0.25 + 0.5 * strength / strength.max()
    axes.add_collection(LineCollection(ends, colors="0.72", linewidths=widths, zorder=1))
    size = 26 * min(1.0, (150 / len(points)) ** 0.5)
    for shape in dict.fromkeys(shapes):
        here = shapes == shape
        axes.scatter(
            *points[here].T, c=colours[here], marker=shape, s=size, edgecolors="white", linewidths=0.4, zorder=2
        )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.margins(0.04)


def _shapes(heads):
    """One marker per head: the model it comes from."""
    models = list(dict.fromkeys(heads["model"]))
    return np.array([_SHAPES[models.index(model) % len(_SHAPES)] for model in heads["model"]])


def _model_keys(heads):
    models = list(dict.fromkeys(heads["model"]))
    if len(models) == 1:
        return []
    return [_keys([model], ["0.5"], _SHAPES[i % len(_SHAPES)])[0] for i, model in enumerate(models)]


@style.paper
def neighbour_graph(places, edges, clusters, names, protocol, neighbours):
    """Fig 3: the graph that is clustered.

    Parameters
    ----------
    places : DataFrame of [model, member, layer, head, graph_1, graph_2]
    edges : DataFrame of [source, target, weight]
        Rows of `places`.
    clusters : array of int, (head,)
    names : dict from cluster to str
    protocol : {"published", "corrected"}
        Published: coloured by the row's remainder by nine, which the paper calls the model.
    neighbours : int
        True ones.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shapes = _shapes(places)
    if protocol == "published":
        figure = style.blank(0.68 * style.WIDTH, 4.4)
        axes = figure.subplots()
        remainder = np.arange(len(places)) % PUBLISHED_COLOURS
        _graph(axes, places, edges, np.array([style.member_colour(row) for row in remainder]), shapes)
        axes.set_title(f"{neighbours + 1} nearest neighbours, the head itself counted; edges binary")
        keys = _keys(range(PUBLISHED_COLOURS), [style.member_colour(row) for row in range(PUBLISHED_COLOURS)])
        title = "row modulo 9 (published as the model)"
        figure.legend(handles=keys, loc="outside lower center", ncols=PUBLISHED_COLOURS, title=title)
        return figure
    figure = style.blank(style.WIDTH, 4.6)
    left, right = figure.subplots(1, 2)
    colours, column = _network_colours(places)
    _graph(left, places, edges, colours, shapes)
    _graph(right, places, edges, cluster_colours(clusters), shapes)
    kind = "affinity" if edges["weight"].nunique() > 1 else "binary"
    left.set_title(f"{neighbours} nearest neighbours ({kind} edges), by {column}")
    right.set_title("the same graph, by cluster")
    seen = dict(zip(places[column], map(tuple, colours), strict=True))
    values = sorted(seen) if column != "model" else list(seen)
    _, values = style.thinned(range(len(values)), values, len(values), 12)
    handles = _keys(values, [seen[value] for value in values]) + _model_keys(places)
    left.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=min(len(handles), 6), title=column)
    _cluster_legend(right, clusters, names)
    return figure


def _cluster_legend(axes, clusters, names, most=18):
    values = sorted({int(cluster) for cluster in clusters})
    shown = values[:most]
    keys = _keys([label_of(value, names) for value in shown], [style.cluster_colour(value) for value in shown])
    if len(values) > most:
        keys += _keys([f"and {len(values) - most} smaller"], ["none"])
    longest = max(len(key.get_label()) for key in keys)
    columns = 3 if longest < 16 else 2
    axes.legend(handles=keys, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=columns, title="cluster")


# Figure 4


@style.paper
def resolution(draws, profile, chosen, protocol, *, null=None, sizes=None, names=None):
    """Fig 4: what the resolution changes, and which one is chosen.

    Parameters
    ----------
    draws : DataFrame of [resolution, precision, recall, f_published, f_weighted, clusters, modularity, silhouette]
    profile : DataFrame of [low, high, clusters, f_weighted, ari_next, longest, ...]
        Drawn as steps, corrected only.
    chosen : mapping
        Facts of `clusters.parquet`: criterion and resolution.
    protocol : {"published", "corrected"}
    null : tuple of float, optional
        Mean and 95th percentile of the best F under permuted member labels.
    sizes : DataFrame of [cluster, size, distinct], optional
        Of the chosen clustering; corrected only.
    names : dict from cluster to str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    alone = chosen["criterion"] == "modularity"
    figure = style.blank(style.WIDTH, 2.9 if protocol == "published" else 4.9)
    panels = figure.subplots(1, 3) if protocol == "published" else figure.subplots(2, 2).ravel()
    scores = {"modularity": ("modularity", "black")} if alone else {"f_published": ("F, mean over clusters", "0.55")}
    if protocol == "corrected" and not alone:
        scores = {"f_weighted": ("F, weighted by size", "black"), **scores}
    if not alone:
        scores |= {"precision": ("precision", "#4477AA"), "recall": ("recall", "#EE7733")}
    ordered = draws.sort_values("resolution", kind="stable")
    for name, (label, colour) in scores.items():
        size = 5 if name == chosen["criterion"] else 2
        panels[0].scatter(ordered["resolution"], ordered[name], s=size, color=colour, linewidths=0, label=label)
    if null is not None:
        panels[0].axhspan(null[0], null[1], color="0.88", zorder=0, label="best F, members permuted:\nmean to 95%")
    panels[0].axvline(chosen["resolution"], color="#CC3311", linewidth=0.8)
    what = "modularity" if alone else "evenness over members"
    panels[0].set(ylabel=what, xlabel="resolution")
    panels[0].set_title("a single member: no evenness" if alone else f"chosen: resolution {chosen['resolution']:.3f}")
    panels[0].legend(loc="lower right" if not alone else "best", markerscale=2, fontsize=6)
    panels[1].scatter(ordered["resolution"], ordered["clusters"], s=3, color="black", linewidths=0)
    panels[1].set(ylabel="clusters", xlabel="resolution", title="number of clusters")
    panels[2].scatter(ordered["resolution"], ordered["silhouette"], s=3, color="black", linewidths=0)
    panels[2].set(ylabel="mean silhouette", xlabel="resolution", title="silhouette")
    for axes in panels[1:3]:
        axes.axvline(chosen["resolution"], color="#CC3311", linewidth=0.8)
    if protocol == "corrected":
        _profile(panels[1], panels[2], profile)
        _sizes(panels[3], sizes, names)
    return figure


def _profile(counts, silhouettes, profile):
    """The exact profile as steps over the draws, its longest plateau marked."""
    edges = np.append(profile["low"], profile["high"].iloc[-1])
    counts.stairs(profile["clusters"], edges, color="#228833", linewidth=0.9, baseline=None, label="exact profile")
    longest = profile[profile["longest"]]
    for row in longest.itertuples():
        counts.axvspan(row.low, row.high, color="#228833", alpha=0.15, linewidth=0, label="its longest plateau")
    counts.legend(loc="upper left", fontsize=6)
    silhouettes.stairs(profile["silhouette"], edges, color="#228833", linewidth=0.9, baseline=None)


def _sizes(axes, sizes, names):
    """Heads and distinct members of every chosen cluster."""
    if sizes is None:
        axes.set_axis_off()
        return
    shown = sizes.head(20)
    y = np.arange(len(shown))
    colours = cluster_colours(shown["cluster"])
    axes.barh(y, shown["size"], color=colours, alpha=0.45, height=0.75)
    axes.barh(y, shown["distinct"], color=colours, height=0.4)
    axes.set_yticks(y, [label_of(cluster, names or {}, 26) for cluster in shown["cluster"]], fontsize=6)
    axes.invert_yaxis()
    axes.set(xlabel="heads (wide), distinct members (narrow)", title="the chosen clusters")


# Figure 5


@style.paper
def clusters_on_plane(places, clusters, names, resolution):
    """Fig 5: the chosen clusters on the UMAP of the embedded heads, each with its name.

    Parameters
    ----------
    places : DataFrame of [model, member, layer, head, umap_1, umap_2]
    clusters : array of int, (head,)
    names : dict from cluster to str
    resolution : float
        Of the clustering.

    Returns
    -------
    matplotlib.figure.Figure
    """
    clusters = np.asarray(clusters)
    title = f"{clusters.max() + 1} clusters at resolution {resolution:.2f}"
    points = places[["umap_1", "umap_2"]].to_numpy()
    figure = style.blank(style.WIDTH, 4.6)
    axes = figure.subplots()
    shapes = _shapes(places)
    size = 34 * min(1.0, (150 / len(points)) ** 0.5)
    for shape in dict.fromkeys(shapes):
        here = shapes == shape
        colours = cluster_colours(clusters[here])
        axes.scatter(*points[here].T, c=colours, marker=shape, s=size, edgecolors="white", linewidths=0.4)
    axes.set(xlabel="UMAP 1", ylabel="UMAP 2", xticks=[], yticks=[], title=title)
    axes.margins(0.08)
    values, counts = np.unique(clusters, return_counts=True)
    keys = _keys(
        [f"{label_of(value, names)} ({count})" for value, count in zip(values, counts, strict=True)][:24],
        [style.cluster_colour(value) for value in values][:24],
    )
    keys += _model_keys(places)
    figure.legend(handles=keys, loc="outside right center", title="cluster (heads)")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    texts = []
    for value in values[:24]:
        own = points[clusters == value]
        middle = own[np.square(own - np.median(own, axis=0)).sum(1).argmin()]
        label = axes.text(*middle, str(value), fontsize=8, fontweight="bold", color="black")  # the legend has its name
        label.set_path_effects([withStroke(linewidth=1.5, foreground="white")])
        texts.append(label)
    arrows = {"arrowstyle": "-", "color": "0.4", "linewidth": 0.4}
    from adjustText import adjust_text  # slow to import, and of this figure alone

    clear = {"expand": (1.25, 1.9), "force_static": (0.3, 0.6)}  # of the points, which are wider than nothing
    adjust_text(texts, x=points[:, 0], y=points[:, 1], ax=axes, iter_lim=100, arrowprops=arrows, **clear)
    return figure


# Figure 6


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
    figure = style.blank(style.WIDTH, 5.4)
    axes = figure.subplots()
    image = axes.imshow(rows, aspect="auto", cmap="magma", vmin=0, vmax=1, interpolation="antialiased")
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, location="top", aspect=45, shrink=0.7, pad=0.015, label="attention weight")
    bar.outline.set_visible(False)
    query, _ = places
    starts = np.flatnonzero(np.diff(query, prepend=-1))
    ends = np.append(starts[1:], len(query))
    for start in starts[1:]:
        axes.axvline(start - 0.5, color="white", linewidth=0.3)
    ticks, labels = style.thinned(list((starts + ends - 1) / 2), list(query[starts]), len(query), 24)
    axes.set_xticks(ticks, labels)
    axes.set_xlabel("token pair: key positions in order, by query position")
    edge = axes.inset_axes((-0.025, 0, 0.018, 1))
    edge.imshow(cluster_colours(split)[:, None], aspect="auto", extent=(0, 1, len(rows) - 0.5, -0.5))
    edge.spines[:].set_visible(False)
    edge.set(xticks=[])
    bounds = np.append(np.flatnonzero(np.diff(split, prepend=-1)), len(split))
    for bound in bounds[1:-1]:
        axes.axhline(bound - 0.5, color="white", linewidth=0.9)
    middles = list((bounds[:-1] + bounds[1:]) / 2)
    texts = [label_of(split[bound], names, 26) for bound in bounds[:-1]]
    ticks, texts = style.thinned(middles, texts, len(rows), 45)
    edge.set_yticks(ticks, texts, fontsize=6.5)
    axes.set_yticks([])
    edge.set_ylabel(f"cluster (rows: head by head, {prompts} prompts each)")
    return figure


def _clusters(path, protocol):
    return tables.read(path, ["cluster"], protocol=protocol)["cluster"].to_numpy()


def _names(path, protocol):
    return names_of(tables.read(path, protocol=protocol))


def draw_embedded_distances(published, corrected, distances, protocol):
    """Fig 2; corrected, the Jensen-Shannon distance of the heads' patterns beside the distance of their embeddings."""
    from sklearn.metrics.pairwise import euclidean_distances  # slow to import, and of this figure alone

    path = {"published": published, "corrected": corrected}[protocol]
    heads = tables.read(path, ["model", "member", "layer", "head"])
    embedded = euclidean_distances(tables.read_lists(path, "embedding"))
    beside = tables.read_lists(distances, "jensen_shannon") if protocol == "corrected" else None
    return embedded_distances(heads, embedded, tables.facts(path)["width"], jensen_shannon=beside)


def draw_neighbour_graph(places, edges, clusters, names, protocol):
    """Fig 3."""
    neighbours = tables.facts(edges)[protocol]["neighbours"]
    places, edges = tables.read(places, protocol=protocol), tables.read(edges, protocol=protocol)
    return neighbour_graph(places, edges, _clusters(clusters, protocol), _names(names, protocol), protocol, neighbours)


def draw_resolutions(resolutions, profile, clusters, standing, nulls, names, protocol):
    """Fig 4; the sizes of clusters beside it are the corrected ones."""
    chosen = tables.facts(clusters)[protocol]
    scores = ["f_published", "f_weighted", "precision", "recall", "clusters", "modularity", "silhouette"]
    draws = tables.read(resolutions, ["resolution", *scores], protocol=protocol)
    profile = tables.read(profile, ["low", "high", "clusters", "silhouette", "longest"], protocol=protocol)
    nulls = tables.read(nulls)
    of_labels = nulls[(nulls["protocol"] == protocol) & (nulls["null"] == "labels")]
    of_criterion = of_labels[of_labels["statistic"] == chosen["criterion"]]
    null = of_criterion[["null_mean", "null_95"]].iloc[0].tolist() if len(of_criterion) else None
    sizes, names = tables.read(standing), _names(names, "corrected")
    return resolution(draws, profile, chosen, protocol, null=null, sizes=sizes, names=names)


def draw_clusters(places, clusters, names, protocol):
    """Fig 5."""
    chosen = tables.facts(clusters)[protocol]["resolution"]
    places = tables.read(places, protocol=protocol)
    return clusters_on_plane(places, _clusters(clusters, protocol), _names(names, protocol), chosen)


def draw_pair_weights(patterns, clusters, names, protocol):
    """Fig 6; a file of patterns of each model."""
    packed = np.concatenate([packing.first_prompts(path, SHOWN_PROMPTS) for path in patterns])
    facts = tables.facts(patterns[0])
    places = packing.places(facts["size"], facts["packing"])
    return pair_weights(packed, places, _clusters(clusters, protocol), _names(names, protocol))
