"""Figures of the validation draw what the tables say."""

import numpy as np
import pandas as pd
import pytest

from headatlas.plotting import style
from headatlas.studies.phrenology.figures import validation

SOURCES = {"partner": 0.3, "kind": 0.2, "others": 0.1}


def heads_of(members=3, heads=4, layers=1):
    rows = np.indices((members, layers, heads)).reshape(3, -1)
    table = pd.DataFrame(dict(zip(("member", "layer", "head"), rows, strict=True))).assign(model="toy")
    return table.assign(kind=table["head"] % 2)


def overall_of(extra=()):
    rows = []
    for norm, off in (("as mapped", 0.0), ("equal norm", -0.2)):
        for source, share in [*SOURCES.items(), *extra]:
            rows.append((norm, source, share + off, share + off - 0.05, share + off + 0.05, np.nan))
        rows.append((norm, "partner best", 0.4, 0.3, 0.5, 0.25))
        if not extra:
            rows.append((norm, "other layer", np.nan, np.nan, np.nan, np.nan))
    return pd.DataFrame(rows, columns=["norm", "source", "share", "low", "high", "chance"])


def shares_of(heads):
    """Partners of head h recover 0.1 h of the loss."""
    parts = [
        heads.drop(columns="kind").assign(
            norm=norm, source=source, share=share if source != "partner" else heads["head"] / 10
        )
        for norm in ("as mapped", "equal norm")
        for source, share in SOURCES.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(low=table["share"] - 0.05, high=table["share"] + 0.05)


def points(axes, marker):
    found = [line.get_xydata() for line in axes.get_lines() if line.get_marker() == marker]
    found = np.concatenate(found)
    return found[np.argsort(found[:, 0], kind="stable")]


def test_transplants(tmp_path):
    heads = heads_of()
    figure = validation.transplants(shares_of(heads), overall_of(), heads)
    left, right = figure.axes
    assert points(left, "o")[:, 1].tolist() == pytest.approx([0.3, 0.1])  # as mapped, at equal norm
    expected = [0.2, 0.2, 0.2, 0, 0, 0, 0.3, 0.3, 0.3, 0.1, 0.1, 0.1]  # kind by kind, the best first
    np.testing.assert_allclose(points(right, "o")[:, 1], expected)
    np.testing.assert_allclose(points(right, "D")[:, 1], 0.1)
    assert "9 of 12\nrecover more than nothing" in right.get_title(loc="left")
    assert "recovers 30% of the loss, other heads 10%" in figure.get_suptitle().replace("\n", " ")
    assert "its partner recovers 30% (25% to 35%), other heads of the layer 10% (5% to 15%)" in figure.finding
    assert [text.get_text() for text in left.get_xticklabels()] == ["partner", "same\ngroup", "other\nheads"]
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")


def test_heads_of_another_layer_are_drawn_where_there_are_any():
    heads = heads_of(layers=2)
    figure = validation.transplants(shares_of(heads), overall_of([("other layer", 0.05)]), heads)
    assert points(figure.axes[0], "^")[0, 1] == pytest.approx(0.05)


def test_agreement(tmp_path):
    rows = [("attention", "ov", 0.5, 0.4, 0.6, 0.2, 0.25, 0.001), ("attention", "qk", 0.2, 0.1, 0.3, 0.2, 0.25, 0.5)]
    table = pd.DataFrame(rows, columns=["first", "second", "share", "low", "high", "chance", "chance_95", "p"])
    figure = validation.agreement(table)
    (axes,) = figure.axes
    found = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert [line.get_xydata()[0].tolist() for line in found] == [[0.5, 1], [0.2, 0]]
    assert found[1].get_markerfacecolor() == "white"  # within chance
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "attention and OV circuit",
        "attention and QK circuit",
    ]
    assert "partners by OV circuit for 50% of heads" in figure.get_suptitle().replace("\n", " ")
    assert "attention and OV circuit for 50% (40% to 60%; by chance 20%)" in figure.finding
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")


def universal_of(heads):
    table = heads.assign(score=heads.index / 2.0, beyond_noise=heads.index / len(heads), chance=0.05)
    for name in ("score", "attention", "ov", "qk", "effects", "transplant"):
        table[name] = table.get(name, heads["head"] / 10)
        table[f"{name}_low"], table[f"{name}_high"] = table[name] - 0.1, table[name] + 0.1
    return table


@pytest.mark.parametrize(("members", "shown"), [(3, 12), (30, validation.SHOWN)])
def test_universality(tmp_path, members, shown):
    heads = heads_of(members)
    patterns = np.tril(np.ones((len(heads), 5, 5))) / np.arange(1, 6)[:, None]
    figure = validation.universality(universal_of(heads), patterns)
    dots, map_, bars, *maps = figure.axes
    offsets = dots.collections[-1].get_offsets()
    assert len(offsets) == shown
    assert (np.diff(offsets[:, 0]) > 0).all()  # the most universal on top
    assert dots.get_yticklabels()[-1].get_text() == f"m{members - 1} h3"
    assert map_.images[0].get_array().shape == (shown, 5)
    assert bars.patches[-1].get_width() == pytest.approx((len(heads) - 1) / len(heads))
    assert [axes.get_title() for axes in maps] == [
        *(f"most m{members - 1} h{head}" for head in (3, 2, 1)), "least m0 h2", "least m0 h1", "least m0 h0",
    ]  # fmt: skip
    assert (f"the {validation.SHOWN // 2} most and least" in figure.get_suptitle().replace("\n", " ")) == (
        members == 30
    )
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")


def test_without_partners_the_figures_say_so():
    heads = heads_of()
    empty = overall_of().assign(share=np.nan)
    for figure in (
        validation.transplants(shares_of(heads)[:0], empty, heads),
        validation.agreement(pd.DataFrame({"first": [], "share": []})),
        validation.universality(universal_of(heads).assign(score=np.nan), None),
    ):
        assert "No" in figure.texts[0].get_text()
        assert figure.get_figwidth() == style.WIDTH
