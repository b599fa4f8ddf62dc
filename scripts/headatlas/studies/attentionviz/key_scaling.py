"""The constant c by which queries are divided and keys multiplied, so that closeness shows attention.

After Chen, "Exploring transformer interpretability", section 1, and Yeh et al. 2023 (AttentionViz). Attention does not
change when q becomes q / c and k becomes k c, but distances do; criteria choose the c at which distance and dot product
are opposed most. The paper prints the inverse of this direction; only this one agrees with its c = sqrt(|q| / |k|).

All that criteria need of a head is how long its vectors are and their inner products: `Pairs`. Published, a pair is any
query and any key of one sentence; corrected, a query and a key that it may look at, and keys are translated to the
queries' centroid as they are when viewed.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

CONSTANTS = (0.2, 0.4, 0.8, 1.0, 1.25, 2.5, 5.0)
PUBLISHED_THRESHOLD = 12.0  # of the distance; left over in memory from another cell of the published notebook
PUBLISHED_SENTENCES = 200
CRITERIA = ("weighted_correlation", "weighted_correlation_scaled", "norm_ratio", "closed_form")
UNCHANGED = 1e-4  # an attention weight that changes by less is left alone: single precision rounds
_TINY = 1e-12


class Pairs(NamedTuple):
    """Queries and keys of one head in numbers: |q / c - k c|^2 = squared_queries / c^2 + squared_keys c^2 - 2 inner.

    Attributes
    ----------
    squared_queries, squared_keys : float64 arrays of shape (prompt, position)
    inner : float64 array of shape (prompt, query, key)
        Inner products of the vectors as they lie when viewed.
    scores : float64 array of shape (prompt, query, key)
        Dot products that attention is made from.
    kept : bool array of shape (prompt, query, key)
        The pairs that count.
    """

    squared_queries: np.ndarray
    squared_keys: np.ndarray
    inner: np.ndarray
    scores: np.ndarray
    kept: np.ndarray


def visible(real, causal):
    """Which keys each query may look at.

    Parameters
    ----------
    real : bool array of shape (prompt, position)
        False where a token is padding: neither query nor key.
    causal : bool

    Returns
    -------
    bool array of shape (prompt, query, key)
    """
    real = np.asarray(real)
    both = real[:, :, None] & real[:, None, :]
    return both & np.tri(real.shape[1], dtype=bool) if causal else both


def prompts_within(prompts, size, pairs):
    """How many prompts to measure on: the first ones, which were drawn at random as all are.

    Parameters
    ----------
    prompts, size : int
        How many there are, and the tokens of each.
    pairs : int
        Queries with keys that a head may be measured on at most.

    Returns
    -------
    int
        At least two, where there are two: intervals need them.
    """
    return min(prompts, max(2, pairs // size**2))


def centroids(queries, keys, real):
    """Mean query and mean key over the tokens that are no padding, each of shape (d_head,)."""
    return queries[real].mean(0, dtype=np.float64), keys[real].mean(0, dtype=np.float64)


def measure_pairs(queries, keys, kept, centred=False):
    """Lengths and inner products of one head.

    Parameters
    ----------
    queries, keys : arrays of shape (prompt, position, d_head)
    kept : bool array of shape (prompt, query, key)
        As `visible` gives.
    centred : bool
        Whether keys are translated to the queries' centroid, which attention does not notice. Dot products are then
        taken with keys less their own centroid, so that a query's common term does not pass for attention.

    Returns
    -------
    Pairs
    """
    queries, keys = np.asarray(queries, dtype=np.float64), np.asarray(keys, dtype=np.float64)
    if not centred:
        inner = queries @ keys.swapaxes(-1, -2)
        return Pairs(np.square(queries).sum(-1), np.square(keys).sum(-1), inner, inner, kept)
    middle, of_keys = centroids(queries, keys, np.diagonal(kept, axis1=1, axis2=2))
    moved = keys - of_keys
    scores = queries @ moved.swapaxes(-1, -2)  # (prompt, query, key)
    around = queries - middle
    return Pairs(np.square(around).sum(-1), np.square(moved).sum(-1), around @ moved.swapaxes(-1, -2), scores, kept)


def distances(pairs, c):
    """Euclidean distances between q / c and k c, of shape (prompt, query, key)."""
    squared = (pairs.squared_queries / c**2)[..., None] + (pairs.squared_keys * c**2)[:, None, :] - 2 * pairs.inner
    return np.sqrt(np.maximum(squared, 0))


def row_correlations(pairs, c, threshold):
    """Weighted correlation of dot product and distance in the row of each query that has two or more near keys.

    Near are the keys closer than `threshold`, with weights (threshold - distance)^2. A row without spread in either has
    no correlation.

    Parameters
    ----------
    pairs : Pairs
    c, threshold : float

    Returns
    -------
    float64 array of shape (prompt, query)
        NaN where a row has none.
    """
    far = distances(pairs, c)
    near = pairs.kept & (far < threshold)
    weights = np.where(near, threshold - far, 0) ** 2
    moments = _moments((pairs.scores, far), weights, axis=-1)
    return np.where(near.sum(-1) >= 2, _correlation(moments), np.nan)


def _moments(variables, weights, axis):
    """Weighted sums of 1, x, y, xx, xy, yy along axes, on a new last axis."""
    x, y = variables
    parts = [weights, weights * x, weights * y, weights * x * x, weights * x * y, weights * y * y]
    return np.stack([part.sum(axis) for part in parts], axis=-1)


def _correlation(moments):
    """Correlation from what `_moments` gives, summed over whatever is pooled; NaN without spread."""
    one, x, y, xx, xy, yy = np.moveaxis(moments, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y, xx, xy, yy = (part / one for part in (x, y, xx, xy, yy))
        spread_x, spread_y = xx - x * x, yy - y * y
        found = (xy - x * y) / np.sqrt(spread_x * spread_y)
    return np.where((spread_x > _TINY * xx) & (spread_y > _TINY * yy), np.clip(found, -1, 1), np.nan)


def published_rows(pairs, constants=CONSTANTS, threshold=PUBLISHED_THRESHOLD):
    """What both published criteria are made from: for each c the sum of row correlations and the number of rows.

    Parameters
    ----------
    pairs : Pairs
        Of the first 200 sentences, not centred, every key of a sentence kept.
    constants : sequence of float
    threshold : float

    Returns
    -------
    totals, rows : arrays of shape (c,)
    """
    found = [row_correlations(pairs, c, threshold) for c in constants]
    return np.array([np.nansum(each) for each in found]), np.array([np.isfinite(each).sum() for each in found])


def nearest_to_minus_one(scores):
    """Index of the score nearest -1 along the last axis, the first of equals; -1 where all are missing."""
    scores = np.asarray(scores, dtype=np.float64)
    away = np.where(np.isnan(scores), np.inf, np.abs(scores + 1))
    return np.where(np.isinf(away).all(-1), -1, away.argmin(-1))


class PooledScores(NamedTuple):
    """The corrected weighted correlations of one head.

    Attributes
    ----------
    pooled : float64 array of shape (draw + 1, c)
        Over all near pairs of the head; row 0 of all sentences, the others of sentences drawn with replacement.
        NaN where too few pairs are near.
    totals, rows : float64 arrays of shape (draw + 1, c)
        Sum of the correlations of rows, and number of rows.
    pairs : int array of shape (c,)
        Near pairs.
    """

    pooled: np.ndarray
    totals: np.ndarray
    rows: np.ndarray
    pairs: np.ndarray


def pooled_scores(pairs, draws, *, constants=CONSTANTS, percentile=0.5, minimum=20):
    """Weighted correlations with the threshold taken anew for each c, and their bootstrap over sentences.

    The threshold of a c is the given percentile of the head's own distances at this c; it stays that of all sentences
    when sentences are drawn again.

    Parameters
    ----------
    pairs : Pairs
    draws : array of shape (draw, prompt)
        How often each sentence is taken, as `resampled` gives; its first row all ones.
    constants : sequence of float
    percentile : float
        In percent.
    minimum : int
        Fewer near pairs than this are no evidence.

    Returns
    -------
    PooledScores
    """
    pooled, totals, rows = (np.full((len(draws), len(constants)), np.nan) for _ in range(3))
    counts = np.zeros(len(constants), dtype=int)
    if not pairs.kept.any():
        return PooledScores(pooled, totals, rows, counts)
    centre = pairs.scores[pairs.kept].mean()
    for place, c in enumerate(constants):
        far = distances(pairs, c)
        threshold = np.percentile(far[pairs.kept], percentile)
        near = pairs.kept & (far < threshold)
        counts[place] = near.sum()
        # Variables are taken from their middle, or the squares of large scores would swallow their spread
        weights = np.where(near, (threshold - far) / max(threshold, _TINY), 0) ** 2
        of_sentences = _moments((pairs.scores - centre, far - threshold), weights, axis=(1, 2))  # (prompt, 6)
        enough = draws @ near.sum((1, 2)) >= minimum
        pooled[:, place] = np.where(enough, _correlation(draws @ of_sentences), np.nan)
        of_rows = row_correlations(pairs, c, threshold)
        totals[:, place] = draws @ np.nansum(of_rows, axis=1)
        rows[:, place] = np.where(enough, draws @ np.isfinite(of_rows).sum(1), np.nan)
    return PooledScores(pooled, totals, rows, counts)


def resampled(prompts, draws, seed):
    """How often each of `prompts` sentences is taken: all once in row 0, then in `draws` bootstrap draws."""
    generator = np.random.default_rng(seed)
    weights = generator.multinomial(prompts, np.full(prompts, 1 / prompts), size=draws)
    return np.concatenate([np.ones((1, prompts)), weights])


def covariances(pairs, draws):
    """Covariances, over all pairs, of squared query length, squared key length, inner product and score.

    Parameters
    ----------
    pairs : Pairs
    draws : array of shape (draw, prompt)

    Returns
    -------
    float64 array of shape (draw, 4, 4)
    """
    shape = pairs.kept.shape
    variables = [np.ones(shape), pairs.squared_queries[:, :, None], pairs.squared_keys[:, None, :]]
    variables = [np.broadcast_to(each, shape) for each in (*variables, pairs.inner, pairs.scores)]
    middle = [0.0, *(each[pairs.kept].mean() for each in variables[1:])]
    sums = np.zeros((shape[0], 5, 5))
    for prompt in range(shape[0]):  # one sentence at a time: memory does not grow with them
        kept = pairs.kept[prompt]
        rows = np.stack([each[prompt][kept] - less for each, less in zip(variables, middle, strict=True)])  # (5, pair)
        sums[prompt] = rows @ rows.T
    summed = np.tensordot(draws, sums, axes=1)  # (draw, 5, 5)
    summed = summed / np.maximum(summed[:, :1, :1], 1)
    means = summed[:, 0, 1:]
    return summed[:, 1:, 1:] - means[:, :, None] * means[:, None, :]


def correlation_at(covariance, c):
    """Correlation of squared distance and dot product at a constant.

    With u = c^2, squared distance is a / u + b u - 2 inner.

    Parameters
    ----------
    covariance : array of shape (..., 4, 4)
        As `covariances` gives.
    c : float or array of shape (...)

    Returns
    -------
    array of shape (...)
    """
    u = np.asarray(c, dtype=np.float64) ** 2
    parts = np.stack([1 / u, u, -2 * np.ones_like(u), np.zeros_like(u)], axis=-1)  # squared distance in the variables
    spread = np.einsum("...i,...ij,...j->...", parts, covariance, parts)
    together = np.einsum("...i,...i->...", parts, covariance[..., 3])
    with np.errstate(invalid="ignore", divide="ignore"):
        found = together / np.sqrt(spread * covariance[..., 3, 3])
    return np.where((spread > 0) & (covariance[..., 3, 3] > 0), np.clip(found, -1, 1), np.nan)


def _roots(coefficients):
    """Roots of polynomials of fourth degree, of shape (..., 4), all at once; NaN where there are fewer.

    As `numpy.roots`, which is left those whose first or last coefficient is zero.
    """
    roots = np.full((*coefficients.shape[:-1], 4), np.nan, dtype=complex)
    finite = np.isfinite(coefficients).all(-1)
    whole = finite & (coefficients[..., 0] != 0) & (coefficients[..., -1] != 0)
    companions = np.tile(np.eye(4, k=-1), (whole.sum(), 1, 1))
    companions[:, 0] = -coefficients[whole][:, 1:] / coefficients[whole][:, :1]
    roots[whole] = np.linalg.eigvals(companions)
    for place in map(tuple, np.argwhere(finite & ~whole)):
        own = np.roots(coefficients[place])
        roots[(*place, slice(len(own)))] = own
    return roots


def closed_form(covariance):
    """The c > 0 at which squared distance and dot product are opposed most, in closed form.

    The derivative of their correlation by u = c^2 vanishes where a polynomial of fourth degree does; of its positive
    roots the one of least correlation is taken.

    Parameters
    ----------
    covariance : array of shape (..., 4, 4)
        As `covariances` gives, of a, b, inner product t and score s.

    Returns
    -------
    c, correlation : arrays of shape (...)
        NaN where there is none: no spread, or a correlation that only falls towards 0 or infinity.
    """
    covariance = np.asarray(covariance, dtype=np.float64)
    aa, ab, at, as_ = np.moveaxis(covariance[..., 0, :], -1, 0)
    bb, bt, bs = np.moveaxis(covariance[..., 1, 1:], -1, 0)
    tt, ts = np.moveaxis(covariance[..., 2, 2:], -1, 0)
    middle = 2 * tt + ab
    coefficients = np.stack(  # of u^4, u^3, u^2, u, 1
        [
            ts * bb - bs * bt,
            bs * middle - as_ * bb - 2 * ts * bt,
            3 * (as_ * bt - bs * at),
            bs * aa - as_ * middle + 2 * ts * at,
            as_ * at - ts * aa,
        ],
        axis=-1,
    )
    roots = _roots(coefficients)
    u = np.where((np.abs(roots.imag) < 1e-6 * np.abs(roots)) & (roots.real > 0), roots.real, np.nan)
    found = correlation_at(covariance[..., None, :, :], np.sqrt(u))
    found = np.where(np.isnan(found), np.inf, found)
    best = found.argmin(-1)[..., None]
    least, u = (np.take_along_axis(each, best, -1)[..., 0] for each in (found, u))
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.diagonal(covariance, axis1=-2, axis2=-1)
        ends = covariance[..., :2, 3] / np.sqrt(spread[..., :2] * spread[..., 3:])
    chosen = least < np.fmin.reduce(ends, axis=-1, initial=1)  # else it falls towards 0 or infinity
    return np.where(chosen, np.sqrt(u), np.nan), np.where(chosen, least, np.nan)


def norm_ratio(pairs):
    """Median length of a head's queries over that of its keys; the c that makes them equal is its root.

    The published heat map shows this ratio itself, where the text says its root.

    Parameters
    ----------
    pairs : Pairs
        Not centred.

    Returns
    -------
    float
        NaN where keys have no length.
    """
    real = np.diagonal(pairs.kept, axis1=1, axis2=2)
    if not real.any():
        return np.nan
    medians = [np.median(np.sqrt(squared[real])) for squared in (pairs.squared_queries, pairs.squared_keys)]
    return medians[0] / medians[1] if medians[1] > 0 else np.nan


def attention(queries, keys, seen, scaling):
    """Attention of one head from its queries and keys, in float64.

    Parameters
    ----------
    queries, keys : arrays of shape (prompt, position, d_head)
    seen : bool array of shape (prompt, query, key)
    scaling : float

    Returns
    -------
    array of shape (prompt, query, key)
        Rows sum to one, or are zero where a query sees nothing.
    """
    scores = np.where(seen, np.asarray(queries, dtype=np.float64) @ np.swapaxes(keys, -1, -2) * scaling, -np.inf)
    highest = scores.max(-1, keepdims=True)
    raised = np.exp(scores - np.where(np.isfinite(highest), highest, 0))
    return raised / np.maximum(raised.sum(-1, keepdims=True), np.finfo(float).tiny)


def invariance(queries, keys, seen, scaling, constants=CONSTANTS):
    """How much attention changes at most under scaling, under translation of keys, and under translation of queries.

    Keys are translated to the queries' centroid, queries to the keys'. Everything is done in float32, as in a figure.

    Parameters
    ----------
    queries, keys : float32 arrays of shape (prompt, position, d_head)
    seen : bool array of shape (prompt, query, key)
    scaling : float
    constants : sequence of float

    Returns
    -------
    dict from {"scaling", "key translation", "query translation"} to float
        Largest difference of an attention weight.
    """
    middle, of_keys = centroids(queries, keys, np.diagonal(seen, axis1=1, axis2=2))
    shift = (middle - of_keys).astype(np.float32)
    before = attention(queries, keys, seen, scaling)
    scaled = [(queries / np.float32(c), keys * np.float32(c)) for c in constants]
    changed = {
        "scaling": scaled,
        "key translation": [(queries, keys + shift)],
        "query translation": [(queries - shift, keys)],
    }
    return {
        change: max(float(np.abs(attention(*moved, seen, scaling) - before).max()) for moved in vectors)
        for change, vectors in changed.items()
    }


def invariances(layers, seen, factor, constants=CONSTANTS):
    """`invariance` of every head.

    Parameters
    ----------
    layers : iterable of LayerVectors
        Queries and keys of shape (head, prompt, position, d_head).
    seen : bool array of shape (prompt, query, key)
    factor : float
        By which dot products are multiplied before the softmax.
    constants : sequence of float

    Returns
    -------
    DataFrame of [member, layer, head, change, difference]
        `difference`: the largest of an attention weight.
    """
    rows = []
    for member, layer, queries, keys in layers:
        for head, (of_queries, of_keys) in enumerate(zip(queries, keys, strict=True)):
            found = invariance(of_queries, of_keys, seen, factor, constants)
            rows += [(member, layer, head, change, difference) for change, difference in found.items()]
    table = pd.DataFrame(rows, columns=["member", "layer", "head", "change", "difference"])
    return table.astype(dict.fromkeys(("member", "layer", "head"), "int32"))
