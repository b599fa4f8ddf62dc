"""What each step of a finished run took, as a table: its share of the time, its memory, and what had been asked for.

    python benchmarks/steps.py [results] [--all]

Reads the benchmarks and logs of a results folder. Jobs that were restored from the store measured nothing and are left
out; figures are one line unless `--all` is given.
"""

import argparse
import re
from pathlib import Path

PEAK = re.compile(r"^peak memory: (\d+) MB(?: of (\d+) asked for)?", re.MULTILINE)


def measured(results):
    """Of every job that was computed: its rule, seconds, MB that it held at most, MB asked for (0: not known)."""
    for benchmark in sorted((results / "benchmarks").rglob("*.tsv")):
        place = benchmark.relative_to(results / "benchmarks")
        log = results / "logs" / place.with_suffix(".log")
        text = log.read_text() if log.is_file() else ""
        if not re.search("^computing ", text, re.MULTILINE):
            continue
        names, values = (line.split("\t") for line in benchmark.read_text().splitlines()[:2])
        row = dict(zip(names, values, strict=True))
        sampled = 0.0 if row["max_rss"] == "NA" else float(row["max_rss"])
        peak, asked = PEAK.search(text).groups(default="0") if PEAK.search(text) else ("0", "0")
        yield place.parts[0].removesuffix(".tsv"), float(row["s"]), max(sampled, float(peak)), int(asked)


def table(jobs, every=False):
    """Lines of a Markdown table, the longest step first."""
    steps = {}
    for rule, seconds, memory, asked in jobs:
        name = "all figures" if rule.startswith("draw_") and not every else rule
        count, total, longest, most, least = steps.get(name, (0, 0.0, 0.0, 0.0, 0))
        steps[name] = count + 1, total + seconds, max(longest, seconds), max(most, memory), max(least, asked)
    whole = sum(step[1] for step in steps.values())
    yield "| step | jobs | seconds | share | longest | memory, MB | asked for |"
    yield "|---|---|---|---|---|---|---|"
    for name, (count, total, longest, most, asked) in sorted(steps.items(), key=lambda step: -step[1][1]):
        numbers = f"{count} | {total:.0f} | {total / whole:.1%} | {longest:.0f} | {most:.0f} | {asked or ''}"
        yield f"| {name} | {numbers} |"
    yield f"| all | {sum(step[0] for step in steps.values())} | {whole:.0f} | | | | |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="?", type=Path, default=Path("results"))
    parser.add_argument("--all", action="store_true", help="a line for each kind of figure")
    given = parser.parse_args()
    print(*table(measured(given.results), given.all), sep="\n")
