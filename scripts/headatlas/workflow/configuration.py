"""Configuration: whether its parts agree, and the settings that follow from others."""

import math
import os
import re
from pathlib import Path

from headatlas.base.errors import InputError
from headatlas.data import downloading, own_material, text_files
from headatlas.workflow import model_settings, schema, study_settings
from headatlas.workflow.checkpoint_patterns import expanded
from headatlas.workflow.resources import model_sizes

_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)


def complete(config):
    """The configuration with the settings that follow from others, after checking that all agrees.

    Parameters
    ----------
    config : dict
        From `schema.filled`.

    Returns
    -------
    dict
        A copy; `d_head` and `d_mlp` are numbers, whole numbers are integers (so that 1 and 1.0 are one
        setting), `~` in paths is the home folder. `studies` holds those that can be built, `left_out` says of the
        others, by name, why they cannot.

    Raises
    ------
    InputError
        For unknown names, files that are not there and impossible sizes, naming the key, the value
        and what is allowed; of a study only if it is asked for by `targets`, or by its own `models`.
    """
    config = _plain(config)
    mirror = model_sizes.mirror_of(config)
    results = os.path.expanduser(config["results"]).rstrip("/") or "/"
    mirrored = _check_mirror(config["mirror"])
    corpora, texts = {}, {}
    for name, corpus in config["corpora"].items():
        corpora[name] = _complete_corpus(f"corpora.{name}", corpus, mirrored)
        texts[name] = _planned_texts(f"corpora.{name}", corpora[name])
    for name, tokenizer in config["tokenizers"].items():
        if "corpus" in tokenizer:
            schema.known(f"tokenizers.{name}.corpus", tokenizer["corpus"], config["corpora"])
        else:
            _check_place(f"tokenizers.{name}", "load", tokenizer, mirrored)
    models = {}
    for name, model in config["models"].items():
        schema.known(f"models.{name}.corpus", model["corpus"], config["corpora"])
        schema.known(f"models.{name}.tokenizer", model["tokenizer"], config["tokenizers"])
        if "checkpoints" in model and "train" in config["tokenizers"][model["tokenizer"]]:
            raise InputError(
                f"models.{name}.tokenizer: {model['tokenizer']!r} is trained here, and its ids mean other tokens "
                "than a checkpoint's; allowed: the tokenizer that the checkpoint was trained with, by `load:` "
                "(a Hub name, or a folder with a tokenizer.json, which may be written by hand: docs/data.md)"
            )
        if "checkpoints" in model:
            model = {**model, "checkpoints": expanded(model["checkpoints"], f"models.{name}.checkpoints")}
        for position, checkpoint in enumerate(model.get("checkpoints", [])):
            _check_place(f"models.{name}.checkpoints.{position}", "name", checkpoint, mirrored)
        models[name] = model_settings.complete(f"models.{name}", model)
        if "checkpoints" in model:
            _check_checkpoints(f"models.{name}", models[name], config["tokenizers"][model["tokenizer"]], mirror)
        if texts[model["corpus"]]:
            _check_windows(f"models.{name}", models[name], texts[model["corpus"]])
    left_out = dict(config.get("left_out", {}))
    completed = {**config, "results": results, "corpora": corpora, "models": models, "left_out": left_out}
    completed = study_settings.complete_targets(completed)
    for study in list(completed["studies"]):
        try:
            completed = study_settings.complete_study(completed, study, texts)
        except InputError as error:
            if study in completed["targets"] and (config["targets"] or not config["compare"]):
                raise
            left_out[study] = str(error)
    studies = {name: settings for name, settings in completed["studies"].items() if name not in left_out}
    targets = [study for study in completed["targets"] if study in studies]
    if not targets:
        raise InputError(next(iter(left_out.values())))
    return {**completed, "studies": studies, "targets": targets}


def _plain(value, key=""):
    """A copy without the numbers that no JSON schema refuses: those that are not finite, and 64.0 for 64."""
    if isinstance(value, dict):
        return {name: _plain(inner, schema.join(key, name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, schema.join(key, position)) for position, inner in enumerate(value)]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(f"{key}: {value} found; allowed: a finite number")
        return int(value) if value.is_integer() else value
    return value


def _check_mirror(setting):
    """Whether there is a mirror; if it is named, it must be there."""
    key = "the environment variable HEADATLAS_MIRROR" if os.environ.get("HEADATLAS_MIRROR") else "mirror"
    mirror = os.environ.get("HEADATLAS_MIRROR") or setting
    if mirror and not Path(mirror).expanduser().is_dir():
        raise InputError(f"{key}: {mirror!r} is not there; allowed: an existing folder, or nothing")
    return bool(mirror)


def _check_place(key, part, settings, mirrored):
    """A folder must be there; what is fetched from the Hub has a pinned revision."""
    name = settings[part]
    if Path(name).expanduser().exists():
        return
    if not _HUB_NAME.fullmatch(name):
        raise InputError(
            f"{key}.{part}: {name!r} is not there; allowed: an existing folder, "
            "or a Hugging Face Hub name (NAME or ORGANISATION/NAME)"
        )
    if settings.get("revision") is None and not mirrored:
        raise InputError(
            f"{key}.revision: None found, but {name!r} is no folder here; "
            "allowed: the commit or tag to fetch from the Hub, or a mirror that has it"
        )


def _complete_corpus(key, corpus, mirrored):
    if corpus["source"] == "datasets":
        _check_place(key, "name", corpus, mirrored)
        used = list((corpus["splits"] or {}).values())
        if len(set(used)) < len(used):
            raise InputError(
                f"{key}.splits: {corpus['splits']} found; allowed: a different split of the data set for each"
            )
    if corpus["source"] == "files":
        found = []
        for position, name in enumerate(corpus["files"]):
            try:
                found += text_files.places(name)
            except InputError as error:
                raise InputError(f"{key}.files.{position}: {error}") from None
        corpus = {**corpus, "files": list(dict.fromkeys(found))}
    shares = corpus["split"]
    if abs(sum(shares) - 1) > 1e-6:
        raise InputError(f"{key}.split: {shares} sums to {sum(shares):g}; allowed: three shares that sum to 1")
    if corpus["source"] == "repeated-tokens":
        shortest, longest, length = (corpus[part] for part in ("shortest_period", "longest_period", "length"))
        if not shortest <= longest < length:
            raise InputError(
                f"{key}.longest_period: {longest} found; "
                f"allowed: shortest_period ({shortest}) to length - 1 ({length - 1})"
            )
    return corpus


def _planned_texts(key, corpus):
    """The texts of each split of small files of one's own; None of any other corpus."""
    if corpus["source"] != "files":
        return None
    from headatlas.data import corpora  # a plan without files of one's own need not pay for its import

    return corpora.planned_texts(corpus, key)


def _check_checkpoints(key, model, tokenizer, mirror):
    """What can be told of checkpoints without loading them: their files, how much they see, which tokens they know."""
    for position, checkpoint in enumerate(model["checkpoints"]):
        name, place = checkpoint["name"], f"{key}.checkpoints.{position}.name"
        if downloading.is_path(name):
            try:
                own_material.check_checkpoint(Path(name).expanduser())
            except InputError as error:
                raise InputError(f"{place}: {name!r} {error}") from None
        most, called = model_sizes.checkpoint_context(name, mirror) or (math.inf, "")
        if model["context"] > most:
            raise InputError(
                f"{key}.context: {model['context']} found; allowed: at most {most}, which is {called} of {name!r}"
            )
    _check_tokenizer(key, model, tokenizer["load"], mirror)


def _check_tokenizer(key, model, load, mirror):
    """A tokenizer held against what a model's checkpoints know: their number of tokens, their own tokenizer's ids."""
    file = own_material.vocabulary_file(model_sizes.folders(load, mirror))
    if file is None:
        return
    highest = max(own_material.vocabulary(file).values(), default=-1)
    for checkpoint in model["checkpoints"]:
        name = checkpoint["name"]
        known = model_sizes.checkpoint_sizes(name, mirror).get("vocabulary", math.inf)
        trained_with = own_material.vocabulary_file(model_sizes.folders(name, mirror))
        try:
            if highest >= known:
                raise InputError(f"has tokens up to {highest}, but {name!r} knows 0 to {known - 1}")
            if trained_with is not None:
                own_material.check_tokenizer(file, trained_with)
        except InputError as error:
            raise InputError(
                f"{key}.tokenizer: {model['tokenizer']!r} {error}; "
                "allowed: the tokenizer that the checkpoint was trained with"
            ) from None


_WINDOWS = {"analysis": "analysis.windows", "train": "training.windows", "evaluation": "training.evaluation_windows"}


def _check_windows(key, model, texts):
    """Windows that a corpus cannot have: each starts at a passage of its own, or at a token of its own."""
    for use in ["analysis"] if "checkpoints" in model else _WINDOWS:
        wanted = model_settings.window_settings(model, use)
        count, split = wanted["count"], wanted["split"]
        held = texts["validation"] + texts["test"] if split == "held-out" else texts[split]
        found, starts = len(held), "passages"
        if wanted["sampling"] == "corrected" and count > found:
            found, starts = 2 * sum(len(text.encode()) + 1 for text in held), "tokens at most"  # two a byte: generous
        if count > found:
            raise InputError(
                f"{key}.{_WINDOWS[use]}: {count} found, but the {split} text of corpora.{model['corpus']} has {found} "
                f"{starts} to start at, each used at most once; allowed: no more than these, or more text"
            )


def downloaded(config):
    """Names of what comes from the network, if no mirror has it, and not from a path or from what is computed here.

    Returns
    -------
    dict from str to list of str
        Under `corpora`, `tokenizers` and `models`.
    """

    def of_network(corpus):
        return corpus["source"] == "nltk" or (
            corpus["source"] == "datasets" and not downloading.is_path(corpus["name"])
        )

    checkpoints = {name: model.get("checkpoints", []) for name, model in config["models"].items()}
    return {
        "corpora": [name for name, corpus in config["corpora"].items() if of_network(corpus)],
        "tokenizers": [
            name
            for name, tokenizer in config["tokenizers"].items()
            if "load" in tokenizer and not downloading.is_path(tokenizer["load"])
        ],
        "models": [
            name for name, given in checkpoints.items() if not all(downloading.is_path(one["name"]) for one in given)
        ],
    }
