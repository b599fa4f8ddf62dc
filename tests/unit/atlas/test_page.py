"""The page in a real browser, opened from disk with the network off: views, links, numbers, tokens of any script."""

import time

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from browser import READY
from headatlas.atlas import page, studies
from headatlas.atlas.results import Results
from headatlas.base import tables
from headatlas.plotting import style
from results_folders import HEADS, LAYERS, MEMBERS, NASTY, PROMPTS, SIZE, write_results

MINUS = "\u2212"


def test_the_page_keeps_within_its_bytes_by_sharing_fewer_prompts(planted, tmp_path, monkeypatch):
    whole = (planted[0] / "atlas.html").stat().st_size
    monkeypatch.setattr(page, "PAGE", whole - 1000)
    page.write_page(tmp_path / "small.html", Results(planted[0]))
    assert (tmp_path / "small.html").stat().st_size <= whole - 1000


def test_figures_are_made_coarser_where_they_take_too_much(tmp_path):
    write_results(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (300, 1200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "figures/phrenology/published/fig01_decoded_pairs.png")
    results = Results(tmp_path)
    fine, coarse = studies.pictures(results), studies.pictures(results, room=1)
    assert set(fine) == set(coarse)
    assert sum(map(len, coarse.values())) < sum(map(len, fine.values())) / 2
    assert studies.pictures(results, room=sum(map(len, fine.values()))) == fine


def test_the_file_carries_no_markup_of_the_corpus(planted):
    written = (planted[0] / "atlas.html").read_text(encoding="utf-8")
    assert "alert(1)</script>" not in written
    assert "<img src=x" not in written
    assert "<b>caption" not in written


def test_every_view_opens_and_every_link_within_leads_somewhere(atlas):
    todo, seen = ["heads", "kinds", "joint", "studies", "compare", "about", "planted/0/0/0"], set()
    while todo:
        address = todo.pop()
        browser = atlas(address)
        seen.add(address.split("?")[0])
        shown = browser.text()
        assert "could not be shown" not in shown, address
        assert "names no view" not in shown, address
        assert len(shown) > 60, address
        links = browser.evaluate(
            "[...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.getAttribute('href').slice(1))"
        )
        todo += [link for link in links if link.split("?")[0] not in seen and link != "view"]
        todo = list({link.split("?")[0]: link for link in todo}.values())
    assert {f"planted/{m}/{layer}/{h}" for m in range(MEMBERS) for layer in range(LAYERS) for h in range(HEADS)} <= seen
    assert {"kinds/kind/0", "kinds/partner/7", "studies/phrenology"} <= seen


def test_links_to_files_lead_to_files_that_are_there(atlas, planted):
    browser = atlas("planted/0/0/0")
    for address in ("planted/0/0/0", "studies/phrenology", "about"):
        atlas(address)
        files = browser.evaluate(
            "[...document.querySelectorAll('a[href]:not([href^=\"#\"])')].map(a => decodeURI(a.getAttribute('href')))"
        )
        assert files, address
        for file in files:
            assert (planted[0] / file).is_file(), f"{address}: {file}"


def test_numbers_shown_are_those_of_the_tables(atlas, planted):
    folder = planted[0]
    browser = atlas("planted/2/1/3")
    scores = tables.read(folder / "scores/planted.parquet", member=2, layer=1, head=3)
    found = browser.evaluate(
        "atlas.run.scores.map(s => [s.name, ...['value', 'error', 'chance'].map(key => s[key][atlas.focused])])"
    )
    for name, *numbers in found:
        row = scores[scores["score"] == name].iloc[0]
        np.testing.assert_allclose(numbers, [row["value"], row["standard_error"], row["chance"]], rtol=1e-6)
    rows = browser.evaluate("atlas.run.row('planted', 2, 1, 3)")
    assert rows == 2 * LAYERS * HEADS + HEADS + 3
    for name in ("zero", "mean", "resample"):
        losses = tables.read(folder / "knockouts/planted/losses.parquet", member=2, layer=1, head=3, kind=name)
        cost = browser.evaluate(f"atlas.run.score('cost {name}').value[atlas.focused]")
        assert cost == pytest.approx(losses["effect"].item(), rel=1e-6)
    other = tables.read(folder / "knockouts/planted/losses.parquet", member=2, layer=1, head=3, kind="other")
    chance = browser.evaluate("atlas.run.score('cost mean').chance[atlas.focused]")
    assert chance == pytest.approx(other["effect"].item(), rel=1e-6)
    square = tables.read_lists(folder / "phrenology/distances.parquet", "jensen_shannon")
    assert browser.evaluate(f"atlas.run.pairs[0].between({rows}, 5)") == pytest.approx(float(square[rows, 5]), rel=1e-6)


def test_numbers_about_two_heads_are_those_of_the_tables(atlas, planted):
    folder = planted[0]
    browser = atlas("planted/0/1/2")
    one, other = 6, LAYERS * HEADS + 6  # the same head of the next member
    products = tables.read_lists(folder / "phrenology/knockouts.parquet", "mean")
    cosine = products[one, other] / np.sqrt(products[one, one] * products[other, other])
    row = tables.read(folder / "phrenology/transplants.parquet", member=0, layer=1, head=2)
    row = row.query("donor_member == 1 and donor_layer == 1 and donor_head == 2")["recovered"].item()
    distance = tables.read_lists(folder / "phrenology/distances.parquet", "jensen_shannon")[one, other]
    cells = browser.evaluate(
        "[...document.querySelectorAll('[data-panel=partners] tbody tr')].map(r => r.innerText.split('\\t'))"
    )
    assert cells[0][0] == "planted 1 L1H2"
    assert cells[0][2:5] == [f"{value:.3f}".replace("-", MINUS) for value in (distance, cosine, row)]
    assert len(cells) == MEMBERS - 1 + 1, "one of each other member, and their mean"


def test_a_kind_stands_beside_its_evidence(atlas):
    browser = atlas("kinds/kind/0")
    shown = browser.text()
    assert "looks <b>back</b>" in shown
    assert "✓ supported" in shown
    assert "0.900 [0.900, 0.900]" in shown, "an interval stands with what it is of"
    assert "≤ 0.002" in shown, "a p at its floor is said to be so"
    hesitant = browser.text("[data-panel='kind hesitation']")
    assert "planted 0 L0H0" in hesitant
    assert "50%" in hesitant
    assert "planted 0 L0H1" not in hesitant
    assert "✗ not supported" in atlas("kinds/kind/1").text()
    assert atlas("kinds").text(".badge.unsupported") == "1 mixed"


def test_colours_and_shapes_are_those_of_the_figures(atlas):
    mark = """(part => [part.getAttribute("fill"), (part.getAttribute("points") || "").split(" ").length])(
    document.querySelector(".badges a[href='#kinds/partner/3'] svg").firstChild)"""
    for scheme, shades in (("light", style.PALETTE), ("dark", style.ON_DARK)):
        atlas("about").scheme(scheme)
        assert style.marker(3) == "D", "a diamond, of four corners"
        assert atlas("planted/0/0/3").evaluate(mark) == [to_hex(style.colour(3, shades)), 4]
    atlas("about").scheme("light")


def test_what_weights_say_of_tokens_is_shown_beside_random_heads(atlas):
    rows = "[...document.querySelectorAll('[data-panel=circuits] tbody tr')].map(r => r.innerText.split('\\t'))"
    shown = [NASTY[0], NASTY[1].replace(" ", "\u2423"), "5.5", "3.5"]
    assert atlas("planted/1/0/2").evaluate(rows) == [shown, shown]


def test_attention_of_a_prompt_is_that_of_the_table(atlas, planted):
    weights = planted[1]
    browser = atlas("planted/1/1/2?prompt=7")
    shown = browser.evaluate("[...document.querySelectorAll('.sentence .token')].map(t => t.textContent)")
    assert len(shown) == SIZE
    for query in (3, 7):
        browser.evaluate(f"document.querySelectorAll('.sentence .token')[{query}].click()")
        titles = browser.evaluate("[...document.querySelectorAll('.sentence .token')].map(t => t.title)")
        found = [float(title.replace(MINUS, "-")) if title[0].isdigit() else np.nan for title in titles]
        np.testing.assert_allclose(found[: query + 1], weights[1, 1, 2, 7, query, : query + 1], atol=0.0026)
        assert titles[query + 1 :] == ["cannot be attended to"] * (SIZE - query - 1)
        browser.evaluate(f"document.querySelectorAll('.sentence .token')[{query}].click()")


def test_a_study_stands_beside_its_paper(atlas):
    browser = atlas("studies/phrenology")
    row = browser.evaluate("[...document.querySelectorAll('[data-panel=paper] tbody tr > *')].map(e => e.innerText)")
    assert row[:4] == ["Table 1", "MSE <b>.5</b>", "MSE .25", "MSE .125"]
    assert row[4].split() == ["\u2717", "differs", "the", "same"]
    assert "d_model 64 (paper: 256)" in browser.text("[data-panel=paper]")


def test_tokens_of_any_script_are_text(atlas, planted):
    browser = atlas("planted/0/0/0?prompt=0")
    assert browser.text(".sentence .token").split("\n")[:2] == [name.replace(" ", "␣") for name in NASTY[:2]]
    assert browser.evaluate("document.querySelectorAll('main script, main img, main b').length") == 0
    names = browser.evaluate("[...document.querySelectorAll('.sentence .token')].map(t => t.textContent)")
    assert not any(ord(sign) < 32 or sign in "\u202e\u2028" for name in names for sign in name)
    assert browser.evaluate("getComputedStyle(document.querySelector('.sentence .token')).unicodeBidi") == "isolate"
    atlas("studies/phrenology")
    assert "Tokens such as <script>alert(1)</script> stay text." in browser.text()
    assert "A <b>caption</b> & more." in browser.text()


def test_choosing_in_the_table_marks_the_head_everywhere_and_in_the_address(atlas):
    browser = atlas("heads")
    browser.click('.rows .row[data-row="3"] .numeric')
    assert browser.evaluate("[...atlas.selection]") == [3]
    assert "chosen=3" in browser.evaluate("location.hash")
    browser.key("ArrowDown")
    assert browser.evaluate("[...atlas.selection]") == [4]
    browser.key("Enter")
    browser.until("location.hash === '#planted/0/1/0'")
    browser.until(READY)
    assert "planted 0 L1H0" in browser.text("h1")


def test_a_lasso_chooses_what_is_inside(atlas):
    browser = atlas("heads")
    browser.evaluate("document.querySelector('.map').scrollIntoView({block: 'center'})")
    box = browser.evaluate("document.querySelector('.map').getBoundingClientRect().toJSON()")
    corners = [(2, 2), (box["width"] - 2, 2), (box["width"] - 2, box["height"] - 2), (2, box["height"] - 2), (2, 40)]
    start = {"button": "left", "buttons": 1, "clickCount": 1}
    browser.mouse("mousePressed", box["x"] + 2, box["y"] + 2, **start)
    for x, y in corners:
        browser.mouse("mouseMoved", box["x"] + x, box["y"] + y, **start)
    browser.mouse("mouseReleased", box["x"] + 2, box["y"] + 40, button="left", clickCount=1)
    assert browser.evaluate("atlas.selection.size") == MEMBERS * LAYERS * HEADS
    browser.key("Escape")
    assert browser.evaluate("atlas.selection.size") == 0


def test_filters_sort_and_units_live_in_the_address(atlas):
    browser = atlas("heads?member=1&layer=1&sort=induction&down=1&unit=chance")
    rows = browser.evaluate("atlas.view.parts.heads.rows")
    assert {browser.evaluate(f"atlas.run.head({row}).member") for row in rows} == {1}
    values = browser.evaluate("atlas.view.parts.heads.rows.map(row => atlas.run.score('induction').value[row])")
    assert len(values) == HEADS
    assert values == sorted(values, reverse=True)
    shown = browser.evaluate("document.querySelector('.rows .row').innerText.split('\\n')")
    assert f"{values[0] / 0.2:.3f}" in shown


@pytest.mark.parametrize(
    ("typed", "address"), [("L1H2", "planted/0/1/2"), ("planted/2/0/1", "planted/2/0/1"), ("2 L1H3", "planted/2/1/3")]
)
def test_search_finds_a_head_by_its_name(atlas, typed, address):
    browser = atlas("about")
    browser.key("/")
    browser.call("Input.insertText", text=typed)
    browser.until(f"document.querySelector('#found a')?.getAttribute('href') === '#{address}'")
    browser.key("Enter")
    browser.until(f"location.hash === '#{address}'")


@pytest.mark.parametrize(
    ("typed", "address", "shown"),
    [
        ("Figure 1", "studies/phrenology?figure=fig01_decoded_pairs", "Figure 1: decoded pairs"),
        ("decoded", "studies/phrenology?figure=fig01_decoded_pairs", "Figure 1: decoded pairs"),
        ("caption more", "studies/phrenology?figure=fig01_decoded_pairs", "A <b>caption</b> & more."),
        ("table 1 mse", "studies/phrenology?claim=0", "MSE <b>.5</b>"),
        ("stay text", "studies/phrenology?finding=0", "Two kinds. Tokens such as <script>"),
    ],
)
def test_search_finds_figures_claims_and_findings_by_their_words(atlas, typed, address, shown):
    browser = atlas("about")
    browser.key("/")
    browser.call("Input.insertText", text=typed)
    browser.until(f"document.querySelector('#found a')?.getAttribute('href') === '#{address}'")
    browser.key("Enter")
    browser.until(f"location.hash === '#{address}'")
    browser.until(READY)
    assert shown in browser.text(".sought")
    box = browser.evaluate("document.querySelector('.sought').getBoundingClientRect().toJSON()")
    assert 0 <= box["top"] < 900, "in sight"


@pytest.mark.parametrize(("typed", "address"), [("looks", "kinds/kind/0"), ("copying", "heads?sort=copying")])
def test_search_finds_a_kind_and_a_score_by_name(atlas, typed, address):
    browser = atlas("about")
    browser.key("/")
    browser.call("Input.insertText", text=typed)
    browser.until(f"document.querySelector('#found a')?.getAttribute('href').startsWith('#{address}')")


def test_search_takes_numbers_for_whole_numbers(atlas):
    browser = atlas("about")
    browser.key("/")
    browser.call("Input.insertText", text="Figure 0")
    browser.until("document.querySelector('#found li')")
    assert "decoded pairs" not in browser.text("#found")


def test_search_finds_a_token_in_prompts(atlas):
    browser = atlas("about")
    browser.evaluate("document.getElementById('search').focus()")
    browser.call("Input.insertText", text="東京")
    browser.until("[...document.querySelectorAll('#found a')].some(a => a.innerText.includes('prompts of planted'))")


def test_keys_back_and_forward(atlas):
    browser = atlas("planted/0/0/1")
    for key, address in (("ArrowRight", "planted/0/0/2"), ("ArrowDown", "planted/0/1/2"), ("]", "planted/1/1/2")):
        browser.key(key)
        browser.until(f"location.hash === '#{address}'")
        browser.until(READY)
    browser.evaluate("history.back()")
    browser.until("location.hash === '#planted/0/1/2'")
    browser.until(READY)
    assert "planted 0 L1H2" in browser.text("h1")
    browser.evaluate("history.forward()")
    browser.until("document.querySelector('h1').innerText === 'planted 1 L1H2'")


def test_another_runs_atlas_is_compared_without_running_it(atlas, planted, tmp_path):
    write_results(tmp_path, seed=1)
    page.write_page(tmp_path / "other.html", Results(tmp_path))
    browser = atlas("compare")
    root = browser.call("DOM.getDocument")["root"]["nodeId"]
    node = browser.call("DOM.querySelector", nodeId=root, selector="input[type=file]")["nodeId"]
    browser.call("DOM.setFileInputFiles", nodeId=node, files=[str(tmp_path / "other.html")])
    browser.until("document.querySelector('[data-panel=runs] table')")
    mine, theirs = (tables.read(folder / "scores/planted.parquet") for folder in (planted[0], tmp_path))
    change = (theirs["value"] - mine["value"])[mine["score"] == "induction"].mean()
    row = browser.evaluate(
        "[...document.querySelectorAll('[data-panel=runs] tr')].find(r => r.innerText.includes('induction')).innerText"
    )
    assert f"{change:.3f}".replace("-", MINUS) in row


def test_narrow_and_wide_windows_never_scroll_sideways(atlas):
    browser = atlas("heads")
    try:
        for width in (360, 768, 3840):
            browser.resize(width, 900)
            for address in (
                "heads",
                "planted/0/0/0",
                "kinds",
                "kinds/kind/0",
                "studies/phrenology",
                "compare",
                "about",
            ):
                atlas(address)
                wide = browser.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, f"{address} is {wide} wide in a window of {width}"
    finally:
        browser.resize(1440, 900)


def test_dark_and_light(atlas):
    browser = atlas("planted/0/0/0")
    grounds = []
    for scheme in ("light", "dark"):
        browser.scheme(scheme)
        atlas("planted/0/0/0")
        grounds.append(browser.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
    browser.scheme("light")
    assert grounds[0] != grounds[1]


def test_what_can_be_seen_has_a_name_for_those_who_hear_it(atlas):
    browser = atlas("planted/0/0/0")
    for address in ("heads", "planted/0/0/0", "kinds/kind/0", "compare", "studies/phrenology"):
        atlas(address)
        nameless = browser.evaluate(
            """[...document.querySelectorAll('button, a, select, input, canvas, img')]
            .filter(e => !e.closest('[hidden]') && !e.getAttribute('aria-hidden'))
            .filter(e => !e.getAttribute('aria-label') && !e.textContent.trim() && !e.title && !e.alt)
            .filter(e => !e.closest('label')?.innerText.trim()).map(e => e.outerHTML.slice(0, 200))"""
        )
        assert nameless == [], address


def test_what_a_run_lacks_is_said(browser, tmp_path):
    write_results(tmp_path, study=False)
    page.write_page(tmp_path / "atlas.html", Results(tmp_path))
    for address in ("planted/0/0/0", "kinds", "joint", "studies", "compare", "heads"):
        browser.visit(tmp_path / "atlas.html", address)
        assert address == "heads" or "Not available" in browser.text(), address
        assert "could not be shown" not in browser.text(), address


def test_a_run_of_attention_alone_still_has_its_heads(browser, tmp_path):
    write_results(tmp_path, study=False)
    (tmp_path / "scores/planted.parquet").unlink()
    page.write_page(tmp_path / "atlas.html", Results(tmp_path))
    browser.complaints.clear()
    for address in ("heads", "planted/0/0/0", "compare"):
        browser.visit(tmp_path / "atlas.html", address)
        assert "could not be shown" not in browser.text(), address
    assert browser.complaints == []


def test_a_run_that_keeps_no_patterns_says_so_and_has_its_heads(browser, tmp_path):
    write_results(tmp_path, kept=False)
    page.write_page(tmp_path / "atlas.html", Results(tmp_path))
    browser.complaints.clear()
    for address in ("heads", "planted/0/0/0", "kinds/kind/0", "joint", "compare", "studies"):
        browser.visit(tmp_path / "atlas.html", address)
        assert "could not be shown" not in browser.text(), address
        if address == "planted/0/0/0":
            assert "attention patterns were not kept" in browser.text()
            assert "induction" in browser.text()
    assert browser.complaints == []


def test_a_folder_of_pieces_loads_a_head_when_it_is_looked_at(browser, tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    weights, _ = write_results(results)
    (results / "atlas/planted").mkdir(parents=True)
    pieces = {"planted": [results / f"atlas/planted/{i:03d}.js" for i in range(5)]}
    page.write_folder(results / "atlas/index.html", pieces, Results(results), PROMPTS)
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(results / "atlas/index.html", "heads")
    browser.until(READY)
    assert not [request for request in browser.requests if request.endswith(".js")]
    browser.evaluate("location.hash = 'planted/1/1/3?prompt=11'")
    browser.until("document.querySelector('.sentence .token')")
    row = 1 * LAYERS * HEADS + HEADS + 3
    loaded = [request for request in browser.requests if request.endswith(".js")]
    assert loaded == [pieces["planted"][row % 5].as_uri()]
    browser.evaluate("document.querySelectorAll('.sentence .token')[6].click()")
    titles = browser.evaluate("[...document.querySelectorAll('.sentence .token')].map(t => t.title)")
    np.testing.assert_allclose([float(title) for title in titles[:7]], weights[1, 1, 3, 11, 6, :7], atol=0.0026)
    assert browser.complaints == []
    browser.evaluate("location.hash = 'studies/phrenology'")
    browser.until("[...document.querySelectorAll('.studyfigure img')].every(image => image.naturalWidth === 400)")


def test_pages_of_equal_results_are_equal(planted, tmp_path):
    for name in ("one.html", "two.html"):
        page.write_page(tmp_path / name, Results(planted[0]))
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_a_page_opens_within_a_moment(atlas, planted):
    start = time.monotonic()
    browser = atlas("heads")
    assert time.monotonic() - start < 20, "even on a busy machine"
    paint = browser.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
    assert paint < 5000
