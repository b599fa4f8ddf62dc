"""Effects of knockouts: Figure 14 of "Attention phrenology", on a plane and against the distance of attention."""

import numpy as np

from headatlas.base import tables
from headatlas.plotting import style
from headatlas.studies.phrenology import head_tables
from headatlas.studies.phrenology.validation import effect_agreement


@style.paper
def effects(table, facts):
    """Fig 14, published: heads on a plane by what knocking them out changes, coloured by cluster.

    Parameters
    ----------
    table : DataFrame of [model, member, layer, head, cluster, published_1, published_2]
        Of probabilities normalised over the positions of a prompt in place of the vocabulary.
    facts : Mapping
        `explained_variance`: effect -> two shares; `prompts`: how many.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = style.blank(0.72 * style.WIDTH, 3.7)
    axes = figure.subplots()
    size = 22 * min(1.0, (400 / len(table)) ** 0.5)
    for cluster, own in table.groupby("cluster"):
        look = {"color": [style.colour(cluster)], "marker": style.marker(cluster), "s": size}
        axes.scatter(
            own["published_1"], own["published_2"], edgecolors="white", linewidths=0.3, label=str(cluster), **look
        )
    first, second = facts["explained_variance"]["published"]
    axes.set(xlabel=f"component 1 ({first:.0%} of variance)", ylabel=f"component 2 ({second:.0%})")
    axes.margins(0.08)
    axes.locator_params(nbins=5)
    style.headline(figure, f"Effects of zero ablation: two components hold {first + second:.0%} of their variance")
    figure.legend(
        title="cluster", loc="outside lower center", ncols=min(12, table["cluster"].nunique()), handletextpad=0.1,
        columnspacing=0.9,
    )  # fmt: skip
    return style.finding(
        figure, f"two components hold {first + second:.0%} of the variance of the effects ({facts['prompts']} prompts, "
        "softmax over the positions of a prompt, as published)"
    )  # fmt: skip


@style.paper
def effects_by_distance(distances, cosines, partners, bins=10):
    """Fig 14, corrected: how alike the effects of two heads are, by how far apart their attention lies.

    Parameters
    ----------
    distances, cosines : arrays of shape (head, head)
        Jensen-Shannon distances of attention; cosines of the effects of mean ablation, not-a-number within a network.
    partners : array of int, (head,)
        Group of partners, or -1.
    bins : int
        Of equally many pairs.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from scipy.stats import spearmanr  # slow to import

    first, second = np.nonzero(np.triu(np.isfinite(cosines), 1))
    if len(first) < 3:
        return style.nothing_to_show("Effects are compared across networks, and there is only one.")
    far, alike = distances[first, second], cosines[first, second]
    matched = (partners[first] == partners[second]) & (partners[first] >= 0)
    figure = style.blank(0.8 * style.WIDTH, 3.2)
    axes = figure.subplots()
    axes.axhline(0, color="0.4", linewidth=0.6)
    axes.scatter(far, alike, s=2, color="0.75", linewidths=0, rasterized=True, label="two heads of two networks")
    axes.scatter(
        far[matched], alike[matched], s=9, color=style.colour(1), marker="s", linewidths=0, alpha=0.7, rasterized=True,
        label="partners",
    )  # fmt: skip
    edges = np.quantile(far, np.linspace(0, 1, bins + 1))
    of_bin = np.clip(np.searchsorted(edges, far, side="right") - 1, 0, bins - 1)
    parts = [alike[of_bin == i] for i in range(bins)]
    middles = [far[of_bin == i].mean() if len(part) else np.nan for i, part in enumerate(parts)]
    means = [part.mean() if len(part) else np.nan for part in parts]
    axes.plot(middles, means, color=style.colour(0), marker="o", markersize=4, linewidth=1.2, label="mean, by tenths")
    axes.set(xlabel="distance of attention (Jensen-Shannon, √bit)", ylabel="cosine of ablation effects")
    low, high = np.percentile(alike, (0.5, 99.5))
    axes.set_ylim(min(low, -0.1), max(high, 0.1))
    figure.legend(loc="outside lower center", ncols=3, handletextpad=0.2, columnspacing=1, markerscale=1.5)
    rank = float(spearmanr(far, alike).statistic)
    how = (
        "The farther apart two heads attend, the less alike their effects"
        if rank < -0.1
        else ("How far apart two heads attend says little of their effects")
    )
    style.headline(figure, f"{how} (rank correlation {rank:+.2f})")
    words = f"distance of attention and cosine of effects correlate at {rank:+.2f} (ranks, {len(far):,} pairs of heads)"
    if matched.any() and not matched.all():
        means = alike[matched].mean(), alike[~matched].mean()
        words += f"; partners' effects have a mean cosine of {means[0]:.2f}, others' of {means[1]:.2f}"
    return style.finding(figure, words)


def draw_knockout_effects(knockouts, clusters, distances, partners, protocol):
    """Fig 14; corrected, the effects of mean ablation against the distance of attention."""
    if protocol == "published":
        table = tables.read(knockouts, ["model", "member", "layer", "head", "published_1", "published_2"])
        return effects(table.merge(tables.read(clusters)), tables.facts(knockouts))
    heads, far = head_tables.read_distances(distances)
    members = head_tables.member_labels(heads)
    cosines = effect_agreement.residual_cosines(tables.read_lists(knockouts, "mean"), members)
    cosines = np.where(members[:, None] == members, np.nan, cosines)
    return effects_by_distance(far, cosines, tables.read(partners, ["group"])["group"].to_numpy())
