"""Queries and keys: what is written is what the family gives, in rows that say whose they are."""

import numpy as np
import pytest

from headatlas.attention import patterns, queries_keys
from headatlas.attention.packing import unpack
from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.models.forward_batches import MEMORY
from toy_families import toy, windows


@pytest.mark.parametrize("memory", [MEMORY, 3000])
def test_the_table_holds_every_vector(tmp_path, memory):
    family, tokens = toy(tmp_path), windows(5)
    path = tmp_path / "queries_keys.parquet"
    queries_keys.write(path, family, tokens, memory=memory)
    heads, queries, keys, facts = queries_keys.read_heads(path)
    assert heads.to_numpy().tolist() == [[m, a, h] for m in range(2) for a in range(2) for h in range(3)]
    assert facts["scaling"] == 0.5
    assert facts["rotary"] is False
    assert {name: facts[name] for name in ("size", "d_head", "members", "layers", "heads", "prompts")} == {
        "size": 6, "d_head": 4, "members": 2, "layers": 2, "heads": 3, "prompts": 5
    }  # fmt: skip
    shape = (2, 2, 3, 5, 6, 4)
    for member in range(2):
        for taken in family.attention(tokens, member):
            for found, expected in ((queries, taken.queries), (keys, taken.keys)):
                expected = expected.transpose(0, 1).numpy()
                np.testing.assert_allclose(found.reshape(shape)[member, taken.layer], expected, atol=1e-6)


def test_scores_of_the_table_are_the_patterns(tmp_path):
    family, tokens = toy(tmp_path, causal=False), windows(5)
    queries_keys.write(tmp_path / "qk", family, tokens)
    patterns.write(tmp_path / "p", family, tokens)
    _, queries, keys, facts = queries_keys.read_heads(tmp_path / "qk", member=1)
    scores = np.exp(queries @ keys.swapaxes(-1, -2) * facts["scaling"])
    rows = unpack(patterns.read_heads(tmp_path / "p")[1][6:], 6, "full")
    np.testing.assert_allclose(scores / scores.sum(-1, keepdims=True), rows, atol=1e-5)


def test_rows_carry_their_tokens_and_tags(tmp_path):
    family, tokens = toy(tmp_path), windows(5)
    tags = np.array([[f"T{token % 4}" for token in row] for row in tokens])
    path = tmp_path / "qk"
    queries_keys.write(path, family, tokens, tags=tags, memory=3000)
    rows = tables.read(path, ["prompt", "position", "token", "tag"], member=1, layer=1, head=2)
    rows = rows.sort_values(["prompt", "position"])
    assert (rows["token"].to_numpy().reshape(5, 6) == tokens).all()
    found = queries_keys.read_windows(path)
    assert (found[0] == tokens).all()
    assert (found[1] == tags).all()
    queries_keys.write(path, family, tokens)
    assert queries_keys.read_windows(path)[1] is None


def test_layers_one_by_one(tmp_path):
    family = toy(tmp_path)
    queries_keys.write(tmp_path / "qk", family, windows(5), memory=3000)
    _, queries, keys, _ = queries_keys.read_heads(tmp_path / "qk")
    layers = list(queries_keys.iterate_layers(tmp_path / "qk"))
    assert [(layer.member, layer.layer) for layer in layers] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    np.testing.assert_array_equal(np.concatenate([layer.queries for layer in layers]), queries)
    np.testing.assert_array_equal(np.concatenate([layer.keys for layer in layers]), keys)


def test_what_is_not_there_is_named(tmp_path):
    queries_keys.write(tmp_path / "qk", toy(tmp_path), windows(2))
    with pytest.raises(InputError, match="no rows of member 7; it has 2 members"):
        queries_keys.read_heads(tmp_path / "qk", member=7)
    with pytest.raises(InputError, match="tags: an array of shape"):
        queries_keys.write(tmp_path / "qk", toy(tmp_path), windows(2), tags=np.array([["A"]]))


def test_chosen_prompts_of_layers_row_group_by_row_group(tmp_path):
    queries_keys.write(tmp_path / "qk", toy(tmp_path), windows(7), memory=3000)
    _, queries, keys, _ = queries_keys.read_heads(tmp_path / "qk")
    wanted = [0, 2, 3, 6]
    layers = list(queries_keys.iterate_layers(tmp_path / "qk", wanted))
    np.testing.assert_array_equal(np.concatenate([layer.queries for layer in layers]), queries[:, wanted])
    np.testing.assert_array_equal(np.concatenate([layer.keys for layer in layers]), keys[:, wanted])
    for wrong in ([], [0, 7], [1, 0]):
        with pytest.raises(InputError, match="allowed: 0 to 6, ascending"):
            next(queries_keys.iterate_layers(tmp_path / "qk", wrong))


def test_positions_are_normalised_to_what_is_no_padding(tmp_path):
    tokens = np.array([[5, 5, 5, 9, 9], [5, 5, 5, 5, 5], [5, 9, 9, 9, 9]])
    found = queries_keys.normalised_positions(tokens, pad=9)
    np.testing.assert_allclose(found, [[0, 0.5, 1, 1, 1], [0, 0.25, 0.5, 0.75, 1], [0, 1, 1, 1, 1]])
    queries_keys.write(tmp_path / "qk", toy(tmp_path), windows(2))
    column = tables.read(tmp_path / "qk", ["normalised_position"], member=0, layer=0, head=0)
    np.testing.assert_allclose(column["normalised_position"], [0, 0.2, 0.4, 0.6, 0.8, 1] * 2)
