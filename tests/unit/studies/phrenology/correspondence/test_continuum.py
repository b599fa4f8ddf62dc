"""Negative controls: a continuum, noise and an untrained network have no kinds; planted kinds are found."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from architectures import architecture_of
from headatlas.base.errors import InputError
from headatlas.models import transformer
from headatlas.studies.phrenology import head_distances
from headatlas.studies.phrenology.correspondence import continuum, partners, stability
from planted import unrelated_heads

MEMBERS, HEADS = 9, 8
MEMBER = np.repeat(np.arange(MEMBERS), HEADS)


def apart(points):
    return np.sqrt(np.square(points[..., :, None, :] - points[..., None, :, :]).sum(-1))


def noise(rng, size=0.3, coordinates=60):
    """What is each head's own, in many coordinates."""
    return rng.normal(size=(len(MEMBER), coordinates)) * size / coordinates**0.5


def spread(rng):
    """Places on an axis: the heads of a member keep apart, the members have nothing else in common."""
    return np.concatenate([(rng.permutation(HEADS) + rng.random(HEADS)) / HEADS for _ in range(MEMBERS)])


def with_kinds(make, seeds=6):
    """How many families are said to have kinds of heads."""
    families = [make(np.random.default_rng(seed)) for seed in range(seeds)]
    return sum(continuum.against_continuum(each, MEMBER, 8, draws=19, seed=s).kinds for s, each in enumerate(families))


def test_heads_spread_along_an_axis_that_keep_apart_within_a_member_have_no_kinds():
    assert with_kinds(lambda rng: apart(np.c_[spread(rng), noise(rng)])) <= 1  # one in twenty may


def test_an_axis_that_is_an_arch_has_no_kinds_at_its_ends():
    def arch(rng):
        angle = np.pi * spread(rng)
        return apart(np.c_[np.cos(angle), np.sin(angle), noise(rng)])

    assert with_kinds(arch) <= 1


def test_independent_noise_has_no_kinds():
    assert with_kinds(lambda rng: apart(noise(rng, 1))) <= 1


def shared(make, seeds=20):
    """How many families are said to be spread along a coordinate that their members share."""
    points = [continuum.coordinates(make(np.random.default_rng(seed))) for seed in range(seeds)]
    found = [continuum.shared_coordinate(each, MEMBER, draws=39)[1] <= continuum.ALPHA for each in points]
    return sum(found)


@pytest.mark.parametrize("coordinates", [3, 60])
def test_independent_noise_is_spread_along_no_coordinate(coordinates):
    assert shared(lambda rng: apart(noise(rng, 1, coordinates))) <= 3


def test_an_axis_is_shared_where_members_have_it_in_common_and_not_where_each_has_its_own():
    assert shared(lambda rng: apart(np.c_[spread(rng), noise(rng, 1)]), seeds=5) == 5

    def own_axes(rng):
        directions = np.linalg.qr(rng.normal(size=(60, MEMBERS)))[0].T[MEMBER]
        return apart(spread(rng)[:, None] * directions + noise(rng, 0.5))

    assert shared(own_axes, seeds=10) <= 2


def test_turned_members_keep_their_own_distances_and_lose_those_between_them():
    points = np.random.default_rng(0).normal(size=(len(MEMBER), 12)) + np.arange(12)
    centred = continuum.within_members(points, MEMBER)
    found = continuum.turned(centred, MEMBER, np.random.default_rng(1))
    within = MEMBER[:, None] == MEMBER
    np.testing.assert_allclose(apart(centred)[within], apart(points)[within], atol=1e-6)
    np.testing.assert_allclose(apart(found)[within], apart(points)[within], atol=1e-6)
    assert np.abs(apart(found) - apart(centred))[~within].mean() > 0.1
    for member in range(MEMBERS):
        np.testing.assert_allclose(found[member == MEMBER].mean(0), 0, atol=1e-9)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("causal", [True, False], ids=["causal", "bidirectional"])
def test_an_untrained_model_has_no_kinds_and_no_stable_partners(layers, causal):
    shape = {"heads": HEADS // layers, "context": 12, "d_model": 32, "d_head": 8, "vocabulary": 64, "causal": causal}
    architecture = architecture_of(layers=layers, d_mlp=64, **shape)
    weights = transformer.initial_weights(architecture, list(range(MEMBERS)))
    tokens = torch.randint(0, 64, (32, 12), generator=torch.Generator().manual_seed(0))
    taken = [each.pattern for each in transformer.attention_layers(weights, architecture, tokens[None])]
    patterns = torch.cat(taken, 2).transpose(1, 2).numpy()  # (member, head of all layers, prompt, query, key)
    nothing_has_kinds_or_partners(patterns, np.tile(np.repeat(np.arange(layers), HEADS // layers), MEMBERS))


def test_a_bert_of_random_weights_has_no_kinds_and_no_stable_partners():
    sizes = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": HEADS // 2}
    config = BertConfig(**sizes, intermediate_size=64, max_position_embeddings=12, attn_implementation="eager")
    tokens, taken = torch.randint(5, 64, (32, 12), generator=torch.Generator().manual_seed(0)), []
    for seed in range(MEMBERS):
        torch.manual_seed(seed)
        with torch.no_grad():
            attentions = BertModel(config).eval()(tokens, output_attentions=True).attentions
        taken.append(torch.cat(attentions, 1).transpose(0, 1).numpy())  # (head of all layers, prompt, query, key)
    nothing_has_kinds_or_partners(np.stack(taken), np.tile(np.repeat([0, 1], HEADS // 2), MEMBERS))


def nothing_has_kinds_or_partners(patterns, layers):
    """Of patterns (member, head, prompt, query, key): neither test finds anything."""
    prompts, size = patterns.shape[2:4]
    full = patterns.reshape(MEMBERS * HEADS, prompts, size * size).astype(np.float32)
    parts = head_distances.jensen_shannon(full, size, "full", parts=8).astype(float)
    assert not continuum.against_continuum(parts.mean(0), MEMBER, 8, draws=19).kinds
    find = partners.finder(MEMBER, layers)
    resampled = stability.resample(find, parts, MEMBER, halvings=4)
    table = stability.stability_table("partner", find(parts.mean(0), np.arange(len(MEMBER))), resampled, MEMBER)
    assert (table.groupby("group")["jaccard"].min() < stability.STABLE).all()


def test_exclusion_within_members_makes_no_kinds_and_no_stable_partners():
    """Members that have nothing in common but that their own heads keep apart: enough for the published F."""
    layers, stable = np.zeros(len(MEMBER), dtype=int), []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        heads = unrelated_heads(rng, exclude=True)
        parts = apart(np.stack([heads + 0.1 * rng.normal(size=heads.shape) for _ in range(8)]))
        whole, find = parts.mean(0), partners.finder(MEMBER, layers)
        resampled = stability.resample(find, parts, MEMBER, halvings=4)
        table = stability.stability_table("partner", find(whole, np.arange(len(MEMBER))), resampled, MEMBER)
        stable.append((table.groupby("group")["jaccard"].min() >= stability.STABLE).mean())
        assert not continuum.against_continuum(whole, MEMBER, 8, draws=19, seed=seed).kinds
    assert np.mean(stable) <= 1 / 8


@pytest.mark.parametrize(("sizes", "separation"), [((5, 3), 1.5), ((3, 3, 2), 1.5), ((2, 2, 2, 2), 1.5)])
def test_planted_kinds_are_more_than_a_continuum(sizes, separation):
    kind = np.tile(np.repeat(np.arange(len(sizes)), sizes), MEMBERS)

    def planted(rng):
        centres = np.eye(len(sizes))[kind] * separation / 2**0.5
        return apart(np.c_[centres + 0.2 * rng.normal(size=centres.shape), noise(rng, 0.5)])

    assert with_kinds(planted, seeds=3) >= 2


def test_a_continuum_has_the_size_and_the_axis_of_the_heads_it_is_made_from():
    rng = np.random.default_rng(1)
    points = continuum.coordinates(apart(np.c_[spread(rng), noise(rng, 0.2)]))
    drawn = [continuum.continuum_like(points, MEMBER, rng) for _ in range(20)]
    assert np.mean([np.square(one - one.mean(0)).sum() for one in drawn]) == pytest.approx(
        np.square(points).sum(), rel=0.1
    )
    axis = np.array([one[:, 0] for one in drawn])
    assert np.ptp(axis) == pytest.approx(np.ptp(points[:, 0]), rel=0.05)
    assert np.histogram(axis, 5)[0].min() > 0.6 * axis.size / 5  # even along it


def test_coordinates_have_the_distances_that_were_given():
    points = np.random.default_rng(2).normal(size=(20, 4))
    found = continuum.coordinates(apart(points))
    assert found.shape == (20, 4)
    np.testing.assert_allclose(apart(found), apart(points), atol=1e-9)
    assert (np.diff(np.square(found).sum(0)) <= 0).all()


def test_the_order_of_members_changes_no_length():
    rng = np.random.default_rng(3)
    distances, order = apart(np.c_[spread(rng), noise(rng)]), rng.permutation(len(MEMBER))
    first = continuum.against_continuum(distances, MEMBER, 8, draws=1)
    second = continuum.against_continuum(distances[np.ix_(order, order)], MEMBER[order], 8, draws=1)
    assert first.length == pytest.approx(second.length)
    assert first.share == pytest.approx(second.share)
    np.testing.assert_allclose(np.abs(second.axis), np.abs(first.axis[order]), atol=1e-6)


def test_no_continuum_is_no_test():
    with pytest.raises(InputError, match="at least 1"):
        continuum.against_continuum(np.zeros((4, 4)), [0, 0, 1, 1], 2, draws=0)
