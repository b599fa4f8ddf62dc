"""A sweep's table, what its parameters do, Table I and the findings."""

import numpy as np
import pandas as pd
import pytest

from headatlas.base import tables
from headatlas.studies.circuits import findings, qk_ov_circuits, sweep

AXES = {
    "variant": ["one-layer", "two-layer"],
    "corpus": ["imdb"],
    "tokenizer": ["gpt2"],
    "max_length": [20],
    "learning_rate": [0.001, 0.01],
    "heads": [4],
    "d_model": [64],
}
RUNS = {sweep.name(place): place for place in sweep.grid(AXES)}
BASELINES = pd.DataFrame({"member": [0, 1], "unigram": [6.0, 6.0], "bigram": [4.5, 4.5]})


def history(losses):
    rows = [
        row
        for member, loss in enumerate(losses)
        for row in [
            (member, 0, 0, 9.0, "validation"),
            (member, 2, 1, loss, "validation"),
            (member, 2, 1, loss - 0.1, "train"),
        ]
    ]
    return pd.DataFrame(rows, columns=["member", "step", "epoch", "loss", "split"]).assign(accuracy=0.25)


@pytest.fixture
def table():
    """The variant moves the loss by 1 with one seed and by 1.2 with the other, the learning rate by 3 with both."""
    losses = [
        [place["learning_rate"] * 3 / 0.009 + step * (place["variant"] == "two-layer") + 3 for step in (1.0, 1.2)]
        for place in RUNS.values()
    ]
    return findings.gather(RUNS, [history(both) for both in losses], [BASELINES] * len(RUNS))


def test_outcomes_are_the_last_held_out_losses(table):
    ended = findings.outcomes(table)
    assert len(ended) == 4
    assert ended["loss"].is_monotonic_increasing
    assert ended["model"].iloc[0] == "circuits-one-layer-imdb-gpt2-l20-lr1e-3-h4-d64"
    assert ended["loss"].iloc[0] == pytest.approx(3 + 1 / 3)


def test_effects_are_those_of_one_parameter_at_a_time(table):
    by_seed = findings.in_grid(findings.outcomes(table, by_seed=True), AXES)
    found = findings.effects(by_seed, list(AXES))
    assert found["parameter"].tolist() == ["learning_rate"] * 2 + ["variant"] * 2
    of_parameter = found.groupby("parameter")[["spread", "spread_error"]].first()
    assert of_parameter["spread"].to_dict() == pytest.approx({"learning_rate": 3, "variant": 1.1})
    assert of_parameter["spread_error"].to_dict() == pytest.approx({"learning_rate": 0, "variant": 0.1}, abs=1e-9)
    assert (found["seeds"] == 2).all()
    assert (found["runs"] == 2).all()
    two = found[found["value"] == "two-layer"].iloc[0]
    assert two["loss"] - found[found["value"] == "one-layer"].iloc[0]["loss"] == pytest.approx(1.1)
    alone = findings.effects(by_seed[by_seed["member"] == 0], list(AXES))
    assert alone[["error", "spread_error"]].isna().all(axis=None)  # one seed tells no error


def test_what_matters_is_said_of_two_seeds_alone(table):
    by_seed = findings.in_grid(findings.outcomes(table, by_seed=True), AXES)
    said = "\n".join(findings._of_parameters(findings.effects(by_seed, list(AXES))))
    assert "**The learning rate matters most.**" in said
    assert "variant moves the loss by 1.10 ± 0.10: one-layer" in said
    one = findings.effects(by_seed[by_seed["member"] == 0], list(AXES))
    assert "not asked of one seed" in findings._of_parameters(one)[0]
    noisy = by_seed.assign(
        loss=np.where(by_seed["member"] == 0, by_seed["loss"], 4 + 0.1 * (by_seed["variant"] == "one-layer"))
    )
    assert "No parameter matters most for certain" in findings._of_parameters(findings.effects(noisy, list(AXES)))[0]


def test_runs_above_the_bigram_baseline_are_told(table):
    ended = findings.outcomes(table)
    assert (ended["members"] == 2).all()
    assert findings.above_bigram(ended) == [model for model in ended["model"] if "-lr1e-2-" in model]


def test_runs_of_figures_are_not_of_the_grid(table):
    ended = findings.outcomes(table)
    longer = ended.assign(model=ended["model"] + "-e30")
    elsewhere = ended.assign(variant="two-layer-tied")
    kept = findings.in_grid(pd.concat([ended, longer, elsewhere]), AXES)
    assert kept["model"].tolist() == ended["model"].tolist()


def test_table_one_is_of_what_was_run():
    study = {"seeds": [0], "training": {"windows": 22500, "epochs": 1}, "analysis": {}, "scores": {}}
    models = {name: sweep.model(study, place) for name, place in RUNS.items()}
    found = findings.settings_table(models).set_index("setting")
    assert found.loc["residual stream", "this run"] == "0 of 4 runs"
    assert found.loc["layers", "this run"] == "1, 2"
    assert found.loc["longest text (tokens)"].tolist() == ["2048", "20, 50, 80", "20"]
    assert found.loc["training text", "this run"] == "imdb (22,500 texts)"


def test_findings_say_what_was_found(table, tmp_path):
    ended = findings.outcomes(table)
    one, two = "circuits-one-layer", "circuits-two-layer"
    losses = pd.DataFrame(
        {"step": [0, 9], "split": "held out", "cross_entropy": [7, 4], "over_positions": [0.002, 0.001], "flat": 0.0021}
    )
    texts = pd.DataFrame({"model": one, "tokenizer": "bert", "sample": 0, "piece": ["this", "##ing"]})
    texts = texts.assign(generated=[False, True], continuation=[False, True])
    copying = pd.DataFrame({"model": one, "head": [0, 1], "copied": [0.5, 0.0], "copied_chance": 0.001})
    copying = copying.assign(ov_copying=[0.9, 0.0], chance=0.0, chance_deviation=0.1)
    trigrams = pd.DataFrame({"model": [one], "source": "a", "destination": "b", "output": "c", "raised": 2.0})
    heads = {"member": 0, "layer": [0, 1], "head": 0, "name": "spread", "value": 0.1, "chance": 0.1}
    names = pd.concat([pd.DataFrame(heads).assign(model=model) for model in (one, two)])
    names = names[(names["model"] == two) | (names["layer"] == 0)]
    found = {"model": two, "member": 0, "layer": 1, "head": 3, "induction": 0.8, "standard_error": 0.01}
    found |= {"chance": 0.1, "earlier_layer": 0, "earlier_head": 2, "k_composition": 0.5, "beyond": 9.0}
    induction = pd.DataFrame([{**found, "earlier_previous_token": 0.9}])
    parameters = findings.effects(findings.outcomes(table, by_seed=True), list(AXES))
    ended.loc[0, "model"], ended.loc[3, "model"] = one, two  # the best and the worst of the runs
    text = findings.findings(ended, parameters, losses, texts, copying, trigrams, induction, names)
    for part in (
        "**2 of 4 runs learn more than pairs of tokens.**",
        "learning rate moves the loss by 3.00 ± 0.00",
        "TOO LITTLE TRAINING TO INTERPRET (at or above the bigram baseline)",
        "bert: 100% continuation pieces; `this ##ing`",
        "**1 of 2 heads of one layer copy**, by their OV circuit's eigenvalues, in `one-layer`. The",
        "`a … b → c` (+2.0 nats)",
        "**1 of 1 models of several layers have induction heads:**",
        "`two-layer` (above its bigram baseline: too little training to interpret its heads): 1; of seed 0",
        "layer 1 head 3 pays 0.80 (chance 0.10) and reads layer 0 head 2 through its keys (+9.0 deviations",
    ):
        assert part in text
    qk_ov_circuits.write(tmp_path / "none.parquet", "induction", [])
    none = tables.read(tmp_path / "none.parquet")
    text = findings.findings(ended, parameters, None, texts, copying.iloc[:0], trigrams.iloc[:0], none, names)
    assert "`two-layer`: none (above its bigram baseline" in text
    assert "published loss" not in text


def test_tables_without_rows_can_be_read(tmp_path):
    for name in ("heads", "names", "skip_trigrams", "copying", "composition", "induction"):
        qk_ov_circuits.write(tmp_path / name, name, [pd.DataFrame()])
        assert len(tables.read(tmp_path / name)) == 0
    qk_ov_circuits.write(
        tmp_path / "names",
        "names",
        [
            pd.DataFrame(
                {"model": ["a"], "member": [np.int32(0)], "layer": [1], "head": [2], "name": ["spread"]}
            ).assign(value=0.5, chance=0.1)
        ],
    )
    assert tables.read(tmp_path / "names", model="a")["head"].tolist() == [2]
