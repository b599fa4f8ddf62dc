"""The loss without induction heads: redundancy within a layer, and what later heads make good."""

import numpy as np

from headatlas.base import tables
from headatlas.base.statistics import interval_of_mean
from headatlas.plotting import style
from headatlas.studies.induction import ablation_effects, joint_effects

_DASHED = (0, (3, 1.5))


@style.paper
def redundancy(joint):
    """Whether the induction heads of a layer stand in for one another: what sets of them do beyond each, by their size.

    Parameters
    ----------
    joint : dict from model to DataFrame
        As `joint_effects.joint_table` gives.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = {model: joint_effects.redundancy(table) for model, table in joint.items()}
    found = {model: own for model, own in rows.items() if own["followed"].any() and own["excess"].notna().any()}
    last = [model for model, own in rows.items() if len(own) and model not in found]
    alone = [model for model, own in rows.items() if own.empty]
    unasked = []
    if alone:
        unasked.append(f"not asked of {', '.join(alone)}: no layer has two induction heads")
    if last:
        unasked.append(
            f"not asked of {', '.join(last)}: nothing that could answer comes after them, or the last norm is unknown"
        )
    if not found:
        return style.nothing_to_show("redundancy cannot be asked of these models\n" + "\n".join(unasked))
    across = min(2, len(found))
    down = -(-len(found) // across)
    figure = style.blank(max(style.COLUMN, style.WIDTH * across / 2), 2.5 * down + 1.3)
    panels = figure.subplots(down, across, squeeze=False)
    for axes in panels.flat[len(found) :]:
        axes.axis("off")
    for axes, (model, of_model) in zip(panels.flat, found.items(), strict=False):
        for member, own in joint_effects.by_size(joint[model]).groupby("member"):
            line = {"color": style.member_colour(member), "markersize": 3.5, "linewidth": 0.9}
            axes.plot(own["size"], own["excess"], "o-", **line)
            axes.plot(own["size"], own["control"], marker="s", mfc="white", linestyle=_DASHED, **line)
        axes.axhline(0, color="0.6", linewidth=0.6, zorder=0)
        title = f"{model}\n{_said(of_model['excess'], 'logits')}"
        axes.set_title(style.wrapped(title, style.WIDTH / across - 0.35), fontsize=8)
        axes.set_xticks(sorted(joint[model]["size"].unique()))
        axes.set_xlabel("heads ablated together")
    for axes in panels[:, 0]:
        axes.set_ylabel("fall of the right token's logit\ntogether less the sum of each")
    said = "; ".join(
        f"{model} {_said(own['excess'], 'logits')}, beyond other heads {_said(own['beyond'], 'logits')}"
        for model, own in found.items()
    )
    style.finding(figure, f"together less the sum of each, mean over sizes, with 95% intervals over members: {said}")
    certain = sum(joint_effects.sign(own) > 0 for own in found.values())
    style.headline(figure, _counted("Induction heads of a layer stand in for one another", certain, found))
    key = "circles: induction heads; squares, dashed: other heads; each colour a member"
    note = "\n".join([key, "above: the mean over sizes, with its 95% interval over members", *unasked])
    figure.supxlabel(style.wrapped(note, figure.get_figwidth() - 0.2), fontsize=8)
    return figure


def _said(values, unit="nats"):
    mean, low, high = interval_of_mean(values)
    if not np.isfinite(mean):
        return "not available"
    return f"{mean:+.2f}" + (f" ({low:+.2f} to {high:+.2f})" if np.isfinite(low) else "") + f" {unit}"


def _beyond_zero(what, found, column):
    """A claim with the number of models whose interval over members lies above zero."""
    above = sum(interval_of_mean(rows[column])[1] > 0 for rows in found.values())  # no interval, no evidence
    return _counted(what, above, found)


def _counted(what, count, found):
    return f"{what}: for certain in {count} of {len(found)} {'model' if len(found) == 1 else 'models'}"


def _from_zero(axes):
    """From zero or below to above all points, whole."""
    low, high = axes.get_ylim()
    axes.set_ylim(min(0, low), high + 0.04 * (high - min(0, low)))


def _findings(what, found, column):
    said = "; ".join(f"{model} {_said(rows[column])}" for model, rows in found.items())
    return f"{what}, with 95% intervals over members: {said}"


@style.paper
def backup_heads(effects, backups, kind="mean"):
    """What later heads make good of the loss without the induction heads of a layer, and how their scores change.

    Parameters
    ----------
    effects, backups : dict from model to DataFrame
        As `self_repair.effect_tables` gives.
    kind : {"zero", "mean", "resample"}
        Of the ablations drawn.

    Returns
    -------
    matplotlib.figure.Figure
    """
    found = {model: rows for model, table in effects.items() if len(rows := ablation_effects.repair(table, kind))}
    unasked = [model for model in effects if model not in found]
    if not found:
        return style.nothing_to_show(
            "self-repair cannot be asked of these models: no layer lies after an induction head"
        )
    figure = style.blank(style.WIDTH, 2.1 * len(found) + 1.1)
    panels = figure.subplots(len(found), 2, squeeze=False, width_ratios=(2, 3))
    for (left, right), (model, rows) in zip(panels, found.items(), strict=True):
        for row in rows.itertuples():
            dot = {"color": style.member_colour(row.member), "markersize": 3.5}
            left.plot([0, 1], [row.direct, row.total], "o-", linewidth=0.9, **dot)
            later = _later(backups[model], row, kind)
            places = np.arange(len(later)) + 0.12 * (row.member - rows["member"].mean())
            right.errorbar(places, later["change"], later["standard_error"], fmt="o", elinewidth=0.9, **dot)
        left.set_title(style.wrapped(f"{model}\nmade good: {_said(rows['repair'])}", 0.4 * style.WIDTH), fontsize=8)
        left.set_xticks([0, 1], ["no later head\nresponds", "all\nrespond"])
        left.set(xlim=(-0.4, 1.4), ylabel="rise of the loss (nats)")
        _from_zero(left)
        names = [f"L{one.layer}H{one.head}" for one in later.itertuples()]
        right.set_xticks(*style.thinned(range(len(names)), names, len(names), 9))
        right.axhline(0, color="0.6", linewidth=0.6, zorder=0)
        right.set_ylabel("change of induction score")
    panels[0, 1].set_title("later heads, with the induction\nheads before them ablated", fontsize=8)
    panels[-1, 1].set_xlabel("later heads (layer.head)")
    style.finding(figure, _findings("what later layers make good", found, "repair"))
    style.headline(figure, _beyond_zero("Later layers make good a part of the loss", found, "repair"))
    note = "each colour a member; in brackets the 95% interval over members"
    if unasked:
        note += f"\nnot asked of {', '.join(unasked)}: no layer lies after an induction head"
    figure.supxlabel(style.wrapped(note, figure.get_figwidth() - 0.2), fontsize=8)
    return figure


def _later(backups, row, kind):
    """Changes of the heads in layers after the first of a set."""
    own = backups[(backups["member"] == row.member) & (backups["kind"] == kind) & (backups["set"] == row.set)]
    first = min(int(name.split(".")[0]) for name in row.heads.split())
    return own[(own["layer"] > first) & ~own["ablated"]].sort_values(["layer", "head"])


def draw_redundancy(joint, models):
    """Read a file of each model, in their order."""
    return redundancy({model: tables.read(path) for model, path in zip(models, joint, strict=True)})


def draw_backup_heads(effects, backups, models):
    """Read a file of each model, in their order."""
    effects = {model: tables.read(path) for model, path in zip(models, effects, strict=True)}
    backups = {model: tables.read(path) for model, path in zip(models, backups, strict=True)}
    return backup_heads(effects, backups)
