"""docs/extending.md, followed to the letter in a copy of the checkout: a score, a figure and a study appear."""

import re

import pytest
import yaml

from checkout import ROOT, Checkout, copy_of_tree
from headatlas.base import tables

STEP = re.compile(
    r"^\*\*(?:New file\*\* `(?P<new>[^`\n]+)`"
    r"|In\*\* `(?P<file>[^`\n]+)`, \*\*(?:(?P<where>before|after)\*\* `(?P<line>[^\n]+)`|at the end\*\*))\n\n"
    r"```\w+\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def follow(folder):
    """Do what the page says, step by step."""
    page = (ROOT / "docs" / "extending.md").read_text()
    steps = list(STEP.finditer(page))
    assert 2 * len(steps) == page.count("\n```") > 30, "a block that nobody follows"
    for step in steps:
        path = folder / (step["new"] or step["file"])
        if step["new"]:
            assert not path.exists(), f"{path} is there already"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step["text"])
            continue
        found = path.read_text()
        if step["where"] is None:
            path.write_text(f"{found}\n\n{step['text']}")
            continue
        assert found.count(f"\n{step['line']}\n") == 1 or found.count(f"\n{step['line']}") == 1, (path, step["line"])
        place = found.index(f"\n{step['line']}") + 1
        if step["where"] == "after":
            place = found.index("\n", place) + 1
        between = "\n\n" if step["where"] == "before" and not step["line"].startswith(" ") else ""
        path.write_text(found[:place] + step["text"] + between + found[place:])


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extended") / "checkout"
    copy_of_tree(folder)
    follow(folder)
    path = folder / "tests" / "workflow" / "tiny.yaml"
    config = yaml.safe_load(path.read_text())
    config["studies"] = {"positions": {"models": ["tiny-a"]}, "phrenology": config["studies"]["phrenology"]}
    path.write_text(yaml.safe_dump(config | {"targets": ["positions"]}))
    checkout = Checkout(folder)
    figure = "results/tiny/figures/phrenology/corrected/entropies.png"
    checkout.snakemake("results/tiny/summary.md", "positions", figure)
    return checkout


def test_a_score_is_measured_and_summarised(extended):
    scores = tables.read(extended.results / "scores" / "tiny-a.parquet", score="second_token_back")
    assert len(scores) == 3 * 3
    assert scores["value"].between(0, 1).all()
    assert "second token back" in (extended.results / "summary.md").read_text()


def test_a_figure_is_drawn(extended):
    folder = extended.results / "figures" / "phrenology" / "corrected"
    assert (folder / "entropies.png").stat().st_size > 5000
    assert (folder / "entropies.pdf").read_bytes().startswith(b"%PDF")


def test_a_study_is_in_results_summary_and_report(extended):
    offsets = tables.read(extended.results / "positions" / "offsets.parquet")
    assert offsets.groupby(["member", "layer", "head"])["attention"].sum().gt(0).all()
    described = yaml.safe_load((extended.folder / "scripts" / "headatlas" / "atlas" / "tables.yaml").read_text())
    assert set(offsets) - set(described["columns"]) == set(described["tables"]["positions/offsets.parquet"]["columns"])
    finding = (extended.results / "positions" / "findings.md").read_text().strip()
    assert finding in (extended.results / "summary.md").read_text()
    extended.snakemake("positions", "--report", "results/tiny/report.html")
    page = (extended.results / "report.html").read_text()
    assert "offsets.png" in page
    assert "how attention falls with distance" in page
