"""Heads on a plane: PCA, UMAP and t-SNE with artificial heads as landmarks, and what the components are.

After Edkins & Wiechecki (2023), "Attention phrenology", Figures 8 to 11.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import pdist, squareform
from sklearn.decomposition import PCA, KernelPCA
from sklearn.manifold import TSNE, trustworthiness
from threadpoolctl import threadpool_limits

from headatlas.attention.packing import rows_of
from headatlas.base.errors import InputError
from headatlas.base.umap_cache import load_umap
from headatlas.studies.phrenology.head_distances import gram

ARTIFICIAL = ("uniform over the past", "self", "half self, half previous")  # by head index


@dataclass(frozen=True)
class Projection:
    """Heads and, after them, the artificial heads on a plane.

    Attributes
    ----------
    coordinates : dict from {"pca", "umap", "tsne"} to ndarray of shape (head, 2), float32
        The last three rows are the heads of `artificial_heads`.
    quality : dict from method to {"trustworthiness", "continuity", "neighbours"}
        Of the artificial heads too, since they were fitted with the others.
    explained_variance : ndarray of shape (2,)
        Ratios of PCA's two components.
    """

    coordinates: dict
    quality: dict
    explained_variance: np.ndarray


def artificial_heads(prompts, size, packing, real=None):
    """Packed patterns of the three landmarks: uniform over the past, self, half self and half previous.

    A bidirectional model has no past: there the first is uniform over all positions. Where there is no position
    before, the whole attention of the third is on the query itself.

    Parameters
    ----------
    prompts, size : int
    packing : {"lower", "full"}
    real : bool array of shape (prompt, position), optional
        False where a position is padding: nothing attends to it but itself.

    Returns
    -------
    ndarray of shape (3, prompt, entry), float32
    """
    own = np.eye(size, dtype=np.float32)
    real = np.ones((1, size), dtype=bool) if real is None else np.asarray(real)
    keys = np.tri(size, dtype=np.float32) if packing == "lower" else np.ones((size, size), dtype=np.float32)
    uniform = np.where(real[:, :, None], keys * real[:, None, :], own)
    uniform = uniform / uniform.sum(-1, keepdims=True)  # (prompt, query, key)
    previous = np.eye(size, k=-1, dtype=np.float32)[None] * (real[:, :, None] & real[:, None, :])
    half = 0.5 * previous + (1 - 0.5 * previous.sum(-1, keepdims=True)) * own
    heads = np.stack([np.broadcast_to(head, (prompts, size, size)) for head in (uniform, own, half)])
    rows = [heads[:, :, query, : end - start] for query, (start, end) in enumerate(rows_of(size, packing))]
    return np.concatenate(rows, axis=-1).astype(np.float32)


class _Landmarks:
    """The artificial heads, made for those prompts that are asked for."""

    def __init__(self, size, packing, real):
        self._size, self._packing, self._real = size, packing, np.asarray(real)

    def __len__(self):
        return len(ARTIFICIAL)

    def __getitem__(self, chosen):
        heads, prompts = chosen
        real = self._real[prompts]
        return artificial_heads(len(real), self._size, self._packing, real)[heads]


def project(heads, size, packing, *, seed=0, neighbours=5, min_dist=0.1, perplexity=5, real=None):
    """PCA, UMAP (densMAP) and t-SNE of heads as vectors over all prompts, fitted with the artificial heads.

    UMAP and t-SNE see the heads after an exact rotation into as many dimensions as there are heads, which leaves
    every distance alone and spares them the entries. Both run on one thread, and give the same points each time.

    Parameters
    ----------
    heads : array of shape (head, prompt, entry), or PatternStream
        Packed patterns.
    size : int
    packing : {"lower", "full"}
    seed : int
    neighbours : int
        Of UMAP, and of trustworthiness and continuity.
    min_dist, perplexity : float
        Of UMAP and of t-SNE.
    real : bool array of shape (prompt, position), optional
        As for `artificial_heads`.

    Returns
    -------
    Projection

    Raises
    ------
    InputError
        If there are too few heads for so many neighbours.
    """
    count = len(heads) + len(ARTIFICIAL)
    fewest = max(2 * neighbours + 1, int(np.ceil(perplexity)) + 1)
    if count < fewest:
        raise InputError(
            f"{len(heads)} heads are too few for neighbours {neighbours} and perplexity {perplexity}: "
            f"with {len(ARTIFICIAL)} artificial heads there must be at least {fewest}"
        )
    landmarks = _Landmarks(size, packing, np.ones((heads.shape[1], size), dtype=bool) if real is None else real)
    with threadpool_limits(1):
        rotated, ratios = _rotated(heads, landmarks)  # with the landmarks there are at least two components
        # before UMAP, whose numba gives OpenMP its threads back: they would wait for one another at every step
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(rotated)
        coordinates = {"pca": rotated[:, :2], "umap": _umap(rotated, neighbours, min_dist, seed), "tsne": tsne}
        quality = {method: _quality(rotated, points, neighbours) for method, points in coordinates.items()}
    coordinates = {method: points.astype(np.float32) for method, points in coordinates.items()}
    return Projection(coordinates, quality, ratios[:2])


def umap_plane(heads, *, neighbours=5, min_dist=0.1, seed=0):
    """UMAP of heads alone, without landmarks (Figure 5): array of shape (head, 2), float32.

    Parameters are those of `project`; of too few heads for so many neighbours the first two principal components.
    """
    with threadpool_limits(1):
        rotated, _ = _rotated(heads)
        if len(heads) < 2 * neighbours + 1:
            return np.pad(rotated, ((0, 0), (0, 2)))[:, :2].astype(np.float32)
        return _umap(rotated, neighbours, min_dist, seed).astype(np.float32)


def _umap(rotated, neighbours, min_dist, seed):
    distances = squareform(pdist(rotated))
    np.fill_diagonal(distances, -1)  # a head comes first among its own neighbours, before its equals
    nearest = np.ascontiguousarray(np.argsort(distances, axis=1, kind="stable")[:, :neighbours])
    near = np.maximum(np.take_along_axis(distances, nearest, axis=1), 0).astype(np.float32)
    settings = {"n_neighbors": neighbours, "min_dist": min_dist, "densmap": True, "random_state": seed, "n_jobs": 1}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="precomputed_knn", module="umap")
        # the exact neighbours, so that UMAP does not spend a third of its time compiling a search for them
        return load_umap().UMAP(**settings, precomputed_knn=(nearest, near)).fit_transform(rotated)


def _rotated(*groups):
    """Heads in the directions of their principal components, (head, component), and the ratios of variance.

    From the inner products, so that memory does not grow with the entries. Of each component the head that is
    furthest out has a positive value.
    """
    fitted = KernelPCA(kernel="precomputed", eigen_solver="dense", remove_zero_eig=True)
    rotated = fitted.fit_transform(gram(*groups))
    rotated *= np.where(rotated.max(0) >= -rotated.min(0), 1, -1)
    return rotated, fitted.eigenvalues_ / fitted.eigenvalues_.sum()


def _quality(rotated, points, neighbours):
    """How many of a head's neighbours on the plane were its neighbours before, and the other way round.

    Both after Venna & Kaski (2001); continuity is trustworthiness with the two spaces exchanged.
    """
    trust = trustworthiness(rotated, points, n_neighbors=neighbours)
    continuity = trustworthiness(points, rotated, n_neighbors=neighbours)
    return {"trustworthiness": float(trust), "continuity": float(continuity), "neighbours": neighbours}


def components(heads, *, count=5, prompts=8):
    """The principal components over heads, as packed patterns of the first prompts (Figure 9).

    The components are those of all prompts, unit vectors over all entries; the signs are such that the head furthest
    out on a component is on its positive side.

    Parameters
    ----------
    heads : array of shape (head, prompt, entry), or PatternStream
        Without artificial heads.
    count : int
        Components.
    prompts : int
        Prompts to give the weights of, the first ones.

    Returns
    -------
    weights : ndarray of shape (component, prompt, entry), float32
    ratios : ndarray of shape (component,)
        Explained variance ratios.
    """
    with threadpool_limits(1):
        rotated, ratios = _rotated(heads)
    if rotated.shape[1] < count:
        raise InputError(f"{len(heads)} heads span {rotated.shape[1]} components; {count} are asked for")
    chosen = rotated[:, :count]
    first = heads.first(prompts) if hasattr(heads, "first") else heads[:, :prompts]
    part = np.asarray(first, dtype=np.float64)
    centred = part - part.mean(0)
    weights = np.einsum("hc,hpe->cpe", chosen / np.square(chosen).sum(0), centred)
    return weights.astype(np.float32), ratios[:count]


def first_token(features):
    """Tokens on a plane by what all heads do with them: PCA over heads (Figure 11).

    Parameters
    ----------
    features : array of shape (head, prompt, position)
        `self_scores` (as published) or `first_token_attention` (what the figure's title says).

    Returns
    -------
    coordinates : ndarray of shape (prompt, position, 2), float32
    ratios : ndarray of shape (2,)
        Explained variance ratios.
    """
    heads, prompts, positions = features.shape
    if heads < 2:
        raise InputError(f"{heads} head gives no plane; the figure needs at least 2")
    fitted = PCA(2, svd_solver="full")
    with threadpool_limits(1):
        points = fitted.fit_transform(np.asarray(features, dtype=np.float64).reshape(heads, -1).T)
    points *= np.where(points.max(0) >= -points.min(0), 1, -1)
    return points.reshape(prompts, positions, 2).astype(np.float32), fitted.explained_variance_ratio_


def self_scores(queries, keys, scaling):
    """Scores before the softmax of every token with itself, which is what the published Figure 11 shows.

    Parameters
    ----------
    queries, keys : arrays of shape (head, prompt, position, d_head)
    scaling : float
        A score is q.k times it.

    Returns
    -------
    ndarray of shape (head, prompt, position), float32
    """
    return (np.einsum("hptd,hptd->hpt", queries, keys) * np.float32(scaling)).astype(np.float32)


def first_token_attention(heads, size, packing):
    """Attention of every later position to position 0, where the query at position 0 has no part in it.

    Parameters
    ----------
    heads : array of shape (head, prompt, entry)
    size : int
    packing : {"lower", "full"}

    Returns
    -------
    ndarray of shape (head, prompt, position - 1)
        For positions 1 and on.
    """
    return np.stack([heads[:, :, start] for start, _ in rows_of(size, packing)[1:]], axis=-1)
