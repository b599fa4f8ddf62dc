"""Fonts for tokens of any script: the machine's own that have a character, and what stands for one that none has."""

import functools
import itertools
import sys

from matplotlib.font_manager import findfont, fontManager, get_font

BASE = "DejaVu Sans"  # comes with matplotlib, so that every machine draws the same
# Fonts without a text's characters: signs that say a glyph is missing, and those of formulas under codes of their own
_NO_TEXT = ("Last Resort", "LastResort", "Adobe Blank", "STIX", "cm", "DejaVu")
_found = []  # families that some character so far is drawn in, besides the base
_lacking = []  # characters so far that no font has


@functools.cache
def family_of(character):
    """The font family that a character is drawn in: the base, else the first on this machine that has it, else None.

    A line of the log says which, once for each family, and once that there is none.
    """
    if _has(findfont(BASE), character):
        return BASE
    for path, name in sorted(_others(), key=lambda font: font[1] not in _found):
        if _has(path, character):
            if name not in _found:
                _found.append(name)
                print(f"fonts: {character} (U+{ord(character):04X}) and the like are drawn in {name}", file=sys.stderr)
            return name
    if not _lacking:
        code = f"U+{ord(character):04X}"
        print(f"fonts: none on this machine has {code}; code points stand for such characters", file=sys.stderr)
    _lacking.append(character)
    return None


def families():
    """The base and all families that characters so far are drawn in besides, as `font.family` takes them."""
    return [BASE, *_found]


def spelled(text):
    """A text in which code points stand for the characters that no font here has: 中文 is U+4E2D+6587."""
    parts = []
    for drawn, run in itertools.groupby(text, lambda character: character.isprintable() and bool(family_of(character))):
        characters = "".join(run)
        parts.append(characters if drawn else "U" + "".join(f"+{ord(character):04X}" for character in characters))
    return "".join(parts)


@functools.cache
def _others():
    """(path, family) of the machine's other upright fonts of regular weight first, by name."""
    fonts = [font for font in fontManager.ttflist if not font.name.startswith(_NO_TEXT)]
    order = {}
    for font in sorted(
        fonts, key=lambda font: (font.style != "normal", font.weight not in (400, "regular"), font.name)
    ):
        order.setdefault(font.name, font.fname)
    return [(path, name) for name, path in order.items()]


def _has(path, character):
    try:
        return bool(get_font(path).get_char_index(ord(character)))
    except (OSError, RuntimeError):  # a font that the machine lists and that cannot be read
        return False
