"""One GPU for each job where a machine has several: claimed by a lock that ends with its process."""

import fcntl
import os
import sys
import tempfile
import time
from pathlib import Path

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_held = []  # open lock files: closed, and so unlocked, when the process ends however it ends


def present():
    """Names of the GPUs that this process may use: those that a scheduler gave it, or all of the machine's."""
    if _VISIBLE in os.environ:
        return [name for name in os.environ[_VISIBLE].split(",") if name]
    return sorted((path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")), key=int)


def claim(folder=None, wait=0.5):
    """Make one GPU that no other job holds the only one this process sees, waiting until there is one.

    To be called before CUDA starts. With fewer than two GPUs there is nothing to share.

    Parameters
    ----------
    folder : path-like, optional
        Where the locks lie: the machine's folder of temporary files when not given.
    wait : float
        Seconds between two attempts.

    Returns
    -------
    str or None
        The GPU's name.
    """
    names = present()
    if len(names) < 2:
        return names[0] if names else None
    told = False
    while True:
        for name in names:
            lock = open(Path(folder or tempfile.gettempdir()) / f"headatlas-gpu-{name}.lock", "a")  # noqa: SIM115
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            _held.append(lock)
            os.environ[_VISIBLE] = name
            return name
        if not told:
            print(f"gpu: all of {', '.join(names)} are taken by other jobs; waiting", file=sys.stderr)
            told = True
        time.sleep(wait)
