"""Progress of long work: a bar when a person is watching, log lines when not."""

import sys
import time

from tqdm import tqdm

RUN_DISPLAY = "HEADATLAS_RUN_DISPLAY"  # in a job's environment: the terminal belongs to the run, which reads jobs' logs
_terminal = None  # the terminal a job was started from; its own stderr goes to the log


def watch(terminal):
    """Draw bars on `terminal` from now on, or log lines to stderr where it is no terminal."""
    global _terminal
    _terminal = terminal


class _Lines:
    """The part of tqdm's interface in use here, as one log line every `interval` seconds."""

    def __init__(self, total, description, unit, interval=10.0):
        self.total, self.description, self.unit, self.interval = total, description, unit, interval
        self.done, self.said, self.note = 0, None, ""
        self.started = self.spoke = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.said != self.done:
            self._say()

    def set_postfix_str(self, note, refresh=True):
        self.note = note

    def update(self, count=1):
        self.done += count
        if time.monotonic() - self.spoke >= self.interval:
            self._say()

    def _say(self):
        self.spoke, self.said = time.monotonic(), self.done
        of = f" of {self.total}" if self.total is not None else ""
        seconds = self.spoke - self.started
        print(f"{self.description}: {self.done}{of} {self.unit}, {seconds:.0f} s {self.note}".rstrip(), file=sys.stderr)


def bar(total, description, unit="steps"):
    """A context manager with `update(count)` and `set_postfix_str(note)`.

    Parameters
    ----------
    total : int or None
        Number of units of work, None where it is not known beforehand.
    description, unit : str
        What is being done, and what is counted.
    """
    terminal = _terminal or sys.stderr
    if terminal.isatty():
        return tqdm(total=total, desc=description, unit=f" {unit}", file=terminal, leave=False)
    return _Lines(total, description, unit)


def track(items, description, unit="items"):
    """Yield the items of a sized iterable while showing how many are done."""
    with bar(len(items), description, unit) as shown:
        for item in items:
            yield item
            shown.update()
