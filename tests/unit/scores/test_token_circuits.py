"""Pairs of tokens that a head's weights single out, on planted circuits."""

import numpy as np
import pytest

from headatlas.base.errors import InputError
from headatlas.scores import token_circuits

VOCABULARY, D_MODEL, D_HEAD = 30, 40, 30


def weights(seed=0):
    """Two heads on orthogonal tokens: head 0 copies and seeks the token itself, head 1 does nothing in particular."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(D_MODEL, D_MODEL)))[0][:VOCABULARY]  # (token, d_model)
    names = ("W_Q", "W_K", "W_V")
    found = {name: rng.normal(size=(2, D_MODEL, D_HEAD)) for name in names} | {
        "W_O": rng.normal(size=(2, D_HEAD, D_MODEL))
    }
    for name in names:
        found[name][0] = basis.T
    found["W_O"][0] = basis
    return found | {"W_E": basis, "W_U": basis.T}


def test_a_head_that_copies_raises_each_token_itself_beyond_random_heads():
    table = token_circuits.strongest_pairs(3, 1, weights(), np.arange(VOCABULARY), most=8)
    planted = table[table["head"] == 0]
    assert (planted["source"] == planted["target"]).all()
    assert (planted["value"] > planted["chance"] * 1.2).all()
    assert set(table["member"]) == {3}
    assert set(table["layer"]) == {1}
    assert table.groupby(["head", "circuit"]).size().eq(8).all()


def test_a_random_head_is_where_random_heads_are():
    table = token_circuits.strongest_pairs(0, 0, weights(), np.arange(VOCABULARY), draws=20)
    random = table[(table["head"] == 1) & (table["rank"] > 3)]  # the very first vary from head to head
    np.testing.assert_allclose(random["value"], random["chance"], rtol=0.25)


def test_entries_equal_a_loop():
    given, tokens = weights(1), np.array([4, 7, 9, 21])
    row = token_circuits.strongest_pairs(0, 0, given, tokens, most=1).query("head == 1 and circuit == 'ov'").iloc[0]
    embedded, read = given["W_E"][tokens], given["W_U"].T[tokens]
    entries = np.array(
        [
            [
                (embedded[i] - embedded.mean(0)) @ given["W_V"][1] @ given["W_O"][1] @ (read[j] - read.mean(0))
                for j in range(4)
            ]
            for i in range(4)
        ]
    )
    i, j = np.unravel_index(entries.argmax(), entries.shape)
    assert (row["source"], row["target"]) == (tokens[i], tokens[j])
    assert row["value"] == pytest.approx(entries.max() / entries.std())


def test_common_tokens():
    assert token_circuits.common_tokens([[1, 2, 2], [3, 3, 3]], 2, special=[1]).tolist() == [3, 2]
    with pytest.raises(InputError, match="different token"):
        token_circuits.common_tokens([[1, 1]], 2)
