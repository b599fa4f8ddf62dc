"""Effects are predicted from attention where that is planted, and only there."""

import numpy as np
import pandas as pd
import pytest

from headatlas.base.errors import InputError
from headatlas.studies.phrenology import effect_prediction


def planted(members=6, types=6, share=0.0, seed=0):
    """Distances and inner products of heads of known types; `share` of the effects is their type's, the rest noise."""
    rng = np.random.default_rng(seed)
    kind = np.concatenate([rng.permutation(types) for _ in range(members)])
    attention = rng.normal(size=(types, 30))[kind] + 0.7 * rng.normal(size=(len(kind), 30))
    effects = share * rng.normal(size=(types, 40))[kind] + (1 - share) * rng.normal(size=(len(kind), 40))
    distances = np.linalg.norm(attention[:, None] - attention, axis=-1)
    return distances, effects, np.repeat(np.arange(members), types)


def rows(found):
    return found.table.set_index("statistic")


def test_planted_effects_are_predicted():
    distances, effects, members = planted(share=0.6)
    found = effect_prediction.predict(distances, effects @ effects.T, members, 0 * members, permutations=200)
    assert (rows(found)["p"] == 1 / 201).all()
    assert rows(found).loc["r2", "observed"] > 0.3
    assert found.heads["cosine"].mean() > 0.5 > found.heads["null"].mean() + 0.3


def test_noise_is_not_predicted_and_p_values_are_uniform():
    p_values = {"cosine": [], "r2": [], "distance_correlation": []}
    for seed in range(60):
        distances, effects, members = planted(members=4, types=5, seed=seed)
        found = effect_prediction.predict(
            distances, effects @ effects.T, members, 0 * members, permutations=39, seed=seed
        )
        for name, values in p_values.items():
            values.append(rows(found).loc[name, "p"])
    for name, values in p_values.items():
        assert 0.35 < np.mean(values) < 0.65, name
        assert np.mean(np.array(values) <= 0.1) < 0.25, name
        assert np.max(values) > 0.8, name


def test_what_members_and_layers_have_in_common_is_no_prediction():
    """Effects and attention both differ by layer, but not by head: permuting within layers keeps all of it."""
    rng = np.random.default_rng(0)
    members, layers = np.repeat(np.arange(5), 8), np.tile(np.repeat([0, 1], 4), 5)
    attention = 3.0 * rng.normal(size=(2, 20))[layers] + rng.normal(size=(40, 20))
    effects = 3.0 * rng.normal(size=(2, 20))[layers] + rng.normal(size=(40, 20))
    distances = np.linalg.norm(attention[:, None] - attention, axis=-1)
    found = effect_prediction.predict(distances, effects @ effects.T, members, layers, permutations=99)
    assert rows(found).loc["r2", "observed"] > 0.5  # layers alone say that much
    assert (rows(found)["p"] > 0.05).all()
    blind = effect_prediction.predict(distances, effects @ effects.T, members, 0 * layers, permutations=99)
    assert rows(blind).loc["cosine", "p"] == 0.01


def test_scores_equal_those_of_the_vectors_themselves():
    distances, effects, members = planted(share=0.3)
    found = effect_prediction.predict(distances, effects @ effects.T, members, 0 * members, permutations=1)
    unit = effects / np.linalg.norm(effects, axis=1, keepdims=True)
    cosines, missed, rest = [], 0.0, 0.0
    for head, vector in enumerate(unit):
        theirs = [np.flatnonzero(members == other) for other in np.unique(members) if other != members[head]]
        predicted = np.mean([unit[own[distances[head, own].argmin()]] for own in theirs], axis=0)
        mean = unit[members != members[head]].mean(0)
        a, b = vector - mean, predicted - mean
        cosines.append(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        missed, rest = missed + np.sum((vector - predicted) ** 2), rest + a @ a
    np.testing.assert_allclose(found.heads["cosine"], cosines)
    np.testing.assert_allclose(rows(found).loc["r2", "observed"], 1 - missed / rest)


def test_permutations_stay_within_groups():
    group = np.array([2, 0, 1, 2, 0, 2, 1])
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(100):
        order = effect_prediction._within(group, rng)
        assert (group[order] == group).all()
        assert sorted(order) == list(range(7))
        seen.add(tuple(order))
    assert len(seen) == 2 * 2 * 6


def test_one_member_cannot_be_asked():
    with pytest.raises(InputError, match="1 member"):
        effect_prediction.predict(np.zeros((4, 4)), np.eye(4), [0] * 4, [0] * 4, 9)


def test_the_answer_in_words():
    distances, effects, members = planted(share=0.6)
    found = effect_prediction.predict(distances, effects @ effects.T, members, 0 * members, permutations=100)
    assert effect_prediction.sentence(found, 6).startswith("Heads that attend alike do alike, beyond chance. ")
    distances, effects, members = planted()
    found = effect_prediction.predict(distances, effects @ effects.T, members, 0 * members, permutations=100)
    assert "not beyond chance" in effect_prediction.sentence(found, 6)


def test_a_head_without_effect_is_no_trouble():
    distances, effects, members = planted(share=0.5)
    effects[3] = 0
    found = effect_prediction.predict(distances, effects @ effects.T, members, 0 * members, permutations=5)
    assert np.isfinite(found.table["observed"]).all()


def test_every_kind_of_knock_out_is_asked():
    distances, effects, members = planted(share=0.6)
    heads = pd.DataFrame({"model": "toy", "member": members, "layer": 0, "head": np.tile(np.arange(6), 6)})
    products = effects @ effects.T
    found = effect_prediction.predict_all(heads, distances, {"zero": products, "mean": products}, permutations=20)
    assert found["prediction"].groupby("kind").size().to_dict() == {"zero": 3, "mean": 3}
    assert len(found["heads"]) == 2 * 36
    assert found["findings"].endswith(".")
    assert "With its output set to its mean: cosine" in found["findings"]


def test_of_one_member_it_is_said_that_it_cannot_be_asked():
    heads = pd.DataFrame({"model": "toy", "member": 0, "layer": 0, "head": np.arange(4)})
    found = effect_prediction.predict_all(heads, np.zeros((4, 4)), {"zero": np.eye(4)}, permutations=9)
    assert found["findings"] == effect_prediction.CANNOT_BE_ASKED
    assert found["prediction"].empty
