"""Planted queries and keys of heads, and what they make."""

import numpy as np

from headatlas.attention.queries_keys import LayerVectors
from headatlas.studies.attentionviz import embedding_variants, key_scaling, scale_selection

PROMPTS, SIZE, WIDTH = 12, 9, 5


def head(seed=0, ratio=1.0, prompts=PROMPTS, shift=0.0):
    """Queries and keys of one head, correlated with one another and each of lengths that vary."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(0, 1, (prompts, SIZE, WIDTH))
    queries, keys = (shared + generator.normal(0, 1, shared.shape) for _ in range(2))
    lengths = generator.uniform(0.5, 2, (2, prompts, SIZE, 1))
    return (ratio * lengths[0] * queries + shift).astype(np.float32), (lengths[1] * keys - shift).astype(np.float32)


def everything(causal=True, prompts=PROMPTS):
    return key_scaling.visible(np.ones((prompts, SIZE), dtype=bool), causal)


def chosen(heads, **changes):
    queries, keys = (np.stack(part) for part in zip(*heads, strict=True))
    settings = {"constants": key_scaling.CONSTANTS, "percentile": 20, "minimum": 20, "draws": 100, "seed": 0} | changes
    real = np.ones(queries.shape[1:3], dtype=bool)
    return scale_selection.choose([LayerVectors(0, 0, queries, keys)], real, True, **settings)


REAL = np.ones((PROMPTS, SIZE), dtype=bool)


def compared(heads, scales, **changes):
    queries, keys = (np.stack(part) for part in zip(*heads, strict=True))
    settings = {"methods": ["pca"], "seed": 0, "epochs": 5} | changes
    return embedding_variants.compare([LayerVectors(0, 0, queries, keys)], REAL, True, scales, **settings)
