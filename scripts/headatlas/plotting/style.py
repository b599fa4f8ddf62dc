"""How every figure looks and how it is saved: sizes, colours, shapes, fonts, and the same bytes for the same input.

Colours are fixed by what they stand for, so that member 3 looks the same in every figure. Any two of the palette are
told apart by readers with normal vision, protanopia and deuteranopia (CIELAB distance of at least 23 in each, under the
simulation of Machado et al. 2009); scatters tell groups apart by shape as well.
"""

import contextlib
import functools
import textwrap

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from headatlas.base import figure_findings

WIDTH = 5.5  # inches: the text width of a page, so that type is printed in the sizes below
COLUMN = 3.25  # inches: a column of a page of two
SMALL = 7  # points: numbers inside of cells and names of points; all else is at least 8
DPI = 200

RC = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 8,
    "legend.title_fontsize": 8,
    "legend.frameon": False,
    "figure.titlesize": 9,
    "image.interpolation": "nearest",
    "text.parse_math": False,  # a token may hold dollar signs
    "pdf.fonttype": 42,  # text stays text: searchable, and editable in a drawing program
    "svg.fonttype": "none",
    "svg.hashsalt": "headatlas",
    "savefig.dpi": DPI,
}

# Indigo, orange, steel blue, dark red, turquoise, rose, blue, tan, plum
PALETTE = ["#312486", "#E79E00", "#1892C2", "#8A0C00", "#0CC4BC", "#B66D6D", "#4979FF", "#F0C286", "#612449"]
MARKERS = "os^DvP<X>p*h"
TRAIN, HELD_OUT = "#0072B2", "#D55E00"
DISTANCES = "viridis"
SIGNED = "RdBu_r"
NOTHING = "0.86"  # entries that cannot exist, such as those above the diagonal


def paper(function):
    """Run a function that draws under the style of this module, whatever the caller's settings are."""

    @functools.wraps(function)
    def drawn(*arguments, **options):
        with matplotlib.rc_context(RC):
            return function(*arguments, **options)

    return drawn


def blank(width=WIDTH, height=3.0, layout="constrained"):
    """A new figure of `width` x `height` inches with a canvas of its own, outside pyplot's global state."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def colour(index):
    """Colour `index` of an endless palette: the second round is lighter, the third darker, then again.

    A member, a head within its layer, a group of heads (the largest is 0) and one of several models have the colour of
    their index in every figure.
    """
    rgb = np.array(to_rgb(PALETTE[index % len(PALETTE)]))
    toward, share = ((0.0, 0.0), (1.0, 0.45), (0.0, 0.4))[index // len(PALETTE) % 3]
    return tuple(float(c) for c in rgb * (1 - share) + toward * share)


member_colour = head_colour = cluster_colour = model_colour = colour


def marker(index):
    """The shape that goes with colour `index`."""
    return MARKERS[index % len(MARKERS)]


def map_with_gaps(name):
    """A colour map in which what cannot exist (not-a-number) is grey."""
    return matplotlib.colormaps[name].with_extremes(bad=NOTHING)


def layer_colour(layer, layers):
    """The colour of a layer in a model of `layers` layers: dark at the input, light at the output."""
    return matplotlib.colormaps["plasma"](0.88 * layer / max(1, layers - 1))[:3]


def ink(background):
    """Black or white, whichever is legible on a background colour (by WCAG 2 relative luminance)."""
    channels = np.array(to_rgb(background))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ (0.2126, 0.7152, 0.0722) > 0.25 else "white"


@functools.cache
def _drawable(character):
    return bool(get_font(findfont(RC["font.family"])).get_char_index(ord(character)))


def printable(token, longest=16):
    """A token as a figure can show it: spaces and line breaks visible, unknown glyphs as �, cut to `longest`."""
    text = str(token).replace("\n", "↵").replace("\t", "⇥").replace(" ", "␣")
    text = "".join(c if c.isprintable() and _drawable(c) else "�" for c in text) or "∅"
    return text if len(text) <= longest else text[: longest - 1] + "…"


def thinned(positions, labels, span, most):
    """Ticks far enough apart to be read: no two closer than `span / most`.

    Parameters
    ----------
    positions, labels : sequences of equal length, positions ascending
    span : float
        Length of the axis in the units of `positions`.
    most : int
        How many labels the axis has room for.

    Returns
    -------
    positions, labels : lists
    """
    kept = []
    for index, position in enumerate(positions):
        if not kept or position - positions[kept[-1]] >= span / most - 1e-9:
            kept.append(index)
    return [positions[i] for i in kept], [labels[i] for i in kept]


@contextlib.contextmanager
def _small_subsets():
    """Leave out of embedded fonts the tables that compose text: a PDF has every glyph's place, and cutting these tables
    to the glyphs in use takes as long as drawing the figure."""
    from fontTools.subset import Options  # what matplotlib subsets with; it has no option of its own

    before = Options._drop_tables_default
    Options._drop_tables_default = [*before, "GDEF", "GPOS", "GSUB", "kern"]
    try:
        yield
    finally:
        Options._drop_tables_default = before


def wrapped(text, width, size=RC["font.size"]):
    """Text in lines of at most `width` inches, by rule of thumb, in type of `size` points; its own lines stay."""
    columns = int(width * 72 / (0.56 * size))
    return "\n".join(line for part in text.split("\n") for line in textwrap.wrap(part, columns) or [""])


def headline(figure, text):
    """A figure's title, in as many lines as it takes: what is seen."""
    size = RC["figure.titlesize"]
    figure.suptitle(wrapped(text, figure.get_figwidth() - 0.2, size), fontsize=size)


@paper
def nothing_to_show(reason):
    """A figure that says why there is nothing to show."""
    figure = blank(WIDTH, 1.0, layout="none")
    figure.text(0.5, 0.5, wrapped(reason, WIDTH - 0.4, 8.5), ha="center", va="center", fontsize=8.5)
    return figure


def finding(figure, sentence):
    """Say in one sentence, with its numbers, what a figure shows of this run: its caption ends in it.

    The sentence is kept inside the files that `save` writes, so that whoever shows a figure has it.
    """
    figure.finding = sentence
    return figure


@paper
def save(figure, png, pdf):
    """Write a figure as PNG and PDF without dates or version strings, so that the same figure is the same bytes.

    What `finding` said of it is the PNG's Description and the PDF's Subject.
    """
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    # What stands where is found once, and both canvases print it: `savefig` would draw each file twice for that.
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)
    figure.set_layout_engine("none")
    figure.set_dpi(DPI)
    said = getattr(figure, "finding", None)
    FigureCanvasAgg(figure).print_png(
        png, metadata={"Software": None} | ({figure_findings.KEYWORD: said} if said else {})
    )
    about = {"CreationDate": None, "Creator": None, "Producer": None} | ({"Subject": said} if said else {})
    with _small_subsets():
        FigureCanvasPdf(figure).print_pdf(pdf, metadata=about)
    figure.set_dpi(DPI)  # the PDF's canvas leaves its own
