"""A store after weeks of use: as many results as it is said to bear, listed and pruned from the command line."""

import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from checkout import ROOT

ENTRIES = 100_000
BYTES = 60  # of an entry: its two files
SECONDS = 20  # of CPU for either; a process that lists nothing takes a third of one

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """In memory where that can be had: what a disk takes to forget 300,000 names is its own."""
    if not MEMORY.is_dir():
        yield tmp_path_factory.mktemp("large")
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def folder(place):
    """Entries of two small files; as results are, those have other names elsewhere."""
    store = place / "store"
    for shelf in range(256):
        (store / "entries" / f"{shelf:02x}").mkdir(parents=True)
        (store.parent / f"{shelf}.txt").write_text("x" * (BYTES // 2))
    for number in range(ENTRIES):
        shelf = number % 256
        entry = store / "entries" / f"{shelf:02x}" / f"{shelf:02x}{number:062x}"
        entry.mkdir()
        for name in ("table", "record.json"):
            os.link(store.parent / f"{shelf}.txt", entry / name)
        os.utime(entry, (number + 1, number + 1))  # the first were last used longest ago
    return store


def asked(folder, *options):
    """What the command line says of a store, and the CPU seconds that this took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = subprocess.run(
        [sys.executable, "-m", "headatlas.jobs.store", str(folder), *options],
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return said, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_a_hundred_thousand_entries_are_listed_and_pruned_in_seconds(folder):
    said, seconds = asked(folder)
    assert f": {ENTRIES} results, {ENTRIES * BYTES / 1e6:.1f} MB, 0 dropped" in said
    assert seconds < SECONDS
    kept = ENTRIES // 4
    said, seconds = asked(folder, "--prune", f"{kept * BYTES / 1000}KB")
    assert f": {kept} results, {kept * BYTES / 1e6:.1f} MB, {ENTRIES - kept} dropped" in said
    assert seconds < SECONDS
    left = {int(entry.name[2:], 16) for entry in folder.glob("entries/*/*")}
    assert left == set(range(ENTRIES - kept, ENTRIES))
    assert re.search(r": 0 results, 0\.0 MB, 25000 dropped", asked(folder, "--prune", "0MB")[0])
