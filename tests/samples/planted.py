"""Heads of known types in several members: the truth that searches for groups are held against."""

import numpy as np


def planted_heads(types=8, members=9, prompts=60, size=8, noise=0.5, seed=0):
    """Softmax attention patterns of heads whose type shows in every prompt.

    Logits are the type's own positional preference plus the type's reaction to the prompt, both of unit variance, plus
    `noise` times what is the head's alone. `noise=None` leaves nothing but what is the head's alone.

    Returns
    -------
    patterns : array of float32, (head, prompt, entry)
        Member-major; entries are the lower triangle by rows.
    member, kind : array of int, (head,)
        A member's heads come in an order of its own.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.tril_indices(size)
    preference = rng.normal(size=(types, 1, len(rows)))
    reaction = rng.normal(size=(types, prompts, len(rows)))
    kind = np.concatenate([rng.permutation(types) for _ in range(members)])
    own = rng.normal(size=(len(kind), prompts, len(rows)))
    logits = own if noise is None else (preference + reaction)[kind] + noise * own
    full = np.full((*logits.shape[:2], size, size), -np.inf)
    full[..., rows, columns] = logits
    weights = np.exp(full)
    patterns = weights / weights.sum(-1, keepdims=True)
    return patterns[..., rows, columns].astype(np.float32), np.repeat(np.arange(members), types), kind


def unrelated_heads(rng, exclude, members=9, heads=8, size=12):
    """Heads as directions, (head, size), of members that have nothing in common.

    Where heads of a member exclude one another, they are orthogonal: each is where the others of its member are not.
    Either way they have no counterparts in other members.
    """
    drawn = rng.normal(size=(members, size, heads))
    directions = np.linalg.qr(drawn)[0] if exclude else drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return directions.swapaxes(1, 2).reshape(members * heads, size)
