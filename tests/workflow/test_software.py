"""Recipes for images and the catalogue's entry say what the lock, the rules and the Makefile say."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "envs" / "requirements.lock").read_text().splitlines()
RECIPES = ["Dockerfile", "apptainer.def"]


@pytest.fixture(params=RECIPES)
def recipe(request):
    """The text of one recipe, without comments, its continued lines joined."""
    text = (ROOT / "envs" / request.param).read_text()
    return re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))


def pinned_by(environment):
    """The Python that a conda environment asks for, such as 3.11."""
    (python,) = (line for line in environment["dependencies"] if str(line).startswith("python="))
    return python.partition("=")[2]


def test_images_have_the_python_that_the_lock_was_made_for(recipe):
    (version,) = re.findall(r"^(?:FROM|From:) python:(\d+\.\d+)-slim$", recipe, re.MULTILINE)
    environments = [yaml.safe_load(path.read_text()) for path in (ROOT / "envs").glob("*.yaml")]
    assert {version} == {pinned_by(environment) for environment in environments}
    (least,) = re.findall(r"sys\.version_info < \((\d+), (\d+)\)", (ROOT / "Makefile").read_text())
    assert tuple(map(int, version.split("."))) >= tuple(map(int, least))


def test_images_install_the_lock_and_nothing_else(recipe):
    assert re.search(r"^(?:COPY |\s*envs/)requirements\.lock ", recipe, re.MULTILINE)
    commands = [re.split(r"&&|\n", rest)[0] for rest in recipe.split("pip install ")[1:]]
    assert len(commands) == recipe.count("install ") == 2, "something else is installed"
    torch, rest = map(shlex.split, commands)
    lock = rest[-1]
    assert Path(lock).name == "requirements.lock"
    assert rest == ["--no-cache-dir", "--requirement", lock]
    assert torch[:3] == ["--no-cache-dir", "--no-deps", "--index-url"], "only torch itself comes from its own index"
    assert "TORCH_INDEX" in torch[3]
    assert torch[-3:] == ["$(grep", "^torch==", f"{lock})"]
    assert len(torch) == 7


def test_the_lock_pins_every_package():
    packages = [line for line in LOCK if line and not line.startswith("#")]
    assert len(packages) > 100
    assert [line for line in packages if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    assert sum(line.startswith("torch==") for line in packages) == 1
    said = (ROOT / "docs" / "software.md").read_text()
    assert next(line for line in packages if line.startswith("torch==")) in said


def test_the_catalogue_is_told_what_there_is():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    assert set(usage["software-stack-deployment"]) == {"conda", "apptainer", "apptainer+conda"}
    rules = [path.read_text() for path in sorted((ROOT / "rules").glob("*.smk"))]
    completes = (ROOT / "scripts/headatlas/workflow/resources/by_rule.py").read_text()
    text = (ROOT / "Snakefile").read_text() + "".join(rules)
    assert usage["software-stack-deployment"]["conda"] == ("envs/environment.yaml" in completes)
    assert usage["software-stack-deployment"]["apptainer"] == bool(re.search(r"^\s*container:", text, re.MULTILINE))
    assert usage["report"] == bool(re.search(r"\breport\(", text))
    assert (ROOT / "config" / "README.md").is_file(), "where the catalogue takes its words on configuration from"


def test_links_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "config" / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"
