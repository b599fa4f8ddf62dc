"""A job opens what its rule declares, and nothing else of the user's: an undeclared input would make stale results.

The tiny run is looked at here, and what is made of its results on demand; other runs are where they are made.
"""

import os

import pytest
import yaml

import opened_files
from checkout import ROOT
from declared_inputs import IN_OTHER_RUNS, LEFT_OUT, ON_DEMAND, WITH_REAL_DATA, Watched


def watched(run, results, trace):
    if not trace.exists():
        pytest.skip("needs strace, allowed to look on")
    return Watched(run, results, trace)


@pytest.fixture(scope="module")
def tiny(finished):
    return watched(finished, finished.results, finished.folder.parent / "opened")


@pytest.fixture(scope="module")
def on_demand(finished, tmp_path_factory):
    """What is made of finished results when it is asked for."""
    folder = tmp_path_factory.mktemp("on-demand")
    run = finished.copy(folder / "copy")
    run.through = opened_files.watching(folder / "opened")
    run.snakemake("atlas_folder", "exports", "results/tiny/knockouts/tiny-a/screen.parquet")
    return watched(run, run.results, folder / "opened")


def test_all_rules_were_seen(tiny):
    assert tiny.scripts() == {record["script"] for record in tiny.records}


def test_every_script_is_looked_at_or_left_out_by_name_and_with_a_reason(tiny):
    scripts = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    elsewhere = set().union(*IN_OTHER_RUNS.values())
    print(*(f"not looked at: {name}: {reason}" for name, reason in LEFT_OUT.items()), sep="\n")
    assert all(len(reason) > 20 for reason in (LEFT_OUT | WITH_REAL_DATA).values())
    others = [*ON_DEMAND, *elsewhere, *WITH_REAL_DATA, *LEFT_OUT]
    assert len(others) == len(set(others)), "one is named twice"
    assert scripts - tiny.scripts() == set(others)
    for name in IN_OTHER_RUNS:
        assert f'check_run_of("{name}")' in (ROOT / "tests" / "workflow" / name).read_text()


def test_jobs_open_only_what_their_rules_declare(tiny):
    tiny.check()


def test_what_is_made_on_demand_opens_only_what_it_declares(on_demand):
    assert on_demand.scripts() == ON_DEMAND
    on_demand.check()


def test_parts_of_speech_are_measured_from_what_is_declared(untouched, mirror, tmp_path):
    tiny = yaml.safe_load((untouched.folder / "tests" / "workflow" / "tiny.yaml").read_text())
    model = {**tiny["models"]["tiny-b"], "corpus": "masc", "tokenizer": "pieces"}
    model["analysis"] = {"windows": 60, "queries_keys": 60}
    config = {
        **{"results": "results/tagged", "mirror": str(mirror), "targets": ["attentionviz"]},
        "corpora": {"masc": {"source": "nltk", "name": "masc_tagged"}},
        "tokenizers": {"pieces": {"train": "byte-level-bpe", "corpus": "masc", "vocabulary": 400}},
        "models": {"tagged": model},
        "studies": {"attentionviz": {**tiny["studies"]["attentionviz"], "models": ["tagged"]}},
    }
    (untouched.folder / "tagged.yaml").write_text(yaml.safe_dump(config))
    untouched.through = opened_files.watching(tmp_path / "opened")
    untouched.snakemake("results/tagged/attentionviz/tagged/parts_of_speech.parquet", config="tagged.yaml")
    seen = watched(untouched, untouched.folder / "results" / "tagged", tmp_path / "opened")
    jobs = [job for job in seen.jobs if job[0] in WITH_REAL_DATA]
    assert len(jobs) == len(WITH_REAL_DATA) == 1
    seen.check(jobs)


@pytest.mark.parametrize(
    "path", ["results/tiny/models/tiny-a/model.safetensors", "scripts/headatlas/models/training.py", "config.yaml"]
)
def test_an_undeclared_file_would_be_seen(finished, tiny, path):
    files = next(files for name, files in tiny.jobs if name == "build_tokenizer")
    with pytest.raises(AssertionError, match=r"build_tokenizer (opens|runs code)"):
        tiny.check([("build_tokenizer", files | {os.path.realpath(finished.folder / path)})])
