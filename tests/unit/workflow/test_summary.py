"""The summary says plainly where a loss lies between its baselines."""

import numpy as np
import pandas as pd
import pytest

from headatlas.workflow import summary


def history(loss):
    rows = [(0, 0, 9.0), (1, 0, 9.0), (0, 50, loss - 0.1), (1, 50, loss + 0.1)]
    table = pd.DataFrame(rows, columns=["member", "step", "loss"])
    return table.assign(epoch=table["step"] / 50, split="validation", accuracy=0.25)


BASELINES = pd.DataFrame({"member": [0, 1], "unigram": [6.0, 6.2], "bigram": [4.0, 4.2]})


@pytest.mark.parametrize(
    ("loss", "verdict"),
    [(3.9, "below both baselines"), (5.0, "below the unigram baseline only"), (6.3, "ABOVE THE UNIGRAM BASELINE")],
)
def test_loss_beside_baselines(loss, verdict):
    row = summary.losses("toy", history(loss), BASELINES)
    assert row["held-out loss"] == f"{loss:.3f} ± 0.100"
    assert (row["unigram baseline"], row["bigram baseline"]) == ("6.100", "4.100")
    assert (row["members"], row["steps"], row["accuracy"]) == ("2", "50", "25.0%")
    assert row[""].startswith(verdict)


def test_a_bigram_baseline_worse_than_the_unigram_one_is_no_praise():
    row = summary.losses("toy", history(6.5), BASELINES.assign(bigram=7.0))
    assert row[""].startswith("ABOVE")


def test_strongest_heads_and_missing_scores():
    rows = [(0, 0, 0, "induction", 0.1), (1, 0, 3, "induction", 0.9), (0, 0, 1, "copying", np.nan)]
    scores = pd.DataFrame(rows, columns=["member", "layer", "head", "score", "value"])
    found = summary.strongest_heads("toy", scores.assign(standard_error=0.01, chance=np.nan))
    assert [(row["strongest head"], row["value"], row["chance"]) for row in found] == [
        ("member 1 layer 0 head 3", "0.900 ± 0.010", "")
    ]


@pytest.mark.parametrize(("error", "named"), [(0.005, "member 0 layer 0 head 1"), (0.02, "none above chance")])
def test_no_head_is_named_that_is_not_beyond_chance(error, named):
    rows = [(0, 0, 0, "induction", 0.05), (0, 0, 1, "induction", 0.14), (0, 0, 2, "previous_token", 0.01)]
    scores = pd.DataFrame(rows, columns=["member", "layer", "head", "score", "value"])
    found = summary.strongest_heads("toy", scores.assign(standard_error=error, chance=0.08))
    assert {row["score"]: row["strongest head"] for row in found} == {
        "induction": named,
        "previous token": "none above chance",
    }


def test_text_lines_up_and_names_figures():
    table = [summary.losses("toy", history(3.9), BASELINES), summary.losses("a-longer-name", history(5.0), BASELINES)]
    found = {"phrenology": ["Seven clusters stand."]}
    text = summary.text(table, [], found, {"phrenology": ["results/figures/fig07.png"]})
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(row) for row in rows}) == 1
    assert "- results/figures/fig07.png" in text
    assert "## Found: phrenology\n\nSeven clusters stand.\n" in text


def test_built_files_are_told_apart(tmp_path):
    words = tmp_path / "results" / "phrenology" / "clusters.md"
    words.parent.mkdir(parents=True)
    words.write_text("Seven clusters stand.\n")
    drawn = "figures/of/figures/training/toy.png"
    built = [words, "results/figures/phrenology/published/fig07.png", "results/figures/phrenology/fig07.pdf", drawn]
    assert summary.findings(built) == {"phrenology": ["Seven clusters stand."]}
    assert summary.pictures(built) == {"phrenology": [built[1]], "training": [drawn]}


def test_the_page_holds_tables_and_no_markup_of_others():
    page = summary.page("# A\n\n| b | c |\n| - | - |\n| 1 | <script>2</script> |\n")
    assert "<h1>A</h1>" in page
    assert "<td>1</td>" in page
    assert "<script>" not in page
