"""A script as a safe job: logged, atomic, restored when already computed.

The one module that knows the object Snakemake hands to a script.
"""

import contextlib
import errno
import functools
import gc
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

from headatlas.base import progress
from headatlas.base.errors import InputError
from headatlas.jobs import code_digest, contents, gpu_lock, invocation, measurement, stopping
from headatlas.jobs.code_digest import RunningCode
from headatlas.jobs.records import Records
from headatlas.jobs.store import Store, beside, described, move, own_name, remove, sweep

_NEW_OBJECTS = 100_000  # between looks for garbage: imports make as many, all to stay; looking costs a tenth more


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


def _mirror(config):
    mirror = os.environ.get("HEADATLAS_MIRROR") or config.get("mirror")
    return Path(mirror).expanduser() if mirror else None


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
        Where downloaded files are kept between jobs: in the store or, where that is read-only, in the user's cache.
    scratch : pathlib.Path or None
        Folder for checkpoints of this very computation; it outlives a killed job, not a finished one.
        None where the store cannot be written to.
    temporary : pathlib.Path
        Folder that outlives no job.
    """

    def __init__(self, snakemake, out, provenance, store, key):
        self.out, self.provenance, self._store, self._key = out, provenance, store, key
        self.settings = snakemake.params.spec["settings"]
        self.mirror = _mirror(snakemake.config)
        watched = snakemake.config.get("watch")
        self.watched = Path(watched).expanduser() if watched else None
        self._gpus = int(dict(snakemake.resources.items()).get("gpu", 0) or 0)
        self._elsewhere = None  # the temporary folder, where it is not in the store

    @property
    def downloads(self):
        try:
            folder = self._writable("downloads")
            os.umask(0o777 & ~folder.stat().st_mode)  # what libraries make in it is shared as it is
            return folder
        except OSError:
            cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
            return Path(cache, "headatlas", "downloads")

    @property
    def scratch(self):
        try:
            return self._writable("scratch", self._key)
        except OSError as error:
            print(f"store: {error.filename} cannot be written ({error.strerror}): no checkpoints", file=sys.stderr)
            return None

    @property
    def temporary(self):
        try:
            return self._writable("temporary", own_name())
        except OSError:
            self._elsewhere = self._elsewhere or tempfile.mkdtemp(prefix="headatlas-")
            return Path(self._elsewhere)

    def _writable(self, *below):
        folder = self._store.make(*below)
        tempfile.TemporaryFile(dir=folder).close()  # as root, or on a disk that is read-only, permissions say little
        return folder

    def clean_up(self):
        """Remove what shall not outlive the job.

        Returns
        -------
        bool
            Whether checkpoints of it are left, from which it would go on.
        """
        remove(vars(self.out).values())
        scratch = self._store.scratch(self._key)
        for folder in (self._store.folder / "temporary" / own_name(), self._elsewhere):
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            scratch.rmdir()  # where there is nothing in it
        return scratch.is_dir()

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
        if device.type == "cuda":
            name = torch.cuda.get_device_name(device)
        else:  # the instructions decide the last bits of a sum
            limited = os.environ.get("MKL_ENABLE_INSTRUCTIONS")
            name = f"cpu ({torch.backends.cpu.get_cpu_capability()}{f', MKL {limited}' if limited else ''})"
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


def _sync(path):
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


class _Inputs:
    """All files that a job reads, by content: those that its rule declares, and those that its settings lead to."""

    def __init__(self, snakemake, memory, records):
        self._snakemake, self._memory, self._records = snakemake, memory, records
        self._reads = snakemake.params.spec.get("reads", {})
        self._declared = {
            name: [paths] if isinstance(paths, str) else list(paths) for name, paths in snakemake.input.items()
        }
        self._began = self._times()
        self.found = self._digests()
        self._check_planned()

    def _times(self):
        places = [path for paths in self._declared.values() for path in paths]
        try:
            return [contents.signature(path) for path in places]
        except FileNotFoundError as error:
            raise InputError(f"{error.filename}: no such file") from None

    def _digests(self):
        """Digests of what is declared, under its name; several files of one name keep their order."""
        found = {name: [self._digest(path) for path in paths] for name, paths in self._declared.items()}
        if files := self._reads.get("files"):
            found["files"] = {place: self._digests_of(place) for place in files}
        if mirror := _mirror(self._snakemake.config):
            held = {name: self._digests_of(mirror / name) for name in self._reads.get("mirrored", ())}
            if any(held.values()):
                found["mirror"] = held
        if self._reads.get("interpreter"):
            found["interpreter"] = sys.version
        return found

    def _digest(self, path):
        (found,) = contents.digests(path, self._memory, digest=contents.table_digest).values()
        self._records.check(path, found)
        return found

    def _digests_of(self, place):
        suffixes = self._reads.get("suffixes")
        return contents.digests(Path(place).expanduser(), self._memory, suffixes and tuple(suffixes))

    def _check_planned(self):
        for place, planned in self._reads.get("files", {}).items():
            if self.found["files"][place] != planned:
                raise InputError(f"{place}: changed since this run began; nothing of it was kept: run again")

    def check_unchanged(self):
        """Raise `InputError` if anything read is no longer what it was when the job started."""
        if (self._reads or self._times() != self._began) and self._digests() != self.found:
            raise InputError(
                f"{self._snakemake.rule}: an input changed while it ran; nothing of it was kept: run again"
            )


def _say(terminal, *lines):
    """To the log, and to the terminal where that is another place."""
    for place in {sys.stderr, terminal or sys.stderr}:
        for line in lines:
            print(line, file=place, flush=True)


class _Attempt:
    """One run of a script under its key: restored, or computed, compared, kept and put in place."""

    def __init__(self, body, snakemake, terminal):
        self.body, self.snakemake, self.terminal = body, snakemake, terminal
        self.running, self.in_body = None, False
        self.final = dict(snakemake.output.items())
        self.store = Store(snakemake.config["store"])
        self.records = Records(snakemake.config.get("results"))

    def run(self):
        snakemake, spec = self.snakemake, self.snakemake.params.spec
        code_digest.remember_in(self.store.memory())
        code = RunningCode(spec["script"], spec["modules"], spec["code"]) if "script" in spec else None
        inputs = _Inputs(snakemake, self.store.memory(), self.records)
        provenance = {
            "rule": spec.get("rule", snakemake.rule),
            "settings": spec["settings"],
            "code": spec["code"],
            "packages": _installed(spec["packages"]),
            "python": ".".join(map(str, sys.version_info[:2])),
            "wildcards": dict(snakemake.wildcards.items()),
            "inputs": inputs.found,
        }
        key = hashlib.sha256(json.dumps([provenance, sorted(self.final)], sort_keys=True).encode()).hexdigest()
        forced = invocation.is_forced(snakemake.rule, self.final.values())
        if not forced and (record := self.store.restore(key, self.final)):
            self.records.write(self.final, self._described(key, record), record["outputs"])
            measurement.put_back(self._benchmark(), record.get("measured"))
            print(f"restored {key}")
            return
        print(f"computing {key}")
        self._compute(key, provenance, code, inputs, forced)

    def _compute(self, key, provenance, code, inputs, forced):
        parts = {name: beside(path) for name, path in self.final.items()}
        for path in self.final.values():
            sweep(path)
        self.running = run = Job(self.snakemake, SimpleNamespace(**parts), provenance, self.store, key)
        run.clean_up()  # what a killed job left
        try:
            self.in_body = True
            self.body(self.snakemake, run)
            self.in_body = False
            for name, part in parts.items():
                if not os.path.isfile(part) or not os.path.getsize(part):
                    raise FileNotFoundError(f"the script did not write its output {name!r} ({self.final[name]})")
                _sync(part)
            if code:
                code.check_unchanged()
            inputs.check_unchanged()
            measured = measurement.measure(dict(self.snakemake.resources.items()).get("mem_mb"))
            outputs = described(parts)
            record = self._described(key, {"provenance": provenance, "measured": measured})
            self._keep(key, parts, record, outputs, forced)
            self.records.forget(self.final)
            move(parts, self.final)
            self.records.write(self.final, record, outputs)
            measurement.write(self._benchmark(), measured)
            shutil.rmtree(self.store.scratch(key), ignore_errors=True)
        finally:
            run.clean_up()

    def _described(self, key, record):
        """A record, with the names of files as they are here."""
        snakemake, spec = self.snakemake, self.snakemake.params.spec
        given = {name: paths if isinstance(paths, str) else list(paths) for name, paths in snakemake.input.items()}
        return {
            **record,
            "key": key,
            "script": spec.get("script"),
            "modules": list(spec.get("modules", ())),
            "reads": spec.get("reads", {}),
            "results": str(snakemake.config.get("results")),
            "paths": given,
            "outputs_at": self.final,
            "mirror": snakemake.config.get("mirror"),
        }

    def _keep(self, key, parts, record, outputs, forced):
        stored = self.store.read(key) if forced else None
        if forced:
            _say(self.terminal, f"forced: {self.snakemake.rule} was computed; {_compared(stored, outputs)}")
        differs = stored is not None and _bytes(stored["outputs"]) != _bytes(outputs)
        if obstacle := self.store.keep(key, parts, record, replace=differs):
            _say(None if invocation.told(obstacle) else self.terminal, obstacle)

    def _benchmark(self):
        """Where the cost of this job is written, beside its log; None where nothing is."""
        results = self.snakemake.config.get("results")
        if not results or not self.snakemake.log:
            return None
        try:
            own = Path(self.snakemake.log[0]).relative_to(Path(results) / "logs")
        except ValueError:
            return None
        return Path(results, "benchmarks", own).with_suffix(".tsv")

    def stop(self):
        """Leave nothing half-written, and say what is kept."""
        signal.alarm(2)  # ends the process all the same, where a disk does not answer
        remove(beside(path) for path in self.final.values())
        kept = "it starts anew next time"
        if self.running and self.running.clean_up():
            kept = "but its checkpoint, from which it goes on next time"
        _say(self.terminal, f"stopped: nothing of {self.snakemake.rule} is kept, {kept}")


def _bytes(outputs):
    return {name: digests["sha256"] for name, digests in outputs.items()}


def _compared(stored, outputs):
    if stored is None:
        return "the store held nothing to compare with"
    if _bytes(stored["outputs"]) == _bytes(outputs):
        return "all bytes equal what the store held"
    content = {name: digests["content"] for name, digests in outputs.items()}
    differ = [name for name, digest in content.items() if stored["outputs"].get(name, {}).get("content") != digest]
    if not differ:
        return "its content equals what the store held, which another device or version of the packages made"
    return f"{', '.join(differ)} differs from what the store held, and takes its place"


def _no_room(error):
    """Whether a disk, a quota or a file is full; not all libraries raise an OSError then."""
    codes = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return getattr(error, "errno", None) in codes or any(os.strerror(code) in str(error) for code in codes)


def job(body):
    """Decorate a script's `main(snakemake, job)`.

    The outputs' key is a digest of the rule, its `spec` (settings, code, package versions), the wildcards
    and the content of every input. Where the store has that key, the outputs are put into place and
    `body` never runs: so `body` imports what is slow to import itself. What is computed is kept only if code and
    inputs are at the end what they were when the job was planned. An `InputError` or an error of the system ends
    the job with one line, anything else with a traceback and a line, both in the log.
    """

    @functools.wraps(body)
    def main(snakemake):
        terminal = attempt = None
        gc.set_threshold(_NEW_OBJECTS)
        try:
            if snakemake.log:
                terminal = _log_to(snakemake.log[0])
            attempt = _Attempt(body, snakemake, terminal)
            if snakemake.log:
                stopping.stop_with(attempt.stop)
            attempt.run()
        except Exception as error:
            plain = isinstance(error, InputError) or _no_room(error)
            if not plain and (attempt is None or attempt.in_body or not isinstance(error, OSError)):
                traceback.print_exc()
            _say(terminal, f"error: {error}" if plain else f"error: {snakemake.rule}: {type(error).__name__}: {error}")
            sys.exit(1)
        finally:
            if terminal is not None:
                with contextlib.suppress(OSError):
                    terminal.flush()

    return main
