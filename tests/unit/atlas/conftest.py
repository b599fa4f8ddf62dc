"""Fixtures of the atlas's tests: a planted run, and a browser in the run's atlas."""

import pytest

from headatlas.atlas import page
from headatlas.atlas.results import Results
from results_folders import write_results


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    """A folder of results, its atlas, its weights and tokens."""
    folder = tmp_path_factory.mktemp("run") / "results"
    folder.mkdir()
    weights, tokens = write_results(folder)
    about = {"title": "Planted", "settings": "results: here", "versions": {"Python": "3"}, "models": {}}
    captions = {"figures/phrenology/published/fig01_decoded_pairs.png": "A <b>caption</b> & more."}
    page.write_page(folder / "atlas.html", Results(folder), about, captions)
    return folder, weights, tokens


@pytest.fixture
def atlas(browser, planted):
    """The browser, to open an address of the planted atlas in; at the end nobody has complained or asked for a file."""
    browser.complaints.clear()
    browser.requests.clear()

    def visit(address, path=planted[0] / "atlas.html"):
        browser.visit(path, address)
        return browser

    yield visit
    assert browser.complaints == []
    assert {request.split("#")[0] for request in browser.requests} <= {
        "about:blank",
        (planted[0] / "atlas.html").as_uri(),
    }
