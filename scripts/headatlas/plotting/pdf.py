"""A figure as a PDF: the same bytes for the same figure, and no more of a font than its glyphs."""

import contextlib
import re

import numpy as np
from fontTools.subset import Options
from matplotlib.backends import backend_pdf

_ZERO_WITH_SIGN = re.compile(rb"(?<!\S)-0(?!\S)")
_WRITTEN_AS_ZERO = 5e-11  # what is smaller has no digit among the ten that are written


def write(figure, path, said=None):
    """Write a figure, laid out already, without dates or version strings.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path-like
    said : str, optional
        The document's Subject.
    """
    about = {"CreationDate": None, "Creator": None, "Producer": None} | ({"Subject": said} if said else {})
    with _small_subsets(), _zeros_without_sign():
        backend_pdf.FigureCanvasPdf(figure).print_pdf(path, metadata=about)


@contextlib.contextmanager
def _small_subsets():
    """Leave out of embedded fonts the tables that compose text: a PDF has every glyph's place, and cutting these tables
    to the glyphs in use takes as long as drawing the figure."""
    before = Options._drop_tables_default  # matplotlib, which subsets with it, has no option of its own
    Options._drop_tables_default = [*before, "GDEF", "GPOS", "GSUB", "kern"]
    try:
        yield
    finally:
        Options._drop_tables_default = before


@contextlib.contextmanager
def _zeros_without_sign():
    """Write every number that vanishes as 0: whether rounding leaves it above or below zero differs from run to run."""
    output = backend_pdf.PdfFile.output

    def unsigned(self, *written):
        output(self, *map(_unsigned, written))

    backend_pdf.PdfFile.output = unsigned
    try:
        yield
    finally:
        backend_pdf.PdfFile.output = output


def _unsigned(written):
    if isinstance(written, float | np.floating):
        return 0.0 if abs(written) < _WRITTEN_AS_ZERO else written
    if isinstance(written, list):
        return [_unsigned(one) for one in written]
    if isinstance(written, backend_pdf.Verbatim):  # the numbers of a path, as text
        return backend_pdf.Verbatim(_ZERO_WITH_SIGN.sub(b"0", written.pdfRepr()))
    return written
