"""Table 1 and Figure 1 of "Attention phrenology" (Edkins & Wiechecki 2023): how patterns are compressed, and drawn."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import PowerNorm
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.plotting import style

# What the paper's Table 1 prints, by width: MSE x 1,000 and AIC
PAPER = {
    2: (3.355, 15.39), 4: (3.071, 19.57), 8: (2.481, 28.00), 16: (1.563, 44.92), 32: (0.819, 78.21),
    64: (0.230, 144.75),
}  # fmt: skip
NOTE = (
    "AIC as published, 2 x width - 2 ln MSE: k is the width alone and the fit enters without the number of "
    "observations, so that the narrowest bottleneck always wins (bold). Errors are those of the rows fitted: mean ± "
    "standard deviation over {seeds} seeds. The paper compresses other heads, in rows of 256 entries."
)
_DISTURBED = {"published": "replaced by U(0, 1)", "corrected": "permuted over rows"}
_SPLITS = {"prompts": "prompts never fitted", "member": "a member never fitted"}
_METHODS = {"mse": ("autoencoder", 0), "pca": ("PCA", 1)}


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


@style.paper
def draw_table1(rows, seeds):
    """Table 1 as published, beside what the paper prints.

    Parameters
    ----------
    rows : DataFrame
        Of `table1`.
    seeds : int
        For the note below it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    known = [PAPER.get(width, (np.nan, np.nan)) for width in rows["width"]]
    columns = [
        ["bottleneck", *rows["bottleneck"]],
        ["layers", *(str(layers) for layers in rows["layers"])],
        ["MSE x 1,000", *map(_with_spread, 1e3 * rows["mse"], 1e3 * rows["mse_sd"])],
        ["paper", *("" if np.isnan(mse) else f"{mse:.3f}" for mse, _ in known)],
        ["AIC", *(f"{aic:.2f}" for aic in rows["aic"])],
        ["paper", *("" if np.isnan(aic) else f"{aic:.2f}" for _, aic in known)],
    ]
    ends = (0.15, 1.5, 2.95, 3.65, 4.5, 5.3)  # inches: where the first column starts, where others end
    note = style.wrapped(NOTE.format(seeds=seeds), style.WIDTH - 0.3)
    line, top = 0.19, 0.36
    height = top + line * (len(rows) + 0.4) + 0.155 * (note.count("\n") + 1) + 0.12
    figure = style.blank(style.WIDTH, height, layout="none")
    for column, (end, (heading, *cells)) in enumerate(zip(ends, columns, strict=True)):
        place = {"x": end / style.WIDTH, "ha": "right" if column else "left"}
        figure.text(y=1 - (top - 0.1) / height, s=heading, va="bottom", **place)
        for row, cell in enumerate(cells):
            weight = "bold" if rows["chosen"].iloc[row] else "normal"
            colour = "0.4" if heading == "paper" else "black"
            y = 1 - (top + line * (row + 0.55)) / height
            figure.text(y=y, s=cell, va="center", weight=weight, color=colour, **place)
    for y, thick in ((0.08, 1.0), (top - 0.03, 0.5), (top + line * (len(rows) + 0.15), 1.0)):
        figure.add_artist(_rule(style.WIDTH, 1 - y / height, thick))
    figure.text(0.15 / style.WIDTH, 1 - (top + line * (len(rows) + 0.45)) / height, note, va="top", color="0.25")
    best, widest = rows.iloc[rows["aic"].argmin()], rows.iloc[rows["width"].argmax()]
    sentence = (
        f"AIC as published is least for width {best['width']} ({best['aic']:.2f}), whose error is "
        f"{best['mse'] / widest['mse']:.1f} times that of width {widest['width']} (AIC {widest['aic']:.2f})"
    )
    return style.finding(figure, sentence)


def _with_spread(value, spread):
    return f"{value:.2f}" + ("" if np.isnan(spread) else f" ± {spread:.2f}")


@style.paper
def errors_by_width(rows, seeds):
    """Table 1, corrected, as a picture: the error on what was never fitted, of autoencoders and of PCA, by width.

    Parameters
    ----------
    rows : DataFrame
        Of `table1`.
    seeds : int
        Of the autoencoders.

    Returns
    -------
    matplotlib.figure.Figure
    """
    splits = [split for split in _SPLITS if f"mse_{split}" in rows]
    figure = style.blank(style.WIDTH if len(splits) > 1 else style.COLUMN, 2.6)
    panels = figure.subplots(1, len(splits), sharey=True, squeeze=False)[0]
    for axes, split in zip(panels, splits, strict=True):
        for method, (label, index) in _METHODS.items():
            look = {"color": style.colour(index), "marker": style.marker(index), "markersize": 4, "linewidth": 1.2}
            axes.plot(rows["width"], 1e3 * rows[f"{method}_{split}"], label=label, **look)
        spread = 1e3 * rows[f"mse_{split}_sd"]
        axes.errorbar(
            rows["width"], 1e3 * rows[f"mse_{split}"], yerr=spread, linestyle="", color=style.colour(0), elinewidth=1
        )
        fitted = axes.plot(rows["width"], 1e3 * rows["mse_fit"], color="0.55", linewidth=0.8, linestyle=":")[0]
        axes.set(xscale="log", yscale="log", xlabel="width of the bottleneck", title=_SPLITS[split])
        axes.set_xticks(rows["width"], [str(width) for width in rows["width"]], minor=False)
        axes.set_xticks([], minor=True)
    ticks = [
        tick for tick in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100) if axes.get_ylim()[0] < tick < axes.get_ylim()[1]
    ]
    panels[0].set_yticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    panels[0].set_yticks([], minor=True)
    panels[0].set_ylabel("MSE x 1,000 (log scale)")
    fitted.set_label("autoencoder, as fitted")
    handles, labels = panels[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=1 + len(splits))
    split = splits[-1]
    better = int((rows[f"pca_{split}"] < rows[f"mse_{split}"]).sum())
    style.headline(figure, f"PCA of equal width errs less than the autoencoder at {better} of {len(rows)} widths")
    widest = rows.iloc[rows["width"].argmax()]
    sentence = (
        f"on {_SPLITS[split]}, PCA errs less than an autoencoder of equal width at {better} of {len(rows)} widths; at "
        f"{widest['width']}, {1e3 * widest[f'pca_{split}']:.2f} against "
        f"{_with_spread(1e3 * widest[f'mse_{split}'], 1e3 * widest[f'mse_{split}_sd'])} x 10⁻³ "
        f"(standard deviation over {seeds} seeds)"
    )
    return style.finding(figure, sentence)


def _rule(width, y, thick):
    return Line2D([0.13 / width, 1 - 0.13 / width], [y, y], color="black", linewidth=thick)


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
    found = (importance["mse"] - importance["untouched"]).to_numpy()
    rise[importance["query"], importance["key"]] = found / max(found.max(), 1e-300)
    figure = style.blank(style.WIDTH, 3.3)
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.35))
    axes = left.subplots()
    image = axes.imshow(rise, cmap=style.map_with_gaps("viridis"), norm=PowerNorm(0.5, 0, 1))
    axes.set(xlabel="key position", ylabel="query position")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, integer=True))
    axes.spines[:].set_visible(False)
    bar = left.colorbar(image, ax=axes, location="top", aspect=25, pad=0.03, ticks=[0, 0.1, 0.5, 1])
    bar.set_label("rise of the MSE with the pair\n" + _DISTURBED[protocol] + ", of the largest")
    bar.outline.set_visible(False)
    panels = right.subplots(3, 4, sharex=True, sharey=True).ravel()
    for axes in panels[decoded["rank"].nunique() :]:
        axes.set_axis_off()
    colours = colormaps["magma"].with_extremes(under=style.colour(2), over=style.colour(4))
    for axes, (_, rows) in zip(panels, decoded.groupby("rank"), strict=False):
        first, second = np.unique(rows["first"]), np.unique(rows["second"])
        grid = rows.pivot(index="second", columns="first", values="weight").to_numpy()
        shown = {"origin": "lower", "aspect": "auto", "extent": _around(first) + _around(second)}
        image = axes.imshow(grid, vmin=0, vmax=1, cmap=colours, **shown)
        pair = rows.iloc[0]
        axes.set_title(f"{pair['query']:.0f}→{pair['key']:.0f}", pad=2)
        axes.spines[:].set_visible(False)
        axes.set(xticks=[], yticks=[])
    bar = right.colorbar(image, ax=panels.tolist(), location="top", aspect=35, pad=0.02, extend="both")
    bar.set_label("attention decoded for the twelve\npairs that matter most, query→key")
    bar.outline.set_visible(False)
    value = "embedding value" if width == 2 else "embedding, component"
    right.supxlabel(f"{value} 1 ({first[0]:.2g} to {first[-1]:.2g})", fontsize=8)
    right.supylabel(f"{value} 2 ({second[0]:.2g} to {second[-1]:.2g})", fontsize=8)
    own = importance["query"] == importance["key"]
    share = found[own].clip(0).sum() / max(found.clip(0).sum(), 1e-300)
    beyond = float(((decoded["weight"] < 0) | (decoded["weight"] > 1)).mean())
    sentence = (
        f"pairs of a token with itself carry {share:.0%} of the rise ({own.sum()} of {len(own)} pairs), and "
        f"{beyond:.0%} of the decoded weights are no attention (below 0 or above 1)"
    )
    style.headline(figure, f"{share:.0%} of what the embedding keeps is each token's attention to itself")
    return style.finding(figure, sentence)


def _around(values):
    half = (values[-1] - values[0]) / (2 * max(1, len(values) - 1)) or 0.5
    return values[0] - half, values[-1] + half


def draw_autoencoders(autoencoders, protocol):
    """Table 1, and its rows."""
    table = tables.read(autoencoders)
    rows = table1(table, protocol)
    seeds = table.loc[(table["protocol"] == protocol) & (table["method"] == "autoencoder"), "seed"].nunique()
    return (draw_table1 if protocol == "published" else errors_by_width)(rows, seeds), rows


def draw_decoded_pairs(importance, decoded, published, corrected, protocol):
    """Fig 1; the width is that of the protocol's embedding."""
    width = tables.facts({"published": published, "corrected": corrected}[protocol])["width"]
    importance, decoded = tables.read(importance, protocol=protocol), tables.read(decoded, protocol=protocol)
    return decoded_pairs(importance, decoded, protocol, width)
