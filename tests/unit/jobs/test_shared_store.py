"""One store for several people: what one has made, the others find, use, add to and prune."""

import json
import os
import re
import shutil
import stat
import subprocess
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.iocontainers import Namedlist

from headatlas.jobs.job import Job
from headatlas.jobs.store import Store

ROOT = Path(__file__).parents[3]

KEY = "ab" + "0" * 62
PEOPLE = (4711, 4712)
GROUP = 4700


def as_person(person, umask, action, group=GROUP):
    """Do something as another user, in a process of its own; what it returns, by way of JSON."""
    read, write = os.pipe()
    if (process := os.fork()) == 0:
        code = 1
        try:
            os.setgroups([group])
            os.setgid(person)
            os.setuid(person)
            os.umask(umask)
            os.write(write, json.dumps(action()).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(write)
    with open(read) as answer:
        said = answer.read()
    assert os.waitpid(process, 0)[1] == 0, "see what was printed"
    return json.loads(said)


@pytest.fixture
def shared(tmp_path):
    """A folder that all may enter, with a folder of each person and the group's store."""
    if os.geteuid() != 0:
        pytest.skip("only root can be two users")
    for above in (tmp_path, *tmp_path.parents[:3]):
        above.chmod(above.stat().st_mode | 0o055)
    for person in PEOPLE:
        (tmp_path / str(person)).mkdir()
        os.chown(tmp_path / str(person), person, person)
    made = re.search("`(mkdir store; .*?)`", (ROOT / "docs" / "reruns.md").read_text())[1]  # as a group is told to
    subprocess.run(["sh", "-e", "-c", made.replace("GROUP", str(GROUP))], cwd=tmp_path, check=True)
    return tmp_path / "store"


def keep(shared, person, key, text):
    """Store a result as whoever runs this; what is wrong with that, or None."""
    path = shared.parent / str(person) / "result.txt"
    path.unlink(missing_ok=True)
    path.write_text(text)
    return Store(shared).keep(key, {"result": path})


def restored(shared, person, key):
    """Content, and seconds since the change, of a result from the store; None where it holds none."""
    path = shared.parent / str(person) / "restored.txt"
    if Store(shared).restore(key, {"result": path}) is None:
        return None
    return [path.read_text(), time.time() - path.stat().st_mtime]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_group_shares_a_store_whatever_its_umasks(shared, umask):
    one, other = PEOPLE
    assert as_person(one, umask, lambda: Store(shared).obstacle()) is None
    assert as_person(one, umask, lambda: keep(shared, one, KEY, "first")) is None
    assert as_person(other, umask, lambda: Store(shared).obstacle()) is None
    assert (
        as_person(other, umask, lambda: keep(shared, other, KEY[:-1] + "1", "second")) is None
    )  # in a folder of one's
    text, age = as_person(other, umask, lambda: restored(shared, other, KEY))
    assert (text, age < 60) == ("first", True)
    assert as_person(one, umask, lambda: restored(shared, one, KEY[:-1] + "1"))[0] == "second"
    for path in (shared, *shared.rglob("*")):
        status = path.stat()
        assert status.st_gid == GROUP, path
        assert stat.S_IMODE(status.st_mode) == (0o2770 if path.is_dir() else 0o440), path
    assert as_person(other, umask, lambda: Store(shared).prune(0)) == [2, 0]
    assert list(Store(shared).entries()) == []


def downloaded(shared, name):
    """Download as a job does, by a library that keeps locks beside its files; what the files held before."""
    given = {"params": SimpleNamespace(spec={"settings": {}}), "config": {}, "resources": Namedlist()}
    folder = Job(SimpleNamespace(**given), SimpleNamespace(), {}, Store(shared), KEY).downloads
    (folder / "hub" / ".locks").mkdir(parents=True, exist_ok=True)
    before = sorted(path.name for path in (folder / "hub").iterdir())
    with open(folder / "hub" / ".locks" / "lock", "w"):
        (folder / "hub" / name).write_text(name)
    return before


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_downloads_and_their_locks_are_the_groups(shared, umask):
    one, other = PEOPLE
    assert as_person(one, umask, lambda: downloaded(shared, "first")) == [".locks"]
    assert as_person(other, umask, lambda: downloaded(shared, "second")) == [".locks", "first"]
    assert as_person(one, umask, lambda: downloaded(shared, "third")) == [".locks", "first", "second"]


def test_what_one_restores_is_ones_own(shared):
    """A link to another's file would change under one's hands when its owner changes it."""
    one, other = PEOPLE
    as_person(one, 0o022, lambda: keep(shared, one, KEY, "first"))
    as_person(other, 0o022, lambda: restored(shared, other, KEY))
    mine = (shared.parent / str(other) / "restored.txt").stat()
    assert (mine.st_uid, mine.st_nlink) == (other, 1)


def test_a_folder_that_is_not_shared_is_named_with_the_remedy(shared):
    one, other = PEOPLE
    shared.chmod(0o755)
    os.chown(shared, one, one)
    assert as_person(one, 0o022, lambda: keep(shared, one, KEY, "first")) is None
    said = as_person(other, 0o022, lambda: Store(shared).obstacle())
    assert said.startswith(f"store: {shared}/entries")
    assert "cannot be written (Permission denied): results come from it, new ones are not kept" in said
    assert "docs/reruns.md" in said
    assert as_person(other, 0o022, lambda: restored(shared, other, KEY))[0] == "first"
    assert "cannot be written" in as_person(other, 0o022, lambda: keep(shared, other, KEY[:-1] + "1", "second"))
    assert as_person(other, 0o022, lambda: Store(shared).prune(0)) == [0, 1]


def test_an_edit_in_place_is_found_before_another_checkout_gets_it(tmp_path, capsys):
    """A result and the store's copy are one file where both lie on one disk."""
    store, mine, theirs = Store(tmp_path / "store"), tmp_path / "mine.txt", tmp_path / "theirs.txt"
    mine.write_text("whole")
    store.keep(KEY, {"result": mine})
    assert mine.stat().st_nlink == 2
    mine.chmod(0o644)
    mine.write_text("edited")
    assert store.restore(KEY, {"result": theirs}) is None
    assert not theirs.exists()
    assert "is damaged: the entry is dropped and computed anew" in capsys.readouterr().err
    assert store.entries() == []


def test_entries_are_listed_and_pruned_in_no_time(tmp_path):
    """A few thousand, in their share of the seconds that a hundred thousand may take; those are in tests/long."""
    folder = tmp_path / "store" / "entries"
    template = tmp_path / "template"
    template.mkdir()
    for name in ("model", "config", "record.json"):
        (template / name).write_text("x" * 100)
    for number in range(3_000):
        key = f"{number:08x}"[::-1] + "0" * 56
        entry = folder / key[:2] / key
        entry.mkdir(parents=True)
        for file in template.iterdir():
            os.link(file, entry / file.name)
    store = Store(tmp_path / "store")
    began = time.process_time()
    assert len(store.entries()) == 3_000
    listed = time.process_time() - began
    assert store.prune(300 * 1_500) == (1_500, 0)
    pruned = time.process_time() - began - listed
    assert listed < 0.3
    assert pruned < 0.9
    shutil.rmtree(Path(store.folder))
