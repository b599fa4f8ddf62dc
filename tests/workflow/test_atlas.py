"""The atlas of a run: a browser walks through it from disk and finds the run's own numbers."""

import json

import pytest

from browser import READY
from headatlas.base import tables


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
