"""What attention-only models do, read from their weights and scores (Elhage et al. 2021).

One layer: a head that looks from a destination back to a source raises some outputs, so that its two circuits spell
skip-trigrams "source ... destination -> output"; a head that raises what it looks at copies. Two layers: a head that
reads through its keys what an earlier head wrote can look for what followed a token last time: induction.
"""

import numpy as np
import pandas as pd

from headatlas.attention.packing import unpack
from headatlas.base import tables
from headatlas.scores import catalogue, weight_scores
from headatlas.scores import pattern_scores as head_scores
from headatlas.scores.induction_scores import is_induction

KINDS = catalogue.names(shown="heat maps", names_heads=True)
DISTINCT = 0.15  # share of attention above chance from which a head is named after what it attends to
_HEAD = {"model": "string", "member": "int32", "layer": "int32", "head": "int32"}
_TABLES = {  # the columns of each table of a study, so that one without rows can be read too
    "heads": {**_HEAD, "score": "string", "value": "double", "standard_error": "double", "chance": "double"},
    "names": {**_HEAD, "name": "string", "value": "double", "chance": "double"},
    "skip_trigrams": {"model": "string", "member": "int32", "head": "int32", "rank": "int32"}
    | dict.fromkeys(("source", "destination", "output"), "string")
    | {"raised": "double", "looked": "double", "copies": "bool"},
    "copying": {"model": "string", "member": "int32", "head": "int32"}
    | dict.fromkeys(("copied", "copied_chance", "ov_copying", "chance", "chance_deviation"), "double"),
    "composition": {**_HEAD, "earlier_layer": "int32", "earlier_head": "int32", "score": "string"}
    | dict.fromkeys(("value", "chance", "chance_deviation"), "double"),
    "induction": _HEAD
    | dict.fromkeys(
        (
            "induction",
            "standard_error",
            "chance",
            "earlier_layer",
            "earlier_head",
            "k_composition",
            "beyond",
            "earlier_previous_token",
        ),
        "double",
    ),
}


def write(path, name, parts, provenance=None):
    """Write one of the study's tables, of any number of rows.

    Parameters
    ----------
    path : path-like
    name : {"heads", "names", "skip_trigrams", "copying", "composition", "induction"}
    parts : list of DataFrame
        One for each model, with its name in the column `model`.
    provenance : Mapping, optional
    """
    columns = _TABLES[name]
    whole = [part for part in parts if len(part)]
    table = pd.concat(whole, ignore_index=True) if whole else pd.DataFrame(columns=list(columns))
    kinds = {"string": "str", "double": "float64"}
    typed = {column: table[column].astype(kinds.get(kind, kind)) for column, kind in columns.items()}
    tables.write(path, pd.DataFrame(typed), provenance=provenance, schema=columns)


def of_members(family, tokens):
    """What is read from the weights of every member of a family.

    Parameters
    ----------
    family : ToyFamily or PretrainedFamily
    tokens : array of int
        As for `skip_trigrams`.

    Returns
    -------
    dict from str to DataFrame
        `composition`; and of one layer `copying` and `skip_trigrams`: with more, what a head writes is not all that
        reaches the output from its source. Each with `member`.
    """
    parts = {}
    for member in range(family.members):
        layers = [family.head_weights(member, layer) for layer in range(family.layers)]
        own = {"composition": weight_scores.composition_table(member, layers)}
        if family.layers == 1:
            own |= {"copying": copying_heads(layers[0], tokens), "skip_trigrams": skip_trigrams(layers[0], tokens)}
        for name, table in own.items():
            parts.setdefault(name, []).append(table.assign(member=np.int32(member)))
    return {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}


def skip_trigrams(weights, tokens, *, pairs=8):
    """What each head of a one-layer model raises where it looks at what.

    Parameters
    ----------
    weights : mapping
        What `families.load_family(...).head_weights` gives for the layer.
    tokens : array of int
        Candidates for source, destination and output, such as `token_circuits.common_tokens`.
    pairs : int
        Pairs of source and output for each head, strongest first, no source twice.

    Returns
    -------
    DataFrame
        head, rank, source, destination, output, raised (nats: how much more the head raises the output where it sees
        the source than where it sees the average token, among the tokens' mean), looked (scores before the softmax: how
        much more the destination looks at the source than at the average token), copies (whether source and output
        are one token).
    """
    ov, qk = circuits(weights, tokens)
    rows = []
    for head in range(len(ov)):
        best = ov[head].argmax(1)  # of each source
        strength = ov[head][np.arange(len(tokens)), best]
        for rank, source in enumerate(np.argsort(-strength, kind="stable")[:pairs]):
            output, destination = best[source], qk[head][:, source].argmax()
            row = {"head": head, "rank": rank, "source": tokens[source], "destination": tokens[destination]}
            row |= {"output": tokens[output], "raised": strength[source], "looked": qk[head][destination, source]}
            rows.append({**row, "copies": bool(source == output)})
    types = dict.fromkeys(("head", "rank", "source", "destination", "output"), "int32")
    return pd.DataFrame(rows).astype(types)


def circuits(weights, tokens):
    """The OV and QK circuits of all heads of a layer among some tokens.

    What a softmax ignores is taken out: of OV (head, source, output) the mean over outputs, of QK (head, destination,
    source) the mean over sources; and of OV the mean over sources, which is no answer to the source.

    Parameters are those of `skip_trigrams`.

    Returns
    -------
    ov, qk : float32 arrays of shape (head, token, token)
    """
    read, written = weights["W_E"][tokens], weights["W_U"][:, tokens]
    ov = (read @ weights["W_V"]) @ (weights["W_O"] @ written)  # (head, source, output)
    qk = (read @ weights["W_Q"]) @ np.swapaxes(read @ weights["W_K"], 1, 2)  # (head, destination, source)
    qk = qk / np.sqrt(weights["W_Q"].shape[2])
    ov = ov - ov.mean(2, keepdims=True)
    return ov - ov.mean(1, keepdims=True), qk - qk.mean(2, keepdims=True)


def copying_heads(weights, tokens, *, draws=50, seed=0):
    """How much each head of a one-layer model raises what it sees.

    Parameters are those of `skip_trigrams` and, for the chance level, of `weights_scores.random_copying`.

    Returns
    -------
    DataFrame
        head; copied (share of the tokens that raise themselves more than any other of them) and copied_chance; and
        ov_copying (`weights_scores.ov_copying`), with the mean and standard deviation over random heads.
    """
    ov, _ = circuits(weights, tokens)
    copied = (ov.argmax(2) == np.arange(len(tokens))).mean(1)
    overlap = weight_scores.embedding_overlap(weights)
    random = weight_scores.random_copying(overlap, weights["W_V"].shape[2], draws=draws, seed=seed)
    return pd.DataFrame(
        {
            "head": np.arange(len(copied), dtype=np.int32),
            "copied": copied,
            "copied_chance": 1 / len(tokens),
            "ov_copying": weight_scores.ov_copying(weights, overlap),
            "chance": random.mean(),
            "chance_deviation": random.std(ddof=1),
        }
    )


def topic_word(patterns, windows, frequency, *, pad=None):
    """Attention to the rarest word so far, by prompt: whether a head watches what a text is about.

    Parameters
    ----------
    patterns : array of shape (head, prompt, query, key)
        Causal; rows sum to one.
    windows : integer array of shape (prompt, position)
    frequency : array of shape (vocabulary,)
        How often each token occurs in the training text.
    pad : int, optional

    Returns
    -------
    value : ndarray of shape (head, prompt), chance : ndarray of shape (prompt,)
        Means over the queries whose rarest token so far stands before them, which leaves "current token" and "first
        token" their own; NaN where a prompt has none. Chance is that of a head uniform over the past.
    """
    windows = np.asarray(windows)
    rarity = np.asarray(frequency, dtype=np.float64)[windows]
    if pad is not None:
        rarity = np.where(windows == pad, np.inf, rarity)
    rarest = np.zeros(windows.shape, dtype=np.int64)  # (prompt, query): position of the rarest token so far
    for query in range(1, windows.shape[1]):
        before = rarest[:, query - 1]
        lower = rarity[:, query] < rarity[np.arange(len(windows)), before]
        rarest[:, query] = np.where(lower, query, before)
    position = np.arange(windows.shape[1])
    counted = (rarest > 0) & (rarest < position) & np.isfinite(rarity)
    seen = np.take_along_axis(patterns, rarest[None, :, :, None], 3)[..., 0]  # (head, prompt, query)
    counts = counted.sum(1)
    uniform = np.where(counted, 1 / (position + 1.0), 0).sum(1)

    def mean(sums):
        return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)

    return mean(np.where(counted, seen, 0).sum(2, dtype=np.float64)), mean(uniform)


def topic_table(blocks, windows, train, vocabulary, pad=None):
    """The score `topic_word` of every head of a causal family.

    Parameters
    ----------
    blocks : iterable of (member, layer, patterns)
        Packed patterns of shape (head, prompt, entry), as `patterns.iterate_heads` yields.
    windows : integer array of shape (prompt, position)
        What the patterns are of.
    train : integer array
        Windows trained on, in which tokens are counted.
    vocabulary : int
    pad : int, optional

    Returns
    -------
    DataFrame
        member, layer, head, score, value, standard_error, chance.
    """
    frequency = np.bincount(np.asarray(train).ravel(), minlength=vocabulary)
    rows = []
    for member, layer, packed in blocks:
        measured = topic_word(unpack(packed, np.shape(windows)[1], "lower"), windows, frequency, pad=pad)
        rows.append(head_scores.rows(member, layer, {"topic_word": measured}))
    return pd.concat(rows, ignore_index=True)


def looked_at(layers):
    """The attention of every head in one text, in long form.

    Parameters
    ----------
    layers : iterable of LayerAttention
        Patterns (1, head, query, key), causal.

    Returns
    -------
    DataFrame of [layer, head, query, key, weight]
        Keys up to the query.
    """
    parts = []
    for taken in layers:
        pattern = taken.pattern[0].cpu().numpy()  # (head, query, key)
        head, query, key = (index.ravel() for index in np.indices(pattern.shape, dtype=np.int32))
        table = pd.DataFrame({"head": head, "query": query, "key": key, "weight": pattern.ravel()})
        parts.append(table[key <= query].assign(layer=np.int32(taken.layer)))
    return pd.concat(parts, ignore_index=True)[["layer", "head", "query", "key", "weight"]]


def name_heads(scores):
    """What each head is called: the kind of attention in which it lies furthest above chance.

    "Induction" is said of none but induction heads (`induction_scores.is_induction`).

    Parameters
    ----------
    scores : DataFrame of [member, layer, head, score, value, standard_error, chance]
        Other identity columns, such as model, are kept.

    Returns
    -------
    DataFrame
        Identity, name ("spread" where no kind stands out by `DISTINCT`), value and chance of that score.
    """
    identity = [name for name in ("model", "member", "layer", "head") if name in scores]
    known = scores[scores["score"].isin(KINDS) & scores["value"].notna()]
    known = known[(known["score"] != "induction") | is_induction(known)].reset_index(drop=True)
    above = known.assign(above=known["value"] - known["chance"])
    best = above.loc[above.groupby(identity, sort=False)["above"].idxmax()]
    names = best["score"].str.replace("_", " ").where(best["above"] >= DISTINCT, "spread")
    return best[[*identity, "value", "chance"]].assign(name=names).reset_index(drop=True)


def induction_heads(scores, composition):
    """The heads that do induction, each with the earlier head that it reads most through its keys.

    They are told by what they pay, on random tokens said twice, to what followed a token's first occurrence
    (`induction_scores.is_induction`).

    Parameters
    ----------
    scores : DataFrame of [member, layer, head, score, value, standard_error, chance]
        With `induction` and, for what the earlier head does, `previous_token_repeated`.
    composition : DataFrame
        What `weights_scores.composition_table` gives; may be empty.

    Returns
    -------
    DataFrame
        member, layer, head, induction, standard_error, chance, earlier_layer, earlier_head, k_composition, beyond
        (standard deviations of random heads above their mean), earlier_previous_token; strongest first. Without an
        earlier layer the last five are missing.
    """
    found = scores[scores["score"] == "induction"]
    found = found[is_induction(found)].sort_values("value", ascending=False)
    before = scores[scores["score"] == "previous_token_repeated"].set_index(["member", "layer", "head"])["value"]
    rows = []
    for head in found.itertuples():
        row = {"member": head.member, "layer": head.layer, "head": head.head, "induction": head.value}
        row |= {"standard_error": head.standard_error, "chance": head.chance}
        mine = composition[
            (composition["score"] == "k_composition")
            & (composition["member"] == head.member)
            & (composition["layer"] == head.layer)
            & (composition["head"] == head.head)
        ]
        if len(mine):
            partner = mine.loc[mine["value"].idxmax()]
            row |= {"earlier_layer": int(partner["earlier_layer"]), "earlier_head": int(partner["earlier_head"])}
            row["k_composition"] = partner["value"]
            row["beyond"] = (partner["value"] - partner["chance"]) / partner["chance_deviation"]
            row["earlier_previous_token"] = before.get((head.member, row["earlier_layer"], row["earlier_head"]))
        rows.append(row)
    names = ["member", "layer", "head", "induction", "standard_error", "chance", "earlier_layer", "earlier_head"]
    return pd.DataFrame(rows, columns=[*names, "k_composition", "beyond", "earlier_previous_token"])
