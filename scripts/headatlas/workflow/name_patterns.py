"""Regular expressions for names: what a wildcard may be, written as short as the names allow.

Snakemake goes through a rule's patterns once for each of its jobs, and a list of all runs of a sweep would make the
time that takes grow with the square of their number.
"""

from collections import defaultdict


def matching(names):
    """A regular expression that matches exactly these names.

    Names that share their parts, as those of a grid do, are not spelled one by one: what parts between hyphens have in
    common is written once.

    Parameters
    ----------
    names : iterable of str
        Of letters, digits and hyphens.

    Returns
    -------
    str
        With nothing that `|` would divide; it matches nothing where there are no names.
    """
    return _alternatives({tuple(name.split("-")) for name in names}) or "(?!)"


def _alternatives(tails):
    following = defaultdict(set)
    for first, *rest in tails:
        following[first].add(tuple(rest))
    alike = defaultdict(list)  # parts that the same may follow
    for first, rests in following.items():
        alike[frozenset(rests)].append(first)
    found = []
    for rests, firsts in sorted(alike.items(), key=lambda item: min(item[1])):
        longer = "-" + _alternatives(rests - {()}) if rests - {()} else ""
        found.append(_one(firsts) + (f"(?:{longer})?" if longer and () in rests else longer))
    return _one(found) if found else ""


def _one(parts):
    return f"(?:{'|'.join(sorted(parts))})"


def one_of(names):
    """Wildcard constraint for exactly these few names, nothing where there are none."""
    return "|".join(names) or "(?!)"
