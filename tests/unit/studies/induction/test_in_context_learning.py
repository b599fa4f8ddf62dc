"""In-context learning: losses against plain PyTorch, contexts nested, a planted learner found."""

import itertools
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
from headatlas.models.knockout import deranged
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
    sizes, losses, elsewhere = in_context_learning.loss_curves(member, TOKENS, True, short=5, memory=1)
    assert sizes.tolist() == list(range(2, 21))
    expected = functional.cross_entropy(
        logits(family, TOKENS)[:, :-1].transpose(1, 2), torch.from_numpy(TOKENS[:, 1:]), reduction="none"
    )
    np.testing.assert_allclose(losses, expected.detach(), rtol=1e-4)
    mixed = TOKENS[deranged(5, 0)]
    mixed[:, -5:] = TOKENS[:, -5:]
    probabilities = logits(family, mixed)[:, -2].log_softmax(-1)
    np.testing.assert_allclose(elsewhere, -probabilities[range(5), TOKENS[:, -1]].detach(), rtol=1e-4)
    framed, with_first, _ = in_context_learning.loss_curves(member, TOKENS, True, short=5, before=[38])
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
    sizes, losses, elsewhere = in_context_learning.loss_curves(Watched(), TOKENS, False, short=5, **around)
    mixed, at = seen.pop()
    others = TOKENS[deranged(5, 0)]
    for row in range(5):
        start = at[row] - seen[0][1][row]
        own = np.r_[start : start + 5]
        expected = others[row].copy()
        expected[own] = TOKENS[row, own]
        expected[at[row] - 1] = 39
        assert mixed[row, 1:-1].tolist() == expected.tolist()
    probabilities = logits(family, mixed)[range(5), at].log_softmax(-1)
    np.testing.assert_allclose(elsewhere, -probabilities[range(5), TOKENS[range(5), at - 1]].detach(), rtol=1e-4)
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


class Stub:
    """A masked model whose loss is what `of` makes of its tokens (text, position)."""

    def __init__(self, of):
        self.of = of
        self.readout = SimpleNamespace(losses=lambda hidden, targets: hidden[:, 0])

    def prompt_bytes(self, size, count):
        return 1

    def run(self, tokens, at=None):
        return SimpleNamespace(hidden=torch.as_tensor(np.asarray(self.of(tokens), dtype=np.float64))[:, None, None])


def measured(monkeypatch, of, texts=12, long=100):
    """The table of a family of three members, every token of a text having the number of the text."""
    monkeypatch.setattr(interventions, "open_member", lambda family, member: Stub(of))
    monkeypatch.setattr(in_context_learning, "published_losses", lambda *_, **__: np.tile([3.0, 2.0], (texts, 1)))
    tokens = np.tile(np.arange(texts)[:, None], (1, long))
    family = SimpleNamespace(members=3, causal=False)
    drawn = in_context_learning.Texts(tokens, np.arange(texts), 0, 0)
    return in_context_learning.score_table(family, drawn, short=10, mask=31)


def headline(pairs):
    facts = {"short": 10, "long": 100, "causal": False, "texts": 12, "across": 0}
    return findings._learning({"a": {"pairs": pairs, "context": facts, "causal": False}})


def test_a_planted_learner_gains_what_was_planted(monkeypatch):
    """Its loss is 5 less the logarithm of how many tokens of its own text it sees."""

    def of(tokens):
        alone = [len(set(row) - {31}) == 1 for row in tokens.tolist()]  # or there is another text around the short one
        return 5 - np.log(np.where(alone, tokens.shape[1], 10))

    pairs, curve = measured(monkeypatch, of)
    corrected = pairs[(pairs["protocol"] == "corrected") & (pairs["member"] == 1)]
    mean, low, high = findings.gain(corrected, "corrected")
    assert low <= mean <= high
    assert mean == pytest.approx(np.log(10), abs=1e-4)
    np.testing.assert_allclose(curve["loss"], 5 - np.log(curve["size"]), atol=1e-4)
    assert findings.gain(pairs[pairs["protocol"] == "published"], "published")[0] == pytest.approx(1)
    said, lines = headline(pairs)
    assert said == "**What stands farther back in its own text lowers the loss in 1 of 1 models.**"
    assert "in 100 tokens of its own text, the loss of the same masked token is lower by 2.30" in lines[0]


def test_a_model_that_reads_no_context_but_is_at_a_loss_in_short_texts_gains_nothing(monkeypatch):
    """It knows texts of 100 tokens alone: the shorter the input, the greater its loss, whatever stands there."""
    generator = np.random.default_rng(0)
    pairs, _ = measured(monkeypatch, lambda tokens: 9 - 0.08 * tokens.shape[1] + generator.normal(0, 0.1, len(tokens)))
    assert (pairs["short"] - pairs["long"])[pairs["protocol"] == "corrected"].mean() > 5
    said, lines = headline(pairs)
    assert said == "__What stands farther back in its own text lowers the loss in 0 of 1 models.__"
    assert "in 10 tokens alone it is 7.2" in lines[0]
    assert "are what a text so short costs a model that knows long ones" in lines[0]


def documents(lengths):
    rows = []
    for document, length in enumerate(lengths):
        words = " ".join(f"word{document}" for _ in range(length))
        half = len(words) // 2
        split = "train" if document == 0 else "test"
        rows += [(document, split, words[:half]), (document, split, words[half:])]
    return pd.DataFrame(rows, columns=["document", "split", "text"])


def test_texts_are_beginnings_of_documents_where_enough_are_long_enough(bpe):
    table = documents([400, 400, 3, 5, 400, 4, 300])
    texts = in_context_learning.read_texts(table, bpe, long=100, count=3)
    assert texts.tokens.shape == (3, 100)
    assert sorted(texts.documents.tolist()) == [1, 4, 6]  # not the one that was trained on
    assert texts.across == 0
    for row, document in zip(texts.tokens, texts.documents, strict=True):
        whole = "\n".join(table["text"][table["document"] == document])
        assert row.tolist() == bpe.literal.encode(whole, add_special_tokens=False).ids[:100]
    assert len(in_context_learning.read_texts(table, bpe, long=100, count=2).tokens) == 2


def test_one_document_gives_as_many_texts_as_it_holds(bpe):
    table = documents([4, 4000])
    texts = in_context_learning.read_texts(table, bpe, long=100, count=10)
    assert texts.tokens.shape == (10, 100)
    assert set(texts.documents) == {1}
    assert (texts.skipped, texts.across) == (0, 0)
    assert len({row.tobytes() for row in in_context_learning.read_texts(numbered(), bpe, long=20, count=9).tokens}) == 9


def test_where_documents_are_short_texts_go_on_from_one_to_the_next(bpe):
    """Reviews of a few words each: contiguous text, nothing twice, nothing that was trained on."""
    table = numbered(60, words=6)
    table.loc[table["document"] < 10, "split"] = "train"
    texts = in_context_learning.read_texts(table, bpe, long=60, count=4)
    assert texts.tokens.shape == (4, 60)
    assert (texts.skipped, texts.across) == (50, 4)
    whole = "\n".join(table["text"][table["split"] == "test"]) + "\n"
    shown = [bpe.literal.decode(row.tolist()) for row in texts.tokens]
    places = sorted(whole.index(text) for text in shown)
    assert all(one + 20 < other for one, other in itertools.pairwise(places))


def test_too_little_text_names_the_key_the_corpus_and_what_is_allowed(bpe):
    with pytest.raises(InputError, match=r"^studies.x.long: 9000 found, .* text of corpora.mine has \d+ .* 3 to \d+"):
        in_context_learning.read_texts(
            documents([5, 400, 300]), bpe, long=9000, count=10, corpus="corpora.mine", key="studies.x.long"
        )


def numbered(count=1, words=400):
    """Held-out documents whose every word is another."""
    texts = [" ".join(f"w{document}x{word}" for word in range(words)) for document in range(count)]
    return pd.DataFrame({"document": range(count), "split": "test", "text": texts})


def test_what_cannot_be_measured(tmp_path):
    member = interventions.open_member(toy(tmp_path, False), 0)
    with pytest.raises(InputError, match="no mask"):
        in_context_learning.loss_curves(member, TOKENS, False, short=5)
    with pytest.raises(InputError, match="short is 20"):
        in_context_learning.loss_curves(member, TOKENS, False, short=20, mask=39)
