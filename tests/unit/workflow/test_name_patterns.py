"""A pattern matches its names and no other, and is short where they come from a grid."""

import itertools
import re

from headatlas.workflow.name_patterns import matching

NAMES = ["toy", "toy-corrected", "toy-corrected-2", "a-b", "a-c-b", "a-c", "b-c", "circuits-l20", "circuits-l2"]


def test_a_pattern_matches_its_names_and_no_other():
    parts = sorted({part for name in NAMES for part in name.split("-")})
    possible = ["-".join(chosen) for length in (1, 2, 3) for chosen in itertools.product(parts, repeat=length)]
    pattern = re.compile(matching(NAMES))
    assert {name for name in possible if pattern.fullmatch(name)} == set(NAMES)
    assert not pattern.fullmatch("")
    assert not re.compile(matching([])).match("toy")


def test_one_name_is_no_list_of_alternatives():
    """Whoever divides a constraint at `|` gets no name of it."""
    assert matching(["toy"]) not in ("toy", "(?!)")
    assert re.fullmatch(matching(["toy"]), "toy")


def test_a_grid_is_written_by_its_axes():
    def grid(size):
        axes = [[f"{axis}{value}" for value in range(size)] for axis in "lrhd"]
        return ["-".join(["circuits", *point]) for point in itertools.product(*axes)]

    sizes = [len(matching(grid(size))) for size in (4, 8)]  # 256 and 4,096 names
    assert sizes[1] < 3 * sizes[0]
