"""A circuit that is planted half-way through a training appears there in its trace."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from headatlas.attention import packing
from headatlas.models import families, training
from headatlas.scores import pattern_scores
from headatlas.studies.induction import phase_changes, training_dynamics
from headatlas.studies.induction.repeated_tokens import Asking


@pytest.fixture
def snapshots(wired, tmp_path):
    """Two seeds at steps 0, 4 and 8: the first becomes the wired network at step 4, the other never."""
    nothing = {name: torch.zeros_like(value) for name, value in wired.weights(0).items()}
    taken = {}
    for step in (0, 4, 8):
        first = wired.weights(0) if step >= 4 else nothing
        taken[step] = {name: torch.cat([first[name], nothing[name]]) for name in nothing}
    config = {"kind": "toy", "architecture": asdict(wired.architecture), "seeds": [7, 9], "pad": None}
    weights, described = training.snapshots_as_family(taken, config, 100)
    assert described["seeds"] == [7, 9] * 3
    save_file(weights, tmp_path / "snapshots.safetensors")
    (tmp_path / "snapshots.json").write_text(json.dumps(described))
    return families.load_family(tmp_path / "snapshots.safetensors", tmp_path / "snapshots.json")


def test_a_phase_change_is_seen_where_it_was_planted(snapshots):
    asking = Asking(vocabulary=30, context=24, trials=6, length=12)
    generator = np.random.default_rng(0)
    windows = np.stack([np.resize(generator.permutation(30)[:8], 24) for _ in range(20)])
    table = training_dynamics.trace(snapshots, asking, windows, short=4, long=22)
    assert sorted(set(zip(table["step"], table["tokens"], strict=True))) == [(0, 0), (4, 400), (8, 800)]
    best = table[table["score"] == "induction"].groupby(["member", "step"])["value"].max()
    assert best[0, 0] < 0.15
    assert best[0, 4] == best[0, 8] > 0.9
    assert best[1, 8] < 0.15
    wired_one = pd.DataFrame({"member": [0], "layer": [1], "head": [0]})
    born = phase_changes.of_members(table, wired_one).set_index("member")
    assert born["forms"].tolist() == [True, False]
    assert born.loc[0, ["layer", "head", "earlier_layer", "earlier_head"]].tolist() == [1, 0, 0, 0]
    times = born.loc[0, ["induction", "in_context", "previous_token"]]
    assert times.tolist() == pytest.approx([200, 200, 200], rel=0.02)
    assert born.loc[1, ["induction", "width", "in_context", "previous_token"]].isna().all()
    notes = table[(table["score"] == "previous_token") & (table["step"] == 8) & (table["member"] == 0)]
    assert notes.loc[notes["value"].idxmax(), ["layer", "head"]].tolist() == [0, 0]


def test_the_previous_token_score_of_a_training_is_that_of_the_table_of_scores(wired, tmp_path, snapshots):
    generator = np.random.default_rng(1)
    windows = generator.integers(0, 30, (6, 24))
    asking = Asking(vocabulary=30, context=24, trials=6, length=12)
    table = training_dynamics.trace(snapshots, asking, windows, short=4, long=10)
    traced = table[(table["score"] == "previous_token") & (table["step"] == 8) & (table["member"] == 0)]
    for taken in wired.attention(windows, 0):
        packed = packing.pack(taken.pattern.transpose(0, 1).numpy())  # (head, prompt, entry)
        value, chance = pattern_scores.pattern_scores(packed, windows, causal=True)["previous_token"]
        own = traced[traced["layer"] == taken.layer].sort_values("head")
        np.testing.assert_allclose(own["value"], value.mean(1), rtol=1e-5)
        np.testing.assert_allclose(own["chance"], chance.mean(), rtol=1e-6)


def planted_rise(tokens, values, member=0):
    """A trace in which head 1.0 rises as given, and head 1.1 only where heads are chosen."""
    rows = []
    for seen, value in zip(tokens, values, strict=True):
        for head, choice, held_out in ((0, value, value), (1, 0.9 * value, 0.0)):
            rows.append((member, seen, seen, "induction", 1, head, value, 0.001, 0.02, choice, held_out))
        rows.append((member, seen, seen, "in_context", -1, -1, 2 * value, np.nan, 0.0, 2 * value, 2 * value))
    names = ["member", "step", "tokens", "score", "layer", "head", "value", "standard_error", "chance"]
    return pd.DataFrame(rows, columns=[*names, "choice", "held_out"])


def test_the_time_of_a_phase_change_lies_between_snapshots():
    tokens = np.array([0, 100, 200, 300, 400])
    both = pd.DataFrame({"member": 0, "layer": 1, "head": [1, 0]})
    born = phase_changes.of_members(planted_rise(tokens, [0, 0, 0.2, 0.6, 0.8]), both).loc[0]
    assert born["head"] == 0
    assert born["induction"] == pytest.approx(250)
    assert born["in_context"] == pytest.approx(250)
    assert born["width"] == pytest.approx(360 - 140)
    assert np.isnan(born["previous_token"])  # no earlier layer looks back
    late = phase_changes.of_members(planted_rise(tokens, [0, 0, 0, 0, 0.1]), both[:0]).loc[0]
    assert not late["forms"]


def test_without_snapshots_there_is_no_family():
    weights, config = training.snapshots_as_family({}, {"seeds": [1]}, 10)
    assert weights == {}
    assert config["snapshots"] == config["seeds"] == []
