"""What two results folders of one configuration find, beside one another: whatever their bytes and last digits are.

Three kinds of findings are read from tables: which groups of heads are supported, what each head is called, and
which way an effect goes where that is sure. What texts state is compared by `challenge.findings`.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from headatlas.base import tables

SAME = 0.75  # Jaccard index from which two groups of heads count as one, as where groups are resampled
ERRORS = 2.0  # standard errors beyond which the sign of an effect is sure

_HEAD = ["model", "member", "layer", "head"]
_NUMBERS = re.compile(r" ?\([^()]*\)")  # of a name: what was measured
_NAMES = {  # table and the column in it that says what a head is, by what that is
    "kinds that heads belong to": ("phrenology/head_cards.parquet", "kind_name"),
    "names of heads by their partners": ("phrenology/head_cards.parquet", "partners_name"),
    "heads of induction": ("induction/look_alikes.parquet", "kind"),
}
_SIGNS = {  # pattern of tables, columns that tell their rows apart, the value, and what it is measured from
    "signs of what heads are worth": ("knockouts/*/losses.parquet", ["kind"], "effect", None),
    "signs of scores about chance": ("scores/*.parquet", ["score"], "value", "chance"),
}


class Compared(NamedTuple):
    """What came of one kind of findings: how many both folders have, how many of these agree, and those that do not."""

    what: str
    both: int
    agree: int
    differences: list

    def line(self):
        """The same in words."""
        return f"{self.what}: {self.agree} of {self.both} the same"


def compare(results, other):
    """Compare what two results folders find.

    Parameters
    ----------
    results, other : path-like

    Returns
    -------
    list of Compared
        Of each kind of findings that both folders have; each difference is a line.
    """
    folders = Path(results), Path(other)
    found = [_supported(*folders)]
    found += [_named(what, *folders, *given) for what, given in _NAMES.items()]
    found += [_signs(what, *folders, *given) for what, given in _SIGNS.items()]
    return [compared for compared in found if compared is not None]


def _both(folders, name):
    """The tables of that name in the two folders, or None where one lacks it."""
    paths = [folder / name for folder in folders]
    return [tables.read(path) for path in paths] if all(path.is_file() for path in paths) else None


def _groups(folder):
    """Heads of every supported group, as (what it is, set of heads)."""
    evidence = tables.read(folder / "phrenology/evidence.parquet", ["what", "group", "supported"])
    found = []
    for what, group in evidence.loc[evidence["supported"], ["what", "group"]].itertuples(index=False):
        name, column = ("partners", "group") if what == "partner" else ("kinds", "kind")
        heads = tables.read(folder / f"phrenology/{name}.parquet", [*_HEAD, column])
        found.append((what, frozenset(heads.loc[heads[column] == group, _HEAD].itertuples(index=False, name=None))))
    return found


def _supported(*folders):
    if _both(folders, "phrenology/evidence.parquet") is None:
        return None
    mine, theirs = map(_groups, folders)
    again = [[_found_again(group, others) for group in own] for own, others in ((mine, theirs), (theirs, mine))]
    lines = [
        f"{what} of {len(heads)} heads ({_head(min(heads))}, ...): supported in {where} results alone"
        for own, found, where in ((mine, again[0], "these"), (theirs, again[1], "the other"))
        for (what, heads), there in zip(own, found, strict=True)
        if heads and not there
    ]
    return Compared("supported groups", len(mine) + again[1].count(False), sum(again[0]), lines)


def _found_again(group, others):
    what, heads = group
    return any(what == kind and len(heads & them) >= SAME * len(heads | them) for kind, them in others)


def _named(what, mine, theirs, name, column):
    if (both := _both((mine, theirs), name)) is None:
        return None
    here, there = (table.set_index(_HEAD)[column].map(_name).rename(at) for at, table in zip((0, 1), both, strict=True))
    rows = pd.concat([here, there], axis=1, join="inner")
    differ = rows[rows[0] != rows[1]]
    lines = [f"{_head(head)}: {one!r}, in the other results {other!r}" for head, one, other in differ.itertuples()]
    return Compared(what, len(rows), len(rows) - len(differ), lines)


def _name(value):
    return _NUMBERS.sub("", value) if isinstance(value, str) else "none"


def _signs(what, mine, theirs, pattern, keys, value, origin):
    """Of effects whose sign is sure in both folders, those that go the same way."""
    both = agree = 0
    lines = []
    for path in sorted(mine.glob(pattern)):
        name = path.relative_to(mine)
        if (pair := _both((mine, theirs), name)) is None:
            continue
        index = [*_HEAD[1:], *keys]
        here, there = (_sure(table, value, origin).set_axis(pd.MultiIndex.from_frame(table[index])) for table in pair)
        rows = pd.concat([here, there], axis=1, join="inner", keys=(0, 1))
        rows = rows[(rows != 0).all(axis=1)]
        against = rows[rows[0] != rows[1]]
        both, agree = both + len(rows), agree + len(rows) - len(against)
        model = name.parent.name if name.stem == "losses" else name.stem
        for (*head, which), one, _ in against.itertuples():
            lines.append(f"{_head((model, *head))}: {which} {'above' if one > 0 else 'below'} here, not there")
    return Compared(what, both, agree, lines) if both else None


def _sure(table, value, origin):
    """1 or -1 where a value lies beyond its errors above or below its origin, 0 where that is not sure."""
    off = table[value] - (table[origin] if origin else 0)
    return pd.Series(np.where(off.abs() > ERRORS * table["standard_error"], np.sign(off), 0))


def _head(head):
    model, member, layer, number = head
    return f"{model} {member}, head {layer}.{number}"
