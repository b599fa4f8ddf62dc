"""Memory of the steps that compare heads, on tables of synthetic patterns: flat in prompts, growing with heads.

    PYTHONPATH=scripts python benchmarks/bench_memory.py

Each measurement is a process of its own, whose peak is what the kernel counted. Writing the tables is not measured.
"""

import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import numpy as np

PER_LAYER = 20


def write(path, heads, prompts, size):
    """A table of random causal patterns, row groups as `patterns.write` makes them."""
    from headatlas.attention import packing, patterns
    from headatlas.base import tables

    length, layers = packing.entries(size, "lower"), heads // PER_LAYER
    rows = packing.rows_of(size, "lower")
    facts = {"packing": "lower", "size": size, "members": 1, "layers": layers, "heads": PER_LAYER, "prompts": prompts}
    step, rng = max(1, patterns._ROW_GROUP // (4 * PER_LAYER * length)), np.random.default_rng(0)
    with tables.Writer(path, facts=facts) as writer:
        for low in range(0, prompts, step):
            for layer in range(layers):
                count = min(step, prompts - low)
                drawn = rng.exponential(size=(PER_LAYER * count, length)).astype(np.float32)
                for start, end in rows:
                    drawn[:, start:end] /= drawn[:, start:end].sum(-1, keepdims=True)
                columns = patterns.identity(0, layer, PER_LAYER, low, count)
                writer.write(columns | {"pattern": drawn})


def peak(step, path):
    """Seconds of a processor and the most MB that a process holds which does one step on a table of patterns."""
    from headatlas.attention import pattern_streams
    from headatlas.scores import pattern_scores
    from headatlas.studies.phrenology import head_distances, parts_of, projections

    stream = pattern_streams.PatternStream({"synthetic": path})
    tokens = np.ones((stream.shape[1], stream.size), dtype=int)
    parts = parts_of(*stream.shape[:2])
    steps = {
        "Euclidean distances": lambda: head_distances.euclidean(stream),
        "Jensen-Shannon distances": lambda: head_distances.jensen_shannon(
            stream, stream.size, stream.packing, parts=parts
        ),
        "principal components": lambda: projections.components(stream),
        "scores of patterns": lambda: pattern_scores.score_table(
            pattern_streams.iterate_blocks(path), tokens, causal=True
        ),
    }
    start = time.process_time()
    steps[step]()
    return time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(rounds=1):
    """Yield the rows of the table: dicts with `work`, `ours`, `theirs`, `ratio`, `note`; one round each."""
    plan = {  # heads, prompts, tokens
        "Euclidean distances": [(200, 16, 128), (200, 128, 128), (1000, 8, 128), (5000, 2, 128)],
        "principal components": [(200, 128, 128)],
        "scores of patterns": [(200, 16, 128), (200, 128, 128)],
        "Jensen-Shannon distances": [(1000, 32, 4), (5000, 8, 4)],  # its distances on all parts are what grows
    }
    with tempfile.TemporaryDirectory() as folder:
        for step, sizes in plan.items():
            for heads, prompts, size in sizes:
                path = Path(folder) / f"{heads}-{prompts}-{size}"
                if not path.exists():
                    write(path, heads, prompts, size)
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
                    seconds, held = fresh.submit(peak, step, path).result()
                entries = heads * prompts * size * (size + 1) // 2
                yield {
                    "work": f"{step}: {heads:,} heads, {prompts} prompts x {size}",
                    "ours": f"{held:,.0f} MB, {seconds:.0f} CPU s",
                    "theirs": "",
                    "ratio": None,
                    "note": f"all patterns would be {4 * entries / 2**20:,.0f} MB",
                }


if __name__ == "__main__":
    for row in measure():
        print("|", " | ".join([row["work"], row["ours"], "", "", row["note"]]), "|", flush=True)
