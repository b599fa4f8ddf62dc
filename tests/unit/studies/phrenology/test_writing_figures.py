"""Figures of what heads write draw what the tables say."""

import numpy as np
import pandas as pd
import pytest
import torch

import pdf_texts
from drawn_figures import heads_of
from headatlas.attention import value_weighted as steps
from headatlas.plotting import style
from headatlas.studies.phrenology.figures.writing import losses_by_class, ov_eigenvalues, value_weighted
from headatlas.studies.phrenology.token_classes import CLASSES

SHAPES = [(1, 3, 1, 4), (2, 2, 1, 4), (1, 3, 4, 6), (1, 2, 1, 2), (1, 9, 1, 8), (1, 2, 12, 12)]


def grouped(models=1, members=3, layers=1, heads=4):
    table = heads_of(models, members, layers, heads)
    return table.assign(group=table["layer"] * heads + table["head"])


def copying_of(heads):
    """Group 0 copies, group 1 does the opposite, others are where random heads are; with their eigenvalues."""
    sign = np.select([heads["group"] == 0, heads["group"] == 1], [1.0, -1.0], 0.0)
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(len(heads), 6)) + 1j * rng.normal(size=(len(heads), 6))
    values = np.where(sign[:, None] != 0, 2 * sign[:, None] * np.abs(spread.real), spread)
    return heads.assign(copying=sign + 0.0, low=-0.2, high=0.2), list(values)


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_text_of_eigenvalues_is_legible_for_models_of_any_shape(tmp_path, sizes):
    figure = ov_eigenvalues.eigenvalues_of_heads(*copying_of(grouped(*sizes)), "group of partners")
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    assert not pdf_texts.faults(tmp_path / "a.pdf")
    assert figure.finding


def test_eigenvalues_lie_within_their_circle_and_are_grey_where_random_heads_copy_as_much():
    heads, values = copying_of(grouped())
    figure = ov_eigenvalues.eigenvalues_of_heads(heads, values, "group of partners")
    axes, strip = figure.axes
    dots = [line for line in axes.lines if line.get_marker() == "."]
    assert len(dots) == len(heads)
    across = axes.get_xticks()[1]
    for head, own, line in zip(heads.itertuples(), values, dots, strict=True):
        x, y = line.get_xdata() - across * head.head, line.get_ydata() - ov_eigenvalues._PITCH * head.member
        np.testing.assert_allclose(x - 1j * y, ov_eigenvalues._RADIUS * own / np.abs(own).max(), atol=1e-9)
        assert (line.get_color() == ov_eigenvalues._UNCLEAR) == (head.group > 1)
    assert [text.get_text() for text in axes.texts][:4] == ["+1.00", "-1.00", "+0.00", "+0.00"]
    assert "6 of 12 heads lies outside" in figure.finding
    assert "3 raise the token that they read, 3 lower it" in figure.finding
    marked = np.concatenate([line.get_ydata() for line in strip.lines[1:]])
    np.testing.assert_allclose(np.sort(marked), np.sort(heads["copying"]))


def test_of_many_heads_those_that_copy_most_and_least_are_shown():
    heads = grouped(1, 1, 12, 12)
    heads = heads.assign(copying=np.linspace(-1, 1, 144))
    shown, by_group = ov_eigenvalues.placed(heads)
    assert not by_group
    assert len(shown) == 81
    assert shown["copying"].max() == 1
    assert shown["copying"].min() == -1
    assert shown["copying"].abs().min() > 0.4
    assert not shown.duplicated(["row", "column"]).any()


def places_of(heads, size=6):
    """All attend to the last six tokens alike; of group 0, the first token's value writes nothing."""
    parts = []
    for distance in [*range(size), np.nan]:
        first = np.isnan(distance)
        own = heads.assign(place="first token" if first else "distance", distance=distance, attention=0.3)
        lower = (own["group"] == 0) & first
        parts.append(own.assign(weighted=np.where(lower, 0.1, 0.3), difference=np.where(lower, -0.2, 0.0)))
    return pd.concat(parts, ignore_index=True).assign(standard_error=0.01).drop(columns="group")


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_text_of_weighted_attention_is_legible_for_models_of_any_shape(tmp_path, sizes):
    heads = grouped(*sizes)
    table = places_of(heads).assign(difference=lambda rows: -0.2 * (rows["member"] % 2))  # a title of two lines
    figure = value_weighted.raw_and_weighted(heads, table, "group of partners", 6, True)
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    assert not pdf_texts.faults(tmp_path / "a.pdf")


def test_weighted_attention_stands_beside_attention():
    heads = grouped()
    figure = value_weighted.raw_and_weighted(heads, places_of(heads), "group of partners", 6, True)
    upper = figure.subfigs[0].axes[0]
    strokes = [line.get_ydata() for line in upper.lines if len(line.get_xdata()) == 2 and line.get_linestyle() == "-"]
    drawn = [ends for ends in strokes if ends[0] != ends[1] and tuple(ends) != (0, 1)]  # not between groups
    np.testing.assert_allclose(drawn, [(0.3, 0.1)] * 3)
    assert "3 of 12 heads lose on the first token" in figure.get_suptitle().replace("\n", " ")
    assert "a change of -0.050" in figure.finding
    assert "3 of them down" in figure.finding


@pytest.mark.parametrize("causal", [True, False])
def test_a_uniform_head_is_where_the_step_would_measure_it(causal):
    size = 5
    seen = np.tri(size) if causal else np.ones((size, size))
    pattern = torch.tensor(seen / seen.sum(1, keepdims=True))[None, None]
    measured = steps.by_place(pattern, torch.ones(1, size, dtype=torch.bool), causal)[0, 0]
    by_distance, first = value_weighted.uniform(size, causal)
    np.testing.assert_allclose([*by_distance, first], measured)


def classes_of(heads):
    """Heads of group 0 cost 0.5 on repeated tokens and 0.1 on all others, the rest 0.1 on all."""
    parts = []
    for kind in ("zero", "mean", "resample", "other"):
        for name in CLASSES:
            more = (heads["group"] == 0) & (name == "repeated") & (kind == "mean")
            own = heads.drop(columns="group").assign(kind=kind, token_class=name, targets=9)
            parts.append(own.assign(loss=3.0, effect=np.where(more, 0.5, 0.1) + heads["member"] / 1000))
    return pd.concat(parts, ignore_index=True).assign(standard_error=0.04)


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_text_of_losses_by_class_is_legible_for_models_of_any_shape(tmp_path, sizes):
    heads = grouped(*sizes)
    figure = losses_by_class.cost_by_class(heads, classes_of(heads), "group of partners")
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    assert not pdf_texts.faults(tmp_path / "a.pdf")


def test_losses_by_class_are_drawn_where_they_are_clear_of_zero_and_compared():
    heads = grouped()
    table = classes_of(heads)
    table.loc[table["head"] == 3, "standard_error"] = 0.2
    figure = losses_by_class.cost_by_class(heads, table, "group of partners")
    strip, axes = figure.axes[:2]
    drawn = np.ma.filled(axes.images[0].get_array(), np.nan)
    repeated = CLASSES.index("repeated")
    np.testing.assert_allclose(drawn[:3, repeated], [0.502, 0.501, 0.5])  # the costliest of group 0 first
    assert np.isnan(drawn[9:]).all()  # group 3
    np.testing.assert_allclose(drawn[:9, 0], [0.102, 0.101, 0.1] * 3)
    means = strip.containers[0].lines[0].get_ydata()
    assert means[repeated] == pytest.approx(0.1 + 0.4 / 4 + 0.001)
    assert "3 of 12 heads cost more on repeated tokens than on new tokens, 0 less" in figure.get_suptitle().replace(
        "\n", " "
    )
    assert "+0.100" in figure.finding
    assert "(+0.000 with another head in the place)" in figure.finding
