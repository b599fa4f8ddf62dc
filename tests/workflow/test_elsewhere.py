"""The workflow run from another folder, and as a module of somebody else's: defaults are ours, results are theirs."""

import os
import re
import subprocess
import sys

import pytest
import yaml

from checkout import copy_of_tree

PLANNED = ("-n", "--quiet", "rules")
TABLE = "corpora/mini/documents.parquet"
MINE = {
    "corpora": {
        "mini": {
            "source": "repeated-tokens",
            "vocabulary": 24,
            "documents": 300,
            "length": 13,
            "shortest_period": 3,
            "longest_period": 6,
        }
    }
}
MODULE = """
configfile: "theirs.yaml"
given = repr(config)

module headatlas:
    snakefile: {snakefile!r}
    config: config["headatlas"]

use rule * from headatlas as headatlas_*

assert repr(config) == given, "what follows from other keys was written into their configuration"

rule their_own:
    default_target: True
    input: "theirs/{table}",
    output: "rows.txt",
    run:
        import pandas
        open(output[0], "w").write(str(len(pandas.read_parquet(input[0]))))
"""


def files_in(folder):
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout that nobody may write to, at a path that a shell would stumble over."""
    folder = tmp_path_factory.mktemp("elsewhere") / "their 'quoted' \"atlas\""
    copy_of_tree(folder)
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    before = files_in(folder)
    yield folder
    for path in folders:
        path.chmod(0o755)
    assert files_in(folder) == before, "something was written into the checkout"


def snakemake(folder, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "HEADATLAS"))}
    command = [sys.executable, "-m", "snakemake", *arguments]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def counted(said):
    """How many jobs of each rule a dry run tells of."""
    return dict(re.findall(r"^(\w+) +(\d+)$", said.split("\njob ")[1].split("\n\n")[0], re.MULTILINE))


@pytest.fixture(scope="module")
def at_home(tmp_path_factory):
    """The embedded default's jobs, in a checkout of its own."""
    folder = tmp_path_factory.mktemp("home") / "checkout"
    copy_of_tree(folder)
    return counted(snakemake(folder, *PLANNED))


@pytest.mark.parametrize("how", ["-s", "--directory", "--configfile"])
def test_from_another_folder_there_are_the_same_jobs(how, checkout, at_home, tmp_path):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"store": "kept", **MINE}))
    arguments = {
        "-s": ["-s", str(checkout / "Snakefile")],
        "--directory": ["-s", str(checkout / "Snakefile"), "--directory", str(tmp_path / "there")],
        "--configfile": ["-s", str(checkout / "Snakefile"), "--configfile", "mine.yaml"],
    }
    assert len(at_home) > 70
    assert counted(snakemake(tmp_path, *PLANNED, *arguments[how])) == at_home
    assert set(os.listdir(tmp_path)) <= {"mine.yaml", "there", ".snakemake"}


def test_results_and_store_lie_where_snakemake_is_run(checkout, tmp_path):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(MINE))
    call = ["-s", str(checkout / "Snakefile"), "--configfile", "mine.yaml", "--cores", "1", f"results/{TABLE}"]
    snakemake(tmp_path, *call)
    assert (tmp_path / "results" / TABLE).is_file()
    assert (tmp_path / ".cache").is_dir()


@pytest.fixture
def theirs(checkout, tmp_path):
    """Somebody's own workflow, which has ours in it."""
    (tmp_path / "Snakefile").write_text(MODULE.format(snakefile=str(checkout / "Snakefile"), table=TABLE))
    (tmp_path / "theirs.yaml").write_text(
        yaml.safe_dump({"their": "setting", "headatlas": {"results": "theirs", **MINE}})
    )
    return tmp_path


def test_a_module_has_all_jobs_under_names_of_its_own(theirs, at_home):
    named = {name if name == "total" else f"headatlas_{name}": count for name, count in at_home.items()}
    assert counted(snakemake(theirs, "headatlas_all", *PLANNED)) == named


def test_a_workflow_computes_with_what_a_module_makes(theirs):
    snakemake(theirs, "--cores", "1")
    assert (theirs / "rows.txt").read_text() == str(MINE["corpora"]["mini"]["documents"])
    assert (theirs / ".cache").is_dir()
    assert (theirs / "theirs" / "logs" / "fetch_corpus" / "mini.log").is_file()
    snakemake(theirs, "--cores", "1", "--report", "report.html")  # theirs, which has no front page of its own
    assert (theirs / "report.html").is_file()


def test_a_module_takes_from_the_store_what_a_plain_run_made(theirs, checkout):
    plain = theirs / "plain"
    plain.mkdir()
    (plain / "mine.yaml").write_text(yaml.safe_dump({"store": str(theirs / ".cache"), **MINE}))
    call = ["-s", str(checkout / "Snakefile"), "--configfile", "mine.yaml", "--cores", "1", f"results/{TABLE}"]
    snakemake(plain, *call)
    snakemake(theirs, "--cores", "1")
    assert "restored " in (theirs / "theirs" / "logs" / "fetch_corpus" / "mini.log").read_text()


def test_what_a_workflow_says_of_a_rule_stands_above_what_every_rule_has(theirs):
    """Also what a profile or a command says of it; what neither says is as it was."""
    with open(theirs / "Snakefile", "a") as file:
        file.write(
            "\nuse rule fetch_corpus from headatlas as headatlas_fetch_corpus with:"
            '\n    log: "mine/{corpus}.log"\n    resources: mem_mb=123\n'
        )
    planned = snakemake(theirs, "-n", "-p", "--set-resources", "headatlas_fetch_corpus:runtime=77")
    assert "log: mine/mini.log" in planned
    asked = re.search(r"resources: (.*)", planned)[1]
    assert "mem_mb=123," in asked
    assert "runtime=77" in asked
    planned = snakemake(theirs, "-n", "-p", "--set-resources", "headatlas_fetch_corpus:mem_mb=321")
    asked = re.search(r"resources: (.*)", planned)[1]
    assert "mem_mb=321," in asked
    assert "runtime=60" in asked
