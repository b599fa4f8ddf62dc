"""What a person expects of every view: numbers to take along, where they are from, help, what is chosen in all."""

import csv
import io
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from browser import READY
from headatlas.atlas import page
from headatlas.atlas.results import Results
from headatlas.base import tables
from results_folders import HEADS, LAYERS, MEMBERS, NASTY, SIZE, write_results

VIEWS = ("heads", "planted/1/0/2", "kinds/kind/0", "joint", "studies", "compare", "compare?level=models", "about")


def saved(browser, button):
    """What a button that saves would save, as text."""
    return browser.evaluate(
        f"""(async () => {{ const kept = URL.createObjectURL; let blob;
        URL.createObjectURL = given => {{ blob = given; return "data:,"; }};
        try {{ {button}.click(); }} finally {{ URL.createObjectURL = kept; }} return blob.text(); }})()"""
    )


def test_every_figure_can_be_saved_as_picture_and_as_numbers(atlas):
    for address in VIEWS:
        browser = atlas(address)
        parts = browser.evaluate(
            """[...document.querySelectorAll("figure.chart, [data-panel=map], [data-panel=matrices]")].map(part =>
            [part.querySelector("canvas").getAttribute("aria-label"),
            [...part.querySelectorAll("button")].map(button => button.innerText)])"""
        )
        assert parts or address in ("studies", "about", "joint"), address
        for label, buttons in parts:
            assert {"SVG", "CSV"} <= set(buttons), (address, label)


def test_numbers_saved_are_those_of_the_tables(atlas, planted):
    browser = atlas("planted/1/1/2?prompt=7")
    text = saved(browser, "[...document.querySelectorAll('.prompt .chart button')].find(b => b.innerText === 'CSV')")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == SIZE * (SIZE + 1) // 2
    found = [float(row["attention"]) for row in rows]
    expected = [planted[1][1, 1, 2, 7, int(row["query"]), int(row["key"])] for row in rows]
    np.testing.assert_allclose(found, expected, atol=0.0026)
    browser = atlas("heads?score=induction")
    text = saved(
        browser, "[...document.querySelectorAll('[data-panel=matrices] button')].find(b => b.innerText === 'CSV')"
    )
    rows = list(csv.DictReader(io.StringIO(text)))
    scores = tables.read(planted[0] / "scores/planted.parquet", score="induction").set_index(
        ["member", "layer", "head"]
    )
    assert len(rows) == MEMBERS * LAYERS * HEADS
    for row in rows:
        known = scores.loc[(int(row["member"]), int(row["layer"]), int(row["head"]))]
        assert float(row["induction"]) == pytest.approx(known["value"], rel=1e-6)
        assert float(row["standard error"]) == pytest.approx(known["standard_error"], rel=1e-6)


def test_pictures_saved_are_sound_and_hold_tokens_as_text(atlas):
    browser = atlas("planted/1/1/2?prompt=0")  # of tokens that look like markup
    figures = browser.evaluate("document.querySelectorAll('.chart').length")
    assert figures >= 5
    written = set()
    for i in range(figures):
        picture = ElementTree.fromstring(
            saved(browser, f"document.querySelectorAll('.chart')[{i}].querySelector('button')")
        )
        tags = {each.tag.rpartition("}")[2] for each in picture.iter()}
        assert tags <= {"svg", "rect", "path", "circle", "text"}, tags
        assert len(list(picture.iter())) > 10
        written |= {each.text for each in picture.iter() if each.tag.endswith("text")}
    assert any(text.startswith("<script>") for text in written if text)


def test_prompts_are_found_by_their_text(atlas, planted):
    browser = atlas("planted/0/1/2?find=東京")
    shown = browser.evaluate("[...document.querySelectorAll('.prompts small')].map(e => e.innerText)")
    found = {int(re.search(r"prompt (\d+)", text)[1]) for text in shown}
    assert found == set(np.flatnonzero((planted[2] == NASTY.index("東京")).any(1)).tolist())
    assert 0 < len(found) < len(planted[2])


def test_every_number_is_linked_to_the_tables_it_stands_in(atlas, planted):
    without = {"tables", "configuration", "versions", "keys"}  # these are no numbers of a table
    for address in ("heads", "planted/1/0/2", "kinds/kind/0", "compare", "compare?level=members", "studies/phrenology"):
        panels = atlas(address).evaluate(
            """[...document.querySelectorAll("[data-panel]")].filter(panel => !panel.querySelector(".unavailable"))
            .map(panel => [panel.dataset.panel,
            [...panel.querySelectorAll(".source a.file")].map(a => a.textContent)])"""
        )
        assert panels, address
        for name, files in panels:
            assert files or name in without, (address, name)
            for file in files:
                assert (planted[0] / file).is_file(), (address, name, file)


def test_a_grouping_without_groups_says_so(browser, tmp_path):
    write_results(tmp_path)
    partners = tables.read(tmp_path / "phrenology/partners.parquet")
    tables.write(tmp_path / "phrenology/partners.parquet", partners.iloc[:0])
    page.write_page(tmp_path / "atlas.html", Results(tmp_path))
    browser.visit(tmp_path / "atlas.html", "kinds/partner")
    assert "Not available: this run found no partner groups." in browser.text()


def test_about_tells_configuration_versions_and_what_made_each_table(atlas, planted):
    browser = atlas("about")
    assert browser.text("[data-panel=configuration] pre") == "results: here"
    assert browser.text("[data-panel=versions] dl").split() == ["Python", "3"]
    told = browser.evaluate(
        "[...document.querySelectorAll('[data-panel=tables] details')].map(e => [e.querySelector('a').textContent, "
        "Object.fromEntries([...e.querySelectorAll('dt')].map(d => [d.textContent, d.nextSibling.textContent]))])"
    )
    assert {name for name, _ in told} == {
        path.relative_to(planted[0]).as_posix() for path in planted[0].rglob("*.parquet")
    }
    facts = dict(told)["scores/planted.parquet"]
    assert facts["made by"] == "score_heads"
    assert facts["code"] == "c0de"
    assert facts["rows"] == str(tables.rows(planted[0] / "scores/planted.parquet"))


def test_every_view_has_help_of_two_sentences(atlas):
    for address in VIEWS:
        text = atlas(address).evaluate("document.querySelector('.help .popover').textContent")
        assert len(re.findall(r"[.](?= [A-Z]|$)", text)) == 2, (address, text)


def test_prompts_are_strongest_typical_random_and_by_decile(atlas):
    browser = atlas("planted/0/1/2")
    kinds = browser.evaluate("[...document.querySelectorAll('.promptlist select option')].map(o => o.value)")
    assert kinds == ["strongest", "typical", *(f"decile {i}" for i in range(1, 11)), "random", "order"]
    listed = {}
    for kind in ("strongest", "random", "order", "decile 1"):
        for head in ("planted/0/1/2", "planted/1/0/3"):
            atlas(f"{head}?list={kind.replace(' ', '+')}")
            shown = browser.evaluate("[...document.querySelectorAll('.prompts small')].map(e => e.innerText)")
            listed[kind, head] = [int(re.search(r"prompt (\d+)", text)[1]) for text in shown]
    assert listed["order", "planted/0/1/2"] == list(range(20))
    assert sorted(listed["random", "planted/0/1/2"]) == list(range(20)), "all that are shared, once each"
    assert listed["random", "planted/0/1/2"] != list(range(20))
    assert listed["random", "planted/0/1/2"] == listed["random", "planted/1/0/3"], "the same for every head"
    assert listed["strongest", "planted/0/1/2"] != listed["strongest", "planted/1/0/3"]
    assert not set(listed["strongest", "planted/0/1/2"]) & set(listed["decile 1", "planted/0/1/2"])


def test_choosing_a_cell_of_the_matrices_chooses_in_table_and_map(atlas):
    browser = atlas("heads")
    browser.evaluate("document.querySelector('.matrices').scrollIntoView({block: 'center'})")
    box = browser.evaluate("document.querySelector('.matrices').getBoundingClientRect().toJSON()")
    x, y, cell = browser.evaluate("atlas.view.parts.matrices.place(13)")
    browser.click_at(box["x"] + x + cell / 2, box["y"] + y + cell / 2)
    assert browser.evaluate("[...atlas.selection]") == [13]
    assert browser.evaluate("document.querySelector('.rows [aria-selected=true]').dataset.row") == "13"
    assert "chosen=13" in browser.evaluate("location.hash")
    assert browser.text("#spoken") == "planted, member 1, layer 1, head 1 chosen"


def test_heads_are_filtered_by_group_and_by_a_score_above_chance(atlas, planted):
    rows = atlas("heads?group=kind%2F1&beyond=induction").evaluate("atlas.view.parts.heads.rows")
    scores = tables.read(planted[0] / "scores/planted.parquet", score="induction")
    beyond = scores["value"] - scores["chance"] > 2 * scores["standard_error"]
    places = scores[beyond & (scores["layer"] == 1)][["member", "layer", "head"]].to_numpy()  # kind 1 is layer 1
    assert sorted(rows) == sorted((member * LAYERS + layer) * HEADS + head for member, layer, head in places)
    assert 0 < len(rows) < MEMBERS * HEADS


def test_two_members_are_compared_by_means_over_their_heads(atlas, planted):
    browser = atlas("compare?a=planted/0/0/0&b=planted/2/0/0&level=members")
    text = saved(
        browser,
        "[...document.querySelectorAll('[data-panel=\"compared sets\"] button')].find(b => b.innerText === 'CSV')",
    )
    found = {(row["score"], row["of"]): row for row in csv.DictReader(io.StringIO(text))}
    scores = tables.read(planted[0] / "scores/planted.parquet", score="copying")
    for member in (0, 2):
        values = scores[scores["member"] == member]["value"]
        row = found["copying", f"planted member {member}"]
        assert float(row["value"]) == pytest.approx(values.mean(), rel=1e-5)
        assert float(row["standard error"]) == pytest.approx(values.std(ddof=1) / np.sqrt(len(values)), rel=1e-5)
    square = tables.read_lists(planted[0] / "phrenology/distances.parquet", "jensen_shannon")
    text = saved(
        browser,
        "[...document.querySelectorAll('[data-panel=\"compared distances\"] button')].find(b => b.innerText === 'CSV')",
    )
    rows = list(csv.reader(io.StringIO(text)))[1:]
    each = LAYERS * HEADS
    np.testing.assert_allclose([float(row[2]) for row in rows], square[:each, 2 * each : 3 * each].ravel(), rtol=1e-5)
    assert browser.evaluate(READY)


# Text against the ground it stands on: the least contrast (WCAG 2.2) of the elements with text of their own
CONTRAST = """(() => { const parts = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const linear = c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => [r, g, b].map(c => linear(c / 255)).reduce(
    (sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = e => { for (; e; e = e.parentElement) { const c = parts(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0.99) return c; } return [255, 255, 255]; };
  return [...document.querySelectorAll("body *")].filter(e => e.offsetParent && !e.disabled
    && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())).map(e => {
    const [one, other] = [light(parts(getComputedStyle(e).color)), light(ground(e))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    return [contrast, e.tagName, e.className, e.textContent.slice(0, 30)];
  }).sort((a, b) => a[0] - b[0]).slice(0, 5); })()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(atlas, scheme):
    try:
        for address in VIEWS:
            browser = atlas(address)
            browser.scheme(scheme)
            atlas(address)
            least = browser.evaluate(CONTRAST)
            assert least[0][0] >= 4.5, (address, least)
    finally:
        browser.scheme("light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_shaded_tokens_stay_legible_whatever_they_are_attended_to(atlas, scheme):
    try:
        atlas("planted/1/1/2?prompt=3").scheme(scheme)
        for prompt in (3, 7, 11, 15):
            browser = atlas(f"planted/1/1/2?prompt={prompt}")
            for query in range(1, SIZE):
                browser.evaluate(f"document.querySelectorAll('.sentence .token')[{query}].click()")
                least = browser.evaluate(CONTRAST)
                assert least[0][0] >= 4.5, (prompt, query, least)
                browser.evaluate(f"document.querySelectorAll('.sentence .token')[{query}].click()")
    finally:
        browser.scheme("light")


def test_switching_to_dark_shades_tokens_anew(atlas):
    shade = "[...document.querySelectorAll('.sentence .token')].map(e => e.style.backgroundColor)"
    shades = {}
    for scheme in ("light", "dark"):
        atlas("planted/1/1/2?prompt=3").scheme(scheme)
        shades[scheme] = atlas("planted/1/1/2?prompt=3").evaluate(shade)
    browser = atlas("planted/1/1/2?prompt=3")
    browser.scheme("light")
    try:
        browser.until(f"JSON.stringify({shade}) === {json.dumps(json.dumps(shades['light'], separators=(',', ':')))}")
        browser.click(".theme")
        browser.until(f"JSON.stringify({shade}) === {json.dumps(json.dumps(shades['dark'], separators=(',', ':')))}")
        assert shades["light"] != shades["dark"]
    finally:
        browser.evaluate("localStorage.removeItem('headatlas theme')")
