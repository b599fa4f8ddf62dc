"""Paths of artifacts that rules share."""

import pytest

from headatlas.workflow.artifacts import Artifacts
from headatlas.workflow.resources import threads

TOY = {"tokenizer": "words", "seeds": [0, 1, 2], "architecture": {"d_model": 64}}
CONFIG = {
    "threads": 4,
    "targets": ["phrenology", "circuits"],
    "models": {
        "toy": TOY,
        "run-a": TOY,
        "run-b": TOY | {"architecture": {"d_model": 512}},
        "gpt2": {"checkpoints": [{}], "tokenizer": "gpt2"},
    },
    "studies": {
        "phrenology": {"models": ["toy", "gpt2"], "seed": 3, "knockouts": {"head": "0.1"}},
        "circuits": {"models": ["run-b", "run-a"], "windows": {"run-b": "run-a"}},
        "induction": {"models": ["gpt2"]},
    },
}


@pytest.fixture
def artifacts():
    return Artifacts(CONFIG)


def test_models_are_those_of_a_study_or_of_all_that_a_plain_run_builds(artifacts):
    assert artifacts.models_of("phrenology") == ["toy", "gpt2"]
    assert artifacts.models_of("all") == ["gpt2", "run-a", "run-b", "toy"]
    assert artifacts.of_models("circuits", "<results>/scores/{model}.parquet") == [
        "<results>/scores/run-b.parquet",
        "<results>/scores/run-a.parquet",
    ]


def test_runs_of_a_sweep_share_windows_and_baselines(artifacts):
    assert artifacts.windows_of("run-b", "train") == "<results>/windows/run-a/train.parquet"
    assert artifacts.prompts_of("circuits") == "<results>/windows/run-a/analysis.parquet"
    assert artifacts.judged("run-b", "gpt2") == [
        "<results>/models/run-b/training.parquet",
        "<results>/models/run-a/baselines.parquet",
    ]


def test_both_files_of_tokenizers_stand_in_the_order_of_their_models(artifacts):
    assert artifacts.tokenizers_of(["gpt2", "toy"]) == {
        "tokenizer": ["<results>/tokenizers/gpt2/tokenizer.json", "<results>/tokenizers/words/tokenizer.json"],
        "tokenizer_config": [
            "<results>/tokenizers/gpt2/tokenizer_config.json",
            "<results>/tokenizers/words/tokenizer_config.json",
        ],
    }


def test_settings_of_a_section_are_named_with_it(artifacts):
    assert artifacts.study_settings("phrenology", "seed", "knockouts.head") == {"seed": 3, "head": "0.1"}
    with pytest.raises(KeyError):
        artifacts.study_settings("phrenology", "head")


def test_small_models_share_no_threads():
    assert threads.of_passes(CONFIG, "toy", "run-a") == 1
    assert threads.of_passes(CONFIG, "toy", "run-b") == threads.of_passes(CONFIG, "gpt2") == 4
    assert threads.of_training(CONFIG, "toy") == 2
