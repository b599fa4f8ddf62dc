"""What the resolution of the clustering changes: Figure 4 of "Attention phrenology" (Edkins & Wiechecki 2023)."""

from matplotlib.ticker import MaxNLocator

from headatlas.base import tables
from headatlas.plotting import style
from headatlas.studies.phrenology.figures import correspondence


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
    figure = style.blank(style.WIDTH, 3.0)
    panels = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
    published, converged = (draws[draws["leiden"] == leiden] for leiden in ("published", "converged"))
    if null := facts.get("null"):
        label = "members permuted, mean to 95%"
        panels[0].axhspan(null["null_mean"], null["null_95"], color="0.88", zorder=0, label=label)
    scores = {"precision": ("precision", style.colour(2)), "recall": ("recall", style.colour(1))}
    scores = {"modularity": ("modularity", "black")} if alone else scores | {"f_published": ("F", "black")}
    for name, (label, colour) in scores.items():
        panels[0].scatter(published["resolution"], published[name], s=2, color=colour, linewidths=0, label=label)
    line = converged.sort_values("resolution", kind="stable")
    panels[0].plot(
        line["resolution"], line[facts["criterion"]], color=style.colour(0), linewidth=1, label="the same, converged"
    )
    panels[0].axvline(chosen["resolution"], color=style.colour(3), linewidth=0.8)
    panels[0].set(ylabel="modularity" if alone else "evenness over members", xlabel="resolution")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, markerscale=3, columnspacing=1.2)
    score, count = "modularity" if alone else "F", len(chosen["clusters"])
    said = f"{score} = {chosen['value']:.3f} at resolution {chosen['resolution']:.2f}, {count} clusters"
    if null:
        said += f";\nwith members permuted {null['null_mean']:.2f}, 95% below {null['null_95']:.2f}"
    style.headline(figure, said)
    said = said.replace(";\n", "; ")
    style.finding(figure, f"{said}; {chosen['draws']:,} of {len(converged):,} draws reach it")
    for axes, name, label in ((panels[1], "clusters", "clusters"), (panels[2], "silhouette", "mean silhouette")):
        axes.scatter(published["resolution"], published[name], s=3, color="black", linewidths=0)
        axes.plot(line["resolution"], line[name], color=style.colour(0), linewidth=1)
        axes.axvline(chosen["resolution"], color=style.colour(3), linewidth=0.8)
        axes.set(ylabel=label, xlabel="resolution")
    for axes in panels:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    panels[1].yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def draw_resolutions(resolutions, plateaus, continua, protocol):
    """Fig 4; corrected, how long each number of groups lasts."""
    if protocol == "published":
        scores = ["f_published", "precision", "recall", "clusters", "modularity", "silhouette"]
        draws = tables.read(resolutions, ["leiden", "resolution", *scores])
        return resolution(draws, tables.facts(resolutions))
    found = tables.read(plateaus, ["kinds", "low", "high", "length", "chosen", "rival"])
    lengths = tables.read(continua)["length"].to_numpy()
    return correspondence.number_of_kinds(found, lengths, tables.facts(continua))
