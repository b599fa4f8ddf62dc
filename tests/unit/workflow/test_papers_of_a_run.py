"""Which tables of a run answer a paper, and how the run is set up beside it."""

import pandas as pd

from headatlas.reproduction.papers import claims
from headatlas.workflow import papers_of_a_run

MADE = {"phrenology/kinds.parquet", "induction/bert/maps.parquet", "induction/depth.parquet"}


def test_a_model_is_asked_of_each_paper_and_none_of_induction_without_a_masked_one():
    architecture = {"causal": True, "layers": 2, "heads": 4, "d_model": 64, "context": 16}
    causal = {"corpus": "mine", "seeds": [0, 1], "architecture": architecture}
    config = {
        "models": {
            "toy": causal,
            "bert": {"task": "masked", "corpus": "mine", "checkpoints": [{"name": "a/bert-base-uncased"}]},
        },
        "studies": {"phrenology": {"models": ["toy"]}, "induction": {"models": ["toy", "bert"]}},
    }
    assert papers_of_a_run.inputs(config, "phrenology", MADE)["kinds"] == "phrenology/kinds.parquet"
    assert papers_of_a_run.inputs(config, "induction", MADE)["maps"] == "induction/bert/maps.parquet"
    assert papers_of_a_run.setup(config, "phrenology") == {
        "model": "toy", "corpus": "mine", "members": 2, "context": 16, "layers": 2, "heads": 4, "d_model": 64,
    }  # fmt: skip
    assert papers_of_a_run.setup(config, "induction") == {"model": "bert-base-uncased", "corpus": "mine"}
    config["studies"]["induction"]["models"] = ["toy"]
    assert set(papers_of_a_run.inputs(config, "induction", MADE)) == {"depth"}
    depth = pd.DataFrame({"protocol": ["published"], "model": ["toy"], "layers": [2], "depth": [0.7]})
    depth = depth.assign(member=0, induction_heads=1)
    (claim,), differ = claims("induction", {"depth": depth}, papers_of_a_run.setup(config, "induction"))
    assert claim.agrees is None
    assert differ == ""


def test_a_study_without_a_paper_is_compared_with_none():
    assert papers_of_a_run.compared({"targets": ["positions", "circuits"]}) == ["circuits"]


def test_a_table_that_the_run_does_not_make_is_not_asked_for():
    config = {"models": {}, "studies": {"circuits": {"models": []}}}
    assert set(papers_of_a_run.inputs(config, "circuits", {"circuits/sweep.parquet"})) == {"sweep"}
