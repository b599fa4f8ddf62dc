"""Families: one interface over toy and pretrained models, equal to the models themselves."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from architectures import architecture_of
from headatlas.base.errors import InputError
from headatlas.models import families, transformer


def saved(folder, weights, architecture, pad=None):
    files = folder / "model.safetensors", folder / "config.json"
    families.save_family(*files, weights, {"kind": "toy", "architecture": asdict(architecture), "pad": pad})
    return files


def test_a_flipped_bit_of_the_weights_is_found(tmp_path):
    architecture = architecture_of(vocabulary=20, context=7, heads=2, d_model=16, d_head=8, d_mlp=32)
    model_file, config_file = saved(tmp_path, drawn(architecture), architecture)
    whole = bytearray(model_file.read_bytes())
    whole[-5] ^= 1
    model_file.write_bytes(whole)
    with pytest.raises(InputError, match=r"model\.safetensors: not the weights that .*; delete it and run again"):
        families.load_family(model_file, config_file)


def drawn(architecture, seeds=(0, 1)):
    """Weights in which no bias is zero and no LayerNorm the identity, so that leaving one out shows."""
    weights = transformer.initial_weights(architecture, seeds)
    generator = torch.Generator().manual_seed(5)
    for name, tensor in weights.items():
        if name.endswith("bias") or "norm" in name:
            weights[name] = tensor + 0.3 * torch.randn(tensor.shape, generator=generator)
    return weights


ARCHITECTURES = {
    "published": {},
    "no layer norm": {"layer_norm": False},
    "bidirectional": {"causal": False},
    "embeddings of a largest norm": {"embedding_max_norm": 0.5, "layer_norm": False},
    "two layers": {"layers": 2},
    "tied layers, tied unembedding": {"layers": 2, "tied_layers": True, "tied_unembedding": True},
    "no residual, no MLP": {"layers": 2, "residual": False, "activation": "none"},
}


@pytest.mark.parametrize("pad", [None, 3])
@pytest.mark.parametrize("options", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def test_a_toy_family_gives_what_the_transformer_gives(tmp_path, options, pad):
    architecture = architecture_of(vocabulary=20, context=7, heads=2, d_model=16, d_head=8, d_mlp=32, **options)
    weights = drawn(architecture)
    family = families.load_family(*saved(tmp_path, weights, architecture, pad))
    assert (family.members, family.layers, family.heads, family.vocabulary) == (2, architecture.layers, 2, 20)
    tokens = np.random.default_rng(0).integers(0, 20, (11, 6))
    layers = list(transformer.attention_layers(weights, architecture, torch.tensor(tokens)[None], pad))
    for member in (1, 0):
        for expected, found in zip(layers, family.attention(tokens, member), strict=True):
            assert found.layer == expected.layer
            for name in ("queries", "keys", "pattern"):
                torch.testing.assert_close(getattr(found, name), getattr(expected, name)[member], atol=2e-6, rtol=1e-5)


def test_scores_are_products_times_the_scaling(tmp_path):
    architecture = architecture_of(vocabulary=20, context=6, heads=2, d_model=16, d_head=8, causal=False)
    family = families.load_family(*saved(tmp_path, drawn(architecture), architecture))
    taken = next(family.attention(np.arange(12).reshape(2, 6), 0))
    scores = taken.queries @ taken.keys.mT * family.scaling
    torch.testing.assert_close(scores.softmax(-1), taken.pattern)


def test_reading_attention_leaves_gradients_on(tmp_path):
    architecture = architecture_of(vocabulary=20, context=6, layers=2, heads=2, d_model=16, d_head=8)
    family = families.load_family(*saved(tmp_path, drawn(architecture), architecture))
    for _ in family.attention(np.zeros((1, 6), dtype=int), 0):
        assert torch.is_grad_enabled()


@pytest.mark.parametrize("tied", [False, True])
def test_toy_head_weights_rebuild_the_direct_path(tmp_path, tied):
    """With one token and no MLP, a head's output is its OV circuit (Elhage et al. 2021)."""
    architecture = architecture_of(
        vocabulary=9,
        context=1,
        heads=2,
        d_model=16,
        d_head=4,
        activation="none",
        layer_norm=False,
        tied_unembedding=tied,
    )
    weights = {
        name: torch.zeros_like(value) if name.endswith("bias") or name.startswith("position") else value
        for name, value in transformer.initial_weights(architecture, [4]).items()
    }
    family = families.load_family(*saved(tmp_path, weights, architecture))
    w = family.head_weights(0, 0)
    circuits = w["W_E"] @ np.einsum("hdk,hke->de", w["W_V"], w["W_O"]) @ w["W_U"] + w["W_E"] @ w["W_U"]
    expected = transformer.logits(weights, architecture, torch.arange(9)[None, :, None])[0, :, 0]
    np.testing.assert_allclose(circuits, expected.numpy(), atol=1e-5)


def test_toy_head_weights_fold_the_norms_scale_and_give_the_scores(tmp_path):
    architecture = architecture_of(vocabulary=9, context=4, heads=2, d_model=16, d_head=4)
    weights = drawn(architecture)
    for part in ("query", "key"):
        weights[f"layers.0.attention.{part}.bias"].zero_()
    weights["layers.0.norm_attention.bias"].zero_()
    weights["position_embedding"].zero_()
    family = families.load_family(*saved(tmp_path, weights, architecture))
    tokens = np.array([[1, 2, 3, 4]])
    taken = next(family.attention(tokens, 1))
    w = family.head_weights(1, 0)
    normed = torch.nn.functional.layer_norm(torch.tensor(w["W_E"][tokens]), (16,)).numpy()
    queries = np.einsum("bpd,hdk->bhpk", normed, w["W_Q"])
    np.testing.assert_allclose(taken.queries, queries, atol=1e-5)


def test_bad_files_and_windows_are_named(tmp_path):
    architecture = architecture_of(vocabulary=9, context=4, heads=2, d_model=16, d_head=4)
    model, config = saved(tmp_path, drawn(architecture), architecture)
    family = families.load_family(model, config)
    with pytest.raises(InputError, match=r"token 9: .* 0 to 8"):
        next(family.attention(np.array([[1, 9]]), 0))
    with pytest.raises(InputError, match=r"windows of 5 tokens.*context is 4"):
        next(family.attention(np.zeros((1, 5), dtype=int), 0))
    model.write_bytes(model.read_bytes()[:100])
    with pytest.raises(InputError, match=r"model\.safetensors: not the weights that"):
        families.load_family(model, config)
    config.write_text('{"kind": "other"}')
    with pytest.raises(InputError, match="kind 'other' is not known"):
        families.load_family(model, config)
    config.write_text('{"kind"')
    with pytest.raises(InputError, match=r"config\.json: not the configuration"):
        families.load_family(model, config)
