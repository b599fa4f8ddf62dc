"""The atlas of a run: a browser walks through it from disk and finds the run's own numbers."""

import json

import numpy as np
import pytest

from browser import READY
from headatlas.base import tables

MINUS = "\u2212"


def test_every_address_of_a_finished_runs_atlas_opens(browser, finished):
    atlas = finished.results / "atlas.html"
    models = sorted(path.name for path in (finished.results / "attention").iterdir())
    todo, seen = (
        ["heads", "kinds", "joint", "studies", "compare", "about", *(f"{name}/0/0/0" for name in models)],
        set(),
    )
    browser.open(atlas, "heads")
    while todo:
        address = todo.pop()
        seen.add(address)
        browser.evaluate(f"location.hash = {json.dumps(address)}")
        browser.until(f"location.hash.startsWith({json.dumps('#' + address)}) && {READY}")
        shown = browser.evaluate("document.querySelector('main').innerText")
        assert "could not be shown" not in shown, address
        assert "names no view" not in shown, address
        found = browser.evaluate(
            "[...document.querySelectorAll('#tabs a, .tabs a, .badge, .card')].map(a => a.hash.slice(1))"
        )
        todo += [link for link in dict.fromkeys(found) if link not in seen and link not in todo]
    assert browser.complaints == []
    assert {request.split("#")[0] for request in browser.requests} <= {"about:blank", atlas.as_uri()}
    studies = [address for address in seen if address.startswith("studies/")]
    assert len(studies) >= len({path.name for path in (finished.results / "figures").iterdir()})


def test_scores_of_every_head_are_those_of_the_tables(browser, finished):
    browser.open(finished.results / "atlas.html", "heads")
    browser.until(READY)
    shown = browser.evaluate(
        """Array.from({length: atlas.run.count}, (_, row) => { const {model, member, layer, head} = atlas.run.head(row);
        const values = atlas.run.scores.map(score => [score.name, score.value[row]]);
        return [[model.name, member, layer, head], Object.fromEntries(values)]; })"""
    )
    assert shown
    for name in {identity[0] for identity, _ in shown}:
        rows = tables.read(finished.results / f"scores/{name}.parquet").set_index(["member", "layer", "head", "score"])
        for (model, *place), values in shown:
            for score, value in values.items() if model == name else ():
                known = rows["value"].get((*place, score))
                assert known is None or value is None or value == pytest.approx(known, rel=1e-5), (model, place, score)
                assert (known is None or known != known) == (value is None), (model, place, score)


def test_every_figure_is_shown_with_its_caption(browser, finished):
    figures = {path.relative_to(finished.results).as_posix() for path in (finished.results / "figures").rglob("*.png")}
    browser.open(finished.results / "atlas.html", "studies")
    browser.until(READY)
    told = browser.evaluate(
        """atlas.run.index.studies.flatMap(study => study.figures).flatMap(figure => ["published", "corrected"]
        .filter(protocol => figure[protocol]).map(protocol => [figure[protocol].file, figure[protocol].caption]))"""
    )
    assert {file for file, _ in told} == figures
    assert all(caption and caption.endswith(".") for _, caption in told), told


def test_pointing_at_a_query_shows_its_sentence_and_what_it_attends_to(browser, finished):
    (model,) = (path.parent.name for path in finished.results.glob("attentionviz/*/global_maps.parquet"))
    browser.visit(finished.results / "atlas.html", f"joint/{model}/1/0/2")
    browser.until("document.querySelector('[data-panel=\"joint one\"] canvas').style.height")
    box = browser.evaluate(
        "(e => (e.scrollIntoView({block: 'center'}), e.getBoundingClientRect().toJSON()))"
        "(document.querySelector('[data-panel=\"joint one\"] canvas'))"
    )
    for x in np.linspace(0.2, 0.8, 25):  # across the map until a query is met
        browser.mouse("mouseMoved", box["x"] + x * box["width"], box["y"] + box["height"] / 2)
        if "query at" in browser.text("#hint"):
            break
    token, position = browser.text("#hint").split(" query at ")
    position, prompt = (int(part.split()[-1]) for part in position.split(",")[:2])
    shown = browser.evaluate(
        """[...document.querySelectorAll('.sentencebox .token')]
        .map(e => [e.textContent, e.title, e.classList.contains('query')])"""
    )
    assert [name for name, _, query in shown if query] == [token]
    rows = tables.read(
        finished.results / f"attention/{model}/patterns.parquet", member=1, layer=0, head=2, prompt=prompt
    )
    start = position * (position + 1) // 2
    weights = rows["pattern"].iloc[0][start : start + position + 1]
    for (_, title, _), weight in zip(shown, weights, strict=False):
        assert float(title) == pytest.approx(weight if weight > 0.01 else 0, abs=0.0026), "lines to what it attends to"


def test_how_faithful_a_joint_map_is_stands_beside_it(browser, finished):
    (model,) = (path.parent.name for path in finished.results.glob("attentionviz/*/global_maps.parquet"))
    browser.visit(finished.results / "atlas.html", f"joint/{model}/1/0/2")
    shown = browser.evaluate(
        "[...document.querySelectorAll('[data-panel=\"joint one\"] tbody tr')].map(r => r.innerText.split('\\t'))"
    )
    rows = tables.read(finished.results / f"attentionviz/{model}/constructions.parquet", member=1, layer=0, head=2)
    rows = rows[rows["method"] == "pca"].to_dict("records")
    for row, (construction, _, spearman, trustworthiness) in zip(rows, shown, strict=True):
        assert construction == row["construction"]
        assert spearman.replace(MINUS, "-") == f"{row['spearman']:.3f} ± {row['standard_error']:.3f}"
        assert trustworthiness == f"{row['trustworthiness']:.3f}"


def test_figures_and_claims_are_found_by_their_words(browser, finished):
    for typed, address in (
        ("Figure 5: clusters", "studies/phrenology?figure=fig05_clusters"),
        ("knockout losses", "studies/phrenology?figure=knockout_losses"),
    ):
        browser.visit(finished.results / "atlas.html", "about")
        browser.key("/")
        browser.call("Input.insertText", text=typed)
        browser.until(f"document.querySelector('#found a')?.getAttribute('href') === '#{address}'")
        browser.key("Enter")
        browser.until(f"location.hash === '#{address}' && {READY}")
        browser.until("document.querySelector('.sought h2')")
