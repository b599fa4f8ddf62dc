"""All benchmarks as one table: ours beside a peer, in turn in one process, medians of several rounds.

Each part checks that both sides compute the same and stops the run where they do not. `make bench` runs it in an
environment of its own, where the peers are installed.
"""

import argparse
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import bench_atlas
import bench_gpu
import bench_knockouts
import bench_memory
import bench_patterns
import bench_pretrained
import bench_resolution_search
import bench_startup
import bench_training
import torch

PARTS = {
    "patterns": bench_patterns.measure,
    "training": bench_training.measure,
    "knockouts": bench_knockouts.measure,
    "pretrained": bench_pretrained.measure,
    "memory": bench_memory.measure,
    "graphs": bench_resolution_search.measure,
    "atlas": bench_atlas.measure,
    "startup": bench_startup.measure,
    "gpu": bench_gpu.measure,
}


def main():
    """Print the table as Markdown, row by row as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; all when not given")
    parser.add_argument("--rounds", type=int, default=3, help="medians are over this many rounds")
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="of torch, on both sides; with more, what else the machine does decides the ratio",
    )
    given = parser.parse_args()
    unknown = set(given.parts) - set(PARTS)
    if unknown:
        parser.error(f"{sorted(unknown)[0]!r} is not a part; allowed: {', '.join(PARTS)}")
    torch.set_num_threads(given.threads)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    print(f"torch {torch.__version__}, {given.threads} thread(s), {device}, medians of {given.rounds} rounds\n")
    print("| work | ours | peer | ratio | |\n|---|---|---|---|---|")
    for part in given.parts or PARTS:
        for row in PARTS[part](given.rounds):
            ratio = "" if row["ratio"] is None else f"{row['ratio']:.1f}"
            cells = (row["work"], row["ours"], row["theirs"], ratio, row["note"])
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
