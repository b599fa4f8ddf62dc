"""Real pretrained models, causal and masked, go the same road as toy families: patterns, scores, figures."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import yaml

import opened_files
from checkout import ROOT
from declared_inputs import Watched
from headatlas.attention import patterns, queries_keys
from headatlas.attention.packing import unpack
from headatlas.base import tables
from headatlas.data.windows import read_windows
from headatlas.studies.attentionviz import key_scaling

SCORES = "scores/pretrained.parquet"
EXPECTED = {  # task, layers, heads
    "stories260K": ("causal", 5, 8),
    "rxnmapper_albert": ("masked", 12, 8),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_pretrained_model_from_a_folder(untouched, mirror, name):
    task, layers, heads = EXPECTED[name]
    folder = str(mirror / "models" / name)
    config = {
        "results": "results/pretrained",
        "tokenizers": {"own": {"load": folder}},
        "models": {
            "pretrained": {
                "corpus": "python-docs",
                "tokenizer": "own",
                "checkpoints": [{"name": folder}],
                "task": task,
                "context": 16,
                "analysis": {"windows": 8, "queries_keys": 8},
                "scores": {"sequences": 4},
            }
        },
        "studies": {
            "phrenology": {"models": ["pretrained"]},
            "attentionviz": {
                "models": ["pretrained"],
                "percentile": 20,
                "draws": 20,
                "method": "pca",
                "sentences": 4,
                "all_heads": {"methods": ["pca"], "sentences": 4},
            },
        },
    }
    path = untouched.folder / "pretrained.yaml"
    path.write_text(yaml.safe_dump(config))
    asked = "figures/phrenology/published/fig07_head_distances.png", SCORES, "attentionviz/findings.md"
    untouched.snakemake(*(f"results/pretrained/{file}" for file in asked), config=path)
    check_joint_maps(untouched.folder / "results" / "pretrained", rotary=name == "stories260K", heads=layers * heads)
    scores = tables.read(untouched.folder / "results" / "pretrained" / SCORES)
    assert scores.groupby("score").size().min() >= heads
    assert len(scores[scores["score"] == "previous_token"]) == layers * heads
    assert {"induction", "copying", "ov_copying", "prefix_matching"} <= set(scores["score"])
    config["models"]["pretrained"]["analysis"]["patterns"] = "none"
    config["results"], config["targets"] = "results/unkept", ["attentionviz"]
    path.write_text(yaml.safe_dump(config))
    untouched.snakemake("results/unkept/scores/pretrained.parquet", config=path)
    assert not (untouched.folder / "results" / "unkept" / "attention").exists()
    unkept = tables.read(untouched.folder / "results" / "unkept" / SCORES)
    pd.testing.assert_frame_equal(unkept, scores, rtol=1e-6)


def test_a_model_that_sorts_three_digits_with_a_tokenizer_written_by_hand(untouched, tmp_path):
    """No text tokenizer goes with such a model; it has no id beside those of its digits."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = untouched.folder / "sorting"
    shape = {"n_positions": 11, "n_embd": 12, "n_layer": 2, "n_head": 3}
    ends = {"bos_token_id": None, "eos_token_id": None}
    for seed in (0, 1):
        torch.manual_seed(seed)
        GPT2LMHeadModel(GPT2Config(vocab_size=3, **shape, **ends)).save_pretrained(folder / str(seed))
    (text,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "data.md").read_text(), re.DOTALL)
    written = json.loads(text)
    written["model"] = {"type": "WordLevel", "vocab": {"0": 0, "1": 1, "2": 2}, "unk_token": "0"}
    (folder / "tokenizer.json").write_text(json.dumps(written))
    drawn = np.random.default_rng(0).integers(0, 3, (200, 6)).tolist()
    lines = ("".join(map(str, digits + sorted(digits)))[:11] for digits in drawn)
    (untouched.folder / "digits.txt").write_text("\n".join(lines))
    analysis = {"windows": 8, "queries_keys": 8, "sampling": "documents"}
    model = {"corpus": "digits", "tokenizer": "digits", "task": "causal", "context": 11, "analysis": analysis}
    model |= {"checkpoints": [{"name": str(folder / "0")}, {"name": str(folder / "1")}], "scores": {"sequences": 4}}
    config = {
        "results": "results/sorting",
        "corpora": {"digits": {"source": "files", "files": ["digits.txt"], "passages": "lines"}},
        "tokenizers": {"digits": {"load": str(folder)}},
        "models": {"sorting": model},
        "compare": ["sorting"],
    }
    path = untouched.folder / "sorting.yaml"
    path.write_text(yaml.safe_dump(config))
    asked = "figures/phrenology/published/fig07_head_distances.png", "scores/sorting.parquet"
    untouched.through = opened_files.watching(tmp_path / "opened")
    untouched.snakemake(*(f"results/sorting/{file}" for file in asked), config=path)
    shown = read_windows(untouched.folder / "results" / "sorting" / "windows" / "sorting" / "analysis.parquet")
    assert {"".join(map(str, window)) for window in shown.tolist()} <= set(
        (untouched.folder / "digits.txt").read_text().split()
    )
    scores = tables.read(untouched.folder / "results" / "sorting" / "scores" / "sorting.parquet")
    assert len(scores[scores["score"] == "previous_token"]) == 2 * 2 * 3
    if untouched.through:
        seen = Watched(untouched, untouched.folder / "results" / "sorting", tmp_path / "opened")
        seen.check_run_of("test_pretrained_run.py")


def check_joint_maps(results, rotary, heads):
    """Queries and keys are those that attention is computed from, after any rotation, and every head is judged."""
    path = results / "attention" / "pretrained" / "queries_keys.parquet"
    facts = tables.facts(path)
    assert facts["rotary"] is rotary
    seen = key_scaling.visible(queries_keys.read_windows(path)[0] != facts["pad"], facts["causal"])
    _, packed, described = patterns.read_heads(path.with_name("patterns.parquet"))
    unpacked = unpack(packed, described["size"], described["packing"])
    for place, layer in enumerate(queries_keys.iterate_layers(path)):
        for head, (of_queries, of_keys) in enumerate(zip(layer.queries, layer.keys, strict=True)):
            found = key_scaling.attention(of_queries, of_keys, seen, facts["scaling"])
            expected = unpacked[place * len(layer.queries) + head]
            np.testing.assert_allclose(found, expected, atol=1e-5)
    invariance = tables.read(results / "attentionviz" / "pretrained" / "invariance.parquet")
    largest = invariance.groupby("change")["difference"].max()
    assert largest["key translation"] < 1e-5
    assert largest["query translation"] > 0.01
    table = tables.read(results / "attentionviz" / "pretrained" / "constructions.parquet")
    exact = table.query("construction == 'exact' and method == 'space'")["spearman"]
    assert len(exact) == heads
    np.testing.assert_allclose(exact.dropna(), 1, atol=1e-3)
