"""Which files the jobs of a run opened, as the system saw it."""

import re
import shutil
import subprocess
from pathlib import Path

_CALLS = "open,openat,execve,clone,clone3,fork,vfork"
_CHILD = re.compile(r"^(\d+) +(?:clone3?|v?fork)\(.*= (\d+)$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (?:clone3?|v?fork) resumed>.*= (\d+)$")
_SCRIPT = re.compile(r"^(\d+) +execve\(.*/scripts/tmp\w{8}\.(\w+)\.py\"")
_OPENED = re.compile(r'^(\d+) +open(?:at)?\((?:\w+, )?"((?:[^"\\]|\\.)*)", ([A-Z_|0-9]+).*\) = \d+$')


def watching(file):
    """The command that starts a program and writes what it and its children open to a file; empty where it cannot."""
    command = ["strace", "--follow-forks", "--seccomp-bpf", "-e", f"trace={_CALLS}", "-s", "400", "-o", str(file)]
    if not shutil.which("strace") or subprocess.run([*command, "true"], capture_output=True).returncode:
        return []
    return command


def by_job(file):
    """Files that jobs opened to read: of each job its script's name, and paths as they were given.

    A job is a process that runs a script, with its threads and the processes that it starts.
    """
    parents, scripts, opened = {}, {}, {}
    for line in Path(file).read_text(errors="replace").splitlines():
        if found := _CHILD.match(line) or _RESUMED.match(line):
            parents[found[2]] = found[1]
        elif found := _SCRIPT.match(line):
            scripts[found[1]], opened[found[1]] = found[2], set()
        elif found := _OPENED.match(line):
            process = found[1]
            while process is not None and process not in scripts:
                process = parents.get(process)
            if process is not None and not re.search("O_WRONLY|O_DIRECTORY", found[3]):
                opened[process].add(found[2])
    return [(scripts[process], opened[process]) for process in scripts]
