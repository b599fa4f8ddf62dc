"""The store gives back what it was given, or nothing; never something else."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from headatlas.base.errors import InputError
from headatlas.jobs import store as module
from headatlas.jobs.store import Store, beside, parse_size

KEY = "ab" + "0" * 62


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def made(folder, **contents):
    """Outputs with these contents, as a mapping from name to path."""
    folder.mkdir(parents=True, exist_ok=True)
    outputs = {name: folder / f"{name}.txt" for name in contents}
    for name, path in outputs.items():
        path.write_text(contents[name])
    return outputs


def aged(path, days):
    then = time.time() - days * 86400
    for file in (*path.rglob("*"), path):
        os.utime(file, (then, then))


def test_kept_outputs_come_back_newer_than_they_were(store, tmp_path):
    outputs = made(tmp_path / "a", model="weights", config="{}")
    store.keep(KEY, outputs)
    aged(store.folder, 30)
    there = {name: tmp_path / "b" / name for name in outputs}
    (tmp_path / "b").mkdir()
    assert store.restore(KEY, there)
    assert [path.read_text() for path in there.values()] == ["weights", "{}"]
    assert all(path.stat().st_mtime > time.time() - 60 for path in there.values())
    assert files(tmp_path / "b") == ["config", "model"]
    assert store.entries()[0][0] > time.time() - 60  # its last use is now


def test_outputs_already_there_are_replaced_not_written_into(store, tmp_path):
    store.keep(KEY, made(tmp_path / "a", model="right"))
    other = made(tmp_path / "b", model="wrong")
    os.link(other["model"], tmp_path / "linked")
    assert store.restore(KEY, other)
    assert other["model"].read_text() == "right"
    assert (tmp_path / "linked").read_text() == "wrong"


def test_unknown_key_restores_nothing(store, tmp_path):
    assert not store.restore(KEY, {"model": tmp_path / "model"})
    assert files(tmp_path) == []


@pytest.mark.parametrize("harm", ["changed", "missing", "no record", "other json", "another output"])
def test_damaged_entry_is_named_dropped_and_can_be_kept_again(store, tmp_path, capsys, harm):
    outputs = made(tmp_path / "a", model="weights")
    store.keep(KEY, outputs)
    entry = store.entries()[0][2]
    outputs["model"].unlink()
    wanted = {"model": tmp_path / "model"}
    if harm == "changed":
        (entry / "model").chmod(0o644)
        (entry / "model").write_text("weighty")
    elif harm == "missing":
        (entry / "model").unlink()
    elif harm == "no record":
        (entry / "record.json").write_text("")
    elif harm == "other json":
        (entry / "record.json").write_text("3")
    else:
        wanted = {"log": tmp_path / "log"}
    assert not store.restore(KEY, wanted)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"store: {entry}" in said
    assert "damaged" in said
    assert not entry.exists()
    store.keep(KEY, made(tmp_path / "a", model="weights"))
    assert store.restore(KEY, {"model": tmp_path / "model"})


def test_entry_that_vanishes_while_it_is_restored_counts_as_none(store, tmp_path, monkeypatch, capsys):
    store.keep(KEY, made(tmp_path / "a", model="weights", config="{}"))
    link, entry = module._link, store.entries()[0][2]

    def pruned_meanwhile(source, target):
        link(source, target)
        for file in entry.iterdir():
            file.unlink()

    monkeypatch.setattr(module, "_link", pruned_meanwhile)
    (tmp_path / "b").mkdir()
    assert not store.restore(KEY, {name: tmp_path / "b" / name for name in ("model", "config")})
    assert "cannot be restored" in capsys.readouterr().err
    assert files(tmp_path / "b") == []


def test_copies_where_no_hard_link_can_be_made(store, tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    store.keep(KEY, made(tmp_path / "a", model="weights"))
    assert store.restore(KEY, {"model": tmp_path / "model"})
    assert (tmp_path / "model").read_text() == "weights"


def test_store_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "store")
    said = store.keep(KEY, made(tmp_path / "a", model="weights"))
    where = f"store: {tmp_path}/file/store cannot be written (Not a directory)"
    assert said == f"{where}: the result is there, but not kept for other runs"
    assert "give `store:` a folder of your own" in store.obstacle()
    assert not store.restore(KEY, {"model": tmp_path / "model"})


def test_many_keep_the_same_key_at_once(store, tmp_path, capsys):
    threads = [
        threading.Thread(target=store.keep, args=(KEY, made(tmp_path / str(number), model="weights")))
        for number in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert capsys.readouterr().err == ""
    assert len(list(store.folder.glob("entries/*/*"))) == 1  # and nothing unfinished beside it
    assert store.restore(KEY, {"model": tmp_path / "model"})


def test_others_may_read_an_entry_and_nobody_write_it(store, tmp_path):
    before = os.umask(0o022)
    try:
        store.keep(KEY, made(tmp_path / "a", model="weights"))
    finally:
        os.umask(before)
    entry = store.entries()[0][2]
    assert entry.stat().st_mode & 0o777 == 0o755
    assert (entry / "model").stat().st_mode & 0o777 == 0o444


def test_home_folder_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Store("~/store").folder == tmp_path / "store"


def test_pruning_drops_the_longest_unused_first(store, tmp_path):
    for days, first in ((3, "aa"), (1, "bb"), (2, "cc")):
        store.keep(first + KEY, made(tmp_path / first, model="x" * 1000))
        aged(store._entry(first + KEY), days)
    size = store.entries()[0][1]
    assert [entry.name[:2] for _, _, entry in store.entries()] == ["aa", "cc", "bb"]
    assert store.prune(3 * size) == (0, 0)
    assert store.prune(2 * size) == (1, 0)
    assert [entry.name[:2] for _, _, entry in store.entries()] == ["cc", "bb"]
    assert store.prune(0) == (2, 0)
    assert (tmp_path / "aa" / "model.txt").read_text() == "x" * 1000  # results outlive the store's copy


def test_pruning_drops_what_killed_jobs_left_but_not_work_in_progress(store, tmp_path):
    store.keep(KEY, made(tmp_path / "a", model="weights"))
    entry = store.entries()[0][2]
    half, live, old = entry.with_name(f"{KEY}.xyz"), store.scratch("live"), store.scratch("old")
    for folder in (half, live, old):
        folder.mkdir(parents=True)
        (folder / "checkpoint").write_text("")
        aged(folder, 2)
    (half / "record.json").write_text(json.dumps({}))
    aged(half, 2)
    os.utime(live / "checkpoint")
    assert len(store.entries()) == 1
    assert store.prune(10**9) == (0, 0)
    assert [folder.exists() for folder in (entry, half, live, old)] == [True, False, True, False]


@pytest.mark.parametrize(
    ("text", "size"), [("500MB", 5 * 10**8), ("20GB", 2 * 10**10), ("0.5 tb", 5 * 10**11), ("0kb", 0)]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "20", "GB", "-5GB", "nanGB", "infGB", "20 GiB", "many"])
def test_sizes_that_are_none_are_named(text):
    with pytest.raises(InputError, match="is not a size; write a number and one of KB, MB, GB, TB") as caught:
        parse_size(text)
    assert repr(text) in str(caught.value)


def test_command_line(store, tmp_path, capsys):
    store.keep(KEY, made(tmp_path / "a", model="x" * 100))
    module.main([str(store.folder)])
    assert "1 results" in capsys.readouterr().out
    module.main([str(store.folder), "--prune", "0KB"])
    assert "0 results, 0.0 MB, 1 dropped" in capsys.readouterr().out
    for arguments, said in ((["--prune", ""], "is not a size"), (["--prune", "1XB"], "is not a size")):
        with pytest.raises(SystemExit, match=said):
            module.main([str(store.folder), *arguments])
    with pytest.raises(SystemExit, match="no such folder"):
        module.main([str(tmp_path / "nowhere")])


def test_parts_lie_beside_their_place_with_its_suffix(tmp_path):
    part = beside(tmp_path / "model.safetensors")
    assert os.path.dirname(part) == str(tmp_path)
    assert os.path.basename(part).startswith(".")
    assert part.endswith(".model.safetensors")
    other = [sys.executable, "-c", "import sys; from headatlas.jobs.store import beside; print(beside(sys.argv[1]))"]
    environment = {**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[2])}
    ran = subprocess.run(
        [*other, str(tmp_path / "model.safetensors")], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() != part


def test_sweeping_removes_the_parts_of_dead_processes_of_this_machine_alone(tmp_path, monkeypatch):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    path, host = tmp_path / "model.txt", module._host()
    dead = tmp_path / f".{host}-{ended.pid}.model.txt"
    kept = [
        beside(path),
        tmp_path / f".{host}-{os.getppid()}.model.txt",
        tmp_path / f".elsewhere-{ended.pid}.model.txt",
        tmp_path / f".{host}-{ended.pid}.other.txt",
        path,
    ]
    for file in (dead, *kept):
        with open(file, "w"):
            pass
    module.sweep(path)
    assert not dead.exists()
    assert all(os.path.exists(file) for file in kept)
    monkeypatch.setattr(socket, "gethostname", lambda: "a/b.c*")  # a part's name holds nothing odd
    assert os.path.dirname(beside(path)) == str(tmp_path)
