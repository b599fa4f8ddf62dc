"""What a reader finds printed on the page of a figure's PDF: texts with their sizes and places, and what is wrong."""

import functools
import itertools
import re
import zlib
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont
from matplotlib.font_manager import findfont

SMALLEST = 6  # points
NUMBER = rb"-?[\d.]+(?:e-?\d+)?"
# A font with its size, a place within the page's transformation, strings; a transformation; its beginning and its end
OPERATORS = re.compile(
    rb"/(?P<font>\w+) (?P<size>" + NUMBER + rb")\s+Tf|(?P<show>\[(?:[^\]()\\]|\\.|\((?:[^()\\]|\\.)*\))*\]\s*TJ"
    rb"|\((?:[^()\\]|\\.)*\) Tj)|(?P<cm>(?:" + NUMBER + rb"\s+){6})cm|(?P<tm>(?:" + NUMBER + rb"\s+){6})Tm|"
    rb"(?P<td>(?:" + NUMBER + rb"\s+){2})Td|(?P<q>\bq\b)|(?P<Q>\bQ\b)|(?P<BT>\bBT\b)|/(?P<do>[\w-]+) Do",
    re.DOTALL,
)
ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


@functools.cache
def _advances():
    font = TTFont(findfont("DejaVu Sans"))
    widths, names, units = font["hmtx"].metrics, font.getBestCmap(), font["head"].unitsPerEm
    return {code: widths[name][0] / units for code, name in names.items()}


def _matrix(numbers):
    a, b, c, d, e, f = map(float, numbers.split())
    return np.array([[a, b, 0], [c, d, 0], [e, f, 1]])


def _string(shown):
    """Two bytes a glyph, which are its character as far as the Basic Multilingual Plane goes."""
    parts = re.findall(rb"\(((?:[^()\\]|\\.)*)\)", shown, re.DOTALL)
    plain = b"".join(
        re.sub(rb"\\(.)", lambda escaped: ESCAPED.get(escaped[1], escaped[1]), part, flags=re.DOTALL) for part in parts
    )
    return plain.decode("utf-16-be", "replace")


def texts(path):
    """The page's width and height in points, and the texts on it.

    Returns
    -------
    size : tuple of float
    texts : list of (str, float, array of shape (4, 2))
        With its type size in points and the corners of its letters' box, from the baseline to the capitals' height.
    """
    data = Path(path).read_bytes()
    size = tuple(map(float, re.search(rb"/MediaBox \[ ?0 0 (\S+) (\S+?) ?\]", data).groups()))
    streams = [zlib.decompress(found) for found in re.findall(rb"stream\n(x.*?)\nendstream", data, re.DOTALL)]
    page = next(stream for stream in streams if b" Tf" in stream or b"/DeviceRGB" in stream)
    found, stack, current, line, points = [], [], np.eye(3), np.eye(3), 0.0
    for match in OPERATORS.finditer(page):
        kind, value = match.lastgroup, match[match.lastgroup]
        if kind == "size":
            points = float(value)
        elif kind == "q":
            stack.append(current)
        elif kind == "Q":
            current = stack.pop()
        elif kind == "BT":
            line = np.eye(3)
        elif kind == "cm":
            current = _matrix(value) @ current
        elif kind == "tm":
            line = _matrix(value)
        elif kind == "td":
            line = _matrix(b"1 0 0 1 " + value) @ line
        elif kind == "show":
            text = _string(value)
            closer = sum(map(float, re.findall(rb"\)\s*(" + NUMBER + rb")", value))) / 1000
            wide = (sum(_advances().get(ord(letter), 0.45) for letter in text) - closer) * points
            box = np.array([[0, 0, 1], [wide, 0, 1], [wide, 0.73 * points, 1], [0, 0.73 * points, 1]])
            whole = line @ current
            if text.strip():
                found.append((text, points * float(np.hypot(*whole[0, :2])), (box @ whole)[:, :2]))
    return size, found


def _overlap(a, b, by=0.6):
    """Whether two rectangles reach into one another by more than `by` points in every direction."""
    for corners in (a, b):
        for side in (corners[1] - corners[0], corners[3] - corners[0]):
            axis = side / max(np.linalg.norm(side), 1e-9)
            one, other = a @ axis, b @ axis
            if min(one.max(), other.max()) - max(one.min(), other.min()) <= by:
                return False
    return True


def faults(path):
    """What makes a PDF's text hard to read, or not text: a list of sentences, empty where all is well."""
    data, (size, found) = Path(path).read_bytes(), texts(path)
    said = [] if found else ["no text at all"]
    if b"/Type3" in data or not (b"/FontFile2" in data or not found):
        said.append("a font is not embedded as text")
    for text, points, corners in found:
        if points < SMALLEST - 1e-6:
            said.append(f"{text!r} is set in {points:.1f} points")
        if (corners < -0.5).any() or (corners > np.array(size) + 0.5).any():
            said.append(f"{text!r} lies outside the page")
    for (one, _, a), (other, _, b) in itertools.combinations(found, 2):
        if _overlap(a, b):
            said.append(f"{one!r} overlaps {other!r}")
    return said
