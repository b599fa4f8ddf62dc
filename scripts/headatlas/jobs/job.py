"""A script as a safe job: logged, atomic, restored when already computed.

The one module that knows the object Snakemake hands to a script.
"""

import contextlib
import ctypes
import errno
import functools
import gc
import hashlib
import json
import os
import re
import shutil
import signal
import sys
import traceback
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

from headatlas.base import progress
from headatlas.base.errors import InputError
from headatlas.jobs import gpu_lock
from headatlas.jobs.store import Store, beside, file_digest, sweep

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux's prctl
_NEW_OBJECTS = 100_000  # between looks for garbage: imports make as many, all to stay; looking costs a tenth more


def _digest(path):
    if str(path).endswith(".parquet"):
        from headatlas.base import tables  # its import costs what a job without tables need not pay

        return tables.content_digest(path)
    return file_digest(path)


def _input_digests(given):
    """Digest of every input, under its name; several files of one name keep their order."""
    return {name: [_digest(f) for f in ([paths] if isinstance(paths, str) else paths)] for name, paths in given.items()}


def _installed(packages):
    """Versions as installed where the job runs, which may be another environment than Snakemake's."""
    versions = {}
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # the name of a module, where Snakemake's environment lacks the package
            owners = metadata.packages_distributions().get(name, [])
            versions |= {owner: metadata.version(owner) for owner in owners} or {name: None}
    return versions


class Job:
    """What a script's `main` is given besides the `snakemake` object.

    Attributes
    ----------
    out : SimpleNamespace
        Where to write each named output: beside its place, renamed into it when all are done.
    settings : dict
        The configuration slice this step reads.
    provenance : dict
        What produces the outputs, to be written into their tables.
    mirror : pathlib.Path or None
        Folder asked before the network.
    watched : pathlib.Path or None
        Folder of curves to watch while the job runs; they are no output.
    downloads : pathlib.Path
        Where downloaded files are kept between jobs.
    scratch : pathlib.Path or None
        Folder for checkpoints of this very computation; it outlives a killed job, not a finished one.
        None where the store cannot be written to.
    """

    def __init__(self, snakemake, out, provenance, store, scratch):
        self.out, self.provenance, self._scratch = out, provenance, scratch
        self.settings = snakemake.params.spec["settings"]
        mirror = os.environ.get("HEADATLAS_MIRROR") or snakemake.config.get("mirror")
        self.mirror = Path(mirror).expanduser() if mirror else None
        watched = snakemake.config.get("watch")
        self.watched = Path(watched).expanduser() if watched else None
        self.downloads = store.folder / "downloads"
        self._gpus = int(dict(snakemake.resources.items()).get("gpu", 0) or 0)

    @property
    def scratch(self):
        try:
            self._scratch.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            print(f"store: {self._scratch} cannot be written ({error.strerror}): no checkpoints", file=sys.stderr)
            return None
        return self._scratch

    def device(self, threads=None):
        """The device to compute on, chosen once, logged and recorded: a GPU if the job was given one.

        Parameters
        ----------
        threads : int, optional
            CPU threads torch uses. Fixed by configuration rather than by the cores at hand, because
            the order of a sum, and so its last bits, depend on it.
        """
        # Threads that wait for one another should sleep: spinning takes the core from the one waited for, and on a
        # shared machine costs a small product most of its speed. Read when the library loads.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if self._gpus:
            gpu_lock.claim()
        import torch

        if threads:
            torch.set_num_threads(threads)
        device = torch.device("cuda" if self._gpus and torch.cuda.is_available() else "cpu")
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
        self.provenance["device"] = name
        print(f"device: {name}, {torch.get_num_threads()} CPU threads", file=sys.stderr)
        return device


def _log_to(path):
    """Send what this process and its libraries print to the log; the terminal is kept for bars, where it is a job's."""
    terminal = None if os.environ.get(progress.RUN_DISPLAY) else os.fdopen(os.dup(2), "w", buffering=1)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    sys.stdout.reconfigure(line_buffering=True)
    progress.watch(terminal)
    return terminal


def _stop(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not cut the cleaning up short
    sys.exit(143)


def _die_with_parent():
    """Stop when Snakemake is killed, and clean up when asked to stop."""
    signal.signal(signal.SIGTERM, _stop)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)


def _say_peak(asked):
    """Log the most memory that this process ever held: a benchmark looks now and then, and misses what is short."""
    with contextlib.suppress(OSError):  # Linux alone tells; processes that a step starts are the benchmark's to see
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        print(f"peak memory: {int(found[1]) / 1024:.0f} MB" + (f" of {asked} asked for" if asked else ""))


def _sync(path):
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _run(body, snakemake, key, provenance, store, final):
    parts = {name: beside(path) for name, path in final.items()}
    scratch = store.scratch(key)
    for path in final.values():
        sweep(path)
    try:
        body(snakemake, Job(snakemake, SimpleNamespace(**parts), provenance, store, scratch))
        for name, part in parts.items():
            if not os.path.isfile(part) or not os.path.getsize(part):
                raise FileNotFoundError(f"the script did not write its output {name!r} ({final[name]})")
            _sync(part)
        store.keep(key, parts)
        for name, part in parts.items():
            os.replace(part, final[name])
        shutil.rmtree(scratch, ignore_errors=True)
    finally:
        for part in parts.values():
            Path(part).unlink(missing_ok=True)


def _no_room(error):
    """Whether a disk, a quota or a file is full; not all libraries raise an OSError then."""
    codes = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return getattr(error, "errno", None) in codes or any(os.strerror(code) in str(error) for code in codes)


def job(body):
    """Decorate a script's `main(snakemake, job)`.

    The outputs' key is a digest of the rule, its `spec` (settings, code, package versions), the wildcards
    and the content of every input. Where the store has that key, the outputs are linked into place and
    `body` never runs: so `body` imports what is slow to import itself. An `InputError` or a full disk ends
    the job with one line, anything else with a traceback, both in the log.
    """

    @functools.wraps(body)
    def main(snakemake):
        terminal = None
        gc.set_threshold(_NEW_OBJECTS)
        if snakemake.log:
            _die_with_parent()
            terminal = _log_to(snakemake.log[0])
        try:
            spec = snakemake.params.spec
            final = dict(snakemake.output.items())
            provenance = {
                "rule": snakemake.rule,
                "settings": spec["settings"],
                "code": spec["code"],
                "packages": _installed(spec["packages"]),
                "python": ".".join(map(str, sys.version_info[:2])),
                "wildcards": dict(snakemake.wildcards.items()),
                "inputs": _input_digests(snakemake.input),
            }
            key = hashlib.sha256(json.dumps([provenance, sorted(final)], sort_keys=True).encode()).hexdigest()
            store = Store(snakemake.config["store"])
            if store.restore(key, final):
                print(f"restored {key}")
                return
            print(f"computing {key}")
            _run(body, snakemake, key, provenance, store, final)
            _say_peak(dict(snakemake.resources.items()).get("mem_mb"))
        except Exception as error:
            if isinstance(error, InputError) or _no_room(error):
                for place in {sys.stderr, terminal or sys.stderr}:
                    print(f"error: {error}", file=place)
            else:
                traceback.print_exc()
            sys.exit(1)
        finally:
            if terminal is not None:
                with contextlib.suppress(OSError):
                    terminal.flush()

    return main
