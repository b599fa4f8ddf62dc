"""How every figure looks and how it is saved: sizes, colours, fonts, and the same bytes for the same input.

Colours are fixed by what they stand for, so that member 3 looks the same in every figure. All three
palettes are told apart by colour-blind readers (Tol, "Colour schemes", 2021; Okabe & Ito 2008; matplotlib).
"""

import contextlib
import functools

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

WIDTH = 7.0  # inches: the text width of a page
DPI = 200

RC = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same
    "font.size": 7.5,
    "axes.titlesize": 8.5,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "legend.frameon": False,
    "figure.titlesize": 9.5,
    "image.interpolation": "nearest",
    "text.parse_math": False,  # a token may hold dollar signs
    "pdf.fonttype": 42,  # text stays text: searchable, and editable in a drawing program
    "svg.fonttype": "none",
    "svg.hashsalt": "headatlas",
    "savefig.dpi": DPI,
}

_MEMBERS = ["#332288", "#CC6677", "#117733", "#DDCC77", "#88CCEE", "#AA4499", "#44AA99", "#999933", "#882255"]
# Clusters stand beside members in one figure, so they have colours of their own (Tol's "bright" and "vibrant")
_CLUSTERS = ["#4477AA", "#EE7733", "#228833", "#CC3311", "#AA3377", "#66CCEE", "#CCBB44", "#BBBBBB", "#663333"]
_HEADS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#882255", "#F0E442"]
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


def _cycled(palette, index):
    """Colour `index` of an endless palette: the second round is lighter, the third darker, then again."""
    colour = np.array(to_rgb(palette[index % len(palette)]))
    toward, share = ((0.0, 0.0), (1.0, 0.45), (0.0, 0.4))[index // len(palette) % 3]
    return tuple(float(c) for c in colour * (1 - share) + toward * share)


def member_colour(member):
    """The colour of a family's member (its index), the same in every figure."""
    return _cycled(_MEMBERS, member)


def head_colour(head):
    """The colour of a head's index within its layer, the same in every figure."""
    return _cycled(_HEADS, head)


def cluster_colour(cluster):
    """The colour of a cluster of heads (its index, the largest is 0), the same in every figure."""
    return _cycled(_CLUSTERS, cluster)


def model_colour(model):
    """The colour of a model, by its place among the models compared."""
    return _cycled(_HEADS, model)


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


@paper
def save(figure, png, pdf):
    """Write a figure as PNG and PDF without dates or version strings, so that the same figure is the same bytes."""
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    # What stands where is found once, and both canvases print it: `savefig` would draw each file twice for that.
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)
    figure.set_layout_engine("none")
    figure.set_dpi(DPI)
    FigureCanvasAgg(figure).print_png(png, metadata={"Software": None})
    with _small_subsets():
        FigureCanvasPdf(figure).print_pdf(pdf, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    figure.set_dpi(DPI)  # the PDF's canvas leaves its own
