"""A job opens what its rule declares, and nothing else of the user's: an undeclared input would make stale results."""

import json
import os
import re
import sys
import sysconfig
from pathlib import Path

import pytest

import opened_files
from headatlas.jobs import code_digest

ENVIRONMENT = {  # whose versions are in every key, or which is the machine's own
    os.path.realpath(place)
    for place in (
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "data")),
        sys.prefix,
        sys.base_prefix,
        *("/lib", "/lib64", "/usr", "/etc", "/proc", "/sys", "/dev", "/bin", "/var/lib"),
        os.environ.get("MPLCONFIGDIR") or Path.home() / ".cache" / "matplotlib",
    )
}


@pytest.fixture(scope="module")
def jobs(finished):
    """Scripts and the files that their jobs opened, in the tiny run, whose real paths are given."""
    trace = finished.folder.parent / "opened"
    if not trace.exists():
        pytest.skip("needs strace, allowed to look on")
    here = finished.folder
    return [(name, {os.path.realpath(here / path) for path in files}) for name, files in opened_files.by_job(trace)]


@pytest.fixture(scope="module")
def records(finished):
    """What each job recorded, by the real path of its first output's record."""
    return [json.loads(path.read_text()) for path in (finished.results / "records").rglob("*.json")]


def declared(finished, record):
    """Real paths of all that a job may open under the results: inputs, outputs, and records of both."""
    inputs = [path for paths in record["paths"].values() for path in ([paths] if isinstance(paths, str) else paths)]
    found = set()
    for path in (*inputs, *record["outputs_at"].values()):
        found.add(os.path.realpath(finished.folder / path))
        own = os.path.relpath(path, record["results"])
        found.add(os.path.realpath(finished.results / "records" / f"{own}.json"))
    return found


def test_all_rules_were_seen(jobs, records):
    assert {name for name, _ in jobs} == {record["script"] for record in records}
    assert all(len(files) > 20 for _, files in jobs)


def test_jobs_open_only_what_their_rules_declare(finished, jobs, records):
    scripts, results = os.path.realpath(finished.folder / "scripts"), os.path.realpath(finished.results)
    own = (os.path.realpath(finished.folder / ".cache"), os.path.realpath(finished.folder / ".snakemake" / "scripts"))
    for name, files in jobs:
        left = {path for path in files if not path.startswith((*ENVIRONMENT, *own)) and os.path.isfile(path)}
        read = {path for path in left if path.startswith(f"{results}/")}
        read -= {path for path in read if path.startswith((f"{results}/logs/", f"{results}/benchmarks/"))}
        of_this = [record for record in records if record["script"] == name and read <= declared(finished, record)]
        assert of_this, f"{name} opens what no job of its rule declares: {sorted(read)}"
        code = {path for path in left if path.startswith(f"{scripts}/") and path.endswith(".py")}
        code |= {re.sub(r"__pycache__/(\w+)\..*", r"\1.py", path) for path in left if path.endswith(".pyc")}
        reach = {
            str(path)
            for record in of_this
            for path in code_digest.local_sources(f"{scripts}/{name}.py", scripts, *record["modules"])
        }
        assert code <= reach, f"{name} runs code that is in no digest: {sorted(code - reach)}"
        others = left - read - {path for path in left if path.endswith((".py", ".pyc"))}
        others -= {path for path in others if path.startswith((f"{results}/logs/", f"{results}/benchmarks/"))}
        inputs = {os.path.realpath(finished.folder / path) for record in of_this for path in _all(record["paths"])}
        assert others <= inputs, f"{name} opens {sorted(others - inputs)}"


def _all(paths):
    return [path for of_one in paths.values() for path in ([of_one] if isinstance(of_one, str) else of_one)]


@pytest.mark.parametrize(
    "path", ["results/tiny/models/tiny-a/model.safetensors", "scripts/headatlas/models/training.py", "config.yaml"]
)
def test_an_undeclared_file_would_be_seen(finished, jobs, records, path):
    files = next(files for name, files in jobs if name == "build_tokenizer")
    with pytest.raises(AssertionError, match=r"build_tokenizer (opens|runs code)"):
        test_jobs_open_only_what_their_rules_declare(
            finished, [("build_tokenizer", files | {os.path.realpath(finished.folder / path)})], records
        )
