"""The page stays quick with ten thousand heads: frames of the map, hover, choosing; measured in a real browser."""

import json

import pytest

from browser import Browser, installed
from large_atlas import HEADS, write_large


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    if installed() is None:
        pytest.skip("needs a browser: chromium or google-chrome")
    folder = tmp_path_factory.mktemp("large")
    write_large(folder / "atlas.html")
    browser = Browser(installed(), folder / "profile")
    browser.open(folder / "atlas.html", "heads")
    browser.until("document.documentElement.dataset.ready === '#heads'")
    yield browser
    browser.close()


def median_ms(browser, action, times=30):
    """Median milliseconds of an action of the page, drawing included."""
    return browser.evaluate(
        f"""(() => {{ const took = [], {{map, heads, matrices}} = atlas.view.parts;
        for (let i = 0; i < {times}; i++) {{ const start = performance.now(); {action};
        map.canvas.getContext("2d").getImageData(0, 0, 1, 1); took.push(performance.now() - start); }}
        return took.sort((a, b) => a - b)[{times} / 2]; }})()"""
    )


def test_ten_thousand_heads_draw_move_and_are_chosen_quickly(large):
    assert large.complaints == []
    assert large.evaluate("atlas.view.parts.map.rows.length") == HEADS
    lasso = [[0, 0], [3000, 0], [3000, 3000], [0, 3000]]
    found = {
        "map, zoomed": median_ms(large, "map.zoom = {scale: 1 + i / 10, x: 0, y: 0}; map.draw()"),
        "hover": median_ms(large, "map.nearest(200 + i, 200); atlas.hovered = i; atlas.view.onhover()"),
        "lasso": median_ms(
            large, f"map.lasso = {json.dumps(lasso)}; map.inside(map.lasso); map.mark(); map.lasso = null"
        ),
        "table, scrolled": median_ms(large, "heads.viewport.scrollTop = i * 700; heads.fill()"),
    }
    found["frames a second while zooming"] = large.evaluate(
        """(async () => { const map = atlas.view.parts.map, start = performance.now(); let frames = 0;
        while (performance.now() - start < 1500) { map.zoom = {scale: 1 + frames++ % 60 / 20, x: 0, y: 0}; map.draw();
        await new Promise(resolve => requestAnimationFrame(resolve)); }
        return frames / (performance.now() - start) * 1000; })()"""
    )
    print(json.dumps(found))
    # an idle machine needs a fifth of this: what is guarded is the order, not the machine
    assert found["frames a second while zooming"] > 30 / 5
    assert found["map, zoomed"] < 5 * 1000 / 30
    assert found["hover"] < 5 * 16
    assert found["lasso"] < 5 * 1000 / 30
    assert found["table, scrolled"] < 5 * 1000 / 30
