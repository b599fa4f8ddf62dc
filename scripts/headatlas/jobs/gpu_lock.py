"""One GPU for each job where a machine has several: claimed by a lock that ends with its process."""

import contextlib
import fcntl
import os
import sys
import tempfile
import time
from pathlib import Path

from headatlas.base.errors import InputError

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_held = []  # open lock files: closed, and so unlocked, when the process ends however it ends


def present():
    """Names of the GPUs that this process may use: those that a scheduler gave it, or all of the machine's."""
    if _VISIBLE in os.environ:
        return [name for name in os.environ[_VISIBLE].split(",") if name]
    return sorted((path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")), key=int)


def _folder():
    """A folder that all users of the machine share, whatever each has set as his own for temporary files."""
    shared = Path("/dev/shm")
    return shared if shared.is_dir() else Path(tempfile.gettempdir())


def _opened(path, patience=5):
    """A lock file, open for reading: that suffices to lock it, and anybody may, whoever made it and with what umask."""
    try:
        return os.open(path, os.O_RDONLY)  # first without O_CREAT, which is refused for another's file in such folders
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):  # made by another just now
            file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o444)
            os.fchmod(file, 0o444)
            return file
    except PermissionError:  # so for a moment, until whoever made it has said that all may read it
        if not patience:
            raise
        time.sleep(0.05)
    return _opened(path, patience - 1)


def claim(folder=None, wait=0.5):
    """Make one GPU that no other job holds the only one this process sees, waiting until there is one.

    To be called before CUDA starts. With fewer than two GPUs there is nothing to share.

    Parameters
    ----------
    folder : path-like, optional
        Where the locks lie: a folder of the machine that all users share when not given.
    wait : float
        Seconds between two attempts.

    Returns
    -------
    str or None
        The GPU's name.

    Raises
    ------
    InputError
        If a lock cannot be opened.
    """
    names = present()
    if len(names) < 2:
        return names[0] if names else None
    told = False
    while True:
        for name in names:
            path = Path(folder or _folder()) / f"headatlas-gpu-{name.replace('/', '-')}"
            try:
                lock = _opened(path)
            except OSError as error:
                raise InputError(
                    f"gpu: the lock {path} cannot be opened ({error.strerror}); remove it, "
                    f"or set {_VISIBLE} to one GPU for each run"
                ) from None
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            _held.append(lock)
            os.environ[_VISIBLE] = name
            return name
        if not told:
            print(f"gpu: all of {', '.join(names)} are taken by other jobs; waiting", file=sys.stderr)
            told = True
        time.sleep(wait)
