"""How good partitions are: evenly spread over members, set apart by distance, modular."""

import numpy as np
import pandas as pd

from headatlas.base.errors import InputError
from headatlas.studies.phrenology.leiden import quality_lines

CELLS = 20_000_000  # (partition, cluster, member) cells held at a time


def member_codes(members, nodes):
    """Member labels of any kind as integers 0..members-1."""
    codes = np.unique(np.asarray(members), return_inverse=True)[1].ravel()
    if len(codes) != nodes:
        raise InputError(f"members: {len(codes)} labels for a graph of {nodes} nodes")
    return codes


def evenness(partitions, members):
    """How evenly members are spread over clusters, for many partitions at once (Edkins & Wiechecki 2023).

    Per cluster precision = distinct members / size, recall = distinct members / all members.

    Parameters
    ----------
    partitions : array of int, (partition, node)
    members : array of int, (node,)
        0..members-1.

    Returns
    -------
    dict of arrays of float, (partition,)
        "precision" and "recall", unweighted means over clusters; "f_published", the unweighted mean of F1, 0 for one
        single cluster; "f_weighted", its mean weighted by size; "clusters", their number.
    """
    partitions, members = np.asarray(partitions), np.asarray(members)
    width, among = int(partitions.max()) + 1, int(members.max()) + 1
    step = max(1, CELLS // (width * among))
    parts = [_evenness(partitions[i : i + step], members, width, among) for i in range(0, len(partitions), step)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _evenness(partitions, members, width, among):
    cluster = np.arange(len(partitions))[:, None] * width + partitions
    size = np.bincount(cluster.ravel(), minlength=len(partitions) * width).reshape(-1, width)
    seen = np.zeros(size.size * among, dtype=bool)
    seen[cluster * among + members] = True
    distinct = seen.reshape(*size.shape, among).sum(-1, dtype=np.int32)  # (partition, cluster)
    clusters = (size > 0).sum(1)
    f = 2 * distinct / (size + among)  # the harmonic mean of distinct / size and distinct / among
    return {
        "precision": (distinct / np.maximum(size, 1)).sum(1) / clusters,
        "recall": (distinct / among).sum(1) / clusters,
        "f_published": np.where(clusters > 1, f.sum(1) / clusters, 0.0),
        "f_weighted": (f * size).sum(1) / partitions.shape[1],
        "clusters": clusters,
    }


def silhouettes(partitions, distances):
    """Mean silhouette of each partition (partition, node) on distances (node, node); NaN where it is not defined."""
    return np.array([node_silhouettes(labels, distances).mean() for labels in partitions])


def node_silhouettes(labels, distances):
    """Silhouette of every node, (node,): 0 for a node alone in its cluster, NaN for all where there is no other."""
    labels, distances = np.asarray(labels), np.asarray(distances)
    nodes, size = np.arange(len(labels)), np.bincount(labels)
    if not 1 < len(size) < len(labels):
        return np.full(len(labels), np.nan)
    to = distances @ (labels[:, None] == np.arange(len(size))).astype(distances.dtype)  # (node, cluster)
    own = to[nodes, labels] / np.maximum(size[labels] - 1, 1)
    other = to / size
    other[nodes, labels] = np.inf
    other = other.min(1)
    score = (other - own) / np.maximum(np.maximum(own, other), np.finfo(distances.dtype).tiny)
    return np.where(size[labels] > 1, score, 0)


def partition_scores(graph, partitions, members, distances=None):
    """One row per partition: its evenness over members, modularity, silhouette and quality line."""
    fitted, expected = quality_lines(graph, partitions)
    scores = pd.DataFrame(evenness(partitions, members))
    scores["modularity"] = fitted - expected
    scores["silhouette"] = np.nan if distances is None else silhouettes(partitions, distances)
    return scores.assign(fitted=fitted, expected=expected)
