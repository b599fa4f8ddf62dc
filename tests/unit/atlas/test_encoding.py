"""What a page carries is what was put into it."""

import json
import zlib

import numpy as np
import pytest

from headatlas.atlas import encoding


def test_a_block_gives_back_header_and_arrays():
    arrays = [
        np.arange(5, dtype=np.uint8),
        np.array([[1, 65535]], dtype=np.uint16),
        np.array([-1, 2**31 - 1], dtype=np.int32),
        np.array([[0.5], [np.nan]], dtype=np.float32),
        np.empty((0, 3), dtype=np.uint8),
    ]
    header, found = encoding.unblock(encoding.block({"names": ["<é>", "東"], "value": np.float64(0.1)}, *arrays))
    assert header == {"names": ["<é>", "東"], "value": 0.1}
    assert len(found) == len(arrays)
    for put, got in zip(arrays, found, strict=True):
        assert got.dtype == put.dtype
        np.testing.assert_array_equal(got, put)


def test_a_block_is_packed_in_the_shortest_of_the_ways_allowed():
    weights = np.random.default_rng(0).geometric(0.3, 20_000).astype(np.uint8)  # as attention: many small, no repeats
    sought, counted = (zlib.Z_DEFAULT_STRATEGY,), (zlib.Z_RLE,)
    lengths = [len(encoding.block({}, weights, strategies=each)) for each in (sought, counted, sought + counted)]
    assert lengths[1] < lengths[0]
    assert lengths[2] == lengths[1]
    _, (found,) = encoding.unblock(encoding.block({}, weights, strategies=counted))
    np.testing.assert_array_equal(found, weights)


def test_attention_is_off_by_half_a_step_at_most():
    weights = np.random.default_rng(0).random(1000)
    assert np.abs(encoding.quantised(weights) / 255 - weights).max() <= 1 / 510 + 1e-9
    assert np.abs(encoding.quantised_finely(weights) / 65535 - weights).max() <= 1 / 131070 + 1e-9
    assert encoding.quantised(np.array([-0.1, 1.0001])).tolist() == [0, 255]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, None])
def test_what_json_cannot_hold_is_missing(value):
    assert json.loads(encoding.script_json({"value": value})) == {"value": None}


def test_json_in_a_script_element_cannot_end_it():
    nasty = ["</script>", "<!--", "\u2028", "]]>"]
    text = encoding.script_json(nasty)
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text) == nasty
