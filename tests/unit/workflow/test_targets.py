"""What cannot be made is said in one line, with what may have been meant."""

import logging
from types import SimpleNamespace

import pytest

from headatlas.workflow import targets

CONFIG = {"results": "r", "corpora": {"prose": {}}, "tokenizers": {}, "models": {"toy": {}, "large": {}}}
RULES = [
    SimpleNamespace(name="phrenology", script=None, output=[]),
    SimpleNamespace(name="all", script=None, output=[]),
    SimpleNamespace(name="draw_losses", script="draw.py", output=["r/figures/{protocol,a|b}/losses.png"]),
    SimpleNamespace(name="score_heads", script="score.py", output=["r/scores/{model,(?:toy|large)}.parquet"]),
    SimpleNamespace(name="write_atlas", script="write.py", output=["r/atlas.html"]),
]


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("phrenologie", "phrenology"),
        ("draw_loses", "draw_losses"),
        ("r/scores/toi.parquet", "r/scores/toy.parquet"),
        ("r/atlas.htm", "r/atlas.html"),
        ("results/scores/toy.parquet", "r/scores/toy.parquet"),  # the folder of a configuration without `results:`
        ("elsewhere", None),
        ("a/b/c/d/e", None),
    ],
)
def test_the_target_that_was_meant_is_named(target, meant):
    said = targets.explain(target, RULES, CONFIG)
    assert "\n" not in said
    assert said.startswith(f"{target}: no such target; ")
    assert said.endswith("allowed: all, phrenology, or a result's path")
    assert (f"did you mean {meant!r}?" in said) if meant else ("did you mean" not in said)


def test_only_what_snakemake_says_of_a_missing_rule_is_replaced():
    explained = targets.Explained(RULES, CONFIG)
    missing = "MissingRuleException:\nNo rule to produce al (if you use input functions make sure ...)."
    for message, kept in ((missing, False), ("WorkflowError:\nsomething else", True)):
        record = logging.makeLogRecord({"msg": message})
        assert explained.filter(record)
        assert (record.getMessage() == message) == kept
        assert kept or record.getMessage().startswith("al: no such target; did you mean 'all'?")


def test_a_report_that_lacks_a_file_says_what_to_do():
    record = logging.makeLogRecord({"msg": "WorkflowError:\nFile r/a.png marked for report but does not exist."})
    assert targets.Explained(RULES, CONFIG).filter(record)
    assert record.getMessage().startswith(
        "r/a.png: not made yet, so there is no report of it; --report-after-run makes"
    )
