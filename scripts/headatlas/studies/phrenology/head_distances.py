"""How far apart two heads are: by their patterns as vectors, and by their attention rows as distributions."""

import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch

from headatlas.attention.packing import rows_of
from headatlas.attention.pattern_streams import blocks_of
from headatlas.base import progress
from headatlas.base.errors import InputError

_BLOCK_BYTES = 1 << 28  # one block of heads; two are in memory at a time
_TALLEST = 1024  # heads of a block, however short their patterns
_CACHED = (
    30_000  # elements of one elementwise step: in a CPU's cache, and too few for torch to start threads of its own
)


def gram(*groups):
    """Inner products of all pairs of heads in double precision, a block of heads at a time.

    Parameters
    ----------
    *groups : arrays of shape (head, prompt, entry)
        Heads of equal prompts and entries, taken one group after the other; anything that can be sliced by head, a
        memory-mapped array included. The first may be a `PatternStream`, of which one block of prompts is in memory at
        a time; of the others, only those prompts are asked for.

    Returns
    -------
    ndarray of shape (head, head), float64
    """
    first, *others = groups
    count = sum(map(len, groups))
    products = np.zeros((count, count))
    for prompts, block in blocks_of(first):
        _add_products(products, [block, *(group[:, prompts] for group in others)])
    return products


def _add_products(products, groups):
    """Add the inner products of all pairs of heads of the groups to those of earlier prompts."""
    blocks, count = [], 0
    for heads in groups:
        for part in _blocks(heads, itemsize=8):
            place = slice(count, count + part.stop - part.start)
            blocks.append((place, heads, part))
            count = place.stop
    for first, (place, heads, part) in enumerate(blocks):
        rows = np.asarray(heads[part], dtype=np.float64).reshape(place.stop - place.start, -1)
        for other, their_heads, their_part in blocks[: first + 1]:
            same = other == place
            theirs = rows if same else np.asarray(their_heads[their_part], np.float64).reshape(-1, rows.shape[1])
            found = rows @ theirs.T
            products[place, other] += found
            if not same:
                products[other, place] += found.T


def euclidean(heads):
    """Euclidean distances between the heads' patterns, each head one vector over all prompts.

    The entries that a packed pattern leaves out are zero, so packing changes no distance
    (Edkins & Wiechecki 2023, Figure 7).

    Parameters
    ----------
    heads : array of shape (head, prompt, entry), or PatternStream

    Returns
    -------
    ndarray of shape (head, head), float32
    """
    products = gram(heads)
    squares = np.diagonal(products).copy()
    distances = np.empty(products.shape, dtype=np.float32)
    for head, row in enumerate(products):
        squared = squares[head] + squares - 2 * row
        # two heads this near are the same up to the rounding of the inner products
        squared[squared < 1e-13 * (squares[head] + squares)] = 0
        distances[head] = np.sqrt(squared)
    np.fill_diagonal(distances, 0)
    return distances


def jensen_shannon(heads, size, packing, weights=None, device="cpu", parts=None):
    """Mean Jensen-Shannon distances of the heads' attention rows.

    The distance of two rows is the square root of their Jensen-Shannon divergence to base 2 (a metric:
    Endres & Schindelin 2003), 0 for equal rows and 1 for rows without a common key. It is averaged
    over prompts and queries.

    Parameters
    ----------
    heads : array of shape (head, prompt, entry)
        Packed patterns; anything that can be sliced by head, a memory-mapped array included, or a `PatternStream`, of
        which one block of prompts is in memory at a time.
    size : int
        Positions of a prompt.
    packing : {"lower", "full"}
    weights : array of shape (prompt, position), optional
        How much each query counts, for instance 0 where it is padding; all count alike when not given.
    device : str or torch.device
        Where to compute; on a GPU in larger steps.
    parts : int, optional
        Into how many disjoint parts the prompts are split, one after the other: distances of any set of whole parts,
        a random half of the prompts for instance, are then a mean of theirs.

    Returns
    -------
    ndarray of shape (head, head), float32
        With `parts`, of shape (part, head, head): each divided by its part's share of all weights over the parts'
        mean share, so that their plain mean is the distance over all prompts.
    """
    rows, (count, prompts, _) = rows_of(size, packing), heads.shape
    if rows[-1][1] != heads.shape[2]:
        raise InputError(
            f"patterns have {heads.shape[2]} entries; {size} positions packed {packing} have {rows[-1][1]}"
        )
    if weights is None:
        weights = np.ones((prompts, size))
    if not np.sum(weights) > 0:
        raise InputError("no query counts: every position of every prompt is left out")
    weights = np.asarray(weights) / np.sum(weights)
    belongs = np.eye(parts or 1)[np.arange(prompts) % (parts or 1)] * (parts or 1)  # (prompt, part)
    weights = torch.as_tensor(weights[:, :, None] * belongs[:, None], device=device)  # (prompt, query, part)
    on_cpu = torch.device(device).type == "cpu"
    step, workers = (_CACHED, torch.get_num_threads()) if on_cpu else (1 << 25, 1)
    distances = torch.zeros((count, count, weights.shape[2]), dtype=torch.float64, device=device)
    with (
        progress.bar(prompts * count * count, "Jensen-Shannon distances", "pairs") as shown,
        ThreadPoolExecutor(workers) as pool,
    ):
        for chosen, block in blocks_of(heads):
            counted = weights[chosen]
            for first in _blocks(block, itemsize=4):
                ours = _on(block[first], device)  # (head, prompt, entry)
                for second in _blocks(block, itemsize=4):
                    if second.start > first.start:
                        break
                    same = second.start == first.start
                    theirs = ours if same else _on(block[second], device)
                    for query, (start, end) in enumerate(rows):
                        p, q = _keys_first(ours, start, end), _keys_first(theirs, start, end)
                        one = partial(_row_distances, p, q, counted[:, query], step, same)
                        for head, found in enumerate(pool.map(one, range(len(ours)))):
                            distances[first.start + head, second.start : second.start + len(found)] += found
                    shown.update(len(ours) * len(theirs) * (1 if same else 2) * len(counted))
    both = np.empty((len(weights[0, 0]), count, count), dtype=np.float32)
    for part, into in enumerate(both):  # one at a time: of many heads each is large
        half = distances[:, :, part].cpu().numpy()
        np.add(half, half.T, out=into, casting="same_kind")
    return both[0] if parts is None else both


def _row_distances(p, q, weights, step, triangle, head):
    """Weighted sums over prompts of the distances of one query's rows, for one head of `p` and the heads of `q`.

    `p` and `q` are (key, head, prompt), `weights` and the sums (prompt, part) and (head, part); in a triangle only the
    heads before `head` are wanted.
    """
    keys, _, count = p.shape
    wanted = head if triangle else q.shape[1]
    sums = torch.zeros((wanted, weights.shape[1]), dtype=torch.float64, device=p.device)
    prompts = max(1, min(count, step // keys))
    others = max(1, step // (prompts * keys))
    for near in range(0, count, prompts):
        part = slice(near, near + prompts)
        for low in range(0, wanted, others):
            chosen = slice(low, min(wanted, low + others))
            divergence = _divergence(q[:, chosen, part], p[:, head, None, part])  # (head of q, prompt)
            sums[chosen] += divergence.sqrt_().double() @ weights[part]
    return sums


def _divergence(p, q):
    """Jensen-Shannon divergence to base 2 over the first axis, in single precision.

    With m = (p + q) / 2 and t = (p - q) / (p + q) every key adds m (t atanh t + log(1 - t²) / 2) >= 0: near-equal
    rows lose no digits, as they would in the difference of entropies.
    """
    total = p + q
    t = (p - q).div_(total + 1e-37).clamp_(-1 + 2**-24, 1 - 2**-24)
    curve = torch.atanh(t).mul_(t)
    curve.add_(t.square_().neg_().log1p_(), alpha=0.5)
    return curve.mul_(total).sum(0).mul_(0.5 / math.log(2)).clamp_(0, 1)


def _keys_first(heads, start, end):
    """One query's rows as (key, head, prompt): rows are short, and sums over a short last axis are slow."""
    return heads[..., start:end].permute(2, 0, 1).contiguous()


def _on(heads, device):
    return torch.as_tensor(np.ascontiguousarray(heads, dtype=np.float32), device=device)


def _blocks(heads, itemsize):
    """Slices of heads that fit in memory together."""
    height = min(_TALLEST, max(1, _BLOCK_BYTES // max(1, math.prod(heads.shape[1:]) * itemsize)))
    return [slice(low, min(low + height, len(heads))) for low in range(0, len(heads), height)]
