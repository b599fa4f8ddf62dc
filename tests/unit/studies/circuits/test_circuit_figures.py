"""The figures of attention-only transformers show what they are given, legibly."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from headatlas.plotting import style
from headatlas.studies.circuits import findings
from headatlas.studies.circuits.figures import heat_maps, sweep

PIECES = ["this", "␣movie", "␣is", "␣$1", "↵", "aver", "age", "␣", "."]
LAYERS, HEADS = 2, 3
SETTINGS = {"layer": 1, "heads": [1, 6]}
LEARNT = {"loss": 4.1, "bigram": 4.3}


@pytest.fixture
def attention():
    size, rows = len(PIECES), []
    for layer in range(LAYERS):
        for head in range(HEADS):
            for query in range(size):
                share = np.random.default_rng([layer, head, query]).dirichlet(np.full(query + 1, 0.3))
                rows += [(layer, head, query, key, weight) for key, weight in enumerate(share)]
    return pd.DataFrame(rows, columns=["layer", "head", "query", "key", "weight"])


@pytest.fixture
def scored():
    rows = [
        (0, layer, head, score, 0.1 + 0.3 * head, 0.01, 0.1)
        for layer in range(LAYERS)
        for head in range(HEADS)
        for score in ("previous_token", "current_token", "first_token", "duplicate_token", "topic_word", "induction")
    ]
    scores = pd.DataFrame(rows, columns=["member", "layer", "head", "score", "value", "standard_error", "chance"])
    names = scores[scores["score"] == "induction"][["member", "layer", "head", "value", "chance"]]
    return scores, names.assign(name=["spread" if head == 0 else "induction" for head in names["head"]])


@pytest.fixture
def history():
    rows = [
        (
            f"run-{variant}-{rate}",
            variant,
            rate,
            epoch,
            split,
            8 - epoch - (variant == "b") * 0.5 + 50 * rate,
            epoch / 9,
        )
        for variant in ("one-layer", "two-layer-mlp-residual")
        for rate in (0.004, 0.002)
        for epoch in range(4)
        for split in ("train", "validation")
    ]
    table = pd.DataFrame(rows, columns=["model", "variant", "learning_rate", "epoch", "split", "loss", "accuracy"])
    return table.assign(step=table["epoch"] * 10, member=0, unigram=6.1, bigram=4.2)


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")) if text.get_text()]


def drawn(figure):
    file = io.BytesIO()
    style.save(figure, file, io.BytesIO())
    pixels = np.asarray(Image.open(file).convert("L"))
    assert pixels.std() > 5
    return pixels


def maps(figure):
    return [image.get_array() for axes in figure.axes for image in axes.get_images()]


def test_chosen_heads_are_those_that_are_there(attention):
    figure = heat_maps.chosen_heads(attention, pd.DataFrame({"piece": PIECES}), "a-model", SETTINGS, LEARNT)
    drawn(figure)
    said = texts(figure)
    assert any("held-out loss 4.10, bigram baseline 4.30" in text for text in said)
    assert not any("TOO LITTLE" in text for text in said)
    weak = heat_maps.chosen_heads(
        attention, pd.DataFrame({"piece": PIECES}), "a-model", SETTINGS, LEARNT | {"loss": 4.3}
    )
    assert any("TOO LITTLE TRAINING TO INTERPRET" in text for text in texts(weak))
    assert {"head 0", "head 1"} <= set(said)  # there is no head 6
    assert {"␣movie", "↵", "␣$1"} <= set(said)  # spaces, line breaks and dollar signs
    for found in maps(figure)[:2]:
        assert found.shape == (len(PIECES), len(PIECES))
        assert not np.triu(found, 1).any()
        np.testing.assert_allclose(found.sum(1), 1)


@pytest.mark.parametrize("curves", [False, True])
def test_all_heads_with_their_scores(attention, scored, history, curves):
    one = history[history["model"] == history["model"].iloc[0]] if curves else None
    figure = heat_maps.all_heads(attention, pd.DataFrame({"piece": PIECES}), "a-model", SETTINGS, LEARNT, *scored, one)
    drawn(figure)
    said = texts(figure)
    assert {f"layer {layer} head {head}" for layer in range(2) for head in range(3)} <= set(said)
    assert "layer 0 head 2\ninduction 0.70" in said
    assert "layer 1 head 0\nspread" in said
    assert len([found for found in maps(figure) if found.shape == (9, 9)]) == LAYERS * HEADS
    assert ("bigram" in said) == curves


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_sweep_has_a_line_per_run(history, protocol):
    axes = {"variant": ["one-layer", "two-layer-mlp-residual"], "learning_rate": [0.004, 0.002]}
    axes |= {"corpus": ["text"], "tokenizer": ["bpe", "words"]}
    history = history.assign(corpus="text", tokenizer="bpe")
    other = history.assign(model=history["model"] + "-words", tokenizer="words")  # cannot be held against the first
    history = pd.concat([history, other], ignore_index=True)
    ended = findings.outcomes(history, by_seed=True)
    figure = sweep.learning_curves(history, ended, axes, protocol)
    drawn(figure)
    panels = [axes_ for axes_ in figure.axes if "held out loss" in axes_.get_title()]
    runs = [line for line in panels[0].get_lines() if len(line.get_xdata()) == 4]
    assert len(runs) == 4
    assert ("unigram" in texts(figure)) == (protocol == "corrected")
    assert ("learning rate" in texts(figure)) == (protocol == "corrected")


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_tokenizers_show_their_pieces(protocol):
    rows = [
        (model, tokenizer, sample, position, piece, position > 2, piece.startswith("##"))
        for model, tokenizer, pieces in (("m1", "gpt2", PIECES), ("m2", "bert", ["this", "##sad", "##quis", "##ition"]))
        for sample in range(-1, 5)
        for position, piece in enumerate(pieces)
    ]
    columns = ["model", "tokenizer", "sample", "position", "piece", "generated", "continuation"]
    figure = sweep.tokenizers(pd.DataFrame(rows, columns=columns), protocol)
    drawn(figure)
    assert {"gpt2", "bert", "##ition", "␣movie"} <= set(texts(figure))


def test_losses_and_settings():
    steps = [0, 1, 9, 99]
    table = pd.DataFrame({"step": steps * 2, "split": ["train"] * 4 + ["held out"] * 4, "flat": 0.0011})
    table = table.assign(cross_entropy=[10.8, 10, 8, 6] * 2, over_positions=[0.0011, 0.001, 0.001, 0.0009] * 2)
    figure = sweep.losses_compared(table, {"vocabulary": 50257, "size": 20})
    drawn(figure)
    assert "as published: softmax over the\n19 positions" in texts(figure)
    assert "cross-entropy: softmax over the\n50,257 tokens of the vocabulary" in texts(figure)
    settings = pd.DataFrame(
        {"setting": ["heads", "text"], "a": ["4", "x " * 40], "b": ["8", "y"], "this run": ["8", "z"]}
    )
    drawn(sweep.settings(settings))
