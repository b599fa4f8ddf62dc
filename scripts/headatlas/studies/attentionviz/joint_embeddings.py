"""Queries and keys of a head in one picture, in which what lies close is attended to.

After Chen, "Exploring transformer interpretability", Figures 1, 3 and 4, and Yeh et al. 2023 (AttentionViz). The order
is theirs: scale, translate the keys to the queries' centroid, embed. The exact construction adds one coordinate,
sqrt(M^2 - |k|^2) for a key and 0 for a query, after which |q - k|^2 = |q|^2 + M^2 - 2 q.k: the keys nearest to a query
are those it attends to most, for every query.
"""

import functools
import warnings
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import ThreadpoolController

from headatlas.base.errors import InputError
from headatlas.base.statistics import mean_and_error
from headatlas.base.umap_cache import load_umap
from headatlas.studies.attentionviz.key_scaling import centroids

METHODS = ("pca", "umap", "tsne")
ALL_PAIRS = 4096  # points; beyond, neighbours are found by pynndescent and never all distances
TRUSTED = 1000  # points on which trustworthiness, of quadratic cost, is measured
NEIGHBOURS = 15  # UMAP's own default


def construct(queries, keys, real, c, exact=False):
    """Queries and keys scaled and translated as they are viewed.

    Parameters
    ----------
    queries, keys : arrays of shape (prompt, position, d_head)
    real : bool array of shape (prompt, position)
        False where a token is padding.
    c : float
        Queries are divided by it, keys multiplied.
    exact : bool
        Whether to append the coordinate that makes distance order dot-product order.

    Returns
    -------
    queries, keys : float64 arrays of shape (prompt, position, d_head), or d_head + 1
    """
    queries, keys = np.asarray(queries, dtype=np.float64) / c, np.asarray(keys, dtype=np.float64) * c
    middle, of_keys = centroids(queries, keys, real)
    keys = keys + (middle - of_keys)
    return augment(queries, keys, real) if exact else (queries, keys)


def augment(queries, keys, real):
    """Append sqrt(M^2 - |k|^2) to keys and 0 to queries, M the length of the longest key that is no padding."""
    squared = np.square(keys).sum(-1)
    missing = np.sqrt(np.maximum(squared[real].max() - squared, 0))
    added = (np.zeros_like(missing), missing)
    return tuple(np.concatenate([each, more[..., None]], -1) for each, more in zip((queries, keys), added, strict=True))


def points_of(queries, keys, real):
    """All queries, then all keys, that are no padding, as rows of one array."""
    return np.concatenate([queries[real], keys[real]])


def embed(points, method, seed, *, metric="euclidean", components=2, init="pca", epochs=None):
    """Points on a plane.

    UMAP and t-SNE run on one thread and give the same points each time. Up to `ALL_PAIRS` points UMAP is handed the
    exact neighbours; beyond, it finds them by pynndescent.

    Parameters
    ----------
    points : array of shape (point, dimension)
    method : {"pca", "umap", "tsne"}
    seed : int
    metric : {"euclidean", "cosine"}
        Of UMAP and t-SNE.
    components : int
        Of UMAP; the first two are returned (published: 3).
    init : {"pca", "random"}
        Where UMAP starts (published: random).
    epochs : int, optional
        Of UMAP; its own choice when not given.

    Returns
    -------
    float32 array of shape (point, 2)
    """
    if method not in METHODS:
        raise InputError(f"method: {method!r} is not known; allowed: {', '.join(METHODS)}")
    if len(points) < 4:
        raise InputError(f"{len(points)} queries and keys make no map; there must be at least 4")
    with _one_thread():
        if method == "pca":
            return _signed(PCA(2, svd_solver="full").fit_transform(points)).astype(np.float32)
        if method == "tsne":
            perplexity = min(30, (len(points) - 1) / 3)
            settings = {"metric": metric, "init": "pca", "random_state": seed, "n_jobs": 1}
            return TSNE(perplexity=perplexity, **settings).fit_transform(points).astype(np.float32)
        return _umap(points, seed, metric, components, init, epochs)[:, :2].astype(np.float32)


@functools.cache
def _libraries():
    return ThreadpoolController()  # looks through all that is loaded, for as long as a small map takes


def _one_thread():
    return _libraries().limit(limits=1)


def _signed(points):
    return points * np.where(points.max(0) >= -points.min(0), 1, -1)


def _umap(points, seed, metric, components, init, epochs):
    neighbours = min(NEIGHBOURS, len(points) - 1)
    settings = {"n_neighbors": neighbours, "metric": metric, "n_components": components, "init": init}
    if len(points) <= ALL_PAIRS:
        others = NearestNeighbors(n_neighbors=neighbours - 1, metric=metric, algorithm="brute").fit(points)
        far, near = others.kneighbors()  # a point is not among its own neighbours here; for UMAP it comes first
        near = np.concatenate([np.arange(len(points))[:, None], near], axis=1)
        far = np.concatenate([np.zeros((len(points), 1)), far], axis=1).astype(np.float32)
        settings["precomputed_knn"] = (near, far)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="precomputed_knn", module="umap")
        warnings.filterwarnings("ignore", category=UserWarning, message="n_jobs value")
        fitted = load_umap().UMAP(n_epochs=epochs, random_state=seed, n_jobs=1, **settings)
        return fitted.fit_transform(np.asarray(points, dtype=np.float32))


def closeness_correlation(queries, keys, scores, seen):
    """Per query, the Spearman correlation of closeness and attention over the keys it may look at.

    Attention is the softmax of a row's scores, so its ranks are theirs.

    Parameters
    ----------
    queries, keys : arrays of shape (prompt, position, dimension)
        Of a space or of a map.
    scores, seen : arrays of shape (prompt, query, key)
        Dot products of the model, and which of them it makes.

    Returns
    -------
    array of shape (prompt, query)
        1 where the closest key is attended to most, and so on down; NaN for a query of fewer than 3 keys, or with
        equal scores throughout.
    """
    far = distances(queries, keys)
    unlike = -np.asarray(scores, dtype=np.float64)
    close, wanted = (_ranks(np.where(seen, each, np.inf), seen) for each in (far, unlike))
    together = (close * wanted).sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = together / np.sqrt(np.square(close).sum(-1) * np.square(wanted).sum(-1))
    return np.where(seen.sum(-1) >= 3, found, np.nan)


def distances(queries, keys):
    """Euclidean distances between the queries and the keys of each prompt, of shape (prompt, query, key)."""
    queries, keys = (np.asarray(each, dtype=np.float64) for each in (queries, keys))
    squared = np.square(queries).sum(-1)[:, :, None] + np.square(keys).sum(-1)[:, None, :]
    return np.sqrt(np.maximum(squared - 2 * queries @ keys.swapaxes(-1, -2), 0))


def _ranks(values, seen):
    """Ranks within each row among what is seen, less their mean; zero elsewhere. What is not seen must be largest."""
    ranks = np.where(seen, rankdata(values, axis=-1), 0)
    middle = ranks.sum(-1, keepdims=True) / np.maximum(seen.sum(-1, keepdims=True), 1)
    return np.where(seen, ranks - middle, 0)


class Quality(NamedTuple):
    """How well a map or space shows attention.

    Attributes
    ----------
    spearman, standard_error : float
        Mean over queries of `closeness_correlation`; the error is over sentences.
    trustworthiness : float
        Of the map, towards the space that it is a map of (Venna & Kaski 2001); NaN for a space.
    """

    spearman: float
    standard_error: float
    trustworthiness: float


def judge(points, scores, seen, space=None, metric="euclidean", seed=0):
    """Judge a map, or a space where no map of it is given.

    Parameters
    ----------
    points : array of shape (point, dimension)
        As `points_of` orders them.
    scores, seen : arrays of shape (prompt, query, key)
    space : array of shape (point, dimension), optional
        What `points` is a map of.
    metric : {"euclidean", "cosine"}
        Of the space.
    seed : int
        Of the points that trustworthiness is measured on, where there are more than `TRUSTED`.

    Returns
    -------
    Quality
    """
    real = np.diagonal(seen, axis1=1, axis2=2)
    queries, keys = (np.zeros((*real.shape, points.shape[1])) for _ in range(2))
    queries[real], keys[real] = np.split(points, 2)
    found = closeness_correlation(queries, keys, scores, seen)
    known = np.isfinite(found)
    of_sentences, _ = mean_and_error(found)
    spearman = float(found[known].mean()) if known.any() else np.nan
    trust = np.nan if space is None else _trust(space, points, metric, seed)
    return Quality(spearman, float(mean_and_error(of_sentences)[1]), trust)


def _trust(space, points, metric, seed):
    if len(points) > TRUSTED:
        chosen = np.sort(np.random.default_rng(seed).choice(len(points), TRUSTED, replace=False))
        space, points = space[chosen], points[chosen]
    neighbours = min(NEIGHBOURS, (len(points) - 1) // 2)
    if neighbours < 1:
        return np.nan
    with _one_thread():
        return float(trustworthiness(space, points, n_neighbors=neighbours, metric=metric))
