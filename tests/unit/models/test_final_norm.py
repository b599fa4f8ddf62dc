"""With the norm before the unembedding held, logits are sums over what heads write."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from architectures import architecture_of
from headatlas.models import interventions
from knockout_models import toy
from tiny_checkpoints import CONFIGS, checkpoint, opened, task_of
from toy_models import perturbed

SMALL = architecture_of(vocabulary=30, context=12, layers=2, heads=3, d_model=10, d_head=4, activation="gelu", d_mlp=12)
TOKENS = np.random.default_rng(0).integers(3, 30, (4, 11))


def without(member, heads, sizes):
    """Logits with heads of the last layer zeroed."""

    def visit(layer, pattern, outputs):
        if layer < member.layers - 1:
            return outputs
        changed = outputs.clone()
        changed[:, :, list(heads)] = 0
        return changed

    return member.readout.logits(member.visited(TOKENS, visit, sizes=sizes))


def excess(member, sizes):
    """By how much the effects of the last layer's heads on logits together differ from their sum, two at a time."""
    intact = without(member, (), sizes)
    single = {head: intact - without(member, (head,), sizes) for head in range(member.heads)}
    pairs = itertools.combinations(range(member.heads), 2)
    return max(
        float((intact - without(member, pair, sizes) - single[pair[0]] - single[pair[1]]).abs().max()) for pair in pairs
    )


@pytest.mark.parametrize("layer_norm", [True, False])
def test_effects_of_a_toys_last_heads_on_logits_add_up_where_the_norm_is_held(tmp_path, layer_norm):
    architecture = replace(SMALL, activation="none", layer_norm=layer_norm)
    member = interventions.open_member(toy(tmp_path, architecture, perturbed(architecture, [0])), 0)
    sizes = member.norm_sizes(TOKENS)
    torch.testing.assert_close(without(member, (), sizes), without(member, (), None), atol=1e-4, rtol=1e-4)
    assert excess(member, sizes) < 1e-4
    assert (excess(member, None) > 0.05) == layer_norm  # the norm makes additive heads seem redundant


def kept(layer, pattern, outputs):
    return outputs


@pytest.mark.parametrize("name", sorted(set(CONFIGS) - {"gemma2"}))
def test_the_norm_of_every_type_is_found_and_held_to_its_own_sizes_changes_nothing(tmp_path, name):
    member = interventions.open_member(opened(tmp_path, [checkpoint(tmp_path / "saved", name)], task_of(name)), 0)
    sizes = member.norm_sizes(TOKENS)
    assert sizes is not None
    plain = member.visited(TOKENS, kept)
    torch.testing.assert_close(member.visited(TOKENS, kept, sizes=sizes), plain, atol=1e-4, rtol=1e-4)
    half = member.visited(TOKENS, kept, sizes=2 * sizes)
    bias = member._norm._offset
    torch.testing.assert_close(half - bias, (plain - bias) / 2, atol=1e-4, rtol=1e-4)
