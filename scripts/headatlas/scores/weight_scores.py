"""What heads are wired to do, from weights alone: copying, and composition between layers.

Weights come as one mapping per layer: W_E (vocabulary, d_model), W_U (d_model, vocabulary), W_Q, W_K, W_V
(head, d_model, d_head), W_O (head, d_head, d_model), vectors multiplied from the left: a head reads x W_V and writes
x W_V W_O (`headatlas.models.families`, `head_weights`).
"""

import numpy as np
import pandas as pd

from headatlas.scores import pattern_scores

_CHANCE = ("chance", "low", "high")  # of random heads: the mean, and the ends of 95%
_WAYS = ("q_composition", "k_composition", "v_composition")


def score_tables(family, *, seed=0):
    """Yield `score_table` of each member of a family (ToyFamily or PretrainedFamily)."""
    for member in range(family.members):
        yield score_table(member, [family.head_weights(member, layer) for layer in range(family.layers)], seed=seed)


def score_table(member, layers, *, draws=50, seed=0):
    """Scores from the weights of one member's layers.

    `ov_copying` for every head, with the mean over random heads as its chance level; from the second layer on
    `q_composition`, `k_composition` and `v_composition`: the strongest with any head of an earlier layer, with the
    mean strongest of random heads as chance. Weights have no sampling error: `standard_error` is NaN.

    Parameters
    ----------
    member : int
    layers : iterable of mappings
        The weights of layer 0, 1, ...
    draws : int
        Random heads behind the chance levels.
    seed : int

    Returns
    -------
    DataFrame
        member, layer, head, score, value, standard_error, chance.
    """
    tables, earlier, seen = [], [], None
    for layer, weights in enumerate(layers):
        if seen is None or not _same(seen, weights):
            overlap, seen = embedding_overlap(weights), {name: weights[name] for name in ("W_E", "W_U")}
            chance = random_copying(overlap, weights["W_V"].shape[2], draws=draws, seed=seed).mean()
        found = {"ov_copying": (ov_copying(weights, overlap), chance)}
        if earlier:
            writers = np.concatenate(earlier)  # (earlier head, d_head, d_model)
            random = random_composition(len(writers), draws, *weights["W_V"].shape[1:], seed=seed)
            chance_of_best = random.max(0).mean()
            for way, strengths in composition(writers, weights).items():
                found[way] = (np.fmax.reduce(strengths, axis=0), chance_of_best)  # a head may write nothing: NaN
        parts = [
            pattern_scores.table(member, layer, name, value, np.nan, level) for name, (value, level) in found.items()
        ]
        tables.append(pd.concat(parts).sort_values("head", kind="stable"))
        earlier.append(reduced_writers(weights))
    return pd.concat(tables, ignore_index=True)


def composition_table(member, layers, *, draws=50, seed=0):
    """Composition of every head with every head of an earlier layer.

    Parameters are those of `score_table`.

    Returns
    -------
    DataFrame
        member, earlier_layer, earlier_head, layer, head, score (`q_composition`, `k_composition`,
        `v_composition`), value, and mean and standard deviation over random pairs of heads (chance, chance_deviation).
    """
    layers, tables = list(layers), []
    for layer, weights in enumerate(layers[1:], start=1):
        random = random_composition(draws, draws, *weights["W_V"].shape[1:], seed=seed)
        for before in range(layer):
            for way, strengths in composition(reduced_writers(layers[before]), weights).items():
                early, late = np.indices(strengths.shape, dtype=np.int32).reshape(2, -1)
                table = pd.DataFrame({"earlier_head": early, "head": late, "score": way, "value": strengths.ravel()})
                table = table.assign(member=np.int32(member), earlier_layer=np.int32(before), layer=np.int32(layer))
                tables.append(table.assign(chance=random.mean(), chance_deviation=random.std(ddof=1)))
    names = ["member", "earlier_layer", "earlier_head", "layer", "head", "score", "value", "chance", "chance_deviation"]
    return pd.concat(tables, ignore_index=True)[names] if tables else pd.DataFrame(columns=names)


def embedding_overlap(weights):
    """W_U W_E, (d_model, d_model): all that the eigenvalues need of the vocabulary."""
    return weights["W_U"].astype(np.float32) @ weights["W_E"].astype(np.float32)


def ov_copying(weights, overlap=None):
    """How much heads copy: the sum of the eigenvalues of the OV circuit over the sum of their moduli.

    The circuit from tokens to logits, W_E W_V W_O W_U, is a vocabulary x vocabulary matrix of rank d_head; its
    non-zero eigenvalues are those of W_O (W_U W_E) W_V, a d_head x d_head matrix. 1 where every token raises itself
    and its like, -1 where it lowers them (Elhage et al. 2021, "Summarizing OV/QK Matrices").

    Parameters
    ----------
    weights : mapping
        W_V and W_O, and W_E and W_U unless `overlap` is given.
    overlap : array of shape (d_model, d_model), optional
        `embedding_overlap` of the weights.

    Returns
    -------
    ndarray of shape (head,), float64
        NaN for a head that writes nothing.
    """
    return _copying(ov_eigenvalues(weights, overlap))


def ov_eigenvalues(weights, overlap=None):
    """The eigenvalues of the heads' OV circuits that are not zero by construction; parameters as `ov_copying`.

    Returns
    -------
    ndarray of shape (head, d_head), complex128
        Those of the largest modulus first.
    """
    overlap = embedding_overlap(weights) if overlap is None else overlap
    small = np.asarray(weights["W_O"], np.float64) @ overlap @ weights["W_V"]  # (head, d_head, d_head)
    eigenvalues = np.linalg.eigvals(small).astype(np.complex128)
    return np.take_along_axis(eigenvalues, np.argsort(-np.abs(eigenvalues), -1, kind="stable"), -1)


def _copying(eigenvalues):
    total, moduli = eigenvalues.sum(-1).real, np.abs(eigenvalues).sum(-1)
    return np.divide(total, moduli, out=np.full(len(total), np.nan), where=moduli > 0)


def eigenvalue_columns(layers, *, draws=100, seed=0):
    """Eigenvalues of the OV circuits of all heads, with the copying score and what random heads reach in it.

    Parameters
    ----------
    layers : iterable of (member, layer, weights)
        Member by member.
    draws : int
        Random heads between a member's embedding and unembedding.
    seed : int

    Returns
    -------
    dict
        Columns of a table of heads: member, layer, head, `copying` (the score `ov_copying`), `chance`, `low` and `high`
        (mean, and the ends of 95% of random heads), `real` and `imaginary` (head, d_head).
    """
    parts, seen = [], None
    for member, layer, weights in layers:
        if seen is None or not _same(seen, weights):
            overlap, seen = embedding_overlap(weights), {name: weights[name] for name in ("W_E", "W_U")}
            random = random_copying(overlap, weights["W_V"].shape[2], draws=draws, seed=seed)
            chance = random.mean(), *np.quantile(random, (0.025, 0.975))
        found = ov_eigenvalues(weights, overlap)
        heads = np.arange(len(found), dtype=np.int32)
        own = {"member": np.full_like(heads, member), "layer": np.full_like(heads, layer), "head": heads}
        own |= {"copying": _copying(found)}
        own |= {name: np.full(len(found), number) for name, number in zip(_CHANCE, chance, strict=True)}
        parts.append(own | {"real": found.real, "imaginary": found.imag})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def no_eigenvalues(d_head):
    """The same columns without a row, of models whose weights cannot be told apart into heads."""
    heads = {name: np.empty(0, np.int32) for name in ("member", "layer", "head")}
    numbers = {name: np.empty(0) for name in ("copying", *_CHANCE)}
    return heads | numbers | {name: np.empty((0, d_head)) for name in ("real", "imaginary")}


def random_copying(overlap, d_head, *, draws, seed):
    """`ov_copying` of random Gaussian heads between the same embedding and unembedding, (draw,)."""
    generator, d_model = np.random.default_rng(seed), len(overlap)
    values = generator.standard_normal((draws, d_model, d_head), dtype=np.float32)
    outputs = generator.standard_normal((draws, d_head, d_model), dtype=np.float32)
    return ov_copying({"W_V": values, "W_O": outputs}, overlap)


def composition(writers, weights):
    """How strongly heads read what earlier heads write, through queries, keys and values.

    The Frobenius norm of the product of the earlier head's OV matrix with the later head's QK matrix (from the side
    of the queries or of the keys) or OV matrix, over the product of their norms (Elhage et al. 2021, "Q-, K- and
    V-composition"). Each d_model x d_model matrix stays in low-rank form: the QR decomposition of the outer factor
    leaves norms alone.

    Parameters
    ----------
    writers : array of shape (earlier head, d_head, d_model)
        Reduced OV matrices, as `reduced_writers` gives.
    weights : mapping
        W_Q, W_K, W_V, W_O of the later layer.

    Returns
    -------
    dict from str to ndarray of shape (earlier head, head)
        Between 0 and 1; about 1 / sqrt(d_model) for random subspaces.
    """
    pairs = (("W_Q", weights["W_K"]), ("W_K", weights["W_Q"]), ("W_V", np.swapaxes(weights["W_O"], 1, 2)))
    strengths = {}
    for way, (name, outer) in zip(_WAYS, pairs, strict=True):
        reduced = np.linalg.qr(outer, mode="r")  # (head, d_head, d_head)
        readers = weights[name] @ np.swapaxes(reduced, 1, 2)  # (head, d_model, d_head)
        strengths[way] = _strengths(writers, readers)
    return strengths


def reduced_writers(weights):
    """The heads' OV matrices without their orthonormal left factor: R W_O of W_V = Q R, (head, d_head, d_model)."""
    return np.linalg.qr(weights["W_V"], mode="r") @ weights["W_O"]


def _strengths(writers, readers):
    """Norms of all products over the products of the norms, (writer, reader)."""
    count, d_head, d_model = writers.shape
    left = writers.reshape(count * d_head, d_model)
    norms = np.empty((count, len(readers)))
    for index, reader in enumerate(readers):  # one at a time: the product is as tall as all writers
        norms[:, index] = np.square(left @ reader, dtype=np.float64).reshape(count, -1).sum(1)
    scale = np.square(writers, dtype=np.float64).sum((1, 2))[:, None] * np.square(readers, dtype=np.float64).sum((1, 2))
    return np.sqrt(np.divide(norms, scale, out=np.full(norms.shape, np.nan), where=scale > 0))


def random_composition(writers, readers, d_model, d_head, *, seed):
    """Composition of random Gaussian heads, (writer, reader): the same for queries, keys and values."""
    generator = np.random.default_rng(seed)
    shapes = {"W_V": (writers, d_model, d_head), "W_O": (writers, d_head, d_model)}
    earlier = {name: generator.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
    inner, outer = (generator.standard_normal((readers, d_model, d_head), dtype=np.float32) for _ in range(2))
    reduced = np.linalg.qr(outer, mode="r")
    return _strengths(reduced_writers(earlier), inner @ np.swapaxes(reduced, 1, 2))


def _same(seen, weights):
    return all(seen[name] is weights[name] or np.array_equal(seen[name], weights[name]) for name in seen)
