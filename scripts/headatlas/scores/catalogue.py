"""Every head score: what it measures, where it comes from, where it is shown, and whether it may name a head.

A score is defined by one row here and by the function that measures it: in `pattern_scores` (from attention patterns on
prompts), `induction_scores` (on random repeated tokens), `weight_scores` (from weights alone) or a study's own module.
Whoever shows scores or names heads by them asks this table, by name; an unknown name is an error.
"""

from dataclasses import dataclass

from headatlas.base.errors import InputError

PROMPTS, REPEATED, WEIGHTS = "prompts", "repeated tokens", "weights"


@dataclass(frozen=True)
class Score:
    """What a reader needs to know of a score.

    Attributes
    ----------
    words : str
        What a head high on it is said to do.
    formula : str
        A[i, j] is the attention from query i to key j; means are over queries that have a choice, then over prompts.
    source : str
        Who defined it; empty for plain descriptions.
    measured_on : {"prompts", "repeated tokens", "weights"}
    names_heads : bool
        Whether a head, a kind or a group of partners may be named by it where it lies beyond chance. Never by weights:
        a name is measured on other samples than it was chosen on, and weights have no other half.
    first_layer : int
        The first layer whose heads may be named by it: what looks for a token by the one before it needs a layer that
        has looked there (Elhage et al. 2021).
    shown : frozenset of {"summary", "heat maps"}
        Tables that have a row or column for it.
    short : str
        A column's head where there is little room.
    """

    words: str
    formula: str
    measured_on: str
    source: str = ""
    names_heads: bool = False
    first_layer: int = 0
    shown: frozenset = frozenset()
    short: str = ""


_SUMMARY, _MAPS = "summary", "heat maps"
_ELHAGE = "Elhage et al. 2021"
_OLSSON = "Olsson et al. 2022"


def _of(words, formula, measured_on, source="", *, names=False, first=0, shown=(), short=""):
    return Score(words, formula, measured_on, source, names, first, frozenset(shown), short or words)


SCORES = {
    "previous_token": _of(
        "previous token", "mean A[i, i-1]", PROMPTS, _ELHAGE, names=True, shown=(_SUMMARY, _MAPS), short="previous"
    ),
    "current_token": _of(
        "current token", "mean A[i, i]", PROMPTS, names=True, shown=(_SUMMARY, _MAPS), short="current"
    ),
    "first_token": _of(
        "first token", "mean A[i, 0], i > 0", PROMPTS, names=True, shown=(_SUMMARY, _MAPS), short="first"
    ),
    "duplicate_token": _of(
        "duplicate token",
        "mean over i of the sum of A[i, j] over other keys j with the token of i",
        PROMPTS,
        "Wang et al. 2022",
        names=True,
        shown=(_SUMMARY, _MAPS),
        short="duplicate",
    ),
    "topic_word": _of(
        "topic word",
        "mean A[i, j], j the rarest earlier token by its count in training",
        PROMPTS,
        names=True,
        shown=(_MAPS,),
        short="topic",
    ),
    "entropy": _of("broad attention", "mean of -sum_j A[i, j] ln A[i, j], in nats", PROMPTS, names=True),
    "distance": _of("distant tokens", "mean of sum_j A[i, j] |i - j|, in positions", PROMPTS, names=True),
    "induction": _of(
        "induction",
        "copies R R: mean A[i, j], j the position after the first occurrence of token i, i in the second copy",
        REPEATED,
        _ELHAGE,
        names=True,
        first=1,
        shown=(_SUMMARY, _MAPS),
    ),
    "induction_mirrored": _of(
        "induction, mirrored",
        "as induction with time reversed; bidirectional models only",
        REPEATED,
        names=True,
        first=1,
    ),
    "duplicate_token_repeated": _of(
        "duplicate token, repeated",
        "copies R R: mean A[i, j], j the first occurrence of token i",
        REPEATED,
        "Wang et al. 2022",
    ),
    "previous_token_repeated": _of("previous token, repeated", "copies R R: mean A[i, i-1]", REPEATED, _ELHAGE),
    "prefix_matching": _of(
        "prefix matching",
        "four copies: mean over i of the sum of A[i, j] over all j that follow an earlier occurrence of token i",
        REPEATED,
        _OLSSON,
        names=True,
        first=1,
    ),
    "prefix_matching_mirrored": _of(
        "prefix matching, mirrored",
        "as prefix matching with time reversed; bidirectional models only",
        REPEATED,
        _OLSSON,
    ),
    "copying": _of(
        "copying",
        "(s - o) / (s + o), s and o the mean raise of the logits of tokens seen and of all others, -1 to 1",
        REPEATED,
        _OLSSON,
        shown=(_SUMMARY,),
    ),
    "ov_copying": _of(
        "OV copying",
        "sum of the eigenvalues of W_E W_V W_O W_U over the sum of their moduli, -1 to 1",
        WEIGHTS,
        _ELHAGE,
    ),
    "q_composition": _of(
        "Q-composition",
        "largest |W_OV' W_QK| / (|W_OV'| |W_QK|) over earlier heads' W_OV', by the queries; Frobenius norms",
        WEIGHTS,
        _ELHAGE,
    ),
    "k_composition": _of("K-composition", "the same, read by the keys", WEIGHTS, _ELHAGE),
    "v_composition": _of(
        "V-composition", "largest |W_OV' W_OV| / (|W_OV'| |W_OV|) over earlier heads' W_OV'", WEIGHTS, _ELHAGE
    ),
}


def score(name):
    """The row of one score; an unknown name is an error that lists those there are."""
    if name not in SCORES:
        raise InputError(f"score {name!r}: unknown; allowed: {', '.join(SCORES)}")
    return SCORES[name]


def names(*, shown=None, measured_on=None, names_heads=None):
    """Names of the scores that fit all that is asked, in the order of the table.

    Parameters
    ----------
    shown : {"summary", "heat maps"}, optional
    measured_on : {"prompts", "repeated tokens", "weights"}, optional
    names_heads : bool, optional

    Returns
    -------
    tuple of str
    """
    return tuple(
        name
        for name, row in SCORES.items()
        if (shown is None or shown in row.shown)
        and (measured_on is None or measured_on == row.measured_on)
        and (names_heads is None or names_heads == row.names_heads)
    )
