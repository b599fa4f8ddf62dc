"""What a head attends to, as its page shows it: means, attention by offset, chosen prompts, pairs of tokens.

A prompt's *departure* is how far a head's attention on it is from the head's own mean attention: the Jensen-Shannon
divergence (base 2: 0 to 1) of each query's row from the mean row at that position, averaged over queries. Where it is
large, what the prompt says decides; where it is small, position does.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from headatlas.atlas.encoding import block, quantised, quantised_finely
from headatlas.attention.packing import places, rows_of, unpack

PROMPTS = 256  # that all heads share, at most, in a page of one file
THUMBNAIL = 24  # rows of the small picture of a mean pattern, at most
_STRONGEST, _PER_DECILE, _TYPICAL = 8, 1, 4
_PAIRS, _LEAST = 12, 5  # token pairs shown of a head; times a pair must occur to be one
_LEAST_EXCESS = 0.01  # attention beyond its positions' mean that is worth showing
_SAMPLE = 64  # prompts from which bytes in a page are estimated
_FEWEST = 4  # prompts that all heads of a model share, at least
_PAIR_PROMPTS = 1024  # on which pairs of tokens are counted, at most


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
    mean = patterns.mean(0)
    middle = (patterns + mean) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        theirs = np.where(patterns > 0, patterns * np.log2(patterns / middle), 0)
        its = np.where(mean > 0, mean * np.log2(mean / middle), 0)
    return np.clip((theirs + its).sum(1, dtype=np.float64) / 2 / len(rows_of(size, packing)), 0, 1)


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
    """Which pair of tokens (at the query, at the key) each entry of each prompt holds.

    Attributes
    ----------
    pairs : int array of shape (pair, 2)
    which : int array of shape (prompt * entry,)
    count : int array of shape (pair,)
        Entries that hold the pair; queries that may attend to a single key are left out.
    free : bool array of shape (entry,)
        Whether the query of an entry has a choice.
    """

    pairs: np.ndarray
    which: np.ndarray
    count: np.ndarray
    free: np.ndarray

    @classmethod
    def of(cls, tokens, size, packing):
        """Of prompts, token ids of shape (prompt, position)."""
        query, key = places(size, packing)
        many = int(tokens.max()) + 1
        numbers = tokens[:, query].astype(np.int64) * many + tokens[:, key]
        found, which = np.unique(numbers, return_inverse=True)
        keys = np.bincount(query, minlength=size)
        free = keys[query] > 1
        which = which.reshape(-1)
        count = np.bincount(which, np.tile(free, len(tokens)), minlength=len(found)).astype(int)
        return cls(np.stack([found // many, found % many], 1), which, count, free)

    def sought(self, patterns, mean):
        """The pairs that a head attends to beyond what it gives their positions on average.

        Ranked by the lower end of the excess (two standard errors below it), among pairs that occur often enough. The
        standard error is over occurrences.

        Parameters
        ----------
        patterns : array of shape (prompt, entry)
        mean : array of shape (entry,)

        Returns
        -------
        list of dict
            `query`, `key` (token ids), `count`, `weight`, `excess`, `error`.
        """
        excess = np.where(self.free, patterns - mean, 0).reshape(-1)
        many, count = len(self.pairs), np.maximum(self.count, 1)
        total = np.bincount(self.which, excess, minlength=many)
        squares = np.bincount(self.which, excess * excess, minlength=many)
        weight = np.bincount(self.which, np.where(self.free, patterns, 0).reshape(-1), minlength=many)
        average = total / count
        error = np.sqrt(np.maximum(squares / count - average**2, 0) / np.maximum(count - 1, 1))
        least = np.where(self.count >= _LEAST, average - 2 * error, -np.inf)
        best = [pair for pair in np.argsort(-least, kind="stable")[:_PAIRS] if least[pair] > _LEAST_EXCESS]
        return [
            {
                "query": int(self.pairs[pair, 0]),
                "key": int(self.pairs[pair, 1]),
                "count": int(self.count[pair]),
                "weight": weight[pair] / count[pair],
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


def pieces(results, model, shared):
    """Everything that a model's heads attend to, as blocks of a page.

    Parameters
    ----------
    results : Results
    model : str
    shared : int
        Prompts that all heads show.

    Yields
    ------
    name : str
        "model" for the overview, which comes last, or "model/member/layer/head".
    block : str
        As `encoding.block` gives it. Of a head: its mean pattern (entry,) and departures (prompt,), both finely
        quantised, bytes of the shared prompts (prompt, entry) and of its own chosen ones. Of a model: small pictures of
        all heads' means (head, row, column), attention by offset and its standard error (head, offset), the token ids
        of the prompts that are shown (prompt, position).
    """
    facts = results.facts(model)
    size, kind, prompts = facts["size"], facts["packing"], facts["prompts"]
    tokens = results.tokens(model)
    steps, which = offsets(size, kind)
    by_offset = np.zeros((len(which), len(steps)), dtype=np.float32)
    by_offset[np.arange(len(which)), which] = 1 / np.bincount(which, minlength=len(steps))[which]
    counted = _pairs_of(tokens, facts)
    pictures, curves, errors, used, named = [], [], [], set(range(shared)), set()
    for member in range(facts["members"]):
        for layer in range(facts["layers"]):
            for head, patterns in enumerate(results.packed_patterns(model, member, layer)):
                seen = _Seen.of(patterns, facts, counted)
                curve = patterns @ by_offset  # (prompt, offset)
                curves.append(curve.mean(0))
                errors.append(curve.std(0, ddof=1) / np.sqrt(prompts) if prompts > 1 else np.full(len(steps), np.nan))
                pictures.append(thumbnail(seen.mean, size, kind))
                used |= set(seen.own(shared))
                named |= {pair[name] for pair in seen.pairs for name in ("query", "key")}
                yield f"{model}/{member}/{layer}/{head}", seen.packed(patterns, shared)
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
    return None if tokens is None else TokenPairs.of(tokens[:_PAIR_PROMPTS], facts["size"], facts["packing"])


class _Seen(NamedTuple):
    """What a head's patterns show: their mean, how far prompts depart from it, prompts to look at, pairs it seeks."""

    mean: np.ndarray
    departure: np.ndarray
    chosen: list
    pairs: list

    @classmethod
    def of(cls, patterns, facts, counted):
        mean, departure = patterns.mean(0), departures(patterns, facts["size"], facts["packing"])
        pairs = [] if counted is None else counted.sought(patterns[:_PAIR_PROMPTS], mean)
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
        )


def uniform_by_offset(size, packing):
    """Attention by offset of a head that attends to all keys alike: the chance level of the head's own."""
    steps, which = offsets(size, packing)
    query, _ = places(size, packing)
    keys = np.bincount(query, minlength=size)[query]
    return np.bincount(which, 1 / keys, minlength=len(steps)) / np.bincount(which, minlength=len(steps))
