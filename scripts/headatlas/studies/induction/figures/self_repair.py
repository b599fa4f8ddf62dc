"""What the loss costs without the strongest induction heads, and what the other heads do then."""

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from headatlas.base import tables
from headatlas.plotting import style
from headatlas.studies.induction.figures.panels import panels_of

_TOTAL, _DIRECT, _CONTROL = style.HELD_OUT, style.TRAIN, "0.6"
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


def draw_backup_heads(effects, backups, models):
    """Read a file of each model, in their order."""
    effects = {model: tables.read(path) for model, path in zip(models, effects, strict=True)}
    backups = {model: tables.read(path) for model, path in zip(models, backups, strict=True)}
    return backup_heads(effects, backups)
