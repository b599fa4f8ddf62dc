"""Pretrained models: patterns equal transformers' own eager attention, whatever a checkpoint asks for."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import every_type
import models_page
import tiny_models
from headatlas.attention import patterns, queries_keys
from headatlas.attention.packing import unpack
from headatlas.base.errors import InputError
from headatlas.models import pretrained
from tiny_checkpoints import AUTO, CONFIGS, checkpoint, opened, task_of


def eager(folder, task, tokens, real=None):
    """What `output_attentions` gives under the implementation that can give it."""
    model = AUTO[task].from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    real = torch.ones_like(torch.tensor(tokens)) if real is None else torch.tensor(real).long()
    with torch.no_grad():
        return model(torch.tensor(tokens), attention_mask=real, output_attentions=True).attentions


def assert_same(family, member, tokens, expected, atol=1e-6):
    taken = list(family.attention(tokens, member))
    assert [layer.layer for layer in taken] == list(range(family.layers)) == list(range(len(expected)))
    for layer in taken:
        torch.testing.assert_close(layer.pattern, expected[layer.layer], atol=atol, rtol=1e-5)
    return taken


@pytest.mark.parametrize("name", CONFIGS)
def test_patterns_equal_eager_attention(tmp_path, name):
    given = checkpoint(tmp_path / "given", name)
    family = opened(tmp_path, [given], task_of(name))
    tokens = np.random.default_rng(0).integers(3, 30, (3, 12))
    taken = assert_same(family, 0, tokens, eager(given["name"], task_of(name), tokens))
    assert (family.heads, family.layers, family.members, family.context) == (4, 3, 1, family.context)
    for layer in taken:
        assert layer.queries.shape == layer.keys.shape == (3, 4, 12, family.d_head)
    assert max(float(layer.pattern.max()) for layer in taken) > 0.5  # far from uniform


@pytest.mark.parametrize("name", ["gpt2", "gpt2 scaled by layer", "gpt_neox", "llama", "bert", "albert"])
def test_queries_and_keys_give_the_patterns(tmp_path, name):
    family = opened(tmp_path, [checkpoint(tmp_path / "given", name)], task_of(name))
    tokens = np.random.default_rng(0).integers(3, 30, (2, 9))
    assert family.rotary == (name in ("gpt_neox", "llama"))
    for layer in family.attention(tokens, 0):
        scores = layer.queries @ layer.keys.mT * family.scaling
        if family.causal:
            scores = scores.masked_fill(torch.ones(9, 9).triu(1).bool(), -torch.inf)
        torch.testing.assert_close(scores.softmax(-1), layer.pattern, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "roberta"])
def test_padding_is_never_attended_to(tmp_path, name):
    """Also where the padding's id is past the model's vocabulary, and where a window starts with padding."""
    given = checkpoint(tmp_path / "given", name)
    family = opened(tmp_path, [given], task_of(name), pad=30)
    assert family.pad == 30
    tokens = np.random.default_rng(0).integers(3, 30, (2, 9))
    tokens[0, 6:] = 30
    real = tokens != 30
    stand_in = 1 if name == "roberta" else 0
    expected = eager(given["name"], task_of(name), np.where(real, tokens, stand_in), real)
    for layer in assert_same(family, 0, tokens, expected):
        assert not layer.pattern[0, :, :, 6:].any()
    tokens[1, :2] = 30
    for layer in family.attention(tokens, 0):
        torch.testing.assert_close(layer.pattern.sum(-1), torch.ones(2, 4, 9))
        assert not layer.pattern[1, :, 2:, :2].any()
        assert not family.causal or not layer.pattern.triu(1).any()


@pytest.mark.parametrize("asked", ["sdpa", "eager", "flash_attention_2", "flex_attention"])
def test_whatever_implementation_a_checkpoint_asks_for(tmp_path, asked):
    given = checkpoint(tmp_path / "given", "llama")
    tokens = np.random.default_rng(0).integers(3, 30, (2, 8))
    expected = eager(given["name"], "causal", tokens)
    config = json.loads((tmp_path / "given" / "config.json").read_text())
    config["_attn_implementation"] = config["attn_implementation"] = asked
    (tmp_path / "given" / "config.json").write_text(json.dumps(config))
    assert_same(opened(tmp_path, [given], "causal"), 0, tokens, expected)


def test_members_are_checkpoints(tmp_path):
    given = [checkpoint(tmp_path / f"seed{seed}", "gpt2", seed) for seed in range(3)]
    family = opened(tmp_path, given, "causal")
    tokens = np.random.default_rng(0).integers(3, 30, (2, 8))
    assert family.members == 3
    for member in (2, 0, 1):
        assert_same(family, member, tokens, eager(given[member]["name"], "causal", tokens))
    patterns.write(tmp_path / "p.parquet", family, tokens)
    heads, found, facts = patterns.read_heads(tmp_path / "p.parquet")
    assert len(heads) == 3 * 3 * 4
    assert found.shape == (36, 2, 36)
    assert facts["packing"] == "lower"


def test_checkpoints_in_half_precision_keep_it_on_disk(tmp_path):
    given = checkpoint(tmp_path / "given", "llama")
    model = transformers.AutoModelForCausalLM.from_pretrained(given["name"], dtype=torch.bfloat16)
    model.save_pretrained(given["name"])
    weights, _ = pretrained.fetch([given], "causal")
    assert {value.dtype for value in weights.values()} == {torch.bfloat16}
    tokens = np.random.default_rng(0).integers(3, 30, (2, 8))
    assert_same(opened(tmp_path, [given], "causal"), 0, tokens, eager(given["name"], "causal", tokens))


def test_no_logits_and_no_last_output_are_computed(tmp_path, monkeypatch):
    family = opened(tmp_path, [checkpoint(tmp_path / "given", "llama")], "causal")
    model, ran = family._model, []
    for name, module in model.named_modules():
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    list(family.attention(np.array([[3, 4, 5]]), 0))
    assert "model.layers.1.mlp" in ran
    assert "model.layers.2.self_attn.q_proj" in ran
    assert not {"lm_head", "model.norm", "model.layers.2.mlp", "model.layers.2.self_attn.o_proj"} & set(ran)


OUTPUTS = {
    "gpt2": "transformer.h.0.attn.c_proj",
    "llama": "model.layers.0.self_attn.o_proj",
    "bert": "bert.encoder.layer.0.attention.output.dense",
    "albert": "albert.encoder.albert_layer_groups.0.albert_layers.0.attention.dense",
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_head_weights_rebuild_the_first_layer(tmp_path, name):
    """With positions and biases at zero, scores and outputs of the first layer follow from the matrices alone."""
    given = checkpoint(tmp_path / "given", name)
    state = load_file(tmp_path / "given" / "model.safetensors")
    for key, value in state.items():
        if key.endswith("bias") or any(part in key for part in ("wpe", "position_emb", "token_type")):
            value.zero_()
        if "word_embeddings" in key:  # so that the LayerNorm that follows does no more than its scale says
            value.sub_(value.mean(-1, keepdim=True)).div_(value.std(-1, keepdim=True, unbiased=False))
    save_file(state, tmp_path / "given" / "model.safetensors", metadata={"format": "pt"})
    family = opened(tmp_path, [given], task_of(name))
    w = family.head_weights(0, 0)
    assert w["W_E"].shape == w["W_U"].T.shape == (30, 16)
    assert w["W_Q"].shape == w["W_K"].shape == w["W_V"].shape == w["W_O"].swapaxes(1, 2).shape
    assert w["W_Q"].shape == (4, 16, family.d_head)

    tokens = np.array([[7]]) if name == "llama" else np.array([[7, 9, 4]])  # a lone token is not rotated
    taken = next(family.attention(tokens, 0))
    rows = w["W_E"][tokens]  # (batch, position, d_model)
    if name == "gpt2":
        rows = rows - rows.mean(-1, keepdims=True)
    if name in ("gpt2", "llama"):
        rows = rows / np.sqrt(np.square(rows).mean(-1, keepdims=True))
    queries, keys, values = (np.einsum("bpd,hdk->bhpk", rows, w[part]) for part in ("W_Q", "W_K", "W_V"))
    np.testing.assert_allclose(queries, taken.queries, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(keys, taken.keys, rtol=1e-3, atol=1e-4)

    outputs = []
    family._model.get_submodule(OUTPUTS[name]).register_forward_hook(lambda *call: outputs.append(call[2]))
    with torch.no_grad():
        family._model(torch.tensor(tokens))
    rebuilt = np.einsum("bhqk,bhkd,hde->bqe", taken.pattern.numpy(), values, w["W_O"])
    np.testing.assert_allclose(rebuilt, outputs[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_the_unembedding_carries_the_final_norms_scale(tmp_path, name):
    given = checkpoint(tmp_path / "given", name)
    model = transformers.AutoModelForCausalLM.from_pretrained(given["name"]).eval()
    norm = model.transformer.ln_f if name == "gpt2" else model.model.norm
    streams = []
    norm.register_forward_pre_hook(lambda _, inputs: streams.append(inputs[0]))
    with torch.no_grad():
        if name == "gpt2":
            norm.bias.zero_()
        logits = model(torch.tensor([[3, 4, 5]])).logits
    rows = streams[0] - streams[0].mean(-1, keepdim=True) if name == "gpt2" else streams[0]
    rows = rows / rows.square().mean(-1, keepdim=True).sqrt()
    w = opened(tmp_path, [given], "causal").head_weights(0, 0)
    np.testing.assert_allclose(rows.numpy() @ w["W_U"], logits, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("afmoe", "does not go straight into a linear map"),  # a gate stands between the heads and their projection
        ("axk2", "queries are no linear map"),
    ],
)
def test_head_weights_that_are_no_linear_maps_are_an_error(tmp_path, kind, reason):
    family = opened(tmp_path, [tiny_models.save(tmp_path / "given", kind)], "causal")
    with pytest.raises(InputError, match=f"'{kind}': its OV and QK weights cannot be had.*{reason}") as caught:
        family.head_weights(0, 0)
    assert "\n" not in str(caught.value)


def test_head_weights_carry_the_scaling_of_their_layer(tmp_path):
    """Queries as `attention` gives them: GPT-2 may divide the scores of each layer by its number."""
    family = opened(tmp_path, [checkpoint(tmp_path / "given", "gpt2 scaled by layer")], "causal")
    first, last = (family.head_weights(0, layer)["W_Q"] for layer in (0, 2))
    family._scalings = [family.scaling] * 3
    np.testing.assert_allclose(first, family.head_weights(0, 0)["W_Q"])
    np.testing.assert_allclose(3 * last, family.head_weights(0, 2)["W_Q"], rtol=1e-6)


SAMPLE = [("gpt_neo", "causal"), ("gptj", "causal"), ("bloom", "causal"), ("falcon", "causal"), ("mpt", "causal")]
SAMPLE += [("gpt_neox", "causal"), ("qwen3", "causal"), ("deepseek_v32", "causal"), ("granite", "causal")]
SAMPLE += [("mpnet", "masked"), ("roformer", "masked"), ("deberta", "masked"), ("deberta-v2", "masked")]
SAMPLE += [("xlm", "masked"), ("esm", "masked"), ("modernbert", "masked")]


@pytest.mark.parametrize(("kind", "task"), SAMPLE)
def test_a_type_equals_its_own_model(tmp_path, kind, task):
    """A sample of what tests/long does for every type; patterns, padding on both sides, ablation and matrices."""
    found = every_type.examine(kind, task, tmp_path)
    assert max(found["patterns"], found["left"], found["right"]) < 1e-5
    assert max(found["zeroed"], found["qk"], found["ov"]) < 1e-4
    assert models_page.row(kind, task, found) in models_page.PAGE.read_text(encoding="utf-8").splitlines()


def test_the_page_of_models_has_every_type_of_the_transformers_installed():
    text = models_page.PAGE.read_text(encoding="utf-8")
    assert f"`transformers` {transformers.__version__}:" in text
    listed = re.findall(r"^\| ([\w-]+) \| (causal|masked) \|", text, re.MULTILINE)
    assert sorted(listed) == tiny_models.types()


TERMS = {
    "llama": [],
    "gpt_neo": ["layer 1: only keys at most 3 positions away are seen (a sliding window)"],
    "bloom": ["all layers: a bias by the positions of query and key is added (as in ALiBi)"],
    "mpnet": ["all layers: a bias by the positions of query and key is added (as in ALiBi)"],
    "deberta": ["all layers: terms by tokens and by their relative positions are added"],
    "deepseek_v32": ["all layers: some keys are not seen, by what the tokens are (sparse attention)"],
    "gemma2": [
        "layers 0, 2: only keys at most 3 positions away are seen (a sliding window)",
        "all layers: scores are squeezed into (-50, 50) by a tanh (softcap)",
    ],
}


@pytest.mark.parametrize("kind", TERMS)
def test_what_enters_scores_besides_queries_and_keys_is_said_beside_them(tmp_path, kind):
    task = "masked" if kind in ("mpnet", "deberta") else "causal"
    family = opened(tmp_path, [tiny_models.save(tmp_path / "given", kind, task)], task)
    tokens = np.random.default_rng(0).integers(5, 60, (2, 14))
    queries_keys.write(tmp_path / "qk.parquet", family, tokens)
    *_, facts = queries_keys.read_heads(tmp_path / "qk.parquet")
    assert facts["other_terms"] == TERMS[kind]
    layers = list(family.attention(tokens, 0))
    allowed = torch.ones(14, 14).tril().bool() if family.causal else torch.ones(14, 14).bool()
    rebuilt = [
        (layer.queries @ layer.keys.mT * facts["scaling"]).masked_fill(~allowed, -torch.inf).softmax(-1)
        for layer in layers
    ]
    same = all(torch.allclose(one, layer.pattern, atol=1e-5) for one, layer in zip(rebuilt, layers, strict=True))
    assert same == (not TERMS[kind])


def test_the_comparison_of_types_sees_a_difference(tmp_path, monkeypatch):
    """What is held against the model is wrong on purpose: each number must show it."""
    real = pretrained.PretrainedFamily.attention

    def neighbour(self, tokens, member):
        for layer in real(self, tokens, member):
            yield layer._replace(pattern=layer.pattern.roll(1, 1), queries=layer.queries.roll(1, -1))

    monkeypatch.setattr(pretrained.PretrainedFamily, "attention", neighbour)
    right = every_type._zeroed_by_hook

    def other_head(one, module, call, head, *shown):
        return right(one, module, call, (head + 1) % one.family.heads, *shown)

    monkeypatch.setattr(every_type, "_zeroed_by_hook", other_head)
    found = every_type.examine("llama", "causal", tmp_path)
    assert min(found["patterns"], found["left"], found["right"], found["qk"]) > 1e-2
    assert found["zeroed"] > 1e-3


@pytest.mark.parametrize(
    ("name", "task", "layers", "heads", "pad"),
    [("stories260K", "causal", 5, 8, None), ("rxnmapper_albert", "masked", 12, 8, 0)],
)
def test_real_models_equal_eager_attention(tmp_path, mirror, name, task, layers, heads, pad):
    folder = mirror / "models" / name
    family = opened(tmp_path, [{"name": "somebody/" + name, "revision": "abc", "folder": folder}], task)
    assert (family.members, family.layers, family.heads, family.pad) == (1, layers, heads, pad)
    assert family.config["checkpoints"] == [{"name": "somebody/" + name, "revision": "abc"}]
    tokens = np.random.default_rng(0).integers(5, family.vocabulary, (3, 40))
    real = np.ones_like(tokens)
    if pad is not None:
        tokens[1, 30:] = pad
        real[1, 30:] = 0
    assert_same(family, 0, tokens, eager(folder, task, tokens, real))
    patterns.write(tmp_path / "p.parquet", family, tokens, memory=1 << 20)
    found, packed, facts = patterns.read_heads(tmp_path / "p.parquet")
    assert len(found) == layers * heads
    rows = unpack(packed, 40, facts["packing"]).sum(-1)
    np.testing.assert_allclose(rows, 1, atol=1e-4)


def test_a_known_previous_token_head_is_found(tmp_path, mirror):
    """Head 6 of layer 3 of the real stories260K looks at the previous token, whatever the tokens are."""
    family = opened(tmp_path, [{"name": str(mirror / "models" / "stories260K")}], "causal")
    tokens = np.random.default_rng(0).integers(259, 512, (4, 64))  # ids of whole pieces, not of bytes
    scores = np.array(
        [layer.pattern.diagonal(-1, -2, -1).mean((0, 2)).numpy() for layer in family.attention(tokens, 0)]
    )  # (layer, head)
    assert np.unravel_index(scores.argmax(), scores.shape) == (3, 6)
    assert 0.7 < scores[3, 6] < 0.9


def copied(folder, source):
    return shutil.copytree(source, folder, dirs_exist_ok=True)


def test_what_cannot_be_loaded_is_named_in_one_line(tmp_path):
    good = checkpoint(tmp_path / "good", "gpt2")["name"]
    other = checkpoint(tmp_path / "other", "gpt2", n_layer=2)["name"]
    pickled, torn, empty, strange, bare, sequence = (
        tmp_path / part for part in ("pkl", "torn", "0", "odd", "bare", "s2s")
    )
    copied(pickled, good)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    copied(torn, good)
    (torn / "model.safetensors").write_bytes((torn / "model.safetensors").read_bytes()[:2000])
    empty.mkdir()
    copied(strange, good)
    (strange / "config.json").write_text('{"model_type": "nonesuch"}')
    state = load_file(tmp_path / "good" / "model.safetensors")
    copied(bare, good)
    save_file({k: v for k, v in state.items() if "h.1" not in k}, bare / "model.safetensors", metadata={"format": "pt"})
    copied(sequence, good)
    (sequence / "config.json").write_text('{"model_type": "t5"}')
    remote = copied(tmp_path / "remote", good)
    (remote / "config.json").write_text('{"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine"}}')
    (remote / "mine.py").write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n")
    cases = [
        ([good], "translation", "task: 'translation' is not known"),
        ([], "causal", "checkpoints: at least one"),
        ([str(tmp_path / "none")], "causal", "there is no folder"),
        ([str(pickled)], "causal", r"no \.safetensors file \(only pytorch_model\.bin, which is never unpickled\)"),
        ([str(torn)], "causal", r"has a damaged model\.safetensors"),
        ([str(empty)], "causal", r"no config\.json"),
        ([str(strange)], "causal", "configuration cannot be loaded.*nonesuch"),
        ([str(remote)], "causal", "configuration cannot be loaded"),
        ([str(bare)], "causal", r"lacks 12 weights, the first transformer\.h\.1\."),
        ([str(sequence)], "masked", "'t5' is not a masked language model"),
        ([good], "masked", "'gpt2' is not a masked language model"),
        ([good, other], "causal", r"checkpoints\[1\] .*n_layer is 2, but 3 in"),
    ]
    for names, task, message in cases:
        with pytest.raises(InputError, match=message) as caught:
            pretrained.fetch([{"name": name} for name in names], task)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists(), "code that came with a model was run"


BAD = {
    "vocabulary of a half": ("llama", {"vocab_size": 96.5}, "Field 'vocab_size' expected int, got float"),
    "vocabulary as a float": ("llama", {"vocab_size": 60.0}, "Field 'vocab_size' expected int, got float"),
    "context as text": ("llama", {"max_position_embeddings": "64"}, "'max_position_embeddings' expected int, got str"),
    "heads that do not divide": (
        "llama",
        {"num_attention_heads": 5},
        "not a multiple of the number of attention heads",
    ),
    "heads that do not divide, by the model": ("gpt2", {"n_head": 5}, "divisible by num_heads"),
    "fewer layers": ("gpt2", {"n_layer": 2}, r"says n_layer 2, but the file has weights of more, the first .*h\.2\."),
    "more layers": ("gpt2", {"n_layer": 4}, r"lacks 12 weights, the first transformer\.h\.3"),
    "another width": ("gpt2", {"n_embd": 36}, r"has the shape \(\d+,.*\) in the file and \(\d+.*\) by config.json"),
    "an activation of no name": ("gpt2", {"activation_function": "nosuch"}, "'nosuch' is not known to transformers"),
    "sinks": ("gpt_oss", {}, "'gpt_oss': patterns cannot be taken, part of each row goes to no token .attention sinks"),
    "a mixture with recurrence": ("qwen3_next", {}, "only 2 of its 3 layers have softmax attention"),
    "layers that differ": ("gemma4_text", {}, r"differ in their number of dimensions of a head \(8, 512\)"),
    "layers that pool": ("funnel", {}, "patterns cannot be taken"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_configuration_that_does_not_fit_ends_in_one_line(tmp_path, case):
    kind, changes, message = BAD[case]
    task = "masked" if kind == "funnel" else "causal"
    given = tiny_models.save(tmp_path / "given", kind, task)
    settings = json.loads((tmp_path / "given" / "config.json").read_text())
    (tmp_path / "given" / "config.json").write_text(json.dumps(settings | changes))
    with pytest.raises(InputError, match=message) as caught:
        pretrained.fetch([given], task)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_named(tmp_path, value):
    given = tiny_models.save(tmp_path / "given", "llama")
    state = load_file(tmp_path / "given" / "model.safetensors")
    state["model.layers.1.mlp.up_proj.weight"][2, 3] = value
    save_file(state, tmp_path / "given" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"a weight is not a number: model\.layers\.1\.mlp\.up_proj\.weight"):
        pretrained.fetch([given], "causal")


def test_a_padding_id_of_minus_one_is_no_token(tmp_path):
    """Where no id below the vocabulary is padding, any token may stand in its place: it is never attended to."""
    family = opened(tmp_path, [tiny_models.save(tmp_path / "given", "llama", pad_token_id=-1)], "causal")
    tokens = np.random.default_rng(0).integers(5, 60, (2, 8))
    tokens[1, 5:] = family.pad
    for layer in family.attention(tokens, 0):
        assert not layer.pattern[1, :, :5, 5:].any()


@pytest.mark.parametrize("kind", ["camembert", "data2vec-text", "esm", "xmod", "luke", "ibert", "roberta", "mpnet"])
def test_positions_that_start_behind_the_padding_are_not_counted(tmp_path, kind):
    """As many tokens as the table has rows for positions, and not one more."""
    positions = {"max_position_embeddings": 20, "pad_token_id": 1}
    family = opened(tmp_path, [tiny_models.save(tmp_path / "given", kind, "masked", **positions)], "masked", pad=1)
    assert family.context == 18
    tokens = np.random.default_rng(0).integers(5, 50, (1, 19))
    assert len(list(family.attention(tokens[:, :18], 0))) == 3
    with pytest.raises((IndexError, RuntimeError)):
        family._model(torch.tensor(tokens), attention_mask=torch.ones(1, 19))
    with pytest.raises(InputError, match="context is 18"):
        list(family.attention(tokens, 0))


def small(kind, **settings):
    return transformers.AutoConfig.for_model(kind, **settings)


def test_types_whose_attention_cannot_be_seen_are_named(tmp_path):
    fnet = small("fnet", hidden_size=16, num_hidden_layers=2, intermediate_size=24, vocab_size=30)
    mamba = small("mamba", hidden_size=16, num_hidden_layers=2, vocab_size=30, state_size=4)
    for config, task in ((fnet, "masked"), (mamba, "causal")):
        AUTO[task].from_config(config).save_pretrained(tmp_path / config.model_type)
        with pytest.raises(InputError, match=f"model type '{config.model_type}': patterns cannot be taken") as caught:
            pretrained.fetch([{"name": str(tmp_path / config.model_type)}], task)
        assert "\n" not in str(caught.value)


def test_a_model_that_looks_ahead_is_not_causal(tmp_path):
    given = checkpoint(tmp_path / "given", "bert")
    with pytest.raises(InputError, match="'bert': task causal, but a token sees"):
        pretrained.fetch([given], "causal")


def test_tokens_the_model_does_not_have_are_named(tmp_path):
    family = opened(tmp_path, [checkpoint(tmp_path / "given", "gpt2")], "causal")
    with pytest.raises(InputError, match=r"token 30: .* 0 to 29"):
        next(family.attention(np.array([[3, 30]]), 0))
    with pytest.raises(InputError, match=r"windows of 21 tokens.*context is 20"):
        next(family.attention(np.zeros((1, 21), dtype=int), 0))
