"""The induction study on tiny families, and offline on pretrained ones: folders in place of the preset's names."""

import csv
import json

import numpy as np
import yaml
from PIL import Image

import opened_files
from declared_inputs import Watched
from headatlas.base import tables
from undescribed import undescribed

TINY = ("tiny.yaml", "tiny-induction.yaml")
FIGURES = 5 * 2 + 6  # both protocols of figures 5 to 9, and those beyond


def check_figures(results):
    drawn = sorted(results.glob("figures/induction/**/*.png"))
    assert len(drawn) == FIGURES
    for figure in drawn:
        assert np.asarray(Image.open(figure).convert("L")).std() > 3, figure
        assert figure.with_suffix(".pdf").read_bytes().startswith(b"%PDF")


def test_tiny_families_go_the_whole_road(untouched, tmp_path):
    tiny, own = (yaml.safe_load((untouched.folder / "tests" / "workflow" / name).read_text()) for name in TINY)
    path = untouched.folder / "both.yaml"
    path.write_text(yaml.safe_dump({**tiny, **own}))
    untouched.through = opened_files.watching(tmp_path / "opened")
    untouched.snakemake("induction", config=path)
    seen, untouched.through = bool(untouched.through), []
    results = untouched.folder / "results" / "tiny-induction"
    check_figures(results)
    dynamics = tables.read(results / "induction" / "tiny-causal" / "dynamics.parquet")
    assert sorted(dynamics["step"].unique()) == [0, 1, 8]
    assert set(dynamics["member"]) == {0, 1}
    facts = tables.facts(results / "induction" / "tiny-masked" / "in_context.parquet")
    assert facts["texts"] == 3
    assert facts["skipped"] == 0
    assert set(tables.read(results / "induction" / "depth.parquet")["model"]) == {"tiny-causal", "tiny-masked"}
    findings = (results / "induction" / "findings.md").read_text()
    for word in ("tiny-causal", "tiny-masked", "Self-repair", "farther back", "Several masks"):
        assert word in findings
    assert undescribed(results) == {}
    assert untouched.snakemake("induction", "-n", config=path).jobs == {}
    if seen:
        Watched(untouched, results, tmp_path / "opened").check_run_of("test_induction_run.py")


def preset(root):
    return yaml.safe_load((root / "config" / "induction-paper.yaml").read_text())


def reactions(mirror, path):
    """Real text of the masked model, one reaction a line, so that each is a text of its own."""
    with open(mirror / "models" / "rxnmapper_albert" / "example_rxns.csv", encoding="utf-8") as file:
        lines = [json.dumps({"text": row["rxn"]}) for row in csv.DictReader(file)][:240]
    path.write_text("\n".join(lines), encoding="utf-8")


def test_the_preset_runs_offline_on_folders(untouched, mirror):
    config = preset(untouched.folder)
    reactions(mirror, untouched.folder / "reactions.jsonl")
    folders = {"bert-base-uncased": "rxnmapper_albert", "gpt2": "stories260K"}
    models = {}
    for name, folder in folders.items():
        place = str(mirror / "models" / folder)
        models[name] = {**config["models"][name], "checkpoints": [{"name": place}], "context": 104}
        models[name] |= {"analysis": {"windows": 6, "queries_keys": 1}, "scores": {"sequences": 4}}
        models[name] |= {"corpus": "text", "tokenizer": name}
    study = {**config["studies"]["induction"], "models": list(models)}
    study |= {"trials": 12, "length": 50, "texts": 6, "short": 10, "long": 60}
    study |= {"sequences": 4, "ablated": 2, "controls": 1}
    own = {
        "results": "results/pretrained",
        "corpora": {"text": {"source": "files", "files": ["reactions.jsonl"]}},
        "tokenizers": {name: {"load": str(mirror / "models" / folder)} for name, folder in folders.items()},
        "models": models,
        "targets": ["induction"],
        "studies": {"induction": study},
    }
    path = untouched.folder / "pretrained.yaml"
    path.write_text(yaml.safe_dump(own))
    untouched.snakemake("induction", config=path)
    results = untouched.folder / "results" / "pretrained"
    check_figures(results)
    maps = tables.read(results / "induction" / "gpt2" / "maps.parquet")
    induction = maps[(maps["protocol"] == "corrected") & (maps["reading"] == "after")]
    assert len(induction) == 5 * 8
    assert induction["value"].max() < 0.05  # this model is known to have no induction head
    masked = tables.read(results / "induction" / "bert-base-uncased" / "maps.parquet")
    assert masked.groupby(["protocol", "setup", "reading"]).size().eq(12 * 8).all()
    effects = tables.read(results / "induction" / "bert-base-uncased" / "ablations.parquet")
    assert set(effects["kind"]) <= {"zero", "mean", "resample"}
    assert (effects["later_layers"] >= 0).all()
    findings = (results / "induction" / "findings.md").read_text()
    for word in ("bert-base-uncased", "gpt2", "elf-repair", "Olsson's score", "later layers"):
        assert word in findings
