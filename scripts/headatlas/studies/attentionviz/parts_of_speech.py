"""Which part of speech attends to which: attention by tags, beside what positions alone would give.

After the questions that Chen, "Exploring transformer interpretability", section 1.4, leaves open ("Do noun queries
attend to pronoun keys?"). A token's attention to itself is left out, for its own tag says nothing of what it looks for.
"""

import numpy as np
import pandas as pd

from headatlas.base import progress
from headatlas.base.errors import InputError

LEVEL = 0.95
_FEWEST = 10  # sentences with a query of a tag, for an error to be told

# The first that a tag begins with counts; Brown's tags and the Penn Treebank's, named as in Universal Dependencies,
# without the distinctions that either lacks (after Petrov, Das & McDonald 2012)
_PREFIXES = {
    "FW": "X", "NIL": "X", "SYM": "X", "LS": "X", "UH": "INTJ",
    "PRP": "PRON", "PPS": "PRON", "PP": "PRON", "PN": "PRON", "WP": "PRON", "EX": "PRON",
    "PDT": "DET", "POS": "PART", "TO": "PART", "RP": "PART", "*": "PART",
    "NN": "NOUN", "NP": "NOUN", "NR": "NOUN",
    "VB": "VERB", "BE": "VERB", "DO": "VERB", "HV": "VERB", "MD": "VERB",
    "JJ": "ADJ", "AP": "ADJ", "OD": "ADJ", "RB": "ADV", "RN": "ADV", "QL": "ADV", "WRB": "ADV", "WQL": "ADV",
    "IN": "ADP", "CC": "CONJ", "CS": "CONJ", "CD": "NUM",
    "DT": "DET", "AT": "DET", "AB": "DET", "WDT": "DET",
}  # fmt: skip
CATEGORIES = ("NOUN", "PRON", "VERB", "ADJ", "ADV", "ADP", "DET", "CONJ", "NUM", "PART", "INTJ", "PUNCT", "X")


def coarse(tag):
    """The category of a tag of the Brown corpus or of the Penn Treebank; "" for a token without a tag.

    A contracted word counts as its first part, and a category stays itself.
    """
    if tag in CATEGORIES or not tag:
        return tag
    word_class = tag.partition("-")[0]  # what follows marks headlines, titles and the like
    if not any(character.isalnum() for character in word_class) and word_class != "*":
        return "PUNCT"
    for prefix in sorted(_PREFIXES, key=len, reverse=True):
        if word_class.startswith(prefix):
            return _PREFIXES[prefix]
    return "X"


def coarse_tags(tags):
    """Categories of an array of tags, of its shape."""
    known = {tag: coarse(tag) for tag in np.unique(np.asarray(tags, dtype=str))}
    return np.array([known[str(tag)] for tag in np.ravel(tags)], dtype=object).reshape(np.shape(tags))


def measure(patterns, tags, real, causal, total=None):
    """Attention from each category of query to each category of key, for every head.

    Chance is what a head would give that looks by position alone: each key counts for how often, in all other
    sentences with a query of this category at this position, the key at its position has the other category. Where no
    other sentence has such a query, the query is left out. Distance alone would not do: a head that looks at the first
    token finds there what sentences begin with, whatever it is that it looks for. The errors are those of a ratio
    over sentences; `significant` is the Benjamini-Hochberg procedure at 5% over all rows.

    Parameters
    ----------
    patterns : iterable of (member, layer, head, array of shape (prompt, query, key))
        Attention.
    tags : array of str of shape (prompt, position)
        Categories; "" where there is none.
    real : bool array of shape (prompt, position)
    causal : bool
    total : int, optional
        Heads that there are, for the progress shown.

    Returns
    -------
    DataFrame of [member, layer, head, query, key, queries, share, chance, excess, low, high, p_value, significant]
        `share`: of the attention to other tokens, the mean over queries; `excess`: share less chance, with its 95%
        interval. Categories that occur on fewer than 10 sentences are left out.

    Raises
    ------
    InputError
        If none is left.
    """
    from scipy.stats import false_discovery_control  # here, for a figure that wants the categories need not load it

    tags, real = np.asarray(tags), np.asarray(real) & (np.asarray(tags) != "")
    names = [name for name in CATEGORIES if ((tags == name) & real).any(1).sum() >= _FEWEST]
    if not names:
        raise InputError(
            f"parts of speech: none occurs in {_FEWEST} of the {len(tags)} sentences looked at; allowed: more "
            "sentences (the model's analysis.queries_keys, studies.attentionviz.pairs)"
        )
    indicator = np.stack([(tags == name) & real for name in names], axis=-1).astype(np.float64)  # (prompt, token, tag)
    others = real[:, :, None] & real[:, None, :] & ~np.eye(real.shape[1], dtype=bool)
    others &= np.tri(real.shape[1], dtype=bool) if causal else True
    expected = _expected(indicator, others)
    parts = []
    with progress.bar(total, "attention by part of speech", "heads") as shown:
        for member, layer, head, pattern in patterns:
            found = _of_head(np.where(others, pattern, 0), indicator, expected)
            identity = {"member": np.int32(member), "layer": np.int32(layer), "head": np.int32(head)}
            parts.append(pd.DataFrame(identity | _named(found, names)))
            shown.update()
    table = pd.concat(parts, ignore_index=True)
    known = table["p_value"].notna()
    adjusted = np.full(len(table), np.nan)
    if known.any():
        adjusted[known] = false_discovery_control(table.loc[known, "p_value"])
    return table.assign(significant=adjusted < 1 - LEVEL)


def _expected(indicator, others):
    """How probable each category is for each key, from other sentences with such a query at the same position.

    Returns
    -------
    probability : float64 array of shape (prompt, query, key, key's tag)
    compared : bool array of shape (prompt, query)
        Whether other sentences have such a query with each of its keys.
    """
    prompts, size, tags = indicator.shape
    own = indicator.argmax(-1)  # (prompt, query)
    probability, compared = np.empty((prompts, size, size, tags)), np.empty((prompts, size), dtype=bool)
    for query in range(size):
        of_query = indicator[:, query].T  # (tag, prompt)
        keys = indicator * others[:, query, :, None]  # (prompt, key, key's tag)
        counts = np.tensordot(of_query, keys, 1)[own[:, query]] - keys  # of all other sentences
        seen = (of_query @ others[:, query])[own[:, query]] - others[:, query]  # (prompt, key)
        probability[:, query] = counts / np.maximum(seen, 1)[..., None]
        compared[:, query] = (~others[:, query] | (seen > 0)).all(1)
    return probability, compared


def _of_head(pattern, indicator, expected):
    """Sums over the queries of each sentence, (prompt, query's tag[, key's tag]): counts, share, chance."""
    probability, compared = expected
    total = pattern.sum(-1, keepdims=True)
    rows = np.divide(pattern, total, out=np.zeros_like(pattern), where=total > 1e-9)  # (prompt, query, key)
    queries = indicator * ((total > 1e-9) & compared[..., None])
    share = np.einsum("pix,pij,pjy->pxy", queries, rows, indicator, optimize=True)
    by_query = np.einsum("pij,pijy->piy", rows, probability, optimize=True)
    return queries.sum(1), share, np.einsum("pix,piy->pxy", queries, by_query, optimize=True)


def _named(found, names):
    from scipy.stats import t

    counts, share, chance = found
    total = counts.sum(0)  # (query's tag,)
    sentences = (counts > 0).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares, chances = (part.sum(0) / total[:, None] for part in (share, chance))
        excess = shares - chances
        left = share - chance - excess * counts[:, :, None]  # (prompt, query's tag, key's tag)
        error = np.sqrt(np.square(left).sum(0) * (sentences / np.maximum(sentences - 1, 1))[:, None]) / total[:, None]
        freedom = np.maximum(sentences - 1, 1)[:, None]
        p_value = 2 * t.sf(np.abs(excess) / error, freedom)
    told = (sentences >= _FEWEST)[:, None] & (error > 1e-9)
    error, p_value = (np.where(told, part, np.nan) for part in (error, p_value))
    reach = t.ppf((1 + LEVEL) / 2, freedom) * error
    ends = {"low": np.maximum(excess - reach, -chances), "high": np.minimum(excess + reach, 1 - chances)}  # of a share
    columns = {"share": shares, "chance": chances, "excess": excess} | ends
    queries, keys = np.meshgrid(names, names, indexing="ij")
    counted = {"queries": np.repeat(total.astype(np.int64), len(names))}
    named = {"query": queries.ravel(), "key": keys.ravel()} | counted
    return named | {name: part.ravel() for name, part in columns.items()} | {"p_value": p_value.ravel()}
