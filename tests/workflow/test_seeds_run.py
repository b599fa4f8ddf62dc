"""Families of seeds and of checkpoints along a training, named by a pattern: from names to scores of every member."""

import shutil

import numpy as np
import torch
import transformers
import yaml
from safetensors import safe_open

from headatlas.attention import patterns
from headatlas.attention.packing import unpack
from headatlas.base import tables
from headatlas.data.windows import read_windows

SEEDS, STEPS = (1, 2, 3), (0, 512)
MODELS = {  # as the presets of PolyPythias and MultiBERTs name theirs
    "seeds": [{"name": "org/tiny-seed{1..3}", "revision": "step512"}],
    "steps": [{"name": "org/tiny-seed1", "revision": "step{0,512}"}],
}
EXPECTED = {"seeds": [(1, 512), (2, 512), (3, 512)], "steps": [(1, 0), (1, 512)]}


def made(folder, tokenizer):
    """A mirror with tiny models of random weights, each with the tokenizer's files."""
    for seed in SEEDS:
        for step in STEPS:
            torch.manual_seed(1000 * seed + step)
            config = transformers.GPTNeoXConfig(
                vocab_size=512, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
            )
            model = transformers.GPTNeoXForCausalLM(config)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(0.3 * torch.randn(parameter.shape))
            model.save_pretrained(folder / "models" / f"tiny-seed{seed}@step{step}")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (tokenizer / name).is_file():
            (folder / "tokenizer").mkdir(exist_ok=True)
            shutil.copyfile(tokenizer / name, folder / "tokenizer" / name)


def test_patterns_of_names_end_in_scores_of_every_member(untouched, mirror, tmp_path):
    made(tmp_path / "mirror", mirror / "models" / "stories260K")
    shared = {"corpus": "python-docs", "tokenizer": "own", "task": "causal", "context": 16}
    shared |= {"analysis": {"windows": 8, "queries_keys": 4}, "scores": {"sequences": 4}}
    config = {
        "results": "results/families",
        "mirror": str(tmp_path / "mirror"),
        "tokenizers": {"own": {"load": str(tmp_path / "mirror" / "tokenizer")}},
        "models": {name: {**shared, "checkpoints": checkpoints} for name, checkpoints in MODELS.items()},
        "targets": ["phrenology"],
        "studies": {"phrenology": {"models": ["seeds"]}},
    }
    path = untouched.folder / "families.yaml"
    path.write_text(yaml.safe_dump(config))
    asked = [f"results/families/scores/{name}.parquet" for name in MODELS]
    untouched.snakemake(*asked, "results/families/knockouts/seeds/screen.parquet", config=path)
    results = untouched.folder / "results" / "families"
    for name, members in EXPECTED.items():
        scores = tables.read(results / "scores" / f"{name}.parquet")
        assert sorted(scores["member"].unique()) == list(range(len(members)))
        windows = read_windows(results / "windows" / name / "analysis.parquet")
        _, packed, facts = patterns.read_heads(results / "attention" / name / "patterns.parquet")
        found = unpack(packed, facts["size"], facts["packing"]).reshape(len(members), 2, 2, len(windows), 16, 16)
        for member, (seed, step) in enumerate(members):
            folder = tmp_path / "mirror" / "models" / f"tiny-seed{seed}@step{step}"
            model = transformers.GPTNeoXForCausalLM.from_pretrained(folder, attn_implementation="eager")
            with torch.no_grad():
                given = model(torch.from_numpy(windows.astype(np.int64)), output_attentions=True).attentions
            np.testing.assert_allclose(found[member], torch.stack(given).transpose(1, 2), atol=1e-5)
    with safe_open(results / "models" / "seeds" / "model.safetensors", framework="pt") as opened:
        assert opened.get_slice("gpt_neox.embed_in.weight").get_shape()[0] == len(SEEDS)
    screen = tables.read(results / "knockouts" / "seeds" / "screen.parquet")
    assert screen["estimate"].notna().all()
    assert len(screen) == len(SEEDS) * 4
    assert len(tables.facts(results / "knockouts" / "seeds" / "screen.parquet")["agreement"]) == len(SEEDS)
