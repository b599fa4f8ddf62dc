"""Digests of what files and folders hold, those of large ones remembered between processes."""

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path

from headatlas.base.errors import InputError

LARGE = 16 * 2**20  # bytes of a place from which on reading it again costs more than looking its digest up
_SETTLED = 2 * 10**9  # nanoseconds: what was changed later may change again without its times telling


def file_digest(path):
    """sha256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def table_digest(path):
    """sha256 of the content of a Parquet table, of the bytes of any other file: what decides a rerun."""
    if str(path).endswith(".parquet"):
        from headatlas.base import tables  # its import costs what a job without tables need not pay

        return tables.content_digest(path)
    return file_digest(path)


def digests(place, folder=None, suffixes=None, digest=file_digest):
    """Digests of all files of a place, by their path below it.

    Links are followed, to files and to folders; hidden files and folders are left out, and so is a link that leads
    nowhere. A digest is taken from those remembered where a file's size, times (of its content and of its inode) and
    inode are those that it had then. A change of the content changes the second of the times, which nobody can set.

    Parameters
    ----------
    place : str or path-like
        A file (its path below itself is its name) or a folder.
    folder : path-like, optional
        Where digests are remembered; nothing is where it is not given, or cannot be written to.
    suffixes : tuple of str, optional
        Ends of the names of files that count; of a folder, all others do not.
    digest : callable
        From a path to hex digits.

    Returns
    -------
    dict from str to str

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    place = Path(place)
    found, signatures = {}, {}
    for name, path in sorted(files_of(place, suffixes)):
        try:
            signatures[name] = signature(path), path
        except OSError:  # a link that leads nowhere
            continue
    memory = _Memory(folder, place, digest) if sum(size for (size, *_), _ in signatures.values()) >= LARGE else None
    for name, (signed, path) in signatures.items():
        try:
            found[name] = (memory and memory.recall(name, signed)) or digest(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        if memory:
            memory.learn(name, signed, found[name])
    if memory:
        memory.save()
    return found


def signature(path):
    """What tells a file from what it was: size, times of content and inode (in ns), inode."""
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def files_of(place, suffixes=None):
    """Names and paths of the files of a place (a Path), those that `digests` tells of."""
    if not place.is_dir():
        yield place.name, place
        return
    for root, inner, files in os.walk(place, followlinks=True):
        if os.path.islink(root) and Path(os.path.realpath(os.path.dirname(root))).is_relative_to(
            os.path.realpath(root)
        ):
            inner.clear()  # a link that leads into a circle
            continue
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in files:
            if not name.startswith(".") and (suffixes is None or name.endswith(suffixes)):
                path = Path(root, name)
                yield path.relative_to(place).as_posix(), path


class _Memory:
    """What is remembered of one place: name -> [signature, digest], in a file of the place's own."""

    def __init__(self, folder, place, digest):
        self._path, self._old, self._new = None, {}, {}
        if folder is not None:
            name = hashlib.sha256(f"{digest.__name__} {os.path.realpath(place)}".encode()).hexdigest()[:32]
            self._path = Path(folder) / f"{name}.json"
            self._old = remembered(self._path)

    def recall(self, name, signed):
        entry = self._old.get(name)
        return entry[1] if isinstance(entry, list) and len(entry) == 2 and entry[0] == signed else None

    def learn(self, name, signed, digest):
        _, changed, touched, _ = signed
        if max(changed, touched) < time.time_ns() - _SETTLED:
            self._new[name] = [signed, digest]

    def save(self):
        if self._path is None or self._new == self._old:
            return
        remember(self._path, self._new)


def remember(path, found):
    """Keep what took time to find for later processes, as JSON; where that cannot be done, nothing depends on it."""
    part = path.with_name(f".{os.getpid()}.{path.name}")
    with contextlib.suppress(OSError):
        try:
            part.write_text(json.dumps(found))
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def remembered(path):
    """What `remember` kept, or nothing."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return dict(json.loads(path.read_bytes()))
    return {}
