"""Runs of the small study of tests/study.yaml in checkouts of their own, and what they leave."""

import os
import signal

from checkout import Checkout, copy_of_tree
from headatlas.jobs.store import file_digest

CONFIG = "tests/study.yaml"


def results(checkout):
    return checkout.folder / "results" / "study"


def contents(checkout):
    """Bytes of all results but logs and measurements of time."""
    folder = results(checkout)
    found = (path for path in folder.rglob("*") if path.is_file())
    kept = (path for path in found if path.relative_to(folder).parts[0] not in ("logs", "benchmarks", "records"))
    return {str(path.relative_to(folder)): file_digest(path) for path in kept}


def fresh(folder):
    copy_of_tree(folder)
    return Checkout(folder)


def logs(checkout, rule):
    """Texts of the logs of one rule's jobs."""
    folder = results(checkout) / "logs"
    return [path.read_text() for path in (folder / f"{rule}.log", *folder.glob(f"{rule}/*.log")) if path.is_file()]


def stopped(process):
    """Kill a run and all it started, at once, as a power failure would."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
