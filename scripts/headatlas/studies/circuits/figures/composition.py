"""Which heads write what later heads read: composition between layers, as arcs."""

from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch

from headatlas.base import tables
from headatlas.plotting import style

READ_AS = {"q_composition": "queries", "k_composition": "keys", "v_composition": "values"}
BEYOND = 3  # deviations of random heads from which on an arc is drawn
_BY_CHANCE = 0.00135  # of pairs, were those of random heads spread normally
_THIN, _THICK = 0.8, 3.2  # points, of the weakest arc and of the strongest
_SHOWN = 3  # models, one row each


@style.paper
def composition_arcs(composition, names, variants):
    """Arcs from heads to those later ones that read what they write, as queries, keys or values.

    Parameters
    ----------
    composition : DataFrame of [model, member, layer, head, earlier_layer, earlier_head, score, value, chance,
        chance_deviation]
        `chance` and its deviation are those of random heads. The first member of each model is drawn.
    names : DataFrame of [model, member, layer, head, name]
    variants : mapping from model to str
        What each is called.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if composition.empty:
        return style.nothing_to_show("No model has a second layer whose heads could read what earlier heads write.")
    table = composition.assign(beyond=(composition["value"] - composition["chance"]) / composition["chance_deviation"])
    models = list(dict.fromkeys(table["model"]))[:_SHOWN]
    first = table[(table["member"] == 0) & table["model"].isin(models)]
    most = max(first["beyond"].max(), BEYOND + 1)
    layers = {model: int(own["layer"].max()) + 1 for model, own in first.groupby("model")}
    tall = [0.5 + 0.45 * layers[model] for model in models]
    figure = style.blank(style.WIDTH, sum(tall) + 0.95)
    panels = figure.subplots(len(models), len(READ_AS), squeeze=False, height_ratios=tall)
    for line, model in zip(panels, models, strict=True):
        own = first[first["model"] == model]
        called = names[(names["model"] == model) & (names["member"] == 0)].set_index(["layer", "head"])["name"]
        for axes, (score, read_as) in zip(line, READ_AS.items(), strict=True):
            _panel(axes, own[own["score"] == score], called, layers[model], most)
            if model == models[0]:
                axes.set_title(f"read as {read_as}")
        line[0].set_ylabel("layer")
        line[1].set_xlabel(f"head ({variants[model]}, member 0)")
    style.headline(figure, f"Which later heads read which earlier ones, beyond {BEYOND} deviations of random heads")
    named = {
        "previous token": Line2D([], [], linestyle="", marker="s", color=style.PALETTE[1], label="previous token"),
        "induction": Line2D([], [], linestyle="", marker="D", color=style.PALETTE[3], label="induction"),
    }
    there = set(names.loc[(names["member"] == 0) & names["model"].isin(models), "name"])
    keys = [
        *(key for name, key in named.items() if name in there),
        Line2D([], [], linestyle="", marker="o", markerfacecolor="white", color="0.35", label="other head"),
        Line2D([], [], color=style.PALETTE[0], linewidth=_THICK, label=f"{most:.0f} deviations"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), handletextpad=0.3, columnspacing=1)
    return style.finding(figure, _in_words(table))


def _panel(axes, rows, called, layers, most):
    """Heads as points, layers upwards; an arc for each pair beyond chance, the thicker the farther."""
    for row in rows[rows["beyond"] > BEYOND].sort_values("beyond").itertuples():
        start, end = (row.earlier_head, row.earlier_layer), (row.head, row.layer)
        share = row.beyond / most
        axes.add_patch(
            FancyArrowPatch(
                start,
                end,
                connectionstyle="arc3,rad=0.15",
                arrowstyle="-",
                linewidth=_THIN + (_THICK - _THIN) * share,
                color=style.PALETTE[0],
                alpha=0.55 + 0.45 * share,
                zorder=1,
            )
        )
    heads = max(rows["head"].max(), rows["earlier_head"].max()) + 1
    for layer in range(layers):
        for head in range(heads):
            name = called.get((layer, head))
            shape, colour = {"previous token": ("s", style.PALETTE[1]), "induction": ("D", style.PALETTE[3])}.get(
                name, ("o", "white")
            )
            edge = "0.35" if colour == "white" else colour
            axes.scatter(head, layer, s=26, marker=shape, c=[colour], edgecolors=edge, linewidths=0.8, zorder=2)
    ticks, labels = style.thinned(range(heads), list(range(heads)), heads, 6)
    axes.set_xticks(ticks, labels)
    axes.set_yticks(range(layers), [str(layer) for layer in range(layers)])
    axes.set(xlim=(-0.6, heads - 0.4), ylim=(-0.4, layers - 0.6))


def _in_words(table):
    """How many pairs of all members lie beyond chance, and the farthest."""
    said = []
    for score, read_as in READ_AS.items():
        own = table[table["score"] == score]
        best = own.loc[own["beyond"].idxmax()]
        said.append(
            f"as {read_as} {int((own['beyond'] > BEYOND).sum())} of {len(own)} "
            f"(most: layer {best['earlier_layer']} head {best['earlier_head']} by layer {best['layer']} head "
            f"{best['head']} of member {best['member']}, {best['value']:.2f} where random heads reach "
            f"{best['chance']:.2f} ± {best['chance_deviation']:.2f})"
        )
    expected = _BY_CHANCE * len(table) / len(READ_AS)
    return (
        f"pairs of heads of all members beyond {BEYOND} deviations of random heads: {'; '.join(said)}; "
        f"by chance {expected:.1f} of each"
    )


def draw_composition(composition, names, sweep):
    """Read the study's tables."""
    runs = tables.read(sweep).drop_duplicates("model")
    variants = dict(zip(runs["model"], runs["variant"], strict=True))
    return composition_arcs(tables.read(composition), tables.read(names), variants)
