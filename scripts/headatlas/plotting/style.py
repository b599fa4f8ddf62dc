"""How every figure looks and how it is saved: sizes, colours, shapes, fonts, and the same bytes for the same input.

Colours are fixed by what they stand for, so that member 3 looks the same in every figure. Any two of the palette are
told apart by readers with normal vision, protanopia and deuteranopia (CIELAB distance of at least 23 in each, under the
simulation of Machado et al. 2009); scatters tell groups apart by shape as well.
"""

import functools
import re
import textwrap

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from headatlas.base import figure_findings
from headatlas.plotting import fonts

WIDTH = 5.5  # inches: the text width of a page, so that type is printed in the sizes below
COLUMN = 3.25  # inches: a column of a page of two
SMALL = 7  # points: numbers inside of cells and names of points; all else is at least 8
DPI = 200
_TWO_CODES = len("␣U+4E2D+6587")

RC = {
    "font.family": fonts.BASE,
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
# The same on a dark ground, for the atlas: near in hue, as far from one another, at least 3 to 1 against the ground
ON_DARK = ["#7872CD", "#F5B031", "#76C6E9", "#BE4633", "#7EF7E2", "#DA948E", "#6E56F1", "#F0CA87", "#965F7A"]
MARKERS = "os^DvP<X>p*h"
TRAIN, HELD_OUT = "#0072B2", "#D55E00"
DISTANCES = "viridis"
SIGNED = "RdBu_r"
WARNING = PALETTE[3]
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


def colour(index, palette=PALETTE):
    """Colour `index` of an endless palette: the second round is lighter, the third darker, then again.

    A member, a head within its layer, a group of heads (the largest is 0) and one of several models have the colour of
    their index in every figure.
    """
    rgb = np.array(to_rgb(palette[index % len(palette)]))
    toward, share = ((0.0, 0.0), (1.0, 0.45), (0.0, 0.4))[index // len(palette) % 3]
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


def printable(token, longest=16):
    """A token as a figure can show it: spaces and line breaks visible, cut to `longest`.

    Characters that the base font lacks are drawn in another of the machine's fonts; where none has them, their code
    points stand for them. Of these two are shown however short a text is to be, so that tokens stay apart.
    """
    text = str(token).replace("\n", "↵").replace("\t", "⇥").replace(" ", "␣") or "∅"
    shown = fonts.spelled(text)
    matplotlib.rcParams["font.family"] = fonts.families()  # of what is drawn next, until the figure's function ends
    if shown == text:
        return text if len(text) <= longest else text[: longest - 1] + "…"
    if len(shown) <= max(longest, _TWO_CODES):
        return shown
    ends = fonts.spelled(text[:1]), fonts.spelled(text[-1:]).removeprefix("U+")
    return "…".join(ends)


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


def wrapped(text, width, size=RC["font.size"]):
    """Text in lines of at most `width` inches, by rule of thumb, in type of `size` points; its own lines stay.

    As few lines as it takes, and those about as long as one another: no word alone on the last.
    """
    columns = int(width * 72 / (0.56 * size))
    return "\n".join(line for part in text.split("\n") for line in _balanced(part, columns))


def _balanced(text, columns):
    longest = max(map(len, re.split(r"(?<=-)|\s", text)))
    if longest == columns + 1:  # by rule of thumb a letter is no reason to break a word
        columns = longest
    lines = textwrap.wrap(text, columns) or [""]
    for narrower in range(columns - 1, max(longest, 1) - 1, -1):
        found = textwrap.wrap(text, narrower)
        if len(found) > len(lines):
            break
        lines = found or lines
    return lines


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
def warn(figure, sentence):
    """Say at the head of a figure, and in what is said of it, why it should not be relied on."""
    before = getattr(figure, "finding", None)
    figure.finding = f"{sentence}. {before}" if before else sentence
    words = wrapped(sentence, figure.get_figwidth() - 0.2)
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)
    figure.set_layout_engine("none")
    height, room = figure.get_figheight(), 0.05 + 0.15 * (words.count("\n") + 1)  # inches, above what is there
    kept = height / (height + room)
    figure.set_figheight(height + room)
    for axes in figure.axes:
        place = axes.get_position(original=True)
        axes.set_position([place.x0, place.y0 * kept, place.width, place.height * kept])
    for text in figure.texts:
        text.set_y(text.get_position()[1] * kept)
    for legend in figure.legends:
        legend.set_bbox_to_anchor((0, 0, 1, kept), figure.transFigure)
    figure.text(0.5, 1 - 0.04 / (height + room), words, ha="center", va="top", fontsize=8, color=WARNING)
    return figure


@paper
def save(figure, png, pdf):
    """Write a figure as PNG and PDF without dates or version strings, so that the same figure is the same bytes.

    What `finding` said of it is the PNG's Description and the PDF's Subject.
    """
    from headatlas.plotting import pdf as pdf_files  # here: its import costs whoever saves nothing 0.2 s

    if len(families := fonts.families()) > 1:  # labels of ticks were made before their texts were known
        for text in figure.findobj(Text):
            text.set_family(families)
    # What stands where is found once, and both canvases print it: `savefig` would draw each file twice for that.
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)
    figure.set_layout_engine("none")
    figure.set_dpi(DPI)
    said = getattr(figure, "finding", None)
    FigureCanvasAgg(figure).print_png(
        png, metadata={"Software": None} | ({figure_findings.KEYWORD: said} if said else {})
    )
    pdf_files.write(figure, pdf, said)
    figure.set_dpi(DPI)  # the PDF's canvas leaves its own
