"""What a study takes from its autoencoders: Table 1, one chosen network, its embedding of the heads and its Figure 1.

Both protocols of Edkins & Wiechecki (2023): the published networks see whole patterns and are judged on the rows they
were fitted to, by a criterion that the narrowest always wins; the corrected ones see the entries that can be non-zero
and are judged on held-out prompts of a held-out member, by BIC with the parameters counted.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from headatlas.attention.packing import places, unpack
from headatlas.studies.phrenology import autoencoder

PERTURBED_ROWS = 8192  # heads and prompts on which an entry's importance is measured
FEWEST_PROMPTS = 8  # some to fit, some to hold out
PAIRS = 12  # token pairs that Figure 1 shows
POINTS = 5  # embedding values along each axis of Figure 1


@dataclass(frozen=True)
class Compression:
    """Attributes
    ----------
    table : DataFrame
        Of `autoencoder.published_table` or `corrected_table`, and `chosen`: the network that all else is made with.
    network : autoencoder.Autoencoder
    embedding : array of float32, (head, prompt, width)
    importance : DataFrame
        query, key, mse (of the rows with that entry made meaningless), untouched (of the rows as they are).
    decoded : DataFrame
        rank (of the token pair, 0 the most important), query, key, first, second (coordinates in the embedding),
        weight.
    """

    table: pd.DataFrame
    network: autoencoder.Autoencoder
    embedding: np.ndarray
    importance: pd.DataFrame
    decoded: pd.DataFrame


def compress(packed, members, size, packing, protocol, settings, held_out, seed=0, device="cpu"):
    """Train every width and seed, choose one network, and draw from it what the figures need.

    Parameters
    ----------
    packed : array of float, (head, prompt, entry)
    members : array of int, (head,)
    size : int
    packing : {"lower", "full"}
    protocol : {"published", "corrected"}
    settings : autoencoder.AutoencoderSettings
        Widths that do not compress patterns of this size are left out; where none does, the widest that would is
        taken.
    held_out : float
        Share of prompts never fitted, corrected only.
    seed : int
        Of the held-out prompts, and of the rows perturbed.

    Returns
    -------
    Compression
    """
    if protocol == "published":
        patterns = unpack(packed, size, packing).reshape(*packed.shape[:2], size * size)
        settings = replace(settings, widths=compressing(settings, size * size))
        table, networks = autoencoder.published_table(patterns, settings, device)
        width = autoencoder.best_width(table, "aic", "fit")
        judged = table["split"] == "fit"
    else:
        patterns = packed
        settings = replace(settings, widths=compressing(settings, packed.shape[-1]))
        table, networks = autoencoder.corrected_table(packed, members, settings, held_out, seed=seed, device=device)
        split = "member" if (table["split"] == "member").any() else "prompts"
        width = autoencoder.best_width(table, "bic", split)
        judged = table["split"] == split
    candidates = table[judged & (table["method"] == "autoencoder") & (table["width"] == width)]
    best = int(candidates.loc[candidates["mse"].idxmin(), "seed"])
    network = networks.network(width, best)
    table = table.assign(
        chosen=(table["method"] == "autoencoder") & (table["width"] == width) & (table["seed"] == best)
    )
    embedding = autoencoder.embed_heads(network, patterns)
    importance = _importance(network, patterns, size, packing, protocol, seed)
    return Compression(table, network, embedding, importance, _decoded(network, embedding, importance))


def both_protocols(packed, members, size, packing, settings, **options):
    """`compress` under both protocols side by side: dict from protocol to Compression.

    Each stays on the threads that torch was given; two that share one small product would wait for one another.
    """
    protocols = ("published", "corrected")
    with ThreadPoolExecutor(len(protocols)) as pool:
        found = [pool.submit(compress, packed, members, size, packing, name, settings, **options) for name in protocols]
        return {name: future.result() for name, future in zip(protocols, found, strict=True)}


def prompts_within(most, shape, size):
    """How many prompts are looked at, the first ones, so that whole patterns have `most` numbers at most (None: all).

    Never fewer than `FEWEST_PROMPTS` where there are as many; `shape` is (head, prompt, entry).
    """
    heads, prompts, _ = shape
    return prompts if most is None else min(prompts, max(FEWEST_PROMPTS, most // (heads * size**2)))


def read_within(stream, most):
    """The patterns of those prompts of a `PatternStream`, and a line on standard error where they are not all."""
    prompts = prompts_within(most, stream.shape, stream.size)
    if prompts < stream.shape[1]:
        print(f"{prompts} of {stream.shape[1]} prompts are looked at: {most} numbers at most", file=sys.stderr)
    return stream.read(slice(0, prompts))


def compressing(settings, entries):
    """The widths that are smaller than the first hidden layer of a network for so many entries."""
    widest = autoencoder.encoder_sizes(entries, 1, settings.widest)[1]
    return tuple(width for width in settings.widths if width <= widest) or (widest,)


def _importance(network, patterns, size, packing, protocol, seed):
    rows = patterns.reshape(-1, patterns.shape[-1])
    if len(rows) > PERTURBED_ROWS:
        rows = rows[np.sort(np.random.default_rng(seed).choice(len(rows), PERTURBED_ROWS, replace=False))]
    replacement = "uniform" if protocol == "published" else "permutation"
    untouched = float(np.square(network.decode(network.encode(rows)) - rows, dtype=np.float64).mean())
    query, key = places(size, packing)
    entry = query * size + key if protocol == "published" else np.arange(len(query))
    errors = autoencoder.entry_importance(network, rows, replacement, seed, entry)
    table = pd.DataFrame({"query": query, "key": key, "mse": errors, "untouched": untouched, "entry": entry})
    return table.astype({"query": "int32", "key": "int32", "entry": "int32"})


def _decoded(network, embedding, importance):
    codes = embedding.reshape(-1, embedding.shape[-1])
    axes, patterns = autoencoder.decoded_grid(network, codes, POINTS)  # (2, point), (point, point, entry)
    top = importance.sort_values("mse", ascending=False, kind="stable").head(PAIRS)
    first, second = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "rank": np.int32(rank),
                    "query": pair.query,
                    "key": pair.key,
                    "first": first,
                    "second": second,
                    "weight": patterns[..., pair.entry].ravel(),
                }
            )
            for rank, pair in enumerate(top.itertuples())
        ],
        ignore_index=True,
    ).astype({"query": "int32", "key": "int32"})
