"""Real pretrained models, causal and masked, go the same road as toy families: patterns, scores, figures."""

import numpy as np
import pytest
import yaml

from headatlas.attention import patterns, queries_keys
from headatlas.attention.packing import unpack
from headatlas.base import tables
from headatlas.studies.attentionviz import key_scaling

EXPECTED = {  # task, layers, heads
    "stories260K": ("causal", 5, 8),
    "rxnmapper_albert": ("masked", 12, 8),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_pretrained_model_from_a_folder(finished, mirror, tmp_path, name):
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
    checkout = finished.copy(tmp_path / "copy")
    path = checkout.folder / "pretrained.yaml"
    path.write_text(yaml.safe_dump(config))
    checkout.snakemake("results/pretrained/figures/phrenology/published/fig07_head_distances.png", config=path)
    checkout.snakemake("results/pretrained/scores/pretrained.parquet", config=path)
    checkout.snakemake("results/pretrained/attentionviz/findings.md", config=path)
    check_joint_maps(checkout.folder / "results" / "pretrained", rotary=name == "stories260K", heads=layers * heads)
    scores = tables.read(checkout.folder / "results" / "pretrained" / "scores" / "pretrained.parquet")
    assert scores.groupby("score").size().min() >= heads
    assert len(scores[scores["score"] == "previous_token"]) == layers * heads
    assert {"induction", "copying", "ov_copying", "prefix_matching"} <= set(scores["score"])


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
