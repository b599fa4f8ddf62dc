"""Patterns of all heads that a study compares, read a block of prompts at a time: never all of them at once."""

import numpy as np
import pandas as pd

from headatlas.attention import STREAMED
from headatlas.attention.packing import entries
from headatlas.base import tables
from headatlas.base.errors import InputError


class PatternStream:
    """Patterns of several models that were shown the same prompts, one model after the other.

    Attributes
    ----------
    heads : DataFrame of model, member, layer, head
    shape : tuple of int
        Heads, prompts, entries.
    size : int
        Positions of a prompt.
    packing : {"lower", "full"}

    Parameters
    ----------
    paths : mapping from a model's name to its table
    prompts : int, optional
        The first of them, at most; all when not given.
    memory : int
        Bytes that a block may take.

    Raises
    ------
    InputError
        If the tables differ in prompts, size or packing.
    """

    def __init__(self, paths, prompts=None, memory=STREAMED):
        self._paths, self._memory, first, shape, heads = dict(paths), memory, None, None, []
        for model, path in self._paths.items():
            facts = tables.facts(path)
            own = tuple(facts[name] for name in ("prompts", "size", "packing"))
            first, shape = first or model, shape or own
            if own != shape:
                raise InputError(
                    f"models {first} and {model}: patterns of {shape} and {own} (prompts, positions, packing) "
                    "cannot be compared; they must agree"
                )
            rows = np.indices([facts[name] for name in ("members", "layers", "heads")], dtype=np.int32).reshape(3, -1)
            identity = dict(zip(("member", "layer", "head"), rows, strict=True))
            heads.append(pd.DataFrame({"model": model, **identity}))
        self.heads = pd.concat(heads, ignore_index=True)
        count, self.size, self.packing = shape
        self.shape = len(self.heads), min(count, prompts or count), entries(self.size, self.packing)

    def __len__(self):
        return self.shape[0]

    def blocks(self):
        """Yield prompts, as a slice, and the patterns of all heads on them: float32 (head, prompt, entry)."""
        heads, prompts, length = self.shape
        step = max(1, self._memory // (4 * heads * length))
        for low in range(0, prompts, step):
            chosen = slice(low, min(low + step, prompts))
            yield chosen, self.read(chosen)

    def read(self, prompts):
        """Patterns of all heads on a slice of the prompts: float32 (head, prompt, entry)."""
        found = np.empty((len(self), prompts.stop - prompts.start, self.shape[2]), dtype=np.float32)
        start = 0
        for path in self._paths.values():
            facts = tables.facts(path)
            count = facts["members"] * facts["layers"] * facts["heads"]
            _read_into(found[start : start + count], path, facts, prompts)
            start += count
        return found

    def first(self, prompts):
        """Patterns of all heads on the first prompts, at most as many as there are: float32 (head, prompt, entry)."""
        return self.read(slice(0, min(prompts, self.shape[1])))


def blocks_of(heads):
    """Blocks of a stream; an array is a single block."""
    return heads.blocks() if hasattr(heads, "blocks") else [(slice(0, heads.shape[1]), heads)]


def _read_into(found, path, facts, prompts):
    """Copy one table's patterns of a slice of prompts, row group by row group; only those that hold some are read."""
    found = found.reshape(facts["members"], facts["layers"], facts["heads"], *found.shape[1:])
    for low, high in row_groups(path):
        if high <= prompts.start or prompts.stop <= low:
            continue
        inner = slice(max(low, prompts.start), min(high, prompts.stop))
        for group in tables.groups(path, ["member", "layer", "pattern"], prompt=low):
            packed = group["pattern"].reshape(facts["heads"], -1, found.shape[-1])  # (head, prompt, entry)
            into = found[group["member"][0], group["layer"][0]]
            into[:, inner.start - prompts.start : inner.stop - prompts.start] = packed[
                :, inner.start - low : inner.stop - low
            ]


def row_groups(path):
    """First prompt and one past the last of the row groups of a table of patterns, in order."""
    found = {(int(group["prompt"][0]), int(group["prompt"][-1]) + 1) for group in tables.groups(path, ["prompt"])}
    return sorted(found)


def iterate_blocks(path):
    """Read the patterns of a table as they lie in it.

    Parameters
    ----------
    path : path-like

    Yields
    ------
    member, layer, first : int
        `first` is the block's first prompt.
    patterns : float32 array of shape (head, prompt, entry)
    """
    facts = tables.facts(path)
    for group in tables.groups(path):
        packed = group["pattern"].reshape(facts["heads"], -1, group["pattern"].shape[1]).astype(np.float32, copy=False)
        yield *(int(group[name][0]) for name in ("member", "layer", "prompt")), packed
