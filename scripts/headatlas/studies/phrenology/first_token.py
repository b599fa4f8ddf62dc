"""Attention to the first token beside that of a head which attends to all keys alike (Figure 11)."""

import numpy as np

from headatlas.studies.phrenology import projections


def times_uniform(heads, size, packing):
    """How many times as much as a uniform head each later position attends to position 0.

    A uniform head gives the first of i + 1 visible keys 1 / (i + 1): without the division, tokens would lie in the
    order of their positions.

    Parameters
    ----------
    heads : array of shape (head, prompt, entry)
    size : int
        Positions of a prompt.
    packing : {"lower", "full"}

    Returns
    -------
    ndarray of shape (head, prompt, position - 1), float32
        For positions 1 and on.
    """
    visible = np.arange(2, size + 1) if packing == "lower" else np.full(size - 1, size)
    return projections.first_token_attention(heads, size, packing) * visible.astype(np.float32)
