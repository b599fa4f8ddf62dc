"""Trials of masked and causal induction: every key by its definition, every planted head found."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import save_file

from headatlas.base.errors import InputError
from headatlas.data.tokenizer_training import load_tokenizer
from headatlas.models import families, pretrained
from headatlas.studies.induction import repeated_token_setup as asking
from headatlas.studies.induction import repeated_tokens
from headatlas.studies.induction.repeated_tokens import NOWHERE, Asking
from planted_families import Planted, after_earlier, before_later, previous, uniform

ASKING = Asking(vocabulary=200, context=42, mask=199, special=(0,), before=(197,), after=(198,), trials=40, length=12)
BERT = Asking(vocabulary=30522, context=512, mask=103, special=(0, 100), before=(101,), after=(102,), trials=1000)


def copies(trials, asking, before):
    """Each trial's copies (trial, copy, token) with the mask taken off again."""
    tokens = trials.tokens.copy()
    tokens[np.arange(len(tokens)), trials.masked] = trials.hidden
    inner = tokens[:, before : before + trials.length * (tokens.shape[1] // trials.length)]
    return inner.reshape(len(tokens), -1, trials.length)


@pytest.mark.parametrize("setup", repeated_tokens.SETUPS)
def test_corrected_trials_read_what_they_say(setup):
    trials = repeated_tokens.draw_trials(setup, "corrected", ASKING)
    length = 9 if setup == "bidirectional" else 12
    assert trials.length == length
    assert (trials.tokens[:, 0] == 197).all()
    assert (trials.tokens[:, -1] == 198).all()
    assert ((trials.tokens == 199).sum(1) == 1).all()
    whole = copies(trials, ASKING, 1)
    assert not np.isin(whole, [0, 197, 198, 199]).any()
    for row, (tokens, at) in enumerate(zip(trials.tokens, trials.masked, strict=True)):
        assert len(set(whole[row, 0])) == length
        assert 1 + length < at < 2 * length
        first = tokens[1 : 1 + length].tolist()
        key = {name: places[row] for name, places in trials.keys.items()}
        own = 1 + first.index(trials.hidden[row])
        if setup == "standard":
            assert (whole[row, 0] == whole[row, 1]).all()
            assert key == {"same": own, "before": own - 1, "after": own + 1}
        elif setup == "bidirectional":
            assert key == {"earlier": own, "later": own + 2 * length}
            assert tokens[key["later"]] == trials.hidden[row]
        else:
            assert sorted(whole[row, 1]) == sorted(first)
            left, right = 1 + first.index(tokens[at - 1]), 1 + first.index(tokens[at + 1])
            assert key == {"after_left": left + 1, "before_right": right - 1}
            assert own not in key.values()
            assert all(1 <= place <= length for place in key.values())


def test_published_trials_have_their_off_by_one_cases():
    trials = repeated_tokens.draw_trials("standard", "published", BERT)
    assert trials.tokens.shape == (1000, 401)
    assert (trials.tokens[:, 0] == 102).all()  # a separator in front, nothing at the end
    whole = copies(trials, BERT, 1)
    assert whole.min() >= 100
    assert whole.max() < 20000
    assert min(len(set(row)) for row in whole[:, 0].tolist()) < 200  # with replacement
    place = trials.masked - 200
    assert (trials.keys["same"] == place).all()
    assert (trials.keys["after"] == place + 1).all()
    wrapped = place == 0
    assert wrapped.any()
    assert (trials.keys["before"][wrapped] == 400).all()
    assert (trials.keys["before"][~wrapped] == place[~wrapped] - 1).all()
    assert repeated_tokens.draw_trials("bidirectional", "published", BERT).tokens.shape == (1000, 451)

    trials = repeated_tokens.draw_trials("shuffled", "published", BERT)
    assert trials.masked.min() >= 201
    at_the_end = trials.masked == 400
    assert at_the_end.any()
    assert ((trials.keys["before_right"] == NOWHERE) == at_the_end).all()
    for row in range(20):
        tokens, at = trials.tokens[row].tolist(), trials.masked[row]
        assert trials.keys["after_left"][row] == tokens.index(tokens[at - 1]) + 1
        if at < 400:
            assert trials.keys["before_right"][row] == tokens.index(tokens[at + 1]) - 1


def test_trials_come_from_their_seed_alone():
    for setup in repeated_tokens.SETUPS:
        for protocol in repeated_tokens.PROTOCOLS:
            one, again = (repeated_tokens.draw_trials(setup, protocol, ASKING) for _ in range(2))
            other = repeated_tokens.draw_trials(setup, protocol, replace(ASKING, seed=1))
            assert np.array_equal(one.tokens, again.tokens)
            assert not np.array_equal(one.tokens, other.tokens)
    small = replace(ASKING, vocabulary=60, mask=59, special=(), before=(57,), after=(58,))
    assert repeated_tokens.draw_trials("standard", "published", small).tokens[:, 1:].max() <= 59


class Masked(Planted):
    """A planted bidirectional family whose context is that of the trials."""

    def __init__(self, rules):
        super().__init__(rules, causal=False)


def earlier_instance(tokens):
    """A mask looks for what follows the earlier instance of its left neighbour; in R R that is the token it hides."""
    wanted = np.zeros((len(tokens), len(tokens)))
    for at in np.flatnonzero(tokens == 199):
        earlier = np.flatnonzero(tokens[: at - 1] == tokens[at - 1])
        wanted[at, earlier[:1] + 1] = 1
    return wanted


def values(table, **equal):
    for name, value in equal.items():
        table = table[table[name] == value]
    return table.set_index("reading")["value"]


def test_planted_heads_of_a_masked_family():
    table = repeated_tokens.map_table(Masked([earlier_instance, previous, uniform]), ASKING, memory=7 << 10)
    assert len(table) == 2 * (3 + 2 + 2) * 2 * 3
    head = {"member": 0, "layer": 0, "protocol": "corrected"}
    assert values(table, setup="standard", head=0, **head).to_dict() == {"same": 1, "before": 0, "after": 0}
    found = values(table, setup="shuffled", head=0, **head)
    assert found["after_left"] == 1
    assert found["before_right"] < 0.2
    assert values(table, setup="bidirectional", head=0, **head).to_dict() == {"earlier": 1, "later": 0}
    plain = table[table["head"] == 2]
    np.testing.assert_allclose(plain["value"], plain["chance"], rtol=1e-6)
    np.testing.assert_allclose(plain["standard_error"], 0, atol=1e-7)
    assert values(table, setup="standard", head=1, **head).max() < 0.1


def test_planted_heads_of_a_causal_family():
    asking = replace(ASKING, mask=None)
    table = repeated_tokens.map_table(Planted([after_earlier, uniform]), asking)
    assert set(table["setup"]) == {"standard"}
    found = values(table, protocol="corrected", member=0, head=0)
    assert found[repeated_tokens.induction_reading(True)] == pytest.approx(1)
    assert found["same"] == found["before"] == 0
    published = values(table, protocol="published", member=0, head=0)["after"]
    assert 0.8 < published < 1  # ids drawn twice, and one query in thirteen has no earlier occurrence
    plain = table[(table["head"] == 1) & (table["protocol"] == "corrected")]
    np.testing.assert_allclose(plain["value"], plain["chance"], rtol=1e-5)


def test_several_masks_at_once():
    table = repeated_tokens.condition_table(
        Masked([earlier_instance, before_later, uniform]), ASKING, masks=(1, 4, 500)
    )
    assert table.groupby("level")["count"].first().to_dict() == {"1 mask": 1, "4 masks": 4}
    one, four = (values(table, level=level, member=0, head=0) for level in ("1 mask", "4 masks"))
    assert one["same"] == 1
    assert one["masks"] == 0
    assert 0.3 < four["same"] < 1  # beside another mask there is no left neighbour to look for
    plain = table[table["head"] == 2]
    np.testing.assert_allclose(plain["value"], plain["chance"], rtol=1e-5)


def test_a_head_chosen_as_the_strongest_is_measured_on_other_sequences():
    noise = np.random.default_rng(0).normal(0.1, 0.05, (200, 10))  # (head, sequence): none is stronger than another
    table = repeated_tokens.halved(0, 0, {"induction": (noise, 0.1)})
    np.testing.assert_allclose(table["choice"], noise[:, ::2].mean(1))
    np.testing.assert_allclose(table["held_out"], noise[:, 1::2].mean(1))
    (best,) = repeated_tokens.strongest(table).itertuples()
    assert table.loc[best.Index, "choice"] == table["choice"].max() > 0.14
    assert best.value == table.loc[best.Index, "held_out"]
    assert table["value"].max() > 0.13  # the largest is no measure of any head
    by_chance = [
        repeated_tokens.strongest(repeated_tokens.halved(0, 0, {"x": (part, 0.1)}))["value"].item()
        for part in np.random.default_rng(1).normal(0.1, 0.05, (200, 50, 10))
    ]
    assert abs(np.mean(by_chance) - 0.1) < 0.005


@pytest.mark.parametrize("causal", [True, False])
def test_words_and_pieces(causal):
    continuations = np.arange(200) % 3 == 0
    seen = []

    def watching(tokens):
        seen.append(set(tokens.tolist()) - {197, 198, 199})
        return uniform(tokens)

    asking = replace(ASKING, mask=None if causal else 199)
    table = repeated_tokens.condition_table(Planted([watching], causal), asking, continuations, masks=())
    assert set(table["level"]) == {"whole words", "pieces"}
    assert all(len({token % 3 == 0 for token in tokens}) == 1 for tokens in seen)
    assert len({min(token % 3 == 0 for token in tokens) for tokens in seen}) == 2
    assert repeated_tokens.condition_table(
        Planted([uniform], causal), asking, np.zeros(200, dtype=bool), masks=()
    ).empty


def test_what_cannot_be_asked():
    with pytest.raises(InputError, match="no mask"):
        repeated_tokens.draw_trials("standard", "corrected", replace(ASKING, mask=None))
    with pytest.raises(InputError, match="3 tokens of a copy are too few"):
        repeated_tokens.draw_trials("standard", "corrected", replace(ASKING, context=8))
    with pytest.raises(InputError, match="not known"):
        repeated_tokens.draw_trials("twisted", "corrected", ASKING)


def real(mirror, folder, name, task):
    weights, config = pretrained.fetch([{"name": str(mirror / "models" / name)}], task)
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    family = families.load_family(folder / "model.safetensors", folder / "config.json")
    return family, load_tokenizer(str(mirror / "models" / name))


def test_ids_that_are_no_tokens_are_never_drawn(mirror, tmp_path):
    """A model may have far more ids than its tokenizer has tokens, and its tokenizer gaps between them."""
    family, tokenizer = real(mirror, tmp_path, "rxnmapper_albert", "masked")
    family.vocabulary = 4 * len(tokenizer)
    asked = asking.of_family(family, tokenizer, trials=30, length=40, seed=0)
    tokens = repeated_tokens.draw_trials("standard", "corrected", asked).tokens
    assert None not in tokenizer.names(tokens.ravel())
    assert set(tokenizer.all_special_ids) - {tokenizer.mask_token_id} - {*asked.before, *asked.after} <= {
        *asked.special
    }


def test_a_model_is_asked_within_the_windows_configured(mirror, tmp_path):
    family, tokenizer = real(mirror, tmp_path, "rxnmapper_albert", "masked")
    assert asking.of_family(family, tokenizer, trials=2, length=30, seed=0).context == 512  # all that it sees
    family.window = 40
    assert asking.of_family(family, tokenizer, trials=2, length=30, seed=0).context == 42  # and what stands around it


def test_a_real_causal_model_known_to_have_no_induction_head(mirror, tmp_path):
    family, tokenizer = real(mirror, tmp_path, "stories260K", "causal")
    asked = asking.of_family(family, tokenizer, trials=20, length=50, seed=0)
    table = repeated_tokens.map_table(family, asked)
    found = repeated_tokens.induction_rows(table, True)
    assert found[found["protocol"] == "corrected"]["value"].max() < 0.05  # none does induction


def test_a_real_masked_model_is_asked_in_all_setups(mirror, tmp_path):
    family, tokenizer = real(mirror, tmp_path, "rxnmapper_albert", "masked")
    asked = asking.of_family(family, tokenizer, trials=6, length=30, seed=0)
    assert len(asked.before) == len(asked.after) == 1
    table = repeated_tokens.map_table(family, asked)
    assert table.groupby(["protocol", "setup", "reading"]).size().eq(12 * 8).all()
    assert table["value"].between(0, 1).all()
    shown = asking.shown(asked, False, tokenizer)
    one = shown["corrected"]["bidirectional"]
    assert one["tokens"][one["masked"]] == tokenizer.mask_token
    assert one["tokens"][one["keys"]["earlier"]] == one["tokens"][one["keys"]["later"]]
