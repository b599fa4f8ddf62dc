"""Scores of weights against the full vocabulary x vocabulary and d_model x d_model matrices."""

import numpy as np
import pytest

from headatlas.scores import weight_scores

VOCABULARY, D_MODEL, HEADS, D_HEAD = 40, 24, 5, 4


def random_weights(seed, d_model=D_MODEL, heads=HEADS, d_head=D_HEAD):
    generator = np.random.default_rng(seed)
    shapes = {"W_E": (VOCABULARY, d_model), "W_U": (d_model, VOCABULARY), "W_O": (heads, d_head, d_model)}
    shapes |= dict.fromkeys(("W_Q", "W_K", "W_V"), (heads, d_model, d_head))
    return {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def copying_weights(sign):
    """Heads whose OV circuit is plus or minus a projection, between a tied embedding and unembedding."""
    weights = random_weights(0)
    weights["W_U"] = weights["W_E"].T.copy()
    weights["W_V"] = np.stack([np.linalg.qr(matrix)[0] for matrix in weights["W_V"]])
    weights["W_O"] = sign * np.swapaxes(weights["W_V"], 1, 2)
    return weights


def test_copying_equals_the_eigenvalues_of_the_full_circuit():
    weights = random_weights(1)
    expected = []
    for value, output in zip(weights["W_V"], weights["W_O"], strict=True):
        eigenvalues = np.linalg.eigvals((weights["W_E"] @ value @ output @ weights["W_U"]).astype(np.float64))
        expected.append(eigenvalues.sum().real / np.abs(eigenvalues).sum())
    np.testing.assert_allclose(weight_scores.ov_copying(weights), expected, atol=1e-4)


@pytest.mark.parametrize("sign", [1, -1])
def test_planted_copying_heads(sign):
    np.testing.assert_allclose(weight_scores.ov_copying(copying_weights(sign)), sign, atol=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_eigenvalues_of_a_head_that_copies_all_lie_on_one_side(sign):
    table = weight_scores.eigenvalue_columns([(0, 0, random_weights(1)), (4, 2, copying_weights(sign))])
    planted = table["member"] == 4
    assert (table["layer"][planted] == 2).all()
    assert (sign * table["real"][planted] > 0).all()
    np.testing.assert_allclose(table["imaginary"][planted], 0, atol=1e-4)
    np.testing.assert_allclose(table["copying"][planted], sign, atol=1e-5)
    beyond = table["high"] if sign > 0 else table["low"]
    assert (sign * (table["copying"] - beyond) > 0)[planted].all()
    assert (table["real"].min(1) < 0)[~planted].all()  # those of a random head lie on both
    assert ((table["low"] < table["chance"]) & (table["chance"] < table["high"])).all()
    assert np.abs(table["chance"]).max() < 0.2


def test_eigenvalues_are_those_of_the_full_circuit_largest_first():
    weights = random_weights(1)
    found = weight_scores.ov_eigenvalues(weights)
    for head, own in enumerate(found):
        full = np.linalg.eigvals(weights["W_E"] @ weights["W_V"][head] @ weights["W_O"][head] @ weights["W_U"])
        largest = full[np.argsort(-np.abs(full))][:D_HEAD]
        np.testing.assert_allclose(np.sort_complex(own.round(2)), np.sort_complex(largest.round(2)), atol=0.05)
        assert (np.diff(np.abs(own)) <= 1e-9).all()
    columns = weight_scores.eigenvalue_columns([(0, 0, weights)])
    np.testing.assert_allclose(columns["copying"], weight_scores.ov_copying(weights))
    assert {name: values.shape[1:] for name, values in weight_scores.no_eigenvalues(7).items()} == {
        name: (7,) if values.ndim == 2 else () for name, values in columns.items()
    }


def test_a_head_that_writes_nothing_has_no_copying_score():
    weights = random_weights(2)
    weights["W_O"][1] = 0
    found = weight_scores.ov_copying(weights)
    assert np.isnan(found).tolist() == [False, True, False, False, False]


def test_composition_equals_frobenius_norms_of_full_matrices():
    early, late = random_weights(3), random_weights(4)
    found = weight_scores.composition(weight_scores.reduced_writers(early), late)
    for before in range(HEADS):
        written = early["W_V"][before] @ early["W_O"][before]  # x written: read from the left
        for after in range(HEADS):
            score = late["W_Q"][after] @ late["W_K"][after].T
            moved = late["W_V"][after] @ late["W_O"][after]
            for way, read in (("q_composition", score), ("k_composition", score.T), ("v_composition", moved)):
                expected = np.linalg.norm(written @ read) / np.linalg.norm(written) / np.linalg.norm(read)
                assert found[way][before, after] == pytest.approx(expected, rel=1e-4)


def test_random_heads_compose_by_one_over_root_d_model():
    random = weight_scores.random_composition(20, 20, 64, 8, seed=0)
    assert np.sqrt((random**2).mean()) == pytest.approx(1 / 8, rel=0.02)
    assert np.array_equal(random, weight_scores.random_composition(20, 20, 64, 8, seed=0))


def test_planted_composition_stands_out_in_the_table():
    """Head 2 of layer 1 reads keys exactly where head 3 of layer 0 writes."""
    layers = [random_weights(5), random_weights(6)]
    layers[1]["W_K"][2] = np.linalg.pinv(layers[0]["W_O"][3])
    table = weight_scores.composition_table(7, layers)
    best = table.loc[table.value.idxmax()]
    assert best[["member", "earlier_layer", "earlier_head", "layer", "head"]].tolist() == [7, 0, 3, 1, 2]
    assert best.score == "k_composition"
    assert best.value > best.chance + 4 * best.chance_deviation
    rows = weight_scores.score_table(7, layers).set_index(["layer", "score", "head"]).sort_index()
    assert rows.value[1, "k_composition", 2] == pytest.approx(best.value)
    others = rows.loc[(1, "q_composition")]
    assert (np.abs(others.value - others.chance) < 0.15).all()


def test_score_table_has_the_rows_of_the_contract():
    layers = [random_weights(seed) for seed in (8, 9, 10)]
    for weights in layers:
        weights |= {name: layers[0][name] for name in ("W_E", "W_U")}
    table = weight_scores.score_table(2, iter(layers))
    assert list(table.columns) == [
        "member",
        "layer",
        "head",
        "score",
        "value",
        "standard_error",
        "chance",
        "even",
        "odd",
    ]
    assert table.groupby("layer").score.nunique().tolist() == [1, 4, 4]
    assert table.standard_error.isna().all()
    copying = table[table.score == "ov_copying"]
    assert len(copying) == 3 * HEADS
    assert (np.abs(copying.chance) < 0.2).all()
    assert table.equals(weight_scores.score_table(2, layers))
    assert weight_scores.composition_table(0, layers[:1]).empty
