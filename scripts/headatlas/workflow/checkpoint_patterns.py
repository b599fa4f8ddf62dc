"""Lists of checkpoints written by a pattern: `pythia-14m-seed{1..9}`, `step{0,1,2}`, `step{1000..143000..2000}`."""

import re
from itertools import product

from headatlas.base.errors import InputError

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.(\d+))?")
_ALLOWED = "{first..last}, {first..last..step} or {one,two,three}"
_MOST = 1000  # members of a family, so that a slip of the pen does not ask for millions


def expanded(checkpoints, key):
    """The checkpoints that a list with patterns names, one by one.

    Braces in a `name` or a `revision` stand for their choices, as in a shell: every name with every revision, names
    first. Numbers keep the width of the first: `{01..10}`. Braces in a folder that is there stay as they are only where
    they hold neither `..` nor a comma.

    Parameters
    ----------
    checkpoints : sequence of dict
        With `name` and `revision`, which may be None.
    key : str
        What the configuration calls them.

    Returns
    -------
    list of dict

    Raises
    ------
    InputError
        For a range that holds nothing, too many checkpoints, or one checkpoint twice.
    """
    found = []
    for position, checkpoint in enumerate(checkpoints):
        names = _choices(checkpoint["name"], f"{key}.{position}.name")
        revision = checkpoint.get("revision")
        revisions = [revision] if revision is None else _choices(revision, f"{key}.{position}.revision")
        found += [{**checkpoint, "name": n, "revision": r} for n, r in product(names, revisions)]
        if len(found) > _MOST:
            raise InputError(f"{key}: {len(found)} checkpoints found; allowed: at most {_MOST}")
    seen = set()
    for checkpoint in found:
        if (one := (checkpoint["name"], checkpoint["revision"])) in seen:
            raise InputError(f"{key}: {one[0]!r} at revision {one[1]!r} is named twice; allowed: each checkpoint once")
        seen.add(one)
    return found


def _choices(text, key):
    """All texts that one with braces stands for, in order."""
    parts = _BRACES.split(text)  # plain, braces, plain, braces, ..., plain
    choices = [_within(part, text, key) if index % 2 else [part] for index, part in enumerate(parts)]
    return ["".join(chosen) for chosen in product(*choices)]


def _within(part, text, key):
    numbers = _RANGE.fullmatch(part)
    if numbers:
        first, last, step = int(numbers[1]), int(numbers[2]), int(numbers[3] or 1)
        if first > last or step < 1:
            raise InputError(f"{key}: {text!r} holds nothing; allowed: {_ALLOWED}, of numbers that rise")
        width = len(numbers[1]) if numbers[1].startswith("0") else 0
        return [f"{number:0{width}d}" for number in range(first, min(last, first + step * _MOST) + 1, step)]
    if "," in part:
        return [choice.strip() for choice in part.split(",")]
    if ".." in part:
        raise InputError(f"{key}: {text!r} holds no range of whole numbers; allowed: {_ALLOWED}")
    return ["{" + part + "}"]
