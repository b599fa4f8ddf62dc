"""Models' names as a person says them: short, and no two alike."""

import re
from collections import Counter

from headatlas.studies.circuits.sweep import VARIANTS

LONGEST = 30  # characters of a short name
_RUN = re.compile(r"circuits-(.+)-(l\d+)-(lr\d+e-?\d+)-(h\d+)-(d\d+)(?:-(e\d+))?")


def short_names(names, longest=LONGEST):
    """Short names of models.

    A run of the sweep of `circuits` is called by its variant and by what sets it apart from most other runs; in what
    is still too long, words are cut.

    Parameters
    ----------
    names : list of str
        Distinct.
    longest : int
        Characters of a short name, at most, as far as names stay distinct.

    Returns
    -------
    list of str
        In the same order, all distinct.
    """
    short = _of_runs(names)
    if len(set(short)) < len(short):
        short = list(names)
    return [name if len(name) <= longest else _cut(name, short, longest) for name in short]


def _of_runs(names):
    """Names in which runs of a sweep keep their variant and what most of the runs do not have."""
    runs = {}
    for name in names:
        first, *places = found.groups("") if (found := _RUN.fullmatch(name)) else ("",)
        variant = max((each for each in VARIANTS if first.startswith(f"{each}-")), key=len, default=None)
        if variant:
            runs[name] = variant, first.removeprefix(f"{variant}-").split("-"), places
    common = Counter(word for _, corpus, _ in runs.values() for word in set(corpus))
    columns = zip(*(places for *_, places in runs.values()), strict=True)
    usual = [Counter(column).most_common(1)[0][0] for column in columns]
    short = []
    for name in names:
        if name not in runs:
            short.append(name)
            continue
        variant, corpus, places = runs[name]
        apart = [word for word in corpus if 2 * common[word] <= len(runs)]
        apart += [place for place, most in zip(places, usual, strict=True) if place != most]
        short.append("-".join([variant, *filter(None, apart)]))
    return short


def _cut(name, others, longest):
    """A name whose words are cut to as many letters as fit, unless another would be cut to the same."""
    for letters in range(longest, 1, -1):
        said = _clipped(name, letters)
        if len(said) <= longest and [_clipped(other, letters) for other in others].count(said) == 1:
            return said
    return name


def _clipped(name, letters):
    return "-".join(word[:letters] for word in name.split("-"))
