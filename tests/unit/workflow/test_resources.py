"""Estimates of memory and time: counted arrays, and growth with what they depend on."""

import json
from dataclasses import replace

import pytest

from architectures import architecture_of
from headatlas.attention.packing import entries
from headatlas.models import transformer
from headatlas.workflow.resources import by_rule, estimates, model_sizes, study_estimates

TRAINING = {"windows": 1200, "batch": 64, "epochs": 3, "evaluation_windows": 512, "snapshots": 0}
TOY = model_sizes.Model(
    members=9,
    context=16,
    prompts=1024,
    queries_keys=32,
    trained=True,
    layers=1,
    heads=8,
    d_model=64,
    d_head=16,
    d_mlp=256,
    vocabulary=1024,
    training=TRAINING,
)
STUDY = {
    "autoencoders": {"widths": [2, 4, 64], "seeds": [0, 1], "epochs": 3, "rows": 24576, "numbers": 64000000},
    "kinds": {"continua": 199, "halvings": 20},
    "search": {"draws": 1000},
    "validation": {"permutations": 5000},
}


@pytest.mark.parametrize(("layers", "activation", "d_mlp"), [(1, "solu_ln", 256), (3, "none", 0)])
def test_weights_are_those_of_the_transformer(layers, activation, d_mlp):
    shape = {"layers": layers, "heads": 8, "context": 16, "d_model": 64, "d_head": 16, "vocabulary": 1024}
    weights = transformer.initial_weights(architecture_of(**shape, d_mlp=d_mlp or 256, activation=activation), [0, 1])
    counted = sum(tensor.numel() for tensor in weights.values()) / 2
    assert replace(TOY, layers=layers, d_mlp=d_mlp).weights == pytest.approx(counted, rel=0.03)


SMALL = {
    "num_hidden_layers": 5,
    "num_attention_heads": 8,
    "hidden_size": 64,
    "intermediate_size": 172,
    "vocab_size": 512,
}


def test_a_checkpoint_is_as_large_as_its_own_configuration_says(tmp_path, monkeypatch):
    monkeypatch.delenv("HEADATLAS_MIRROR", raising=False)
    (tmp_path / "mirror" / "models" / "small").mkdir(parents=True)
    (tmp_path / "mirror" / "models" / "small" / "config.json").write_text(json.dumps(SMALL))
    sizes = {"layers": 5, "heads": 8, "d_model": 64, "d_head": 8, "d_mlp": 258, "vocabulary": 512}
    assert model_sizes.checkpoint_sizes(str(tmp_path / "mirror/models/small"), None) == sizes
    assert model_sizes.checkpoint_sizes("somebody/small", str(tmp_path / "mirror")) == sizes
    assert model_sizes.checkpoint_sizes("somebody/large", str(tmp_path / "mirror")) == {}
    nested = {"text_config": {"n_layer": 3, "n_head": 2, "n_embd": 8, "vocab_size": 9}}
    for number, (text, found) in enumerate((("[", {}), ("[1]", {}), ('{"n_layer": "x"}', {}), (json.dumps(nested), 3))):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "config.json").write_text(text)
        assert model_sizes.checkpoint_sizes(str(folder), None).get("layers", {}) == found

    def asked(name):
        model = {"checkpoints": [{"name": name}], "task": "causal", "context": 64}
        model |= {"analysis": {"windows": 512, "queries_keys": 32}}
        return estimates.fetching(model_sizes.model({"models": {"m": model}, "mirror": None}, "m")).memory

    assert asked(str(tmp_path / "mirror/models/small")) < 1000 < 5000 < asked("somebody/large")


GPT2 = {"model_type": "gpt2", "n_layer": 12, "n_head": 12, "n_embd": 768, "vocab_size": 50257}
MEASURED = {  # at GPT-2 small's shape, 64-token prompts, one thread: MB held at most, processor seconds
    "measure_knockouts": ({"windows": 2, "others": 1}, 1409, 129),
    "screen_heads": ({"screen_windows": 8, "screened": 12}, 1651, 29.6),
}


@pytest.mark.parametrize("rule", MEASURED)
def test_estimates_at_gpt2_s_shape_are_within_a_factor_of_two_of_what_was_measured(tmp_path, monkeypatch, rule):
    (tmp_path / "config.json").write_text(json.dumps(GPT2))
    given = {"checkpoints": [{"name": str(tmp_path)}], "task": "causal", "context": 64}
    given |= {"analysis": {"windows": 64, "queries_keys": 8}}
    gpt2 = model_sizes.model({"models": {"m": given}, "mirror": None}, "m")
    settings, memory, seconds = MEASURED[rule]
    asked = {}
    monkeypatch.setattr(
        estimates, "need", lambda base, held, time: asked.update(seconds=time) or model_sizes.need(base, held, time)
    )
    found = by_rule.OF_MODELS[rule](gpt2, {"phrenology": {"knockouts": settings}}, 0, 1)
    assert memory <= found.memory <= 2 * memory
    assert seconds / 2 <= asked["seconds"] <= 2 * seconds


def test_a_pattern_has_as_many_entries_as_it_is_packed_into():
    assert TOY.entries == entries(16, "lower")
    assert replace(TOY, causal=False).entries == entries(16, "full")


def test_training_holds_weights_gradients_and_means_of_all_members():
    large = replace(TOY, vocabulary=50_000, members=40)
    assert estimates.training(large).memory > estimates.TORCH + 16 * 40 * large.weights / 2**20
    more = estimates.training(replace(large, training=TRAINING | {"snapshots": 10})).memory
    assert more - estimates.training(large).memory == pytest.approx(1.25 * 80 * 40 * large.weights / 2**20, abs=100)


@pytest.mark.parametrize("change", [{"members": 900}, {"vocabulary": 500_000}, {"context": 1024}, {"layers": 64}])
def test_training_needs_more_of_more(change):
    before, after = estimates.training(TOY), estimates.training(replace(TOY, **change))
    assert after.memory > before.memory
    assert after.minutes > before.minutes


@pytest.mark.parametrize("need", [estimates.extraction, estimates.vectors])
def test_extraction_does_not_grow_with_prompts_beyond_its_block(need):
    many = replace(TOY, prompts=10**6, queries_keys=10**5)
    assert need(many).memory > need(TOY).memory
    assert need(replace(many, prompts=10**8, queries_keys=10**8)).memory == need(many).memory


def test_scores_grow_with_the_vocabulary_and_the_prompts():
    assert estimates.scoring(replace(TOY, vocabulary=10**6)).memory > estimates.scoring(TOY).memory
    assert estimates.scoring(replace(TOY, prompts=10**5)).memory > estimates.scoring(TOY).memory


def test_knock_outs_stay_within_their_blocks():
    few, many = (estimates.knocking_out(replace(TOY, prompts=n), n, 8).memory for n in (10**5, 10**7))
    assert few == many < 3000
    wide = study_estimates.comparing([replace(TOY, vocabulary=50_000)], 64).memory
    assert study_estimates.comparing([TOY], 64).memory < wide < 3000


def test_studies_grow_with_the_heads_of_all_their_models():
    for need in (
        study_estimates.distances,
        study_estimates.projecting,
        study_estimates.first_token,
        lambda models: study_estimates.autoencoders(models, STUDY["autoencoders"] | {"numbers": None}),
        lambda models: study_estimates.searching(models, STUDY),
        lambda models: study_estimates.finding_kinds(models, STUDY),
        lambda models: study_estimates.resampling_groups(models, STUDY),
        lambda models: study_estimates.placing(models, STUDY),
        lambda models: study_estimates.weighing(models, STUDY),
        lambda models: study_estimates.transplanting(models, 32),
        study_estimates.comparing_circuits,
    ):
        one, three = need([TOY]), need([replace(TOY, members=900)] * 3)
        assert three.memory > 2 * one.memory
        assert three.minutes >= one.minutes


def test_what_streams_needs_no_more_memory_for_more_prompts():
    for need in (study_estimates.distances, study_estimates.projecting, study_estimates.first_token):
        some, many = (need([replace(TOY, context=128, prompts=prompts)]) for prompts in (1024, 8192))
        assert many.memory == some.memory
    thousand = replace(TOY, members=125, context=128)  # 1,000 heads
    assert study_estimates.distances([thousand]).memory < 4000
    assert study_estimates.projecting([thousand]).memory < 4000
    five = replace(TOY, members=625, context=128)
    assert study_estimates.distances([five]).memory < 8000
    assert study_estimates.projecting([five]).memory < 8000


def test_autoencoders_cost_no_more_than_their_numbers_allow():
    settings = STUDY["autoencoders"]
    long, longer = (study_estimates.autoencoders([replace(TOY, context=context)], settings) for context in (64, 128))
    assert longer.memory < 5000
    assert longer.minutes < 2 * long.minutes
    whole = study_estimates.autoencoders([replace(TOY, context=128)], settings | {"numbers": None})
    assert whole.memory > 5 * longer.memory


def test_pairs_are_no_more_than_the_configuration_allows():
    many = replace(TOY, queries_keys=10**4)
    assert estimates.pairs(many, 10**6).memory > estimates.pairs(TOY, 10**6).memory
    assert estimates.pairs(many, 10**7).memory > estimates.pairs(many, 10**6).memory


def test_a_need_is_rounded_up_and_no_longer_than_a_day():
    need = estimates.training(replace(TOY, members=1000, vocabulary=50_000, training=TRAINING | {"windows": 10**6}))
    assert need.memory % 100 == 0
    assert need.minutes == 24 * 60


def test_a_rule_without_an_estimate_of_its_own_draws():
    assert by_rule.of_rule({"threads": 2}, "draw_scales", "toy") == model_sizes.Need(estimates.FIGURES, 10)
