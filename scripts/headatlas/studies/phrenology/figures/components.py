"""Figures 9 and 10 of "Attention phrenology" (Edkins & Wiechecki 2023): principal components as attention maps."""

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from headatlas.attention.packing import unpack
from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.data import tokenizer_reading
from headatlas.data.windows import read_windows
from headatlas.plotting import style
from headatlas.studies.phrenology.figures.projections import distinguished

ORDINALS = ("first", "second", "third", "fourth", "fifth")
_TOKEN_SIZE = 8
SHOWN_PROMPTS = 6  # columns of Figure 9, the mean among them


def _maps(table, facts, prompts):
    """Components as an array (component, prompt, query, key), not-a-number where a causal head cannot look."""
    table = table[table["prompt"] < prompts].sort_values(["component", "prompt"], kind="stable")
    packed = np.stack(list(table["weights"]))
    maps = unpack(packed, facts["size"], facts["packing"]).astype(np.float64)
    if facts["packing"] == "lower":
        maps[:, ~np.tri(facts["size"], dtype=bool)] = np.nan
    return maps.reshape(table["component"].nunique(), -1, facts["size"], facts["size"])


def _signed(maps):
    """One diverging scale centred at zero; the largest 0.2% of weights may lie beyond its ends."""
    sizes = np.abs(maps[np.isfinite(maps)])
    bound = np.quantile(sizes, 0.998) or sizes.max() or 1.0
    return Normalize(-bound, bound), "both" if sizes.max() > bound else "neither"


def _signed_colours():
    return colormaps[style.SIGNED].with_extremes(bad=style.NOTHING)


@style.paper
def component_maps(table, facts):
    """Fig 9: principal components of the heads, as maps: their mean over the prompts kept, and the first ones.

    Parameters
    ----------
    table : DataFrame of [component, prompt, weights]
        `weights`: one packed attention map per row.
    facts : Mapping
        `packing` ("lower" or "full"), `size` (positions) and `explained_variance_ratio`, one per component.

    Returns
    -------
    matplotlib.figure.Figure
    """
    maps = _upright(_maps(table, facts, 8)[:5])  # (component, prompt, query, key)
    norm, extend = _signed(maps)
    shown = np.concatenate([maps.mean(axis=1, keepdims=True), maps[:, : SHOWN_PROMPTS - 1]], axis=1)
    rows, columns = shown.shape[:2]
    figure = style.blank(style.WIDTH, 0.7 * rows + 0.95)
    panels = figure.subplots(rows, columns, squeeze=False)
    shares = facts["explained_variance_ratio"]
    for row, (line, share) in enumerate(zip(shown, shares, strict=False)):
        for column, (axes, weights) in enumerate(zip(panels[row], line, strict=True)):
            axes.imshow(weights, cmap=_signed_colours(), norm=norm)
            axes.spines[:].set_visible(False)
            axes.set(xticks=[], yticks=[])
            if row == 0:
                axes.set_title(f"mean of {maps.shape[1]}" if column == 0 else f"prompt {column - 1}", pad=3)
        panels[row, 0].set_ylabel(f"{ORDINALS[row]}\n{share:.0%}", rotation=0, ha="right", va="center", labelpad=4)
    panels[-1, 0].set_xlabel("key")
    bar = figure.colorbar(
        ScalarMappable(norm, _signed_colours()), ax=panels.ravel().tolist(), extend=extend, aspect=30, pad=0.02
    )
    bar.set_label("weight in the component (rows: query)")
    bar.outline.set_visible(False)
    first = maps[0].mean(axis=0)
    own = np.diagonal(first)[1:].mean()
    before = np.diagonal(first, -1).mean()
    seen = np.isfinite(first)
    np.fill_diagonal(seen, False)
    others = np.nanmean(first[seen])
    said = "weighs the current token against all others" if own > 3 * abs(others) else "as attention maps"
    style.headline(figure, f"The first component ({shares[0]:.0%} of the variance) {said}")
    sentence = (
        f"the first component holds {shares[0]:.0%} of the variance and the second {shares[1]:.0%}; the first gives "
        f"the current token {own:.3f} on average, the one before it {before:.3f} and any other {others:.3f}"
    )
    return style.finding(figure, sentence)


def _upright(maps):
    """Components with the sign that makes their largest weight positive."""
    flat = np.nan_to_num(maps).reshape(len(maps), -1)
    signs = np.sign(flat[np.arange(len(flat)), np.abs(flat).argmax(1)])
    return maps * np.where(signs == 0, 1, signs)[:, None, None, None]


def _wrapped(figure, tokens, width, gap=0.03):
    """Place tokens in lines of `width` inches.

    Returns
    -------
    list of (line, left, width)
        One box per token, in inches.
    """
    probe = figure.text(0, 0, "", fontsize=_TOKEN_SIZE)
    boxes, line, left = [], 0, 0.0
    for token in tokens:
        probe.set_text(token)
        box = probe.get_window_extent(figure.canvas.get_renderer()).width / figure.dpi + 0.08
        if left and left + box > width:
            line, left = line + 1, 0.0
        boxes.append((line, left, box))
        left += box + gap
    probe.remove()
    return boxes


@style.paper
def third_component(table, facts, tokens):
    """Fig 10: the third component, and what it says of each token's attention to the first one.

    Parameters
    ----------
    table, facts
        As in `component_maps`.
    tokens : sequence of sequences of str, at least as many as prompts in the table
        The token strings of each prompt. A token is coloured by the weight with which it, as a query,
        looks at key 0. Beyond 96 tokens a prompt is cut short.

    Returns
    -------
    matplotlib.figure.Figure
    """
    maps = _maps(table, facts, 8)
    if len(maps) < 3:
        raise InputError(f"third component: the table holds {len(maps)} components; there must be at least 3")
    maps = _upright(maps)[2]  # (prompt, query, key)
    norm, extend = _signed(maps)
    colours = _signed_colours()
    margin, side, gap, line_height, width = 0.1, 0.42, 0.07, 0.19, style.WIDTH
    across = width - 3 * margin - side
    figure = style.blank(layout="none")
    shown = [[style.printable(token) for token in prompt[: min(facts["size"], 96)]] for prompt in tokens[: len(maps)]]
    boxes = [_wrapped(figure, prompt, across) for prompt in shown]
    heights = [max(side, line_height * (placed[-1][0] + 1)) for placed in boxes]
    top, bottom = 0.62, 0.55
    height = top + sum(heights) + gap * (len(heights) - 1) + bottom
    figure.set_size_inches(width, height)

    def axes_at(left, upper, wide, high):
        return figure.add_axes((left / width, 1 - (upper + high) / height, wide / width, high / height))

    upper = top
    for prompt, (strings, placed) in enumerate(zip(shown, boxes, strict=True)):
        axes = axes_at(margin, upper, side, side)
        axes.imshow(maps[prompt], cmap=colours, norm=norm)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        line = axes_at(2 * margin + side, upper, across, heights[prompt])
        line.set(xlim=(0, across), ylim=(heights[prompt], 0))
        line.axis("off")
        spare = (heights[prompt] - line_height * (placed[-1][0] + 1)) / 2
        for query, (string, (row, left, box)) in enumerate(zip(strings, placed, strict=True)):
            colour = colours(norm(maps[prompt, query, 0]))
            corner = (left, spare + row * line_height + 0.015)
            line.add_patch(Rectangle(corner, box, line_height - 0.03, facecolor=colour, edgecolor="0.8", linewidth=0.3))
            middle = (left + box / 2, spare + (row + 0.5) * line_height)
            line.text(*middle, string, size=_TOKEN_SIZE, color=style.ink(colour[:3]), ha="center", va="center_baseline")
        upper += heights[prompt] + gap
    bar = axes_at(2 * margin + side, height - 0.47, across / 2, 0.08)
    mappable = ScalarMappable(norm, colours)
    label = "weight (left: query by key; tokens: on key 0)"
    scale = figure.colorbar(mappable, cax=bar, orientation="horizontal", extend=extend, label=label)
    scale.locator = MaxNLocator(4, symmetric=True)  # more would run into one another
    scale.outline.set_visible(False)
    said, sentence = _of_stop_words(maps, shown, facts["explained_variance_ratio"][2])
    figure.text(0.5, 1 - 0.1 / height, style.wrapped(said, width - 0.3, 9), ha="center", va="top", fontsize=9)
    return style.finding(figure, sentence)


def _of_stop_words(maps, tokens, share):
    """How well the weight on key 0 tells stop words from other tokens, in words."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # slow to import, and of this figure alone

    weights = np.concatenate([of_prompt[1 : len(names), 0] for of_prompt, names in zip(maps, tokens, strict=True)])
    names = [name.strip(" ␣Ġ▁").lower() in ENGLISH_STOP_WORDS for prompt in tokens for name in prompt[1:]]
    stop = np.array(names, dtype=bool)
    part = np.nansum(np.square(maps[..., 0])) / np.nansum(np.square(maps))
    said = f"The third component ({share:.0%} of the variance)"
    auc, error = distinguished(weights, stop)
    if not np.isfinite(auc):
        return f"{said}, token by token", f"{said} has {part:.0%} of its squared weight on the first token"
    verdict = "tells stop words from the rest" if auc - 0.5 > error else "does not tell stop words from the rest"
    return (
        f"{said} {verdict} by its weight on the first token: AUC {auc:.2f}",
        f"its weight on the first token tells stop words from others with AUC {auc:.2f} (0.50 ± {error:.2f} by "
        f"chance; {stop.sum()} against {(~stop).sum()} tokens); key 0 holds {part:.0%} of its squared weight",
    )


def draw_components(components):
    """Fig 9; both protocols draw the same."""
    return component_maps(tables.read(components), tables.facts(components))


def draw_third_component(components, windows, tokenizer, tokenizer_config):
    """Fig 10; both protocols draw the same."""
    table, facts = tables.read(components), tables.facts(components)
    reader = tokenizer_reading.read_tokenizer(tokenizer, tokenizer_config)
    prompts = read_windows(windows)[: table["prompt"].nunique()]
    tokens = [tokenizer_reading.describe_tokens(reader, prompt) for prompt in prompts]
    return third_component(table, facts, tokens)
