"""What a head attends to, as its page shows it: means, attention by offset, chosen prompts, pairs of tokens.

A prompt's *departure* is how far a head's attention on it is from the head's own mean attention: the Jensen-Shannon
divergence (base 2: 0 to 1) of each query's row from the mean row at that position, averaged over queries. Where it is
large, what the prompt says decides; where it is small, position does.
"""

import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from headatlas.atlas.encoding import block, quantised, quantised_finely
from headatlas.attention.packing import places, rows_of, unpack

PROMPTS = 256  # that all heads share, at most, in a page of one file
THUMBNAIL = 24  # rows of the small picture of a mean pattern, at most
_STRONGEST, _PER_DECILE, _TYPICAL = 8, 1, 4
_PAIRS, _LEAST = 12, 5  # token pairs shown of a head; times a pair must occur to be one
_LEAST_EXCESS = 0.01  # attention beyond its positions' mean that is shown
_SAMPLE = 64  # prompts from which bytes in a page are estimated
_FEWEST = 4  # prompts that all heads of a model share, at least
_PAIR_PROMPTS, _PAIR_ENTRIES = 1024, 8 << 20  # on which pairs of tokens are counted, at most; 64 MB of their places
_AT_ONCE = 1 << 18  # weights that are worked on at a time: what fits a processor's cache
# Weights hardly repeat: to look for repeats takes six times as long, and pays only where weights are few
_STRATEGIES, _FEW = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_RLE), 1 << 16
_TINY = np.finfo(np.float32).tiny


def page_bytes(results, model):
    """What a model's heads take in a page, estimated from the heads of its first member.

    Parameters
    ----------
    results : Results
    model : str

    Returns
    -------
    fixed, per_prompt : float
        Bytes of all the model's heads if they share the fewest prompts, and for each prompt more that they share.
    """
    if not results.has_patterns(model):
        return 0.0, 0.0
    facts = results.facts(model)
    counted, few = _pairs_of(results.tokens(model), facts), fewest(facts["prompts"])
    more, sizes = min(few + _SAMPLE, facts["prompts"]), []
    for layer in range(facts["layers"]):
        for patterns in results.packed_patterns(model, 0, layer):
            seen = _Seen.of(patterns, facts, counted)
            sizes.append([len(seen.packed(patterns, shared)) for shared in (few, more)])
    fixed, larger = facts["members"] * facts["layers"] * facts["heads"] * np.mean(sizes, 0)
    return float(fixed), float(larger - fixed) / max(1, more - few)


def fewest(prompts):
    """Prompts that all heads of a model share, at least, of as many as it has."""
    return min(_FEWEST, prompts)


def shared_prompts(costs, have, room, limit=PROMPTS):
    """How many prompts of each model all its heads show, so that together they keep within a number of bytes.

    Every model gets the same bytes, so that one of few short heads shows more prompts than one of many long ones.

    Parameters
    ----------
    costs : list of (float, float)
        As `page_bytes` gives them for each model.
    have : list of int
        Prompts of each model.
    room : float
        Bytes of all.
    limit : int
        Prompts of a model, at most.

    Returns
    -------
    list of int
        No more for a model than it has; `fewest` of them where there is no room.
    """
    left = max(0.0, room - sum(fixed for fixed, _ in costs))
    shared = [fewest(h) for h in have]
    order = sorted(range(len(have)), key=lambda i: costs[i][1] * (min(have[i], limit) - shared[i]))
    for done, i in enumerate(order):  # whoever needs least first: what it leaves goes to the others
        most = int(left / (len(order) - done) / costs[i][1]) if costs[i][1] > 0 else limit
        more = max(0, min(most, min(have[i], limit) - shared[i]))
        shared[i] += more
        left -= more * costs[i][1]
    return shared


def departures(patterns, size, packing):
    """How far a head's attention on each prompt is from its mean attention.

    Parameters
    ----------
    patterns : float32 array of shape (prompt, entry)
    size : int
    packing : {"lower", "full"}

    Returns
    -------
    float64 array of shape (prompt,)
        Mean over queries of the Jensen-Shannon divergence to base 2.
    """
    mean, found = patterns.mean(0), np.empty(len(patterns))
    its, step = _entropies(mean[None]), max(1, _AT_ONCE // len(mean))
    for low in range(0, len(patterns), step):
        part = patterns[low : low + step]
        found[low : low + step] = _entropies((part + mean) / 2) - (_entropies(part) + its) / 2
    return np.clip(found / len(rows_of(size, packing)), 0, 1)


def _entropies(weights):
    """Entropy of each pattern, summed over its queries, in bits; weights that are 0 add none."""
    return -(weights * np.log(np.maximum(weights, _TINY))).sum(1, dtype=np.float64) / np.log(2)


def chosen_prompts(departure):
    """Prompts that show a head at its extremes and in between.

    Parameters
    ----------
    departure : array of shape (prompt,)

    Returns
    -------
    list of (int, str)
        Prompt and why it is there: "strongest", "typical" (around the median), "decile 1" (least) to "decile 10".
    """
    order = np.argsort(-np.asarray(departure), kind="stable")
    count = len(order)
    chosen = [(int(prompt), "strongest") for prompt in order[: min(_STRONGEST, count)]]
    middle = max(0, count // 2 - _TYPICAL // 2)
    chosen += [(int(prompt), "typical") for prompt in order[middle : middle + _TYPICAL]]
    for decile, part in enumerate(np.array_split(order[::-1], 10), start=1):
        start = max(0, len(part) // 2 - _PER_DECILE // 2)
        chosen += [(int(prompt), f"decile {decile}") for prompt in part[start : start + _PER_DECILE]]
    return chosen


def offsets(size, packing):
    """Offsets (query position less key position) from least to largest, and which of them each entry has."""
    query, key = places(size, packing)
    first = 0 if packing == "lower" else 1 - size
    return np.arange(first, size), query - key - first


@dataclass
class TokenPairs:
    """Where each pair of tokens (at the query, at the key) stands that occurs often enough to be one.

    Queries that may attend to a single key are left out.

    Attributes
    ----------
    prompts : int
        On how many prompts pairs were counted.
    pairs : int array of shape (pair, 2)
    count : int array of shape (pair,)
        Times that each occurs.
    places : int array of shape (occurrence,)
        Where each lies among the entries of all prompts, prompt after prompt; occurrences of one pair stand together.
    entries : int array of shape (occurrence,)
        Its entry within its prompt.
    """

    prompts: int
    pairs: np.ndarray
    count: np.ndarray
    places: np.ndarray
    entries: np.ndarray

    @classmethod
    def of(cls, tokens, size, packing):
        """Of prompts, token ids of shape (prompt, position)."""
        query, key = places(size, packing)
        prompts, many = min(_PAIR_PROMPTS, max(1, _PAIR_ENTRIES // len(query))), int(tokens.max()) + 1
        tokens = tokens[:prompts].astype(np.int64)
        free = np.flatnonzero(np.bincount(query, minlength=size)[query] > 1)
        numbers = (tokens[:, query[free]] * many + tokens[:, key[free]]).reshape(-1)
        order = np.argsort(numbers, kind="stable")
        found, count = np.unique(numbers, return_counts=True)
        often = count >= _LEAST
        order = order[np.repeat(often, count)]
        prompt, at = np.divmod(order, max(1, len(free)))
        entries, pairs = free[at], np.stack(np.divmod(found[often], many), 1)
        return cls(len(tokens), pairs, count[often], prompt * len(query) + entries, entries)

    def sought(self, patterns, mean):
        """The pairs that a head attends to beyond what it gives their positions on average.

        Ranked by the lower end of the excess (two standard errors below it), among pairs that occur often enough. The
        standard error is over occurrences.

        Parameters
        ----------
        patterns : array of shape (prompt, entry)
            Of as many prompts as pairs were counted on, or more.
        mean : array of shape (entry,)

        Returns
        -------
        list of dict
            `query`, `key` (token ids), `count`, `weight`, `excess`, `error`.
        """
        if not len(self.pairs):
            return []
        starts, count = np.cumsum(self.count) - self.count, self.count
        excess = patterns[: self.prompts].reshape(-1)[self.places]
        excess -= mean[self.entries]
        average = np.add.reduceat(excess, starts, dtype=np.float64) / count
        squares = np.add.reduceat(excess * excess, starts, dtype=np.float64)
        error = np.sqrt(np.maximum(squares / count - average**2, 0) / np.maximum(count - 1, 1))
        least = average - 2 * error
        best = [pair for pair in np.argsort(-least, kind="stable")[:_PAIRS] if least[pair] > _LEAST_EXCESS]
        return [
            {
                "query": int(self.pairs[pair, 0]),
                "key": int(self.pairs[pair, 1]),
                "count": int(count[pair]),
                "weight": average[pair] + mean[self.entries[starts[pair] :][: count[pair]]].mean(dtype=np.float64),
                "excess": average[pair],
                "error": error[pair],
            }
            for pair in best
        ]


def thumbnail(mean, size, packing):
    """A mean pattern as a small picture: its square, averaged to at most `THUMBNAIL` rows, uint8 (row, column)."""
    square = unpack(mean[None], size, packing)[0]
    step = -(-size // THUMBNAIL)
    padded = np.pad(square, (0, -size % step))
    small = padded.reshape(len(padded) // step, step, -1, step).sum(3).mean(1)  # keys summed: rows still sum to one
    return quantised(small)


def pieces(results, model, shared, threads=1):
    """Everything that a model's heads attend to, as blocks of a page.

    Parameters
    ----------
    results : Results
    model : str
    shared : int
        Prompts that all heads show.
    threads : int
        Heads of a layer that are worked on at once.

    Yields
    ------
    name : str
        "model" for the overview, which comes last, or "model/member/layer/head".
    block : str
        As `encoding.block` gives it. Of a head: its mean pattern (entry,) and departures (prompt,), both finely
        quantised, bytes of the shared prompts (prompt, entry) and of its own chosen ones. Of a model: small pictures of
        all heads' means (head, row, column), attention by offset and its standard error (head, offset), the token ids
        of the prompts that are shown (prompt, position). Of a model whose patterns are not kept, none.
    """
    if not results.has_patterns(model):
        return
    facts = results.facts(model)
    size, kind, prompts = facts["size"], facts["packing"], facts["prompts"]
    tokens = results.tokens(model)
    steps, which = offsets(size, kind)
    by_offset = np.zeros((len(which), len(steps)), dtype=np.float32)
    by_offset[np.arange(len(which)), which] = 1 / np.bincount(which, minlength=len(steps))[which]
    counted = _pairs_of(tokens, facts)
    pictures, curves, errors, used, named = [], [], [], set(range(shared)), set()

    def looked_at(patterns):
        seen, curve = _Seen.of(patterns, facts, counted), patterns @ by_offset  # (prompt, offset)
        error = curve.std(0, ddof=1) / np.sqrt(prompts) if prompts > 1 else np.full(len(steps), np.nan)
        return seen, curve.mean(0), error, seen.packed(patterns, shared)

    with ThreadPoolExecutor(threads) as pool:  # NumPy and zlib let go of the interpreter
        for member in range(facts["members"]):
            for layer in range(facts["layers"]):
                found = pool.map(looked_at, results.packed_patterns(model, member, layer))
                for head, (seen, curve, error, packed) in enumerate(found):
                    curves.append(curve)
                    errors.append(error)
                    pictures.append(thumbnail(seen.mean, size, kind))
                    used |= set(seen.own(shared))
                    named |= {pair[name] for pair in seen.pairs for name in ("query", "key")}
                    yield f"{model}/{member}/{layer}/{head}", packed
    shown = np.array(sorted(used))
    ids = tokens[shown] if tokens is not None else np.tile(np.arange(size, dtype=np.int32), (len(shown), 1))
    vocabulary = np.unique(np.concatenate([ids.reshape(-1), np.array(sorted(named), dtype=ids.dtype)]))
    names = results.token_names(model, vocabulary) if tokens is not None else [f"position {i}" for i in vocabulary]
    header = {
        "prompts": shown,
        "vocabulary": vocabulary,
        "names": names,
        "offsets": [int(steps[0]), int(steps[-1])],
        "uniform": uniform_by_offset(size, kind),
    }
    yield (
        model,
        block(
            header,
            np.stack(pictures),
            np.stack(curves).astype(np.float32),
            np.stack(errors).astype(np.float32),
            ids.astype(np.int32),
        ),
    )


def _pairs_of(tokens, facts):
    return None if tokens is None else TokenPairs.of(tokens, facts["size"], facts["packing"])


class _Seen(NamedTuple):
    """What a head's patterns show: their mean, how far prompts depart from it, prompts to look at, pairs it seeks."""

    mean: np.ndarray
    departure: np.ndarray
    chosen: list
    pairs: list

    @classmethod
    def of(cls, patterns, facts, counted):
        mean, departure = patterns.mean(0), departures(patterns, facts["size"], facts["packing"])
        pairs = [] if counted is None else counted.sought(patterns, mean)
        return cls(mean, departure, chosen_prompts(departure), pairs)

    def own(self, shared):
        """The prompts that it shows beyond the shared ones."""
        return sorted({prompt for prompt, _ in self.chosen if prompt >= shared})

    def packed(self, patterns, shared):
        """The head's block."""
        own = self.own(shared)
        return block(
            {"shared": shared, "own": own, "chosen": self.chosen, "pairs": self.pairs},
            quantised_finely(self.mean),
            quantised_finely(self.departure),
            quantised(patterns[:shared]),
            quantised(patterns[own]),
            strategies=_STRATEGIES[1:] if shared * len(self.mean) > _FEW else _STRATEGIES,
        )


def uniform_by_offset(size, packing):
    """Attention by offset of a head that attends to all keys alike: the chance level of the head's own."""
    steps, which = offsets(size, packing)
    query, _ = places(size, packing)
    keys = np.bincount(query, minlength=size)[query]
    return np.bincount(which, 1 / keys, minlength=len(steps)) / np.bincount(which, minlength=len(steps))
