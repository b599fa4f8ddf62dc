"""Patterns: packing, streaming and the checks made as they are written."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headatlas.attention import patterns
from headatlas.attention.packing import entries, first_prompts, pack, places, rows_of, unpack
from headatlas.attention.pattern_streams import PatternStream, iterate_blocks
from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.models import families
from headatlas.models.forward_batches import MEMORY
from toy_families import toy, windows


def test_packing_is_the_lower_triangle_row_by_row():
    pattern = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(pack(pattern), [0, 3, 4, 6, 7, 8])


def test_unpacking_undoes_packing():
    pattern = np.tril(np.random.default_rng(0).random((2, 3, 5, 5)))
    np.testing.assert_array_equal(unpack(pack(pattern), 5, "lower"), pattern)
    np.testing.assert_array_equal(unpack(pattern.reshape(2, 3, 25), 5, "full"), pattern)


@settings(max_examples=50, deadline=None)
@given(
    leading=st.lists(st.integers(0, 3), max_size=3), size=st.integers(1, 12), seed=st.integers(0, 99), data=st.data()
)
def test_packing_is_undone_whatever_the_shape(leading, size, seed, data):
    pattern = np.random.default_rng(seed).random((*leading, size, size)).astype(np.float32)
    for packing, packed, whole in (
        ("lower", pack(pattern), np.tril(pattern)),
        ("full", pattern.reshape(*leading, size * size), pattern),
    ):
        assert packed.shape == (*leading, entries(size, packing))
        assert packed.dtype == np.float32
        np.testing.assert_array_equal(unpack(packed, size, packing), whole)
        query, key = places(size, packing)
        np.testing.assert_array_equal(packed, whole[..., query, key])
        chosen = data.draw(st.integers(0, size - 1))
        start, end = rows_of(size, packing)[chosen]
        np.testing.assert_array_equal(packed[..., start:end], whole[..., chosen, : end - start])


def test_unpacking_the_wrong_size_is_an_error():
    with pytest.raises(InputError, match="15 entries are no lower pattern of 6 tokens"):
        unpack(np.zeros(15), 6, "lower")
    with pytest.raises(InputError, match="'upper' is not known"):
        unpack(np.zeros(15), 5, "upper")


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("memory", [MEMORY, 9000, 1])
def test_the_table_holds_every_head_of_every_member(tmp_path, causal, memory):
    family, tokens = toy(tmp_path, causal=causal), windows(7)
    path = tmp_path / "patterns.parquet"
    patterns.write(path, family, tokens, memory=memory)
    heads, found, facts = patterns.read_heads(path)
    packing = "lower" if causal else "full"
    assert facts == {"packing": packing, "size": 6, "members": 2, "layers": 2, "heads": 3, "prompts": 7}
    assert heads.to_numpy().tolist() == [[m, a, h] for m in range(2) for a in range(2) for h in range(3)]
    unpacked = unpack(found, 6, packing).reshape(2, 2, 3, 7, 6, 6)
    for member in range(2):
        for taken in family.attention(tokens, member):
            expected = taken.pattern.transpose(0, 1).numpy()
            np.testing.assert_allclose(unpacked[member, taken.layer], expected, atol=1e-6)
    whole = found.reshape(2, 2, 3, 7, -1)
    for member, layer, part in patterns.iterate_heads(path):
        np.testing.assert_array_equal(part, whole[member, layer])


@pytest.mark.parametrize("causal", [True, False])
def test_half_precision_misses_a_weight_by_as_much_as_is_said(tmp_path, causal):
    """By 2^-12 at most, and by 2^-11 of itself where it is no smaller than 6.1e-5; whatever reads it gives float32."""
    size, prompts = 24, 64
    drawn = np.random.default_rng(0).dirichlet(np.full(size, 0.1), (3, prompts, size))  # (head, prompt, query, key)
    if causal:
        drawn = np.tril(drawn + 1e-9)
    weights = torch.tensor(drawn / drawn.sum(-1, keepdims=True), dtype=torch.float32)
    family = faulty(lambda pattern, _: None)
    family.members, family.layers, family.causal = 1, 1, causal
    taken = weights.swapaxes(0, 1)
    family.attention = lambda tokens, member: [SimpleNamespace(layer=0, pattern=taken[tokens[:, 0]])]
    tokens = np.arange(prompts)[:, None].repeat(size, 1)
    found = {}
    for kept in patterns.KEPT:
        patterns.write(tmp_path / kept, family, tokens, kept=kept)
        found[kept] = patterns.read_heads(tmp_path / kept)[1]
        packed = found[kept].reshape(3, prompts, -1)
        for part in (
            *(part for *_, part in patterns.iterate_heads(tmp_path / kept)),
            *(part for *_, part in iterate_blocks(tmp_path / kept)),
            first_prompts(tmp_path / kept, prompts),
            PatternStream({"m": tmp_path / kept}).read(slice(0, prompts)),
        ):
            assert part.dtype == np.float32
            np.testing.assert_array_equal(part, packed)
    exact, half = (found[kept].astype(float) for kept in patterns.KEPT)
    missed = np.abs(half - exact)
    assert exact.max() > 0.97
    assert 2**-13 < missed.max() <= 2**-12
    large = exact >= 2**-14
    assert 2**-12 < (missed[large] / exact[large]).max() <= 2**-11
    assert missed[~large].max() <= 2**-25
    assert (tmp_path / "float16").stat().st_size < 0.55 * (tmp_path / "float32").stat().st_size


def test_columns_and_row_groups(tmp_path):
    patterns.write(tmp_path / "p.parquet", toy(tmp_path), windows(4))
    opened = pq.ParquetFile(tmp_path / "p.parquet")
    assert opened.num_row_groups == 4
    assert [str(field.type) for field in opened.schema_arrow][:4] == ["int32"] * 4
    rows = tables.read(tmp_path / "p.parquet", ["head", "prompt"], member=1, layer=0)
    assert rows.to_numpy().tolist() == [[head, prompt] for head in range(3) for prompt in range(4)]


def test_the_same_input_gives_the_same_bytes(tmp_path):
    family = toy(tmp_path)
    for name in ("a", "b"):
        patterns.write(tmp_path / name, family, windows(5))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def faulty(change):
    """A causal family of two members whose patterns are uniform over the past but for `change(pattern, member)`."""

    def attention(tokens, member):
        size = tokens.shape[1]
        for layer in range(2):
            pattern = torch.tril(torch.ones(size, size)) / torch.arange(1, size + 1)[:, None]
            pattern = pattern.expand(len(tokens), 3, size, size).clone()  # (batch, head, query, key)
            if layer == 1 and member == 1:
                change(pattern, tokens)
            yield SimpleNamespace(layer=layer, pattern=pattern)

    return SimpleNamespace(
        members=2,
        layers=2,
        heads=3,
        causal=True,
        device=torch.device("cpu"),
        attention=attention,
        window_bytes=lambda size: 1 << 10,
        layer_bytes=1 << 10,
    )


def double_a_row(pattern, tokens):
    pattern[tokens[:, 0] == 4, 2, 3] *= 2


def look_ahead(pattern, tokens):
    pattern[tokens[:, 0] == 4, 2, 3, :2] = torch.tensor([0.25, 0.2])
    pattern[tokens[:, 0] == 4, 2, 3, 4] = 0.05


def break_a_row(pattern, tokens):
    pattern[tokens[:, 0] == 4, 2, 3] = torch.nan


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (double_a_row, "position 3: attention sums to 2 where"),
        (look_ahead, "position 3: attention to later positions"),
        (break_a_row, "position 3: attention sums to nan where"),
    ],
)
def test_a_wrong_pattern_is_named(tmp_path, change, message):
    tokens = np.arange(5)[:, None].repeat(6, 1)
    with pytest.raises(InputError, match=f"member 1, layer 1, head 2, prompt 4, {message}") as caught:
        patterns.write(tmp_path / "p.parquet", faulty(change), tokens, memory=2 << 10)  # prompt 4 is in a later block
    assert "\n" not in str(caught.value)


PEAK = """
import resource, sys
sys.path[:0] = {paths!r}
import numpy as np
from headatlas.attention import patterns
from headatlas.models import families
family = families.load_family({model!r}, {config!r})
windows = np.random.default_rng(0).integers(0, 30, (int(sys.argv[1]), 64)).astype(np.int32)
patterns.write({path!r}, family, windows[:64], memory=1 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
patterns.write({path!r}, family, windows, memory=1 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_number_of_prompts(tmp_path):
    """3,200 windows have 80 MB of patterns: written a megabyte at a time, they cost as much as 800 do."""
    toy(tmp_path, members=1, context=64, layers=1)
    script = PEAK.format(
        paths=[str(Path(families.__file__).parents[2])],
        model=str(tmp_path / "model.safetensors"),
        config=str(tmp_path / "config.json"),
        path=str(tmp_path / "p.parquet"),
    )
    grown = []
    for prompts in (800, 3200):
        done = subprocess.run([sys.executable, "-c", script, str(prompts)], capture_output=True, text=True, check=True)
        grown.append(int(done.stdout) / 1024)  # MB
    assert grown[1] - grown[0] < 15, grown
