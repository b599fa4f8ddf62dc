"""The atlas: time and memory to build it in both its forms, its size, how soon a browser shows it, a head, a hover.

    PYTHONPATH=scripts python benchmarks/bench_atlas.py [--parts folder] [--heads 384] [--prompts 512] [--size 128]

Without options it is small: 16 heads as a folder and as one file, and a map of 10,000 heads, in less than a minute.

Attention is synthetic: each head mixes a decay by distance, a sink at the first token and what the tokens say, so that
its bytes are about as compressible as a trained model's. Writing the tables is not measured. The build runs in a
process of its own, whose peak is what the kernel counted; processor time counts all its threads.
"""

import argparse
import re
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the browser
sys.path.insert(0, str(Path(__file__).parents[1] / "tests/samples"))

import numpy as np

PER_LAYER, VOCABULARY, PIECES = 8, 4096, 256
SHOWN = 512  # prompts that all heads share, as in rules/atlas.smk
OPENED = 24  # heads that a browser opens
PARTS = ("folder", "file", "map")


def write(folder, heads, prompts, size):
    """A folder of results with the attention, prompts and scores of one causal model of `heads` heads.

    Parameters
    ----------
    folder : pathlib.Path
    heads, prompts, size : int
        `heads` is a multiple of `PER_LAYER`; `size` is the tokens of a prompt.
    """
    from headatlas.attention import patterns
    from headatlas.base import tables

    rng = np.random.default_rng(0)
    for part in ("windows/large", "attention/large", "scores"):
        (folder / part).mkdir(parents=True)
    ranks = 1 / np.arange(1, VOCABULARY + 1)
    tokens = rng.choice(VOCABULARY, (prompts, size), p=ranks / ranks.sum()).astype(np.int32)
    number, windows = np.arange(prompts, dtype=np.int32), folder / "windows/large/analysis.parquet"
    tables.write(windows, {"member": number * 0 - 1, "window": number, "tokens": tokens}, provenance={})
    facts = {"members": 1, "layers": heads // PER_LAYER, "heads": PER_LAYER, "prompts": prompts, "size": size}
    facts["packing"] = "lower"
    made = {"inputs": {"windows": [tables.content_digest(windows)]}}
    with tables.Writer(folder / "attention/large/patterns.parquet", facts=facts, provenance=made) as writer:
        for layer in range(heads // PER_LAYER):
            kept = [_head(rng, tokens) for _ in range(PER_LAYER)]
            step = max(1, patterns._ROW_GROUP // (PER_LAYER * kept[0][0].nbytes))
            for low in range(0, prompts, step):
                part = np.stack([each[low : low + step] for each in kept])
                columns = patterns.identity(layer * 0, layer, PER_LAYER, low, part.shape[1])
                writer.write(columns | {"pattern": part.reshape(-1, part.shape[-1])})
    index = np.indices((heads // PER_LAYER, PER_LAYER), dtype=np.int32).reshape(2, -1)
    scores = {"member": index[0] * 0, "layer": index[0], "head": index[1], "score": ["entropy"] * heads}
    scores |= {"value": rng.random(heads), "standard_error": np.full(heads, 0.01), "chance": np.ones(heads)}
    tables.write(folder / "scores/large.parquet", scores, facts=facts, provenance=made)


def _head(rng, tokens):
    """Packed patterns of one head on all prompts: float32 (prompt, entry)."""
    size = tokens.shape[1]
    query, key = np.tril_indices(size)
    decay, sink, content = rng.uniform(0, 1.5), rng.uniform(0, 4), rng.uniform(0, 2.5)
    queries, keys = rng.normal(size=(2, VOCABULARY, 8)).astype(np.float32)
    logits = content / np.sqrt(8) * (queries[tokens] @ keys[tokens].swapaxes(1, 2))[:, query, key]
    logits += (sink * (key == 0) - decay * np.log1p(query - key)).astype(np.float32)
    weights = np.exp(logits, out=logits)
    starts = np.arange(size) * (np.arange(size) + 1) // 2
    weights /= np.repeat(np.add.reduceat(weights, starts, axis=1), np.arange(1, size + 1), axis=1)
    return weights


def build(results, target, threads):
    """Write a folder, or one file where `target` ends in .html; processor and wall seconds, most MB of this process."""
    from headatlas.atlas import page
    from headatlas.atlas.results import Results

    read, wall, start = Results(results), time.monotonic(), time.process_time()
    if target.suffix:
        page.write_page(target, read, threads=threads)
    else:
        (target / "large").mkdir(parents=True)
        facts = read.facts("large")
        scripts = range(min(PIECES, facts["layers"] * facts["heads"]))
        pieces = {"large": [target / f"large/{number:03d}.js" for number in scripts]}
        page.write_folder(target / "index.html", pieces, read, SHOWN, threads=threads)
    taken = time.process_time() - start, time.monotonic() - wall
    return *taken, most_held()


def most_held():
    """Most MB that this process held; unlike `getrusage`, not what the process that started it held."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


@contextmanager
def opened(page):
    """A browser with a page opened from disk, or None where there is no browser."""
    from browser import READY, Browser, installed

    if installed() is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(installed(), profile)
        try:
            browser.open(page, "heads")
            browser.until(READY)
            yield browser
        finally:
            browser.close()


def first_paint(browser):
    """Milliseconds from the request for the page to its first contentful paint."""
    browser.until("performance.getEntriesByName('first-contentful-paint').length")
    return browser.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")


def heads_open(browser):
    """Milliseconds from a head's address to its prompt drawn, of `OPENED` heads in turn, sorted."""
    return browser.evaluate(
        f"""(async () => {{ const took = [], step = Math.floor(atlas.run.count / {OPENED}) || 1;
        for (let i = 0; i < Math.min({OPENED}, atlas.run.count); i++) {{
        const start = performance.now(); location.hash = atlas.run.address(i * step);
        while (document.documentElement.dataset.ready !== location.hash || !document.querySelector(".query"))
        await new Promise(resolve => setTimeout(resolve, 1)); took.push(performance.now() - start); }}
        return took.sort((a, b) => a - b); }})()"""
    )


def hovers(browser, times=100):
    """Milliseconds from the pointer's event over a head of the map to its hint and marks drawn, sorted."""
    return browser.evaluate(
        f"""(async () => {{ const took = [], {{map}} = atlas.view.parts, step = Math.floor(map.rows.length / {times});
        for (let i = 0; i < {times}; i++) {{ const box = map.canvas.getBoundingClientRect(), start = performance.now();
        const at = {{clientX: box.left + map.px[i * step], clientY: box.top + map.py[i * step], bubbles: true}};
        map.box.dispatchEvent(new PointerEvent("pointermove", at));
        document.getElementById("hint").getBoundingClientRect();
        map.overlay.getContext("2d").getImageData(0, 0, 1, 1); took.push(performance.now() - start);
        await new Promise(resolve => requestAnimationFrame(resolve)); }}
        return took.sort((a, b) => a - b); }})()"""
    )


def frames(browser):
    """Frames a second of the map while it is zoomed, over two seconds."""
    return browser.evaluate(
        """(async () => { const {map} = atlas.view.parts, start = performance.now(); let count = 0;
        while (performance.now() - start < 2000) { map.zoom = {scale: 1 + count++ % 60 / 20, x: 0, y: 0}; map.draw();
        await new Promise(resolve => requestAnimationFrame(resolve)); }
        return count / (performance.now() - start) * 1000; })()"""
    )


def of_form(name, heads, prompts, size, threads):
    """The row of one form of the atlas: "folder", or "file"."""
    with tempfile.TemporaryDirectory() as place:
        results = Path(place) / "results"
        results.mkdir()
        write(results, heads, prompts, size)
        target = results / "atlas" if name == "folder" else results / "atlas.html"
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            processor, wall, held = fresh.submit(build, results, target, threads).result()
        files = [target] if target.suffix else [file for file in target.rglob("*") if file.is_file()]
        note = f"{sum(file.stat().st_size for file in files) / 1e6:,.1f} MB on disk"
        with opened(target if target.suffix else target / "index.html") as browser:
            if browser:
                paint, took = first_paint(browser), heads_open(browser)
                note += f"; first paint {paint:.0f} ms; a head opens in {took[len(took) // 2]:.0f} ms (median of"
                note += f" {len(took)}), at most {took[-1]:.0f} ms"
    return {
        "work": f"atlas in a {name}: {heads} heads, {prompts} prompts x {size}",
        "ours": f"{wall:.0f} s, {processor:.0f} CPU s, {held:,.0f} MB",
        "theirs": "",
        "ratio": None,
        "note": note,
    }


def of_map():
    """The row of the map of ten thousand heads; None without a browser."""
    from large_atlas import HEADS, write_large

    with tempfile.TemporaryDirectory() as place:
        write_large(Path(place) / "atlas.html")
        with opened(Path(place) / "atlas.html") as browser:
            if browser is None:
                return None
            paint, took, rate = first_paint(browser), hovers(browser), frames(browser)
    hover = f"{took[len(took) // 2]:.1f} ms (median of {len(took)}), at most {took[-1]:.1f} ms"
    return {
        "work": f"map of {HEADS:,} heads in a browser",
        "ours": f"first paint {paint:.0f} ms",
        "theirs": "",
        "ratio": None,
        "note": f"a hover takes {hover}; {rate:.0f} frames a second while zooming",
    }


def measure(rounds=1, heads=16, prompts=64, size=64, threads=2, parts=PARTS):
    """Yield the rows of the table: dicts with `work`, `ours`, `theirs`, `ratio`, `note`; one round.

    Parameters
    ----------
    rounds : int
        Not used: one.
    heads, prompts, size, threads : int
        Of the two forms; `heads` is a multiple of `PER_LAYER`.
    parts : iterable of str
        Some of `PARTS`.
    """
    for part in parts:
        row = of_map() if part == "map" else of_form(part, heads, prompts, size, threads)
        if row:
            yield row


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("heads", 16), ("prompts", 64), ("size", 64), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    for row in measure(**vars(parser.parse_args())):
        print("|", " | ".join([row["work"], row["ours"], "", "", row["note"]]), "|", flush=True)
