"""Statements in a text of findings: bold, and marked by whoever writes them as found or as denied.

Both marks are bold in Markdown, so that a reader sees no difference and the summary need not guess from the words.
"""

import re

_STATEMENT = re.compile(r"(?:- )?(\*\*|__)(.+?)\1([.:,]?)(.*)")


def found(words):
    """A statement that the run supports."""
    return f"**{words}**"


def denied(words):
    """A statement that what was asked is not so, is not shown, or cannot be asked of the models."""
    return f"__{words}__"


def either(holds, words):
    """`found` if it holds, `denied` otherwise."""
    return found(words) if holds else denied(words)


def read(line):
    """The statement that a line begins with.

    Parameters
    ----------
    line : str

    Returns
    -------
    (str, str, str, bool) or None
        Its words; the same in bold, with the punctuation after it; the rest of the line; whether it was found.
    """
    begun = _STATEMENT.match(line)
    if not begun:
        return None
    mark, words, end, rest = begun.groups()
    return words, f"{found(words)}{end}", rest, mark == "**"
