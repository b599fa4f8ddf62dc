"""A job computes once, leaves whole outputs or none, and says in its log what happened."""

import hashlib
import json
import os
import shutil
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
from headatlas.jobs import code_digest, contents, invocation
from headatlas.jobs import job as module
from headatlas.jobs.job import job
from headatlas.jobs.records import Records
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
        self.resources, self.config, self.log = {}, {}, []
        self.script, self.reads = None, {}

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
            params=SimpleNamespace(spec=self.spec()),
            wildcards=Namedlist(fromdict=self.wildcards),
            resources=Namedlist(fromdict=self.resources),
            config={"store": str(self.store), **self.config},
            log=self.log,
        )

    def spec(self):
        found = {"code": self.code, "packages": {"numpy": "0"}, "settings": self.settings, "reads": self.reads}
        return found | ({"script": self.script, "modules": ()} if self.script else {})

    def run_aside(self):
        """Run in a process of its own, whose output goes to the log."""
        if (process := os.fork()) == 0:
            code = 1
            try:
                self.run()
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(process, 0)[1] == 0

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
    for name in ("HEADATLAS_MIRROR", "HEADATLAS_RUN"):
        monkeypatch.delenv(name, raising=False)
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
    device = f"cpu ({torch.backends.cpu.get_cpu_capability()})"  # its instructions decide the last bits
    assert f"device: {device}, 1 CPU threads" in capsys.readouterr().err
    assert json.loads(work.outputs["config"].read_text())["device"] == device


def test_device_is_no_part_of_the_key(work):
    work.run()
    work.resources = {"gpu": 1}
    assert not work.run()


CHILD = """
import ctypes, json, os, sys, time
from concurrent.futures import ThreadPoolExecutor
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
    if how in ("threads", "library", "checkpoint"):
        if how == "checkpoint":
            (run.scratch / "checkpoint").write_text("step 3")
        (run.temporary / "large").write_text("")
        print("pid", os.getpid(), flush=True)
        if how == "library":
            ctypes.CDLL(None).sleep(60)  # the main thread is in C, and runs no handler of Python's
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: time.sleep(60), range(2)))
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
    own = {name: value for name, value in os.environ.items() if not name.startswith("HEADATLAS")}
    environment = {**own, "PYTHONPATH": str(SCRIPTS)}
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("how", ["threads", "library", "checkpoint"])
def test_a_job_stops_at_once_whatever_its_threads_do_and_says_what_is_kept(tmp_path, how, number):
    process = child(tmp_path, how)
    started(tmp_path / "logs" / "deep" / "r.log", process)
    asked = time.monotonic()
    process.send_signal(number)
    said, _ = process.communicate(timeout=20)
    assert time.monotonic() - asked < 2
    assert process.returncode == 128 + number
    kept = "but its checkpoint, from which it goes on next time" if how == "checkpoint" else "it starts anew next time"
    assert said == f"stopped: nothing of r is kept, {kept}\n"
    assert left(tmp_path) == ["logs/deep/r.log"]
    scratch = sorted(path.name for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert scratch == (["checkpoint"] if how == "checkpoint" else [])


def announce(work, **given):
    invocation.announce({}, {"everything": False, "rules": [], "files": [], **given})


@pytest.mark.parametrize("forced", [{"everything": True}, {"rules": ["train_model"]}, {"files": ["MODEL"]}])
def test_forced_is_computed_compared_and_said(work, capsys, monkeypatch, forced):
    monkeypatch.setenv("HEADATLAS_RUN", "")
    forced = {key: [str(work.outputs["model"])] if value == ["MODEL"] else value for key, value in forced.items()}
    announce(work, **forced)
    assert work.run()
    assert "forced: train_model was computed; the store held nothing to compare with\n" in capsys.readouterr().err
    assert work.run()
    assert "forced: train_model was computed; all bytes equal what the store held\n" in capsys.readouterr().err
    work.body = lambda snakemake, run: [Path(path).write_text("other") for path in vars(run.out).values()]
    assert work.run()
    said = "config, model differs from what the store held, and takes its place"
    assert said in capsys.readouterr().err.replace("model, config", "config, model")
    announce(work, rules=["another_rule"], files=["another"])
    work.delete()
    assert not work.run()
    assert work.written() == {"config.json": "other", "model.json": "other"}


def test_equal_content_is_told_from_equal_bytes(work, capsys, monkeypatch):
    def body(snakemake, run):
        tables.write(run.out.table, {"head": np.int32([0])}, provenance={"run": work.runs})

    work.body, work.outputs = body, {"table": work.folder / "results" / "table.parquet"}
    work.run()
    monkeypatch.setenv("HEADATLAS_RUN", "")
    announce(work, everything=True)
    work.run()
    assert "its content equals what the store held" in capsys.readouterr().err


@pytest.fixture
def scripts(work, tmp_path, monkeypatch):
    """A folder of scripts, of which one is that of the job."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "lib.py").write_text("A = 1\n")
    (folder / "own.py").write_text("import lib\n")
    monkeypatch.setattr(module, "RunningCode", lambda *given: code_digest.RunningCode(*given, root=folder))
    code_digest.forget()
    work.script, work.code = "own", code_digest.code_digest(folder / "own.py", folder)
    code_digest.forget()
    yield folder
    code_digest.forget()


EDITED = "was edited after this run began; nothing of it was kept: run again"


def test_code_edited_before_the_job_starts_is_not_run(work, scripts, capsys):
    (scripts / "lib.py").write_text("A = 2\n")
    work.fail()
    assert work.runs == 0
    assert EDITED in capsys.readouterr().err


@pytest.mark.parametrize("edit", ["A = 2\n", "A = (\n", None], ids=["edited", "half-edited", "deleted"])
def test_code_edited_while_the_job_runs_is_not_kept(work, scripts, capsys, edit):
    def body(snakemake, run):
        work.copy(snakemake, run)
        (scripts / "lib.py").unlink()
        if edit:
            (scripts / "lib.py").write_text(edit)

    work.body = body
    work.fail()
    said = capsys.readouterr().err
    assert EDITED in said
    assert "Traceback" not in said
    assert work.written() == {}
    assert Store(work.store).entries() == []


def test_a_comment_while_the_job_runs_does_no_harm(work, scripts):
    def body(snakemake, run):
        work.copy(snakemake, run)
        (scripts / "lib.py").write_text("A = 1  # one\n")

    work.body = body
    assert work.run()


def test_code_edited_between_the_submission_of_a_job_and_its_own_planning_is_not_run(
    work, scripts, monkeypatch, capsys
):
    """A cluster's node plans its job anew, from what the code is by then."""
    monkeypatch.setenv("HEADATLAS_RUN", "")
    invocation.announce(code_digest.statements(scripts), {})
    (scripts / "lib.py").write_text("A = 2\n")
    code_digest.forget()
    work.code = code_digest.code_digest(scripts / "own.py", scripts)
    code_digest.forget()
    work.fail()
    assert "error: own: lib.py was edited after this run began; nothing of it was kept" in capsys.readouterr().err


def test_input_changed_while_the_job_runs_is_not_kept(work, capsys):
    def body(snakemake, run):
        work.copy(snakemake, run)
        work.text.write_text("other")

    work.body = body
    work.fail()
    assert (
        "error: train_model: an input changed while it ran; nothing of it was kept: run again"
        in capsys.readouterr().err
    )
    assert work.written() == {}


def read(work, name="corpus"):
    """A folder that the settings lead to, by content."""
    folder = work.folder / name
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "data" / "train.jsonl").write_text("text")
    work.reads = {"files": {str(folder): contents.digests(folder)}}
    return folder


def test_what_settings_lead_to_counts_by_content(work, capsys):
    folder = read(work)
    work.run()
    os.utime(folder / "data" / "train.jsonl")
    assert not work.run()
    (folder / "data" / "train.jsonl").write_text("next")
    work.fail()
    assert f"error: {folder}: changed since this run began" in capsys.readouterr().err
    work.reads = {"files": {str(folder): contents.digests(folder)}}
    assert work.run()


def test_a_mirrors_model_counts_by_content(work):
    (work.folder / "mirror" / "models" / "gpt2").mkdir(parents=True)
    weights = work.folder / "mirror" / "models" / "gpt2" / "model.safetensors"
    weights.write_text("weights")
    work.config["mirror"], work.reads = str(work.folder / "mirror"), {"mirrored": ["models/gpt2"]}
    assert work.run()
    assert not work.run()
    weights.write_text("weighty")
    assert work.run()


def test_a_result_that_was_changed_after_it_was_made_is_not_read(work, capsys):
    work.config["results"] = str(work.folder / "results")
    work.run()
    work.text = work.outputs["model"]
    work.outputs = {name: work.folder / "results" / f"next-{name}.json" for name in ("model", "config")}
    assert work.run()
    text = work.text.read_text()
    work.text.chmod(0o644)
    work.text.write_text(text + " ")
    work.fail()
    said = capsys.readouterr().err
    assert f"error: {work.text}: not what train_model wrote: it was changed since; delete it and run again" in said


def test_a_record_says_what_made_a_result_and_comes_back_with_it(work):
    work.config["results"] = str(work.folder / "results")
    work.run()
    records = Records(work.folder / "results")
    first = records.read(work.outputs["model"])
    assert first["provenance"]["settings"] == work.settings
    assert first["outputs"]["model"]["sha256"] == hashlib.sha256(work.outputs["model"].read_bytes()).hexdigest()
    assert first["paths"] == {"text": str(work.text), "tables": [str(work.table)]}
    shutil.rmtree(work.folder / "results")
    (work.folder / "results").mkdir()
    assert not work.run()
    assert records.read(work.outputs["model"]) == first


def test_a_benchmark_is_of_computing_and_no_restoring_touches_it(work):
    log = work.folder / "results" / "logs" / "train_model" / "toy.log"
    work.config["results"] = str(work.folder / "results")
    work.body = lambda snakemake, run: (time.sleep(0.3), work.copy(snakemake, run))
    work.log = [str(log)]
    place = work.folder / "results" / "benchmarks" / "train_model" / "toy.tsv"
    work.run_aside()
    names, values = (line.split("\t") for line in place.read_text().splitlines())
    row = dict(zip(names, values, strict=True))
    assert float(row["s"]) >= 0.3
    assert float(row["max_rss"]) > 10
    first = place.stat()
    work.delete()
    work.run_aside()
    assert sorted(path.name for path in work.outputs.values()) == ["config.json", "model.json"]
    assert place.stat().st_mtime_ns == first.st_mtime_ns
    text = place.read_text()
    place.unlink()
    work.delete()
    work.run_aside()
    assert place.read_text() == text  # what computing it took comes back with the result
