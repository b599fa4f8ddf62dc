"""Nothing is cut at any width: names, tables, the writing in figures; and the map says whose heads it shows."""

import json

import pytest

from headatlas.atlas import page
from headatlas.atlas.results import Results
from results_folders import HEADS, LAYERS, MEMBERS, write_family, write_results

REPEATS = {
    f"repeats-{n}-layers": shape for n, shape in {"two": (3, 2, 8), "three": (3, 3, 4), "four": (4, 4, 4)}.items()
}
RUN = "circuits-{}-python-docs-python-docs-1k-l20-lr{}-h4-d64"
VARIANTS = ("two-layer", "two-layer-mlp", "two-layer-mlp-residual")
NAMES = list(REPEATS) + [RUN.format(v, r) for v in VARIANTS for r in ("12e-3", "6e-3")]
WIDTHS = (360, 768, 1280, 3840)
VIEWS = ("heads", "planted/0/0/1", "kinds/kind", "kinds/kind/0", "joint", "studies/phrenology", "compare", "about")

# Elements whose own content does not fit and which neither scroll nor tell all of it when pointed at
CUT = """[...document.querySelectorAll("main *")].filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 1)
  .filter(e => ["hidden", "clip"].includes(getComputedStyle(e).overflowX))
  .filter(e => !e.title && !e.querySelector("[title]")).map(e => `${e.className}: ${e.innerText}`.slice(0, 120))"""
# Tables wider than the box they are in, unless the box scrolls and fades where more is to come
PUSHED_OUT = """[...document.querySelectorAll("main table, main .rows")].filter(e => {
  const box = e.closest(".scroll, .across, .viewport, .prose table");
  if (!box) return e.getBoundingClientRect().right > innerWidth;
  const scrolls = ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
  return box.scrollWidth > box.clientWidth + 2 && !(scrolls && (box.classList.contains("more") || box === e));
}).map(e => e.innerText.slice(0, 80))"""
# What is written on canvases, with the pixels it spans, while the view is drawn again
WRITTEN = """(() => { const written = [], {prototype} = CanvasRenderingContext2D, kept = prototype.fillText;
  prototype.fillText = function (text, x, y) {
    const {width} = this.measureText(text), at = this.getTransform(), zoom = Math.hypot(at.a, at.b);
    const left = at.e / zoom - {left: 0, center: width / 2, right: width}[this.textAlign];
    const turned = Math.abs(at.b) > 0.1, wide = this.canvas.width / zoom, letters = this.font.match(/[\\d.]+px/)[0];
    const size = zoom * parseFloat(letters) / Math.min(devicePixelRatio, 3);
    written.push({text, left, right: left + width, turned, wide, size});
    return kept.call(this, text, x, y); };
  try { %s } finally { prototype.fillText = kept; } return written; })()"""
FIGURES = "document.querySelectorAll('[data-panel*=scores] .chart, [data-panel*=sets] .chart')"


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    """The atlas of a run of many models, of which a study looked at one."""
    folder = tmp_path_factory.mktemp("families")
    write_results(folder)
    for name in NAMES:
        write_family(folder, name, *REPEATS.get(name, (1, 2, 4)))
    page.write_page(folder / "atlas.html", Results(folder))
    return folder / "atlas.html"


@pytest.fixture
def resized(browser):
    yield browser
    browser.resize(1440, 900)


def test_no_name_or_table_is_cut_at_any_width(resized, families):
    for width in WIDTHS:
        resized.resize(width, 900)
        for address in VIEWS:
            resized.visit(families, address)
            where = f"{address} at {width}"
            assert resized.evaluate(CUT) == [], where
            resized.until(f"!{PUSHED_OUT}.length")
            assert resized.evaluate("document.documentElement.scrollWidth") <= width, where


def test_heads_are_told_apart_in_the_table_at_any_width(resized, families):
    for width in WIDTHS:
        resized.resize(width, 900)
        resized.visit(families, "heads?model=" + NAMES[-1])
        cells = "[...document.querySelectorAll('.rows [role=rowheader]')]"
        assert resized.evaluate(f"{cells}.every(e => e.scrollWidth <= e.clientWidth)"), width
        cut = "e => e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight"
        heads = "[...document.querySelectorAll('.titles > div, .titles button')]"
        assert resized.evaluate(f"{heads}.filter({cut}).map(e => e.innerText)") == [], width
        titles = resized.evaluate(f"{cells}.map(e => e.title)")
        assert titles
        assert all(title.startswith(f"{NAMES[-1]}, member 0") for title in titles), titles


def test_every_model_is_named_whole_in_the_matrices(resized, families):
    for width in WIDTHS:
        resized.resize(width, 900)
        resized.visit(families, "heads")
        written = resized.evaluate(WRITTEN % "atlas.view.parts.matrices.draw();")
        labels = resized.evaluate("atlas.run.models.map(model => model.label)")
        texts = [each["text"] for each in written]
        assert len(set(labels)) == 1 + len(NAMES)
        for label in labels:
            assert any(text == label or text == f"{label}, member" for text in texts), (width, label)
        for each in written:
            assert "\u2026" not in each["text"], width
            assert each["left"] >= -0.5, (width, each)
            assert each["right"] <= each["wide"] + 0.5, (width, each)


def test_pointing_at_a_models_name_tells_the_whole_of_it(resized, families):
    resized.visit(families, "heads")
    resized.evaluate("document.querySelector('.matrices').scrollIntoView({block: 'center'})")
    box = resized.evaluate("document.querySelector('.matrices').getBoundingClientRect().toJSON()")
    at = resized.evaluate(
        f"atlas.view.parts.matrices.headings.find(each => each.model.name === {json.dumps(NAMES[-1])})"
    )
    resized.evaluate(f"scrollBy(0, {box['y'] + at['y'] - 400})")
    box = resized.evaluate("document.querySelector('.matrices').getBoundingClientRect().toJSON()")
    resized.mouse("mouseMoved", box["x"] + at["x"] + 5, box["y"] + at["y"] + 5)
    resized.until(f"document.getElementById('hint').innerText.includes({json.dumps(NAMES[-1])})")


def test_names_of_scores_and_heads_in_figures_are_whole(resized, families):
    for width in WIDTHS:
        resized.resize(width, 900)
        for address in (f"{NAMES[2]}/0/0/0", f"compare?a=planted/0/0/0&b={NAMES[2]}/1/0/0", "compare?level=members"):
            resized.visit(families, address)
            resized.until(f"[...{FIGURES}].every(each => each.querySelector('canvas').style.height)")
            written = resized.evaluate(WRITTEN % f"for (const each of {FIGURES}) each.redraw();")
            whole = " ".join(each["text"] for each in written)
            assert "repeated" in whole
            assert "\u2026" not in whole, (address, width)
            for each in written:
                inside = each["left"] >= -0.5 and each["right"] <= each["wide"] + 0.5
                assert each["turned"] or inside, (address, width, each)


def test_the_map_says_whose_heads_it_shows(resized, families):
    resized.visit(families, "heads")
    count, all_heads = MEMBERS * LAYERS * HEADS, resized.evaluate("atlas.run.count")
    said = resized.text(".placed")
    assert said.startswith(f"{count} of {all_heads} heads: planted; the others are not in this projection")
    assert "none" not in resized.text(".legend"), "what is not on the map is not in its legend"
    resized.visit(families, "heads?x=induction&y=previous_token&colour=group+kind")
    assert resized.text(".placed") == f"{all_heads} heads of {1 + len(NAMES)} models."
    assert "its model was not searched for kinds" in resized.text(".legend")
    resized.visit(families, f"heads?model={NAMES[0]}")
    assert resized.text(".placed").startswith("0 of 48 heads; the others")


def test_lines_break_between_tokens_and_not_within(resized, families):
    resized.resize(360, 900)
    for address in ("planted/0/0/1?prompt=3&list=order", "compare?a=planted/0/0/0&b=planted/0/0/1"):
        resized.visit(families, address)
        lines = resized.evaluate(
            "[...document.querySelectorAll('.sentence .token, .prompts .token')].map(e => e.getClientRects().length)"
        )
        assert len(lines) >= 8
        assert set(lines) <= {0, 1}, address


def test_claims_of_a_paper_are_read_one_below_the_other_where_it_is_narrow(resized, families):
    for width in (360, 1280):
        resized.resize(width, 900)
        resized.visit(families, "studies/phrenology")
        tops = resized.evaluate(
            "[...document.querySelectorAll('.paper tbody tr:first-child > *')].map(e => e.getBoundingClientRect().top)"
        )
        assert len(tops) == 5
        assert len(set(tops)) == (5 if width == 360 else 1)


def test_letters_in_figures_grow_with_those_of_the_page(resized, families):
    sizes = {}
    for width in (1280, 3840):
        resized.resize(width, 900)
        resized.visit(families, "heads?x=induction")
        parts = "const {map, matrices} = atlas.view.parts; map.draw(); matrices.draw();"
        written = resized.evaluate(WRITTEN % parts)
        letters = resized.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)")
        sizes[width] = min(each["size"] for each in written) / letters
        label = next(each["size"] for each in written if each["text"] == "planted, member") / letters
        assert label == pytest.approx(10.5 / 15)
    assert sizes[1280] == pytest.approx(sizes[3840])
