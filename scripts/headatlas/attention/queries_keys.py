"""Queries and keys: taken from a family of models and streamed to a table, as `patterns` are."""

from typing import NamedTuple

import numpy as np

from headatlas.attention.patterns import identity
from headatlas.base import progress, tables
from headatlas.base.errors import InputError
from headatlas.models.forward_batches import MEMORY, batches


class LayerVectors(NamedTuple):
    """Queries and keys of one layer of one member."""

    member: int
    layer: int
    queries: np.ndarray  # (head, prompt, position, d_head)
    keys: np.ndarray  # (head, prompt, position, d_head)


def write(path, family, windows, *, tags=None, provenance=None, memory=MEMORY):
    """Write the queries and keys of a family over a set of windows to a table.

    Columns are member, layer, head, prompt, position, token (int32), `normalised_position` (float32: 0 at a prompt's
    first token, 1 at its last that is no padding), `tag` (string, if there are any), and `query` and `key`,
    fixed-size lists of float32. Of the facts, `scaling` is the factor by which a score is q.k times it, `causal` and
    `pad` say which keys a query may look at, `rotary` that positions are already rotated into both, and `other_terms`
    what else enters the scores, in sentences: empty where patterns are softmax(q.k * scaling) alone. There is one
    row group for each member, layer and block of prompts, ordered by head, prompt, position.

    Parameters
    ----------
    path : path-like
    family : ToyFamily or PretrainedFamily
        What `families.load_family` opens.
    windows : integer array of shape (prompt, position)
    tags : array of str of shape (prompt, position), optional
        Parts of speech.
    provenance : mapping, optional
        What produced the table.
    memory : int
        Bytes that a batch's forward pass and a block of vectors may each take, about.
    """
    prompts, size = windows.shape
    if tags is not None and np.shape(tags) != windows.shape:
        raise InputError(f"tags: an array of shape {np.shape(tags)} does not fit windows of shape {windows.shape}")
    places = normalised_positions(windows, family.pad)
    facts = {"size": size, "prompts": prompts, "d_head": family.d_head, "scaling": family.scaling}
    facts |= {"members": family.members, "layers": family.layers, "heads": family.heads}
    facts |= {"rotary": family.rotary, "causal": family.causal, "pad": family.pad, "tagged": tags is not None}
    facts["other_terms"] = family.other_terms(size)
    total = family.members * family.layers * family.heads * prompts
    with (
        tables.Writer(path, facts=facts, provenance=provenance) as writer,
        progress.bar(total, "queries and keys", "windows of heads") as shown,
    ):
        for member, layer, first, queries, keys in blocks(family, windows, memory):
            heads, count = queries.shape[:2]
            chosen = slice(first, first + count)
            columns = identity(member, layer, heads, first, count, repeat=size)
            columns["position"] = np.tile(np.arange(size, dtype=np.int32), heads * count)
            columns["token"] = np.tile(np.asarray(windows[chosen], dtype=np.int32).reshape(-1), heads)
            columns["normalised_position"] = np.tile(places[chosen].reshape(-1), heads)
            if tags is not None:
                columns["tag"] = np.tile(np.asarray(tags[chosen], dtype=object).reshape(-1), heads)
            columns["query"], columns["key"] = (part.reshape(-1, family.d_head) for part in (queries, keys))
            writer.write(columns)
            shown.update(heads * count)


def normalised_positions(windows, pad=None):
    """Where in its prompt each token stands: 0 for the first, 1 for the last that is no padding, 1 beyond it.

    Parameters
    ----------
    windows : integer array of shape (prompt, position)
    pad : int, optional
        Token that fills prompts up.

    Returns
    -------
    float32 array of shape (prompt, position)
    """
    lengths = (windows != pad).sum(1) if pad is not None else np.full(len(windows), windows.shape[1])
    places = np.arange(windows.shape[1]) / np.maximum(lengths - 1, 1)[:, None]
    return np.minimum(places, 1).astype(np.float32)


def blocks(family, windows, memory=MEMORY):
    """Take a family's queries and keys, block by block; parameters as for `write`.

    Yields
    ------
    member, layer, first : int
        `first` is the block's first prompt.
    queries, keys : float32 arrays of shape (head, prompt, position, d_head)
    """
    prompts, size = windows.shape
    block = max(1, memory // (8 * family.layers * family.heads * size * family.d_head))
    for member in range(family.members):
        for first in range(0, prompts, block):
            chosen = windows[first : first + block]
            shape = (2, family.layers, family.heads, len(chosen), size, family.d_head)
            vectors = np.empty(shape, dtype=np.float32)
            for part in batches(family, chosen, memory):
                for taken in family.attention(chosen[part], member):
                    vectors[0, taken.layer, :, part] = taken.queries.transpose(0, 1).cpu().numpy()
                    vectors[1, taken.layer, :, part] = taken.keys.transpose(0, 1).cpu().numpy()
            for layer in range(family.layers):
                yield member, layer, first, vectors[0, layer], vectors[1, layer]


def read_heads(path, member=None, layer=None):
    """Read queries and keys.

    Parameters
    ----------
    path : path-like
    member, layer : int, optional
        All of them when not given.

    Returns
    -------
    heads : DataFrame of member, layer, head
        Sorted; one row for each head.
    queries, keys : float32 arrays of shape (head_row, prompt, position, d_head)
    facts : dict
        `scaling`, `rotary`, `size`, `d_head`, `members`, `layers`, `heads`, `prompts`.
    """
    facts = tables.facts(path)
    equal = {name: value for name, value in (("member", member), ("layer", layer)) if value is not None}
    rows = tables.read(path, ["member", "layer", "head", "prompt", "position"], **equal)
    if rows.empty:
        chosen = ", ".join(f"{name} {value}" for name, value in equal.items())
        raise InputError(f"{path}: no rows of {chosen}; it has {facts['members']} members of {facts['layers']} layers")
    order = np.lexsort([rows[name] for name in reversed(rows.columns)])
    sorted_already = bool((order == np.arange(len(order))).all())
    shape = (-1, facts["prompts"], facts["size"], facts["d_head"])
    vectors = []
    for column in ("query", "key"):
        values = tables.read_lists(path, column, **equal)
        vectors.append((values if sorted_already else values[order]).reshape(shape))
    heads = rows.iloc[order[:: facts["prompts"] * facts["size"]]][["member", "layer", "head"]].reset_index(drop=True)
    return heads, *vectors, facts


def read_windows(path):
    """The windows of a table of queries and keys.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    tokens : int32 array of shape (prompt, position)
    tags : array of str of shape (prompt, position), or None where there are none
    """
    facts = tables.facts(path)
    columns = ["prompt", "position", "token", *(["tag"] if facts["tagged"] else [])]
    rows = tables.read(path, columns, member=0, layer=0, head=0)
    rows = rows.sort_values(["prompt", "position"])
    shape = (facts["prompts"], facts["size"])
    tags = rows["tag"].to_numpy(dtype=object).reshape(shape) if facts["tagged"] else None
    return rows["token"].to_numpy(dtype=np.int32).reshape(shape), tags


def iterate_layers(path, prompts=None, member=None, layer=None):
    """Read one layer of one member at a time, so that a large table need not fit in memory.

    Parameters
    ----------
    path : path-like
    prompts : sequence of int, optional
        The prompts to keep, ascending; all of them when not given. Besides these, no more than one row group is in
        memory.
    member, layer : int, optional
        All of them when not given.

    Yields
    ------
    LayerVectors
    """
    facts = tables.facts(path)
    chosen = np.arange(facts["prompts"]) if prompts is None else np.asarray(prompts)
    if len(chosen) == 0 or chosen[0] < 0 or chosen[-1] >= facts["prompts"] or (np.diff(chosen) <= 0).any():
        raise InputError(f"{path}: prompts {chosen.tolist()[:8]}; allowed: 0 to {facts['prompts'] - 1}, ascending")
    shape = (facts["heads"], len(chosen), facts["size"], facts["d_head"])
    members, layers = (
        range(facts[name]) if one is None else [one] for name, one in (("members", member), ("layers", layer))
    )
    for member in members:
        for layer in layers:
            vectors = {name: np.empty(shape, dtype=np.float32) for name in ("query", "key")}
            for group in tables.groups(path, ["prompt", *vectors], member=member, layer=layer):
                first, last = group["prompt"][0], group["prompt"][-1]
                wanted = slice(*np.searchsorted(chosen, [first, last + 1]))
                for name, values in vectors.items():
                    block = group[name].reshape(facts["heads"], -1, *shape[2:])  # (head, prompt, position, d_head)
                    values[:, wanted] = block[:, chosen[wanted] - first]
            yield LayerVectors(member, layer, vectors["query"], vectors["key"])
