"""The toy transformer against implementations that know nothing of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel

from architectures import architecture_of
from headatlas.base.errors import InputError
from headatlas.models import transformer
from toy_models import one_by_one, perturbed

SMALL = architecture_of(vocabulary=40, context=10, layers=2, heads=3, d_model=12, d_head=5, d_mlp=20, activation="gelu")


def some_tokens(members=1, size=10, low=0):
    return torch.from_numpy(np.random.default_rng(1).integers(low, 40, (members, 4, size)))


@pytest.mark.parametrize(
    ("options", "pad"),
    [
        ({}, None),
        ({"activation": "none"}, 3),
        ({"activation": "identity", "residual": False, "layer_norm": False, "tied_layers": True}, None),
        ({"activation": "relu", "residual": False}, 3),
        ({"activation": "solu_ln"}, None),
        ({"activation": "solu_ln", "layer_norm": False, "causal": False}, 3),
        ({"tied_unembedding": True, "causal": False}, None),
        ({"embedding_max_norm": 1.0, "tied_layers": True}, 3),
    ],
)
def test_every_option_equals_the_definitions_member_by_member(options, pad):
    architecture = replace(SMALL, **options)
    weights, tokens = perturbed(architecture), some_tokens(members=3)
    tokens[:, 1, 7:] = 3
    found = transformer.logits(weights, architecture, tokens, pad)  # (member, batch, position, vocabulary)
    layers = list(transformer.attention_layers(weights, architecture, tokens, pad))
    for member in range(3):
        own = {name: value[member] for name, value in weights.items()}
        for prompt in range(4):
            expected, patterns = one_by_one(own, architecture, tokens[member, prompt], pad)
            torch.testing.assert_close(found[member, prompt], expected, atol=1e-4, rtol=1e-4)
            for layer, pattern in zip(layers, patterns, strict=True):
                torch.testing.assert_close(layer.pattern[member, prompt], pattern, atol=1e-5, rtol=1e-4)


def test_logits_equal_those_of_gpt2_with_the_same_weights():
    architecture = replace(SMALL, heads=3, d_head=4, d_mlp=48, tied_unembedding=True)
    weights, tokens = perturbed(architecture, [1]), some_tokens()
    weights["unembedding.bias"].zero_()
    sizes = {"n_embd": 12, "n_head": 3, "n_inner": 48, "n_layer": 2, "n_positions": 10}
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=40, **sizes)).eval()
    own = {name: value[0] for name, value in weights.items()}
    state = {"wte.weight": own["token_embedding"], "wpe.weight": own["position_embedding"]}
    for kind in ("weight", "bias"):
        state[f"ln_f.{kind}"] = own[f"norm_final.{kind}"]
        for layer in range(2):
            old, new = f"layers.{layer}", f"h.{layer}"
            parts = [own[f"{old}.attention.{part}.{kind}"].flatten(-2) for part in ("query", "key", "value")]
            output = own[f"{old}.attention.output.{kind}"]
            state |= {
                f"{new}.ln_1.{kind}": own[f"{old}.norm_attention.{kind}"],
                f"{new}.ln_2.{kind}": own[f"{old}.norm_mlp.{kind}"],
                f"{new}.attn.c_attn.{kind}": torch.cat(parts, -1),
                f"{new}.attn.c_proj.{kind}": output.flatten(0, 1) if kind == "weight" else output,
                f"{new}.mlp.c_fc.{kind}": own[f"{old}.mlp.in.{kind}"],
                f"{new}.mlp.c_proj.{kind}": own[f"{old}.mlp.out.{kind}"],
            }
    missing, unexpected = gpt2.transformer.load_state_dict(state, strict=False)
    assert not missing
    assert not unexpected
    with torch.no_grad():
        expected = gpt2(tokens[0]).logits
    torch.testing.assert_close(transformer.logits(weights, architecture, tokens)[0], expected, atol=1e-5, rtol=1e-5)


def test_initial_weights_of_a_member_depend_on_its_seed_alone():
    together = transformer.initial_weights(SMALL, [3, 4])
    alone = transformer.initial_weights(SMALL, [4])
    assert {name: value.shape[1:] for name, value in together.items()} == transformer.shapes(SMALL)
    for name, value in alone.items():
        assert torch.equal(together[name][1], value[0])
    assert not torch.equal(together["token_embedding"][0], together["token_embedding"][1])


def test_shared_tokens_and_repeated_tokens_are_the_same():
    weights, tokens = perturbed(SMALL), some_tokens()
    shared, repeated = (transformer.logits(weights, SMALL, t) for t in (tokens, tokens.expand(3, -1, -1)))
    assert torch.equal(shared, repeated)


@pytest.mark.parametrize("causal", [True, False])
def test_padding_changes_nothing_and_is_never_attended_to(causal):
    architecture = replace(SMALL, causal=causal)
    weights, tokens = perturbed(architecture), some_tokens(low=1)
    padded = functional.pad(tokens[..., :6], (0, 4), value=0)
    short = transformer.logits(weights, architecture, tokens[..., :6], pad=0)
    torch.testing.assert_close(transformer.logits(weights, architecture, padded, pad=0)[:, :, :6], short)
    for layer in transformer.attention_layers(weights, architecture, padded, pad=0):
        assert not layer.pattern[..., :6, 6:].any()
        torch.testing.assert_close(layer.pattern.sum(-1), torch.ones(3, 4, 3, 10))


def test_a_causal_model_does_not_see_the_future():
    weights, tokens = perturbed(SMALL), some_tokens()
    changed = tokens.clone()
    changed[..., 6:] = 1
    before, after = (transformer.logits(weights, SMALL, t)[:, :, :6] for t in (tokens, changed))
    torch.testing.assert_close(before, after)


def test_embeddings_are_shortened_as_torch_does():
    rows = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    shortened = nn.Embedding(5, 8, max_norm=2.0, _weight=rows.clone())(torch.arange(5))
    torch.testing.assert_close(transformer.within_norm(rows, 2.0), shortened)
    assert (rows.norm(dim=1) < 2.0).any()
    assert (rows.norm(dim=1) > 2.0).any()


@pytest.mark.parametrize("wrong", [{"activation": "swish"}, {"heads": 0}, {"d_mlp": 0}, {"embedding_max_norm": 0.0}])
def test_an_impossible_architecture_is_refused_by_name(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"^{name}: "):
        replace(SMALL, **wrong)


def test_a_window_beyond_the_context_is_refused():
    with pytest.raises(InputError, match="11 tokens is too long: the model's context is 10"):
        transformer.logits(perturbed(SMALL), SMALL, torch.zeros(1, 1, 11, dtype=torch.int64))
