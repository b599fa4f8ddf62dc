"""Metamorphic tests: another order, the same checkpoint twice, other token ids; what must not change does not."""

from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from architectures import architecture_of
from brief_training import BRIEF, EVALUATION, MASK, PAD, SEEDS, SMALL, some_windows
from headatlas.attention import patterns
from headatlas.attention.pattern_streams import PatternStream
from headatlas.models import families, training, transformer
from headatlas.scores.pattern_scores import pattern_scores
from headatlas.studies.phrenology import head_distances, knn_graph
from headatlas.studies.phrenology.correspondence import partners
from toy_models import perturbed

VOCABULARY, PADDING = 24, 3
MODEL = architecture_of(
    vocabulary=VOCABULARY, context=9, layers=2, heads=3, d_model=12, d_head=4, d_mlp=20, activation="gelu"
)


def tokens(prompts=6):
    drawn = np.random.default_rng(1).integers(4, VOCABULARY, (prompts, 8))
    drawn[:, 4:] = drawn[:, :4]  # so that induction and duplicate tokens have something to score
    return drawn


@pytest.fixture
def compared(tmp_path):
    """Distances, partners and a graph of models that are given by name, each with its members' seeds."""

    def compare(models, windows):
        paths = {}
        for name, seeds in models.items():
            folder = tmp_path / f"{name}-{'-'.join(map(str, seeds))}"
            folder.mkdir(exist_ok=True)
            weights = perturbed(replace(MODEL), seeds)
            files = folder / "model.safetensors", folder / "config.json"
            families.save_family(*files, weights, {"kind": "toy", "architecture": asdict(MODEL), "pad": PADDING})
            paths[name] = folder / "patterns.parquet"
            patterns.write(paths[name], families.load_family(*files), windows)
        stream = PatternStream(paths)
        heads = stream.heads
        distances = head_distances.jensen_shannon(stream, stream.size, stream.packing)
        named = [f"{row.model} {row.member} {row.layer} {row.head}" for row in heads.itertuples()]
        members = heads["model"].astype(str) + heads["member"].astype(str)
        groups = partners.match_partners(distances, members.to_numpy(), heads["layer"].to_numpy())
        graph = knn_graph.neighbour_graph(distances=distances, neighbours=4, weight="affinity")
        return SimpleNamespace(
            distances=pd.DataFrame(distances, named, named),
            groups={frozenset(np.array(named)[groups == group]) for group in set(groups.tolist())},
            edges={frozenset((named[edge.source], named[edge.target])): edge["weight"] for edge in graph.es},
        )

    return compare


def assert_same(found, other):
    pd.testing.assert_frame_equal(other.distances.loc[found.distances.index, found.distances.columns], found.distances)
    assert other.groups == found.groups
    assert other.edges == pytest.approx(found.edges, rel=1e-4)


def test_the_order_of_models_changes_no_distance_partner_or_edge(compared):
    models = {"one": [5, 6], "other": [8, 9], "third": [11]}
    backwards = dict(reversed(models.items()))
    assert_same(compared(models, tokens()), compared(backwards, tokens()))


def test_the_order_of_prompts_changes_no_distance_partner_or_edge(compared):
    models = {"one": [5, 6], "other": [8, 9]}
    assert_same(compared(models, tokens()), compared(models, tokens()[::-1].copy()))


def test_the_order_of_seeds_changes_no_member():
    windows, settings = some_windows(), {"settings": BRIEF, "pad": PAD, "mask": MASK}
    weights, history = training.train(SMALL, SEEDS, windows, EVALUATION, **settings)
    turned, story = training.train(SMALL, SEEDS[::-1], windows[::-1].copy(), EVALUATION, **settings)
    for name, values in weights.items():
        torch.testing.assert_close(turned[name].flip(0), values, rtol=0, atol=1e-5, msg=name)
    story["member"] = len(SEEDS) - 1 - story["member"]
    by = ["split", "member", "step"]
    pd.testing.assert_frame_equal(
        story.sort_values(by, ignore_index=True), history.sort_values(by, ignore_index=True), rtol=1e-4
    )


def test_the_same_checkpoint_twice_is_its_own_partner_and_nothing_is_lost(compared):
    """A name of its own makes no other network: counterparts at distance 0, and every number finite."""
    found = compared({"one": [5], "again": [5], "other": [8]}, tokens())
    counterparts = {name: name.replace("one", "again") for name in found.distances if name.startswith("one")}
    assert len(counterparts) == MODEL.layers * MODEL.heads
    for name, counterpart in counterparts.items():
        assert found.distances.loc[name, counterpart] == 0
        assert found.edges[frozenset((name, counterpart))] == 1
        assert any({name, counterpart} <= group for group in found.groups)
    assert np.isfinite(found.distances.to_numpy()).all()
    assert all(0 <= weight <= 1 for weight in found.edges.values())
    assert len(found.groups) == MODEL.layers * MODEL.heads


@pytest.mark.parametrize("causal", [True, False])
def test_other_ids_for_the_same_tokens_change_no_pattern_and_no_score(causal):
    architecture = replace(MODEL, causal=causal)
    weights, given = perturbed(architecture, [5]), tokens()
    ids = np.random.default_rng(2).permutation(VOCABULARY)  # of the token that had this one
    where = torch.from_numpy(np.argsort(ids))
    renamed = {
        **weights,
        "token_embedding": weights["token_embedding"][:, where],
        "unembedding.weight": weights["unembedding.weight"][:, :, where],
        "unembedding.bias": weights["unembedding.bias"][:, where],
    }
    pairs = (weights, given, PADDING), (renamed, ids[given], int(ids[PADDING]))
    logits, attended = [], []
    for of, read, pad in pairs:
        read = torch.from_numpy(read)[None]
        logits.append(transformer.logits(of, architecture, read, pad))
        attended.append([layer.pattern[0] for layer in transformer.attention_layers(of, architecture, read, pad)])
    torch.testing.assert_close(logits[1][..., torch.from_numpy(ids)], logits[0])
    size = given.shape[1]
    rows, keys = np.tril_indices(size) if causal else (i.ravel() for i in np.indices((size, size)))
    for before, after in zip(*attended, strict=True):
        torch.testing.assert_close(after, before, rtol=0, atol=0)
        packed = before[..., rows, keys].transpose(0, 1).numpy()
        scores = [pattern_scores(packed, read, causal=causal, pad=pad) for _, read, pad in pairs]
        for score, (values, chance) in scores[0].items():
            np.testing.assert_array_equal(scores[1][score][0], values, err_msg=score)
            np.testing.assert_array_equal(scores[1][score][1], chance, err_msg=score)
