"""Two jobs never compute on one GPU of a machine that has several."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headatlas.jobs import gpu_lock

SCRIPTS = Path(__file__).parents[3] / "scripts"
HOLD = (
    "from headatlas.jobs import gpu_lock; import sys; "
    "print(gpu_lock.claim(sys.argv[1], wait=0.05), flush=True); sys.stdin.read()"
)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Locks that a test takes are given back, and what it makes visible is forgotten."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr(gpu_lock, "_held", held := [])
    yield
    for lock in held:
        lock.close()


def other_job(folder):
    """A process that claims a GPU and keeps it until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
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
