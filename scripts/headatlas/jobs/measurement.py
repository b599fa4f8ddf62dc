"""What a job cost: time and memory, measured by itself when it computes, in the form of Snakemake's benchmarks.

Snakemake would measure a restored result too, and write those few tenths of a second over what computing it took.
"""

import os
import re
import resource
import time
from pathlib import Path

from headatlas.jobs import leftovers

_STARTED = time.monotonic()


def measure(asked=None):
    """Seconds, CPU seconds and MB at most so far; the memory is logged beside what was asked for.

    Returns
    -------
    dict from str to float
        `s`, `max_rss` and `cpu_time`, as Snakemake names them. Processes that the job started are counted once they
        have ended.
    """
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    peak = max(_peak(), used[1].ru_maxrss / 1024)
    print(f"peak memory: {peak:.0f} MB" + (f" of {asked} asked for" if asked else ""))
    processor = sum(of_one.ru_utime + of_one.ru_stime for of_one in used)
    return {"s": round(time.monotonic() - _STARTED, 2), "max_rss": round(peak, 1), "cpu_time": round(processor, 2)}


def _peak():
    """MB held at most: of this very program, where the system tells, for what `exec` replaced counts elsewhere."""
    try:
        return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
    except (OSError, TypeError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write(path, measured):
    """Write a benchmark, or nothing where `path` is None."""
    if path is None:
        return
    minutes, seconds = divmod(int(measured["s"]), 60)
    row = {
        "s": measured["s"],
        "h:m:s": f"{minutes // 60}:{minutes % 60:02}:{seconds:02}",
        "max_rss": measured["max_rss"],
        "mean_load": round(100 * measured["cpu_time"] / max(measured["s"], 0.01), 2),
        "cpu_time": measured["cpu_time"],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{os.getpid()}.{path.name}")
    part.write_text("\t".join(row) + "\n" + "\t".join(map(str, row.values())) + "\n")
    os.replace(part, path)
    leftovers.clear(path)


def put_back(path, measured):
    """Write the benchmark of a restored result where there is none; one that is there stays."""
    if path is not None and measured and not path.exists():
        write(path, measured)
