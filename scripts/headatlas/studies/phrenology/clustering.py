"""Which graph is drawn and which clustering of it is chosen, under each protocol of the study.

Published (Edkins & Wiechecki 2023): nine nearest neighbours, the head itself counted, distances dropped; the first
maximum of the unweighted F-score. Corrected: as many true neighbours as there are other members, distances kept as
affinities; the first maximum of the F-score weighted by size. A single member leaves nothing to be even over: there
the clustering of highest modularity is taken.
"""

from functools import partial

import numpy as np
import pandas as pd

from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.studies.phrenology.cluster_validation import SearchSettings
from headatlas.studies.phrenology.knn_graph import euclidean_graph
from headatlas.studies.phrenology.resolution_search import Search

PROTOCOLS = ("published", "corrected")
PUBLISHED_NEIGHBOURS = 9  # the head itself among them
FEWEST_NEIGHBOURS = 3  # two would let a graph of few members fall into pieces before any clustering
SCORES = ["precision", "recall", "f_published", "f_weighted", "clusters", "modularity", "silhouette"]
IDENTITY = ["model", "member", "layer", "head"]


def member_labels(heads):
    """One integer per head for the network it comes from, (model, member), in order of appearance: int (head,)."""
    return heads.groupby(["model", "member"], sort=False).ngroup().to_numpy()


def true_neighbours(labels, protocol, neighbours=None):
    """How many other heads a head is joined to.

    Parameters
    ----------
    labels : array of int, (head,)
        Of `member_labels`.
    protocol : {"published", "corrected"}
    neighbours : int, optional
        Corrected only; None: as many as there are other members, but at least 3. Never more than there are other heads.
    """
    others = len(labels) - 1
    if others < 1:
        raise InputError(f"clusters: {len(labels)} head has no neighbour; at least 2 heads are needed")
    if protocol == "published":
        return min(PUBLISHED_NEIGHBOURS - 1, others)
    return min(neighbours or max(FEWEST_NEIGHBOURS, len(np.unique(labels)) - 1), others)


def graph_builder(labels, protocol, neighbours=None, weight="affinity"):
    """The function that turns (head, prompt, value) into (graph, distances), as `cluster_validation` takes it."""
    return partial(
        euclidean_graph,
        neighbours=true_neighbours(labels, protocol, neighbours),
        weight="binary" if protocol == "published" else weight,
    )


def criterion(labels, protocol):
    """The score whose first maximum over the resolutions is chosen: one member has nothing to be even over."""
    if len(np.unique(labels)) == 1:
        return "modularity"
    return "f_published" if protocol == "published" else "f_weighted"


def search_settings(labels, protocol, draws, seed=0):
    """The resolution search, and the score whose first maximum is chosen: a `cluster_validation.SearchSettings`."""
    return SearchSettings(draws, criterion=criterion(labels, protocol), seed=seed)


def by_size(labels):
    """Clusters renumbered from the largest to the smallest, of equal ones that with the first head first: int32."""
    codes, _ = pd.factorize(np.asarray(labels))  # in order of their first heads
    order = np.argsort(-np.bincount(codes), kind="stable")
    return np.argsort(order)[codes].astype(np.int32)


def read_embedding(path):
    """Heads, (model, member, layer, head), and their embedding values, float32 (head, prompt, value)."""
    heads = tables.read(path, IDENTITY)
    return heads, tables.read_lists(path, "embedding").reshape(len(heads), -1, tables.facts(path)["width"])


def clusterings(parts):
    """Columns of a table that holds one clustering per row.

    Parameters
    ----------
    parts : dict from protocol to (DataFrame, array of int (row, head))

    Returns
    -------
    dict
        The protocol, the data frames' columns, and `labels`, int32 (row, head).
    """
    rows = pd.concat([table.assign(protocol=protocol) for protocol, (table, _) in parts.items()], ignore_index=True)
    columns = {name: rows[name].to_numpy() for name in rows}
    return columns | {"labels": np.concatenate([labels for _, labels in parts.values()]).astype(np.int32)}


def chosen_clusters(search, criterion):
    """The first clustering of the highest score.

    Returns
    -------
    labels : array of int32, (head,)
        Clusters by size.
    facts : dict
        criterion, value, resolution, draws (that reach the same score), low, high (their resolutions).
    """
    best = search.best(criterion)
    facts = {name: getattr(best, name) for name in ("criterion", "value", "resolution", "draws", "low", "high")}
    return by_size(best.labels), {name: fact if name == "criterion" else float(fact) for name, fact in facts.items()}


def read_search(path, protocol):
    """The `resolution_search.Search` that `clusterings` stored: its draws, and every different clustering once."""
    draws = tables.read(path, ["resolution", "partition", "quality", *SCORES], protocol=protocol)
    labels = tables.read_lists(path, "labels", protocol=protocol)
    first = draws["partition"].drop_duplicates().sort_values().index  # partitions are numbered as they come
    return Search(draws, labels[first], draws.loc[first, SCORES].reset_index(drop=True))
