"""Passes of pretrained models that begin at a layer's heads give what passes from the start give."""

from functools import partial

import numpy as np
import pytest
import torch

import tiny_models
from headatlas.models import interventions, knockout
from headatlas.models.pretrained import restarting
from tiny_checkpoints import CONFIGS, checkpoint, opened, task_of

SHARED = {"albert"}  # one layer that runs several times is not entered at one of its runs


def family_of(folder, name):
    return opened(folder, [checkpoint(folder / "given", name)], task_of(name), pad=0)


def ablated(member, tokens, at=None):
    """Hidden states (head, prompt, read position, width) of every zero ablation, by layer."""
    found = knockout.knock_out(member, tokens, ("zero",), at=at)
    return [hidden for _, kind, _, hidden in found if kind is not None]


def padded(family, side):
    """Prompts of several lengths, and the last real token of each."""
    tokens = np.random.default_rng(0).integers(3, 28, (3, 9))
    lengths = [9, 6, 4]
    for prompt, length in enumerate(lengths):
        tokens[prompt, slice(length, None) if side == "right" else slice(9 - length)] = 0
    return tokens, np.array(lengths) - 1 if side == "right" else np.full(3, 8)


@pytest.mark.parametrize("name", sorted(set(CONFIGS) - SHARED))
def test_a_pass_begun_at_a_layer_is_that_from_the_start(tmp_path, name):
    family = family_of(tmp_path, name)
    member = interventions.open_member(family, 0)
    assert isinstance(member._restart, restarting.Restart)
    for side in ("right", "left"):
        tokens, at = padded(family, side)
        fast, fast_at = ablated(member, tokens), ablated(member, tokens, at)
        member._restart, restart = None, member._restart
        slow = ablated(member, tokens)
        member._restart = restart
        real = torch.from_numpy(tokens != 0)
        for layer, hidden in enumerate(slow):
            torch.testing.assert_close(fast[layer][:, real], hidden[:, real], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(fast_at[layer][:, :, 0], hidden[:, range(3), at], atol=1e-4, rtol=1e-4)


def test_layers_before_and_attention_are_not_run(tmp_path):
    member = interventions.open_member(family_of(tmp_path, "gpt2"), 0)
    tokens = np.random.default_rng(0).integers(3, 28, (2, 9))
    trace = member.run(tokens, np.array([8, 8]))
    model, ran = member._family.model(0), []
    for number, block in enumerate(model.transformer.h):
        for part in ("attn.c_attn", "mlp.c_fc"):
            keep = partial(lambda name, _, given, output: ran.append((name, output.shape[1])), f"{number}.{part}")
            block.get_submodule(part).register_forward_hook(keep)
    member.replaced(trace, 1, torch.zeros(4, 2, 9, 4))
    assert ran == [("1.mlp.c_fc", 9), ("2.attn.c_attn", 9), ("2.mlp.c_fc", 1)], "behind the last, one position"


def test_a_model_that_cannot_be_entered_says_so_and_goes_the_long_way(tmp_path, capsys):
    member = interventions.open_member(family_of(tmp_path, "albert"), 0)
    assert member._restart is None
    assert "start at the tokens, not at the layer (its layers are not one list)" in capsys.readouterr().err


def test_a_model_of_several_streams_goes_the_long_way(tmp_path, capsys):
    """Gemma 3n's layers are given four streams of each prompt, (stream, prompt, position, width)."""
    family = opened(tmp_path, [tiny_models.save(tmp_path / "given", "gemma3n_text", "causal")], "causal", pad=0)
    member = interventions.open_member(family, 0)
    assert member._restart is None
    assert "not batch, position and d_model" in capsys.readouterr().err
    hidden, *_ = ablated(member, np.random.default_rng(0).integers(5, 50, (2, 9)))
    assert hidden.shape == (4, 2, 9, 32)


def test_a_layer_that_does_more_than_its_heads_say_is_found_out(tmp_path, monkeypatch, capsys):
    """A layer whose output depends on an earlier one's by another way than the hidden states."""
    family = family_of(tmp_path, "gpt2")
    blocks, kept = family.model(0).transformer.h, {}
    blocks[0].register_forward_hook(lambda _, given, output: kept.update(first=output))
    blocks[2].mlp.register_forward_hook(lambda _, given, output: output + kept["first"])
    assert family.restart(0) is None
    assert "gives something else than from the start" in capsys.readouterr().err
