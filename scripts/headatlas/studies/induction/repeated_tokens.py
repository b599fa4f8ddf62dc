"""Random repeated tokens in which one token is masked: how masked models are asked for induction.

The three setups of Chen ("Exploring transformer interpretability", section 2, Fig 6). The row of the mask is read:

================  ================  ======================================================================
`standard`        two copies, R R   `same`: the earlier instance of the masked token (Fig 7a); `before`, `after`:
                                    the positions beside it (7b, 7c)
`shuffled`        the second copy   `after_left`: after the earlier instance of the left neighbour (8a);
                  permuted          `before_right`: before the earlier instance of the right neighbour (8b)
`bidirectional`   three copies, of  `earlier`, `later`: both other instances of the masked token (8c, 8d)
                  which the middle
                  one is masked
================  ================  ======================================================================

Causal models have no mask. Their token of the second copy is read instead, at all of its positions, and what makes an
induction head is `after`: attention to the token after its first occurrence (Olsson et al. 2022).

`published` does what was published, off-by-one cases and all: ids are drawn with replacement; a [SEP] stands in front
and nothing at the end; the mask is put at position L + r and columns r, r - 1 and r + 1 are read for r in 0..L-1, which
behind the [SEP] makes r = 0 mask the last token of the first copy and wrap r - 1 round to the sequence's end; a
neighbour is where its id occurs first, be that in the second copy; the last position has no right neighbour. For causal
models it is the stripe of Nanda's Induction Mosaic: L + 1 queries, the first of which is the first copy's last token.
`corrected` frames the copies as the model expects ([CLS] ... [SEP]), draws without replacement from ids that are not
special, masks tokens that have neighbours on both sides, and reads only keys inside the first copy that hold something
else than the masked token where something else is asked for.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from headatlas.base import progress
from headatlas.base.errors import InputError
from headatlas.base.statistics import mean_and_error
from headatlas.models.forward_batches import MEMORY
from headatlas.scores import induction_scores

SETUPS = {"standard": ("same", "before", "after"), "shuffled": ("after_left", "before_right")}
SETUPS |= {"bidirectional": ("earlier", "later")}
PROTOCOLS = ("published", "corrected")
MASKS = (1, 2, 4, 6)  # at once
NOWHERE = -1  # a key that a trial lacks
_BERT, _LOWEST, _HIGHEST = 30522, 100, 20000  # published ids are drawn from integers(100, 20000) of BERT's vocabulary
_COPIES = {"standard": 2, "shuffled": 2, "bidirectional": 3}
_FEWEST = 4  # tokens of a copy that a shuffled trial needs


@dataclass(frozen=True)
class Asking:
    """What trials are drawn for: the model's vocabulary and frame, and how many of which length.

    Parameters
    ----------
    vocabulary : int
    context : int
        Longest sequence.
    mask : int or None
        Id of the mask; None for causal models.
    special : sequence of int
        Ids that are never drawn.
    before, after : sequence of int
        Ids around the copies, such as [CLS] and [SEP].
    trials : int
    length : int
        Tokens of a copy, 3/4 of it where there are three copies (200 and 150 were published); fewer where the context
        is too short.
    seed : int
    """

    vocabulary: int
    context: int
    mask: int | None = None
    special: tuple = ()
    before: tuple = ()
    after: tuple = ()
    trials: int = 50
    length: int = 200
    seed: int = 0

    def room(self, setup, protocol):
        """Tokens of one copy."""
        around = len(self.after) if protocol == "published" else len(self.before) + len(self.after)
        wanted = self.length * 3 // 4 if setup == "bidirectional" else self.length
        room = min(wanted, (self.context - around) // _COPIES[setup])
        if room < _FEWEST:
            raise InputError(
                f"random repeated tokens: {room} tokens of a copy are too few; at least {_FEWEST}, by a longer "
                f"context than {self.context} or a greater length than {self.length}"
            )
        return room


@dataclass(frozen=True)
class Trials:
    """Sequences with their masks, and the keys that are read from the masks' rows."""

    tokens: np.ndarray  # (trial, position), masked
    masked: np.ndarray  # (trial,), positions
    hidden: np.ndarray  # (trial,), the ids that the masks hide
    keys: dict  # from a reading's name to positions (trial,), or NOWHERE
    length: int  # tokens of a copy


def draw_trials(setup, protocol, asking):
    """Draw the trials of a setup; they depend on the asking and its seed alone.

    Parameters
    ----------
    setup : {"standard", "shuffled", "bidirectional"}
    protocol : {"published", "corrected"}
    asking : Asking

    Returns
    -------
    Trials
    """
    if setup not in SETUPS or protocol not in PROTOCOLS:
        raise InputError(f"random repeated tokens: {setup}, {protocol} is not known; allowed: {', '.join(SETUPS)}")
    if asking.mask is None:
        raise InputError("random repeated tokens: the tokenizer has no mask, which a masked model needs")
    seed = [asking.seed, list(SETUPS).index(setup), PROTOCOLS.index(protocol)]
    generator, length = np.random.default_rng([*seed, 1]), asking.room(setup, protocol)
    if protocol == "published":
        return _published(setup, _published_ids(asking, length, seed), asking, generator)
    drawn = induction_scores.repeated_tokens(asking.vocabulary, length, 1, asking.trials, seed, special=_never(asking))
    return _corrected(setup, drawn, asking, generator)


def _never(asking):
    return {*asking.special, *asking.before, *asking.after} | ({asking.mask} - {None})


def _published_ids(asking, length, seed):
    """Ids (trial, position), in a smaller vocabulary than BERT's from the same part of it."""
    scale = min(1.0, asking.vocabulary / _BERT)
    low, high = int(_LOWEST * scale), max(int(_HIGHEST * scale), 1)
    return np.random.default_rng(seed).integers(low, high, (asking.trials, length)).astype(np.int32)


def _sequences(copies, before, after):
    around = [np.tile(np.asarray(part, dtype=np.int32), (len(copies[0]), 1)) for part in (before, after)]
    return np.concatenate([around[0], *copies, around[1]], axis=1)


def _with_masks(tokens, masked, keys, mask, length):
    rows = np.arange(len(tokens))
    hidden = tokens[rows, masked].copy()
    tokens[rows, masked] = mask
    return Trials(tokens, masked, hidden, keys, length)


def _published(setup, drawn, asking, generator):
    count, length = drawn.shape
    place = generator.integers(0, length, count)
    if setup == "shuffled":
        second = generator.permuted(drawn, axis=1)
        tokens = _sequences([drawn, second], asking.after, ())
        masked = min(1, len(asking.after)) + length + place
        keys = _by_first_occurrence(tokens, masked)
    else:
        tokens = _sequences([drawn] * _COPIES[setup], asking.after, ())
        masked, size = length + place, tokens.shape[1]
        if setup == "standard":
            keys = {"same": place, "before": (place - 1) % size, "after": place + 1}
        else:
            keys = {"earlier": place, "later": 2 * length + place}
    return _with_masks(tokens, masked, keys, asking.mask, length)


def _by_first_occurrence(tokens, masked):
    size, keys = tokens.shape[1], {}
    for name, side, step in (("after_left", -1, 1), ("before_right", 1, -1)):
        beside = masked + side
        wanted = np.take_along_axis(tokens, np.minimum(beside, size - 1)[:, None], 1)
        keys[name] = np.where(beside < size, ((tokens == wanted).argmax(1) + step) % size, NOWHERE)
    return keys


def _corrected(setup, drawn, asking, generator):
    count, length = drawn.shape
    first = len(asking.before)
    if setup == "shuffled":
        orders, place = zip(*(_order_and_place(length, generator) for _ in range(count)), strict=True)
        order, place, rows = np.stack(orders), np.array(place), np.arange(count)  # (trial, position)
        copies = [drawn, np.take_along_axis(drawn, order, 1)]
        keys = {"after_left": first + order[rows, place - 1] + 1, "before_right": first + order[rows, place + 1] - 1}
    else:
        place, copies = generator.integers(1, length - 1, count), [drawn] * _COPIES[setup]
        keys = {"same": first + place, "before": first + place - 1, "after": first + place + 1}
        if setup == "bidirectional":
            keys = {"earlier": first + place, "later": first + 2 * length + place}
    tokens = _sequences(copies, asking.before, asking.after)
    return _with_masks(tokens, first + length + place, keys, asking.mask, length)


def _order_and_place(length, generator):
    """An order of the second copy, and a place in it whose neighbours lead to other tokens of the first copy."""
    while True:
        order = generator.permutation(length)
        place = np.arange(1, length - 1)
        left, own, right = order[place - 1], order[place], order[place + 1]
        fit = (left + 1 < length) & (left + 1 != own) & (right - 1 >= 0) & (right - 1 != own)
        if fit.any():
            return order, generator.choice(place[fit])


def induction_reading(causal):
    """The reading of the standard setup that makes an induction head."""
    return "after" if causal else "same"


def induction_rows(maps, causal):
    """The rows of induction maps that make an induction head: one per protocol, member and head."""
    return maps[(maps["setup"] == "standard") & (maps["reading"] == induction_reading(causal))]


def induction_heads(maps, causal):
    """The heads that count as induction heads, wherever the study speaks of them: it asks no one else.

    Parameters
    ----------
    maps : DataFrame
        As `map_table` gives; the corrected protocol decides, by `induction_scores.is_induction`.
    causal : bool

    Returns
    -------
    DataFrame
        Their rows, a member's strongest first.
    """
    rows = induction_rows(maps, causal)
    rows = rows[rows["protocol"] == "corrected"]
    rows = rows[induction_scores.is_induction(rows)]
    return rows.sort_values(["member", "value"], ascending=[True, False], kind="stable", ignore_index=True)


def map_table(family, asking, memory=MEMORY, kinds=None):
    """Induction maps of every head of a family under both protocols (Figs 7 to 9).

    Parameters
    ----------
    family : ToyFamily or PretrainedFamily
    asking : Asking
    memory : int
        Bytes that a batch's forward pass may take, about.
    kinds : list of (protocol, setup), optional
        All that the family can be asked when not given.

    Returns
    -------
    DataFrame
        protocol, setup, reading, member, layer, head, value, standard_error, chance (of a head uniform over the keys
        that it may attend to), choice, held_out, held_out_error (see `halved`); causal families have the standard
        setup alone.
    """
    kinds = kinds or [
        (protocol, setup) for protocol in PROTOCOLS for setup in (["standard"] if family.causal else SETUPS)
    ]
    parts = []
    with progress.bar(len(kinds) * family.members * asking.trials, "repeated tokens", "sequences") as shown:
        for protocol, setup in kinds:
            tokens, read, chances = _reader(family, setup, protocol, asking)
            table = _read(family, tokens, read, chances, memory, shown)
            parts.append(table.assign(protocol=protocol, setup=setup))
    return _ordered(pd.concat(parts, ignore_index=True), ["protocol", "setup", "reading"])


def _reader(family, setup, protocol, asking):
    """Tokens, what is read of their patterns, and the chance level of each reading."""
    if not family.causal:
        trials = draw_trials(setup, protocol, asking)
        return trials.tokens, *_of_masks(trials.masked[:, None], trials.keys, trials.tokens.shape[1])
    tokens, cells = _causal(protocol, asking)

    def read(pattern, part):
        return {name: pattern[:, :, rows, keys].mean(-1) for name, (rows, keys) in cells.items()}

    queries = cells["after"][0]
    return tokens, read, dict.fromkeys(cells, float(np.mean(1 / (queries + 1))))


def _causal(protocol, asking):
    """Tokens (trial, position) of two copies, and by reading the queries and the one key of each."""
    length = asking.room("standard", protocol)
    seed = [asking.seed, PROTOCOLS.index(protocol)]
    steps = {"same": 0, "before": -1, "after": 1}
    if protocol == "published":
        tokens = np.tile(_published_ids(asking, length, seed), (1, 2))
        queries = np.arange(length - 1, 2 * length)  # one too many: the first is the first copy's last token
        return tokens, {name: (queries, np.maximum(queries - length + step, 0)) for name, step in steps.items()}
    around = {"special": _never(asking), "before": asking.before, "after": asking.after}
    tokens = induction_scores.repeated_tokens(asking.vocabulary, length, 2, asking.trials, seed, **around)
    queries = len(asking.before) + length + np.arange(1, length)  # those whose first occurrence has a token before it
    return tokens, {name: (queries, queries - length + step) for name, step in steps.items()}


def example(asking, causal, setup, protocol):
    """The first trial: `tokens` (ids), `masked` (the position read), `keys` (position by reading), `length`."""
    if causal:
        tokens, cells = _causal(protocol, asking)
        at = len(cells["after"][0]) // 2
        keys = {name: int(keys[at]) for name, (_, keys) in cells.items()}
        one = {"tokens": tokens[0].tolist(), "masked": int(cells["after"][0][at]), "keys": keys}
        return {**one, "length": asking.room("standard", protocol)}
    trials = draw_trials(setup, protocol, asking)
    keys = {name: int(places[0]) for name, places in trials.keys.items()}
    one = {"tokens": trials.tokens[0].tolist(), "masked": int(trials.masked[0]), "keys": keys}
    return {**one, "length": trials.length}


def _of_masks(masked, keys, size):
    """Reading rows of masks, averaged over a trial's; masked (trial, mask), keys by name (trial,) or (trial, mask)."""
    keys = {name: np.reshape(key, masked.shape) for name, key in keys.items()}

    def read(pattern, part):
        rows = np.arange(len(pattern))[:, None]
        found = {}
        for name, key in keys.items():
            taken = pattern[rows, :, masked[part], np.maximum(key[part], 0)]  # (trial, mask, head)
            found[name] = np.where((key[part] == NOWHERE)[..., None], np.nan, taken).mean(1)
        return found

    return read, dict.fromkeys(keys, 1 / size)


def _read(family, tokens, read, chances, memory, shown):
    tables = []
    for member in range(family.members):
        for layer, found in enumerate(induction_scores.read_patterns(family, member, tokens, read, memory, shown)):
            tables.append(halved(member, layer, {name: (found[name], chances[name]) for name in found}))
    return pd.concat(tables, ignore_index=True)


def halved(member, layer, measured, name="reading"):
    """Rows of one layer's heads, by which a head can be chosen on some sequences and measured on others.

    Parameters
    ----------
    member, layer : int
    measured : mapping from what is measured to (values, chance)
        Values of shape (head, sequence); chance a number.
    name : str
        Of the column that says what is measured.

    Returns
    -------
    DataFrame
        member, layer, head, `name`, value, standard_error, chance, and `choice`, the mean over every other sequence,
        `held_out` and `held_out_error`, those of the rest: the largest of many heads is by chance larger where it was
        chosen.
    """
    tables = []
    for what, (values, chance) in measured.items():
        (value, error), (choice, _) = mean_and_error(values), mean_and_error(values[:, ::2])
        held_out, held_out_error = mean_and_error(values[:, 1::2])
        identity = {"member": np.int32(member), "layer": np.int32(layer), "head": np.arange(len(value), dtype=np.int32)}
        numbers = {"value": value, "standard_error": error, "chance": float(chance), "choice": choice}
        numbers |= {"held_out": held_out, "held_out_error": held_out_error}
        tables.append(pd.DataFrame({**identity, name: what, **numbers}))
    return pd.concat(tables).sort_values("head", kind="stable", ignore_index=True)


def strongest(rows, by="member"):
    """The strongest head of each group: chosen on half of the sequences, its value and error from the other half.

    Parameters
    ----------
    rows : DataFrame of [member, layer, head, choice, held_out, held_out_error]
        Of one score.
    by : str or list of str
        Columns that make the groups.

    Returns
    -------
    DataFrame
        Those rows, with `value` and `standard_error` of the sequences that they were not chosen on.
    """
    best = rows.loc[rows.groupby(by, sort=False)["choice"].idxmax()]
    return best.assign(value=best["held_out"], standard_error=best["held_out_error"])


def _ordered(table, first):
    return table[[*first, *(name for name in table if name not in first)]]


def condition_table(family, asking, continuations=None, masks=MASKS, memory=MEMORY):
    """Induction with several masks at once, and on whole words against pieces of words, under the corrected protocol.

    With several masks, all in the second copy, the readings of the standard setup are averaged over the masks, and
    `masks` is the attention that a mask pays to all the others together. Words and pieces are told apart by drawing
    the repeated tokens from one or the other alone.

    Parameters
    ----------
    family, asking, memory
        As for `map_table`.
    continuations : bool array of shape (vocabulary,), optional
        Ids that continue a word; without any, or with nothing else, words and pieces are not told apart.
    masks : sequence of int
        How many tokens are masked at once, left out where a copy is too short; masked families only.

    Returns
    -------
    DataFrame
        condition ("masks" or "words"), level (such as "2 masks", "whole words", "pieces"), count (of masks), reading,
        and what `map_table` gives of every head.
    """
    conditions = []
    if not family.causal:
        most = asking.room("standard", "corrected") - 2
        for count in (count for count in masks if count <= most):
            tokens, masked, keys = _several_masks(count, asking)
            read, chances = _of_masks(masked, keys, tokens.shape[1])
            level = f"{count} mask{'s'[: count > 1]}"
            conditions.append(("masks", level, count, tokens, _and_masks(read, masked), chances))
            chances["masks"] = (count - 1) / tokens.shape[1]
    for level, drawn_from in _words_and_pieces(asking, continuations).items():
        others = np.setdiff1d(np.arange(asking.vocabulary), drawn_from).tolist()
        only = Asking(**{**vars(asking), "special": tuple({*asking.special, *others})})
        conditions.append(("words", level, int(not family.causal), *_reader(family, "standard", "corrected", only)))
    parts = []
    with progress.bar(len(conditions) * family.members * asking.trials, "conditions", "sequences") as shown:
        for condition, level, count, tokens, read, chances in conditions:
            table = _read(family, tokens, read, chances, memory, shown)
            parts.append(table.assign(condition=condition, level=level, count=np.int32(count)))
    first = ["condition", "level", "count", "reading"]
    if not parts:
        numbers = ["value", "standard_error", "chance", "choice", "held_out", "held_out_error"]
        return pd.DataFrame(columns=[*first, "member", "layer", "head", *numbers])
    return _ordered(pd.concat(parts, ignore_index=True), first)


def _several_masks(count, asking):
    """Corrected standard sequences with several tokens masked, all in the second copy."""
    length, first = asking.room("standard", "corrected"), len(asking.before)
    drawn = induction_scores.repeated_tokens(
        asking.vocabulary, length, 1, asking.trials, [asking.seed, 7], special=_never(asking)
    )
    tokens = _sequences([drawn, drawn], asking.before, asking.after)
    generator = np.random.default_rng([asking.seed, 8, count])
    place = np.stack([1 + np.sort(generator.permutation(length - 2)[:count]) for _ in drawn])  # (trial, mask)
    keys = {"same": first + place, "before": first + place - 1, "after": first + place + 1}
    masked = first + length + place
    np.put_along_axis(tokens, masked, asking.mask, 1)
    return tokens, masked, keys


def _and_masks(read, masked):
    def both(pattern, part):
        rows = np.arange(len(pattern))[:, None, None]
        among = pattern[rows, :, masked[part][:, :, None], masked[part][:, None]]  # (trial, mask, other mask, head)
        others = among.sum((1, 2)) - among[:, range(among.shape[1]), range(among.shape[1])].sum(1)
        return read(pattern, part) | {"masks": others / among.shape[1]}

    return both


def _words_and_pieces(asking, continuations):
    """Ids that begin a word and ids that continue one, where a copy can be drawn from either."""
    if continuations is None:
        return {}
    known = np.setdiff1d(np.arange(asking.vocabulary), sorted(_never(asking)))
    known = known[known < len(continuations)]
    kinds = {"whole words": known[~continuations[known]], "pieces": known[continuations[known]]}
    return kinds if min(map(len, kinds.values())) >= _FEWEST else {}
