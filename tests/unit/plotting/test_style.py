"""Colours that any reader tells apart, and a figure that carries what it shows in words."""

import itertools
import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

import pdf_texts
from headatlas.atlas import page
from headatlas.plotting import style

# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
}
TO_XYZ = np.array([[0.41246, 0.35758, 0.18044], [0.21267, 0.71515, 0.07218], [0.01933, 0.11919, 0.9503]])
WHITE = TO_XYZ.sum(1)
BEFORE = ["#4477AA", "#EE7733", "#228833", "#CC3311", "#AA3377", "#66CCEE", "#CCBB44", "#BBBBBB", "#663333"]


def seen(colours, vision):
    """CIELAB coordinates of colours as a reader sees them, (colour, 3)."""
    rgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ np.transpose(VISION[vision]), 0, 1) @ TO_XYZ.T / WHITE
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def least_difference(colours, vision):
    return min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen(colours, vision), 2))


@pytest.mark.parametrize("vision", VISION)
def test_any_two_colours_are_told_apart(vision):
    assert least_difference(style.PALETTE, vision) > 23
    assert least_difference(style.ON_DARK, vision) > 23
    assert least_difference([style.TRAIN, style.HELD_OUT], vision) > 23
    background = np.linalg.norm(seen(style.PALETTE, vision) - seen(["white"], vision), axis=1)
    assert background.min() > 23


def test_colours_for_a_dark_ground_stand_out_from_the_atlas_and_are_near_those_of_the_figures():
    sheet = page.asset("atlas.css")
    grounds = set(re.findall(r"--paper: (#\w{6})", sheet)) - {"#ffffff"}
    assert grounds
    for ground in grounds:
        assert all((luminance(each) + 0.05) / (luminance(ground) + 0.05) >= 3 for each in style.ON_DARK)
    light, dark = (seen(each, "normal")[:, 1:] @ (1, 1j) for each in (style.PALETTE, style.ON_DARK))
    assert len(dark) == len(light)
    assert np.degrees(np.abs(np.angle(dark / light))).max() < 30


def luminance(colour):
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)


@pytest.mark.parametrize("vision", ["protanopia", "deuteranopia"])
def test_the_measure_sees_colours_that_merge(vision):
    assert least_difference(BEFORE, vision) < 10


def test_colours_and_shapes_go_together_and_colours_do_not_run_out():
    assert len({style.colour(index) for index in range(27)}) == 27
    assert len({style.marker(index) for index in range(len(style.PALETTE))}) == len(style.PALETTE)
    assert style.member_colour(3) == style.cluster_colour(3) == to_rgb(style.PALETTE[3])


def drawn(**text):
    @style.paper
    def figure():
        made = style.blank(3, 2, layout="none")
        made.text(**({"x": 0.5, "y": 0.5, "s": "attention", "ha": "center"} | text))
        return made

    return figure()


def test_a_figure_carries_its_finding(tmp_path):
    style.save(style.finding(drawn(), "All heads are alike (p = 0.6)."), tmp_path / "a.png", tmp_path / "a.pdf")
    assert Image.open(tmp_path / "a.png").info["Description"] == "All heads are alike (p = 0.6)."
    assert b"/Subject (All heads are alike" in (tmp_path / "a.pdf").read_bytes()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ({}, None),
        ({"s": "“\u22120.1” ␣the"}, None),
        ({"fontsize": 5}, "5.0 points"),
        ({"x": 0.01}, "outside the page"),
        ({"x": 0.99, "ha": "left", "rotation": 90, "y": 0.9}, "outside the page"),
        ({"s": "two\nlines"}, None),
        ({"s": "two\nlines", "linespacing": 0.4}, "overlaps"),
    ],
)
def test_what_is_hard_to_read_is_found(tmp_path, text, fault):
    style.save(drawn(**text), tmp_path / "a.png", tmp_path / "a.pdf")
    found = pdf_texts.faults(tmp_path / "a.pdf")
    assert any(fault in sentence for sentence in found) if fault else not found


def test_texts_of_a_pdf_are_where_they_were_put(tmp_path):
    style.save(drawn(x=0, y=0, ha="left", fontsize=10), tmp_path / "a.png", tmp_path / "a.pdf")
    (size, [(text, points, corners)]) = pdf_texts.texts(tmp_path / "a.pdf")
    assert (size, text, points) == ((216, 144), "attention", 10)
    np.testing.assert_allclose(corners[0], (0, 0), atol=3)


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("keys across, queries down and what they attend to most", 2.6, 2),
        ("two groups last longest, over a factor of 4.75, no longer than in continua: p = 0.6", 4.9, 2),
        ("one line", 5, 1),
    ],
)
def test_lines_of_a_title_are_about_as_long_as_one_another(text, width, lines):
    found = style.wrapped(text, width, 8).split("\n")
    assert " ".join(found) == text
    assert len(found) == lines
    longest, last = max(map(len, found)), len(found[-1])
    assert last > 0.6 * longest, "a word alone on the last line"


def test_no_text_is_one_empty_line():
    assert style.wrapped("", 5, 8) == ""


def test_a_name_breaks_at_its_hyphen_and_within_a_word_only_where_there_is_no_room():
    assert style.wrapped("repeats-bidirectional", 0.75, 8) == "repeats-\nbidirectional"
    assert max(map(len, style.wrapped("bidirectionality", 0.5, 8).split("\n"))) < 9


@pytest.mark.parametrize("layout", ["constrained", "none"])
def test_a_warning_stands_above_all_else_and_in_what_is_said(layout, tmp_path):
    figure = style.blank(4, 2, layout=layout)
    axes = figure.add_axes([0.2, 0.25, 0.7, 0.6]) if layout == "none" else figure.subplots()
    axes.plot([0, 1], label="a head")
    axes.set_xlabel("tokens")
    if layout == "constrained":
        figure.legend(loc="outside lower center")
        figure.legend(loc="outside upper center")
    else:
        figure.suptitle("heads")
    style.finding(figure, "Heads differ")
    style.warn(figure, "TOO LITTLE TRAINING TO INTERPRET: mine (held-out loss 5.12, bigram baseline 4.75 nats)")
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    assert not pdf_texts.faults(tmp_path / "a.pdf")
    _, found = pdf_texts.texts(tmp_path / "a.pdf")
    highest = max(found, key=lambda one: one[2][:, 1].max())
    assert highest[0].startswith("TOO LITTLE TRAINING")
    assert {"a head" if layout == "constrained" else "heads", "tokens"} <= {text for text, _, _ in found}
    assert Image.open(tmp_path / "a.png").info["Description"].endswith("nats). Heads differ")
