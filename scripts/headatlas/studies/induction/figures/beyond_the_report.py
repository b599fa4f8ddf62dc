"""Beyond Chen's report, where it leaves off: back-up heads, several masks at once, words against pieces of words."""

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from headatlas.plotting import style
from headatlas.studies.induction.figures.induction import panels_of

_TOTAL, _DIRECT, _CONTROL = style.HELD_OUT, style.TRAIN, "0.6"
_ABREAST = 3  # panels side by side
_MOST = 8  # members drawn; the table has all


@style.paper
def backup_heads(effects, backups, kind="mean"):
    """What the loss costs without the strongest induction heads, and what the other heads do then.

    Parameters
    ----------
    effects, backups : dict from model to DataFrame
        As `headatlas.studies.induction.self_repair.effect_tables` gives.
    kind : {"zero", "mean", "resample"}
        Of the ablations drawn.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = panels_of(effects)[:_MOST]
    figure = style.blank(style.WIDTH, 1.65 * len(rows) + 0.5)
    panels = figure.subplots(len(rows), 2, squeeze=False, width_ratios=(3, 2))
    changes = {}
    for title, model, member, own in rows:
        chosen = own[(own["kind"] == kind) & (own["control_of"] < 0)]
        together = chosen.loc[chosen["size"].idxmax(), "set"]
        found = backups[model]
        changes[title] = found[(found["member"] == member) & (found["kind"] == kind) & (found["set"] == together)]
    bound = max(0.02, *(table.loc[~table["ablated"], "change"].abs().max() for table in changes.values()))
    for (bars, heads), (title, _, _, own) in zip(panels, rows, strict=True):
        _effects(bars, own[own["kind"] == kind])
        bars.set_ylabel(f"{title}\nloss (nats)", fontsize=6.5)
        _changes(heads, changes[title], bound)
    panels[0, 0].legend(loc="upper left", fontsize=6)
    panels[0, 0].set_title(f"rise of the loss on repeated tokens ({kind} ablation)")
    panels[0, 1].set_title("change of the other heads' induction")
    panels[-1, 0].set_xlabel("heads ablated (layer.head)")
    panels[-1, 1].set_xlabel("head")
    bar = figure.colorbar(ScalarMappable(Normalize(-bound, bound), style.SIGNED), ax=panels[:, 1], shrink=0.7, pad=0.02)
    bar.outline.set_visible(False)
    return figure


def _effects(axes, own):
    real, place = own[own["control_of"] < 0], np.arange((own["control_of"] < 0).sum())
    error = {"elinewidth": 0.7, "ecolor": "0.2"}
    axes.bar(
        place - 0.27, real["direct"], 0.26, yerr=real["direct_error"], color=_DIRECT, error_kw=error, label="direct"
    )
    axes.bar(place, real["total"], 0.26, yerr=real["total_error"], color=_TOTAL, error_kw=error, label="total")
    controls = [own.loc[own["control_of"] == number, "total"] for number in real["set"]]
    means = [control.mean() if len(control) else 0.0 for control in controls]
    axes.bar(place + 0.27, means, 0.26, color=_CONTROL, label="total, random heads")
    for at, control in zip(place, controls, strict=True):
        axes.plot(np.full(len(control), at + 0.27), control, ".", color="0.3", markersize=2)
    axes.axhline(0, color="0.4", linewidth=0.6)
    axes.set_xticks(place, real["heads"].str.replace(" ", "\n"), fontsize=6)


def _changes(axes, table, bound):
    grid = table.pivot(index="layer", columns="head", values="change").to_numpy(np.float64)
    axes.imshow(grid, cmap=style.SIGNED, vmin=-bound, vmax=bound, aspect="equal")
    axes.spines[:].set_visible(False)
    for row in table[table["ablated"]].itertuples():
        axes.text(row.head, row.layer, "x", ha="center", va="center", fontsize=7)
    layers, heads = grid.shape
    axes.set_xticks(range(0, heads, max(1, heads // 6)))
    axes.set_yticks(range(0, layers, max(1, layers // 6)))
    axes.tick_params(length=1.5, pad=1.5, labelsize=6)
    axes.set_ylabel("layer")


@style.paper
def masks(tables):
    """Induction with several masks at once, and on whole words against pieces of words.

    Parameters
    ----------
    tables : dict from model to DataFrame of [condition, level, count, reading, member, layer, head, value]

    Returns
    -------
    matplotlib.figure.Figure
    """
    masked = {model: table[table["condition"] == "masks"] for model, table in tables.items()}
    masked = {model: table for model, table in masked.items() if len(table)}
    words = {model: table[table["condition"] == "words"] for model, table in tables.items()}
    words = {model: table for model, table in words.items() if len(table)}
    wide = len(masked) + len(words)
    across = max(1, min(_ABREAST, wide))
    down = max(1, -(-wide // across))
    figure = style.blank(max(3.0, style.WIDTH * across / _ABREAST), 2.6 * down)
    if not wide:
        figure.text(0.5, 0.5, "no masked model, and no tokenizer that cuts words", ha="center", va="center")
        return figure
    panels = figure.subplots(down, across, squeeze=False)
    drawn = [*((_several, *one) for one in masked.items()), *((_pieces, *one) for one in words.items())]
    for axes, (draw, model, table) in zip(panels.flat, drawn, strict=False):
        draw(axes, table)
        axes.set_title(model)
    for axes in panels.flat[wide:]:
        axes.axis("off")
    return figure


def _several(axes, table):
    """The heads strongest with the fewest masks: attention to the earlier instance, and to the other masks."""
    levels = table.drop_duplicates("level").sort_values("count", kind="stable")
    one = table[(table["level"] == levels["level"].iloc[0]) & (table["reading"] == "same")]
    for number, best in enumerate(one.nlargest(3, "value").itertuples()):
        own = table[(table["member"] == best.member) & (table["layer"] == best.layer) & (table["head"] == best.head)]
        name = f"{best.layer}.{best.head}" + (f" of member {best.member}" if table["member"].nunique() > 1 else "")
        for reading, dashes in (("same", "-"), ("masks", (0, (2, 1.5)))):
            line = own[own["reading"] == reading].sort_values("count", kind="stable")
            label = name if reading == "same" else None
            colour = style.head_colour(number)
            axes.errorbar(
                range(len(line)), line["value"], line["standard_error"], color=colour, linestyle=dashes, label=label
            )
    axes.set_xticks(range(len(levels)), levels["level"])
    axes.set(xlabel="tokens masked at once\n(dashed: attention among masks)", ylabel="mean attention", ylim=(0, None))
    axes.legend(fontsize=6, title="head")


def _pieces(axes, table):
    """Each head's induction on pieces against that on whole words."""
    reading = "same" if table["count"].max() > 0 else "after"
    wide = table[table["reading"] == reading].pivot(index=["member", "layer", "head"], columns="level", values="value")
    colours = [style.layer_colour(layer, table["layer"].max() + 1) for layer in wide.index.get_level_values("layer")]
    axes.scatter(wide["whole words"], wide["pieces"], c=colours, s=12, linewidths=0.3, edgecolors="white")
    top = max(0.1, wide.to_numpy().max())
    axes.plot([0, top], [0, top], color="0.6", linewidth=0.6, linestyle=":")
    axes.set(xlabel="induction on whole words", ylabel="induction on pieces of words")
