"""Induction scores of planted attention, copying of planted weights."""

import numpy as np
import pytest

from headatlas.base.errors import InputError
from headatlas.scores import induction_scores, weight_scores
from planted_families import VOCABULARY, Planted, after_earlier, before_later, duplicate, previous, uniform


def values(table, head):
    chosen = table[(table["head"] == head) & (table.member == 0)].set_index("score")
    return chosen.value, chosen.chance, chosen.standard_error


def test_planted_heads_of_a_causal_family():
    table = induction_scores.score_table(
        Planted([after_earlier, duplicate, previous, uniform]), sequences=6, memory=2 << 10
    )
    assert len(table) == 2 * 4 * 4
    found = {head: values(table, head)[0] for head in range(4)}
    for head, score in enumerate(("induction", "duplicate_token_repeated", "previous_token_repeated")):
        assert found[head][score] == pytest.approx(1)
        others = found[head].drop([score, *(["prefix_matching"] if head == 0 else [])])
        assert (others < 0.1).all()
    assert found[0]["prefix_matching"] == pytest.approx(1)
    value, chance, error = values(table, 3)
    np.testing.assert_allclose(value, chance, atol=1e-6)
    np.testing.assert_allclose(error, 0, atol=1e-6)
    assert chance["induction"] == pytest.approx(np.mean(1 / np.arange(22, 43)))
    assert "induction_mirrored" not in value.index


def test_planted_heads_of_a_bidirectional_family():
    family = Planted([after_earlier, before_later, uniform], causal=False)
    table = induction_scores.score_table(family, sequences=4, before=[101], after=[102])
    forwards, backwards = values(table, 0)[0], values(table, 1)[0]
    for kind in ("induction", "prefix_matching"):
        assert forwards[kind] == backwards[f"{kind}_mirrored"] == pytest.approx(1)
        assert forwards[f"{kind}_mirrored"] < 0.1
        assert backwards[kind] < 0.1
    value, chance, _ = values(table, 2)
    np.testing.assert_allclose(value, chance, atol=1e-6)
    assert chance["induction"] == pytest.approx(1 / 42)


def test_repeated_tokens_are_what_they_say():
    tokens = induction_scores.repeated_tokens(30, 20, 3, 50, 4, special=[7, 9], before=[7], after=[9])
    assert tokens.shape == (50, 62)
    assert (tokens[:, 0] == 7).all()
    assert (tokens[:, -1] == 9).all()
    copies = tokens[:, 1:-1].reshape(50, 3, 20)
    assert (copies == copies[:, :1]).all()
    assert not np.isin(copies, [7, 9]).any()
    assert all(len(set(one)) == 20 for one in copies[:, 0].tolist())
    again = induction_scores.repeated_tokens(30, 20, 3, 50, 4, special=[7, 9], before=[7], after=[9])
    assert np.array_equal(tokens, again)
    assert induction_scores.repeated_tokens(5, 20, 2, 1, 0).shape == (1, 40)  # too few ids: with replacement
    with pytest.raises(InputError, match="none is left"):
        induction_scores.repeated_tokens(2, 2, 2, 1, 0, special=[0, 1])


def planted_circuit(sign):
    """Heads of a family without anything but identities: what is attended to is raised (or lowered)."""
    generator = np.random.default_rng(0)
    embedding = np.linalg.qr(generator.normal(size=(VOCABULARY, VOCABULARY)))[0].astype(np.float32)
    eye = np.eye(VOCABULARY, dtype=np.float32)
    noise = generator.normal(size=(VOCABULARY, VOCABULARY)).astype(np.float32)
    value = np.stack([eye, noise])
    return {"W_E": embedding, "W_U": embedding.T.copy(), "W_V": value, "W_O": np.stack([sign * eye, eye])}


@pytest.mark.parametrize("causal", [True, False])
def test_copying_of_planted_circuits(causal):
    for sign in (1, -1):
        table = induction_scores.copying_table(Planted([uniform, uniform], causal, planted_circuit(sign)), sequences=8)
        value, chance, error = values(table, 0)
        assert value["copying"] == pytest.approx(sign, abs=0.02)
        assert chance["copying"] == 0
        value, _, error = values(table, 1)
        assert abs(value["copying"]) < 4 * error["copying"]


def test_copying_equals_the_definition_by_loops():
    weights = planted_circuit(1)
    family = Planted([previous, uniform], True, weights)
    tokens = np.array([[5, 6, 7, 8], [9, 20, 30, 40]])
    pattern = next(family.attention(tokens, 0)).pattern.numpy()
    found = induction_scores._copying(pattern, tokens, slice(0, 4), weights, True)
    for head in range(2):
        for row in range(2):
            shares = []
            circuit = weights["W_E"] @ weights["W_V"][head] @ weights["W_O"][head] @ weights["W_U"]
            for query in range(4):
                logits = sum(pattern[row, head, query, key] * circuit[tokens[row, key]] for key in range(4))
                raised = np.maximum(logits - logits.mean(), 0)
                seen = tokens[row, : query + 1]
                a, b = raised[seen].mean(), np.delete(raised, seen).mean()
                shares.append((a - b) / (a + b))
            assert found[head, row] == pytest.approx(np.mean(shares), abs=1e-4)


def test_families_that_cannot_be_scored():
    with pytest.raises(InputError, match="not known"):
        induction_scores.copying_table(Planted([uniform]), sequences=2)
    short = Planted([uniform])
    short.context = short.window = 3
    with pytest.raises(InputError, match="context of 3"):
        induction_scores.score_table(short, sequences=2)


@pytest.mark.parametrize("context", [None, 131072, 20])
def test_sequences_are_as_long_as_the_windows_configured(context, monkeypatch):
    """Not as long as all that a model could see: a pattern of 131,072 positions takes 17 GB."""
    family, sizes = Planted([uniform]), []
    family.context = context
    real = family.attention

    def attention(tokens, member):
        sizes.append(tokens.shape[1])
        return real(tokens, member)

    monkeypatch.setattr(family, "attention", attention)
    induction_scores.score_table(family, sequences=2, before=[26], after=[27])
    longest = min(context - 2, family.window) if context else family.window
    assert max(sizes) == longest // 2 * 2 + 2


def test_a_network_wired_for_induction_is_recognised(wired):
    table = induction_scores.score_table(wired, sequences=10).set_index(["layer", "head", "score"])
    assert table.value[0, 0, "previous_token_repeated"] == pytest.approx(1, abs=1e-3)
    # position 0 can only note itself, so it shares the attention of its own repetitions with the position after it
    assert table.value[1, 0, "induction"] == pytest.approx(1 - (1 / 2) / 12, abs=1e-3)
    assert table.value[1, 0, "prefix_matching"] == pytest.approx(1 - (1 / 2 + 1 / 3 + 1 / 4) / 18, abs=1e-3)
    for layer in (0, 1):
        idle = table.loc[(layer, 1)]
        np.testing.assert_allclose(idle.value, idle.chance, rtol=1e-4)
    assert table.value[0, 0, "induction"] < 0.05


def test_its_circuits_are_recognised_too(wired):
    copying = induction_scores.copying_table(wired, sequences=10).set_index(["layer", "head"]).value
    assert copying[1, 0] == pytest.approx(1, abs=1e-3)
    assert np.isnan(copying[1, 1])
    layers = [wired.head_weights(0, layer) for layer in range(2)]
    table = weight_scores.score_table(0, layers).set_index(["layer", "head", "score"]).sort_index()
    assert table.value[1, 0, "ov_copying"] == pytest.approx(1)
    assert table.value[1, 0, "k_composition"] > 5 * table.value[1, 0, "q_composition"]
    assert table.value[1, 0, "k_composition"] > table.chance[1, 0, "k_composition"]
