"""The atlas of a large run as a folder: time and memory to build it, its size, and how soon a head opens in a browser.

    PYTHONPATH=scripts python benchmarks/bench_atlas.py [--heads 384] [--prompts 512] [--size 128] [--threads 2]

Attention is synthetic: each head mixes a decay by distance, a sink at the first token and what the tokens say, so that
its bytes are about as compressible as a trained model's. Writing the tables is not measured. The build runs in a
process of its own, whose peak is what the kernel counted; processor time counts all its threads.
"""

import argparse
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the browser

import numpy as np

PER_LAYER, VOCABULARY, PIECES = 16, 4096, 256
SHOWN = 512  # prompts that all heads share, as in rules/atlas.smk
OPENED = 24  # heads that a browser opens


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
    logits = content / np.sqrt(8) * np.einsum("pqd,pkd->pqk", queries[tokens], keys[tokens])[:, query, key]
    logits += (sink * (key == 0) - decay * np.log1p(query - key)).astype(np.float32)
    weights = np.exp(logits, out=logits)
    starts = np.arange(size) * (np.arange(size) + 1) // 2
    weights /= np.repeat(np.add.reduceat(weights, starts, axis=1), np.arange(1, size + 1), axis=1)
    return weights


def build(results, folder, threads):
    """Write the folder form; its processor and wall seconds, and the most MB that this process held."""
    from headatlas.atlas import page
    from headatlas.atlas.results import Results

    (folder / "large").mkdir(parents=True)
    count = Results(results).facts("large")
    count = min(PIECES, count["layers"] * count["heads"])
    pieces = {"large": [folder / f"large/{number:03d}.js" for number in range(count)]}
    wall, start = time.monotonic(), time.process_time()
    page.write_folder(folder / "index.html", pieces, Results(results), SHOWN, threads=threads)
    taken = time.process_time() - start, time.monotonic() - wall
    return *taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def opened(folder):
    """Milliseconds from a head's address to its prompt drawn, of `OPENED` heads in turn; None without a browser."""
    from browser import Browser, installed

    if installed() is None:
        return None
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(installed(), profile)
        try:
            browser.open(folder / "index.html", "heads")
            browser.until("document.documentElement.dataset.ready === '#heads'")
            return browser.evaluate(
                f"""(async () => {{ const took = [], step = Math.floor(atlas.run.count / {OPENED}) || 1;
                for (let i = 0; i < Math.min({OPENED}, atlas.run.count); i++) {{
                const start = performance.now(); location.hash = atlas.run.address(i * step);
                while (document.documentElement.dataset.ready !== location.hash || !document.querySelector(".query"))
                await new Promise(resolve => setTimeout(resolve, 1)); took.push(performance.now() - start); }}
                return took.sort((a, b) => a - b); }})()"""
            )
        finally:
            browser.close()


def measure(rounds=1, heads=384, prompts=512, size=128, threads=2):
    """Yield the row of the table: a dict with `work`, `ours`, `theirs`, `ratio`, `note`; one round."""
    with tempfile.TemporaryDirectory() as place:
        results = Path(place) / "results"
        results.mkdir()
        write(results, heads, prompts, size)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            processor, wall, held = fresh.submit(build, results, results / "atlas", threads).result()
        taken = sum(file.stat().st_size for file in (results / "atlas").rglob("*") if file.is_file())
        heads_opened = opened(results / "atlas")
    note = f"{taken / 1e6:,.0f} MB on disk"
    if heads_opened:
        middle = heads_opened[len(heads_opened) // 2]
        note += f"; a head opens in {middle:.0f} ms (median of {len(heads_opened)}), at most {heads_opened[-1]:.0f} ms"
    yield {
        "work": f"atlas in a folder: {heads} heads, {prompts} prompts x {size}",
        "ours": f"{wall:.0f} s, {processor:.0f} CPU s, {held:,.0f} MB",
        "theirs": "",
        "ratio": None,
        "note": note,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("heads", 384), ("prompts", 512), ("size", 128), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for row in measure(**vars(parser.parse_args())):
        print("|", " | ".join([row["work"], row["ours"], "", "", row["note"]]), "|", flush=True)
