"""Table 1 and Figure 1 of "Attention phrenology" (Edkins & Wiechecki 2023): how patterns are compressed, and drawn."""

import textwrap

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.plotting import style

_HEADINGS = {
    "bottleneck": "bottleneck",
    "width": "width",
    "layers": "layers",
    "parameters": "parameters",
    "mse": "MSE",
    "aic": "AIC",
    "bic": "BIC",
    "mse_fit": "MSE fitted",
    "mse_prompts": "MSE held-out\nprompts",
    "mse_member": "MSE held-out\nmember",
    "pca_prompts": "PCA, held-out\nprompts",
    "pca_member": "PCA, held-out\nmember",
}
NOTES = {
    "published": (
        "AIC as published, 2 x width - 2 ln MSE: it rises as the error falls, so that the narrowest bottleneck wins. "
        "Errors are those of the rows fitted; mean over {seeds} seeds."
    ),
    "corrected": (
        "AIC = n ln(RSS/n) + 2p and BIC = n ln(RSS/n) + p ln n over n = {observations} held-out prompts{where}, p the "
        "parameters; mean ± standard deviation over {seeds} seeds. A wider bottleneck has fewer layers, and so fewer "
        "parameters: where it errs less too, nothing is traded off and the criteria only say so. PCA of equal width "
        "beside it. Bold: chosen by {criterion}."
    ),
}


def spread(table):
    """Table 1 from a table of networks: over the seeds, mean, spread and range of the error, mean of the criteria."""
    groups = table.groupby(["method", "split", "width", "layers", "parameters", "observations"], sort=False)
    return groups.agg(
        seeds=("seed", "size"),
        mse=("mse", "mean"),
        mse_sd=("mse", "std"),
        mse_min=("mse", "min"),
        mse_max=("mse", "max"),
        aic=("aic", "mean"),
        bic=("bic", "mean"),
    ).reset_index()


def table1(table, protocol):
    """Rows of Table 1, numbers as numbers.

    Parameters
    ----------
    table : DataFrame
        Of `autoencoders.parquet`.
    protocol : {"published", "corrected"}

    Returns
    -------
    DataFrame
        One row per width, by width; `chosen` says which one feeds Figures 1, 2, 3 and 5.
    """
    table = table[table["protocol"] == protocol]
    if table.empty:
        raise InputError(f"table 1: no rows of the protocol {protocol!r}; published or corrected")
    means = spread(table).set_index(["method", "split", "width"])
    chosen = table.loc[table["chosen"], "width"].iloc[0]
    judged = "fit" if protocol == "published" else "member" if (table["split"] == "member").any() else "prompts"
    rows = means.loc["autoencoder"].loc[judged].reset_index()
    if protocol == "published":
        rows = rows[["width", "layers", "mse", "mse_sd", "aic"]]
        rows.insert(0, "bottleneck", [f"encode{width}" for width in rows["width"]])
    else:
        rows = rows[["width", "layers", "parameters", "aic", "bic"]]
        for split in ("fit", "prompts", "member"):
            for method, name in (("autoencoder", "mse"), ("pca", "pca")):
                if (method, split) in {key[:2] for key in means.index} and (method, split) != ("pca", "fit"):
                    found = means.loc[method].loc[split]
                    rows[f"{name}_{split}"] = rows["width"].map(found["mse"])
                    if method == "autoencoder":
                        rows[f"{name}_{split}_sd"] = rows["width"].map(found["mse_sd"])
    return rows.assign(chosen=rows["width"] == chosen)


def _cells(rows, name):
    """One column as text, with the spread over seeds where there is one."""
    values = rows[name]
    if values.dtype.kind not in "fiu":
        return values.tolist()
    if name in ("aic", "bic"):
        return [f"{value:,.2f}" if abs(value) < 1000 else f"{value:,.0f}" for value in values]
    if values.dtype.kind in "iu":
        return [f"{value:,}" for value in values]
    spreads = rows.get(f"{name}_sd", np.nan * values)
    return [
        "" if np.isnan(value) else f"{value:.6f}" + ("" if np.isnan(sd) else f" ± {sd:.6f}")
        for value, sd in zip(values, spreads, strict=True)
    ]


@style.paper
def draw_table1(rows, protocol, seeds, observations):
    """Table 1 as a page of a paper would set it.

    Parameters
    ----------
    rows : DataFrame
        Of `table1`.
    protocol : {"published", "corrected"}
    seeds, observations : int
        For the note below it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = [name for name in _HEADINGS if name in rows]
    columns = [[_HEADINGS[name], *_cells(rows, name)] for name in names]
    member = "mse_member" in rows
    words = {
        "seeds": seeds,
        "observations": observations,
        "where": " of a member that was never fitted" if member else "",
        "criterion": f"BIC on the held-out {'member' if member else 'prompts'}",
    }
    wide = [max(len(line) for cell in column for line in cell.split("\n")) + 3.5 for column in columns]
    width = max(4.2, 0.066 * sum(wide) + 0.3)
    note = _wrap(NOTES[protocol].format(**words), int(width * 20))
    line, top = 0.2, 0.36 + 0.13 * max(column[0].count("\n") for column in columns)
    height = top + line * (len(rows) + 0.3) + 0.15 * (note.count("\n") + 1) + 0.25
    figure = style.blank(width, height, layout="none")
    ends = 0.15 + np.cumsum(wide) * (width - 0.3) / sum(wide)
    for end, column, size in zip(ends, columns, wide, strict=True):
        left = isinstance(rows[names[columns.index(column)]].iloc[0], str)
        x = (end - size * (width - 0.3) / sum(wide) + 0.02 if left else end - 0.06) / width
        side = "left" if left else "right"
        figure.text(x, 1 - (top - 0.1) / height, column[0], ha=side, va="bottom", fontsize=7.5)
        for row, cell in enumerate(column[1:]):
            weight = "bold" if rows["chosen"].iloc[row] else "normal"
            y = 1 - (top + line * (row + 0.55)) / height
            figure.text(x, y, cell, ha=side, va="center", fontsize=7.5, weight=weight)
    for y, thick in ((0.08, 1.0), (top - 0.03, 0.5), (top + line * (len(rows) + 0.15), 1.0)):
        figure.add_artist(_rule(width, 1 - y / height, thick))
    figure.text(0.15 / width, 1 - (top + line * (len(rows) + 0.4)) / height, note, va="top", fontsize=6.5, color="0.25")
    return figure


def _rule(width, y, thick):
    return Line2D([0.13 / width, 1 - 0.13 / width], [y, y], color="black", linewidth=thick)


def _wrap(text, columns):
    return "\n".join(textwrap.wrap(text, columns))


@style.paper
def decoded_pairs(importance, decoded, protocol, width):
    """Fig 1: which token pairs the embedding is about, and what its values decode to there.

    Parameters
    ----------
    importance : DataFrame of [query, key, mse, untouched]
    decoded : DataFrame of [rank, query, key, first, second, weight]
        Both of one protocol.
    protocol : {"published", "corrected"}
    width : int
        Of the bottleneck.

    Returns
    -------
    matplotlib.figure.Figure
    """
    size = int(importance[["query", "key"]].to_numpy().max()) + 1
    rise = np.full((size, size), np.nan)
    found = importance["mse"] - importance["untouched"]
    power = int(np.floor(np.log10(found.max()))) if found.max() > 0 else 0
    rise[importance["query"], importance["key"]] = found / 10.0**power
    figure = style.blank(style.WIDTH, 3.5)
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.75))
    axes = left.subplots()
    image = axes.imshow(rise, cmap=style.map_with_gaps("viridis"))
    axes.set(xlabel="key position", ylabel="query position")
    axes.spines[:].set_visible(False)
    replaced = "replaced by U(0, 1)" if protocol == "published" else "dealt anew among rows"
    bar = left.colorbar(image, ax=axes, location="top", aspect=25, pad=0.03)
    bar.set_label(f"rise of the MSE (1e{power}) with the\npair {replaced}")
    bar.locator = MaxNLocator(4)
    bar.outline.set_visible(False)
    panels = right.subplots(3, 4, sharex=True, sharey=True).ravel()
    low, high = decoded["weight"].min(), decoded["weight"].max()
    for axes in panels[decoded["rank"].nunique() :]:
        axes.set_axis_off()
    for axes, (_, rows) in zip(panels, decoded.groupby("rank"), strict=False):
        first, second = np.unique(rows["first"]), np.unique(rows["second"])
        grid = rows.pivot(index="second", columns="first", values="weight").to_numpy()
        image = axes.imshow(
            grid,
            origin="lower",
            aspect="auto",
            vmin=low,
            vmax=high,
            cmap="magma",
            extent=_around(first) + _around(second),
        )
        pair = rows.iloc[0]
        axes.set_title(f"query {pair['query']:.0f}, key {pair['key']:.0f}", fontsize=7, pad=2)
        axes.spines[:].set_visible(False)
        axes.locator_params(nbins=3)
        axes.tick_params(labelsize=6)
    bar = right.colorbar(image, ax=panels.tolist(), location="top", aspect=45, pad=0.02)
    bar.set_label("decoded attention weight, for the pairs that matter most")
    bar.outline.set_visible(False)
    value = "embedding value" if width == 2 else "embedding, component"
    right.supxlabel(f"{value} 1", fontsize=7.5)
    right.supylabel(f"{value} 2", fontsize=7.5)
    return figure


def _around(values):
    half = (values[-1] - values[0]) / (2 * max(1, len(values) - 1)) or 0.5
    return values[0] - half, values[-1] + half


def draw_autoencoders(autoencoders, protocol):
    """Table 1, and its rows."""
    table = tables.read(autoencoders)
    own = table[table["protocol"] == protocol]
    rows = table1(table, protocol)
    seeds = own.loc[own["method"] == "autoencoder", "seed"].nunique()
    return draw_table1(rows, protocol, seeds, int(own["observations"].min())), rows


def draw_decoded_pairs(importance, decoded, published, corrected, protocol):
    """Fig 1; the width is that of the protocol's embedding."""
    width = tables.facts({"published": published, "corrected": corrected}[protocol])["width"]
    importance, decoded = tables.read(importance, protocol=protocol), tables.read(decoded, protocol=protocol)
    return decoded_pairs(importance, decoded, protocol, width)
