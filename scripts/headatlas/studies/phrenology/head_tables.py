"""Tables with a row for every head: which network it comes from, its embedding, its distances to all others."""

import numpy as np

from headatlas.base import tables

IDENTITY = ["model", "member", "layer", "head"]


def member_labels(heads):
    """One integer per head for the network it comes from, (model, member), in order of appearance: int (head,)."""
    return heads.groupby(["model", "member"], sort=False).ngroup().to_numpy()


def read_embedding(path):
    """Heads, (model, member, layer, head), and their embedding values, float32 (head, prompt, value)."""
    heads = tables.read(path, IDENTITY)
    return heads, tables.read_lists(path, "embedding").reshape(len(heads), -1, tables.facts(path)["width"])


def read_distances(path):
    """Heads and their mean Jensen-Shannon distances, float64 (head, head)."""
    return tables.read(path, IDENTITY), tables.read_lists(path, "jensen_shannon").astype(np.float64)


def read_parts(path):
    """The same distances on disjoint parts of the prompts, float64 (part, head, head): their mean is the whole."""
    rows = tables.read_lists(path, "jensen_shannon").astype(np.float64)
    return rows.reshape(-1, rows.shape[1], rows.shape[1])


def part_columns(heads, distances):
    """Columns of the table that `read_parts` reads: part, the identity of the head, its distances to all heads."""
    parts = len(distances)
    columns = {"part": np.repeat(np.arange(parts, dtype=np.int32), len(heads))}
    columns |= {name: np.tile(heads[name].to_numpy(), parts) for name in heads}
    return columns | {"jensen_shannon": distances.reshape(-1, distances.shape[2])}


def read_groups(protocol, *, clusters=None, kinds):
    """The groups that a protocol's figures show: the published clusters, or what the longest plateau finds.

    Parameters
    ----------
    protocol : {"published", "corrected"}
    clusters, kinds : path-like
        The first is needed as published alone.

    Returns
    -------
    DataFrame of [model, member, layer, head, cluster]
    """
    if protocol == "published":
        return tables.read(clusters, [*IDENTITY, "cluster"])
    return tables.read(kinds, [*IDENTITY, "candidate"]).rename(columns={"candidate": "cluster"})
