"""Figures of what heads write draw what the tables say."""

import numpy as np
import pytest

import pdf_texts
from drawn_figures import heads_of
from headatlas.plotting import style
from headatlas.studies.phrenology.figures.writing import ov_eigenvalues

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
