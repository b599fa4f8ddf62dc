"""What is said of tables: every entry is found by its files' names, and the page is made of what is said now."""

import pytest

from headatlas.atlas import described_tables
from headatlas.scores.catalogue import SCORES


def test_the_page_of_all_tables_is_current():
    assert described_tables.PAGE.read_text(encoding="utf-8") == described_tables.page(), (
        "PYTHONPATH=scripts python -m headatlas.atlas.described_tables"
    )


def test_the_page_has_every_score_with_its_formula():
    page = described_tables.page()
    for name, score in SCORES.items():
        (line,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` | {score.words} |")]
        assert score.formula.replace("|", r"\|") in line


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("scores/toy.parquet", "scores/{model}.parquet"),
        ("attention/toy/patterns.parquet", "attention/{model}/patterns.parquet"),
        ("phrenology/edges_published.parquet", "phrenology/edges_{protocol}.parquet"),
        ("attention/patterns.parquet", None),
    ],
)
def test_a_table_is_described_by_its_name(name, pattern):
    assert described_tables.entry(name)[0] == pattern


def test_a_column_means_what_its_table_says_before_what_all_say():
    shared = described_tables.load()["columns"]["value"]
    assert described_tables.meaning("scores/toy.parquet", "value") == shared
    assert described_tables.meaning("circuits/names.parquet", "value") == "of that score"
    assert described_tables.meaning("phrenology/head_cards.parquet", "entropy") == "the score broad attention"
    assert described_tables.meaning("scores/toy.parquet", "no such column") is None
