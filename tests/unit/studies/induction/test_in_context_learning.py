"""In-context learning: losses against plain PyTorch, contexts nested, a planted learner found."""

import json
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from architectures import architecture_of
from headatlas.base.errors import InputError
from headatlas.models import families, interventions, transformer
from headatlas.studies.induction import findings, in_context_learning
from toy_models import perturbed


def toy(folder, causal):
    architecture = architecture_of(vocabulary=40, context=30, layers=2, heads=2, d_model=8, d_head=4, activation="none")
    architecture = architecture_of(**{**asdict(architecture), "causal": causal})
    save_file(perturbed(architecture, [0]), folder / "model.safetensors")
    config = {"kind": "toy", "architecture": asdict(architecture), "seeds": [0], "pad": None, "mask": 39}
    (folder / "config.json").write_text(json.dumps(config))
    return families.load_family(folder / "model.safetensors", folder / "config.json")


def logits(family, tokens):
    return transformer.logits(family.weights(0), family.architecture, torch.from_numpy(tokens)[None])[0]


TOKENS = np.random.default_rng(0).integers(0, 38, (5, 20))


def test_losses_by_position_equal_plain_pytorch(tmp_path):
    family = toy(tmp_path, True)
    member = interventions.open_member(family, 0)
    sizes, losses = in_context_learning.loss_curves(member, TOKENS, True, short=5, memory=1)
    assert sizes.tolist() == list(range(2, 21))
    expected = functional.cross_entropy(
        logits(family, TOKENS)[:, :-1].transpose(1, 2), torch.from_numpy(TOKENS[:, 1:]), reduction="none"
    )
    np.testing.assert_allclose(losses, expected.detach(), rtol=1e-4)
    framed, with_first = in_context_learning.loss_curves(member, TOKENS, True, short=5, before=[38])
    assert framed.tolist() == list(range(1, 21))
    assert with_first.shape == (5, 20)


def test_masked_losses_are_of_one_token_in_nested_contexts(tmp_path):
    family = toy(tmp_path, False)
    opened, seen = interventions.open_member(family, 0), []

    class Watched:
        readout = opened.readout
        prompt_bytes = opened.prompt_bytes

        def run(self, tokens, at=None):
            seen.append((tokens, at))
            return opened.run(tokens, at)

    around = {"before": [36], "after": [37], "mask": 39}
    sizes, losses = in_context_learning.loss_curves(Watched(), TOKENS, False, short=5, **around)
    assert (sizes[0], sizes[-1]) == (5, 20)
    whole, places = seen[-1]
    assert (whole[:, 0] == 36).all()
    assert (whole[:, -1] == 37).all()
    hidden = TOKENS[np.arange(5), places - 1]
    for column, (tokens, at) in enumerate(seen):
        assert (tokens[np.arange(5), at] == 39).all()
        probabilities = logits(family, tokens)[torch.arange(5), torch.from_numpy(at)].log_softmax(-1)
        wanted = -probabilities[torch.arange(5), torch.from_numpy(hidden)]
        np.testing.assert_allclose(losses[:, column], wanted.detach(), rtol=1e-4)
        for row in range(5):  # the context lies in the next larger one, its mask on the same token
            inner = TOKENS[row].tolist()
            start = places[row] - at[row]
            expected = inner[start : start + sizes[column]]
            expected[at[row] - 1] = 39
            assert tokens[row, 1:-1].tolist() == expected


def test_published_losses_are_means_over_all_tokens(tmp_path):
    family = toy(tmp_path, False)
    member = interventions.open_member(family, 0)
    found = in_context_learning.published_losses(member, TOKENS, short=6, mask=39, before=[36], after=[37])
    generator = np.random.default_rng(0)
    for column, size in enumerate((6, 20)):
        whole = np.pad(TOKENS[:, : size - 2], ((0, 0), (1, 1)), constant_values=((0, 0), (36, 37)))
        shown = whole.copy()
        shown[np.arange(5), generator.integers(0, size, 5)] = 39
        losses = functional.cross_entropy(
            logits(family, shown).transpose(1, 2), torch.from_numpy(whole), reduction="none"
        )
        np.testing.assert_allclose(found[:, column], losses.mean(1).detach(), rtol=1e-4)


def test_a_planted_learner_gains_what_was_planted(monkeypatch):
    generator = np.random.default_rng(3)

    class Learner:
        """Its loss is 5 less the logarithm of the context's size, and noise that both contexts share."""

        def prompt_bytes(self, size, count):
            return 1

        def run(self, tokens, at=None):
            size = torch.full((len(tokens), 1, 1), float(tokens.shape[1]))
            return SimpleNamespace(hidden=5 - size.log() + torch.from_numpy(tokens[:, :1, None] % 1))

        readout = SimpleNamespace(losses=lambda hidden, targets: hidden[:, 0])

    monkeypatch.setattr(interventions, "open_member", lambda family, member: Learner())
    family = SimpleNamespace(members=2, causal=False)
    texts = in_context_learning.Texts(generator.integers(0, 30, (12, 100)), np.arange(12), 0)
    monkeypatch.setattr(in_context_learning, "published_losses", lambda *_, **__: np.ones((12, 2)))
    pairs, curve = in_context_learning.score_table(family, texts, short=10, mask=31)
    mean, low, high = findings.gain(pairs[(pairs["protocol"] == "corrected") & (pairs["member"] == 1)])
    assert low <= mean <= high
    assert mean == pytest.approx(np.log(10), abs=1e-4)
    assert curve["size"].is_monotonic_increasing or curve.groupby("member")["size"].is_monotonic_increasing.all()
    np.testing.assert_allclose(curve["loss"], 5 - np.log(curve["size"]), atol=1e-4)


def documents(lengths):
    rows = []
    for document, length in enumerate(lengths):
        words = " ".join(f"word{document}" for _ in range(length))
        half = len(words) // 2
        split = "train" if document == 0 else "test"
        rows += [(document, split, words[:half]), (document, split, words[half:])]
    return pd.DataFrame(rows, columns=["document", "split", "text"])


def test_short_texts_are_skipped_and_counted(bpe):
    table = documents([400, 400, 3, 5, 400, 4, 300])
    texts = in_context_learning.read_texts(table, bpe, long=100, count=10)
    assert texts.tokens.shape == (3, 100)
    assert sorted(texts.documents.tolist()) == [1, 4, 6]  # not the one that was trained on
    assert texts.skipped == 3
    assert len(in_context_learning.read_texts(table, bpe, long=100, count=2).tokens) == 2
    with pytest.raises(InputError, match="0 of 6 held-out texts have 9000 tokens"):
        in_context_learning.read_texts(table, bpe, long=9000, count=10)


def test_what_cannot_be_measured(tmp_path):
    member = interventions.open_member(toy(tmp_path, False), 0)
    with pytest.raises(InputError, match="no mask"):
        in_context_learning.loss_curves(member, TOKENS, False, short=5)
    with pytest.raises(InputError, match="short is 20"):
        in_context_learning.loss_curves(member, TOKENS, False, short=20, mask=39)
