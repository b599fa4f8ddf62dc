"""Whatever call to the system fails, at whatever moment: the old result, the new one, or none; and always a line."""

import builtins
import errno
import io
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.iocontainers import Namedlist

from headatlas.jobs.job import job
from headatlas.jobs.store import Store, main

CALLS = ("open", "fsync", "rename", "replace", "link", "unlink", "mkdir", "rmdir", "chmod", "utime", "stat", "scandir")
FAILURES = (errno.ENOSPC, errno.EIO, errno.EACCES)


class Failing:
    """Calls to the system below a folder, counted; the k-th fails once."""

    def __init__(self, folder, at=None, code=errno.EIO):
        self.folder, self.at, self.code, self.count, self.failed = str(folder), at, code, 0, None

    def _call(self, name, function):
        def called(*given, **named):
            if any(str(one).startswith(self.folder) for one in given if isinstance(one, str | os.PathLike)) or (
                name in ("fsync", "write")
            ):
                self.count += 1
                if self.count == self.at:
                    self.failed = name
                    raise OSError(self.code, os.strerror(self.code), str(given[0]) if given else None)
            return function(*given, **named)

        return called

    def __enter__(self):
        self._patch = pytest.MonkeyPatch()
        for name in CALLS:
            self._patch.setattr(os, name, self._call(name, getattr(os, name)))
        opened = self._call("open", builtins.open)

        def writing(*given, **named):
            file = opened(*given, **named)
            if isinstance(file, io.TextIOWrapper | io.BufferedWriter) and file.writable():
                file.write = self._call("write", file.write)
            return file

        self._patch.setattr(builtins, "open", writing)
        self._patch.setattr(io, "open", writing)
        return self

    def __exit__(self, *exception):
        self._patch.undo()


def step(folder, text):
    """Run a job of two outputs whose content says from what it was made; its exit code."""

    @job
    def body(snakemake, run):
        for name, path in vars(run.out).items():
            Path(path).write_text(f"{name} of {Path(snakemake.input.text).read_text()}")

    body(
        SimpleNamespace(
            rule="r",
            input=Namedlist(fromdict={"text": str(text)}),
            output=Namedlist(fromdict={name: str(folder / "results" / name) for name in ("one", "two")}),
            params=SimpleNamespace(spec={"code": "", "packages": {}, "settings": {}}),
            wildcards=Namedlist(),
            resources=Namedlist(),
            config={"store": str(folder / "store"), "results": str(folder / "results")},
            log=[],
        )
    )


def attempt(folder, text):
    """Exit code of a step: None where it went well."""
    try:
        step(folder, text)
    except SystemExit as ended:
        return ended.code
    return 0


def held(folder):
    """Contents of the outputs that are there, and of nothing else but records."""
    found = {path.name: path.read_text() for path in (folder / "results").iterdir() if path.is_file()}
    assert set(found) <= {"one", "two"}, f"left: {sorted(found)}"
    return found


def result(text):
    return {name: f"{name} of {text}" for name in ("one", "two")}


def assert_right(folder, allowed, said, store=True):
    """Results hold nothing that is wrong, nor does the store, for whoever comes next."""
    assert held(folder) in allowed, said
    if not store:
        return
    for _, _, entry in Store(folder / "store").entries():
        record = json.loads((entry / "record.json").read_text())
        source = (entry / "one").read_text().removeprefix("one of ")
        assert {name: (entry / name).read_text() for name in record["outputs"]} == result(source)


def prepared(folder, before):
    """A folder whose results and store are as a run before has left them."""
    (folder / "results").mkdir(parents=True)
    (folder / "old.txt").write_text("old")
    (folder / "new.txt").write_text("new")
    if before in ("computed before", "stored"):
        step(folder, folder / "old.txt")
    if before == "stored":
        step(folder, folder / "new.txt")
        step(folder, folder / "old.txt")
    if before == "damaged":
        step(folder, folder / "new.txt")
        entry = Store(folder / "store").entries()[0][2]
        (entry / "two").unlink()
        (entry / "two").write_text("two of something else")
        shutil.rmtree(folder / "results")
        (folder / "results").mkdir()


@pytest.mark.parametrize("before", ["nothing", "computed before", "stored", "damaged"])
def test_every_call_of_a_job_may_fail(tmp_path, monkeypatch, capsys, before):
    monkeypatch.delenv("HEADATLAS_RUN", raising=False)
    monkeypatch.setattr("headatlas.jobs.measurement.measure", lambda asked: {"s": 1.0, "max_rss": 1.0, "cpu_time": 1.0})
    prepared(tmp_path / "count", before)
    with Failing(tmp_path / "count") as counted:
        assert attempt(tmp_path / "count", tmp_path / "count" / "new.txt") == 0
    assert counted.count > 20
    outcomes = set()
    for at in range(1, counted.count + 1):
        code = FAILURES[at % len(FAILURES)]
        folder = tmp_path / f"{at}-{code}"
        prepared(folder, before)
        old = held(folder)
        capsys.readouterr()
        with Failing(folder, at, code) as failing:
            ended = attempt(folder, folder / "new.txt")
        said = capsys.readouterr().err
        where = f"call {at} of {counted.count} ({failing.failed}), errno {code}: {said}"
        outcomes.add((failing.failed, ended))
        assert_right(folder, [{}, old, result("new")], where, store=before != "damaged")
        if ended == 0:
            assert held(folder) == result("new"), where
        else:
            assert said.splitlines()[-1].startswith("error: "), where
        assert attempt(folder, folder / "new.txt") == 0, where  # and whoever comes next gets what is right
        assert_right(folder, [result("new")], where)
        shutil.rmtree(folder)
    assert {ended for _, ended in outcomes} == {0, 1}
    assert {"open", "write", "replace", "unlink", "mkdir"} <= {name for name, _ in outcomes}


def test_every_call_of_taking_results_may_fail(tmp_path, capsys):
    """Results that were copied from elsewhere: the store takes them whole or not at all."""

    def copied(folder):
        prepared(folder, "computed before")
        shutil.rmtree(folder / "store")

    def take(folder):
        """What was said, in one line, of taking them."""
        capsys.readouterr()
        try:
            main([str(folder / "store"), "--take", str(folder / "results")])
        except SystemExit as ended:
            return ended.code
        return capsys.readouterr().out.strip()

    copied(tmp_path / "count")
    with Failing(tmp_path / "count") as counted:
        assert "results of 1 steps taken, of 0 left" in take(tmp_path / "count")
    assert counted.count > 10
    for at in range(1, counted.count + 1):
        folder = tmp_path / str(at)
        copied(folder)
        with Failing(folder, at, FAILURES[at % len(FAILURES)]) as failing:
            said = take(folder)
        where = f"call {at} of {counted.count} ({failing.failed}): {said}"
        assert len(said.splitlines()) == 1, where
        assert_right(folder, [result("old")], where)
        assert len(Store(folder / "store").entries()) == ("of 1 steps taken" in said), where
        assert "of 1 steps taken" in take(folder), where
        shutil.rmtree(folder)


def test_every_call_of_pruning_may_fail(tmp_path):
    def filled(folder):
        store = Store(folder / "store")
        for number in range(3):
            file = folder / f"{number}.txt"
            folder.mkdir(exist_ok=True)
            file.write_text(f"{number}")
            store.keep(f"{number:064}", {"one": file})
        return store

    store = filled(tmp_path / "count")
    with Failing(tmp_path / "count") as counted:
        store.prune(0)
    for at in range(1, counted.count + 1):
        store = filled(tmp_path / str(at))
        with Failing(tmp_path / str(at), at):
            store.prune(0)
        for _, _, entry in store.entries():
            assert (entry / "one").read_text() == str(int(entry.name))
        store.prune(0)
        assert store.entries() == []
