"""What a head's weights say of tokens: which it would raise where it looks at which, and which it seeks from which.

Both circuits are read along the direct path from embedding to unembedding (Elhage et al. 2021): what they say is exact
for a first layer without an MLP before it, and a first look for later ones. Weights as in `weight_scores`.
"""

import numpy as np
import pandas as pd

from headatlas.base.errors import InputError

CIRCUITS = ("ov", "qk")
COLUMNS = {  # of a table of pairs, with their Arrow types
    **dict.fromkeys(("member", "layer", "head"), "int32"),
    "circuit": "string",
    **dict.fromkeys(("rank", "source", "target"), "int32"),
    **dict.fromkeys(("value", "chance"), "double"),
}


def common_tokens(windows, most, special=()):
    """The tokens that occur most, frequent first: those of which weights have learnt something.

    Parameters
    ----------
    windows : integer array
    most : int
    special : iterable of int
        Ids left out.

    Returns
    -------
    ndarray of int64
    """
    ids, counts = np.unique(np.asarray(windows), return_counts=True)
    known = ~np.isin(ids, list(special))
    ids, counts = ids[known], counts[known]
    if len(ids) < 2:
        raise InputError(f"windows: {len(ids)} different token(s) that are not special; at least 2 are needed")
    return ids[np.lexsort((ids, -counts))][:most].astype(np.int64)


def strongest_pairs(member, layer, weights, tokens, *, most=10, draws=5, seed=0):
    """The strongest pairs of tokens in the OV and QK circuit of each head of a layer.

    An entry of OV is what attending to the source, rather than to an average token, adds to the logit of the target
    beside an average one; of QK, how much more the target's key than an average one matches the source's query than an
    average one. Both in standard deviations over all entries of the head.

    Parameters
    ----------
    member, layer : int
    weights : mapping
        Of the layer, as `families.load_family(...).head_weights` gives them.
    tokens : integer array of shape (token,)
        The tokens that are looked at, two or more.
    most : int
        Pairs of each circuit of each head.
    draws : int
        Random heads behind the chance level.
    seed : int

    Returns
    -------
    DataFrame
        member, layer, head, circuit ("ov", "qk"), rank (from 1), source, target (ids), value, chance: the mean of what
        random heads of the same size reach at that rank.
    """
    embedded = _centred(weights["W_E"][tokens].astype(np.float64))  # (token, d_model)
    unembedded = _centred(weights["W_U"].T[tokens].astype(np.float64))
    heads, d_model, d_head = weights["W_V"].shape
    ends = {"ov": unembedded, "qk": embedded}
    factors = {"ov": (weights["W_V"], weights["W_O"]), "qk": (weights["W_Q"], weights["W_K"].transpose(0, 2, 1))}
    rng, parts = np.random.default_rng(seed), []
    for circuit in CIRCUITS:
        random = [
            _strongest(embedded, *random_factors(rng, d_model, d_head), ends[circuit], most)[1] for _ in range(draws)
        ]
        for head in range(heads):
            (source, target), value = _strongest(
                embedded, *(factor[head].astype(np.float64) for factor in factors[circuit]), ends[circuit], most
            )
            identity = {"member": member, "layer": layer, "head": head, "circuit": circuit}
            columns = {"rank": np.arange(1, len(value) + 1), "source": tokens[source], "target": tokens[target]}
            parts.append(pd.DataFrame(identity | columns | {"value": value, "chance": np.mean(random, axis=0)}))
    found = pd.concat(parts, ignore_index=True)
    return found.astype(dict.fromkeys(("member", "layer", "head", "rank", "source", "target"), "int32"))


def random_factors(rng, d_model, d_head):
    """The two factors of a circuit of a random head."""
    return rng.normal(size=(d_model, d_head)), rng.normal(size=(d_head, d_model))


def _centred(rows):
    return rows - rows.mean(0)


def _strongest(left, first, second, right, most):
    """Rows and columns of the largest entries of left first second right^T, and the entries over their deviation."""
    entries = (left @ first) @ (second @ right.T)
    entries /= max(entries.std(), 1e-30)
    best = np.argsort(-entries, axis=None, kind="stable")[:most]
    return np.unravel_index(best, entries.shape), entries.ravel()[best]
