"""Streams of patterns: the same numbers as reading all, in memory that does not grow with prompts."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from headatlas.attention import packing, pattern_streams, patterns
from headatlas.attention.pattern_streams import PatternStream
from headatlas.base import tables
from headatlas.base.errors import InputError
from toy_families import toy, windows

PEAK = """
import resource, sys
import numpy as np
from headatlas.attention import pattern_streams
from headatlas.scores import pattern_scores
from headatlas.studies.phrenology import head_distances, projections

step, path = sys.argv[1:]
stream = pattern_streams.PatternStream({"many": path}, memory=1 << 20)
tokens = np.ones((stream.shape[1], stream.size), dtype=int)
steps = {
    "gram": lambda: projections.gram(stream, projections._Landmarks(stream.size, stream.packing, tokens == 1)),
    "euclidean": lambda: head_distances.euclidean(stream),
    "jensen_shannon": lambda: head_distances.jensen_shannon(stream, stream.size, stream.packing, tokens == 1, parts=4),
    "components": lambda: projections.components(stream),
    "scores": lambda: pattern_scores.score_table(pattern_streams.iterate_blocks(path), tokens, causal=True),
}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
steps[step]()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def written(path, prompts, size=24, layers=2, heads=3, block=64):
    """A table of random causal patterns, `block` prompts to a row group; its patterns (layer, head, prompt, entry)."""
    rng, length = np.random.default_rng(0), packing.entries(size, "lower")
    facts = {"packing": "lower", "size": size, "members": 1, "layers": layers, "heads": heads, "prompts": prompts}
    whole = np.empty((layers, heads, prompts, length), dtype=np.float32)
    rows = packing.rows_of(size, "lower")
    for start, end in rows:
        whole[..., start:end] = rng.dirichlet(np.ones(end - start), whole.shape[:3])
    with tables.Writer(path, facts=facts) as writer:
        for low in range(0, prompts, block):
            for layer in range(layers):
                part = whole[layer, :, low : low + block]
                columns = patterns.identity(0, layer, heads, low, part.shape[1])
                writer.write(columns | {"pattern": part.reshape(-1, length)})
    return whole


@pytest.mark.parametrize("memory", [1, 700, 1 << 28])
@pytest.mark.parametrize("row_group", [1, 400, 16 << 20])
def test_blocks_are_the_patterns_of_all_models_whatever_their_sizes(tmp_path, monkeypatch, memory, row_group):
    monkeypatch.setattr(patterns, "_ROW_GROUP", row_group)
    paths = {name: tmp_path / name / "p.parquet" for name in ("a", "b")}
    for seed, path in enumerate(paths.values()):
        path.parent.mkdir()
        patterns.write(path, toy(path.parent), windows(7 + 0 * seed))
    stream = PatternStream(paths, memory=memory)
    expected = np.concatenate([patterns.read_heads(path)[1] for path in paths.values()])
    assert stream.shape == expected.shape
    assert stream.heads["model"].tolist() == ["a"] * 12 + ["b"] * 12
    assert stream.heads[["member", "layer", "head"]].drop_duplicates().shape == (12, 3)
    found = np.empty_like(expected)
    for chosen, block in stream.blocks():
        assert block.nbytes <= max(memory, 4 * expected.shape[0] * expected.shape[2])
        found[:, chosen] = block
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(stream.first(3), expected[:, :3])
    np.testing.assert_array_equal(PatternStream(paths, prompts=2).read(slice(0, 2)), expected[:, :2])
    again = np.empty((2, 2, 3, 7, expected.shape[2]), dtype=np.float32)
    for member, layer, first, block in pattern_streams.iterate_blocks(paths["a"]):
        again[member, layer, :, first : first + block.shape[1]] = block
    np.testing.assert_array_equal(again.reshape(12, 7, -1), expected[:12])


def test_models_shown_other_prompts_are_refused(tmp_path):
    for name, prompts in (("a", 4), ("b", 5)):
        written(tmp_path / name, prompts, size=3)
    with pytest.raises(InputError, match="models a and b: patterns of"):
        PatternStream({name: tmp_path / name for name in ("a", "b")})


def test_distances_and_projections_of_a_stream_are_those_of_the_whole(tmp_path):
    from headatlas.studies.phrenology import head_distances, projections

    whole = written(tmp_path / "p", 20, size=5, layers=4, heads=3, block=6).reshape(12, 20, -1)
    stream = PatternStream({"m": tmp_path / "p"}, memory=4 * 12 * whole.shape[2] * 7)
    weights = np.random.default_rng(1).random((20, 5)) > 0.2
    for parts in (None, 3):
        found, expected = (
            head_distances.jensen_shannon(heads, 5, "lower", weights, parts=parts) for heads in (stream, whole)
        )
        np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(head_distances.euclidean(stream), head_distances.euclidean(whole), atol=1e-6)
    for found, expected in zip(*(projections.components(heads, prompts=8) for heads in (stream, whole)), strict=True):
        np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-6)
    found, expected = (projections.project(heads, 5, "lower", real=weights) for heads in (stream, whole))
    np.testing.assert_allclose(found.coordinates["pca"], expected.coordinates["pca"], atol=1e-5)


def test_half_precision_changes_no_distance_and_no_score_that_matters(tmp_path):
    """What a study of heads is made from, by either way of keeping patterns: far within what it differs by."""
    from headatlas.scores import pattern_scores
    from headatlas.studies.phrenology import head_distances

    family, tokens = toy(tmp_path, members=3), windows(200)
    distances, scores = {}, {}
    for kept in patterns.KEPT:
        patterns.write(tmp_path / kept, family, tokens, kept=kept)
        stream = PatternStream({"m": tmp_path / kept})
        distances[kept] = head_distances.jensen_shannon(stream, 6, "lower", np.ones((200, 6)))
        scores[kept] = pattern_scores.score_table(pattern_streams.iterate_blocks(tmp_path / kept), tokens, causal=True)
    exact, half = (distances[kept] for kept in patterns.KEPT)
    off = ~np.eye(len(exact), dtype=bool)
    missed, spread = np.abs(half - exact)[off].max(), exact[off].std()
    assert 0 < missed < 1e-3 * spread
    nearest = [(found + 2 * np.eye(len(found))).argmin(1) for found in (half, exact)]
    np.testing.assert_array_equal(*nearest)
    values = [scores[kept][["value", "standard_error", "chance"]].to_numpy() for kept in patterns.KEPT]
    np.testing.assert_allclose(values[1], values[0], atol=2e-4)


@pytest.mark.parametrize("step", ["gram", "euclidean", "jensen_shannon", "components", "scores"])
def test_memory_does_not_grow_with_prompts(tmp_path, step):
    held = {}
    scripts = str(Path(pattern_streams.__file__).parents[2])
    for prompts in (512, 4096):
        size = written(tmp_path / f"{prompts}", prompts).nbytes / 2**20
        command = [sys.executable, "-c", PEAK, step, str(tmp_path / f"{prompts}")]
        printed = subprocess.run(command, env={"PYTHONPATH": scripts, "PATH": ""}, capture_output=True, check=True)
        held[prompts] = float(printed.stdout)
    assert size > 25
    assert held[4096] < held[512] + size / 3
