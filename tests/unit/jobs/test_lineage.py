"""From a result back to what it was made of, wherever the results lie now."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.iocontainers import Namedlist

from headatlas.jobs import code_digest, lineage
from headatlas.jobs.job import job


def step(rule, folder, inputs, output, **settings):
    """Run a job of the results in `folder` that copies what it reads."""

    @job
    def main(snakemake, run):
        texts = [Path(path).read_text() for path in snakemake.input]
        with open(run.out.made, "w") as file:
            file.write("\n".join([rule, *texts]))

    script = "fetch_corpus"  # any that there is
    spec = {"script": script, "modules": [], "packages": {"numpy": None}, "settings": settings, "reads": {}}
    spec["code"] = code_digest.code_digest(lineage._SCRIPTS / f"{script}.py", lineage._SCRIPTS)
    (folder / output).parent.mkdir(parents=True, exist_ok=True)
    main(
        SimpleNamespace(
            rule=rule,
            input=Namedlist(fromdict={name: str(folder / path) for name, path in inputs.items()}),
            output=Namedlist(fromdict={"made": str(folder / output)}),
            params=SimpleNamespace(spec=spec),
            wildcards=Namedlist(fromdict={"model": "toy"}),
            resources=Namedlist(),
            config={"store": str(folder.parent / "store"), "results": str(folder)},
            log=[],
        )
    )


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A corpus, a model of it, and a figure of both."""
    monkeypatch.delenv("HEADATLAS_RUN", raising=False)
    folder = tmp_path / "results"
    step("fetch_corpus", folder, {}, "corpora/documents.txt", source="repeats")
    step("train_model", folder, {"documents": "corpora/documents.txt"}, "models/model.txt", seeds=[0, 1])
    given = {"model": "models/model.txt", "documents": "corpora/documents.txt"}
    step("draw_model", folder, given, "figures/figure.txt", size=3)
    return folder


def tree(folder, **options):
    return list(lineage.Lineage(folder / "figures" / "figure.txt").lines(**options))


def test_the_tree_leads_to_the_corpus_with_settings_and_code(results):
    lines = [line.split("  sha256")[0] for line in tree(results)]
    code = code_digest.code_digest(lineage._SCRIPTS / "fetch_corpus.py", lineage._SCRIPTS)
    assert lines[:10] == [
        "figures/figure.txt",
        f"│  by draw_model toy, code {code}",
        "│    size: 3",
        "├─ models/model.txt",
        f"│  │  by train_model toy, code {code}",
        "│  │    seeds: [0, 1]",
        "│  └─ corpora/documents.txt",
        f"│        by fetch_corpus toy, code {code}",
        "│          source: repeats",
        "└─ corpora/documents.txt",
    ]
    assert "see above" in tree(results)[9]
    said = "\n".join(lines[10:])
    assert "any of 3 steps" in said
    assert "seeds, size, source" in said
    assert len(tree(results, settings=False)) == len(lines) - 3


def test_it_is_the_same_on_another_machine(results, tmp_path):
    before = tree(results)
    shutil.copytree(results, tmp_path / "elsewhere" / "copied")
    shutil.rmtree(results)
    shutil.rmtree(tmp_path / "store")
    assert tree(tmp_path / "elsewhere" / "copied") == before


def test_what_was_changed_or_is_gone_is_said(results, monkeypatch):
    (results / "models" / "model.txt").chmod(0o644)
    (results / "models" / "model.txt").write_text("edited")
    (results / "corpora" / "documents.txt").unlink()
    said = "\n".join(tree(results))
    assert said.count("CHANGED SINCE IT WAS MADE") == 1
    assert "(not here)" in said
    monkeypatch.setattr(code_digest, "code_digest", lambda *given: "other")
    assert "(this checkout: other, so it would be computed anew)" in "\n".join(tree(results))


def test_what_no_record_tells_of_is_one_line(results, tmp_path):
    for file, said in (
        (tmp_path / "absent", "no such file"),
        (results.parent / "store" / "entries", "no such file"),
    ):
        with pytest.raises(SystemExit, match=said):
            lineage.main([str(file)])
    (results / "mine.txt").write_text("")
    with pytest.raises(SystemExit, match=r"mine.txt: nothing is recorded of what made it"):
        lineage.main([str(results / "mine.txt")])
    (tmp_path / "outside.txt").write_text("")
    with pytest.raises(SystemExit, match=r"outside.txt: no results folder of this workflow"):
        lineage.main([str(tmp_path / "outside.txt")])


def test_a_damaged_record_is_as_none(results, capsys):
    record = results / "records" / "models" / "model.txt.json"
    for harm in ("", "[]", json.dumps({"output": "made"})):
        record.write_text(harm)
        assert "models/model.txt  (nothing is recorded of it)" in "\n".join(tree(results))
