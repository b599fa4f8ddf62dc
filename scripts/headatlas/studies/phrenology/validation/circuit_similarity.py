"""How alike heads are by their weights alone: the cosine of their OV and of their QK circuits over the vocabulary.

A head's OV circuit W_E W_V W_O W_U says which token raises the logits of which; its QK circuit W_E W_Q W_K^T W_E^T
says which token attends to which (Elhage et al. 2021). Both are vocabulary x vocabulary, so heads of networks with one
tokenizer can be compared without aligning their residual streams. They are never formed: of two circuits L R^T and
L' R'^T with thin factors, (vocabulary, d_head), the inner product is the sum over (L^T L') * (R^T R'), and L^T L'
follows from the d_model x d_model product W_E^T W_E' of the networks' embeddings.

What a softmax does not see is taken off: what is added to all logits of a token's OV row, and to all keys of a query's
QK row.
"""

import numpy as np

from headatlas.base.errors import InputError

CIRCUITS = ("ov", "qk")


def circuit_cosines(networks):
    """Cosines between the circuits of all heads.

    Parameters
    ----------
    networks : sequence of sequence of mapping
        For each network its layers: what `head_weights` gives (`families.load_family`). The vocabulary is one; where
        tables differ in length, the tokens that all have.

    Returns
    -------
    dict from {"ov", "qk"} to float64 array of shape (head, head)
        Heads network by network, layer by layer. 0 for a head whose circuit is zero.
    """
    vocabulary = min(len(layers[0]["W_E"]) for layers in networks)
    tables = [_tables(layers[0], vocabulary) for layers in networks]
    factors = [_factors(layers) for layers in networks]
    sizes = [len(found["W_V"]) for found in factors]
    ends = np.cumsum(sizes)
    cosines = {name: np.zeros((ends[-1], ends[-1])) for name in CIRCUITS}
    for first, ours in enumerate(factors):
        for second in range(first + 1):
            theirs = factors[second]
            embedded, keys, unembedded = (a.T @ b for a, b in zip(tables[first], tables[second], strict=True))
            blocks = {
                "ov": _products((ours["W_V"], ours["W_O"]), (theirs["W_V"], theirs["W_O"]), embedded, unembedded),
                "qk": _products((ours["W_Q"], ours["W_K"]), (theirs["W_Q"], theirs["W_K"]), embedded, keys),
            }
            rows = slice(ends[first] - sizes[first], ends[first])
            columns = slice(ends[second] - sizes[second], ends[second])
            for name, block in blocks.items():
                cosines[name][rows, columns], cosines[name][columns, rows] = block, block.T
    for name, products in cosines.items():
        lengths = np.sqrt(np.clip(np.diag(products), 0, None))
        scale = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        cosines[name] = np.clip(products * scale * scale[:, None], -1, 1)
    return cosines


def _tables(weights, vocabulary):
    """Embedding of the source or the query, embedding of the key and unembedding: (vocabulary, d_model) each."""
    embedding = np.asarray(weights["W_E"][:vocabulary], dtype=np.float64)
    unembedding = np.asarray(weights["W_U"][:, :vocabulary], dtype=np.float64).T
    return embedding, embedding - embedding.mean(0), unembedding - unembedding.mean(0)


def _factors(layers):
    """The matrices of all heads of a network, (head, d_model, d_head)."""
    for weights in layers[1:]:
        if not all(np.array_equal(weights[name], layers[0][name]) for name in ("W_E", "W_U")):
            raise InputError("circuits: a network's layers read different embeddings")
    found = {name: np.concatenate([weights[name] for weights in layers]) for name in ("W_Q", "W_K", "W_V", "W_O")}
    found["W_O"] = np.swapaxes(found["W_O"], 1, 2)
    return {name: matrices.astype(np.float64) for name, matrices in found.items()}


def _products(ours, theirs, left, right):
    """Inner products of circuits, (our head, their head), given the products of their outer tables."""
    inner = [_sandwich(a, table, b) for a, table, b in zip(ours, (left, right), theirs, strict=True)]
    return np.einsum("hgij,hgij->hg", *inner)


def _sandwich(ours, table, theirs):
    """A^T T B of all pairs of heads, (our head, their head, d_head, d_head)."""
    count, d_model, d_head = ours.shape
    left = np.swapaxes(ours, 1, 2).reshape(count * d_head, d_model) @ table
    right = np.swapaxes(theirs, 0, 1).reshape(theirs.shape[1], -1)  # (d_model, their head * d_head)
    return (left @ right).reshape(count, d_head, len(theirs), -1).swapaxes(1, 2)
