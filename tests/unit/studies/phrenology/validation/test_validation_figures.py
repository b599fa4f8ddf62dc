"""Figures of the validation draw what the tables say."""

from itertools import pairwise

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
        rows.append((norm, "partner less others", 0.2, 0.1, 0.3, np.nan))
        if not extra:
            rows.append((norm, "other layer", np.nan, np.nan, np.nan, np.nan))
    table = pd.DataFrame(rows, columns=["norm", "source", "share", "low", "high", "chance"])
    return table.assign(p=np.where(table["source"] == "partner less others", 1 / 200, np.nan), permutations=199)


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
    assert "of 12, 9 recover\nmore than nothing, by chance 0" in right.get_title(loc="left")
    assert "recovers 30% of the loss, other heads 10% (p ≤ 0.005)" in figure.get_suptitle().replace("\n", " ")
    assert "its partner recovers 30% (25% to 35%), other heads of the layer 10% (5% to 15%)" in figure.finding
    assert "the partner 20% more (p ≤ 0.005, heads permuted within kinds)" in figure.finding
    assert [text.get_text().partition("\n")[::2] for text in left.get_xticklabels()] == [
        (f"{SOURCES['partner']:.0%}", "partner"),
        (f"{SOURCES['kind']:.0%}", "same\ngroup"),
        (f"{SOURCES['others']:.0%}", "other\nheads"),
    ]
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")


def test_two_networks_are_drawn_without_intervals():
    heads, ends = heads_of(members=2), {"low": np.nan, "high": np.nan}
    figure = validation.transplants(shares_of(heads).assign(**ends), overall_of().assign(**ends), heads)
    assert "its partner recovers 30%, other heads of the layer 10%" in figure.finding
    assert "of 8, 0 recover" in figure.axes[1].get_title(loc="left")
    assert "nan" not in figure.finding


def test_heads_of_another_layer_are_drawn_where_there_are_any():
    heads = heads_of(layers=2)
    figure = validation.transplants(shares_of(heads), overall_of([("other layer", 0.05)]), heads)
    assert points(figure.axes[0], "^")[0, 1] == pytest.approx(0.05)


def test_shares_far_below_zero_stay_legible():
    """As of networks trained too little, in which a stranger does many times the harm of no head."""
    heads, columns = heads_of(layers=2), ["share", "low", "high"]
    tables = [shares_of(heads), overall_of([("other layer", 0.05)])]
    for table in tables:
        table[columns] = -5 + table[columns]
    figure = validation.transplants(*tables, heads)
    left, right = figure.axes
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in left.get_xticklabels()]
    assert len(boxes) == 4
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))
    assert right.get_ylim()[0] < 0 < right.get_ylim()[1]  # what no head at all does


def test_agreement(tmp_path):
    rows = [("attention", "ov", 0.5, 0.4, 0.6, 0.2, 0.25, 0.001), ("attention", "qk", 0.2, 0.1, 0.3, 0.2, 0.25, 0.5)]
    table = pd.DataFrame(rows, columns=["first", "second", "share", "low", "high", "chance", "chance_95", "p"])
    table["permutations"] = 999
    figure = validation.agreement(table)
    (axes,) = figure.axes
    found = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert [line.get_xydata()[0].tolist() for line in found] == [[0.5, 1], [0.2, 0]]
    assert found[1].get_markerfacecolor() == "white"  # within chance
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "attention and OV circuit",
        "attention and QK circuit",
    ]
    title = figure.get_suptitle().replace("\n", " ")
    assert "partners by OV circuit for 50% of heads, permuted within kinds for 20% (p ≤ 0.001)" in title
    assert "attention and OV circuit for 50% (40% to 60%), permuted for 20% (p ≤ 0.001)" in figure.finding
    assert {"p ≤ 0.001", "p = 0.5"} <= {text.get_text() for text in axes.texts}
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")


def universal_of(heads):
    table = heads.assign(score=heads.index / 2.0, beyond_noise=heads.index / len(heads), chance=0.05, p=0.01)
    table["permutations"] = 99
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
    assert "(heads permuted within kinds in 5%, p ≤ 0.01)" in figure.get_suptitle().replace("\n", " ")
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
