"""What other tools read: HeadVis's folder layout, a data set's card."""

import json
import zipfile

import numpy as np
import pytest

from headatlas.atlas import dataset_card, described_tables, headvis
from headatlas.atlas.results import Results
from headatlas.base import tables
from results_folders import HEADS, LAYERS, MEMBERS, NASTY, write_results


@pytest.fixture
def planted(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    return folder, *write_results(folder)


def test_archive_has_the_layout_of_headvis_and_the_tables_numbers(planted, tmp_path):
    folder, weights, tokens = planted
    headvis.write_archive(tmp_path / "one.zip", Results(folder), "planted")
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        files = {name: json.loads(archive.read(name)) for name in archive.namelist()}
    heads = {f"heads/L{layer}H{head}.json" for layer in range(LAYERS) for head in range(HEADS)}
    for member in range(MEMBERS):
        own = {name.removeprefix(f"member-{member}/data/") for name in files if name.startswith(f"member-{member}/")}
        assert own == {"config.json", "scatter_data.json"} | heads
    points = files["member-2/data/scatter_data.json"]["heads"]
    assert [(point["layer"], point["head"]) for point in points] == [
        (la, h) for la in range(LAYERS) for h in range(HEADS)
    ]
    score = tables.read(folder / "scores/planted.parquet", member=2, layer=1, head=3, score="induction")["value"].item()
    assert points[-1]["induction"] == pytest.approx(score, rel=1e-5)
    head = files["member-2/data/heads/L1H3.json"]
    assert head["metrics"]["induction"] == pytest.approx(score, rel=1e-5)
    assert {one["bucket"] for one in head["sequences"]} >= {"strongest", "typical", "decile 1", "decile 10"}
    for one in head["sequences"]:
        np.testing.assert_allclose(one["attention"], weights[2, 1, 3, one["sequence"]], atol=1e-4)
        assert len(one["tokens"]) == tokens.shape[1]
    assert "<script>alert(1)</script>" in {token for one in head["sequences"] for token in one["tokens"]} | set(NASTY)


def test_without_patterns_heads_are_written_without_prompts(tmp_path):
    write_results(tmp_path, kept=False)
    headvis.write_archive(tmp_path / "one.zip", Results(tmp_path), "planted")
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        head = json.loads(archive.read("member-2/data/heads/L1H3.json"))
    assert head["sequences"] == []
    assert set(head["metrics"]) >= {"induction", "cost_mean"}


def test_equal_results_make_equal_archives(planted, tmp_path):
    for name in ("one.zip", "two.zip"):
        headvis.write_archive(tmp_path / name, Results(planted[0]), "planted")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_card_is_read_by_the_library_that_reads_cards(planted):
    from huggingface_hub import DatasetCard

    folder = planted[0]
    text = dataset_card.card(Results(folder), {"title": 'A "run": of <b>', "settings": "a: 1\n", "models": {}})
    read = DatasetCard(text)
    files = {one["config_name"]: one["data_files"] for one in read.data.configs}
    assert set(files.values()) == set(Results(folder).names("**/*.parquet"))
    assert files["scores-planted"] == "scores/planted.parquet"
    assert read.data.pretty_name == 'A "run": of <b>'
    for name in files.values():
        section = text.split(f"## {name}\n")[1].split("\n## ")[0]
        for column, kind in tables.columns(folder / name).items():
            assert f"| {column} | {kind} | {described_tables.meaning(name, column)} |" in section
        assert f" A row is {described_tables.entry(name)[1]['row']}." in section


def test_tables_load_by_the_card(planted, monkeypatch):
    import datasets

    folder = planted[0]
    (folder / "README.md").write_text(dataset_card.card(Results(folder)), encoding="utf-8")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    loaded = datasets.load_dataset(str(folder), "scores-planted", cache_dir=str(folder / "cache"))["train"]
    assert len(loaded) == tables.rows(folder / "scores/planted.parquet")
    assert set(loaded.column_names) == set(tables.columns(folder / "scores/planted.parquet"))
