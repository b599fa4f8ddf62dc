"""Attention patterns: taken from a family of models, checked, and streamed to a table.

Memory does not grow with the number of prompts: windows run in batches, and leave in blocks, both
as large as a given number of bytes allows. No logits are computed on the way.

A table holds them as float32 or, if asked, float16: then each weight is off by at most 2^-12 (0.00024), and one above
6e-5 by at most 2^-11 of itself. Whatever reads a table turns them into float32.
"""

import numpy as np
import pandas as pd

from headatlas.attention.packing import entries, pack_into
from headatlas.base import progress, tables
from headatlas.base.errors import InputError
from headatlas.models.forward_batches import MEMORY, batches

KEPT = ("float32", "float16")  # what weights may be kept as
_TOLERANCE = 1e-4  # by which a row's sum may miss one
_ROW_GROUP = 16 << 20  # bytes of a row group, one prompt of a layer at least


def blocks(family, windows, memory=MEMORY):
    """Take a family's patterns, block by block.

    Parameters
    ----------
    family, windows, memory
        As for `batches.batches`; a block's packed patterns may take as many bytes again.

    Yields
    ------
    member, layer, first : int
        `first` is the block's first prompt.
    packed : float32 array of shape (head, prompt, entry)
        Lower triangles for a causal family, whole patterns otherwise.

    Raises
    ------
    InputError
        If a row of a pattern does not sum to one, or a causal model looks ahead.
    """
    prompts, size = windows.shape
    length = entries(size, "lower" if family.causal else "full")
    block = max(1, memory // (4 * family.layers * family.heads * length))
    for member in range(family.members):
        for first in range(0, prompts, block):
            chosen = windows[first : first + block]
            packed = np.empty((family.layers, family.heads, len(chosen), length), dtype=np.float32)
            for part in batches(family, chosen, memory):
                for taken in family.attention(chosen[part], member):
                    pattern = taken.pattern.transpose(0, 1)  # (head, batch, query, key)
                    _check(pattern, family.causal, member, taken.layer, first + part.start)
                    _store(packed[taken.layer, :, part], pattern, family.causal)
            for layer in range(family.layers):
                yield member, layer, first, packed[layer]


def described(family, windows):
    """What a reader must know of a family's patterns over a set of windows: packing, sizes and counts."""
    prompts, size = windows.shape
    counts = {"members": family.members, "layers": family.layers, "heads": family.heads}
    return {"packing": "lower" if family.causal else "full", "size": size, "prompts": prompts, **counts}


def write(path, family, windows, *, kept="float32", provenance=None, memory=MEMORY):
    """Write a family's patterns over a set of windows to a table.

    Columns are member, layer, head, prompt (int32) and `pattern`, a fixed-size list of floats; the
    facts say how it is packed. There is one row group for each member, layer and block of prompts, in it one head after
    the other; all of them have the same prompts in a block, as many as fit in 16 MB.

    Parameters
    ----------
    path : path-like
    family, windows, memory
        As for `blocks`.
    kept : {"float32", "float16"}
        What weights are kept as.
    provenance : mapping, optional
        What produced the table.
    """
    kept = np.dtype(kept)
    total = family.members * family.layers * family.heads * len(windows)
    with (
        tables.Writer(path, facts=described(family, windows), provenance=provenance) as writer,
        progress.bar(total, "attention patterns", "patterns") as shown,
    ):
        for member, layer, first, packed in blocks(family, windows, memory):
            heads, _, length = packed.shape
            step = max(1, _ROW_GROUP // (kept.itemsize * heads * length))
            for low in range(0, packed.shape[1], step):
                part = packed[:, low : low + step].reshape(-1, length).astype(kept, copy=False)
                count = len(part) // heads
                writer.write(identity(member, layer, heads, first + low, count) | {"pattern": part})
                shown.update(heads * count)


def identity(member, layer, heads, first, prompts, repeat=1):
    """The columns that say whose row it is, for one layer's heads over a block of prompts, head-major.

    Parameters
    ----------
    member, layer, heads, first, prompts : int
        The block holds the prompts from `first` on.
    repeat : int
        Rows of each head and prompt.
    """
    rows = heads * prompts * repeat
    return {
        "member": np.full(rows, member, dtype=np.int32),
        "layer": np.full(rows, layer, dtype=np.int32),
        "head": np.repeat(np.arange(heads, dtype=np.int32), prompts * repeat),
        "prompt": np.tile(np.repeat(np.arange(first, first + prompts, dtype=np.int32), repeat), heads),
    }


def read_heads(path):
    """Read all patterns of a table.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    heads : DataFrame of member, layer, head
        Sorted; one row for each head.
    patterns : float32 array of shape (head_row, prompt, entry)
    facts : dict
        `packing`, `size`, `members`, `layers`, `heads`, `prompts`.
    """
    facts = tables.facts(path)
    shape = facts["members"], facts["layers"], facts["heads"]
    patterns = np.empty((*shape, facts["prompts"], entries(facts["size"], facts["packing"])), dtype=np.float32)
    for group in tables.groups(path):
        member, layer, first = (group[name][0] for name in ("member", "layer", "prompt"))
        packed = group["pattern"].reshape(facts["heads"], -1, patterns.shape[-1])  # (head, prompt, entry)
        patterns[member, layer, :, first : first + packed.shape[1]] = packed
    rows = np.indices(shape, dtype=np.int32).reshape(3, -1)
    heads = pd.DataFrame(dict(zip(("member", "layer", "head"), rows, strict=True)))
    return heads, patterns.reshape(len(heads), facts["prompts"], -1), facts


def iterate_heads(path):
    """Read the patterns of one layer of one member at a time.

    Parameters
    ----------
    path : path-like

    Yields
    ------
    member, layer : int
    patterns : float32 array of shape (head, prompt, entry)
    """
    facts = tables.facts(path)
    for member in range(facts["members"]):
        for layer in range(facts["layers"]):
            rows = tables.read(path, ["head", "prompt"], member=member, layer=layer)
            packed = tables.read_lists(path, "pattern", member=member, layer=layer)
            patterns = np.empty((facts["heads"], facts["prompts"], packed.shape[1]), dtype=np.float32)
            patterns[rows["head"].to_numpy(), rows["prompt"].to_numpy()] = packed
            yield member, layer, patterns


def _store(packed, pattern, causal):
    """Write patterns, (head, batch, query, key) on any device, into an array (head, batch, entry)."""
    if causal and pattern.device.type == "cpu":
        pack_into(packed, pattern.numpy())  # NumPy's copies wait for no other thread
        return
    import torch  # here, for jobs that only read tables need not load it

    if causal:  # packed before it travels
        whole = torch.empty(packed.shape, device=pattern.device)
        pack_into(whole, pattern)
        pattern = whole
    torch.from_numpy(packed).copy_(pattern.reshape(packed.shape))


def _check(pattern, causal, member, layer, first):
    """Every row sums to one and, for a causal model, nothing lies above the diagonal."""
    wrong = ~((pattern.sum(-1) - 1).abs() <= _TOLERANCE)  # (head, batch, query); a sum of nan is wrong too
    if wrong.any():
        head, prompt, query = wrong.nonzero()[0].tolist()
        found = float(pattern[head, prompt, query].sum())
        where = _where(member, layer, head, first + prompt, query)
        raise InputError(f"{where}: attention sums to {found:.6g} where it must sum to 1; the weights may be damaged")
    if causal and (above := pattern.triu(1)).any():
        head, prompt, query, _ = above.nonzero()[0].tolist()
        where = _where(member, layer, head, first + prompt, query)
        raise InputError(f"{where}: attention to later positions in a causal model, where there must be none")


def _where(member, layer, head, prompt, query):
    return f"member {member}, layer {layer}, head {head}, prompt {prompt}, position {query}"
