"""Knockouts equal a plain loop that replaces one head's output at a time and runs everything anew."""

import json
from dataclasses import replace
from inspect import signature
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file

from headatlas.base.errors import InputError
from headatlas.models import ablations, families, interventions, knockout, memory_limits, pretrained
from knockout_models import SMALL, gathered, some_tokens, toy
from tiny_checkpoints import AUTO, checkpoint, opened, task_of
from toy_models import one_by_one, perturbed

OPTIONS = {
    "published": {"activation": "solu_ln"},
    "no MLP": {"activation": "none", "layers": 3},
    "two layers": {"layers": 2},
    "three layers, solu": {"layers": 3, "activation": "solu_ln"},
    "no residual": {"residual": False, "layers": 2, "activation": "relu"},
    "tied": {"tied_layers": True, "layers": 3, "tied_unembedding": True, "embedding_max_norm": 1.0},
    "no norm": {"layer_norm": False, "layers": 2, "activation": "identity"},
    "bare": {"layer_norm": False, "residual": False, "activation": "none", "layers": 2},
    "bidirectional": {"causal": False, "layers": 2},
    "bidirectional, one layer": {"causal": False, "activation": "none"},
}


def reference(weights, architecture, tokens, pad, replaced=None):
    """Logits (prompt, position, vocabulary) of whole passes, prompt by prompt, and heads' outputs by (layer, head).

    `replaced` is (layer, head, what goes on in its place by prompt).
    """
    found, outputs = [], {}
    for prompt, ids in enumerate(tokens):

        def pass_on(layer, head, mixed, prompt=prompt):
            outputs.setdefault((layer, head), []).append(mixed)
            if replaced is not None and (layer, head) == replaced[:2]:
                return replaced[2][prompt]
            return mixed

        found.append(one_by_one(weights, architecture, torch.tensor(ids), pad, pass_on)[0])
    return torch.stack(found), {key: torch.stack(parts) for key, parts in outputs.items()}


@pytest.mark.parametrize("pad", [None, 39])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_equal_to_a_loop_that_runs_everything_anew(tmp_path, options, pad):
    architecture = replace(SMALL, **options)
    weights = {name: value.double() for name, value in perturbed(architecture, [5, 6]).items()}
    tokens = some_tokens(pad)
    order = [1, 0, 3, 2] if pad is None else [0, 1, 3, 2]  # so that donors end where their prompts end
    donors = tokens[order]
    member = interventions.open_member(toy(tmp_path, architecture, weights, pad), 1)
    own = {name: value[1] for name, value in weights.items()}
    means = knockout.mean_outputs(member, tokens, pad, memory=1)
    given = knockout.Replacements(means, donors)
    _, at = knockout.reading(tokens, True, pad)
    whole = gathered(member, tokens, replacements=given)
    last = gathered(member, tokens, replacements=given, at=at, memory=1)  # a prompt at a time
    assert whole.keys() == last.keys()

    clean, outputs = reference(own, architecture, tokens, pad)
    torch.testing.assert_close(whole[None, -1][0], clean)
    real = torch.ones(tokens.shape) if pad is None else torch.tensor(tokens != pad).double()
    for (layer, head), output in outputs.items():
        mean = (output * real[..., None]).sum(0) / real.sum(0)[:, None].clamp(1)
        torch.testing.assert_close(means[layer][:, head], mean)
        for kind, other in zip(knockout.KINDS, (0 * output, mean.expand_as(output), output[order]), strict=True):
            expected, _ = reference(own, architecture, tokens, pad, (layer, head, other))
            assert (expected - clean).abs().max() > 1e-3
            torch.testing.assert_close(whole[kind, layer][head], expected, atol=1e-8, rtol=1e-6)
            read = expected[torch.arange(len(at)), torch.tensor(at)]
            torch.testing.assert_close(last[kind, layer][head, :, 0], read, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("options", [{"layers": 2}, {"activation": "solu_ln"}], ids=str)
def test_knocking_out_nothing_changes_nothing(tmp_path, options):
    """Each prompt is its own donor."""
    architecture = replace(SMALL, **options)
    member = interventions.open_member(toy(tmp_path, architecture, perturbed(architecture, [5])), 0)
    tokens = some_tokens(None)
    given = knockout.Replacements(donors=tokens)
    found = gathered(member, tokens, kinds=("resample",), replacements=given)
    for logits in found.values():
        torch.testing.assert_close(logits, found[None, -1].expand_as(logits), atol=1e-5, rtol=1e-5)


def test_a_head_that_always_says_the_same_is_its_mean(tmp_path):
    architecture = replace(SMALL, layers=2)
    weights = perturbed(architecture, [5])
    weights["layers.1.attention.value.weight"][:, :, 1] = 0  # its value is its bias whatever it reads
    member = interventions.open_member(toy(tmp_path, architecture, weights), 0)
    tokens = some_tokens(None)
    given = knockout.Replacements(knockout.mean_outputs(member, tokens))
    found = gathered(member, tokens, kinds=("zero", "mean"), replacements=given)
    torch.testing.assert_close(found["mean", 1][1], found[None, -1][0], atol=1e-5, rtol=1e-5)
    assert (found["zero", 1][1] - found[None, -1][0]).abs().max() > 1e-2
    assert (found["mean", 1][0] - found[None, -1][0]).abs().max() > 1e-2


def assert_shifting_equals_replacing(member, tokens):
    """What a head writes, added to the stream, is what changing its output does; W_O writes what the layer writes."""
    trace = member.run(tokens)
    for layer, outputs in enumerate(trace.outputs):
        change = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(layer)).permute(2, 0, 1, 3)
        change = change.to(outputs.dtype)
        written = torch.einsum("hptd,hdm->hptm", change, member.writers(layer))
        replaced = member.replaced(trace, layer, change)
        torch.testing.assert_close(member.shifted(trace, layer, written), replaced, atol=1e-4, rtol=1e-4)
        assert (replaced - trace.hidden).abs().max() > 1e-2


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_shifting_the_stream_equals_replacing_the_output(tmp_path, options):
    architecture = replace(SMALL, **options)
    member = interventions.open_member(toy(tmp_path, architecture, perturbed(architecture, [5])), 0)
    assert_shifting_equals_replacing(member, some_tokens(None))


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "albert"])
def test_shifting_the_stream_of_pretrained_models(tmp_path, name):
    family = opened(tmp_path, [checkpoint(tmp_path / "given", name)], task_of(name))
    member = interventions.open_member(family, 0)
    assert_shifting_equals_replacing(member, np.random.default_rng(0).integers(3, 30, (2, 9)))
    for layer in range(family.layers):
        expected = torch.from_numpy(family.head_weights(0, layer)["W_O"])
        torch.testing.assert_close(member.writers(layer), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pad", [None, 39])
def test_how_outputs_vary_about_their_means(tmp_path, pad):
    architecture, tokens = replace(SMALL, layers=2), some_tokens(pad)
    member = interventions.open_member(toy(tmp_path, architecture, perturbed(architecture, [5]), pad), 0)
    means, variations = knockout.output_statistics(member, tokens, pad, memory=1)
    real = torch.ones(tokens.shape, dtype=torch.bool) if pad is None else torch.tensor(tokens != pad)
    for layer, outputs in enumerate(member.run(tokens).outputs):
        varying = (outputs - means[layer])[real].double()  # (token, head, d_head)
        expected = torch.einsum("thi,thj->hij", varying, varying) / len(varying)
        torch.testing.assert_close(variations[layer], expected, atol=1e-6, rtol=1e-5)
        written = torch.einsum("thd,hdm->htm", varying, member.writers(layer).double())
        sizes = written.square().sum(-1).mean(1).sqrt()
        torch.testing.assert_close(
            knockout.written_size(variations[layer], member.writers(layer)), sizes, rtol=1e-4, atol=0
        )


def test_exchange_with_oneself_or_with_silence(tmp_path):
    architecture, tokens = replace(SMALL, layers=2), some_tokens(None)
    member = interventions.open_member(toy(tmp_path, architecture, perturbed(architecture, [5])), 0)
    means = knockout.mean_outputs(member, tokens)
    ablated = gathered(member, tokens, kinds=("mean",), replacements=knockout.Replacements(means))
    trace = member.run(tokens)
    for layer in range(2):
        own = torch.einsum("pthd,hdm->hptm", trace.outputs[layer] - means[layer], member.writers(layer))
        factors = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        for head, hidden in enumerate(knockout.exchange(member, trace, layer, own, own, factors)):
            logits = member.readout.logits(hidden)  # (other, prompt, position, vocabulary)
            itself, silence = logits[head], logits[1 - head]
            torch.testing.assert_close(itself, ablated[None, -1][0], atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(silence, ablated["mean", layer][head], atol=1e-5, rtol=1e-4)


def attention_projections(model):
    """The modules from the heads' outputs to the stream, by layer."""
    named = {"gpt2": "attn.c_proj", "llama": "self_attn.o_proj", "bert": "attention.output.dense", "albert": "n.dense"}
    return [module for name, module in model.named_modules() if name.endswith(named[model.config.model_type])]


def by_hook(model, tokens, layer, head, d_head):
    """Logits of transformers' own eager model with a head's output zeroed before the projection that reads it."""
    modules, count = attention_projections(model), 0
    shared = len(modules) == 1

    def zero(_, inputs):
        nonlocal count
        count += 1
        if shared and count != layer + 1:
            return None
        x = inputs[0].clone()
        x[..., head * d_head : (head + 1) * d_head] = 0
        return (x,)

    hook = modules[0 if shared else layer].register_forward_pre_hook(zero)
    try:
        with torch.no_grad():
            return model(torch.tensor(tokens), attention_mask=torch.ones_like(torch.tensor(tokens))).logits
    finally:
        hook.remove()


def assert_equal_to_hooks(family, model, tokens, atol):
    member = interventions.open_member(family, 0)
    found = gathered(member, tokens, kinds=("zero",), memory=1 << 20)
    with torch.no_grad():
        clean = model(torch.tensor(tokens), attention_mask=torch.ones_like(torch.tensor(tokens))).logits
    torch.testing.assert_close(found[None, -1][0], clean, atol=atol, rtol=1e-4)
    changed = 0.0
    for layer in range(family.layers):
        for head in range(family.heads):
            expected = by_hook(model, tokens, layer, head, family.d_head)
            changed = max(changed, float((expected - clean).abs().max()))
            torch.testing.assert_close(found["zero", layer][head], expected, atol=atol, rtol=1e-4)
    assert changed > 100 * atol


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "albert"])
def test_equal_to_transformers_with_the_heads_output_zeroed(tmp_path, name):
    given = checkpoint(tmp_path / "given", name)
    family = opened(tmp_path, [given], task_of(name))
    model = AUTO[task_of(name)].from_pretrained(given["name"], attn_implementation="eager", dtype=torch.float32).eval()
    assert_equal_to_hooks(family, model, np.random.default_rng(0).integers(3, 30, (2, 9)), 1e-5)


@pytest.mark.parametrize(("name", "task"), [("stories260K", "causal"), ("rxnmapper_albert", "masked")])
def test_equal_to_transformers_for_real_checkpoints(mirror, tmp_path, name, task):
    folder = mirror / "models" / name
    weights, config = pretrained.fetch([{"name": str(folder)}], task)
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    family = families.load_family(tmp_path / "model.safetensors", tmp_path / "config.json")
    auto = {"causal": transformers.AutoModelForCausalLM, "masked": transformers.AutoModelForMaskedLM}[task]
    model = auto.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    tokens = np.random.default_rng(0).integers(5, 100, (1, 6))
    assert_equal_to_hooks(family, model, tokens, 1e-4)


def test_pretrained_mean_and_resample(tmp_path):
    """A pretrained model's own arithmetic: replaced at read positions only or everywhere, in one block or several."""
    family = opened(tmp_path, [checkpoint(tmp_path / "given", "gpt2")], "causal")
    member = interventions.open_member(family, 0)
    tokens = np.random.default_rng(0).integers(3, 30, (4, 9))
    given = knockout.Replacements(knockout.mean_outputs(member, tokens), tokens[[1, 2, 3, 0]])
    _, at = knockout.reading(tokens, True)
    whole = gathered(member, tokens, replacements=given)
    last = gathered(member, tokens, replacements=given, at=at, memory=1)
    for key, logits in last.items():
        torch.testing.assert_close(logits[:, :, 0], whole[key][:, :, -1], atol=1e-5, rtol=1e-4)


def test_reading_is_at_the_last_real_token():
    tokens = some_tokens(39)
    shown, at = knockout.reading(tokens, True, 39, 38)
    assert at.tolist() == [3, 0, 5, 5]
    assert (shown == tokens).all()
    shown, _ = knockout.reading(tokens, False, 39, 38)
    assert (shown[range(4), at] == 38).all()
    assert (shown != tokens).sum() == 4


@pytest.mark.parametrize("count", [2, 3, 50])
def test_no_prompt_is_its_own_donor(count):
    found = knockout.deranged(count, 3)
    assert sorted(found) == list(range(count))
    assert not (found == np.arange(count)).any()


def test_donors_have_tokens_wherever_a_prompt_has_any():
    generator = np.random.default_rng(0)
    tokens = generator.integers(1, 30, (12, 9))
    lengths = generator.integers(2, 8, 12)
    lengths[0] = 9  # longer than all others
    tokens[np.arange(9) >= lengths[:, None]] = 0
    found = knockout.draw_donors(tokens, 5, pad=0)
    assert not (found == tokens).all(1).any()
    rest = (found == 0) & (tokens != 0)
    assert not rest[1:].any()
    assert (found[0] != 0).sum() == lengths[1:].max()
    assert len({*map(tuple, knockout.draw_donors(tokens, 6, pad=0))} - {*map(tuple, found)}) > 0
    whole = generator.integers(1, 30, (5, 9))
    assert (knockout.draw_donors(whole, 5, pad=0) == whole[knockout.deranged(5, 5)]).all()


@pytest.mark.parametrize("read", ["all positions", "the last"])
def test_a_donors_padding_stands_for_no_token(tmp_path, read):
    """What a head gives out at padding differs with what padding attends to, so it must not show."""
    architecture = replace(SMALL, layers=2)
    member = interventions.open_member(toy(tmp_path, architecture, perturbed(architecture, [5]), 39), 0)
    tokens = some_tokens(39)
    at = knockout.reading(tokens, True, 39)[1] if read == "the last" else None
    shorter = np.where(np.arange(tokens.shape[1]) < 2, tokens[::-1], 39)
    kinds = {"kinds": ("resample",), "at": at}
    given = gathered(member, tokens, replacements=knockout.Replacements(donors=shorter, pad=39), **kinds)
    real = torch.tensor(shorter != 39)
    trace = member.run(tokens, at)
    for (kind, layer), logits in given.items():
        if kind is None:
            continue
        change = member.run(shorter, at).outputs[layer] - trace.outputs[layer]
        kept = real if change.shape[1] > 1 else real.gather(1, torch.tensor(at)[:, None])
        change = change * kept[..., None, None]
        expected = member.readout.logits(member.replaced(trace, layer, change.permute(2, 0, 1, 3)))
        torch.testing.assert_close(logits, expected)
        plain = gathered(member, tokens, replacements=knockout.Replacements(donors=shorter), **kinds)[kind, layer]
        assert (plain - logits).abs().max() > 1e-4


def test_what_cannot_be_knocked_out_is_said(tmp_path):
    member = interventions.open_member(toy(tmp_path, SMALL, perturbed(SMALL, [5])), 0)
    tokens = some_tokens(None)
    for options, said in (
        ({"kinds": ("one",)}, "'one' is not a kind"),
        ({"kinds": ("mean",)}, "no means"),
        ({"kinds": ("resample",)}, "donors none"),
        (
            {"kinds": ("mean",), "replacements": knockout.Replacements(knockout.mean_outputs(member, tokens[:, :3]))},
            "prompts of 6 tokens, means of 3 positions",
        ),
    ):
        with pytest.raises(InputError, match=said):
            list(knockout.knock_out(member, tokens, **options))
    with pytest.raises(InputError, match="at least 2"):
        knockout.deranged(1, 0)


def test_a_new_kind_is_a_row_of_the_table(tmp_path, monkeypatch):
    """Half of a head's output: by the definitions, one by one; nothing but the table knows of it."""
    monkeypatch.setitem(
        ablations.ABLATIONS, "half", ablations.Ablation("halved", ablations.NOTHING, lambda o, m, d: o / 2)
    )
    monkeypatch.setattr(knockout, "KINDS", tuple(ablations.ABLATIONS))
    weights = perturbed(SMALL, [0])
    tokens = some_tokens(None)
    found = gathered(interventions.open_member(toy(tmp_path, SMALL, weights), 0), tokens, kinds=("half", "zero"))
    for head in range(SMALL.heads):
        halved = one_by_one_of(weights, head, tokens, 0.5)
        torch.testing.assert_close(found["half", 0][head], halved, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(
            found["zero", 0][head], one_by_one_of(weights, head, tokens, 0.0), atol=1e-5, rtol=1e-4
        )


def one_by_one_of(weights, head, tokens, factor):
    """Logits (prompt, position, vocabulary) with one head of SMALL multiplied by a factor."""
    one = {name: value[0] for name, value in weights.items()}

    def replace_one(layer, index, mixed):
        return mixed * factor if index == head else mixed

    return torch.stack([one_by_one(one, SMALL, torch.tensor(ids), None, replace_one)[0] for ids in tokens])


def test_passes_are_cut_to_the_memory_that_jobs_ask_for():
    """`workflow.resources` estimates with the bytes of the one table of limits."""
    quarter = memory_limits.KNOCKOUT // 4
    member = SimpleNamespace(at_once=None, prompt_bytes=lambda size, passes: quarter)
    assert knockout.blocks(member, np.zeros((10, 5)), 3) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    for function in (knockout.mean_outputs, knockout.output_statistics, knockout.knock_out):
        assert signature(function).parameters["memory"].default == memory_limits.KNOCKOUT
