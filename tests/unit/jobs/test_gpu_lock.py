"""Two jobs never compute on one GPU of a machine that has several."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headatlas.base.errors import InputError
from headatlas.jobs import gpu_lock

SCRIPTS = Path(__file__).parents[3] / "scripts"
HOLD = """
import os, sys
from headatlas.jobs import gpu_lock
user, mask = map(int, sys.argv[2:])
os.umask(mask)
if user != os.geteuid():  # from here on: another's interpreter may lie where that user cannot see it
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
print(gpu_lock.claim(sys.argv[1], wait=0.05), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Locks that a test takes are given back, and what it makes visible is forgotten."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr(gpu_lock, "_held", held := [])
    yield
    for lock in held:
        os.close(lock)


def other_job(folder, user=None, umask=0o022):
    """A process that claims a GPU and keeps it until its input ends."""
    user = os.geteuid() if user is None else user
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(user), str(umask)],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS), "CUDA_VISIBLE_DEVICES": "0,1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process


def test_every_job_has_a_gpu_of_its_own_and_the_third_waits(tmp_path):
    first = other_job(tmp_path)
    assert first.stdout.readline() == "0\n"
    assert gpu_lock.claim(tmp_path) == "1"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    third = other_job(tmp_path)
    assert "all of 0, 1 are taken" in third.stderr.readline()
    first.kill()  # the lock ends with the process
    assert third.stdout.readline() == "0\n"
    for process in (first, third):
        process.communicate()


@pytest.mark.parametrize(("visible", "found"), [("", None), ("3", "3")])
def test_nothing_to_share(tmp_path, monkeypatch, visible, found):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_lock.claim(tmp_path) == found
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible
    assert list(tmp_path.iterdir()) == []


def test_the_machines_own_gpus_are_counted_when_no_scheduler_says(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    names = [Path(f"/dev/nvidia{number}") for number in (10, 2)]
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: names if pattern == "nvidia[0-9]*" else [])
    assert gpu_lock.present() == ["2", "10"]


def test_two_users_share_whoever_came_first_and_with_what_umask(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can be two users")
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    for above in folder.parents[:3]:
        above.chmod(above.stat().st_mode | 0o011)
    first = other_job(folder, umask=0o077)
    assert first.stdout.readline() == "0\n"
    second = other_job(folder, user=4711, umask=0o077)
    assert second.stdout.readline() == "1\n", second.stderr.read()
    first.communicate()
    third = other_job(folder, user=4712)
    assert third.stdout.readline() == "0\n", third.stderr.read()
    fourth = other_job(folder)
    assert "all of 0, 1 are taken" in fourth.stderr.readline()
    second.communicate()
    assert fourth.stdout.readline() == "1\n"
    for process in (third, fourth):
        process.communicate()


def test_a_lock_that_cannot_be_opened_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"gpu: the lock .*file/headatlas-gpu-0 cannot be opened \(Not a directory\)"):
        gpu_lock.claim(tmp_path / "file")
