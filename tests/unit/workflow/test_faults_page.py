"""docs/faults.md: each fault is shown by tests, and those are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "faults.md").read_text()
FILES = {path.name: path for path in (ROOT / "tests").rglob("test_*.py")}
NAMED = re.compile(r"`(test_\w+\.py)`|`(test_\w+)(\.\.\.)?`")


def shown_by():
    """Of each row its fault and the tests in its last column, as (name, whether it is a beginning)."""
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and cells[0] != "fault":
            yield cells[0], NAMED.findall(cells[-1])


def test_every_fault_is_shown_by_a_test_that_is_there():
    rows = dict(shown_by())
    assert len(rows) > 40
    defined = re.findall(r"^def (test_\w+)", "\n".join(path.read_text() for path in FILES.values()), re.MULTILINE)
    for fault, tests in rows.items():
        assert tests or "tests/" in PAGE.split(fault)[1].splitlines()[0], f"{fault}: no test is named"
        for file, test, beginning in tests:
            if file:
                assert file in FILES, f"{fault}: {file} is not there"
            elif beginning:
                assert any(name.startswith(test) for name in defined), f"{fault}: {test}... is not there"
            else:
                assert test in defined, f"{fault}: {test} is not there"


OF_FILE = re.compile(r"`(test_\w+\.py)`: ((?:`test_\w+(?:\.\.\.)?`(?:, | and )?)+)")


def test_tests_named_with_a_file_are_in_that_file():
    found = OF_FILE.findall(PAGE)
    assert len(found) > 5
    for file, tests in found:
        text = FILES[file].read_text()
        for test, beginning in re.findall(r"`(test_\w+)(\.\.\.)?`", tests):
            end = "" if beginning else r"\b"
            assert re.search(f"^def {test}{end}", text, re.MULTILINE), f"{file}: {test}"
