"""Claims of papers beside a run, as a table and as a page."""

from headatlas.reproduction.claims import Claim, columns, differences, text

RAISED = Claim("Figure 2", "F | G rises", "F falls", "", False, "F rises")
UNASKED = Claim("Table 1", "lists settings", "", "", None, "settings are this run's own")


def test_differences_name_what_is_set_otherwise_and_the_papers_value():
    paper = {"corpus": "brown", "heads": 8, "d_model": 256}
    assert differences(paper, {"corpus": "mine", "heads": 8, "d_model": 64, "context": 9}) == (
        "corpus mine (paper: brown), d_model 64 (256)"
    )
    assert differences(paper, dict(paper)) == ""
    assert differences(paper, {}) == ""


def test_a_verdict_is_one_of_three():
    assert [Claim("", "", "", "", agrees, "").verdict for agrees in (True, False, None)] == [
        "agrees",
        "differs",
        "cannot be compared",
    ]


def test_the_table_has_a_row_for_each_claim():
    found = columns({"phrenology": ([RAISED, UNASKED], "heads 4 (paper: 8)"), "circuits": ([UNASKED], "")})
    assert found["study"] == ["phrenology", "phrenology", "circuits"]
    assert found["verdict"] == ["differs", "cannot be compared", "cannot be compared"]
    assert found["differences"] == ["heads 4 (paper: 8)", "heads 4 (paper: 8)", ""]
    assert len({len(column) for column in found.values()}) == 1


def test_the_page_counts_verdicts_and_keeps_its_table_whole():
    page = text({"phrenology": ([RAISED, UNASKED, UNASKED], "heads 4 (paper: 8)"), "circuits": ([RAISED], "")})
    assert "Of 3 claims 1 differs, 2 cannot be compared." in page
    assert "other sizes than the paper: heads 4 (paper: 8)" in page
    assert "This run has the paper's sizes." in page
    rows = [line for line in page.splitlines() if line.startswith(("| Figure", "| Table"))]
    assert len(rows) == 4
    assert all(line.replace("\\|", "").count("|") == 6 for line in rows)
