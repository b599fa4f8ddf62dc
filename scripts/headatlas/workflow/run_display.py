"""What a person sees while a run goes on: what is running, how much is done, about how long is left, what failed.

Snakemake's messages are meant for whoever debugs a workflow. This handler of its logger takes the place of the one
that prints them, unless details were asked for (`-p`, `--verbose`, `--quiet`): one line that is drawn again on a
terminal, a line now and then elsewhere, and for a job that fails the end of its log. Of a run that is only planned
(`-n`), how many jobs of each rule there would be, and why the first of them.
"""

import ast
import atexit
import logging
import os
import re
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from headatlas.base import progress

INTERVAL = 1.0  # seconds between two drawings on a terminal
PAUSE = 20.0  # seconds between two lines where nobody is watching
LAST_LINES = 12  # of a failed job's log

_USUAL = 5.0  # seconds of a job of which nothing is known
_DETAILS = re.compile(  # of Snakemake's machinery: nothing that a person could act on
    r"Assuming unrestricted|Building DAG|Using (shell|profile|workflow)|Provided |Rules claiming|Select jobs|Execute \d"
    r"|(Conda|Singularity|Group) |host:|Complete log|Config file .* is extended|Finished job|Removing|Cleanup|Unlocking"
    r"|Loading script code|Adding \S+ \(|Will exit after|Shutting down|Exiting because|Trying to restart job"
    r"|Touching output|Submitted|Job \d+ has been"
)

_NO_NEWS = re.compile("Missing metadata for file")  # a warning for each file of a report that was not made here
_OF_PLANS = re.compile("Reasons:|Some jobs were triggered|Rules with provenance|This was a dry-run")
_WHY = {  # what a person is told, by what Snakemake's reason begins with; None: it is another job's reason
    "Input files updated by another job": None,
    "Missing output files": "not made yet",
    "Incomplete output files": "left half-made",
    "Updated input files": "an input is new",
    "Set of input files has changed": "it reads other files than it did",
    "Params have changed": "made with other {}",
    "Software environment definition": "made in another environment",
    "Forced execution": "forced",
}
_CHANGED = re.compile(r"before: (\{.*\}) now: (\{.*?\}) *(?:;|$)")
_PARTS = {
    "settings": "settings",
    "packages": "packages",
    "reads": "files of yours",
}  # of what a step depends on; else code
_ALL = "(;|^) ?({})"  # where a reason begins
_SHOWN = 12  # reasons of a plan

_NOTICES = re.compile("(forced|store|warning): ")  # lines of the log of a job that went well which a person should see


def replaces_messages(workflow):
    """Whether a workflow's messages are to be replaced: in the process that a person started, unless details are asked.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow

    Returns
    -------
    bool
    """
    output = workflow.output_settings
    asked = output.quiet or output.verbose or output.printshellcmds or output.debug_dag or output.log_handler_settings
    return workflow.is_main_process and not asked


def attach(logger, stream=None, plan=False):
    """Take the place of Snakemake's own handler.

    Parameters
    ----------
    logger : logging.Logger
        Snakemake's.
    stream : file, optional
        Where to write; that of the handler replaced.
    plan : bool
        Whether the run is only planned.

    Returns
    -------
    RunDisplay or None
        None where Snakemake's handler is not there to be replaced.
    """
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            logger.removeHandler(handler)
            display = (PlanDisplay if plan else RunDisplay)(stream or handler.stream)
            logger.addHandler(display)
            os.environ[progress.RUN_DISPLAY] = "1"
            atexit.register(display.end)
            return display
    return None


class RunDisplay(logging.Handler):
    """A handler of Snakemake's logger that shows the state of a run instead of its events.

    Parameters
    ----------
    stream : file
    clock : callable
        Seconds; for tests.
    """

    def __init__(self, stream=sys.stderr, clock=time.monotonic):
        super().__init__()
        self.stream, self.clock = stream, clock
        self.total = self.done = 0
        self.jobs, self.started, self.failed = {}, {}, {}
        self.waiting, self.seconds = Counter(), {}
        self.began = self.spoke = None
        self._drawn = self._ended = False
        self._thread = threading.Thread(target=self._draw_on, daemon=True)

    def emit(self, record):
        try:
            event = str(getattr(record, "event", None))
            reaction = getattr(self, f"_on_{event}", None)
            if reaction is not None:
                reaction(record)
            elif _NO_NEWS.match(str(record.msg)):
                return
            elif record.levelno >= logging.WARNING or (event == "None" and not _DETAILS.match(str(record.msg))):
                self._say(record.getMessage())
        except Exception:
            self.handleError(record)

    def _on_workflow_started(self, record):
        pass

    _on_resources_info = _on_shellcmd = _on_rulegraph = _on_workflow_started

    def _on_run_info(self, record):
        counts = {rule: count for rule, count in record.stats.items() if rule != "total"}
        self.total, self.waiting, self.began = sum(counts.values()), Counter(counts), self.clock()
        self._say(f"{self.total} jobs")
        if self._interactive and not self._thread.is_alive():
            self._thread.start()

    def _on_job_info(self, record):
        wildcards = " ".join(str(value) for value in dict(record.wildcards or {}).values())
        self.jobs[record.jobid] = (record.rule_name, f"{record.rule_name} {wildcards}".rstrip(), list(record.log or []))

    def _on_job_started(self, record):
        for job in record.jobs:
            self.started[job] = self.clock()

    def _on_job_finished(self, record):
        rule, _, logs = self.jobs.get(record.job_id, ("", "", []))
        for line in (line for log in logs for line in _last_lines(log) if _NOTICES.match(line)):
            self._say(line)
        began = self.started.pop(record.job_id, None)
        if began is not None:
            self.seconds.setdefault(rule, []).append(self.clock() - began)
        self.waiting[rule] -= 1

    def _on_progress(self, record):
        self.done, self.total = record.done, record.total
        if not self._interactive and (self.done == self.total or self.clock() - (self.spoke or 0) >= PAUSE):
            self.spoke = self.clock()
            self._say(self.line())

    def _on_job_error(self, record):
        job = record.jobid
        self.started.pop(job, None)
        if job in self.failed:  # told again when Snakemake ends
            return
        _, name, logs = self.jobs.get(job, (record.rule_name, record.rule_name, []))
        self.failed[job] = name
        lines = [f"failed: {name}"]
        for log in logs:
            lines += [f"  {log} ends:", *(f"  | {line}" for line in _last_lines(log))]
        self._say("\n".join(lines))

    def _on_group_error(self, record):
        for info in record.job_error_info:
            self._on_job_error(logging.makeLogRecord(info))

    def _on_error(self, record):
        message = str(record.msg).removeprefix("WorkflowError:\n")
        if not self.failed:  # else the job's own log has said why
            self._say(message.strip())

    @property
    def _interactive(self):
        return bool(getattr(self.stream, "isatty", lambda: False)())

    def remaining(self):
        """Seconds until the end, from the jobs that have ended: None before a tenth has."""
        if self.began is None or self.done < max(3, self.total / 10):
            return None
        measured = [second for seconds in self.seconds.values() for second in seconds]
        if not measured:
            return None
        elapsed = max(self.clock() - self.began, 1e-9)
        usual = min(_USUAL, sum(measured) / len(measured))
        work = sum(
            count * (sum(self.seconds[rule]) / len(self.seconds[rule]) if rule in self.seconds else usual)
            for rule, count in self.waiting.items()
            if count > 0
        )
        work -= sum(self.clock() - began for began in self.started.values())
        return max(work, 0.0) / max(1.0, sum(measured) / elapsed)

    def line(self):
        """The state of the run in one line."""
        share = f"{self.done} of {self.total} jobs ({100 * self.done // max(self.total, 1)}%)"
        left = self.remaining()
        parts = [share, f"{_duration(self.clock() - self.began)} so far"] if self.began is not None else [share]
        if left is not None and self.done < self.total:
            parts.append(f"about {_duration(left)} left")
        running = [self._running(job) for job in list(self.started)]
        return ", ".join(parts) + (f"; running: {', '.join(running)}" if running else "")

    def _running(self, job):
        _, name, logs = self.jobs.get(job, ("", f"job {job}", []))
        said = next((line for log in logs for line in reversed(_last_lines(log, 1))), "")
        done = re.match(r"[^:]+: (\d+ of \d+ \S+),", said)
        return f"{name} ({done[1]})" if done else name

    def _say(self, text):
        with self.lock:
            self._clear()
            self.stream.write(text.rstrip("\n") + "\n")
            self.stream.flush()

    def _clear(self):
        if self._drawn:
            self.stream.write("\r\x1b[K")
            self._drawn = False

    def _draw_on(self):
        while not self._ended and self.done < self.total:
            with self.lock:
                self._clear()
                width = os.get_terminal_size(self.stream.fileno()).columns
                self.stream.write(self.line()[: width - 1])
                self.stream.flush()
                self._drawn = True
            time.sleep(INTERVAL)

    def end(self):
        """Say how the run ended."""
        if self._ended:
            return
        self._ended = True
        if self.began is None:
            return
        text = f"{self.done} of {self.total} jobs done in {_duration(self.clock() - self.began)}"
        if self.failed:
            text += f"; failed: {', '.join(self.failed.values())}. What is done is kept: run again to go on."
        self._say(text)


class PlanDisplay(RunDisplay):
    """The same of a run that is only planned: how many jobs of each rule there would be, and why.

    Parameters
    ----------
    stream : file
    clock : callable
        Seconds; not asked.
    """

    def __init__(self, stream=sys.stderr, clock=time.monotonic):
        super().__init__(stream, clock)
        self._counts, self._why, self._followers = {}, {}, 0

    def emit(self, record):
        if str(record.msg).startswith("This was a dry-run"):
            self._say(self.plan())
        elif not _OF_PLANS.match(str(record.msg)):
            super().emit(record)

    def _on_run_info(self, record):
        self._counts = {rule: count for rule, count in record.stats.items() if rule != "total"}

    def _on_job_info(self, record):
        own = [words for begins, words in _WHY.items() if re.search(_ALL.format(re.escape(begins)), record.reason)]
        causes = [words.format(_other(record.reason)) for words in own if words]
        if len(causes) < len(own) and causes in ([], ["not made yet"]):  # as what it reads is made first
            self._followers += 1
            return
        wildcards = " ".join(str(value) for value in dict(record.wildcards or {}).values())
        self._why.setdefault((record.rule_name, ", ".join(causes) or record.reason), []).append(wildcards)

    _on_job_started = _on_job_finished = _on_progress = _on_group_info = RunDisplay._on_workflow_started

    def plan(self):
        """How many jobs of each rule, the reasons of those that wait for no other, and how to see more."""
        lines = []
        for (rule, why), jobs in self._why.items():
            others = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
            lines.append(f"  {rule} {jobs[0]}".rstrip() + f"{others}: {why}")
        if len(lines) > _SHOWN:
            lines[_SHOWN:] = [f"  and {len(lines) - _SHOWN} more rules"]
        if self._followers:
            lines.append(f"  {self._followers} more, as they read what these make")
        told = "Nothing was run. Every job with its files, settings and reason: the same with -p"
        head = f"{sum(self._counts.values())} jobs, in the order in which they can run:"
        return "\n".join([head, *_in_columns(self._counts), "", "Why:", *lines, "", told])

    def end(self):
        """Nothing ran, so nothing is said of how it ended."""


def _other(reason):
    """What differs from what a result was made with, in words: settings and packages by name."""
    try:
        before, now = map(ast.literal_eval, _CHANGED.search(reason).groups())
        differ = {}
        for part in (part for part in now if before[part] != now[part]):
            names = differ.setdefault(_PARTS.get(part, "code"), set())
            if part in ("settings", "packages"):
                names |= {key for key in {*before[part], *now[part]} if before[part].get(key) != now[part].get(key)}
        return ", ".join(f"{what} ({', '.join(sorted(names))})" if names else what for what, names in differ.items())
    except (AttributeError, KeyError, SyntaxError, TypeError, ValueError):  # Snakemake words it otherwise
        return "settings, code, packages or files of yours"


def _in_columns(counts, columns=3):
    """Names with their counts, as lines of so many."""
    width = max(map(len, counts), default=0)
    cells = [f"{name:{width}} {count:5}" for name, count in counts.items()]
    return ["  " + "   ".join(cells[first : first + columns]) for first in range(0, len(cells), columns)]


def _duration(seconds):
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _last_lines(path, count=LAST_LINES):
    """The last lines of a log that say something, without reading all of a long one."""
    try:
        with Path(path).open("rb") as file:
            file.seek(max(0, Path(path).stat().st_size - 20_000))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.replace("\r", "\n").splitlines() if line.strip()][-count:]
