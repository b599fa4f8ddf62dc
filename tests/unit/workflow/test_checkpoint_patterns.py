"""Lists of checkpoints written by a pattern."""

import pytest

from headatlas.base.errors import InputError
from headatlas.workflow.checkpoint_patterns import expanded


def pairs(*checkpoints):
    return [(one["name"], one["revision"]) for one in expanded(checkpoints, "models.x.checkpoints")]


def test_braces_stand_for_their_choices():
    assert pairs({"name": "a-seed{1..3}", "revision": "main"}) == [(f"a-seed{seed}", "main") for seed in (1, 2, 3)]
    assert pairs({"name": "a{08..10}"}) == [("a08", None), ("a09", None), ("a10", None)]
    assert pairs({"name": "a", "revision": "step{0,1,512}"}) == [("a", "step0"), ("a", "step1"), ("a", "step512")]
    steps = pairs({"name": "a", "revision": "step{1000..143000..1000}"})
    assert (len(steps), steps[0], steps[-1]) == (143, ("a", "step1000"), ("a", "step143000"))
    both = pairs({"name": "s{1..2}", "revision": "step{0,9}"})
    assert both == [("s1", "step0"), ("s1", "step9"), ("s2", "step0"), ("s2", "step9")]
    assert pairs({"name": "a{1,2}b{3,4}", "revision": None}) == [(f"a{x}b{y}", None) for x in "12" for y in "34"]


def test_what_is_no_pattern_stays_as_it_is():
    plain = [{"name": "org/name", "revision": "main", "more": 1}, {"name": "/folder/{x}", "revision": None}]
    assert expanded(plain, "key") == plain
    assert expanded([{"name": "a"}], "key") == [{"name": "a", "revision": None}]


@pytest.mark.parametrize(
    ("checkpoints", "message"),
    [
        ([{"name": "a{3..1}"}], r"models\.x\.checkpoints\.0\.name: 'a\{3\.\.1\}' holds nothing; allowed: \{first"),
        (
            [{"name": "b"}, {"name": "a", "revision": "s{a..c}"}],
            r"checkpoints\.1\.revision: 's\{a\.\.c\}' holds no range",
        ),
        ([{"name": "a{1..3..0}"}], "holds nothing"),
        ([{"name": "a{1..900}", "revision": "s{1..9}"}], "8100 checkpoints found; allowed: at most 1000"),
        ([{"name": "a{1..999999999}"}], "1001 checkpoints found"),
        ([{"name": "a{1..3}"}, {"name": "a2"}], "'a2' at revision None is named twice"),
    ],
)
def test_patterns_that_cannot_be_meant_are_named(checkpoints, message):
    with pytest.raises(InputError, match=message):
        expanded(checkpoints, "models.x.checkpoints")
