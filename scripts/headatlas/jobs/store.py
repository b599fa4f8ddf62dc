"""A content-addressed store of finished results, shared by checkouts, configurations and people.

One entry per key: a folder with one file per output and a record of what made them, their sha256 digests among it.
Entries appear whole (a folder renamed into place) and are checked whenever they are read.

A store may be shared: what is made in it takes group and permissions from its own folder, whatever the umask. It may
also be read-only: results come from it, and new ones are not kept.

From the command line: ``python -m headatlas.jobs.store FOLDER`` says what a store holds,
``python -m headatlas.jobs.store FOLDER --prune 20GB`` drops the entries longest unused until it fits, and
what killed jobs have left behind; ``--take RESULTS`` stores results that were copied from elsewhere.
"""

import argparse
import contextlib
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
from headatlas.jobs.contents import file_digest, table_digest

RECORD = "record.json"  # in each entry: what made it; no output is called so
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_ABANDONED = 24 * 3600  # seconds after which unfinished work that nothing touched is nobody's


def _link(source, target):
    """A hard link to a file of one's own where the file systems allow one (no bytes moved), else a copy.

    Never a link to another's file: its owner could change it here, and its time of change could not be set.
    """
    try:
        if os.stat(source).st_uid != os.geteuid():
            raise PermissionError
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


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

    def memory(self):
        """Folder in which digests of large files are remembered, or None where it cannot be made."""
        try:
            return self.make("digests")
        except OSError:
            return None

    def make(self, *below):
        """A folder inside the store, made where it is not there, with the group and permissions of the store's own.

        Raises
        ------
        OSError
            If it cannot be made.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        folder = self.folder
        for name in below:
            folder /= name
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                self._share(folder)
        return folder

    def _share(self, path, writable=True):
        """Give a file or folder that was made here the group and the permissions of the store's own folder."""
        own, status = self.folder.stat(), os.stat(path)
        if status.st_gid != own.st_gid:
            with contextlib.suppress(OSError):  # not a member: then the store is shared by everybody, or by nobody
                os.chown(path, -1, own.st_gid)
        os.chmod(path, own.st_mode & 0o7777 if writable else own.st_mode & 0o444)

    def obstacle(self):
        """Why results cannot be kept here, as one line with the remedy, or None where they can."""
        try:
            with tempfile.TemporaryDirectory(dir=self.make("entries", "00")):
                return None
        except OSError as error:
            return (
                f"store: {error.filename or self.folder} cannot be written ({error.strerror}): results come from it, "
                "new ones are not kept; give `store:` a folder of your own, or have its owner share it (docs/reruns.md)"
            )

    def read(self, key):
        """The record of an entry.

        Returns
        -------
        dict or None
            None if there is no entry, or one without a whole record.
        """
        try:
            record = json.loads((self._entry(key) / RECORD).read_bytes())
            return record if isinstance(record["outputs"], dict) else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def restore(self, key, outputs):
        """Put the stored files of `key` in place.

        Parameters
        ----------
        key : str
        outputs : Mapping from str to path-like

        Returns
        -------
        dict or None
            The entry's record. None if there is no entry, or a damaged one: that is named on stderr and dropped.
        """
        entry = self._entry(key)
        if not entry.is_dir():
            return None
        record = self.read(key)
        if damage := self._damage(entry, record, outputs):
            print(f"store: {damage} is damaged: the entry is dropped and computed anew", file=sys.stderr)
            with contextlib.suppress(OSError):  # a read-only store keeps its damage; the result is still computed
                _drop(entry)
            return None
        parts = {name: beside(path) for name, path in outputs.items()}
        try:
            for name, part in parts.items():
                Path(part).unlink(missing_ok=True)
                _link(entry / name, part)
                os.utime(part)  # Snakemake wants outputs newer than inputs
            move(parts, outputs)
        except OSError as error:  # pruned by another process just now, or no room for a copy
            print(f"store: {entry} cannot be restored ({error.strerror}): computed anew", file=sys.stderr)
            return None
        finally:
            remove(parts.values())
        with contextlib.suppress(OSError):
            os.utime(entry)  # pruning goes by last use
        return record

    @staticmethod
    def _damage(entry, record, outputs):
        if record is None:
            return entry / RECORD
        for name in outputs:
            path = entry / name
            try:
                if record["outputs"][name]["sha256"] != file_digest(path):
                    return path
            except (OSError, KeyError, TypeError):  # missing, or a disk that cannot read it
                return path
        return None

    def keep(self, key, outputs, record=None, replace=False):
        """Store finished files under `key`.

        Parameters
        ----------
        key : str
        outputs : Mapping from str to path-like
        record : dict, optional
            What made them; `outputs` is added to it: of each, `sha256` and the digest of its `content`.
        replace : bool
            Whether to put them in the place of an entry that is there.

        Returns
        -------
        str or None
            Why they could not be stored, as one line. What another job stored meanwhile is as good.
        """
        entry, part = self._entry(key), None
        try:
            self.make("entries", key[:2])
            part = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=entry.parent))
            for name, path in outputs.items():
                _link(path, part / name)
                self._share(part / name, writable=False)
            (part / RECORD).write_text(json.dumps({**(record or {}), "outputs": described(outputs)}))
            self._share(part / RECORD, writable=False)
            self._share(part)  # a temporary folder is its owner's alone
            if replace and entry.is_dir():
                _drop(entry)
            part.rename(entry)
        except OSError as error:
            if part is not None:
                shutil.rmtree(part, ignore_errors=True)
            if not entry.is_dir() or replace:  # else another job was first with the same key
                return (
                    f"store: {error.filename or self.folder} cannot be written ({error.strerror}): "
                    "the result is there, but not kept for other runs"
                )
        return None

    def take(self, results):
        """Store the results of a folder under the keys that their records name, if they still are what was made.

        So results that were copied from another machine without the times of their files are restored, not computed.

        Returns
        -------
        (int, int)
            Steps whose results were taken; steps whose results are not all there, or were changed.
        """
        taken, left = set(), set()
        for place in sorted(Path(results, "records").rglob("*.json")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                record = json.loads(place.read_bytes())
                key, made = record["key"], record["outputs_at"]
                if key in taken | left:
                    continue
                here = {name: Path(results, Path(path).relative_to(record["results"])) for name, path in made.items()}
                whole = all(
                    file.is_file() and file_digest(file) == record["outputs"][name]["sha256"]
                    for name, file in here.items()
                )
                (taken if whole and not self.keep(key, here, record) else left).add(key)
        return len(taken), len(left)

    def entries(self):
        """(last use in seconds since the epoch, bytes, folder) of every entry, longest unused first."""
        found = []
        for entry in self._folders():
            if "." in entry.name:  # half-written
                continue
            with contextlib.suppress(OSError):  # dropped by another process just now
                sizes = {file.name: file.stat().st_size for file in os.scandir(entry.path)}
                if RECORD in sizes:
                    found.append((entry.stat().st_mtime, sum(sizes.values()), Path(entry.path)))
        return sorted(found)

    def _folders(self):
        for shelf in _listed(self.folder / "entries"):
            yield from _listed(shelf.path)

    def prune(self, limit):
        """Drop the entries longest unused until at most `limit` bytes are left.

        Checkpoints and half-written entries of killed jobs go too, a day after they were last touched, and so do
        remembered digests.

        Returns
        -------
        (int, int)
            Entries that went; entries that were to go and are another's who does not share them.
        """
        half = [folder.path for folder in self._folders() if "." in folder.name]
        unfinished = (found.path for place in ("scratch", "temporary") for found in _listed(self.folder / place))
        for folder in (*half, *unfinished):
            if _last_touched(folder) < time.time() - _ABANDONED:
                shutil.rmtree(folder, ignore_errors=True)
        for file in _listed(self.folder / "digests"):
            with contextlib.suppress(OSError):
                if file.stat().st_mtime < time.time() - _ABANDONED:
                    os.unlink(file.path)
        entries, gone, kept = self.entries(), 0, 0
        total = sum(size for _, size, _ in entries)
        for _, size, entry in entries:
            if total <= limit:
                break
            try:
                _drop(entry)
            except FileNotFoundError:  # another process prunes as well
                pass
            except OSError:
                kept += 1
                continue
            total, gone = total - size, gone + 1
        return gone, kept


def _listed(folder):
    """What is in a folder, nothing where there is none."""
    try:
        return list(os.scandir(folder))
    except OSError:
        return []


def _drop(entry):
    """Remove an entry: first its name, so that nobody finds half of it."""
    aside = f"{entry}.{own_name()}-{time.monotonic_ns()}"
    os.rename(entry, aside)
    shutil.rmtree(aside, ignore_errors=True)


def described(outputs):
    """Digests of finished files, by the name of the output: of the bytes, and of the content that decides reruns."""
    found = {}
    for name, path in outputs.items():
        whole = file_digest(path)
        found[name] = {"sha256": whole, "content": table_digest(path) if str(path).endswith(".parquet") else whole}
    return found


def _last_touched(folder):
    """Time of the newest change anywhere in a folder, in seconds since the epoch."""
    newest = 0.0
    for path in (Path(folder), *Path(folder).rglob("*")):
        with contextlib.suppress(OSError):
            newest = max(newest, path.stat().st_mtime)
    return newest


def beside(path):
    """A name next to `path`, with its suffix, that no other process uses, on this machine or another."""
    path = Path(path)
    return str(path.with_name(f".{own_name()}.{path.name}"))


def own_name():
    """A name that no other process has, on this machine or another."""
    return f"{_host()}-{os.getpid()}"


def move(parts, outputs):
    """Rename finished files into their places: all of them, or none is left there, neither old nor new."""
    try:
        for name, part in parts.items():
            os.replace(part, outputs[name])
    except OSError:
        remove(outputs.values())
        raise


def remove(paths):
    """Remove files that may be there; one that cannot be removed is left for `sweep`."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)


def sweep(path):
    """Remove what processes of this machine that were killed have left next to `path`."""
    path = Path(path)
    for part in path.parent.glob(f".{_host()}-*.{path.name}"):
        process = part.name.removeprefix(f".{_host()}-").removesuffix(f".{path.name}")
        if process.isdigit() and int(process) != os.getpid() and not _alive(int(process)):
            remove([part])


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
    parser.add_argument("--take", metavar="RESULTS", help="store what a results folder holds, copied from elsewhere")
    given = parser.parse_args(arguments)
    store = Store(given.folder)
    if given.take:
        try:
            if not Path(given.take, "records").is_dir():
                sys.exit(f"--take: {given.take!r} is no results folder: it holds no `records`")
            taken, left = store.take(given.take)
        except OSError as error:
            sys.exit(f"--take: {error.filename or given.take}: cannot be read ({error.strerror})")
        print(f"{given.take}: results of {taken} steps taken, of {left} left: they are not whole")
        return
    if not store.folder.is_dir():
        sys.exit(f"{given.folder}: no such folder")
    try:
        gone, kept = store.prune(parse_size(given.prune)) if given.prune is not None else (0, 0)
    except InputError as error:
        sys.exit(str(error))
    entries = store.entries()
    print(f"{given.folder}: {len(entries)} results, {sum(size for _, size, _ in entries) / 1e6:.1f} MB, {gone} dropped")
    if kept:
        sys.exit(f"{given.folder}: {kept} of other owners cannot be dropped; they can, or share the folder")


if __name__ == "__main__":
    main()
