"""Cosines of circuits equal those of the vocabulary x vocabulary matrices, and do not depend on the residual basis."""

import numpy as np
import pytest

from headatlas.base.errors import InputError
from headatlas.studies.phrenology.validation import circuit_similarity


def network(layers=1, heads=3, d_model=6, d_head=2, vocabulary=11, seed=0):
    rng = np.random.default_rng(seed)
    tables = {"W_E": rng.normal(size=(vocabulary, d_model)), "W_U": rng.normal(size=(d_model, vocabulary))}
    found = []
    for _ in range(layers):
        heads_of = {name: rng.normal(size=(heads, d_model, d_head)) for name in ("W_Q", "W_K", "W_V")}
        found.append(tables | heads_of | {"W_O": rng.normal(size=(heads, d_head, d_model))})
    return found


def explicit(layers, vocabulary):
    """OV and QK circuits of all heads, (head, vocabulary, vocabulary), centred over logits and keys."""
    ov, qk = [], []
    for weights in layers:
        embedding, unembedding = weights["W_E"][:vocabulary], weights["W_U"][:, :vocabulary]
        for head in range(len(weights["W_V"])):
            one = embedding @ weights["W_V"][head] @ weights["W_O"][head] @ unembedding
            two = embedding @ weights["W_Q"][head] @ weights["W_K"][head].T @ embedding.T
            ov.append(one - one.mean(1, keepdims=True))
            qk.append(two - two.mean(1, keepdims=True))
    return {"ov": np.array(ov), "qk": np.array(qk)}


def test_equal_to_the_explicit_matrices():
    networks = [network(2, seed=0), network(1, heads=2, d_model=5, d_head=3, vocabulary=13, seed=1)]
    found = circuit_similarity.circuit_cosines(networks)
    for name in circuit_similarity.CIRCUITS:
        flat = np.concatenate([explicit(layers, 11)[name] for layers in networks]).reshape(8, -1)
        flat /= np.linalg.norm(flat, axis=1, keepdims=True)
        np.testing.assert_allclose(found[name], flat @ flat.T, atol=1e-10)


def test_a_turned_stream_and_permuted_heads_are_the_same_network():
    (weights,), order = network(seed=2), [2, 0, 1]
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))
    other = {"W_E": weights["W_E"] @ turn, "W_U": turn.T @ weights["W_U"], "W_O": (weights["W_O"] @ turn)[order]}
    other |= {name: (turn.T @ weights[name])[order] for name in ("W_Q", "W_K", "W_V")}
    for cosines in circuit_similarity.circuit_cosines([[weights], [other]]).values():
        np.testing.assert_allclose(cosines[order, [3, 4, 5]], 1, atol=1e-12)
        assert cosines[[0, 1], [3, 3]].max() < 0.9  # head 2 alone is head 0 of the other


def test_a_head_that_writes_nothing_is_like_no_other():
    (weights,) = network()
    weights["W_O"][1] = 0
    found = circuit_similarity.circuit_cosines([[weights], network(seed=3)])
    assert (found["ov"][1] == 0).all()
    assert (np.diag(found["qk"]) > 0.999).all()


def test_layers_of_one_network_read_one_embedding():
    layers = network(2)
    layers[1] = layers[1] | {"W_E": layers[1]["W_E"] + 1}
    with pytest.raises(InputError, match="different embeddings"):
        circuit_similarity.circuit_cosines([layers])
