"""Figures of every head draw what the tables say."""

import numpy as np
import pandas as pd
import pytest

import pdf_texts
from drawn_figures import heads_of
from headatlas.plotting import style
from headatlas.studies.phrenology.figures import heads as figures

IDENTITY = ["model", "member", "layer", "head"]


def grouped(models=1, members=3, layers=1, heads=4):
    table = heads_of(models, members, layers, heads)
    group = table["layer"] * heads + table["head"]
    return table.assign(
        group=group, tie=np.where(table["member"] == 0, 0, -1), distance_to_partners=table["member"] / 10
    )


def scores_of(heads):
    """Group 0 is four times above chance in induction, others are within their error; entropy is half of chance."""
    parts = [
        heads[IDENTITY].assign(score="induction", value=np.where(heads["group"] == 0, 0.4, 0.11), chance=0.1),
        heads[IDENTITY].assign(score="current_token", value=0.1 + heads["group"] / 10, chance=0.2),
        heads[IDENTITY].assign(score="entropy", value=1.0 + heads["head"] / 50, chance=2.0),
        heads[IDENTITY].assign(score="copying", value=-0.5, chance=0.1),
    ]
    return pd.concat(parts, ignore_index=True).assign(standard_error=0.02)


def costs_of(heads):
    return heads[IDENTITY].assign(effect=0.1 + heads["group"] / 20, standard_error=0.01)


def circuits_of(heads):
    parts = [
        heads[IDENTITY].assign(circuit=circuit, rank=rank, source=rank, target=heads["member"], value=value, chance=5.0)
        for circuit, value in (("qk", 6.0), ("ov", 4.0))
        for rank in (1, 2, 3, 4)
    ]
    return pd.concat(parts, ignore_index=True)


def every_figure(heads):
    size = 5
    patterns = np.tril(np.ones((len(heads), size, size))) / np.arange(1, size + 1)[:, None]
    scores, costs = scores_of(heads), costs_of(heads)
    names = dict(enumerate(["\u2423the", "of", "internationalization", "$", "\u21b5"]))
    return {
        "scores": lambda: figures.scores_and_costs(heads, scores, costs, "group of partners"),
        "costs": lambda: figures.costs_against_attention(heads, scores, costs, "group of partners"),
        "patterns": lambda: figures.mean_patterns(heads, patterns, "group", True),
        "flow": lambda: figures.flow_of_partners(heads, heads["group"] / 10, {0, 2}, "attention"),
        "tokens": lambda: figures.joined_tokens(heads, circuits_of(heads), names, "group of partners"),
    }


@pytest.mark.parametrize("sizes", [(1, 3, 1, 4), (2, 2, 1, 4), (1, 3, 4, 6), (1, 2, 1, 2), (1, 3, 12, 12)], ids=str)
@pytest.mark.parametrize("name", every_figure(grouped()))
def test_text_is_legible_for_models_of_any_shape(tmp_path, name, sizes):
    figure = every_figure(grouped(*sizes))[name]()
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    assert not pdf_texts.faults(tmp_path / "a.pdf")
    assert figure.finding


def test_scores_are_in_units_of_chance_and_grey_within_their_error():
    heads = grouped()
    figure = figures.scores_and_costs(heads, scores_of(heads), costs_of(heads), "group of partners")
    axes, bars = figure.axes[:2]
    values = np.ma.filled(axes.images[0].get_array(), np.nan)
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["induction", "current token", "entropy"]  # what can be negative has no multiple of chance
    np.testing.assert_allclose(values[:3, 0], 2)
    assert np.isnan(values[3:, 0]).all()
    np.testing.assert_allclose(values[:3, 2], -1)
    np.testing.assert_allclose([bar.get_width() for bar in bars.patches][:4], [0.1, 0.1, 0.1, 0.15])
    assert "3 in induction" in figure.finding


def test_costs_are_correlated_with_attention():
    heads = grouped()
    figure = figures.costs_against_attention(heads, scores_of(heads), costs_of(heads), "group of partners")
    assert "current token at +1.00" in figure.finding
    assert "the more its ablation costs" in figure.get_suptitle().replace("\n", " ")


def test_heads_of_a_network_are_no_independent_samples_of_ablation_costs():
    """Networks that differ in both, and heads in which one says nothing of the other."""
    said = plain = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        value, effect = (np.repeat(rng.normal(size=6), 8) + 0.5 * rng.normal(size=48) for _ in range(2))
        table = pd.DataFrame({"model": "toy", "member": np.repeat(np.arange(6), 8), "value": value, "effect": effect})
        rank, low, high = figures.rank_over_members(table)
        said += low > 0 or high < 0
        plain += abs(np.arctanh(rank)) > 1.96 / 45**0.5  # as if heads were independent
        assert -1 <= low <= rank <= high <= 1
    assert plain >= 12
    assert said <= 6
    assert np.isnan(figures.rank_over_members(table[table["member"] < 2])[1:]).all()


def test_mean_patterns_stand_by_network_and_group():
    heads = grouped(heads=2)
    patterns = np.stack([np.eye(3) if group == 0 else np.tril(np.ones((3, 3))) / 3 for group in heads["group"]])
    figure = figures.mean_patterns(heads, patterns, "group", True)
    page = figure.axes[0].images[0].get_array()  # maps of 3 x 3, a gap of 1
    assert page.shape == (12, 8, 4)
    np.testing.assert_allclose(page[:3, :3], page[4:7, :3])
    assert not np.allclose(page[:3, :3], page[:3, 4:7])
    np.testing.assert_allclose(page[3], 1)
    line = figure.axes[1].lines[-2].get_ydata()
    np.testing.assert_allclose(line, [1, 0, 0])


def test_partners_flow_from_network_to_network():
    heads = grouped(members=2, heads=3)
    figure = figures.flow_of_partners(heads, [3, 2, 1, 1, 2, 3], {1}, "attention")
    axes = figure.axes[0]
    ends = [(line.get_ydata()[0], line.get_ydata()[-1]) for line in axes.lines]
    assert ends == [(3, 1), (2, 2), (1, 3)]
    widths = [line.get_linewidth() for line in axes.lines]
    assert widths[1] > widths[0] == widths[2]
    title = figure.get_suptitle()
    assert title == "Partners, matched by attention, vary by 0.9 ranks of attention"
    assert "no evidence that they correspond" in figure.finding
    assert "chance" not in title + figure.finding  # ranks by attention are no test of a matching by attention
    alone = figures.flow_of_partners(heads.assign(group=-1), np.zeros(6), set(), "attention")
    assert "not available" in alone.texts[0].get_text()


def test_the_most_typical_head_of_each_group_shows_its_strongest_pairs():
    heads = grouped(heads=2)
    figure = figures.joined_tokens(heads, circuits_of(heads), dict(enumerate("abcde")), "group of partners")
    found = [text.get_text() for text in figure.texts]
    assert [text for text in found if "m0" in text] == ["0: m0 h0", "1: m0 h1"]  # nearest to its partners
    assert [text for text in found if "6.0 (5.0)" in text] == [f"{letter} → a   6.0 (5.0)" for letter in "bcd"] * 2
    assert "6 of 12" in figure.finding
