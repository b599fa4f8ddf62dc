"""Models' names as a person says them: short, and no two alike."""

from headatlas.studies.circuits import sweep

LONGEST = 30  # characters of a short name


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
    short = sweep.short_names(names)
    if len(set(short)) < len(short):
        short = list(names)
    return [name if len(name) <= longest else _cut(name, short, longest) for name in short]


def _cut(name, others, longest):
    """A name whose words are cut to as many letters as fit, unless another would be cut to the same."""
    for letters in range(longest, 1, -1):
        said = _clipped(name, letters)
        if len(said) <= longest and [_clipped(other, letters) for other in others].count(said) == 1:
            return said
    return name


def _clipped(name, letters):
    return "-".join(word[:letters] for word in name.split("-"))
