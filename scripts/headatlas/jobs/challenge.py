"""Whether results are what computing them anew gives.

``python -m headatlas.jobs.challenge RESULTS`` computes some steps of a results folder again, drawn at random or all,
each from the inputs that it had and with no store, and says for each rule how many come out with the same bytes, and
how far the others are off. ``--against OTHER`` computes nothing, and holds against each other two results folders of
one configuration, of two machines or of two sets of a processor's instructions: numbers, and apart from them what is
found: supported groups, what heads are called, signs of effects, and what texts state.
"""

import argparse
import difflib
import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from importlib import util
from pathlib import Path
from types import SimpleNamespace

from headatlas.base import statements
from headatlas.base.errors import InputError
from headatlas.jobs import code_digest
from headatlas.jobs.contents import file_digest

_SCRIPTS = Path(__file__).parents[2]
_DECIMAL = re.compile(r"\d+(\.\d+([eE][-+]?\d+)?|[eE][-+]?\d+)")  # without its sign, which is a finding
_MEASURED = re.compile(r"\d*\.\d+([eE][-+]?\d+)?|\d+[eE][-+]?\d+|\d+(?= ?%)")  # counts are what is found
_TEXTS = (".md", ".csv", ".json", ".html")
_SHOWN = 12  # lines of findings that differ


def steps(results):
    """The records of all steps of a results folder, one of each, by their key.

    Raises
    ------
    InputError
        If there are none.
    """
    found = {}
    for path in sorted(Path(results, "records").rglob("*.json")):
        try:
            record = json.loads(path.read_bytes())
            found.setdefault(record["key"], record)
        except (OSError, ValueError, KeyError):  # half of it, of a job that was killed
            continue
    if not found:
        raise InputError(f"{results}: no record of a result in it")
    return found


class _Named(dict):
    """Named files as Snakemake hands them to a script: by attribute or name, and one after the other."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __iter__(self):
        for value in self.values():
            yield from [value] if isinstance(value, str) else value


def recompute(record, folder):
    """Run a step anew in this process, as Snakemake would, with a store and outputs of its own.

    Parameters
    ----------
    record : dict
    folder : path-like
        Where its outputs go, as they lie under the results: a figure has one name under both protocols.
    """
    provenance = record["provenance"]
    outputs = {name: str(Path(folder, _below(path, record))) for name, path in record["outputs_at"].items()}
    for path in outputs.values():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    parts = ("script", "modules", "reads")
    spec = {part: record[part] for part in parts} | {
        part: provenance[part] for part in ("code", "packages", "settings")
    }
    gpu = int(not provenance.get("device", "cpu").startswith("cpu"))
    snakemake = SimpleNamespace(
        rule=provenance["rule"],
        input=_Named(record["paths"]),
        output=_Named(outputs),
        params=SimpleNamespace(spec=spec),
        wildcards=_Named(provenance["wildcards"]),
        threads=provenance["settings"].get("threads", 1),
        resources=_Named({"gpu": gpu}),
        config={"store": str(Path(folder, "store")), "mirror": record["mirror"]},
        log=[],
    )
    found = util.spec_from_file_location("script", _SCRIPTS / f"{record['script']}.py")
    script = util.module_from_spec(found)
    found.loader.exec_module(script)
    script.main(snakemake)


def _working_folder(results, record, temporary):
    """A folder from which the recorded paths lead to the results, wherever those lie now."""
    if Path(record["results"]).is_absolute() or _same(record["results"], results):
        return Path.cwd()
    place = Path(temporary, "from", record["results"])
    if not place.exists():
        place.parent.mkdir(parents=True)
        place.symlink_to(Path(results).absolute())
    return Path(temporary, "from")


def _same(one, other):
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _below(path, record):
    """Where a recorded output lies under the results."""
    return Path(path).relative_to(record["results"])


def _here(path, record, results):
    """Where a recorded file lies now."""
    try:
        return Path(results, Path(path).relative_to(record["results"]))
    except ValueError:
        return Path(path)


def why_not(record, results):
    """Why a step cannot be computed anew as it was, in a few words, or None."""
    script = _SCRIPTS / f"{record['script']}.py"
    try:
        own = code_digest.code_digest(script, _SCRIPTS, *record["modules"])
    except OSError:
        own = None
    if own != record["provenance"]["code"]:
        return "made by other code than this checkout's"
    for paths in record["paths"].values():
        for path in [paths] if isinstance(paths, str) else paths:
            if not _here(path, record, results).is_file():
                return "made from files that are gone"
    return None


class Comparison:
    """What came out, rule by rule."""

    def __init__(self):
        self.compared, self.equal = 0, defaultdict(int)
        self.other, self.skipped = defaultdict(list), defaultdict(int)  # lines by rule; steps by the reason

    def add(self, record, differences):
        """Count a step; `differences` are lines on its outputs, none where all bytes are equal."""
        rule, named = record["provenance"]["rule"], " ".join(record["provenance"]["wildcards"].values())
        if differences:
            self.other[rule] += [f"{named}: {line}" if named else line for line in differences]
        self.equal[rule] += not differences
        self.compared += 1

    def lines(self):
        steps_of = {rule: self.equal[rule] for rule in {*self.equal, *self.other}}
        for rule in sorted(steps_of):
            yield f"{rule}: {steps_of[rule]} with equal bytes" + (", others:" if self.other[rule] else "")
            yield from (f"    {line}" for line in self.other[rule])
        for why, count in sorted(self.skipped.items()):
            yield f"left out, {why}: {count}"
        equal, compared = sum(self.equal.values()), self.compared
        share = f"{equal / compared:.0%}" if compared else "none could be compared"
        yield f"in all: {equal} of {compared} steps with equal bytes ({share})"


def challenge(results, count=None, seed=0, say=print):
    """Compute steps of a results folder anew and compare.

    Parameters
    ----------
    results : path-like
    count : int, optional
        How many, drawn at random; all where it is not given.
    seed : int
        Of the draw.
    say : callable
        Told each step that is done.

    Returns
    -------
    Comparison
    """
    found, compared = list(steps(results).values()), Comparison()
    if count is not None and count < len(found):
        found = random.Random(seed).sample(found, count)
    for position, record in enumerate(found):
        if why := why_not(record, results):
            compared.skipped[why] += 1
            continue
        with tempfile.TemporaryDirectory(prefix="challenge-") as temporary:
            differences = _recomputed(record, results, temporary)
        compared.add(record, differences)
        own = " ".join([record["provenance"]["rule"], *record["provenance"]["wildcards"].values()])
        result = f"differs: {differences[0]}" if differences else "equal bytes"
        say(f"{position + 1} of {len(found)}: {own}: {result}", file=sys.stderr)
    return compared


def _recomputed(record, results, temporary):
    """Lines on how what a step gives now differs from its results; none where all bytes are equal."""
    out = Path(temporary, "out")
    out.mkdir()
    asked = Path(temporary, "record.json")
    asked.write_text(json.dumps(record))
    environment = {name: value for name, value in os.environ.items() if name != "HEADATLAS_RUN"}
    ran = subprocess.run(
        [sys.executable, "-m", "headatlas.jobs.challenge", "--step", str(asked), str(out)],
        cwd=_working_folder(results, record, temporary),
        env={**environment, "PYTHONPATH": str(_SCRIPTS)},
        capture_output=True,
        text=True,
    )
    if ran.returncode:
        return [f"could not be computed: {(ran.stderr.strip().splitlines() or ['nothing said'])[-1]}"]
    lines = []
    for name, path in record["outputs_at"].items():
        made = out / _below(path, record)
        if file_digest(made) != record["outputs"][name]["sha256"]:
            lines.append(f"{_below(path, record)}: {difference(_here(path, record, results), made)}")
    return lines


def against(results, other):
    """Compare two results folders of one configuration; returns a `Comparison` and lines of findings that differ."""
    mine, theirs, compared = steps(results), steps(other), Comparison()
    places = {_name(record, results): record for record in theirs.values()}
    said = []
    for record in mine.values():
        if (twin := places.get(_name(record, results))) is None:
            compared.skipped["not among the other results"] += 1
            continue
        lines = []
        for name, path in record["outputs_at"].items():
            pair = [_here(path, record, results)]
            pair += [_here(twin["outputs_at"][name], twin, other)] if name in twin["outputs_at"] else [None]
            absent = [which for which, file in zip(("these", "the other"), pair, strict=True) if not _is_file(file)]
            if absent:
                lines.append(f"{Path(path).name}: not among {' and '.join(absent)} results")
            elif file_digest(pair[0]) != file_digest(pair[1]):
                lines.append(f"{Path(path).name}: {difference(*pair)}")
                if path.endswith(".md"):
                    said += findings(*pair)
        compared.add(record, lines)
    for _ in set(places) - {_name(record, results) for record in mine.values()}:
        compared.skipped["among the other results alone"] += 1
    return compared, said


def _is_file(path):
    return path is not None and path.is_file()


def _name(record, results):
    return record["provenance"]["rule"], *sorted(record["provenance"]["wildcards"].items())


def findings(one, other):
    """Statements that two texts of findings do not share: `- ` of the first, `+ ` of the other.

    A statement is the same with other decimals and percentages of the same signs, and not with other counts, names or
    words, nor where one holds and the other does not.
    """
    texts = [
        [
            f"{'found' if read[3] else 'denied'}: {_MEASURED.sub('#', read[0])}"
            for read in map(statements.read, Path(path).read_text(encoding="utf-8").splitlines())
            if read
        ]
        for path in (one, other)
    ]
    return [line for line in difflib.ndiff(*texts) if line[:2] in ("- ", "+ ")]


def _other_words(one, other):
    """How many lines two texts do not share but for the digits of decimals."""
    texts = [[_DECIMAL.sub("#", line) for line in Path(path).read_text().splitlines()] for path in (one, other)]
    return sum(line[:2] in ("- ", "+ ") for line in difflib.ndiff(*texts))


def difference(one, other):
    """How far a file is off another, in words."""
    if not Path(one).is_file():
        return "not among the results"
    kind = Path(one).suffix
    try:
        if kind == ".parquet":
            return _of_tables(one, other)
        if kind == ".safetensors":
            from safetensors.numpy import load_file

            return _of_arrays([load_file(one)], [load_file(other)])
        if kind == ".png":
            return _of_images(one, other)
        if kind in _TEXTS:
            changed = _other_words(one, other)
            return f"{changed} lines differ in words" if changed else "the same words, other decimals"
    except (ValueError, KeyError, InputError) as error:
        return f"cannot be compared ({error})"
    return "other bytes"


def _of_tables(one, other):
    from headatlas.base import tables

    if tables.content_digest(one) == tables.content_digest(other):
        return "equal content, made by another device or other versions"
    return _of_arrays(tables.groups(one), tables.groups(other))


def _of_arrays(mine, theirs):
    """The array that is off farthest, relative to its own largest number, of mappings from name to array."""
    import numpy as np

    worst, words = (0.0, "", 0.0), {}
    for group, twin in itertools.zip_longest(mine, theirs):
        shapes = [of and {name: np.shape(values) for name, values in of.items()} for of in (group, twin)]
        if shapes[0] != shapes[1]:
            return "other columns, or other numbers of rows"
        for name, values in group.items():
            given, found = np.asarray(values), np.asarray(twin[name])
            if given.dtype.kind in "fc" and given.size:
                known = np.isfinite(given) & np.isfinite(found)
                if known.any():
                    off, scale = np.abs(given - found)[known].max(), np.abs(given[known]).max() or 1.0
                    worst = max(worst, (float(off / scale), name, float(off)))
                if not np.array_equal(given[~known], found[~known], equal_nan=True):
                    words[name] = "numbers where there were none, or none where there were"
            elif given.dtype.kind in "iub" and (given != found).any():
                words[name] = f"{int((given != found).sum())} of {given.size} differ"
            elif given.dtype.kind not in "fciub" and [str(value) for value in given] != [str(value) for value in found]:
                words[name] = "other entries"
    said = [f"{name}: {what}" for name, what in words.items()]
    if worst[0]:
        said.append(f"{worst[1]} is off by at most {worst[2]:.1e}, {worst[0]:.1e} of its largest number")
    return "; ".join(said) or "equal numbers"


def _of_images(one, other):
    import matplotlib.image
    import numpy as np

    mine, theirs = matplotlib.image.imread(one), matplotlib.image.imread(other)
    if mine.shape != theirs.shape:
        return f"other sizes: {mine.shape[:2]} and {theirs.shape[:2]}"
    return f"{(mine != theirs).any(-1).mean():.2%} of the pixels differ, by at most {np.abs(mine - theirs).max():.0%}"


def _say_findings(results, other, said):
    """Print what two results folders find, by what it is; whether nothing of it differs."""
    from headatlas.jobs import compared_findings

    found = compared_findings.compare(results, other)
    for compared in found:
        more = len(compared.differences) - _SHOWN
        lines = compared.differences[:_SHOWN] + [f"and {more} more"] * (more > 0)
        print(compared.line(), *(f"    {line}" for line in lines), sep="\n")
    print("findings: the same but for measured numbers" if not said else "findings that differ:")
    print(*said[:_SHOWN], sep="\n")
    return not said and not any(compared.differences for compared in found)


def main(arguments=None):
    """Compute results anew and compare, or compare two results folders."""
    parser = argparse.ArgumentParser(prog="python -m headatlas.jobs.challenge", description=main.__doc__)
    parser.add_argument("results", nargs="?", default="results", help="a results folder")
    parser.add_argument("--count", type=int, help="steps to compute, drawn at random; all where it is not given")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--against", metavar="OTHER", help="compute nothing; compare with these results")
    parser.add_argument("--step", nargs=2, metavar=("RECORD", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.step:
        recompute(json.loads(Path(given.step[0]).read_bytes()), given.step[1])
        return
    try:
        if given.against:
            compared, said = against(given.results, given.against)
        else:
            compared, said = challenge(given.results, given.count, given.seed), []
    except InputError as error:
        sys.exit(str(error))
    print(*compared.lines(), sep="\n")
    agree = _say_findings(given.results, given.against, said) if given.against else not any(compared.other.values())
    sys.exit(0 if agree and compared.compared else 1)


if __name__ == "__main__":
    main()
