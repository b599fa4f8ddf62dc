"""Which induction heads of a layer stand in for which: all of its pairs, ablated together and one by one."""

import numpy as np
from scipy.special import ndtri

from headatlas.base import tables
from headatlas.plotting import style

MOST_ROWS, MOST_COLUMNS = 4, 4  # models and members drawn
_TOLD = 5  # heads of a layer, up to which numbers stand in the cells


def matrix_of(table, errors=1.96):
    """The excess of every two induction heads of one member, and whether it is clear of zero.

    Parameters
    ----------
    table : DataFrame of [heads, size, induction, excess, excess_error]
        As `joint_effects.joint_table` gives, of one member.
    errors : float
        Standard errors beyond which an excess is clear of zero.

    Returns
    -------
    names : list of str
        Heads, as in the table, "1.0" (layer.head).
    excess : float array of shape (head, head)
        NaN on the diagonal, and for pairs that were not measured.
    clear : bool array of shape (head, head)
        Beyond so many standard errors.
    """
    pairs = table[table["induction"] & (table["size"] == 2)]
    names = sorted(
        {name for heads in pairs["heads"] for name in heads.split()}, key=lambda name: int(name.split(".")[1])
    )
    excess, error = np.full((2, len(names), len(names)), np.nan)
    for row in pairs.itertuples():
        one, other = (names.index(name) for name in row.heads.split())
        excess[[one, other], [other, one]] = row.excess
        error[[one, other], [other, one]] = row.excess_error
    return names, excess, np.abs(excess) > errors * error


@style.paper
def pairs_of_heads(joint):
    """A matrix of the induction heads of a layer for each member: what two do together less the sum of each.

    Parameters
    ----------
    joint : dict from model to DataFrame
        As `joint_effects.joint_table` gives.

    Returns
    -------
    matplotlib.figure.Figure
    """
    asked = {
        model: table[table["followed"] & table["excess"].notna()]
        for model, table in joint.items()
        if (table["followed"] & table["induction"] & table["excess"].notna()).any()
    }
    unasked = [model for model in joint if model not in asked]
    why = "no layer has two induction heads that anything follows"
    if not asked:
        return style.nothing_to_show(f"Pairs of induction heads cannot be told from these models: {why}.")
    shown = dict(list(asked.items())[:MOST_ROWS])
    members = {model: sorted(table.loc[table["induction"], "member"].unique()) for model, table in shown.items()}
    columns = min(MOST_COLUMNS, max(map(len, members.values())))
    figure = style.blank(style.WIDTH, 1.75 * len(shown) + 1.3)
    panels = figure.subplots(len(shown), max(2, columns), squeeze=False)
    count = sum(int((table["induction"] & (table["size"] == 2)).sum()) for table in shown.values())
    errors = -ndtri(0.025 / max(count, 1))  # Bonferroni's, over all pairs drawn
    found = {
        (model, member): matrix_of(shown[model][shown[model]["member"] == member], errors)
        for model, own in members.items()
        for member in own
    }
    every = np.concatenate([excess[np.isfinite(excess)] for _, excess, _ in found.values()])
    bound = max(float(np.abs(every).max()), 1e-6)
    for panel in panels.flat:
        panel.axis("off")
    for row, (model, own) in zip(panels, members.items(), strict=True):
        for axes, member in zip(row, own, strict=False):
            image = _matrix(axes, *found[model, member], bound)
            axes.set_title(f"member {member}", fontsize=8, pad=3)
        row[0].set_ylabel(style.wrapped(model, 1.4), fontsize=8)
    bar = figure.colorbar(image, ax=panels, location="bottom", aspect=40, pad=0.02, shrink=0.8)
    bar.set_label(
        "fall of the right token's logit, both heads together less the sum of each\n"
        "(grey: not clear of zero, 95% for all pairs together)"
    )
    above = {model: _counted(found, model, own, 1) for model, own in members.items()}
    below = {model: _counted(found, model, own, -1) for model, own in members.items()}
    pairs = {model: sum(int(np.isfinite(found[model, m][1]).sum()) // 2 for m in own) for model, own in members.items()}
    said = []
    for model, table in shown.items():
        two = table[table["size"] == 2]
        means = [two.loc[two["induction"] == own, "excess"].mean() for own in (True, False)]
        control = f", of pairs of other heads {means[1]:+.2f}" if np.isfinite(means[1]) else ""
        said.append(
            f"{model}: {above[model]} of {pairs[model]} pairs cost more together than the sum of each, {below[model]} "
            f"less (beyond {errors:.1f} standard errors over sequences, Bonferroni's 95%); mean {means[0]:+.2f} "
            f"logits{control}"
        )
    title = (
        f"{sum(above.values())} of {sum(pairs.values())} pairs of induction heads cost more together than one by one"
    )
    style.headline(figure, f"{title}, {sum(below.values())} less")
    notes = [f"not asked of {', '.join(unasked)}: {why}"] if unasked else []
    if len(shown) < len(asked) or any(len(own) > columns for own in members.values()):
        notes.append(f"shown: the first {len(shown)} models and {columns} members")
    if notes:
        figure.supxlabel(style.wrapped("\n".join(notes), style.WIDTH - 0.2), fontsize=8)
    return style.finding(figure, "; ".join(said))


def _matrix(axes, names, excess, clear, bound):
    axes.axis("on")
    axes.spines[:].set_visible(False)
    colours = style.map_with_gaps(style.SIGNED)
    image = axes.imshow(np.where(clear, excess, np.nan), cmap=colours, vmin=-bound, vmax=bound)
    for one, other in np.argwhere(np.isfinite(excess)) if len(names) <= _TOLD else ():
        value = excess[one, other]
        ink = style.ink(colours(image.norm(value))[:3]) if clear[one, other] else "black"
        axes.text(other, one, f"{value:+.2f}", ha="center", va="center", fontsize=style.SMALL, color=ink)
    names = [f"L{name.replace('.', 'H')}" for name in names]
    ticks, labels = style.thinned(range(len(names)), names, len(names), 5)
    axes.set_xticks(ticks, labels)
    axes.set_yticks(ticks, labels)
    axes.tick_params(length=0)
    return image


def _counted(found, model, members, sign):
    """Pairs whose excess is clear of zero on one side."""
    matrices = [found[model, member] for member in members]
    return sum(int((clear & (sign * excess > 0)).sum()) // 2 for _, excess, clear in matrices)


def draw_pairs_of_heads(joint, models):
    """Read a file of each model, in their order."""
    return pairs_of_heads({model: tables.read(path) for model, path in zip(models, joint, strict=True)})
