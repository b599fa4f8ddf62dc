"""The graph of heads and its clusters: Figures 3 and 5 of "Attention phrenology" (Edkins & Wiechecki 2023)."""

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from scipy.spatial import ConvexHull

from headatlas.base import tables
from headatlas.base.statistics import describe_p_value
from headatlas.plotting import style
from headatlas.studies.phrenology import head_tables
from headatlas.studies.phrenology.figures import matrix

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


def _graph(axes, places, edges, colours, shapes, groups=None):
    points = places[["graph_1", "graph_2"]].to_numpy()
    joined = edges[["source", "target"]].to_numpy()
    strength = edges["weight"].to_numpy()
    share = (strength - strength.min()) / (np.ptp(strength) or 1.0)  # of the way from the weakest to the strongest edge
    widths = 0.25 + 1.25 * share if np.ptp(strength) else np.full(len(edges), 0.5)
    greys = np.full((len(edges), 4), 0.35)
    greys[:, 3] = 0.15 + 0.6 * share if np.ptp(strength) else 0.35
    if groups is not None:  # edges between groups fade
        greys[groups[joined[:, 0]] != groups[joined[:, 1]], 3] *= 0.35
        for group in np.unique(groups):
            own = points[groups == group]
            if len(own) > 2:
                hull = own[ConvexHull(own).vertices]
                axes.fill(*hull.T, color=style.colour(group), alpha=0.12, linewidth=0, zorder=0)
    axes.add_collection(LineCollection(points[joined], colors=greys, linewidths=widths, zorder=1))
    size = 24 * min(1.0, (150 / len(points)) ** 0.5)
    for shape in dict.fromkeys(shapes):
        here = shapes == shape
        axes.scatter(
            *points[here].T, c=colours[here], marker=shape, s=size, edgecolors="white", linewidths=0.4, zorder=2
        )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.margins(0.04)


def _within(edges, values):
    """Share of the edges' weight that stays within one value, and of pairs of heads that do."""
    values = np.asarray(values)
    same = values[edges["source"]] == values[edges["target"]]
    counts = np.unique(values, return_counts=True)[1]
    chance = (counts * (counts - 1)).sum() / max(len(values) * (len(values) - 1), 1)
    return float(edges["weight"][same].sum() / edges["weight"].sum()), float(chance)


def _shapes(heads, index=None):
    """One marker per head: the model it comes from, or, where there is one model, that of the colour's index."""
    models = list(dict.fromkeys(heads["model"]))
    index = [models.index(model) for model in heads["model"]] if len(models) > 1 or index is None else index
    return np.array([style.marker(int(place)) for place in index])


def _model_keys(heads):
    models = list(dict.fromkeys(heads["model"]))
    if len(models) == 1:
        return []
    return [_keys([model], ["0.5"], style.marker(i))[0] for i, model in enumerate(models)]


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
    clusters = np.asarray(clusters)
    inside, _ = _within(edges, clusters)
    if protocol == "published":
        figure = style.blank(0.75 * style.WIDTH, 3.9)
        axes = figure.subplots()
        remainder = np.arange(len(places)) % PUBLISHED_COLOURS
        colours = np.array([style.member_colour(row) for row in remainder])
        _graph(axes, places, edges, colours, _shapes(places, remainder))
        axes.set_title(f"{neighbours + 1} nearest neighbours, the head itself counted")
        keys = [
            _keys([row], [style.colour(row)], style.marker(row) if places["model"].nunique() == 1 else "o")[0]
            for row in range(PUBLISHED_COLOURS)
        ]
        title = "row modulo 9 (published as the model)"
        figure.legend(
            handles=keys, loc="outside lower center", ncols=PUBLISHED_COLOURS, title=title, handletextpad=0.1,
            columnspacing=0.7,
        )  # fmt: skip
        own, chance = _within(edges, remainder)
        return style.finding(
            figure, f"{own:.0%} of the edges join heads of one colour, of all pairs {chance:.0%}; edges have no weights"
        )
    figure = style.blank(style.WIDTH, 3.7)
    left, right = figure.subplots(1, 2)
    colours, column = _network_colours(places)
    values = list(dict.fromkeys(places[column]))
    _graph(left, places, edges, colours, _shapes(places, [values.index(value) for value in places[column]]))
    _graph(right, places, edges, cluster_colours(clusters), _shapes(places, clusters), clusters)
    own, chance = _within(edges, places[column])
    left.set_title(f"by {column}: {own:.0%} of the edges\nwithin one (of all pairs {chance:.0%})")
    right.set_title(f"by group: {inside:.0%} within one\n(groups of this graph)")
    seen = dict(zip(places[column], map(tuple, colours), strict=True))
    shown = sorted(seen) if column != "model" else values
    _, shown = style.thinned(range(len(shown)), shown, len(shown), 12)
    alone = places["model"].nunique() == 1
    handles = [_keys([value], [seen[value]], style.marker(values.index(value)) if alone else "o")[0] for value in shown]
    handles += _model_keys(places)
    narrow = {"handletextpad": 0.1, "columnspacing": 0.7}
    columns = min(len(handles), 5 if max(len(str(value)) for value in shown) < 4 else 2)
    left.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=columns, title=column, **narrow)
    _cluster_legend(right, clusters, names, alone)
    words = f"{own:.0%} of the edges' weight joins heads of one {column}, of all pairs {chance:.0%} are such"
    groups = f"{inside:.0%} heads of one group, which were made for that: groups are what hangs together in this graph"
    return style.finding(figure, f"{words}; {groups}")


def _cluster_legend(axes, clusters, names, shaped, most=8):
    values = sorted({int(cluster) for cluster in clusters})
    keys = [
        _keys([label_of(value, names, 30)], [style.colour(value)], style.marker(value) if shaped else "o")[0]
        for value in values[:most]
    ]
    if len(values) > most:
        keys += _keys([f"and {len(values) - most} smaller"], ["none"])
    columns = 1 if max(len(key.get_label()) for key in keys) > 12 else 2 if len(keys) < 5 else 4
    narrow = {"handletextpad": 0.1, "columnspacing": 0.7}
    axes.legend(handles=keys, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=columns, title="group", **narrow)


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
    figure = style.blank(0.8 * style.WIDTH, 3.9)
    axes = figure.subplots()
    shapes = _shapes(places, groups)
    size = 30 * min(1.0, (150 / len(points)) ** 0.5)
    for shape in dict.fromkeys(shapes):
        here = shapes == shape
        colours = cluster_colours(groups[here])
        look = {"c": colours, "edgecolors": "white", "linewidths": 0.4}
        if not filled:
            look = {"facecolors": "none", "edgecolors": colours, "linewidths": 1.1}
        axes.scatter(*points[here].T, marker=shape, s=size, **look)
    axes.set(xlabel=axes_labels[0], ylabel=axes_labels[1], xticks=[], yticks=[])
    style.headline(figure, title)
    axes.margins(0.08)
    values, counts = np.unique(groups, return_counts=True)
    models = places["model"].nunique()
    keys = [
        _keys(
            [f"{label_of(value, names)} ({count})"], [style.colour(value)],
            style.marker(value) if models == 1 else "o", markerfacecolor=None if filled else "none",
            markeredgecolor="white" if filled else style.colour(value),
        )[0]
        for value, count in list(zip(values, counts, strict=True))[:24]
    ] + _model_keys(places)  # fmt: skip
    longest = max(len(key.get_label()) for key in keys)
    columns = max(1, min(len(keys), int(0.8 * style.WIDTH * 72 / (4.6 * (longest + 5)))))
    title = f"{what} (heads)"
    figure.legend(
        handles=keys, loc="outside lower center", title=title, ncols=columns, handletextpad=0.1, columnspacing=0.9
    )
    for value in values[:24]:
        own = points[groups == value]
        middle = own[np.square(own - np.median(own, axis=0)).sum(1).argmin()]
        label = axes.annotate(str(value), middle, (4, 4), textcoords="offset points", fontsize=10, fontweight="bold")
        label.set_path_effects([withStroke(linewidth=2, foreground="white")])
    return figure


def groups_of(protocol, clusters, kinds):
    """Group of every head: its published cluster, or the group of the longest plateau."""
    return head_tables.read_groups(protocol, clusters=clusters, kinds=kinds)["cluster"].to_numpy()


def names_in(path, protocol):
    """Names of kinds; the published clusters have none, for the paper gave them none."""
    return names_of(tables.read(path, what="kind")) if protocol == "corrected" else {}


def draw_neighbour_graph(places, published, corrected, clusters, kinds, names, protocol):
    """Fig 3; `published` and `corrected` hold the edges of each graph."""
    edges = {"published": published, "corrected": corrected}[protocol]
    groups, neighbours = groups_of(protocol, clusters, kinds), tables.facts(edges)["neighbours"]
    places, edges = tables.read(places, protocol=protocol), tables.read(edges)
    return neighbour_graph(places, edges, groups, names_in(names, protocol), protocol, neighbours)


def draw_clusters(places, clusters, kinds, names, protocol):
    """Fig 5; corrected, on the first two coordinates of the distances."""
    places, groups = tables.read(places, protocol=protocol), groups_of(protocol, clusters, kinds)
    count = groups.max() + 1
    if protocol == "published":
        chosen = tables.facts(clusters)
        title = f"{count} clusters at resolution {chosen[chosen['leiden']]['resolution']:.2f}"
        figure = groups_on_plane(places, groups, {}, title, ("UMAP 1", "UMAP 2"))
        sizes = ", ".join(str(size) for size in np.bincount(groups))
        return style.finding(figure, f"{title}, of {sizes} heads; the paper reports 7 of 15, 11, 10, 10, 9, 9 and 8")
    facts = tables.facts(kinds)
    found = facts["are_kinds"]
    title = f"No kinds: {count} groups, as a continuum has them"
    if found:
        title = f"{facts['counted']} kinds of heads" + ("" if facts["counted"] == str(count) else f", here {count}")
    axes = f"first coordinate of the distances ({facts['axis_share']:.0%})", "second coordinate"
    what = "kind" if found else "group"
    figure = groups_on_plane(places, groups, names_in(names, protocol), title, axes, filled=found, what=what)
    apart = tables.read(kinds, ["silhouette"])["silhouette"].mean()
    chance = describe_p_value(facts["p"], facts["continua"]).replace("permutations", "continua")
    more = "more than continua show" if found else "continua made from these distances show as much"
    title = f"{count} {what}s" if facts["counted"] == str(count) else title
    return style.finding(figure, f"{title}, mean silhouette {apart:.2f}; {more} ({chance})")
