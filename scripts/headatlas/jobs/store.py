"""A content-addressed store of finished results, shared by checkouts, configurations and people.

One entry per key: a folder with one file per output and their sha256 digests. Entries appear whole
(a folder renamed into place) and are checked whenever they are read.

From the command line: ``python -m headatlas.jobs.store FOLDER`` says what a store holds,
``python -m headatlas.jobs.store FOLDER --prune 20GB`` drops the entries longest unused until it fits, and
what killed jobs have left behind.
"""

import argparse
import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path

from headatlas.base.errors import InputError

_DIGESTS = "digests.json"
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_ABANDONED = 24 * 3600  # seconds after which unfinished work that nothing touched is nobody's


def file_digest(path):
    """sha256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link(source, target):
    """A hard link where the file systems allow one (no bytes moved), else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


class Store:
    """Finished results under a folder.

    Parameters
    ----------
    folder : str or path-like
        Made when first written to.
    """

    def __init__(self, folder):
        self.folder = Path(folder).expanduser()

    def _entry(self, key):
        return self.folder / "entries" / key[:2] / key

    def scratch(self, key):
        """Folder for the unfinished work of one key, such as training checkpoints."""
        return self.folder / "scratch" / key

    def restore(self, key, outputs):
        """Put the stored files of `key` in place.

        Parameters
        ----------
        key : str
        outputs : Mapping from str to path-like

        Returns
        -------
        bool
            False if there is no entry, or a damaged one: that is named on stderr and dropped.
        """
        entry = self._entry(key)
        if not entry.is_dir():
            return False
        damage = self._damage(entry, outputs)
        if damage:
            print(f"store: {damage} is damaged: the entry is dropped and computed anew", file=sys.stderr)
            with contextlib.suppress(OSError):  # a read-only store keeps its damage; the result is still computed
                shutil.rmtree(entry)
            return False
        parts = {name: beside(path) for name, path in outputs.items()}
        try:
            for name, part in parts.items():
                Path(part).unlink(missing_ok=True)
                _link(entry / name, part)
                with contextlib.suppress(OSError):
                    os.utime(part)  # Snakemake wants outputs newer than inputs
            for name, part in parts.items():
                os.replace(part, outputs[name])
        except OSError as error:  # pruned by another process just now, or no room for a copy
            print(f"store: {entry} cannot be restored ({error.strerror}): computed anew", file=sys.stderr)
            return False
        finally:
            for part in parts.values():
                Path(part).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            os.utime(entry)  # pruning goes by last use
        return True

    @staticmethod
    def _damage(entry, outputs):
        try:
            digests = dict(json.loads((entry / _DIGESTS).read_bytes()))
        except (OSError, ValueError, TypeError):
            return entry / _DIGESTS
        for name in outputs:
            path = entry / name
            try:
                if digests.get(name) != file_digest(path):
                    return path
            except OSError:  # missing, or a disk that cannot read it
                return path
        return None

    def keep(self, key, outputs):
        """Store finished files under `key`; a store that cannot be written to is reported, not fatal."""
        entry, part = self._entry(key), None
        try:
            entry.parent.mkdir(parents=True, exist_ok=True)
            part = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=entry.parent))
            for name, path in outputs.items():
                _link(path, part / name)
                os.chmod(part / name, 0o444)
            (part / _DIGESTS).write_text(json.dumps({name: file_digest(path) for name, path in outputs.items()}))
            part.chmod(0o777 & ~_umask())  # a temporary folder is its owner's alone; the store is shared
            part.rename(entry)
        except OSError as error:
            if part is not None:
                shutil.rmtree(part, ignore_errors=True)
            if not entry.is_dir():  # else another job was first with the same key
                print(
                    f"store: {self.folder} cannot be written ({error.strerror}): the result is not kept",
                    file=sys.stderr,
                )

    def entries(self):
        """(last use in seconds since the epoch, bytes, folder) of every entry, longest unused first."""
        found = []
        for entry in self.folder.glob("entries/??/*"):
            with contextlib.suppress(OSError):  # dropped by another process just now
                if "." not in entry.name and (entry / _DIGESTS).is_file():
                    size = sum(file.stat().st_size for file in entry.iterdir())
                    found.append((entry.stat().st_mtime, size, entry))
        return sorted(found)

    def prune(self, limit):
        """Drop the entries longest unused until at most `limit` bytes are left; returns how many went.

        Checkpoints and half-written entries of killed jobs go too, a day after they were last touched.
        """
        for folder in (*self.folder.glob("entries/??/*.*"), *self.folder.glob("scratch/*")):
            if _last_touched(folder) < time.time() - _ABANDONED:
                shutil.rmtree(folder, ignore_errors=True)
        entries, gone = self.entries(), 0
        total = sum(size for _, size, _ in entries)
        for _, size, entry in entries:
            if total <= limit:
                break
            try:
                shutil.rmtree(entry)
            except FileNotFoundError:  # another process prunes as well
                pass
            except OSError as error:
                raise InputError(f"{entry}: cannot be dropped ({error.strerror})") from None
            total, gone = total - size, gone + 1
        return gone


def _umask():
    mask = os.umask(0)  # there is no way to read it without setting it
    os.umask(mask)
    return mask


def _last_touched(folder):
    """Time of the newest change anywhere in a folder, in seconds since the epoch."""
    newest = 0.0
    for path in (folder, *folder.rglob("*")):
        with contextlib.suppress(OSError):
            newest = max(newest, path.stat().st_mtime)
    return newest


def beside(path):
    """A name next to `path`, with its suffix, that no other process uses, on this machine or another."""
    path = Path(path)
    return str(path.with_name(f".{_host()}-{os.getpid()}.{path.name}"))


def sweep(path):
    """Remove what processes of this machine that were killed have left next to `path`."""
    path = Path(path)
    for part in path.parent.glob(f".{_host()}-*.{path.name}"):
        process = part.name.removeprefix(f".{_host()}-").removesuffix(f".{path.name}")
        if process.isdigit() and int(process) != os.getpid() and not _alive(int(process)):
            part.unlink(missing_ok=True)


def _host():
    return re.sub("[^A-Za-z0-9-]", "-", socket.gethostname())


def _alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # someone else's
        return True
    return True


def parse_size(text):
    """Bytes of a size such as 500MB or 20GB."""
    try:
        size = float(text[:-2]) * _UNITS[text[-2:].upper()]
    except (KeyError, ValueError):
        size = math.nan
    if not 0 <= size < math.inf:
        raise InputError(f"--prune: {text!r} is not a size; write a number and one of {', '.join(_UNITS)}")
    return int(size)


def main(arguments=None):
    """What the store holds, and pruning, from the command line."""
    parser = argparse.ArgumentParser(prog="python -m headatlas.jobs.store", description=main.__doc__)
    parser.add_argument("folder")
    parser.add_argument("--prune", metavar="SIZE", help="keep at most this much, for instance 20GB")
    given = parser.parse_args(arguments)
    store = Store(given.folder)
    if not store.folder.is_dir():
        sys.exit(f"{given.folder}: no such folder")
    try:
        gone = store.prune(parse_size(given.prune)) if given.prune is not None else 0
    except InputError as error:
        sys.exit(str(error))
    entries = store.entries()
    print(f"{given.folder}: {len(entries)} results, {sum(size for _, size, _ in entries) / 1e6:.1f} MB, {gone} dropped")


if __name__ == "__main__":
    main()
