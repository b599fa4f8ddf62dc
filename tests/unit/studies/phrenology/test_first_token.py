"""Attention to the first token is held against a uniform head, which would place tokens by their positions alone."""

import numpy as np
import pytest

from headatlas.studies.phrenology import first_token, projections

SIZE = 6


@pytest.mark.parametrize("packing", ["lower", "full"])
def test_a_uniform_head_attends_to_the_first_token_once_as_much_as_itself(packing):
    square = np.full((SIZE, SIZE), 1 / SIZE) if packing == "full" else np.tri(SIZE) / np.arange(1, SIZE + 1)[:, None]
    packed = square[np.tril_indices(SIZE)] if packing == "lower" else square.reshape(-1)
    found = first_token.times_uniform(np.tile(packed, (2, 3, 1)).astype(np.float32), SIZE, packing)
    assert found.shape == (2, 3, SIZE - 1)
    np.testing.assert_allclose(found, 1, rtol=1e-6)


def test_position_does_not_place_the_tokens_of_heads_that_differ_by_token_alone():
    generator = np.random.default_rng(0)
    liked = generator.lognormal(0, 0.5, (8, 40, SIZE - 1))  # times a uniform head, by head and token
    packed = np.zeros((8, 40, SIZE * (SIZE + 1) // 2), dtype=np.float32)
    packed[..., np.cumsum(np.arange(1, SIZE))] = liked / np.arange(2, SIZE + 1)  # where rows 1 and on begin
    position = np.tile(np.arange(SIZE - 1), (40, 1))

    def explained(features):  # how much of the first axis's variance means of positions hold
        axis = projections.first_token(features)[0][..., 0]
        means = np.array([axis[position == place].mean() for place in range(SIZE - 1)])
        return ((means - axis.mean()) ** 2).mean() / axis.var()

    assert explained(projections.first_token_attention(packed, SIZE, "lower")) > 0.5
    assert explained(first_token.times_uniform(packed, SIZE, "lower")) < 0.1
