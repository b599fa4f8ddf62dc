"""How a pattern lies in a table's list: the lower triangle by rows for causal models, else the whole square."""

import numpy as np

from headatlas.base import tables
from headatlas.base.errors import InputError


def entries(size, packing):
    """How many numbers a packed pattern of a window of `size` tokens has."""
    return size * (size + 1) // 2 if packing == "lower" else size * size


def pack(pattern):
    """The lower triangle of a causal pattern, row after row.

    Parameters
    ----------
    pattern : array of shape (..., query, key)

    Returns
    -------
    array of shape (..., T (T + 1) / 2)
    """
    size = pattern.shape[-1]
    packed = np.empty((*pattern.shape[:-2], entries(size, "lower")), dtype=pattern.dtype)
    pack_into(packed, pattern)
    return packed


def unpack(packed, size, packing):
    """The patterns that were packed.

    Parameters
    ----------
    packed : array of shape (..., entry)
    size : int
        Tokens of a window.
    packing : {"lower", "full"}
        "lower" for what `pack` gave, "full" for whole patterns laid out row after row.

    Returns
    -------
    array of shape (..., query, key)
    """
    if packing not in ("lower", "full"):
        raise InputError(f"packing: {packing!r} is not known: lower or full")
    if packed.shape[-1] != entries(size, packing):
        raise InputError(f"{packed.shape[-1]} entries are no {packing} pattern of {size} tokens")
    if packing == "full":
        return packed.reshape(*packed.shape[:-1], size, size)
    pattern = np.zeros((*packed.shape[:-1], size, size), dtype=packed.dtype)
    start = 0
    for query in range(size):
        pattern[..., query, : query + 1] = packed[..., start : start + query + 1]
        start += query + 1
    return pattern


def rows_of(size, packing):
    """Where each query's attention row lies among the entries of a packed pattern.

    Parameters
    ----------
    size : int
        Positions of a prompt.
    packing : {"lower", "full"}
        Lower triangle by rows (causal), or the whole square.

    Returns
    -------
    list of (int, int)
        Start and end of each query's keys, one pair per query.
    """
    if packing == "lower":
        return [(i * (i + 1) // 2, (i + 1) * (i + 2) // 2) for i in range(size)]
    if packing == "full":
        return [(i * size, (i + 1) * size) for i in range(size)]
    raise InputError(f"packing is {packing!r}; it is lower or full")


def pack_into(packed, pattern):
    """As `pack`, into an array that is there already; a torch tensor's NumPy view will do."""
    start = 0
    for query in range(pattern.shape[-1]):
        packed[..., start : start + query + 1] = pattern[..., query, : query + 1]
        start += query + 1


def places(size, packing):
    """Query and key of every entry of a packed pattern: two int arrays of shape (entry,)."""
    rows = rows_of(size, packing)
    query = np.repeat(np.arange(size), [end - start for start, end in rows])
    return query, np.concatenate([np.arange(end - start) for start, end in rows])


def first_prompts(path, prompts):
    """The packed patterns of a table's first prompts, heads by member and layer: float32 (head, prompt, entry)."""
    parts, rows = [], []
    for group in tables.groups(path):
        kept = group["prompt"] < prompts
        parts.append(group["pattern"][kept].astype(np.float32, copy=False))
        rows.append(np.stack([group[name][kept] for name in ("member", "layer", "head", "prompt")]))
    order = np.lexsort(np.concatenate(rows, axis=1)[::-1])
    patterns = np.concatenate(parts)[order]
    return patterns.reshape(-1, min(prompts, tables.facts(path)["prompts"]), patterns.shape[-1])
