"""Planning a run: a large sweep costs a dry run what its runs cost, and what cannot be planned is said in one line."""

import os
import pstats
import re
import resource
import subprocess
import sys

import pytest
import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

from checkout import ROOT

SECONDS = 20  # of CPU that `snakemake -n` may take for a sweep of 2,000 runs
FILE_CALLS = 4  # that it may make for a file
CALLS = re.compile("stat|open|listdir|scandir|readlink|access")  # by which a process asks for files


@pytest.fixture
def sweep(tmp_path):
    """A configuration of a sweep of a multiple of 20 runs, in a file."""

    def write(runs):
        axes = {
            "variant": ["one-layer", "two-layer"],
            "corpus": ["python-docs"],
            "tokenizer": ["python-docs-1k"],
            "max_length": [16, 20],
            "learning_rate": [round(0.0001 * (number + 1), 4) for number in range(runs // 20)],
            "heads": [4],
            "d_model": [16, 32, 48, 64, 80],
        }
        figures = dict.fromkeys(["fig01", "fig03", "fig06", "fig08", "fig09", "losses", "circuits"])
        circuits = {"sweep": axes, "figures": {**figures, "fig04": {"variant": "two-layer"}}}
        places = {"results": str(tmp_path / "results"), "store": str(tmp_path / "store")}
        path = tmp_path / f"sweep-{runs}.yaml"
        path.write_text(yaml.safe_dump({**places, "targets": ["circuits"], "studies": {"circuits": circuits}}))
        return path

    return write


def plan(*arguments, through=()):
    """`snakemake -n` of the checkout; what it said and its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "HEADATLAS"))}
    ran = subprocess.run(
        [sys.executable, *through, "-m", "snakemake", "-n", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ran.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def counted(path, profile):
    """Calls of functions, and those that ask for files, of a dry run."""
    said, _ = plan("--quiet", "all", "--configfile", path, through=("-m", "cProfile", "-o", profile))
    assert "This was a dry-run" in said, said[-2000:]
    profiled = pstats.Stats(str(profile))
    asking = [
        calls
        for (file, _, name), (_, calls, *_) in profiled.stats.items()
        if file == "~" and CALLS.search(name) and "posix" in name
    ]
    return profiled.total_calls, sum(asking)


def test_a_sweep_costs_a_dry_run_what_its_runs_cost(sweep, tmp_path):
    """By counts, which no other process disturbs; a run of a sweep has 5 files."""
    sizes = [60, 120, 300]
    calls, asked = zip(*(counted(sweep(runs), tmp_path / "profile") for runs in sizes), strict=True)
    first, then = ((calls[i + 1] - calls[i]) / (sizes[i + 1] - sizes[i]) for i in (0, 1))
    assert then < 1.03 * first, f"{first:.0f} calls a run, {then:.0f} where there are more"
    each = (asked[2] - asked[0]) / (sizes[2] - sizes[0]) / 5
    assert 0 < each <= FILE_CALLS, f"{each:.1f} calls a file"


def test_patterns_of_names_stay_short(sweep, monkeypatch):
    """Snakemake goes through them for each file of each job, within calls that no count shows."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("HEADATLAS_MIRROR", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    lengths = []
    for runs in (200, 2000):
        with SnakemakeApi(OutputSettings()) as api:
            given = ConfigSettings(configfiles=[sweep(runs)])
            settings = {"resource_settings": ResourceSettings(cores=1), "config_settings": given}
            workflow = api.workflow(**settings, snakefile=ROOT / "Snakefile")._workflow
        lengths.append(sum(len(str(output)) for rule in workflow.rules for output in rule.output))
    assert lengths[1] < 4 * lengths[0]


def test_a_sweep_of_2000_runs_is_planned_in_seconds(sweep):
    said, seconds = plan("--quiet", "all", "--configfile", sweep(2000))
    assert re.search(r"^train_model +200[01]$", said, re.MULTILINE)
    assert seconds < SECONDS


def test_transplants_are_planned_where_there_is_another_network(tmp_path):
    for seeds, planned in (([1], False), ([1, 2], True)):
        path = tmp_path / "seeds.yaml"
        path.write_text(yaml.safe_dump({"results": str(tmp_path / "results"), "models": {"toy": {"seeds": seeds}}}))
        said, _ = plan("phrenology", "--quiet", "all", "--configfile", path)
        jobs = set(re.findall(r"^(\w+) +\d+$", said, re.MULTILINE))
        assert {"measure_knockouts", "weigh_evidence"} <= jobs, said
        assert ("transplant_heads" in jobs) is planned


@pytest.mark.parametrize(
    ("target", "meant"), [("phrenologie", "phrenology"), ("results/scores/toi.parquet", "results/scores/toy.parquet")]
)
def test_a_mistyped_target_is_one_line(target, meant):
    said, _ = plan("--quiet", "all", "--", target)
    lines = [line for line in said.splitlines() if target in line and "Command:" not in line]
    assert len(lines) == 1, said
    assert f"{target}: no such target; did you mean {meant!r}?" in lines[0]
    assert "Traceback" not in said
    assert "Exception" not in said


def test_a_plan_is_short_and_says_why_and_how_to_see_all(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"results": str(tmp_path / "results"), "store": str(tmp_path / "store")}))
    said, _ = plan("--configfile", path)
    every, _ = plan("-p", "--configfile", path)
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", every.split("Job stats:")[1], re.MULTILINE))
    total = int(jobs.pop("total"))
    assert f"{total} jobs, in the order in which they can run:" in said
    assert dict(re.findall(r"\b(\w+) +(\d+)(?=   |$)", said.split("Why:")[0], re.MULTILINE)).items() >= jobs.items()
    assert re.search(r"^  fetch_corpus [\w-]+ and \d more: not made yet$", said, re.MULTILINE), said
    assert "the same with -p" in said
    assert len(said.splitlines()) < 60 < 500 < len(every.splitlines())


def test_that_list_changes_names_what_is_up_to_date_is_snakemakes_own_fault(tmp_path):
    """So docs/reruns.md says; mended by a later version, the sentence can go."""
    (tmp_path / "Snakefile").write_text('rule:\n    output: "a"\n    params: 1\n    shell: "touch a"\n')

    def snakemake(*arguments):
        command = [sys.executable, "-m", "snakemake", "a", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    snakemake("--cores", "1")
    assert snakemake("--summary").splitlines()[1].endswith("ok\tno update")
    assert snakemake("--list-changes", "params").split() == ["a"]
