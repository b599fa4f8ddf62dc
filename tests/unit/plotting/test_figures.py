"""Figures draw the tables they are given, legibly, and the same input gives the same file."""

import io
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from fontTools.subset import Options
from fontTools.ttLib import TTFont
from matplotlib.backends import backend_pdf
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

import drawn_figures
from drawn_figures import distances_of, drawn_texts, heads_of, maps_of
from headatlas.base.errors import InputError
from headatlas.plotting import style, training_curves
from headatlas.studies.phrenology.figures import components, matrix, projections

SIZE, PROMPTS = 6, 8
WORDS = ["The", "␣of", "␣and", "␣jury", "↵", "$", "␣election", "␣rooms", "␣was", "␣county", "$", "␣irregularities"]


def projections_of(heads, seed=1):
    artificial = pd.DataFrame({"model": "artificial", "member": -1, "layer": -1, "head": [0, 1, 2]})
    table = pd.concat([heads, artificial], ignore_index=True)
    generator = np.random.default_rng(seed)
    parts = []
    for method in ("pca", "umap", "tsne"):
        points = generator.normal(0, 5, (len(table), 2))
        parts.append(table.assign(method=method, component_1=points[:, 0], component_2=points[:, 1]))
    quality = {m: {"trustworthiness": 0.5 + i / 10, "continuity": 0.9} for i, m in enumerate(("pca", "umap", "tsne"))}
    return pd.concat(parts, ignore_index=True), {"quality": quality, "explained_variance": [0.62, 0.21]}


def components_of(packing="lower", size=SIZE, count=5):
    entries = size * (size + 1) // 2 if packing == "lower" else size * size
    weights = np.random.default_rng(2).normal(0, 0.01, (count * PROMPTS, entries)).astype(np.float32)
    table = pd.DataFrame(
        {
            "component": np.repeat(np.arange(count), PROMPTS),
            "prompt": np.tile(np.arange(PROMPTS), count),
            "weights": list(weights),
        }
    )
    facts = {"packing": packing, "size": size, "explained_variance_ratio": [0.4, 0.3, 0.1, 0.05, 0.02][:count]}
    return table, facts, weights.reshape(count, PROMPTS, entries)


def tokens_of(prompts=PROMPTS, size=SIZE):
    return [[WORDS[(prompt + position) % len(WORDS)] for position in range(size)] for prompt in range(prompts)]


def first_token_of(prompts=8, size=SIZE):
    generator, tokens, parts = np.random.default_rng(3), tokens_of(prompts, size), []
    for protocol, start in (("published", 0), ("corrected", 1)):
        rows = [(protocol, p, i, tokens[p][i]) for p in range(prompts) for i in range(start, size)]
        table = pd.DataFrame(rows, columns=["protocol", "prompt", "position", "token"])
        points = generator.normal(0, 1, (len(rows), 2))
        parts.append(table.assign(component_1=points[:, 0], component_2=points[:, 1]))
    return pd.concat(parts, ignore_index=True)


def training_of(members=3):
    steps, rows = np.arange(0, 500, 50), []
    for member in range(members):
        for gap, split in enumerate(("train", "validation")):
            loss = 5 + 4 * np.exp(-steps / 100) + 0.3 * gap + 0.01 * member
            accuracy = (10 - loss) / 20
            columns = {"member": member, "step": steps, "epoch": steps / 100, "split": split}
            rows.append(pd.DataFrame({**columns, "loss": loss, "accuracy": accuracy}))
    baselines = pd.DataFrame({"member": range(members), "unigram": 7.0 + np.arange(members), "bigram": 5.5})
    return pd.concat(rows, ignore_index=True), baselines


def every_figure():
    heads = heads_of()
    distances = distances_of(heads)
    yield "published distances", lambda: projections.head_distances(heads, distances)
    for name, sizes in {"12 x 12": (1, 1, 12, 12), "one head": (1, 1, 1, 1), "3 x 9 x 2 x 2": (3, 9, 2, 2)}.items():
        many = heads_of(*sizes)
        far = distances_of(many)
        yield f"distances, {name}", lambda h=many, d=far: projections.head_distances(h, d)
        yield f"projections, {name}", lambda h=many: projections.head_projections(*projections_of(h), "corrected")
    deep = heads_of(1, 30, 13, 1)
    yield "projections, deep", lambda: projections.head_projections(*projections_of(deep), "corrected")
    yield "published projections", lambda: projections.head_projections(*projections_of(heads), "published")
    for packing, size, count in (("lower", SIZE, 5), ("full", 40, 3)):
        table, facts, _ = components_of(packing, size, count)
        yield f"components, {packing}", lambda t=table, f=facts: components.component_maps(t, f)
        tokens = tokens_of(size=size)
        yield f"third, {packing}", lambda t=table, f=facts, w=tokens: components.third_component(t, f, w)
    yield "published first token", lambda: projections.tokens_on_plane(first_token_of(), "published")
    yield "corrected first token", lambda: projections.tokens_on_plane(first_token_of(), "corrected")
    history, baselines = training_of()
    yield "training", lambda: training_curves.training_curves(history, baselines, "brown")
    yield "three trainings", lambda: training_curves.training_curves([history] * 3, [baselines] * 3, ["a", "b", "c"])


FIGURES = dict(every_figure())


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_cut_off(name, monkeypatch):
    figure = FIGURES[name]()
    texts = drawn_texts(figure, monkeypatch)
    assert texts
    page = figure.bbox
    cut = [
        (text, box.extents.round())
        for text, box in texts
        if box.x0 < page.x0 or box.y0 < page.y0 or box.x1 > page.x1 or box.y1 > page.y1
    ]
    assert not cut


def test_distances_are_drawn_as_given():
    heads = heads_of()
    euclidean = distances_of(heads)
    (drawn,) = maps_of(projections.head_distances(heads, euclidean), euclidean.shape)
    off = ~np.eye(len(heads), dtype=bool)
    np.testing.assert_allclose(drawn[off], euclidean[off])
    assert np.isnan(drawn[~off]).all()


def test_clustered_order_puts_planted_groups_together():
    heads = heads_of()  # heads of one index lie within 0.2 of each other, others 2 and more apart
    found = heads["head"].to_numpy()[matrix.clustered_order(distances_of(heads))]
    assert np.count_nonzero(np.diff(found)) == heads["head"].nunique() - 1
    groups = np.arange(len(heads)) % 3
    assert (np.diff(groups[matrix.clustered_order(distances_of(heads), groups)]) >= 0).all()


def test_colours_stand_for_members_everywhere():
    heads = heads_of(members=9)
    distances, wanted = distances_of(heads), [style.member_colour(member) for member in heads["member"]]
    strip = projections.head_distances(heads, distances).axes[0].child_axes[0].images[0].get_array()
    np.testing.assert_allclose(strip[:, 0], wanted)
    figure = projections.head_projections(*projections_of(heads), "published")
    points = figure.axes[0].collections[0].get_facecolors()[:, :3]
    np.testing.assert_allclose(points, wanted)
    assert len({style.member_colour(member) for member in range(27)}) == 27


def test_projections_place_every_head_and_name_the_artificial_ones():
    heads = heads_of(layers=2)
    table, facts = projections_of(heads)
    figure = projections.head_projections(table, facts, "corrected")
    for axes, method in zip(figure.axes, ("umap", "tsne", "pca"), strict=True):
        rows = table[table["method"] == method]
        offsets = np.concatenate([dots.get_offsets() for dots in axes.collections])
        wanted = rows[["component_1", "component_2"]].to_numpy()
        np.testing.assert_allclose(sorted(map(tuple, offsets)), sorted(map(tuple, wanted)))
        artificial = {dots.get_label(): dots.get_offsets()[0] for dots in axes.collections[-3:]}
        for head, (label, *_) in enumerate(projections.ARTIFICIAL):
            np.testing.assert_allclose(artificial[label], wanted[len(heads) + head])
        quality = facts["quality"][method]["trustworthiness"]
        assert f"trust {quality:.2f},\ncontinuity 0.90" in axes.get_title()
        assert [text.get_text() for text in axes.texts] == ["A", "B", "C"]
    named = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert named == ["0", "1", "2", "layer 0", "layer 1"]
    title = figure.legends[0].get_title().get_text()
    assert all(f"{letter} {label}" in title for letter, (label, *_) in zip("ABC", projections.ARTIFICIAL, strict=True))
    assert "62%" in figure.axes[2].get_xlabel()
    published = projections.head_projections(table, facts, "published")
    assert not any("trust" in axes.get_title() for axes in published.axes)


def test_corrected_projections_are_coloured_by_what_heads_do():
    heads = heads_of(layers=2)
    table, facts = projections_of(heads)
    score = heads.assign(score=np.linspace(0, 1, len(heads))).set_index(list(heads.columns))["score"]
    figure = projections.head_projections(table, facts, "corrected", score)
    drawn = np.concatenate([dots.get_facecolors()[:, :3] for dots in figure.axes[0].collections[:-3]])
    assert len(np.unique(drawn, axis=0)) == len(heads)
    assert "attention to the current token" in figure.finding


@pytest.mark.parametrize("packing", ["lower", "full"])
def test_components_are_drawn_on_one_scale_around_zero(packing):
    table, facts, weights = components_of(packing)
    shuffled = table.sample(frac=1, random_state=0)
    figure = components.component_maps(shuffled, facts)
    drawn = np.array(maps_of(figure, (SIZE, SIZE))).reshape(5, components.SHOWN_PROMPTS, SIZE, SIZE)
    seen = np.tri(SIZE, dtype=bool) if packing == "lower" else np.ones((SIZE, SIZE), dtype=bool)
    flat = weights.reshape(5, -1)
    upright = weights * np.sign(flat[np.arange(5), np.abs(flat).argmax(1)])[:, None, None]  # the largest is positive
    np.testing.assert_allclose(drawn[:, 1:][..., seen], upright[:, : components.SHOWN_PROMPTS - 1], rtol=1e-5)
    np.testing.assert_allclose(drawn[:, 0][..., seen], upright.mean(1), rtol=1e-4, atol=1e-7)
    assert np.isnan(drawn[..., ~seen]).all()
    scales = {axes.images[0].get_clim() for axes in figure.axes if axes.images}
    assert len(scales) == 1
    low, high = scales.pop()
    assert low == -high < 0


def test_third_component_colours_each_token_by_its_weight_on_the_first_key():
    table, facts, weights = components_of()
    figure = components.third_component(table, facts, tokens_of())
    first_key = np.array([query * (query + 1) // 2 for query in range(SIZE)])
    lines = [axes for axes in figure.axes if axes.texts and axes.patches]
    for prompt, axes in enumerate(lines):
        assert [text.get_text() for text in axes.texts] == tokens_of()[prompt]
        image = figure.axes[2 * prompt].images[0]
        upright = weights[2] * np.sign(weights[2].ravel()[np.abs(weights[2]).argmax()])
        wanted = image.cmap(image.norm(upright[prompt, first_key]))
        np.testing.assert_allclose([patch.get_facecolor() for patch in axes.patches], wanted)
        assert [text.get_color() for text in axes.texts] == [style.ink(colour[:3]) for colour in wanted]
    assert len(lines) == PROMPTS


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_first_token_draws_its_protocol_only_and_says_what_it_shows(protocol):
    table = first_token_of()
    axes = projections.tokens_on_plane(table, protocol, labels=9).axes[0]
    rows = table[table["protocol"] == protocol]
    offsets = np.concatenate([dots.get_offsets() for dots in axes.collections])
    np.testing.assert_allclose(np.sort(offsets, 0), np.sort(rows[["component_1", "component_2"]], 0))
    classes = {dots.get_label().partition(" (")[0]: len(dots.get_offsets()) for dots in axes.collections}
    assert classes["stop word"] == sum(word.strip("␣").lower() in ("the", "of", "and", "was") for word in rows["token"])
    names = [text.get_text() for text in axes.texts]
    assert 3 <= len(names) <= 9
    assert set(names) <= set(WORDS)
    assert {"published": "before the softmax", "corrected": "to the first"}[protocol] in axes.figure.get_suptitle()


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "does not tell stop words"), (4.0, "tells stop words")])
def test_first_token_says_whether_stop_words_are_apart_from_what_chance_gives(shift, verdict):
    table = first_token_of(prompts=32)
    stops = np.array([word.strip("␣").lower() in ("the", "of", "and", "was") for word in table["token"]])
    table.loc[stops, "component_2"] -= shift
    plane, beside = projections.tokens_on_plane(table, "corrected").axes
    assert verdict in " ".join(plane.figure.get_suptitle().split())
    own = stops & (table["protocol"] == "corrected").to_numpy()
    medians = [float(line.get_ydata()[0]) for line in beside.lines if len(line.get_ydata()) == 1]
    assert medians[0] == pytest.approx(table.loc[own, "component_2"].median())  # stop words are the first kind


def test_names_of_points_stay_clear_of_one_another():
    table = first_token_of()
    table[["component_1", "component_2"]] *= 0.01
    table.loc[len(table)] = ["published", 0, 0, "far", 9.0, 9.0]  # presses all others together
    figure = projections.tokens_on_plane(table, "published")
    figure.canvas.draw()
    boxes = [text.get_window_extent().padded(-2) for text in figure.axes[0].texts if text.get_text()]
    assert len(boxes) > 1
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_names_of_tokens_hide_no_other_point():
    axes = projections.tokens_on_plane(first_token_of(), "published").axes[0]
    axes.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
    dots = np.concatenate([axes.transData.transform(found.get_offsets()) for found in axes.collections])
    assert boxes
    assert not any(box.contains(*dot) for box in boxes for dot in dots)


def test_training_curves_show_members_their_mean_and_the_baselines():
    history, baselines = training_of()
    figure = training_curves.training_curves(history, baselines, "brown")
    loss, accuracy = figure.axes
    last = history[(history["split"] != "train") & (history["step"] == 450)]["loss"]
    assert f"ends at {last.mean():.2f} ± {last.std():.2f} over 3 members" in figure.finding
    assert "unigram 8.00, bigram 5.50" in figure.finding
    assert ("not below both" in figure.finding) == (last.mean() > 5.5)
    dashed = {float(line.get_ydata()[0]) for line in loss.lines if len(line.get_ydata()) == 2}
    assert dashed == {8.0, 5.5}  # means over the members
    assert {text.get_text() for text in loss.texts} == {"unigram\n8.00", "bigram\n5.50"}
    for axes, quantity in ((loss, "loss"), (accuracy, "accuracy")):
        curves = [line for line in axes.lines if len(line.get_ydata()) > 2]
        assert len(curves) == 2 * (3 + 1)
        for split, four in (("train", curves[:4]), ("validation", curves[4:])):
            rows = history[history["split"] == split].pivot(index="step", columns="member", values=quantity)
            np.testing.assert_allclose([line.get_ydata() for line in four[:3]], rows.to_numpy().T)
            np.testing.assert_allclose(four[3].get_ydata(), rows.mean(axis=1))


def test_bad_tables_are_refused_in_one_line():
    heads, (table, facts, _) = heads_of(), components_of(count=2)
    with pytest.raises(InputError, match="3 x 3 for 12 heads; it must be 12 x 12"):
        projections.head_distances(heads, np.zeros((3, 3)))
    with pytest.raises(InputError, match="2 components; there must be at least 3"):
        components.third_component(table, facts, tokens_of())
    with pytest.raises(InputError, match="no rows of the protocol 'both'"):
        projections.tokens_on_plane(first_token_of(), "both")
    with pytest.raises(InputError, match="one of each per model"):
        training_curves.training_curves([training_of()[0]], [], ["a"])


def test_tokens_are_printable():
    assert style.printable(" the\n") == "␣the↵"
    assert style.printable("$a$ \x00\x01") == "$a$␣U+0000+0001"
    assert style.printable("internationalization") == "internationaliz…"
    assert style.ink("black") == "white"
    assert style.ink("#FDDBC7") == "black"


def test_thinned_ticks_are_far_enough_apart():
    ticks, labels = style.thinned(list(range(100)), [str(i) for i in range(100)], 100, 10)
    assert ticks == list(range(0, 100, 10))
    assert labels == [str(tick) for tick in ticks]


def test_the_caller_keeps_their_own_style(tmp_path):
    with matplotlib.rc_context({"font.size": 23, "pdf.fonttype": 3}):
        before = dict(matplotlib.rcParams)
        figure = projections.head_distances(heads_of(), distances_of(heads_of()))
        style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
        assert dict(matplotlib.rcParams) == before
    assert b"/TrueType" in (tmp_path / "a.pdf").read_bytes() or b"/CIDFontType2" in (tmp_path / "a.pdf").read_bytes()


def test_fonts_of_a_pdf_hold_glyphs_and_no_rules_for_composing_text(tmp_path):
    figure = projections.head_distances(heads_of(), distances_of(heads_of()))
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    streams = re.findall(rb"stream\n(.*?)\nendstream", (tmp_path / "a.pdf").read_bytes(), re.DOTALL)
    files = [zlib.decompress(stream) for stream in streams if stream.startswith(b"x")]  # a zlib header
    fonts = [TTFont(io.BytesIO(file)) for file in files if file.startswith(b"\0\1\0\0")]
    assert fonts
    for font in fonts:
        assert "glyf" in font
        assert not {"GSUB", "GPOS"} & set(font.keys())
    assert "GSUB" not in Options()._drop_tables_default  # other users of the library get theirs whole


def test_the_sign_of_a_zero_is_in_no_pdf(tmp_path):
    """Rounding leaves a number that vanishes above zero in one run, and below in another; texts stay as they are."""
    for name, nothing in (("above", 1e-15), ("below", -1e-15), ("signed", -0.0)):
        figure = style.blank(1, 1, layout="none")
        figure.add_artist(Line2D([nothing, 1], [nothing, 0.5], transform=figure.transFigure))
        figure.add_artist(Rectangle((nothing, nothing), 1, 1, transform=None))
        figure.text(0.5, 0.5, "a -0 b", rotation=nothing)
        style.save(figure, tmp_path / f"{name}.png", tmp_path / f"{name}.pdf")
    above, below, signed = ((tmp_path / f"{name}.pdf").read_bytes() for name in ("above", "below", "signed"))
    assert above == below == signed
    numbers = b"".join(page_of(tmp_path / "below.pdf"))
    assert not re.search(rb"(?<!\S)-0(?!\S)", re.sub(rb"\(.*?\)", b"", numbers))
    assert (tmp_path / "above.png").read_bytes() == (tmp_path / "below.png").read_bytes()
    written = backend_pdf.PdfFile.output
    assert written.__module__ == backend_pdf.__name__  # other users of the library write what they wrote


def page_of(file):
    """The streams of a PDF that draw."""
    streams = re.findall(rb"stream\n(.*?)\nendstream", file.read_bytes(), re.DOTALL)
    found = [zlib.decompress(stream) for stream in streams if stream.startswith(b"x")]
    return [stream for stream in found if b" cm" in stream or b" re" in stream or b" l\n" in stream]


@pytest.mark.parametrize("layout", ["constrained", "none"])
def test_a_saved_figure_is_what_matplotlib_saves(tmp_path, layout):
    @style.paper
    def drawn():
        figure = style.blank(height=1.5, layout=layout)
        figure.subplots().set(xlabel="a long label below", title="and a title above")
        return figure

    style.save(drawn(), tmp_path / "a.png", tmp_path / "a.pdf")
    with matplotlib.rc_context(style.RC):
        drawn().savefig(tmp_path / "b.png", dpi=style.DPI, metadata={"Software": None})
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


SAVED = ("corrected first token", "training")
WRITE = """
import sys
sys.path[:0] = sys.argv[2:]
import test_figures
test_figures.save_all(sys.argv[1])
"""


def save_all(folder):
    for place, name in enumerate(SAVED):
        style.save(FIGURES[name](), f"{folder}/{place}.png", f"{folder}/{place}.pdf")
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_the_same_input_gives_the_same_bytes(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    here = save_all(tmp_path / "here")
    paths = [str(Path(__file__).parent), str(Path(drawn_figures.__file__).parent), str(Path(style.__file__).parents[2])]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}  # another interpreter, another order of sets
    subprocess.run([sys.executable, "-c", WRITE, str(tmp_path / "there"), *paths], check=True, env=environment)
    there = {path.name: path.read_bytes() for path in (tmp_path / "there").iterdir()}
    assert here.keys() == {f"{place}.{kind}" for place in range(len(SAVED)) for kind in ("png", "pdf")}
    assert here == there
    for name, content in here.items():
        if name.endswith("pdf"):
            assert b"/Type3" not in content
            assert b"/CIDFontType2" in content or b"/TrueType" in content
            assert b"CreationDate" not in content


@pytest.mark.parametrize("most", [0.003, 0.04, 0.102, 0.34, 0.9])
def test_percents_on_the_axis_are_those_of_its_ticks(most):
    history, baselines = training_of()
    history["accuracy"] *= most / history["accuracy"].max()
    axes = training_curves.training_curves(history, baselines, "brown").axes[1]
    values, low, high = axes.get_yticks(), *axes.get_ylim()
    shown = [axes.yaxis.get_major_formatter()(value) for value in values]
    np.testing.assert_allclose([float(text.rstrip("%")) / 100 for text in shown], values, atol=1e-9)
    assert ((values >= low) & (values <= high)).sum() >= 3
