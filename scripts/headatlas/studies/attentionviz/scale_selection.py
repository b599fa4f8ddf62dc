"""Which constant each criterion chooses for every head of a family, as published and corrected.

After Chen, "Exploring transformer interpretability", section 1.2 and Figure 2.
"""

import numpy as np
import pandas as pd

from headatlas.base import progress
from headatlas.studies.attentionviz import key_scaling

LEVEL = 0.95  # of intervals


def choose(layers, real, causal, *, constants, percentile, minimum, draws, seed, total=None):
    """Choose the constants of all heads by all criteria.

    Parameters
    ----------
    layers : iterable of LayerVectors
        Queries and keys of shape (head, prompt, position, d_head), one layer of one member after the other.
    real : bool array of shape (prompt, position)
        False where a token is padding. The published criteria see the first 200 prompts.
    causal : bool
    constants : sequence of float
        Ascending.
    percentile : float
        In percent: how many of a head's pairs are near, corrected.
    minimum : int
        Fewer pairs than this are no evidence, corrected.
    draws, seed : int
        Of the bootstrap over sentences.
    total : int, optional
        Heads that there are, for the progress shown.

    Returns
    -------
    scores : DataFrame of [member, layer, head, protocol, criterion, c, score, low, high, pairs]
        Both weighted correlations at every constant. `pairs` counts pairs, or rows where rows are averaged.
    scales : DataFrame of [member, layer, head, protocol, criterion, c, low, high, undetermined, score, correlation]
        The constant chosen, NaN where there is no evidence, the score that it has by its criterion, and, so that
        criteria can be compared, the correlation of squared distance and dot product at it. It is `undetermined` where
        it is missing, lies on the edge of the grid, or has an interval that spans half of the grid's factor or more.
    """
    heads, first, pooled, optima, ratios, covariances = [], [], [], [], [], []
    first_ones = slice(key_scaling.PUBLISHED_SENTENCES)
    square = key_scaling.visible(real[first_ones], causal=False)
    seen = key_scaling.visible(real, causal)
    weights = key_scaling.resampled(len(real), draws, seed)
    with progress.bar(total, "scales", "heads") as shown:
        for member, layer, queries, keys in layers:
            for head in range(len(queries)):
                heads.append((member, layer, head))
                raw = key_scaling.measure_pairs(queries[head][first_ones], keys[head][first_ones], square)
                first.append(key_scaling.published_rows(raw, constants))
                ratios.append((key_scaling.norm_ratio(raw), _root_of_ratio(queries[head], keys[head], real, weights)))
                pairs = key_scaling.measure_pairs(queries[head], keys[head], seen, centred=True)
                settings = {"constants": constants, "percentile": percentile, "minimum": minimum}
                pooled.append(key_scaling.pooled_scores(pairs, weights, **settings))
                covariance = key_scaling.covariances(pairs, weights)
                covariances.append(covariance[0])
                enough = pairs.kept.sum() >= max(minimum, 3)
                optima.append(key_scaling.closed_form(covariance if enough else np.full_like(covariance, np.nan)))
                shown.update()
    totals, rows = (np.array(part) for part in zip(*first, strict=True))  # (head, c)
    parts = _Tables(pd.DataFrame(heads, columns=["member", "layer", "head"]).astype("int32"), constants, covariances)
    parts.on_grid("published", "weighted_correlation", _share(totals, rows)[:, None], rows)
    member = np.array([of for of, *_ in heads])
    scaled = _share(totals, _over_member(rows, member))
    parts.on_grid("published", "weighted_correlation_scaled", scaled[:, None], rows)
    parts.continuous("published", "norm_ratio", np.array([[ratio] for ratio, _ in ratios]))
    counts = np.array([each.pairs for each in pooled])
    parts.on_grid("corrected", "weighted_correlation", np.array([each.pooled for each in pooled]), counts)
    totals, rows = (np.array([getattr(each, name) for each in pooled]) for name in ("totals", "rows"))
    scaled = np.where(np.isnan(rows), np.nan, _share(totals, _over_member(rows, member)))
    parts.on_grid("corrected", "weighted_correlation_scaled", scaled, np.nan_to_num(rows[:, 0]))
    parts.continuous("corrected", "norm_ratio", np.array([roots for _, roots in ratios]))
    chosen, correlations = (np.array(part) for part in zip(*optima, strict=True))
    parts.continuous("corrected", "closed_form", chosen, correlations[:, 0])
    return pd.concat(parts.scores, ignore_index=True), pd.concat(parts.scales, ignore_index=True)


def _over_member(rows, member):
    """Rows (head, ...) counted across all heads of the head's own member: no constant depends on other members."""
    totals = np.stack([np.nansum(rows[member == one], axis=0) for one in range(member.max() + 1)])
    return totals[member]


class _Tables:
    """Rows of both tables, criterion after criterion."""

    def __init__(self, heads, constants, covariances):
        self.heads, self.constants, self.scores, self.scales = heads, np.asarray(constants), [], []
        self.covariances = np.array(covariances)  # (head, 4, 4)

    def on_grid(self, protocol, criterion, values, counts):
        """`values` of shape (head, draw + 1, c), `counts` of shape (head, c)."""
        place = key_scaling.nearest_to_minus_one(values)  # (head, draw + 1)
        c = np.where(place < 0, np.nan, self.constants[place])
        best = np.take_along_axis(values[:, 0], np.maximum(place[:, :1], 0), axis=1)[:, 0]
        self.continuous(protocol, criterion, c, np.where(place[:, 0] < 0, np.nan, best), method="nearest")
        low, high = _interval(values)
        columns = {"c": np.tile(self.constants, len(values)), "score": values[:, 0].ravel()}
        columns |= {"low": low.ravel(), "high": high.ravel(), "pairs": np.asarray(counts, dtype=np.int64).ravel()}
        repeated = self.heads.loc[self.heads.index.repeat(len(self.constants))].reset_index(drop=True)
        self.scores.append(repeated.assign(protocol=protocol, criterion=criterion, **columns))

    def continuous(self, protocol, criterion, c, score=np.nan, method="linear"):
        """`c` of shape (head, draw + 1), `score` of shape (head,)."""
        low, high = _interval(c, method)
        columns = {"c": c[:, 0], "low": low, "high": high, "undetermined": self._undetermined(c[:, 0], low, high)}
        columns["score"] = score
        columns["correlation"] = key_scaling.correlation_at(self.covariances, c[:, 0])
        self.scales.append(self.heads.assign(protocol=protocol, criterion=criterion, **columns))

    def _undetermined(self, c, low, high):
        least, most = self.constants[[0, -1]]
        wide = np.divide(high, low, out=np.ones(len(c)), where=np.isfinite(high) & (low > 0))
        return np.isnan(c) | (c <= least) | (c >= most) | (wide >= np.sqrt(most / least))


def _interval(values, method="linear"):
    """Ends of the percentile interval over the draws, which follow row 0 on axis 1; NaN where row 0 is missing."""
    drawn = values[:, 1:]
    known = np.isfinite(values[:, :1]) & np.isfinite(drawn)
    if drawn.shape[1] == 0 or not known.any():
        missing = np.full(values[:, 0].shape, np.nan)
        return missing, missing
    # heads without any draw hold zeros meanwhile, for NumPy warns of rows of NaN alone
    shown = np.where(known.any(1, keepdims=True), np.where(known, drawn, np.nan), 0)
    low, high = np.nanquantile(shown, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1, method=method)
    return tuple(np.where(known.any(1), end, np.nan) for end in (low, high))


def _share(totals, counts):
    """Totals over counts; published, a head without any row scores 0."""
    shape = np.broadcast_shapes(np.shape(totals), np.shape(counts))
    return np.divide(totals, counts, out=np.zeros(shape), where=np.broadcast_to(counts, shape) > 0)


def _root_of_ratio(queries, keys, real, weights):
    """Root of the ratio of median lengths, of all sentences and of each draw of them."""
    medians = []
    for vectors in (queries, keys):
        lengths = np.linalg.norm(vectors[real].astype(np.float64), axis=-1)
        order = np.argsort(lengths, kind="stable")
        of_tokens = weights[:, np.nonzero(real)[0][order]]  # (draw, token): how often each token was drawn
        reached = np.cumsum(of_tokens, axis=1)
        # the lower and the upper middle, so that with every token once this is the ordinary median
        half = reached[:, -1:] / 2
        lower, upper = (reached < half).sum(1), (reached <= half).sum(1)
        ends = [lengths[order][np.minimum(side, len(order) - 1)] for side in (lower, upper)]
        medians.append(np.mean(ends, axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(medians[1] > 0, np.sqrt(medians[0] / medians[1]), np.nan)
