"""Figures 2 to 6 of "Attention phrenology" (Edkins & Wiechecki 2023): the graph of heads and its clusters."""

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from headatlas.attention import packing
from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.plotting import style
from headatlas.studies.phrenology import head_tables
from headatlas.studies.phrenology.figures import correspondence, matrix

_MOST_ROWS = 2400  # of Figure 6; more would be less than one pixel each
SHOWN_PROMPTS = 32  # of Figure 6, where there are few heads
_SHAPES = "os^DvP<X>*ph"
PUBLISHED_COLOURS = 9  # Figure 3 as published takes the row's remainder for the model


def names_of(described):
    """The name of every group, by group, from the table of `names.describe_groups`."""
    return described.groupby("group")["name"].first().to_dict()


def label_of(cluster, names, longest=34):
    """A cluster's number and name, as it is written everywhere."""
    name = names.get(cluster, "")
    return f"{cluster} {name if len(name) <= longest else name[: longest - 1] + '…'}".rstrip()


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
    right.set_title("the same graph, by group of the longest plateau")
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
    axes.legend(handles=keys, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=columns, title="group")


# Figure 4


@style.paper
def resolution(draws, facts):
    """Fig 4, published: how evenly the clusters of each resolution draw on the members, and which one is chosen.

    Parameters
    ----------
    draws : DataFrame of [leiden, resolution, precision, recall, f_published, clusters, modularity, silhouette]
        Of Leiden as published and run until it converges.
    facts : mapping
        criterion, leiden (whose choice is taken), for each Leiden its choice (value, resolution, draws), and null
        (null_mean, null_95) where there are several members.

    Returns
    -------
    matplotlib.figure.Figure
    """
    alone, chosen = facts["criterion"] == "modularity", facts[facts["leiden"]]
    figure = style.blank(style.WIDTH, 3.1)
    panels = figure.subplots(1, 3)
    published, converged = (draws[draws["leiden"] == leiden] for leiden in ("published", "converged"))
    if null := facts.get("null"):
        label = "best F, members permuted: mean to 95%"
        panels[0].axhspan(null["null_mean"], null["null_95"], color="0.88", zorder=0, label=label)
    scores = {"modularity": ("modularity", "black")} if alone else {
        "precision": ("precision", "#4477AA"), "recall": ("recall", "#EE7733"), "f_published": ("F", "black"),
    }  # fmt: skip
    for name, (label, colour) in scores.items():
        panels[0].scatter(published["resolution"], published[name], s=2, color=colour, linewidths=0, label=label)
    line = converged.sort_values("resolution", kind="stable")
    panels[0].plot(
        line["resolution"], line[facts["criterion"]], color="#228833", linewidth=1, label="the same, converged"
    )
    panels[0].axvline(chosen["resolution"], color="#CC3311", linewidth=0.8)
    panels[0].set(ylabel="modularity" if alone else "evenness over members", xlabel="resolution")
    panels[0].set_title(f"{chosen['value']:.3f} at {chosen['resolution']:.2f} ({chosen['draws']:,} draws)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), markerscale=3)
    for axes, name, label in ((panels[1], "clusters", "clusters"), (panels[2], "silhouette", "mean silhouette")):
        axes.scatter(published["resolution"], published[name], s=3, color="black", linewidths=0)
        axes.plot(line["resolution"], line[name], color="#228833", linewidth=1)
        axes.axvline(chosen["resolution"], color="#CC3311", linewidth=0.8)
        axes.set(ylabel=label, xlabel="resolution")
    panels[1].yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


# Figure 5


@style.paper
def groups_on_plane(places, groups, names, title, axes_labels, filled=True, what="cluster"):
    """Fig 5: groups of heads on a plane.

    Parameters
    ----------
    places : DataFrame of [model, member, layer, head, map_1, map_2]
    groups : array of int, (head,)
    names : dict from group to str
    title : str
    axes_labels : tuple of str
    filled : bool
        False for groups that are no more than pieces of a continuum: hollow points.
    what : str
        What the groups are.

    Returns
    -------
    matplotlib.figure.Figure
    """
    groups = np.asarray(groups)
    points = places[["map_1", "map_2"]].to_numpy()
    figure = style.blank(style.WIDTH, 4.4)
    axes = figure.subplots()
    shapes = _shapes(places)
    size = 34 * min(1.0, (150 / len(points)) ** 0.5)
    for shape in dict.fromkeys(shapes):
        here = shapes == shape
        colours = cluster_colours(groups[here])
        look = {"c": colours, "edgecolors": "white", "linewidths": 0.4}
        if not filled:
            look = {"facecolors": "none", "edgecolors": colours, "linewidths": 1.1}
        axes.scatter(*points[here].T, marker=shape, s=size, **look)
    axes.set(xlabel=axes_labels[0], ylabel=axes_labels[1], xticks=[], yticks=[], title=title)
    axes.margins(0.08)
    values, counts = np.unique(groups, return_counts=True)
    keys = _keys(
        [f"{label_of(value, names)} ({count})" for value, count in zip(values, counts, strict=True)][:24],
        [style.cluster_colour(value) for value in values][:24],
    )
    keys += _model_keys(places)
    figure.legend(handles=keys, loc="outside right center", title=f"{what} (heads)")
    for value in values[:24]:
        own = points[groups == value]
        middle = own[np.square(own - np.median(own, axis=0)).sum(1).argmin()]
        label = axes.text(*middle, str(value), fontsize=9, fontweight="bold", color="black", ha="center", va="center")
        label.set_path_effects([withStroke(linewidth=2, foreground="white")])
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


def _groups(protocol, clusters, kinds):
    return head_tables.read_groups(protocol, clusters=clusters, kinds=kinds)["cluster"].to_numpy()


def _names(path, protocol):
    """Names of kinds; the published clusters have none, for the paper gave them none."""
    return names_of(tables.read(path, what="kind")) if protocol == "corrected" else {}


def draw_embedded_distances(published, corrected, distances, protocol):
    """Fig 2; corrected, the Jensen-Shannon distance of the heads' patterns beside the distance of their embeddings."""
    from sklearn.metrics.pairwise import euclidean_distances  # slow to import, and of this figure alone

    path = {"published": published, "corrected": corrected}[protocol]
    heads = tables.read(path, ["model", "member", "layer", "head"])
    embedded = euclidean_distances(tables.read_lists(path, "embedding"))
    beside = tables.read_lists(distances, "jensen_shannon") if protocol == "corrected" else None
    return embedded_distances(heads, embedded, tables.facts(path)["width"], jensen_shannon=beside)


def draw_neighbour_graph(places, published, corrected, clusters, kinds, names, protocol):
    """Fig 3; `published` and `corrected` hold the edges of each graph."""
    edges = {"published": published, "corrected": corrected}[protocol]
    groups, neighbours = _groups(protocol, clusters, kinds), tables.facts(edges)["neighbours"]
    places, edges = tables.read(places, protocol=protocol), tables.read(edges)
    return neighbour_graph(places, edges, groups, _names(names, protocol), protocol, neighbours)


def draw_resolutions(resolutions, plateaus, continua, protocol):
    """Fig 4; corrected, how long each number of groups lasts."""
    if protocol == "published":
        scores = ["f_published", "precision", "recall", "clusters", "modularity", "silhouette"]
        draws = tables.read(resolutions, ["leiden", "resolution", *scores])
        return resolution(draws, tables.facts(resolutions))
    found = tables.read(plateaus, ["kinds", "low", "high", "length", "chosen", "rival"])
    lengths = tables.read(continua)["length"].to_numpy()
    return correspondence.number_of_kinds(found, lengths, tables.facts(continua))


def draw_clusters(places, clusters, kinds, names, protocol):
    """Fig 5; corrected, on the first two coordinates of the distances."""
    places, groups = tables.read(places, protocol=protocol), _groups(protocol, clusters, kinds)
    count = groups.max() + 1
    if protocol == "published":
        chosen = tables.facts(clusters)
        title = f"{count} clusters at resolution {chosen[chosen['leiden']]['resolution']:.2f}"
        return groups_on_plane(places, groups, {}, title, ("UMAP 1", "UMAP 2"))
    facts = tables.facts(kinds)
    found = facts["are_kinds"]
    title = f"{count} kinds of heads" if found else f"no kinds: {count} groups, as a continuum has them"
    axes = f"first coordinate of the distances ({facts['axis_share']:.0%})", "second coordinate"
    what = "kind" if found else "group"
    return groups_on_plane(places, groups, _names(names, protocol), title, axes, filled=found, what=what)


def draw_pair_weights(patterns, clusters, kinds, names, protocol):
    """Fig 6; a file of patterns of each model."""
    packed = np.concatenate([packing.first_prompts(path, SHOWN_PROMPTS) for path in patterns])
    facts = tables.facts(patterns[0])
    places = packing.places(facts["size"], facts["packing"])
    return pair_weights(packed, places, _groups(protocol, clusters, kinds), _names(names, protocol))
