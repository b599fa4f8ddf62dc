"""A circuit that is planted half-way through a training appears there in its trace."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from headatlas.models import families, training
from headatlas.studies.induction import findings, training_dynamics
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
    born = findings.phase_change(table).set_index("member")
    assert born.loc[0, "tokens"] == 400
    assert born.loc[0, "head"] == "1.0"
    assert born.loc[0, "gain_before"] == pytest.approx(0, abs=1e-5)
    assert born.loc[0, "gain_after"] > 0.3
    notes = table[(table["score"] == "previous_token") & (table["step"] == 8) & (table["member"] == 0)]
    assert notes.loc[notes["value"].idxmax(), ["layer", "head"]].tolist() == [0, 0]


def test_without_snapshots_there_is_no_family():
    weights, config = training.snapshots_as_family({}, {"seeds": [1]}, 10)
    assert weights == {}
    assert config["snapshots"] == config["seeds"] == []
