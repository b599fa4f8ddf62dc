"""A tiny real run leaves every artifact, as a reader expects it."""

import json
import re

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

import pdf_texts
from headatlas.attention import patterns
from headatlas.attention.packing import unpack
from headatlas.base import tables
from undescribed import undescribed


def test_patterns_are_attention(finished):
    for model, members, layers in (("tiny-a", 3, 1), ("tiny-b", 2, 2)):
        heads, packed, facts = patterns.read_heads(finished.results / "attention" / model / "patterns.parquet")
        assert len(heads) == members * layers * 3
        assert packed.shape == (len(heads), 12, 12 * 13 // 2)
        full = unpack(packed, facts["size"], facts["packing"])
        np.testing.assert_allclose(full.sum(-1), 1, atol=1e-5)


def test_models_are_stacked_and_described(finished):
    folder = finished.results / "models" / "tiny-a"
    weights = load_file(folder / "model.safetensors")
    assert {tensor.shape[0] for tensor in weights.values()} == {3}
    config = json.loads((folder / "config.json").read_text())
    assert config["seeds"] == [0, 1, 2]
    history = tables.read(folder / "training.parquet")
    assert set(history["split"]) == {"train", "validation"}
    assert set(history["member"]) == {0, 1, 2}


def test_every_table_says_what_produced_it(finished):
    found = list(finished.results.rglob("*.parquet"))
    assert len(found) > 20
    for path in found:
        provenance = tables.provenance(path)
        assert {"settings", "code", "packages", "inputs"} <= set(provenance), path


def test_every_table_column_and_fact_is_described(finished):
    assert undescribed(finished.results) == {}


def test_figures_show_something(finished):
    found = sorted(finished.results.glob("figures/**/*.png"))
    outputs = " ".join(re.findall(r"^ *output: (.*)$", finished.first.said, re.MULTILINE))
    assert {str(path.relative_to(finished.folder)) for path in found} == set(re.findall(r"[^ ,]+\.png", outputs))
    assert len(found) > 50
    for path in found:
        pixels = np.asarray(Image.open(path).convert("L"))
        assert pixels.std() > 5, path
        assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")


def test_text_of_every_figure_is_legible(finished):
    found = sorted((finished.results / "figures").rglob("*.pdf"))
    assert len(found) > 50
    faults = {path: pdf_texts.faults(path) for path in found}
    assert not {str(path): said for path, said in faults.items() if said}


def test_summary_names_models_losses_and_figures(finished):
    text = (finished.results / "summary.md").read_text()
    for word in ("tiny-a", "tiny-b", "unigram", "bigram", "](figures/circuits/corrected/", "## In full: circuits"):
        assert word in text


def measured(benchmark, log):
    """MB that a job held at most: as sampled, with the processes that it started, and as its log says of itself."""
    sampled = benchmark.read_text().splitlines()[1].split("\t")[2]
    peak = re.search(r"^peak memory: (\d+) MB", log.read_text(), re.MULTILINE)
    return max(float(sampled) if sampled != "NA" else 0.0, float(peak[1]) if peak else 0.0)


def test_memory_asked_for_is_what_was_needed(finished):
    """At sizes this small the interpreter is nearly all of it; 300 MB are its reserve, and what rounding up adds."""
    found = 0
    for (rule, wildcards), log in finished.first.jobs.items():
        benchmark = finished.results / "benchmarks" / log.relative_to(finished.results / "logs").with_suffix(".tsv")
        needed, asked = measured(benchmark, log), int(finished.first.asked[rule, wildcards]["mem_mb"])
        if needed:
            found += 1
            assert needed <= asked <= 2 * needed + 300, f"{rule}: {needed:.0f} MB needed, {asked} asked for"
    assert found > 60
