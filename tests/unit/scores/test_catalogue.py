"""The table of scores holds every score that is measured, and nothing that is not."""

import pytest

from headatlas.base.errors import InputError
from headatlas.scores import catalogue, induction_scores, pattern_scores, weight_scores

OF_A_STUDY = {"topic_word"}  # needs the words that a model was trained on


def test_scores_of_patterns_are_those_that_are_measured():
    listed = catalogue.names(measured_on=catalogue.PROMPTS)
    assert set(listed) - OF_A_STUDY == set(pattern_scores.MEASURES)


def test_scores_on_repeated_tokens_and_of_weights_are_those_that_are_measured(wired):
    repeated = {*induction_scores.score_table(wired, sequences=2)["score"], "copying"}
    mirrored = {name for name in catalogue.SCORES if name.endswith("_mirrored")}  # a causal head cannot
    assert set(catalogue.names(measured_on=catalogue.REPEATED)) - mirrored == repeated
    weights = weight_scores.score_table(0, [wired.head_weights(0, layer) for layer in range(2)], draws=3)
    assert set(catalogue.names(measured_on=catalogue.WEIGHTS)) == set(weights["score"])


def test_a_misspelt_score_is_noticed_where_it_is_measured():
    with pytest.raises(InputError, match=r"score 'previus_token': unknown; allowed: previous_token, "):
        pattern_scores.table(0, 0, "previus_token", [0.1], 0.0, 0.5)


def test_every_score_says_what_it_is():
    for name, row in catalogue.SCORES.items():
        assert row.words, name
        assert row.formula, name
        assert row.shown <= {"summary", "heat maps"}, name
    assert "induction" in catalogue.names(shown="summary", names_heads=True)
    assert "q_composition" not in catalogue.names(names_heads=True)


def test_no_score_of_weights_names_heads():
    """A name is measured on other samples than it was chosen on, and weights have no other half."""
    assert not catalogue.names(measured_on="weights", names_heads=True)
