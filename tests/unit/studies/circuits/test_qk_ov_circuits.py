"""What attention-only models do, held against planted circuits, planted patterns and trained induction."""

import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import save_file

from architectures import architecture_of
from brief_training import BRIEF
from headatlas.data import corpora, tokenizer_training, windows
from headatlas.models import families, training
from headatlas.scores import induction_scores, weight_scores
from headatlas.studies.circuits import qk_ov_circuits

SHAPE = architecture_of(
    vocabulary=259, context=48, layers=2, heads=4, d_model=64, d_head=16, activation="none", residual=True
)
PLANTED = {"source": "repeated-tokens", "vocabulary": 256, "documents": 18200, "length": 49, "seed": 0}
PLANTED |= {"shortest_period": 8, "longest_period": 23, "split": [0.99, 0.005, 0.005]}


@pytest.fixture(scope="module")
def repeated():
    """Training and held-out windows of random tokens said again and again."""
    documents = pd.DataFrame({name: list(column) for name, column in corpora.load_corpus(PLANTED).items()})
    tokenizer = tokenizer_training.train_tokenizer(documents["text"], "words", 259)
    drawn = {"size": 49, "sampling": "documents", "seeds": [0]}
    learnt = windows.sample_windows(documents, tokenizer, count=18000, split="train", **drawn).tokens
    return tokenizer, learnt, windows.sample_windows(documents, tokenizer, count=64, split="test", **drawn).tokens[0]


@pytest.mark.parametrize("layers", [1, 2])
def test_two_layers_learn_induction_and_one_cannot(layers, repeated, tmp_path):
    tokenizer, learnt, held_out = repeated
    shape = replace(SHAPE, layers=layers, vocabulary=len(tokenizer))
    settings = replace(BRIEF, epochs=1, batch=64, learning_rate=0.004, weight_decay=0.0, evaluations=1)
    weights, _ = training.train(shape, [0], learnt, held_out, settings, pad=tokenizer.pad_token_id)
    save_file(weights, tmp_path / "model.safetensors")
    config = {"kind": "toy", "architecture": asdict(shape), "seeds": [0], "pad": tokenizer.pad_token_id}
    (tmp_path / "config.json").write_text(json.dumps(config))
    family = families.load_family(tmp_path / "model.safetensors", tmp_path / "config.json")
    scores = induction_scores.score_table(family, sequences=20, special=tokenizer.all_special_ids)
    composition = weight_scores.composition_table(0, [family.head_weights(0, layer) for layer in range(layers)])
    found = qk_ov_circuits.induction_heads(scores, composition)
    if layers == 1:
        assert found.empty
        return
    best = found.iloc[0]
    assert best["layer"] == 1
    assert best["induction"] > 0.5
    assert best["beyond"] > 3  # it reads an earlier head far more than a random one would
    assert 0 <= best["earlier_previous_token"] <= 1
    names = qk_ov_circuits.name_heads(scores)
    assert names.set_index(["layer", "head"]).loc[(1, best["head"]), "name"] == "induction"


def planted_weights(vocabulary=40, d_model=40, seed=0):
    """One head; where it looks at 3 it raises 7, it raises 5 at 5, and 11 looks at 3 most."""
    rng = np.random.default_rng(seed)
    ov, qk = 0.01 * rng.normal(size=(2, d_model, d_model))
    ov[3, 7], ov[5, 5], qk[11, 3] = 4.0, 2.0, 9.0
    identity = np.eye(d_model)
    weights = {"W_E": identity, "W_U": identity, "W_V": ov[None], "W_O": identity[None]}
    weights |= {"W_Q": qk[None], "W_K": identity[None]}
    return {name: value.astype(np.float32) for name, value in weights.items()}


def test_planted_skip_trigrams_are_read():
    found = qk_ov_circuits.skip_trigrams(planted_weights(), np.arange(40), pairs=2)
    first, second = found.to_dict("records")
    assert (first["source"], first["destination"], first["output"], first["copies"]) == (3, 11, 7, False)
    assert (second["source"], second["output"], second["copies"]) == (5, 5, True)
    assert first["raised"] > second["raised"] > 1
    assert first["looked"] > 1


def test_ids_are_those_of_the_vocabulary():
    chosen = np.array([30, 7, 3, 11])
    found = qk_ov_circuits.skip_trigrams(planted_weights(), chosen, pairs=1).iloc[0]
    assert (found["source"], found["destination"], found["output"]) == (3, 11, 7)


def test_circuits_are_those_of_the_whole_matrices():
    rng = np.random.default_rng(1)
    shapes = {"W_E": (9, 6), "W_U": (6, 9), "W_Q": (2, 6, 3), "W_K": (2, 6, 3), "W_V": (2, 6, 3), "W_O": (2, 3, 6)}
    weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    ov, qk = qk_ov_circuits.circuits(weights, np.arange(9))
    for head in range(2):
        whole = weights["W_E"] @ weights["W_V"][head] @ weights["W_O"][head] @ weights["W_U"]
        whole = whole - whole.mean(1, keepdims=True)
        np.testing.assert_allclose(ov[head], whole - whole.mean(0), atol=1e-12)
        scores = weights["W_E"] @ weights["W_Q"][head] @ weights["W_K"][head].T @ weights["W_E"].T / np.sqrt(3)
        np.testing.assert_allclose(qk[head], scores - scores.mean(1, keepdims=True), atol=1e-12)


def test_copying_heads_are_told_from_others():
    weights = planted_weights()
    identity = np.eye(40, dtype=np.float32)
    weights |= {"W_V": np.stack([identity, -identity]), "W_O": np.stack([identity, identity])}
    found = qk_ov_circuits.copying_heads(weights, np.arange(40))
    np.testing.assert_allclose(found["copied"], [1, 0])
    np.testing.assert_allclose(found["ov_copying"], [1, -1], atol=1e-6)
    assert abs(found["chance"].iloc[0]) < 0.2


def test_topic_word_is_the_rarest_so_far():
    frequency = np.array([100, 50, 20, 10, 5])
    windows_ = np.array([[0, 3, 1, 2, 0], [0, 0, 0, 0, 0]])
    looks = np.zeros((2, 2, 5, 5))
    looks[0, :, :, 1] = 1.0  # a head that watches position 1
    looks[1] = np.tri(5) / np.arange(1, 6)[:, None]
    value, chance = qk_ov_circuits.topic_word(looks, windows_, frequency)
    assert value[0, 0] == 1.0
    assert np.isnan(value[:, 1]).all()  # no word is rarer than the first
    assert value[1, 0] == pytest.approx(chance[0]) == pytest.approx(np.mean([1 / 3, 1 / 4, 1 / 5]))


def test_heads_are_named_by_what_they_do_beyond_chance():
    rows = [("previous_token", 0.6, 0.2), ("first_token", 0.7, 0.6), ("entropy", 2.0, 0.0), ("induction", np.nan, 0.1)]
    scores = pd.DataFrame(rows, columns=["score", "value", "chance"]).assign(member=0, layer=0, head=0)
    weak = scores.assign(head=1, value=scores["chance"] + 0.1)
    found = qk_ov_circuits.name_heads(pd.concat([scores, weak]).assign(standard_error=0.01))
    assert found["name"].tolist() == ["previous token", "spread"]
    assert found["value"].iloc[0] == 0.6


@pytest.mark.parametrize(("value", "error", "name"), [(0.3, 0.01, "induction"), (0.19, 0.001, "spread")])
def test_a_head_is_called_induction_only_if_it_counts_as_one(value, error, name):
    scores = pd.DataFrame({"score": ["induction", "first_token"], "value": [value, 0.1], "chance": [0.02, 0.1]})
    scores = scores.assign(member=0, layer=1, head=0, standard_error=error)
    assert qk_ov_circuits.name_heads(scores)["name"].tolist() == [name]


def test_weights_are_read_of_every_member():
    """Composition and copying of the second member are its own, not the first's."""
    rng = np.random.default_rng(3)
    shapes = {"W_E": (9, 6), "W_U": (6, 9), "W_Q": (2, 6, 3), "W_K": (2, 6, 3), "W_V": (2, 6, 3), "W_O": (2, 3, 6)}
    drawn = {
        (member, layer): {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
        for member in range(2)
        for layer in range(2)
    }
    for layers in (1, 2):
        family = SimpleNamespace(members=2, layers=layers, head_weights=lambda member, layer: drawn[member, layer])
        found = qk_ov_circuits.of_members(family, np.arange(9))
        assert set(found) == ({"composition", "copying", "skip_trigrams"} if layers == 1 else {"composition"})
        if layers == 1:
            for member, own in found["copying"].groupby("member"):
                expected = weight_scores.ov_copying(drawn[member, 0])
                np.testing.assert_allclose(own["ov_copying"], expected, rtol=1e-5)
            continue
        for member, own in found["composition"].groupby("member"):
            expected = weight_scores.composition_table(member, [drawn[member, layer] for layer in range(2)])
            np.testing.assert_allclose(own["value"], expected["value"])
        values = found["composition"].groupby("member")["value"].agg(list)
        assert values[0] != values[1]
