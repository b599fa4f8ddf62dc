"""A configuration file that cannot be read is one line with file, line and what is wrong, and no job runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headatlas.base.errors import InputError
from headatlas.workflow import schema

ROOT = Path(__file__).parents[3]
WRONG = {  # content, and the line
    "tab": (b"results: a\nmodels:\n\ttoy: {}\n", "line 3: a tab, where YAML takes spaces alone; allowed: YAML"),
    "tab behind spaces": (b"models:\n  \ttoy: {}\n", "line 2: a tab, where YAML takes spaces alone"),
    "bracket": (
        b"results: a\ntargets: [a, b\nthreads: 2\n",
        "line 3: .* (while parsing a flow sequence from line 2",
    ),
    "brace": (b"models: {toy: {seeds: [1]}\n", "line 2: .* (while parsing a flow mapping from line 1 on)"),
    "quote": (
        b"results: 'a\n",
        "line 2: found unexpected end of stream (while scanning a quoted",
    ),
    "colon": (b"results: a: b\n", "line 1: mapping values are not allowed in this context"),
    "key twice": (
        b"results: a\nthreads: 1\nresults: b\n",
        "line 3: results: given in line 1 too; allowed: each",
    ),
    "key twice within": (b"models:\n  toy: {}\n  toy: {}\n", "line 3: models.toy: given in line 2 too"),
    "key that is a list": (b"models:\n  [a, b]: c\n", "line 2: models: a key that is no text"),
    "list": (b"- a\n- b\n", ": a list at its top; allowed: keys with values, as in config.yaml"),
    "word": (b"results\n", ": a single value at its top"),
    "empty": (b"", ": nothing in it; allowed: keys with values"),
    "comment": (b"# a comment\n", ": nothing in it"),
    "Latin-1": ("results: café\n".encode("latin-1"), ": not text in UTF-8 (byte 12); allowed: YAML"),
    "table": (b"PAR1\x15\x00\x15\x80\xff", ": not text in UTF-8 (byte 7)"),
}


@pytest.mark.parametrize(("content", "line"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_one_line(content, line, tmp_path):
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(InputError) as caught:
        schema.check_file(tmp_path / "mine.yaml")
    said = str(caught.value)
    assert said.startswith(str(tmp_path / "mine.yaml"))
    assert "\n" not in said
    for part in line.split(".*"):
        assert part.strip() in said


@pytest.mark.parametrize(
    "content", ["results: a\n", '{"results":\t"a",\n\t"threads": 1}', "a: &x {b: 1}\nc: {<<: *x}\n"]
)
def test_what_is_right_is_taken(content, tmp_path):
    (tmp_path / "mine.yaml").write_text(content)
    schema.check_file(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    "words",
    [
        "--configfile good.yaml phrenology",
        "-n --configfile good.yaml results/scores/toy.parquet",
        "--configfiles good.yaml good.yaml bad.yaml -n",
        "-n --configfile=bad.yaml",
        "--configfile gone.yaml",
        "--configfile folder",
    ],
)
def test_every_file_of_a_command_line_is_looked_at(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text("results: a\n")
    Path("bad.yaml").write_text("results: [a\n")
    Path("folder").mkdir()
    with pytest.raises(SystemExit) as ended:
        schema.check_given(["snakemake", *words.split()])
    wrong = next(word for word in words.replace("=", " ").split() if not word.startswith("-") and word != "good.yaml")
    assert ended.value.code.startswith(wrong)
    meant = f"a target stands before --configfile, which takes all that follows it for files: snakemake {wrong} "
    assert (meant in ended.value.code) == (not wrong.endswith(".yaml"))


@pytest.mark.parametrize("words", ["", "phrenology -n", "phrenology --configfile good.yaml -n", "gone --cores 1"])
def test_what_is_no_configuration_file_is_not_looked_at(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text("results: a\n")
    schema.check_given(["snakemake", *words.split()])


def snakemake(folder, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "HEADATLAS"))}
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, "-m", "snakemake", *arguments]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert ran.returncode == 1
    said = [line for line in (ran.stdout + ran.stderr).splitlines() if not line.startswith("Using workflow specific")]
    assert len(said) == 1, said
    return said[0]


@pytest.mark.parametrize("profile", ["default", "slurm"])
def test_snakemake_says_that_line_and_nothing_else(profile, tmp_path):
    (tmp_path / "mine.yaml").write_text("results: a\n\tthreads: 1\n")
    arguments = ["-n", "--workflow-profile", f"profiles/{profile}", "--configfile", str(tmp_path / "mine.yaml")]
    assert snakemake(ROOT, *arguments).startswith(f"{tmp_path}/mine.yaml, line 2: a tab, where YAML takes spaces")
    assert snakemake(ROOT, "--configfile", "config/brown-small.yaml", "phrenology").startswith(
        "phrenology: No such file"
    )


def test_so_it_does_from_another_folder(tmp_path):
    (tmp_path / "mine.yaml").write_text("- a\n")
    assert "a list at its top" in snakemake(tmp_path, "-n", "-s", str(ROOT / "Snakefile"), "--configfile", "mine.yaml")
