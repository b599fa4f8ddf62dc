"""A job computes once, leaves whole outputs or none, and says in its log what happened."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from snakemake.iocontainers import Namedlist

from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.jobs import job as module
from headatlas.jobs.job import job
from headatlas.jobs.store import Store

SCRIPTS = Path(module.__file__).parents[2]


class Work:
    """A folder with a text and a table as inputs, and a job of two outputs that counts how often it computes."""

    def __init__(self, folder):
        self.folder, self.runs = folder, 0
        self.body = self.copy
        self.text, self.table = folder / "text.txt", folder / "table.parquet"
        self.text.write_text("given")
        self.tabulate()
        (folder / "results").mkdir()
        self.outputs = {name: folder / "results" / f"{name}.json" for name in ("model", "config")}
        self.settings = {"epochs": 3, "batch": 4}
        self.code, self.wildcards, self.rule, self.store = "c0de", {"model": "toy"}, "train_model", folder / "store"
        self.resources, self.config = {}, {}

    def tabulate(self, rows=(0, 1), **notes):
        tables.write(self.table, {"head": np.int32(rows)}, **notes)

    def copy(self, snakemake, run):
        Path(run.out.model).write_text(Path(snakemake.input.text).read_text() + json.dumps(run.settings))
        Path(run.out.config).write_text(json.dumps(run.provenance))

    def snakemake(self):
        return SimpleNamespace(
            rule=self.rule,
            input=Namedlist(fromdict={"text": str(self.text), "tables": [str(self.table)]}),
            output=Namedlist(fromdict={name: str(path) for name, path in self.outputs.items()}),
            params=SimpleNamespace(spec={"code": self.code, "packages": {"numpy": "0"}, "settings": self.settings}),
            wildcards=Namedlist(fromdict=self.wildcards),
            resources=Namedlist(fromdict=self.resources),
            config={"store": str(self.store), **self.config},
            log=[],
        )

    def run(self):
        """Whether the body ran."""
        before = self.runs

        @job
        def main(snakemake, run):
            self.runs += 1
            self.body(snakemake, run)

        main(self.snakemake())
        return self.runs > before

    def fail(self):
        with pytest.raises(SystemExit) as caught:
            self.run()
        return caught.value.code

    def written(self):
        return {path.name: path.read_text() for path in (self.folder / "results").iterdir()}

    def delete(self):
        for path in self.outputs.values():
            path.unlink()


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.delenv("HEADATLAS_MIRROR", raising=False)
    return Work(tmp_path)


def test_second_run_restores_without_computing(work):
    assert work.run()
    first = work.written()
    assert sorted(first) == ["config.json", "model.json"]
    work.delete()
    assert not work.run()
    assert work.written() == first


def touch(work):
    os.utime(work.text)


def other_provenance(work):
    work.tabulate(provenance={"device": "another"})


def moved_outputs(work):
    (work.folder / "results").rename(work.folder / "gone")
    (work.folder / "results").mkdir()
    (work.folder / "elsewhere").mkdir()
    work.outputs = {name: work.folder / "elsewhere" / path.name for name, path in work.outputs.items()}


def moved_inputs(work):
    work.text = work.text.rename(work.folder / "renamed.txt")


def reordered(work):
    work.settings = dict(reversed(work.settings.items()))


@pytest.mark.parametrize("change", [touch, other_provenance, moved_outputs, moved_inputs, reordered])
def test_what_does_not_change_the_result_is_restored(work, change):
    work.run()
    change(work)
    assert not work.run()
    assert all(path.is_file() for path in work.outputs.values())


CHANGES = {
    "setting": lambda work: work.settings.update(epochs=4),
    "swapped settings": lambda work: work.settings.update(epochs=4, batch=3),
    "new setting": lambda work: work.settings.update(seed=0),
    "code": lambda work: setattr(work, "code", "c0ff"),
    "wildcard": lambda work: work.wildcards.update(model="toys"),
    "rule": lambda work: setattr(work, "rule", "train_models"),
    "text": lambda work: work.text.write_text("given."),
    "rows": lambda work: work.tabulate((0, 2)),
    "facts": lambda work: work.tabulate(facts={"size": 2}),
    "output": lambda work: work.outputs.pop("config"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changes_the_result_is_computed(work, change):
    def body(snakemake, run):
        for path in vars(run.out).values():
            Path(path).write_text("some")

    work.settings.update(epochs=3, batch=4)
    work.body = body
    assert work.run()
    change(work)
    assert work.run()
    assert not work.run()


def test_swapped_inputs_are_computed(work):
    work.table = work.text
    work.run()
    other = work.folder / "other.txt"
    other.write_text("other")
    work.table = other
    assert work.run()
    work.text, work.table = work.table, work.text
    assert work.run()


def test_another_version_of_a_package_is_computed(work, monkeypatch):
    work.run()
    monkeypatch.setattr(module.metadata, "version", lambda name: "99")
    assert work.run()


def test_provenance_says_what_produced_the_outputs(work):
    work.run()
    found = json.loads(work.outputs["config"].read_text())
    assert found["rule"] == "train_model"
    assert found["settings"] == work.settings
    assert found["code"] == "c0de"
    assert found["packages"] == {"numpy": np.__version__}
    assert found["wildcards"] == {"model": "toy"}
    assert found["inputs"]["text"] == [hashlib.sha256(b"given").hexdigest()]
    assert found["inputs"]["tables"] == [tables.content_digest(work.table)]


def test_package_that_only_the_jobs_environment_has_goes_by_its_own_name():
    assert module._installed({"sklearn": None}) == module._installed({"scikit-learn": "0"})
    assert module._installed({"no-such-module": None}) == {"no-such-module": None}


def test_failing_body_leaves_nothing(work, capsys):
    def body(snakemake, run):
        Path(run.out.model).write_text("half")
        raise ZeroDivisionError

    work.body = body
    assert work.fail() == 1
    assert work.written() == {}
    assert "Traceback" in capsys.readouterr().err
    work.body = work.copy
    assert work.run()


def test_interrupted_body_leaves_nothing(work):
    def body(snakemake, run):
        Path(run.out.model).write_text("half")
        raise KeyboardInterrupt

    work.body = body
    with pytest.raises(KeyboardInterrupt):
        work.run()
    assert work.written() == {}


def test_input_error_is_one_line(work, capsys):
    def body(snakemake, run):
        raise InputError("batch: 0 found; allowed: at least 1")

    work.body = body
    assert work.fail() == 1
    said = capsys.readouterr().err
    assert said == "error: batch: 0 found; allowed: at least 1\n"


def test_damaged_input_table_is_one_line(work, capsys):
    work.table.write_bytes(b"PAR1")
    assert work.fail() == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {work.table}: not a whole Parquet file")
    assert said.count("\n") == 1


@pytest.mark.parametrize("content", [None, ""], ids=["not written", "empty"])
def test_output_that_is_not_there_is_an_error(work, capsys, content):
    def body(snakemake, run):
        Path(run.out.model).write_text("whole")
        if content is not None:
            Path(run.out.config).write_text(content)

    work.body = body
    assert work.fail() == 1
    assert f"the script did not write its output 'config' ({work.outputs['config']})" in capsys.readouterr().err
    assert work.written() == {}
    work.body = work.copy
    assert work.run()  # the failed one was not stored


def test_old_output_stays_until_the_new_one_is_whole(work):
    work.run()
    work.text.write_text("new")

    def body(snakemake, run):
        assert work.outputs["model"].read_text().startswith("given")
        work.copy(snakemake, run)

    work.body = body
    work.run()
    assert work.outputs["model"].read_text().startswith("new")


def test_scratch_outlives_a_failure_but_not_a_success(work):
    seen = []

    def body(snakemake, run):
        checkpoint = run.scratch / "checkpoint"
        seen.append(checkpoint.read_text() if checkpoint.exists() else None)
        checkpoint.write_text("step 3")
        if len(seen) == 1:
            raise ZeroDivisionError
        work.copy(snakemake, run)

    work.body = body
    work.fail()
    work.run()
    assert seen == [None, "step 3"]
    assert list((work.store / "scratch").iterdir()) == []


def test_scratch_is_not_that_of_other_settings(work):
    seen = []

    def body(snakemake, run):
        seen.append(list(run.scratch.iterdir()))
        (run.scratch / "checkpoint").write_text("")
        raise ZeroDivisionError

    work.body = body
    work.fail()
    work.settings["epochs"] = 9
    work.fail()
    assert seen == [[], []]


def test_damaged_store_entry_is_named_and_computed_anew(work, capsys):
    work.run()
    entry = Store(work.store).entries()[0][2]
    (entry / "model").unlink()
    (entry / "model").write_text("damaged")
    work.delete()
    assert work.run()
    assert f"store: {entry / 'model'} is damaged" in capsys.readouterr().err
    assert work.outputs["model"].read_text().startswith("given")
    work.delete()
    assert not work.run()


def test_store_that_cannot_be_written_costs_no_result(work, capsys):
    work.store = work.text / "store"
    seen = []

    def body(snakemake, run):
        seen.append(run.scratch)
        work.copy(snakemake, run)

    work.body = body
    assert work.run()
    assert sorted(work.written()) == ["config.json", "model.json"]
    assert seen == [None]
    assert "cannot be written" in capsys.readouterr().err


def test_read_only_output_file_is_taken(work):
    def body(snakemake, run):
        work.copy(snakemake, run)
        os.chmod(run.out.model, 0o444)

    work.body = body
    assert work.run()


def test_mirror_is_the_environments_else_the_configurations(work, monkeypatch):
    seen = []

    def body(snakemake, run):
        seen.append(run.mirror)
        raise ZeroDivisionError

    work.body = body
    work.fail()
    work.config["mirror"] = "/configured"
    work.fail()
    monkeypatch.setenv("HEADATLAS_MIRROR", "/environment")
    work.fail()
    assert seen == [None, Path("/configured"), Path("/environment")]


@pytest.mark.parametrize("resources", [{}, {"gpu": 0}, {"gpu": 1}])
def test_device_is_the_cpu_where_there_is_no_gpu(work, monkeypatch, capsys, resources):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before, seen = torch.get_num_threads(), []

    def body(snakemake, run):
        seen.extend([run.device(threads=1).type, torch.get_num_threads()])
        work.copy(snakemake, run)

    work.body, work.resources = body, resources
    try:
        work.run()
    finally:
        torch.set_num_threads(before)
    assert seen == ["cpu", 1]
    assert "device: cpu, 1 CPU threads" in capsys.readouterr().err
    assert json.loads(work.outputs["config"].read_text())["device"] == "cpu"


def test_device_is_no_part_of_the_key(work):
    work.run()
    work.resources = {"gpu": 1}
    assert not work.run()


CHILD = """
import ctypes, json, os, sys, time
from pathlib import Path
from types import SimpleNamespace
from headatlas.base.errors import InputError
from headatlas.jobs.job import job

@job
def main(snakemake, run):
    Path(run.out.model).write_text("half")
    print("printed")
    os.write(1, b"from a library in C\\n")
    print("warned", file=sys.stderr)
    how = sys.argv[1]
    if how == "wait":
        print("pid", os.getpid(), flush=True)
        time.sleep(60)
    if how == "refuse":
        raise InputError("batch: 0 found; allowed: at least 1")
    if how == "crash":
        ctypes.CDLL(None).puts(b"last words")
        ctypes.CDLL(None).fflush(None)
        raise ZeroDivisionError

class Named(SimpleNamespace):
    def items(self):
        return vars(self).items()

main(SimpleNamespace(
    rule="r", input=Named(), output=Named(model="model.txt"), wildcards=Named(), resources=Named(),
    log=["logs/deep/r.log"],
    params=SimpleNamespace(spec={"code": "", "packages": {}, "settings": {}}), config={"store": "store"},
))
"""


def child(folder, how, parent=False):
    """A job in a process of its own, started by a parent that can be killed where one is asked for."""
    command = [sys.executable, "-c", CHILD, how]
    if parent:
        command = [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])", *command]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def started(log, process):
    """The process id that a waiting job has written to its log."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        lines = log.read_text().splitlines() if log.is_file() else []
        if found := [int(line.split()[1]) for line in lines if line.startswith("pid ")]:
            return found[0]
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.02)
    raise AssertionError("the job did not start")


def left(folder):
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and "store" not in path.parts
    )


def test_log_holds_what_python_and_c_print(tmp_path):
    process = child(tmp_path, "finish")
    said, _ = process.communicate(timeout=20)
    log = (tmp_path / "logs" / "deep" / "r.log").read_text()
    assert (process.returncode, said) == (0, "")
    assert log.splitlines()[0].startswith("computing ")
    assert {"printed", "from a library in C", "warned"} <= set(log.splitlines())
    child(tmp_path, "finish").communicate(timeout=20)
    assert (tmp_path / "logs" / "deep" / "r.log").read_text().startswith("restored ")


def test_refused_input_is_one_line_in_the_log_and_on_the_terminal(tmp_path):
    process = child(tmp_path, "refuse")
    said, _ = process.communicate(timeout=20)
    log = (tmp_path / "logs" / "deep" / "r.log").read_text()
    assert (process.returncode, said) == (1, "error: batch: 0 found; allowed: at least 1\n")
    assert log.splitlines()[-1] + "\n" == said
    assert "Traceback" not in log
    assert left(tmp_path) == ["logs/deep/r.log"]


def test_log_of_a_crash_has_the_traceback_and_last_words(tmp_path):
    process = child(tmp_path, "crash")
    process.communicate(timeout=20)
    log = (tmp_path / "logs" / "deep" / "r.log").read_text()
    assert process.returncode == 1
    assert "ZeroDivisionError" in log
    assert "last words" in log
    assert left(tmp_path) == ["logs/deep/r.log"]


def test_terminated_job_leaves_nothing(tmp_path):
    process = child(tmp_path, "wait")
    started(tmp_path / "logs" / "deep" / "r.log", process)
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert left(tmp_path) == ["logs/deep/r.log"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_killed_parent_ends_the_job_and_leaves_nothing(tmp_path):
    process = child(tmp_path, "wait", parent=True)
    job_process = started(tmp_path / "logs" / "deep" / "r.log", process)
    process.kill()
    process.wait(timeout=20)
    end = time.monotonic() + 20
    while left(tmp_path) != ["logs/deep/r.log"] and time.monotonic() < end:
        time.sleep(0.02)
    assert left(tmp_path) == ["logs/deep/r.log"]
    status = Path(f"/proc/{job_process}/stat")
    while status.exists() and status.read_text().split()[2] != "Z" and time.monotonic() < end:
        time.sleep(0.02)
    assert not status.exists() or status.read_text().split()[2] == "Z"


def test_next_run_removes_what_a_killed_job_left(tmp_path):
    process = child(tmp_path, "wait")
    job_process = started(tmp_path / "logs" / "deep" / "r.log", process)
    os.kill(job_process, signal.SIGKILL)
    process.communicate(timeout=20)
    assert len(left(tmp_path)) == 2
    child(tmp_path, "finish").communicate(timeout=20)
    assert left(tmp_path) == ["logs/deep/r.log", "model.txt"]
