"""Short names of models: what sets a run apart, never two alike."""

from headatlas.atlas.model_names import LONGEST, short_names

RUN = "circuits-{}-python-docs-python-docs-{}-l20-lr{}-h4-d64"


def test_a_run_of_a_sweep_is_called_by_what_sets_it_apart():
    usual = [RUN.format(variant, "1k", "12e-3") for variant in ("one-layer", "two-layer", "two-layer-mlp-residual")]
    others = [RUN.format("two-layer", "1k", "6e-3"), RUN.format("one-layer", "words", "12e-3"), usual[0] + "-e3"]
    assert short_names(["toy", *usual, *others]) == [
        *("toy", "one-layer", "two-layer", "two-layer-mlp-residual"),
        *("two-layer-lr6e-3", "one-layer-words", "one-layer-e3"),
    ]


def test_names_that_would_be_alike_stay_apart():
    run = RUN.format("two-layer", "1k", "12e-3")
    short = short_names([run, "two-layer"])
    assert short[1] == "two-layer"
    assert len(set(short)) == 2


def test_long_names_have_their_words_cut_and_stay_distinct():
    long = [f"a-remarkably-long-name-of-a-model-that-goes-on-{i}" for i in (1, 2)]
    short = short_names([*long, "toy"])
    assert len(set(short)) == 3
    assert max(map(len, short)) <= LONGEST
    alike = ["x" * 40 + "a", "x" * 40 + "b"]
    assert short_names(alike) == alike, "whole rather than alike"
