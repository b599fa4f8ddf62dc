"""A copy of the working tree in which Snakemake is run as a user would, and what such a run did."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[1]
CONFIG = "tests/workflow/tiny.yaml"
_ASKED = re.compile(r"\b(mem_mb|runtime)=(\d+)")
# A job, indented by four where a dry run shows it within its group
_JOB = re.compile(r"^(?:    )?(?:local)?rule (\w+):\n((?: {4,8}\w.*\n)*)", re.MULTILINE)


def copy_of_tree(target):
    """Copy what git tracks, or would, as it stands now."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)


class Checkout:
    """A copy of the working tree in which Snakemake is run as a user would."""

    def __init__(self, folder):
        self.folder = folder
        self.results = folder / "results" / "tiny"
        self.through = []  # a program, with its arguments, that starts Snakemake and looks on

    def snakemake(self, *arguments, config=CONFIG, check=True):
        """Run and tell which jobs there were, as (rule, wildcards) pairs, computed or restored."""
        process = self.start(*arguments, config=config)
        said, _ = process.communicate()
        assert not check or process.returncode == 0, said
        told = [(rule, body) for rule, body in _JOB.findall(said) if "log: " in body]
        jobs = {(rule, self._wildcards(body)): self._log(body) for rule, body in told}
        asked = {(rule, self._wildcards(body)): dict(_ASKED.findall(body)) for rule, body in told}
        done = self._sorted_out(jobs)
        return SimpleNamespace(code=process.returncode, said=said, jobs=jobs, asked=asked, done=done)

    def start(self, *arguments, config=CONFIG, **options):
        """The running process, in a group of its own; what it says comes by one pipe."""
        given = ["--configfile", *([config] if isinstance(config, str | Path) else config)] if config else []
        # nothing that an outer run or the machine sets may leak into the run under test, nor another checkout's library
        left_out = ("SNAKEMAKE", "HEADATLAS", "PYTHONPATH")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        return subprocess.Popen(
            [*self.through, sys.executable, "-m", "snakemake", "-p", *arguments, *given],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **options,
        )

    @staticmethod
    def _wildcards(body):
        found = re.search(r"^ +wildcards: (.*)$", body, re.MULTILINE)
        return found[1] if found else ""

    def _log(self, body):
        return self.folder / re.search(r"^ +log: (\S+)", body, re.MULTILINE)[1]

    @staticmethod
    def _sorted_out(jobs):
        done = {"computed": set(), "restored": set()}
        for job, log in jobs.items():
            text = log.read_text() if log.is_file() else ""
            if "\ncomputing " in "\n" + text:
                done["computed"].add(job)
            elif "restored " in text:
                done["restored"].add(job)
        return SimpleNamespace(**done)

    def copy(self, folder):
        """The same checkout elsewhere: its results, its store and Snakemake's own notes too."""
        shutil.copytree(self.folder, folder)
        return Checkout(folder)
