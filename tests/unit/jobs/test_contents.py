"""Digests of places tell any change of content, and nothing else; those of large files are remembered."""

import os
import time

import pytest

from headatlas.base.errors import InputError
from headatlas.jobs import contents
from headatlas.jobs.contents import digests, file_digest

SUFFIXES = (".json", ".safetensors")


@pytest.fixture
def place(tmp_path):
    """A checkpoint with shards in a folder of its own, one of them behind a link, and a folder behind another."""
    folder = tmp_path / "place"
    (folder / "shards").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (tmp_path / "elsewhere").mkdir()
    for name in (
        "config.json",
        "shards/one.safetensors",
        "readme.md",
        ".hidden/x.json",
        "../elsewhere/two.safetensors",
    ):
        (folder / name).write_text(name)
    (folder / "shards" / "two.safetensors").symlink_to("../../elsewhere/two.safetensors")
    (folder / "more").symlink_to("../elsewhere")
    (folder / "gone.json").symlink_to("nowhere")
    (folder / "shards" / "up").symlink_to("..")
    return folder


def test_all_that_a_place_leads_to_counts(place):
    found = digests(place, suffixes=SUFFIXES)
    assert sorted(found) == ["config.json", "more/two.safetensors", "shards/one.safetensors", "shards/two.safetensors"]
    assert found["more/two.safetensors"] == file_digest(place.parent / "elsewhere" / "two.safetensors")
    assert sorted(digests(place)) == sorted([*found, "readme.md"])
    assert digests(place / "config.json") == {"config.json": found["config.json"]}
    assert digests(place / "absent") == {}


def rewritten(file):
    """Other content of the same length, under the same time, in the same inode."""
    times = file.stat()
    file.write_bytes(bytes(byte ^ 1 for byte in file.read_bytes()))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("name", ["config.json", "shards/one.safetensors", "../elsewhere/two.safetensors"])
def test_any_change_of_content_is_seen(place, name, tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "LARGE", 0)
    monkeypatch.setattr(contents, "_SETTLED", 0)
    memory = tmp_path / "memory"
    memory.mkdir()
    before = digests(place, memory, SUFFIXES)
    assert digests(place, memory, SUFFIXES) == before
    rewritten(place / name)
    after = digests(place, memory, SUFFIXES)
    assert after != before
    assert after == digests(place, suffixes=SUFFIXES)
    (place / name).unlink()
    assert digests(place, memory, SUFFIXES) not in (before, after)


def test_large_files_are_read_once(place, tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "LARGE", 10)
    monkeypatch.setattr(contents, "_SETTLED", 0)
    read = []

    def digest(path):
        read.append(path.name)
        return file_digest(path)

    (tmp_path / "memory").mkdir()
    for _ in range(2):
        found = digests(place, tmp_path / "memory", SUFFIXES, digest)
    assert sorted(read) == ["config.json", "one.safetensors", "two.safetensors", "two.safetensors"]
    os.utime(place / "config.json")
    assert digests(place, tmp_path / "memory", SUFFIXES, digest) == found
    assert read[4:] == ["config.json"]
    assert [path.suffix for path in (tmp_path / "memory").iterdir()] == [".json"]


def test_what_changed_just_now_is_not_remembered(place, tmp_path, monkeypatch):
    """It may change again within the grain of the clock that dates files, without a sign."""
    monkeypatch.setattr(contents, "LARGE", 0)
    (tmp_path / "memory").mkdir()
    digests(place, tmp_path / "memory", SUFFIXES)
    assert list((tmp_path / "memory").iterdir()) == []


@pytest.mark.parametrize("harm", ["{}", "[", '{"config.json": 3}', '{"config.json": [[1], "0"]}'])
def test_a_damaged_memory_does_no_harm(place, tmp_path, monkeypatch, harm):
    monkeypatch.setattr(contents, "LARGE", 0)
    monkeypatch.setattr(contents, "_SETTLED", 0)
    (tmp_path / "memory").mkdir()
    before = digests(place, tmp_path / "memory", SUFFIXES)
    (memory,) = (tmp_path / "memory").iterdir()
    memory.write_text(harm)
    assert digests(place, tmp_path / "memory", SUFFIXES) == before
    assert digests(place, tmp_path / "nowhere", SUFFIXES) == before


def test_a_file_that_cannot_be_read_is_one_line(place, monkeypatch):
    def fail(path):
        raise OSError(5, "Input/output error")

    with pytest.raises(InputError, match=r"config.json: cannot be read \(Input/output error\)"):
        digests(place, suffixes=SUFFIXES, digest=fail)


def test_a_large_file_is_looked_up_in_no_time(tmp_path):
    file = tmp_path / "large.txt"
    with open(file, "wb") as opened:
        opened.truncate(1 << 29)
    os.utime(file, (1e9, 1e9))
    time.sleep(2.1)  # as an old file would have
    (tmp_path / "memory").mkdir()
    first = digests(file, tmp_path / "memory")
    began = time.monotonic()
    assert digests(file, tmp_path / "memory") == first
    assert time.monotonic() - began < 0.2
