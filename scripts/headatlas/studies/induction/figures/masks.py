"""Induction with several masks at once, and on whole words against pieces of words."""

from headatlas.base import tables
from headatlas.base.statistics import describe_mean
from headatlas.plotting import style
from headatlas.studies.induction.repeated_tokens import strongest

_ABREAST = 3  # panels side by side


@style.paper
def masks(found):
    """Induction with several masks at once, and on whole words against pieces of words.

    Parameters
    ----------
    found : dict from model to DataFrame
        As `repeated_tokens.condition_table` gives.

    Returns
    -------
    matplotlib.figure.Figure
    """
    masked = {model: table[table["condition"] == "masks"] for model, table in found.items()}
    masked = {model: table for model, table in masked.items() if len(table)}
    words = {model: table[table["condition"] == "words"] for model, table in found.items()}
    words = {model: table for model, table in words.items() if len(table)}
    wide = len(masked) + len(words)
    across = max(1, min(_ABREAST, wide))
    down = max(1, -(-wide // across))
    if not wide:
        return style.nothing_to_show("No masked model, and no tokenizer that cuts words.")
    figure = style.blank(max(style.COLUMN, style.WIDTH * across / _ABREAST), 2.7 * down)
    panels = figure.subplots(down, across, squeeze=False)
    drawn = [*((_several, *one) for one in masked.items()), *((_pieces, *one) for one in words.items())]
    for axes, (draw, model, table) in zip(panels.flat, drawn, strict=False):
        draw(axes, table)
        axes.set_title(style.wrapped(model, style.WIDTH / _ABREAST - 0.2))
    for axes in panels.flat[wide:]:
        axes.axis("off")
    said = [f"{model}: {_of_masks(table)}" for model, table in masked.items()]
    said += [f"{model}: {_of_pieces(table)}" for model, table in words.items()]
    return style.finding(figure, "; ".join(said))


def _followed(table):
    """Rows, where the earlier instance is read, of each member's head that is strongest with the fewest masks."""
    same = table[table["reading"] == "same"]
    best = strongest(same[same["count"] == same["count"].min()])
    return same.merge(best[["member", "layer", "head"]])


def _of_masks(table):
    """Attention of the heads that are followed by number of masks: one member's with its error, else over members."""
    followed, said = _followed(table), []
    for count, rows in followed.groupby("count"):
        told = describe_mean(rows["held_out"], within=(0, 1))
        if len(rows) == 1:
            told = f"{rows['held_out'].iloc[0]:.2f} ± {rows['held_out_error'].iloc[0]:.2f} (standard error)"
        said.append(f"{told} with {count} mask{'s'[: count > 1]}")
    return f"{', '.join(said)}; chance {followed['chance'].mean():.2f}"


def _of_pieces(table):
    wide = _by_level(table)
    less = wide["whole words"] - wide["pieces"]
    told = describe_mean(less.groupby("member").mean(), 3, signed=True)
    return f"a head's induction on whole words less that on pieces is {told}"


def _by_level(table):
    reading = "same" if table["count"].max() > 0 else "after"
    rows = table[table["reading"] == reading]
    return rows.pivot(index=["member", "layer", "head"], columns="level", values="value")


def _several(axes, table):
    """Each member's head that is strongest with the fewest masks, chosen on other sequences than are drawn."""
    levels = table.drop_duplicates("level").sort_values("count", kind="stable")
    fewest = table[(table["level"] == levels["level"].iloc[0]) & (table["reading"] == "same")]
    for best in strongest(fewest).itertuples():
        own = table[(table["member"] == best.member) & (table["layer"] == best.layer) & (table["head"] == best.head)]
        colour = style.member_colour(best.member)
        for reading, dashes in (("same", "-"), ("masks", (0, (2, 1.5)))):
            line = own[own["reading"] == reading].sort_values("count", kind="stable")
            label = f"L{best.layer}H{best.head} of member {best.member}" if reading == "same" else None
            axes.errorbar(
                line["count"], line["held_out"], line["held_out_error"], color=colour, linestyle=dashes, label=label
            )
    chance = table[table["reading"] == "same"].groupby("count")["chance"].mean()
    axes.plot(chance.index, chance, color="0.6", linewidth=0.6, linestyle=":", label="chance")
    axes.set_xticks(levels["count"], levels["count"])
    axes.set(xlabel="masks at once\n(dashed: attention among masks)", ylabel="mean attention", ylim=(0, None))
    axes.legend(fontsize=7, title="head")


def _pieces(axes, table):
    """Each head's induction on pieces against that on whole words."""
    wide = _by_level(table)
    colours = [style.layer_colour(layer, table["layer"].max() + 1) for layer in wide.index.get_level_values("layer")]
    axes.scatter(wide["whole words"], wide["pieces"], c=colours, s=12, linewidths=0.3, edgecolors="white")
    top = max(0.1, wide.to_numpy().max())
    axes.plot([0, top], [0, top], color="0.6", linewidth=0.6, linestyle=":")
    axes.set(xlabel="on whole words", ylabel="induction on pieces")


def draw_masks(conditions, models):
    """Read a file of each model, in their order."""
    return masks({model: tables.read(path) for model, path in zip(models, conditions, strict=True)})
