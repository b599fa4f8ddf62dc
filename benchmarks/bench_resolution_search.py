"""The resolution search against a plain leidenalg loop, and its growth to 5,000 heads.

    PYTHONPATH=scripts python benchmarks/bench_resolution_search.py [--draws 1000] [--heads 1250 2500 5000]

Exits with 1 if the search is less than 5 times as fast as the loop, finds worse partitions, or grows faster than
quadratically.
"""

import resource
import sys
import time
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import leidenalg
import numpy as np

from headatlas.studies.phrenology import knn_graph, partition_scores, resolution_search


def synthetic_heads(heads, members, seed=0):
    """Points (head, 64) of heads that come in one of heads / members types, and their members."""
    rng = np.random.default_rng(seed)
    types = heads // members
    points = np.tile(rng.normal(size=(types, 64)), (members, 1)) + 2.5 * rng.normal(size=(types * members, 64))
    return points.astype(np.float32), np.repeat(np.arange(members), types)


def against_leidenalg(draws, repeats=3):
    """Medians of CPU seconds, theirs and ours, and the mean quality of the partitions of both."""
    points, members = synthetic_heads(72, 9)
    graph = knn_graph.neighbour_graph(points, neighbours=8)
    ours, theirs = [], []
    for _ in range(repeats):
        start = time.process_time()
        search = resolution_search.resolution_search(graph, members, draws=draws)
        ours.append(time.process_time() - start)
        start = time.process_time()
        found = [
            leidenalg.find_partition(
                graph,
                leidenalg.RBConfigurationVertexPartition,
                resolution_parameter=resolution,
                n_iterations=2,
                seed=i,
            )
            for i, resolution in enumerate(search.draws["resolution"])
        ]
        theirs.append(time.process_time() - start)
    quality = np.mean([partition.quality() for partition in found]) / 2 / graph.ecount()
    return np.median(theirs), np.median(ours), quality, search.draws["quality"].mean()


def growth(heads, members=25, draws=100):
    """CPU seconds for graph, search and silhouettes; peak of arrays and objects, and of the whole process (MB)."""
    points, member = synthetic_heads(heads, members)

    def study(draws):
        clock = [time.process_time()]
        graph, distances = knn_graph.euclidean_graph(points[:, None], neighbours=members - 1)
        clock.append(time.process_time())
        search = resolution_search.resolution_search(graph, member, draws=draws)
        clock.append(time.process_time())
        partition_scores.silhouettes(search.partitions[:10], distances)
        clock.append(time.process_time())
        return graph.ecount(), *np.diff(clock)

    measured = study(draws)
    whole = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tracemalloc.start()  # apart from the clock, which it would slow
    study(10)
    return heads, *measured, tracemalloc.get_traced_memory()[1] / 2**20, whole


def measure(rounds=3, draws=1000, sizes=(1250, 2500, 5000)):
    """Yield the rows of the table: dicts with `work`, `ours`, `theirs`, `ratio` (their seconds over ours), `note`."""
    theirs, ours, their_quality, our_quality = against_leidenalg(draws, rounds)
    yield {
        "work": f"{draws:,} resolutions of 72 heads, against a leidenalg loop",
        "ours": f"{ours:.2f} CPU s",
        "theirs": f"{theirs:.2f} CPU s",
        "ratio": theirs / ours,
        "note": f"mean quality of the partitions {our_quality:.4f} and {their_quality:.4f}",
    }
    grown = []
    for heads in sizes:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:  # the peak of memory is a process's own
            count, _, *seconds, memory, _ = fresh.submit(growth, heads).result()
        grown.append((count, sum(seconds), memory))
    powers = np.log(np.divide(grown[-1], grown[0]))
    yield {
        "work": f"graph, 100 resolutions and 10 silhouettes of {grown[-1][0]:,} heads",
        "ours": f"{grown[-1][1]:.1f} s, {grown[-1][2]:.0f} MB",
        "theirs": "",
        "ratio": None,
        "note": "grows with the heads to the power "
        f"{powers[1] / powers[0]:.2f} in time, {powers[2] / powers[0]:.2f} in memory",
    }
