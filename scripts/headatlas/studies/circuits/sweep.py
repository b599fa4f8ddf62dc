"""A parameter space of attention-only transformers as ordinary models: each run of its grid has a name of its own.

The axes are those of Jayakumar et al. ("Interpretability of Transformer Circuits"). A run's name spells its place on
every axis, so adding a value adds runs and renames none.
"""

import re
from collections import Counter
from decimal import Decimal
from itertools import product

_NOT_ASKED = {"masking": 0.15, "snapshots": 0, "first_snapshot": 1}  # settings of training that a sweep leaves alone
AXES = ("variant", "corpus", "tokenizer", "max_length", "learning_rate", "heads", "d_model")

_BARE = {"activation": "none", "residual": False, "layer_norm": False, "tied_layers": False, "embedding_max_norm": 1.0}
VARIANTS = {  # what sets each apart from the paper's bare stack: no LayerNorm, no residual stream
    "one-layer": {"layers": 1},
    "two-layer": {"layers": 2},
    "two-layer-mlp": {"layers": 2, "activation": "relu"},
    "two-layer-mlp-residual": {"layers": 2, "activation": "relu", "residual": True},
    # as the authors' code has it: one block applied twice, and an MLP without a non-linearity
    "two-layer-tied": {"layers": 2, "tied_layers": True},
    "two-layer-mlp-tied": {"layers": 2, "tied_layers": True, "activation": "identity"},
    # the attention-only models of Elhage et al. 2021, "A mathematical framework for transformer circuits"
    "one-layer-residual": {"layers": 1, "residual": True, "layer_norm": True, "embedding_max_norm": None},
    "two-layer-residual": {"layers": 2, "residual": True, "layer_norm": True, "embedding_max_norm": None},
}
AS_PUBLISHED = {"two-layer": "two-layer-tied", "two-layer-mlp": "two-layer-mlp-tied"}
FIGURES = {  # what a figure of heat maps shows: the layer, and the heads that the paper chose (0-based)
    "fig03_one_layer": {"of": "fig03", "layer": 0, "heads": [1, 6]},
    "fig04_two_layer_second": {"of": "fig04", "layer": 1, "heads": [1, 2]},
    "fig05_two_layer_first": {"of": "fig04", "layer": 0, "heads": [3]},
    "fig06_two_layer_mlp_second": {"of": "fig06", "layer": 1, "heads": [4, 7]},
    "fig07_two_layer_mlp_first": {"of": "fig06", "layer": 0, "heads": [5]},
    "fig08_second_corpus": {"of": "fig08", "layer": 0, "heads": [0, 1]},
    "fig09_second_corpus_wide": {"of": "fig09", "layer": 0, "heads": [0, 1]},
}
SNAPSHOTS = 8  # of the run on which losses are compared
_RUN = re.compile(r"circuits-(.+)-(l\d+)-(lr\d+e-?\d+)-(h\d+)-(d\d+)(?:-(e\d+))?")
_WITH_CURVES = ("fig08", "fig09")  # in the paper these show how the run was trained too


def name(point):
    """A run's name, of small letters, digits and '-': `circuits-two-layer-imdb-gpt2-l20-lr1e-3-h8-d256`."""
    parts = [point[axis] for axis in AXES[:3]]
    parts += [f"l{point['max_length']}", f"lr{_power(point['learning_rate'])}", f"h{point['heads']}"]
    parts += [f"d{point['d_model']}", *([f"e{point['epochs']}"] if "epochs" in point else [])]
    return "-".join(["circuits", *parts])


def short_names(names):
    """Names of runs by their variant and what sets each apart from most others; other names stay as they are.

    Parameters
    ----------
    names : sequence of str

    Returns
    -------
    list of str
        In the same order; not distinct where runs differ in nothing that a name tells.
    """
    runs = {}
    for name in names:
        first, *places = found.groups("") if (found := _RUN.fullmatch(name)) else ("",)
        variant = max((each for each in VARIANTS if first.startswith(f"{each}-")), key=len, default=None)
        if variant:
            runs[name] = variant, first.removeprefix(f"{variant}-").split("-"), places
    common = Counter(word for _, corpus, _ in runs.values() for word in set(corpus))
    columns = zip(*(places for *_, places in runs.values()), strict=True)
    usual = [Counter(column).most_common(1)[0][0] for column in columns]
    short = []
    for name in names:
        if name not in runs:
            short.append(name)
            continue
        variant, corpus, places = runs[name]
        apart = [word for word in corpus if 2 * common[word] <= len(runs)]
        apart += [place for place, most in zip(places, usual, strict=True) if place != most]
        short.append("-".join([variant, *filter(None, apart)]))
    return short


def windows_name(point):
    """What the windows of a run are called: runs that read the same texts, cut to the same length, share them."""
    return f"circuits-{point['corpus']}-{point['tokenizer']}-l{point['max_length']}"


def _power(number):
    """A positive number without a point: 0.001 is 1e-3, 0.00025 is 25e-5."""
    _, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    return f"{''.join(map(str, digits))}e{exponent}"


def grid(axes):
    """Every point of a sweep.

    Parameters
    ----------
    axes : mapping from each of `AXES` to a list of values

    Returns
    -------
    list of dict
    """
    return [dict(zip(AXES, values, strict=True)) for values in product(*(axes[axis] for axis in AXES))]


def point(axes, given):
    """The place of a run that is named by some axes: on the others it takes the first value of the sweep."""
    return {**{axis: axes[axis][0] for axis in AXES}, **given}


def model(study, place):
    """A run as an entry of `models`.

    Parameters
    ----------
    study : mapping
        The circuits study: training, seeds, analysis, scores.
    place : mapping
        From `grid` or `point`.
    """
    shape = {**_BARE, **VARIANTS[place["variant"]], "causal": True, "tied_unembedding": False}
    shape |= {"context": place["max_length"], "heads": place["heads"], "d_model": place["d_model"]}
    training = {**study["training"], "learning_rate": place["learning_rate"], **_NOT_ASKED}
    if "epochs" in place:
        training["epochs"] = place["epochs"]
    return {
        "corpus": place["corpus"],
        "tokenizer": place["tokenizer"],
        "seeds": study["seeds"],
        "architecture": {**shape, "d_head": None, "d_mlp": None},
        "training": training,
        "analysis": study["analysis"],
        "scores": study["scores"],
    }


def expand(study):
    """All that a circuits study trains and shows.

    Parameters
    ----------
    study : mapping
        With `sweep`, `figures` and what `model` reads.

    Returns
    -------
    runs : dict from name to point
        The grid, then the runs that only a figure asks for.
    shown : dict from figure to dict from protocol to name
        Keys fig01 to fig09 as configured, and `losses`, `circuits`; fig01 and circuits have lists of names.
    """
    axes = study["sweep"]
    runs = {name(place): place for place in grid(axes)}
    shown = {}
    for figure, given in sorted(study["figures"].items()):
        if given is None:
            continue
        for protocol in ("published", "corrected"):
            places = [point(axes, one) for one in (given if isinstance(given, list) else [given])]
            if protocol == "published" and figure in ("fig04", "fig06"):
                places = [{**one, "variant": AS_PUBLISHED.get(one["variant"], one["variant"])} for one in places]
            runs |= {name(place): place for place in places if name(place) not in runs}
            names = [name(place) for place in places]
            shown.setdefault(figure, {})[protocol] = names if isinstance(given, list) else names[0]
    return runs, shown


def heat_maps(shown):
    """The figures of heat maps that a study's configuration gives runs for, from figure name to its settings."""
    return {
        figure: {**settings, "curves": settings["of"] in _WITH_CURVES, "runs": shown[settings["of"]]}
        for figure, settings in FIGURES.items()
        if settings["of"] in shown
    }
