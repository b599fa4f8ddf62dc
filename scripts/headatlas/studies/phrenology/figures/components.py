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

ORDINALS = ("first", "second", "third", "fourth", "fifth")
_TOKEN_SIZE = 8


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
    """Fig 9: principal components of the heads, as attention maps of the first prompts.

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
    maps = _maps(table, facts, 8)[:5]  # (component, prompt, query, key)
    norm, extend = _signed(maps)
    rows, columns = maps.shape[:2]
    side, pitch, left, top, bottom = 0.58, 0.63, 0.96, 0.26, 0.36  # inches
    width, height = style.WIDTH, top + pitch * rows + bottom
    figure = style.blank(width, height, layout="none")
    middle = 1 - (top + pitch * rows / 2) / height
    for row, (line, share) in enumerate(zip(maps, facts["explained_variance_ratio"], strict=False)):
        for column, weights in enumerate(line):
            corner = ((left + pitch * column) / width, 1 - (top + pitch * row + side) / height)
            axes = figure.add_axes((*corner, side / width, side / height))
            axes.imshow(weights, cmap=_signed_colours(), norm=norm)
            axes.spines[:].set_visible(False)
            axes.set(xticks=[0, facts["size"] - 1], yticks=[0, facts["size"] - 1])
            first, last = column == 0, row == rows - 1
            axes.tick_params(length=1.5, pad=1.5, labelsize=6, labelleft=first, labelbottom=last)
            if last:  # tick labels stay below their own map, clear of the next one's
                for text, end in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
                    text.set_horizontalalignment(end)
            if first:
                for text, end in zip(axes.get_yticklabels(), ("top", "bottom"), strict=True):
                    text.set_verticalalignment(end)
            if row == 0:
                axes.set_title(f"prompt {column}", fontsize=7.5, pad=3)
            if first:
                label = f"{ORDINALS[row]}\ncomponent\n{share:.1%} of\nvariance"
                axes.text(-0.36, 0.5, label, transform=axes.transAxes, ha="right", va="center", fontsize=7)
    figure.text((left + pitch * columns / 2) / width, 0.06 / height, "key position", ha="center", va="bottom")
    figure.text(0.06 / width, middle, "query position", rotation=90, va="center")
    tall = 0.8 * pitch * rows / height
    bar = figure.add_axes(((left + pitch * columns + 0.06) / width, middle - tall / 2, 0.09 / width, tall))
    label = "weight in the component"
    figure.colorbar(ScalarMappable(norm, _signed_colours()), cax=bar, extend=extend, label=label).outline.set_visible(
        False
    )
    return figure


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
    maps = maps[2]  # (prompt, query, key)
    norm, extend = _signed(maps)
    colours = _signed_colours()
    margin, side, gap, line_height, width = 0.42, 0.85, 0.12, 0.21, style.WIDTH
    across = width - 2 * margin - side
    figure = style.blank(layout="none")
    shown = [[style.printable(token) for token in prompt[: min(facts["size"], 96)]] for prompt in tokens[: len(maps)]]
    boxes = [_wrapped(figure, prompt, across) for prompt in shown]
    heights = [max(side, line_height * (placed[-1][0] + 1)) for placed in boxes]
    top, bottom = 0.35, 0.8
    height = top + sum(heights) + gap * (len(heights) - 1) + bottom
    figure.set_size_inches(width, height)

    def axes_at(left, upper, wide, high):
        return figure.add_axes((left / width, 1 - (upper + high) / height, wide / width, high / height))

    upper = top
    for prompt, (strings, placed) in enumerate(zip(shown, boxes, strict=True)):
        axes = axes_at(margin, upper, side, side)
        axes.imshow(maps[prompt], cmap=colours, norm=norm)
        axes.set(xticks=[], yticks=[], ylabel=f"prompt {prompt}")
        axes.spines[:].set_visible(False)
        if prompt == 0:
            axes.set_title("query by key")
        line = axes_at(margin + side + margin / 2, upper, across, heights[prompt])
        line.set(xlim=(0, across), ylim=(heights[prompt], 0))
        line.axis("off")
        if prompt == 0:
            line.set_title("each token as a query, coloured by its weight on key 0", loc="left")
        spare = (heights[prompt] - line_height * (placed[-1][0] + 1)) / 2
        for query, (string, (row, left, box)) in enumerate(zip(strings, placed, strict=True)):
            colour = colours(norm(maps[prompt, query, 0]))
            corner = (left, spare + row * line_height + 0.015)
            line.add_patch(Rectangle(corner, box, line_height - 0.03, facecolor=colour, edgecolor="0.8", linewidth=0.3))
            middle = (left + box / 2, spare + (row + 0.5) * line_height)
            line.text(*middle, string, size=_TOKEN_SIZE, color=style.ink(colour[:3]), ha="center", va="center_baseline")
        upper += heights[prompt] + gap
    bar = axes_at(margin + side + margin / 2, height - 0.55, across / 2, 0.1)
    mappable = ScalarMappable(norm, colours)
    label = "weight in the third component"
    scale = figure.colorbar(mappable, cax=bar, orientation="horizontal", extend=extend, label=label)
    scale.locator = MaxNLocator(4, symmetric=True)  # more would run into one another
    scale.outline.set_visible(False)
    return figure


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
