"""A sweep's runs are ordinary models, each with a name that other values do not change."""

import re

import pytest

from headatlas.studies.circuits import sweep

AXES = {
    "variant": ["one-layer", "two-layer"],
    "corpus": ["imdb"],
    "tokenizer": ["gpt2"],
    "max_length": [20],
    "learning_rate": [0.001, 0.00025],
    "heads": [4],
    "d_model": [64],
}
STUDY = {
    "sweep": AXES,
    "seeds": [0],
    "training": {"windows": 10, "epochs": 2, "sampling": "documents"},
    "analysis": {"windows": 8},
    "scores": {"sequences": 4},
    "figures": {
        "fig01": [{}, {"tokenizer": "bert"}],
        "fig03": {"variant": "one-layer"},
        "fig04": {"variant": "two-layer", "learning_rate": 0.00025},
        "fig06": None,
    },
}


def test_names_spell_the_place_and_are_valid():
    runs, _ = sweep.expand(STUDY)
    assert "circuits-two-layer-imdb-gpt2-l20-lr25e-5-h4-d64" in runs
    assert all(re.fullmatch("[a-z0-9-]+", name) for name in runs)
    assert len({str(place) for place in runs.values()}) == len(runs)
    assert sweep.name({**sweep.point(AXES, {}), "epochs": 15}).endswith("-e15")


@pytest.mark.parametrize(("number", "spelt"), [(0.001, "1e-3"), (0.0015, "15e-4"), (1, "1e0"), (5e-05, "5e-5")])
def test_numbers_are_spelt_without_a_point(number, spelt):
    assert sweep._power(number) == spelt


def test_another_value_adds_runs_and_renames_none():
    before, _ = sweep.expand(STUDY)
    after, _ = sweep.expand({**STUDY, "sweep": {**AXES, "heads": [8, 4]}, "figures": {}})
    grid = set(map(sweep.name, sweep.grid(AXES)))
    assert grid < set(after)
    assert len(after) == 2 * len(grid)
    assert {name: after[name] for name in grid} == {name: before[name] for name in grid}


def test_figures_add_the_runs_they_show():
    runs, shown = sweep.expand(STUDY)
    assert set(shown) == {"fig01", "fig03", "fig04"}
    assert shown["fig01"]["published"][1] == "circuits-one-layer-imdb-bert-l20-lr1e-3-h4-d64"
    assert shown["fig04"]["published"].startswith("circuits-two-layer-tied-")
    assert shown["fig04"]["corrected"] == "circuits-two-layer-imdb-gpt2-l20-lr25e-5-h4-d64"
    assert len(runs) == 4 + 2
    figures = sweep.heat_maps(shown)
    assert list(figures) == ["fig03_one_layer", "fig04_two_layer_second", "fig05_two_layer_first"]
    assert figures["fig05_two_layer_first"]["runs"] == shown["fig04"]


def test_a_run_is_a_model():
    place = sweep.point(AXES, {"variant": "two-layer-mlp-residual", "epochs": 5})
    model = sweep.model(STUDY, place)
    assert model["architecture"]["context"] == 20
    assert (model["architecture"]["layers"], model["architecture"]["residual"]) == (2, True)
    assert (model["training"]["epochs"], model["training"]["learning_rate"]) == (5, 0.001)
    assert STUDY["training"]["epochs"] == 2


def test_short_names_are_variants_and_what_sets_a_run_apart():
    names = ["toy", *(f"circuits-{variant}-imdb-gpt2-l20-lr1e-3-h4-d64" for variant in ("one-layer", "two-layer-mlp"))]
    assert sweep.short_names([*names, "circuits-one-layer-imdb-gpt2-l20-lr5e-3-h4-d64"]) == [
        "toy",
        "one-layer",
        "two-layer-mlp",
        "one-layer-lr5e-3",
    ]
