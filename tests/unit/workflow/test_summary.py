"""The summary says plainly where a loss lies between its baselines."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from headatlas.base import statements
from headatlas.workflow import summary

SCRIPTS = Path(__file__).parents[3] / "scripts"


def history(loss):
    rows = [(0, 0, 9.0), (1, 0, 9.0), (0, 50, loss - 0.1), (1, 50, loss + 0.1)]
    table = pd.DataFrame(rows, columns=["member", "step", "loss"])
    return table.assign(epoch=table["step"] / 50, split="validation", accuracy=0.25)


BASELINES = pd.DataFrame({"member": [0, 1], "unigram": [6.0, 6.2], "bigram": [4.0, 4.2]})


@pytest.mark.parametrize(
    ("loss", "verdict"),
    [
        (3.9, "below both baselines"),
        (5.0, "ABOVE THE BIGRAM BASELINE: too little training to interpret"),
        (6.3, "ABOVE THE UNIGRAM BASELINE: too little training to interpret"),
    ],
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
    rows = [(0, 1, 0, "induction", 0.1), (1, 1, 3, "induction", 0.9), (0, 0, 1, "copying", np.nan)]
    scores = pd.DataFrame(rows, columns=["member", "layer", "head", "score", "value"])
    found = summary.strongest_heads("toy", scores.assign(standard_error=0.01, chance=np.nan))
    assert [(row["strongest head"], row["value"], row["chance"]) for row in found] == [
        ("member 1 layer 1 head 3", "0.900 ± 0.010", "")
    ]


@pytest.mark.parametrize(("error", "named"), [(0.005, "member 0 layer 1 head 1"), (0.02, "none above chance")])
def test_no_head_is_named_that_is_not_beyond_chance(error, named):
    rows = [(0, 1, 0, "induction", 0.05), (0, 1, 1, "induction", 0.14), (0, 0, 2, "previous_token", 0.01)]
    scores = pd.DataFrame(rows, columns=["member", "layer", "head", "score", "value"])
    found = summary.strongest_heads("toy", scores.assign(standard_error=error, chance=0.08))
    assert {row["score"]: row["strongest head"] for row in found} == {
        "induction": named,
        "previous token": "none above chance",
    }


def test_no_head_of_the_first_layer_is_said_to_do_induction():
    rows = [(0, 0, 0, "induction", 0.9), (0, 0, 0, "current_token", 0.9)]
    scores = pd.DataFrame(rows, columns=["member", "layer", "head", "score", "value"])
    found = summary.strongest_heads("toy", scores.assign(standard_error=0.001, chance=0.08))
    assert [row["score"] for row in found] == ["current token"]


ASKED = {"phrenology": "which heads do the same thing", "circuits": "what is learnt"}
KINDS = """__Kinds of heads cannot be told from a continuum.__ They are spread.

- Halves agree.
- **Heads come in 8 kinds** (6 stable). Four are tied. A third sentence.
"""
RUNS = "**9 of 12 runs learn more.** Losses:\n\n- best: a\n- worst: b\n- above: c\n"


def test_a_summary_tells_first_what_holds_then_what_does_not_then_the_tables(tmp_path):
    drawn = tmp_path / "results/figures/phrenology/corrected/fig05_clusters.png"
    drawn.parent.mkdir(parents=True)
    Image.new("RGB", (40, 20)).save(drawn)
    table = [summary.losses("toy", history(3.9), BASELINES), summary.losses("a-longer-name", history(5.0), BASELINES)]
    heads = [
        {
            "model": "toy",
            "score": "induction",
            "strongest head": "member 0 layer 1 head 2",
            "value": "1",
            "chance": "0",
        },
        {"model": "toy", "score": "copying", "strongest head": summary.NOBODY, "value": "0", "chance": "0"},
    ]
    found = {"circuits/findings.md": RUNS, "phrenology/kinds.md": KINDS}
    text = summary.text(ASKED, table, heads, found, [drawn, "results/figures/phrenology/published/fig05_clusters.png"])
    rows = [line for line in text.splitlines() if line.startswith("| ") and "learnt" not in line][:4]
    assert len({len(row) for row in rows}) == 1
    first, second = (text.index(start) for start in ("1. (phrenology) **Heads come in 8", "2. (circuits) **9 of 12"))
    assert text.index("## Asked") < first < second < text.index("## Not supported") < text.index("## Models trained")
    assert "(6 stable). Four are tied.\n" in text
    assert "](figures/phrenology/corrected/fig05_clusters.png)" in text
    assert "   - best: a\n   - worst: b\n" in text[second:]
    assert "- (phrenology) Kinds of heads cannot be told from a continuum.\n" in text
    assert "copying in toy" in text
    assert summary.NOBODY not in text
    assert "## In full: phrenology\n\n__Kinds of heads" in text


@pytest.mark.parametrize("start", ["", "- "])
@pytest.mark.parametrize("end", ["", ":", "."])
@pytest.mark.parametrize("holds", [True, False])
def test_whoever_writes_a_statement_marks_whether_it_holds(holds, start, end):
    """Its words tell nothing: that queries do not matter may be what was found."""
    words = "Scaling keys does not matter, no head of d_model 8 cannot tell"
    ((headline, short, found),) = summary.statements(f"{start}{statements.either(holds, words)}{end} More.")
    assert found is holds
    assert (headline, short) == (words, f"**{words}**{end} More.")
    assert "<strong>" in summary.page(statements.either(holds, words), [])


def test_a_models_name_in_bold_is_no_statement():
    assert summary.statements("**toy**\n\n**a longer-name**\n") == []


def test_built_files_are_told_apart(tmp_path):
    words = tmp_path / "results" / "phrenology" / "clusters.md"
    words.parent.mkdir(parents=True)
    words.write_text("Seven clusters.\n")
    drawn = "figures/of/figures/attentionviz/corrected/toy/constructions.png"
    built = [words, "results/figures/attentionviz/published/toy/constructions.png", "a/fig07.pdf", drawn]
    assert summary.findings(built) == {"phrenology/clusters.md": "Seven clusters."}
    assert summary.picture(built, "constructions") == drawn
    assert summary.picture(built, "transplants") is None


def test_the_page_holds_its_pictures(tmp_path):
    (tmp_path / "figures").mkdir()
    Image.new("RGB", (2000, 100)).save(tmp_path / "figures/a.png")
    page = summary.page("![a <b>c](figures/a.png)\n", [tmp_path / "a.md", tmp_path / "figures/a.png"])
    assert 'src="data:image/webp;base64,' in page
    assert "figures/a.png" not in page
    assert "a &lt;b&gt;c" in page


def test_the_page_holds_tables_and_no_markup_of_others():
    page = summary.page("# A\n\n| b | c |\n| - | - |\n| 1 | <script>2</script> |\n", [])
    assert "<h1>A</h1>" in page
    assert "<td>1</td>" in page
    assert "<script>" not in page


def test_a_sweep_alone_has_a_summary(tmp_path):
    """Runs of a sweep have no rows among the models: its own findings are all that there is."""
    found = tmp_path / "circuits" / "findings.md"
    found.parent.mkdir()
    found.write_text("**Two of two runs learn.** It went well.\n")
    script = runpy.run_path(str(SCRIPTS / "write_summary.py"))["main"].__wrapped__
    made = {name: str(tmp_path / name) for name in ("summary.md", "summary.html")}
    out = SimpleNamespace(summary=made["summary.md"], page=made["summary.html"])
    given = SimpleNamespace(training=[], baselines=[], curves=[], scores=[], built=[str(found)])
    run = SimpleNamespace(
        out=out, settings={"trained": [], "models": [], "asked": [["circuits", "what one layer does"]]}
    )
    script(SimpleNamespace(input=given), run)
    assert "Two of two runs learn" in (tmp_path / "summary.md").read_text()
    assert "Two of two runs learn" in (tmp_path / "summary.html").read_text()
