"""The figures of attention-only transformers show what they are given, legibly."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import pdf_texts
from headatlas.plotting import style
from headatlas.studies.circuits import findings
from headatlas.studies.circuits.figures import composition, heat_maps, sweep

PIECES = ["this", "␣movie", "␣is", "␣$1", "↵", "aver", "age", "␣", "."]
LAYERS, HEADS = 2, 3
SETTINGS = {"layer": 1, "heads": [1, 6]}
LEARNT = {"loss": 4.1, "unigram": 6.0, "bigram": 4.3}


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


def test_one_map_has_a_page_as_narrow_as_itself(attention):
    text = pd.DataFrame({"piece": PIECES})
    several = heat_maps.chosen_heads(attention, text, "a-model", SETTINGS, LEARNT)
    one = heat_maps.chosen_heads(attention, text, "a-model", SETTINGS | {"heads": [0]}, LEARNT)
    assert one.get_figwidth() < several.get_figwidth() == style.WIDTH
    drawn(one)
    panel = one.axes[0].get_window_extent()
    assert panel.x0 < 0.25 * one.bbox.width  # nothing but tokens to its left


def test_titles_say_how_many_heads_each_score_names(attention, scored):
    text = pd.DataFrame({"piece": PIECES})
    scores, names = scored
    figure = heat_maps.all_heads(attention, text, "a-model", SETTINGS, LEARNT, scores, names)
    assert f"{HEADS - 1} of {HEADS} heads: induction" in " ".join(texts(figure))
    spread = heat_maps.all_heads(attention, text, "a-model", SETTINGS, LEARNT, scores, names.assign(name="spread"))
    assert f"No score names any of the {HEADS} heads" in " ".join(texts(spread))


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
    assert {"head 0\n(for the paper's 6)", "head 1"} <= set(said)  # there is no head 6
    own = attention[(attention["layer"] == 1) & (attention["query"] == attention["key"])]
    shares = [f"head {head} {own[own['head'] == head]['weight'].mean():.2f}" for head in (0, 1)]
    assert f"attention to the current token is {', '.join(shares)}; the paper chose heads that" in figure.finding
    assert {"␣movie", "↵", "␣$1"} <= set(said)  # spaces, line breaks and dollar signs
    for found in maps(figure)[:2]:
        assert found.shape == (len(PIECES), len(PIECES))
        found = np.ma.filled(found, np.nan)
        assert np.isnan(found[np.triu_indices(len(PIECES), 1)]).all()  # grey: no query sees the future
        np.testing.assert_allclose(np.nansum(found, axis=1), 1)


@pytest.mark.parametrize("curves", [False, True])
def test_all_heads_with_their_scores(attention, scored, history, curves):
    one = history[history["model"] == history["model"].iloc[0]] if curves else None
    figure = heat_maps.all_heads(attention, pd.DataFrame({"piece": PIECES}), "a-model", SETTINGS, LEARNT, *scored, one)
    drawn(figure)
    said = texts(figure)
    assert {"head 0\nspread", "head 1: 0.40\ninduction", "head 2: 0.70\ninduction"} <= set(said)
    drawn_maps = [np.ma.filled(found, np.nan) for found in maps(figure) if found.shape == (9, 9)]
    assert len(drawn_maps) == HEADS
    for head, found in enumerate(drawn_maps):
        weights = attention[(attention["layer"] == SETTINGS["layer"]) & (attention["head"] == head)]
        np.testing.assert_array_equal(found[weights["query"], weights["key"]], weights["weight"])
    assert ("bigram" in said) == curves
    assert "induction in head 1 0.400 ± 0.010, head 2 0.700 ± 0.010 (chance 0.10); head 0 by no score" in figure.finding


@pytest.mark.parametrize("heads", [1, 4, 12])
@pytest.mark.parametrize("tokens", [3, 20, 40])
def test_heat_maps_fit_the_page_whatever_heads_and_tokens(tmp_path, heads, tokens):
    rows = [(1, head, query, query, 1.0) for head in range(heads) for query in range(tokens)]
    table = pd.DataFrame(rows, columns=["layer", "head", "query", "key", "weight"])
    scores = [
        (0, 1, head, score, 0.5, 0.01, 0.1)
        for head in range(heads)
        for score in ("previous_token", "current_token", "first_token", "duplicate_token", "topic_word", "induction")
    ]
    scores = pd.DataFrame(scores, columns=["member", "layer", "head", "score", "value", "standard_error", "chance"])
    names = scores[scores["score"] == "current_token"].assign(name="duplicate token")  # the longest
    text = pd.DataFrame({"piece": [f"␣word{place}" for place in range(tokens)]})
    chosen = {"layer": 1, "heads": list(range(min(2, heads)))}
    figures = heat_maps.all_heads(table, text, "a (4 heads)", chosen, LEARNT, scores, names)
    lacking = {"layer": 1, "heads": [50, 51]}  # whose place others take, with a second line to their titles
    published = (heat_maps.chosen_heads(table, text, "a (4 heads)", given, LEARNT) for given in (chosen, lacking))
    for figure in (figures, *published):
        assert figure.get_figwidth() <= style.WIDTH
        style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
        assert not pdf_texts.faults(tmp_path / "a.pdf")


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_sweep_has_a_line_per_run(history, protocol):
    axes = {"variant": ["one-layer", "two-layer-mlp-residual"], "learning_rate": [0.004, 0.002]}
    axes |= {"corpus": ["text"], "tokenizer": ["bpe", "words"]}
    history = history.assign(corpus="text", tokenizer="bpe")
    other = history.assign(model=history["model"] + "-words", tokenizer="words")  # cannot be held against the first
    history = pd.concat([history, other], ignore_index=True)
    ended = findings.outcomes(history, by_seed=True)
    compared = pd.DataFrame({"step": [0, 9] * 2, "split": ["train"] * 2 + ["held out"] * 2, "flat": 0.0011})
    compared = compared.assign(cross_entropy=[10.8, 6, 10.8, 7], over_positions=[0.0011, 0.0007, 0.0011, 0.0009])
    figure = sweep.learning_curves(history, ended, axes, protocol, compared)
    drawn(figure)
    # the paper's loss is none of those by epoch: the published figure shows it, and the caption says of what
    of_paper = [axes_ for axes_ in figure.axes if "as published" in axes_.get_title()]
    assert [list(axes_.get_lines()[0].get_ydata()) for axes_ in of_paper] == (
        [[0.0011, 0.0007], [0.0011, 0.0009]] if protocol == "published" else []
    )
    assert ("one run alone: 0.0011 to 0.0009" in figure.finding) == (protocol == "published")
    assert {axes_.get_ylabel() for axes_ in figure.axes if axes_.get_title() == "train loss"} == {
        "cross-entropy\n(nats per token)"
    }
    panels = [axes_ for axes_ in figure.axes if "held out loss" in axes_.get_title()]
    runs = [line for line in panels[0].get_lines() if len(line.get_xdata()) == 4]
    assert len(runs) == 4
    assert ("unigram" in texts(figure)) == (protocol == "corrected")
    assert ("learning rate" in texts(figure)) == (protocol == "corrected")


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_tokenizers_show_their_pieces(protocol, tmp_path):
    rows = [
        (model, tokenizer, sample, position, piece, position > 2, piece.startswith("##"))
        for model, tokenizer, pieces in (("m1", "gpt2", PIECES), ("m2", "bert", ["this", "##sad", "##quis", "##ition"]))
        for sample in range(-1, 5)
        for position, piece in enumerate(pieces)
    ]
    columns = ["model", "tokenizer", "sample", "position", "piece", "generated", "continuation"]
    figure = sweep.tokenizers(pd.DataFrame(rows, columns=columns), protocol)
    drawn(figure)
    said = texts(figure)
    assert {"##ition", "␣movie"} <= set(said)
    # one of the piece that was added, and it continues a word, in each of five texts
    share = "100% of pieces continue a word (5 texts, standard error 0%)"
    assert ("bert" in said, f"bert: {share}" in said) == (protocol == "published", protocol == "corrected")
    assert f"bert: {share}" in figure.finding
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    assert not pdf_texts.faults(tmp_path / "a.pdf")


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


def test_arcs_join_the_heads_that_compose_beyond_random_heads():
    rows = [
        (
            "m",
            member,
            1,
            head,
            0,
            earlier,
            score,
            0.1 + 0.01 * (10 * (score == "k_composition") * (head == 2 == earlier)),
        )
        for member in range(2)
        for head in range(3)
        for earlier in range(3)
        for score in composition.READ_AS
    ]
    columns = ["model", "member", "layer", "head", "earlier_layer", "earlier_head", "score", "value"]
    table = pd.DataFrame(rows, columns=columns).assign(chance=0.1, chance_deviation=0.01)
    names = pd.DataFrame(
        [("m", 0, 0, 2, "previous token"), ("m", 0, 1, 2, "induction")],
        columns=["model", "member", "layer", "head", "name"],
    )
    figure = composition.composition_arcs(table, names, {"m": "two-layer"})
    drawn(figure)
    arcs = [[patch.get_path() for patch in axes.patches] for axes in figure.axes]
    assert [len(paths) for paths in arcs] == [0, 1, 0]
    (path,) = arcs[1]
    np.testing.assert_allclose(path.vertices[[0, -1]], [(2, 0), (2, 1)], atol=0.1)
    assert "as keys 2 of 18 (most: layer 0 head 2 by layer 1 head 2 of member 0, 0.20 where" in figure.finding
    assert "as queries 0 of 18" in figure.finding
    assert not composition.composition_arcs(table[:0], names, {}).axes
