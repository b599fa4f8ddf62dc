"""What ablating every head costs for which tokens, which one number for each head hides."""

import numpy as np
import pandas as pd

from headatlas.base.statistics import describe_mean, interval_of_mean
from headatlas.plotting import style
from headatlas.studies.phrenology import head_tables
from headatlas.studies.phrenology.figures.heads import groups_of
from headatlas.studies.phrenology.figures.knockout_logits import of_all_models
from headatlas.studies.phrenology.token_classes import CLASSES, PAIRS

_IDENTITY = head_tables.IDENTITY
_LOOKS = {  # by kind: colour, shape, fill, how far beside its class
    "mean": (style.colour(0), "o", style.colour(0), -0.12, "head set to its mean"),
    "other": ("0.5", "D", "white", 0.12, "another head of its layer in its place"),
}


@style.paper
def cost_by_class(heads, table, what):
    """The cost of each head's mean ablation by class of token: means over heads beside the control, and every head.

    Parameters
    ----------
    heads : DataFrame of [model, member, layer, head, group]
    table : DataFrame of [model, member, layer, head, kind, token_class, targets, effect, standard_error]
        As `knockout_effects.loss_tables` gives.
    what : str
        What the groups are.

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = table.merge(heads, on=_IDENTITY)
    classes = [name for name in CLASSES if table.loc[table["token_class"] == name, "effect"].notna().any()]
    ablated = table[table["kind"] == "mean"]
    costs = ablated.groupby(_IDENTITY)["effect"].mean().rename("cost")
    order = heads.merge(costs, on=_IDENTITY).sort_values(["group", "cost"], ascending=[True, False], kind="stable")
    rows = pd.MultiIndex.from_frame(order[_IDENTITY])
    values, errors = (
        ablated.pivot(index=_IDENTITY, columns="token_class", values=name).reindex(rows)[classes].to_numpy()
        for name in ("effect", "standard_error")
    )
    n = len(order)
    tall = float(np.clip(0.05 * n, 1.7, 4.0))
    figure = style.blank(style.WIDTH, tall + 2.6)
    strip, axes = figure.subplots(2, 1, sharex=True, height_ratios=(1.3, tall))
    for kind, (colour, marker, fill, shift, label) in _LOOKS.items():
        of_kind = table[table["kind"] == kind]
        by_network = (
            of_kind.groupby(["model", "member", "token_class"])["effect"].mean().unstack().reindex(columns=classes)
        )
        if of_kind.empty:
            continue
        means = np.array([interval_of_mean(by_network[name]) for name in classes])
        reach = np.abs(means[:, 1:].T - means[:, 0])
        dots = {"color": colour, "marker": marker, "mfc": fill, "markersize": 4, "linestyle": "", "elinewidth": 0.9}
        strip.errorbar(np.arange(len(classes)) + shift, means[:, 0], yerr=reach, label=label, **dots)
    strip.axhline(0, color="0.4", linewidth=0.6)
    strip.set_ylabel("loss added, mean\nover heads (nats)")
    strip.tick_params(axis="x", length=0)
    figure.legend(*strip.get_legend_handles_labels(), loc="outside lower center", ncols=2, handletextpad=0.2)
    clear = np.abs(values) > 1.96 * errors
    bound = max(float(np.nanquantile(np.abs(values), 0.97)), 1e-6)
    image = axes.imshow(
        np.where(clear, values, np.nan), cmap=style.map_with_gaps(style.SIGNED), vmin=-bound, vmax=bound, aspect="auto"
    )
    groups = order["group"].to_numpy()
    starts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
    for start in starts[1:] if len(starts) <= 40 else ():
        axes.axhline(start - 0.5, color="0.2", linewidth=0.5)
    middles = (starts + np.append(starts[1:], n) - 1) / 2
    axes.set_yticks(*style.thinned(middles.tolist(), [str(group) for group in groups[starts]], n, 20))
    axes.set_xticks(range(len(classes)), [name.replace(" ", "\n") for name in classes])
    axes.tick_params(length=0)
    axes.set(ylabel=f"heads, by {what}\nand cost", xlabel="tokens predicted")
    label = "loss added by mean ablation\n(nats; grey: within 95% of zero)"
    figure.colorbar(image, ax=axes, location="right", aspect=22, pad=0.02, extend="both", label=label)
    differences = {pair: _difference(ablated, *pair) for pair in PAIRS if set(pair) <= set(classes)}
    said = []
    for (one, other), rows in differences.items():
        counts = [int((sign * rows["difference"] > 1.96 * rows["error"]).sum()) for sign in (1, -1)]
        networks = rows.groupby(["model", "member"])["difference"].mean()
        words = f"{describe_mean(networks, 3, signed=True)} nats more on {_told(other)} than on {_told(one)}"
        control = _difference(table[table["kind"] == "other"], one, other)["difference"]
        words += f" ({control.mean():+.3f} with another head in the place)" if len(control) else ""
        said.append(f"{words}, clearly for {counts[0]} of {n} heads and the reverse for {counts[1]}")
    if differences:
        (one, other), first = next(iter(differences.items()))
        more, less = (int((sign * first["difference"] > 1.96 * first["error"]).sum()) for sign in (1, -1))
        style.headline(figure, f"{more} of {n} heads cost more on {_told(other)} than on {_told(one)}, {less} less")
    words = f"mean ablation costs {'; '.join(said)} (clearly: beyond 1.96 standard errors over windows)"
    return style.finding(figure, words if said else "no class of tokens to compare")


def _told(name):
    return f"the {name}" if "half" in name else f"{name} tokens"


def _difference(table, one, other):
    """By how much the cost of each head is higher on one class than on another, and its error as of separate tokens."""
    wide = table.pivot(index=_IDENTITY, columns="token_class", values=["effect", "standard_error"])
    found = pd.DataFrame({"difference": wide["effect", other] - wide["effect", one]}) if len(table) else wide
    if found.empty:
        return pd.DataFrame({"difference": [], "error": []})
    return found.assign(error=np.hypot(wide["standard_error", one], wide["standard_error", other])).reset_index()


def draw_losses_by_class(partners, kinds, by_class, models):
    """A file of losses by class of each model, in their order."""
    heads, what = groups_of(partners, kinds)
    return cost_by_class(heads, of_all_models(by_class, models), what)
