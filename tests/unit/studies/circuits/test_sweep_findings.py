"""A sweep's table, what its parameters do, Table I and the findings."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f as f_distribution

from headatlas.base import tables
from headatlas.studies.circuits import findings, qk_ov_circuits, sweep, sweep_effects

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


def by_seed(table):
    return findings.in_grid(findings.outcomes(table, by_seed=True), AXES)


def test_effects_are_an_analysis_of_variance_with_seeds_as_blocks(table):
    noisy = by_seed(table)
    noisy["loss"] += np.random.default_rng(2).normal(0, 0.5, len(noisy)) + 0.3 * noisy["member"]
    found = sweep_effects.effects(noisy, list(AXES))
    assert found["parameter"].tolist() == ["learning_rate"] * 2 + ["variant"] * 2
    assert (found[["seeds", "runs", "noise_freedom", "freedom"]] == [2, 4, 3, 1]).all(axis=None)
    blocks = noisy["loss"] - noisy.groupby("member")["loss"].transform("mean")
    cells = [own.to_numpy() for _, own in blocks.groupby(noisy["model"])]
    left = sum(((own - own.mean()) ** 2).sum() for own in cells) / 3
    assert found["noise"].tolist() == pytest.approx([np.sqrt(left)] * 4)
    for axis, rows in found.groupby("parameter"):
        one, other = (noisy.loc[noisy[axis] == value, "loss"].mean() for value in AXES[axis])
        square = 4 * (one - other) ** 2 / 2  # two values of four losses each
        assert rows["f"].iloc[0] == pytest.approx(square / left)
        assert rows["p"].iloc[0] == pytest.approx(f_distribution.sf(square / left, 1, 3))
        assert rows["deviation"].iloc[0] == pytest.approx(np.sqrt(max((square - left) / 4, 0)))
        assert sorted(rows["loss"]) == pytest.approx(sorted([one, other]))
    assert found["error"].tolist() == pytest.approx([np.sqrt(left / 4)] * 4)
    alone = sweep_effects.effects(noisy[noisy["member"] == 0], list(AXES))
    assert alone[["error", "p", "noise", "first"]].isna().all(axis=None)  # one seed tells no noise


def swept(generator, levels, deviations=None):
    """Losses of a sweep of two seeds with noise of 1, whose axes' values spread by `deviations`."""
    rows = []
    moved = [0 * np.arange(count) for count in levels]
    if deviations is not None:
        ladders = [np.arange(count) / np.arange(count).std(ddof=1) for count in levels]
        moved = [deviation * ladder for deviation, ladder in zip(deviations, ladders, strict=True)]
    seeds = generator.normal(size=2)
    for place in itertools.product(*map(range, levels)):
        for member in range(2):
            loss = sum(own[at] for own, at in zip(moved, place, strict=True)) + seeds[member] + generator.normal()
            rows.append((*place, member, loss))
    axes = [f"axis{number}" for number in range(len(levels))]
    return pd.DataFrame(rows, columns=[*axes, "member", "loss"]), axes


def share_named(levels, deviations=None, sweeps=200):
    """How often each axis is said to move the loss most, and how often any to move it."""
    generator, named, moved = np.random.default_rng(0), dict.fromkeys(range(len(levels)), 0), 0
    for _ in range(sweeps):
        table, axes = swept(generator, levels, deviations)
        moves, most = sweep_effects.moving(sweep_effects.effects(table, axes, draws=500))
        moved += bool(moves)
        if most:
            named[axes.index(most)] += 1
    return {axis: count / sweeps for axis, count in named.items()}, moved / sweeps


@pytest.mark.parametrize("levels", [(4, 2), (2, 5, 3)])
def test_of_a_sweep_of_noise_nothing_is_named(levels):
    named, moved = share_named(levels)
    assert max(named.values()) <= 0.03
    assert moved <= 0.09


def test_an_axis_of_many_values_has_no_advantage():
    named, moved = share_named((2, 4), (2, 2))
    assert moved > 0.95
    assert max(named.values()) <= 0.06
    named, _ = share_named((2, 4), (4, 1))
    assert named[0] > 0.9  # though its rival has twice as many values


def test_what_moves_the_loss_is_said_with_its_test(table):
    said = "\n".join(findings._of_parameters(sweep_effects.effects(by_seed(table), list(AXES))))
    assert "**Over the values swept, the learning rate moves the loss most.**" in said
    assert "learning rate, F(1, 3) = 2700.0, p ≤ 0.0001, moves the loss by 2.12 nats" in said
    assert "noise between seeds is 0.082 nats (3 degrees of freedom), and p is Holm's over 2 parameters" in said
    one = by_seed(table)
    one = one[one["member"] == 0]
    assert (
        "__What moves the loss is not asked of one seed.__"
        in findings._of_parameters(sweep_effects.effects(one, list(AXES)))[0]
    )
    lost = by_seed(table)
    lost.loc[0, "loss"] = np.nan
    assert "in which a run has no loss" in findings._of_parameters(sweep_effects.effects(lost, list(AXES)))[0]
    noise = by_seed(table).assign(loss=[4.0, 4.1, 4.1, 4.0, 4.05, 4.0, 4.0, 4.05])
    headline = findings._of_parameters(sweep_effects.effects(noise, list(AXES)))[0]
    assert headline.startswith("__No parameter moves the loss beyond what seeds do, over the values swept.__")
    both, axes = swept(np.random.default_rng(1), (2, 4), (4, 4))
    headline = findings._of_parameters(sweep_effects.effects(both, axes))[0]
    assert headline.startswith(
        "**Over the values swept, the axis1 and the axis0 move the loss; which of the parameters"
    )


def test_runs_above_the_bigram_baseline_are_told(table):
    ended = findings.outcomes(table)
    assert (ended["members"] == 2).all()
    assert findings.too_little_trained(ended) == [model for model in ended["model"] if "-lr1e-2-" in model]


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
    one, two = "one-layer", "two-layer"
    losses = pd.DataFrame(
        {"step": [0, 9], "split": "held out", "cross_entropy": [7, 4], "over_positions": [0.002, 0.001], "flat": 0.0021}
    )
    texts = pd.DataFrame({"model": one, "tokenizer": "bert", "sample": 0, "piece": ["this", "##ing"]})
    texts = texts.assign(generated=[False, True], continuation=[False, True])
    copying = pd.DataFrame({"model": one, "member": 0, "head": [0, 1], "copied": [0.5, 0.0], "copied_chance": 0.001})
    copying = copying.assign(ov_copying=[0.9, 0.0], chance=0.0, chance_deviation=0.1)
    trigrams = pd.DataFrame(
        {"model": [one], "member": 0, "head": 1, "source": "a", "destination": "b", "output": "c", "raised": 2.0}
    )
    heads = {"member": 0, "layer": [0, 1], "head": 0, "name": "spread", "value": 0.1, "chance": 0.1}
    names = pd.concat([pd.DataFrame(heads).assign(model=model) for model in (one, two)])
    names = names[(names["model"] == two) | (names["layer"] == 0)]
    found = {"model": two, "member": 0, "layer": 1, "head": 3, "induction": 0.8, "standard_error": 0.01}
    found |= {"chance": 0.1, "earlier_layer": 0, "earlier_head": 2, "k_composition": 0.5, "beyond": 9.0}
    induction = pd.DataFrame([{**found, "earlier_previous_token": 0.9}])
    parameters = sweep_effects.effects(findings.outcomes(table, by_seed=True), list(AXES))
    ended.loc[0, "model"], ended.loc[3, "model"] = one, two  # the best and the worst of the runs
    text = findings.findings(ended, parameters, losses, texts, copying, trigrams, induction, names)
    for part in (
        "**2 of 4 runs learn more than pairs of tokens.**",
        "- best: `one-layer` 3.33 (3.33 to 3.33), 25.0% of tokens right",
        "learning rate, F(1, 3) = 2700.0, p ≤ 0.0001",
        "TOO LITTLE TRAINING TO INTERPRET (not below the baselines)",
        "bert: 100% continuation pieces; `this ##ing`",
        "**Heads of one layer that copy: 1 of 2 heads**, by their OV circuit's eigenvalues, in `one-layer`. The",
        "`a … b → c` (+2.0 nats; seed 0, head 1)",
        "**1 of 1 models of several layers have induction heads:**",
        "`two-layer` (above its baselines: too little training to interpret its heads): 1 of 2 heads; the",
        "seed 0, layer 1 head 3, has an induction score of 0.80 (chance 0.10)",
        "and reads layer 0 head 2 through its keys (+9.0 deviations",
    ):
        assert part in text
    alone = induction.assign(member=1, earlier_layer=np.nan, earlier_head=np.nan, beyond=np.nan)
    text = findings.findings(ended, parameters, losses, texts, copying, trigrams, alone, names)
    assert "of seed 1, layer 1 head 3, has an induction score of 0.80 (chance 0.10)\n" in text
    qk_ov_circuits.write(tmp_path / "none.parquet", "induction", [])
    none = tables.read(tmp_path / "none.parquet")
    text = findings.findings(ended, parameters, None, texts, copying.iloc[:0], trigrams.iloc[:0], none, names)
    assert "too little training to interpret its heads): 0 of 2 heads\n" in text
    negative = copying.assign(ov_copying=-0.06, chance=-0.5)  # beyond random heads, and yet no copying
    text = findings.findings(ended, parameters, None, texts, negative, trigrams, none, names)
    assert "__Heads of one layer that copy: 0 of 2 heads__" in text
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
