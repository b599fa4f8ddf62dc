"""Configuration: whether its parts agree, and the settings that follow from others."""

import math
import os
import re
from pathlib import Path

from headatlas.base.errors import InputError
from headatlas.data import downloading
from headatlas.studies.circuits import sweep
from headatlas.workflow import schema
from headatlas.workflow.checkpoint_patterns import expanded

WINDOW_SETTINGS = ("windows", "sampling", "evaluation_windows")  # of `training`: what its windows depend on
EVALUATION_SEED = 9991  # of the windows that the loss along the way is measured on
FEWEST_HEADS = 8  # with three artificial heads, twice the projections' neighbours and one
FIRST_PROMPTS = 8  # what the figures of components and third component show
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
        and what is allowed; of a study only if it is among `targets`.
    """
    config = _plain(config)
    results = os.path.expanduser(config["results"]).rstrip("/") or "/"
    mirrored = _check_mirror(config["mirror"])
    corpora = {}
    for name, corpus in config["corpora"].items():
        corpora[name] = _complete_corpus(f"corpora.{name}", corpus, mirrored)
    for name, tokenizer in config["tokenizers"].items():
        if "corpus" in tokenizer:
            _known(f"tokenizers.{name}.corpus", tokenizer["corpus"], config["corpora"])
        else:
            _check_place(f"tokenizers.{name}", "load", tokenizer, mirrored)
    models = {}
    for name, model in config["models"].items():
        _known(f"models.{name}.corpus", model["corpus"], config["corpora"])
        _known(f"models.{name}.tokenizer", model["tokenizer"], config["tokenizers"])
        if "checkpoints" in model:
            model = {**model, "checkpoints": expanded(model["checkpoints"], f"models.{name}.checkpoints")}
        for position, checkpoint in enumerate(model.get("checkpoints", [])):
            _check_place(f"models.{name}.checkpoints.{position}", "name", checkpoint, mirrored)
        models[name] = _complete_model(f"models.{name}", model)
    left_out = dict(config.get("left_out", {}))
    completed = {**config, "results": results, "corpora": corpora, "models": models, "left_out": left_out}
    for position, study in enumerate(config["targets"]):
        if study not in config["studies"]:
            known = ", ".join(config["studies"])
            raise InputError(f"targets.{position}: {study!r} is not among studies; allowed: {known}")
    for study in config["studies"]:
        try:
            completed = _complete_study(completed, study)
        except InputError as error:
            if study in config["targets"]:
                raise
            left_out[study] = str(error)
    studies = {name: settings for name, settings in completed["studies"].items() if name not in left_out}
    return {**completed, "studies": studies}


def _complete_study(config, name):
    """The configuration with one of its studies completed."""
    if name == "circuits":
        config = _with_runs(config)
    study = config["studies"][name]
    for position, model in enumerate(study["models"]):
        _known(f"studies.{name}.models.{position}", model, config["models"])
    if name == "phrenology":
        _check_phrenology(config, study)
    if name == "attentionviz":
        _check_attentionviz(config, study)
    if name == "induction":
        _check_induction(config["models"], study)
    return config


def _with_runs(config):
    """The configuration with a circuits study's runs among its models, and with what the study shows of them."""
    study = config["studies"]["circuits"]
    if "runs" in study:  # completed before
        return config
    for axis, section in (("corpus", "corpora"), ("tokenizer", "tokenizers")):
        for position, name in enumerate(study["sweep"][axis]):
            _known(f"studies.circuits.sweep.{axis}.{position}", name, config[section])
    for figure, given in study["figures"].items():
        for place in [given] if isinstance(given, dict) else given or []:
            for axis, section in (("corpus", "corpora"), ("tokenizer", "tokenizers")):
                if axis in place:
                    _known(f"studies.circuits.figures.{figure}.{axis}", place[axis], config[section])
    runs, shown = sweep.expand(study)
    windows = {name: sweep.windows_name(place) for name, place in runs.items()}
    models = {windows[name]: sweep.model(study, place) for name, place in runs.items()}
    models |= {name: sweep.model(study, place) for name, place in runs.items()}
    if "losses" in shown:
        models[shown["losses"]["corrected"]]["training"]["snapshots"] = sweep.SNAPSHOTS
    for name, model in models.items():
        if name in config["models"]:
            raise InputError(f"models.{name}: the sweep of studies.circuits has a run of this name; allowed: another")
        models[name] = _complete_model(f"models.{name}", model)
    of_heads = {figure: names for figure, names in shown.items() if figure != "fig01"}
    named = [name for of_figure in of_heads.values() for names in of_figure.values() for name in _listed(names)]
    if not named:
        raise InputError("studies.circuits.figures: none is given; allowed: at least one of fig03 to circuits")
    study = {**study, "runs": runs, "shown": shown, "windows": windows, "models": list(dict.fromkeys(named))}
    return {**config, "models": config["models"] | models, "studies": {**config["studies"], "circuits": study}}


def _listed(names):
    return names if isinstance(names, list) else [names]


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


def _known(key, name, section):
    if name not in section:
        hint = schema.hint(name, list(section))
        given = sorted(known for known in section if not known.startswith("circuits-"))  # runs of a sweep are too many
        allowed = ", ".join(given or sorted(section))
        raise InputError(f"{key}: {name!r} is not configured; {hint}allowed: {allowed}")


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
        used = list(corpus["splits"].values())
        if len(set(used)) < len(used):
            raise InputError(
                f"{key}.splits: {corpus['splits']} found; allowed: a different split of the data set for each"
            )
    if corpus["source"] == "files":
        corpus = {**corpus, "files": [os.path.expanduser(file) for file in corpus["files"]]}
        for position, file in enumerate(corpus["files"]):
            if not Path(file).is_file():
                raise InputError(f"{key}.files.{position}: {file!r} is not there; allowed: files that exist")
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


def _complete_model(key, model):
    if "checkpoints" in model:
        return model
    shape = dict(model["architecture"])
    if shape["d_head"] is None:
        if shape["d_model"] % shape["heads"]:
            raise InputError(
                f"{key}.architecture.d_model: {shape['d_model']} is not divisible by heads ({shape['heads']}); "
                "allowed: a multiple of heads, or give d_head"
            )
        shape["d_head"] = shape["d_model"] // shape["heads"]
    if shape["d_mlp"] is None:
        shape["d_mlp"] = 4 * shape["d_model"]
    training = model["training"]
    if training["batch"] > training["windows"]:
        raise InputError(
            f"{key}.training.batch: {training['batch']} found; "
            f"allowed: at most training.windows ({training['windows']})"
        )
    steps = -(-training["windows"] // training["batch"]) * training["epochs"]
    if training["evaluations"] > steps:
        raise InputError(
            f"{key}.training.evaluations: {training['evaluations']} found; "
            f"allowed: at most the steps there are ({steps})"
        )
    return {**model, "architecture": shape}


def _head_count(model):
    """Heads of a toy family, or None: a checkpoint's are known only once it is loaded."""
    if "checkpoints" in model:
        return None
    shape = model["architecture"]
    return len(model["seeds"]) * shape["layers"] * shape["heads"]


def _causal(model):
    return model["task"] == "causal" if "checkpoints" in model else model["architecture"]["causal"]


def _check_phrenology(config, study):
    models = {name: config["models"][name] for name in study["models"]}
    first, reference = next(iter(models.items()))
    for position, (name, model) in enumerate(models.items()):
        for part, own, others in (
            ("tokenizer", model["tokenizer"], reference["tokenizer"]),
            ("corpus", model["corpus"], reference["corpus"]),
            ("context", context(model), context(reference)),
            ("causal", _causal(model), _causal(reference)),  # else their patterns differ in shape
            ("analysis", model["analysis"], reference["analysis"]),
        ):
            if own != others:
                raise InputError(
                    f"studies.phrenology.models.{position}: {name!r} has {part} {own}, {first!r} has {others}; "
                    "allowed: models that are shown the same prompts"
                )
        prompts = model["analysis"]["windows"]
        if prompts < FIRST_PROMPTS:
            raise InputError(
                f"models.{name}.analysis.windows: {prompts} found; "
                f"allowed: at least {FIRST_PROMPTS}, which the figures show"
            )
        _check_queries_keys(name, model)
    if "checkpoints" not in reference:
        shape = reference["architecture"]
        sizes = (len(reference["seeds"]), shape["layers"], shape["heads"])
        for position, (index, size) in enumerate(zip(study["knockouts"]["head"], sizes, strict=True)):
            if index >= size:
                raise InputError(
                    f"studies.phrenology.knockouts.head.{position}: {index} found; "
                    f"allowed: at most {size - 1}, of (member, layer, head) of {first!r}"
                )
    counts = [_head_count(model) for model in models.values()]
    if None not in counts and sum(counts) < FEWEST_HEADS:
        raise InputError(
            f"studies.phrenology.models: {sum(counts)} heads in all; allowed: at least {FEWEST_HEADS}, "
            "for the 5 neighbours of the projections"
        )


def _check_queries_keys(name, model):
    prompts, kept = model["analysis"]["windows"], model["analysis"]["queries_keys"]
    if kept > prompts:
        raise InputError(
            f"models.{name}.analysis.queries_keys: {kept} found; allowed: at most analysis.windows ({prompts})"
        )


def _check_attentionviz(config, study):
    for name in study["models"]:
        model = config["models"][name]
        _check_queries_keys(name, model)
        if model["analysis"]["queries_keys"] < 2:
            raise InputError(f"models.{name}.analysis.queries_keys: 1 found; allowed: at least 2, for intervals")
        if "checkpoints" in model:
            continue  # its layers and heads are known only once it is loaded
        sizes = {"member": len(model["seeds"]), **{key: model["architecture"][f"{key}s"] for key in ("layer", "head")}}
        for position, chosen in enumerate(study["heads"] or []):
            for (part, size), index in zip(sizes.items(), chosen, strict=True):
                if index >= size:
                    raise InputError(
                        f"studies.attentionviz.heads.{position}: {part} {index} found; "
                        f"allowed: 0 to {size - 1}, as {name!r} has {size}"
                    )


def _check_induction(models, study):
    short, long = study["short"], study["long"]
    if short >= long:
        raise InputError(f"studies.induction.short: {short} found; allowed: less than studies.induction.long ({long})")
    for position, name in enumerate(study["models"]):
        room = context(models[name])
        if long > room:
            raise InputError(
                f"studies.induction.long: {long} found, but studies.induction.models.{position}, {name!r}, sees {room} "
                "tokens at once; allowed: no more than that"
            )


def ordered(value):
    """A copy with every mapping sorted by key, so that equal settings are written equally."""
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [ordered(item) for item in value]
    return value


_OF_CHECKPOINTS = (".safetensors", ".json", ".txt", ".model")  # ends of names of files that are read


def sources(kind, settings):
    """What on disk a corpus, tokenizer or checkpoint is read from: its content counts, wherever it lies.

    Parameters
    ----------
    kind : {"corpus", "tokenizer", "checkpoint"}
    settings : dict
        One of that kind.

    Returns
    -------
    dict
        `files`: files and folders, as a list of str; `mirrored`: places in a mirror folder, where there is one, whose
        content is not known beforehand; `suffixes`: ends of the names of the files that count in a folder, None where
        all do; `interpreter`: whether it is read from Python's own library.
    """
    found = {"files": [], "mirrored": [], "suffixes": None, "interpreter": False}
    if kind == "corpus":
        found["interpreter"] = settings["source"] == "python-docs"
        if settings["source"] == "files":
            found["files"] = list(settings["files"])
        elif settings["source"] == "datasets" and downloading.is_path(settings["name"]):
            found["files"] = [settings["name"]]
        return found
    name = settings.get("load" if kind == "tokenizer" else "name")
    if name is None:  # a tokenizer that is trained here
        return found
    found["suffixes"] = list(downloading.TOKENIZER_FILES if kind == "tokenizer" else _OF_CHECKPOINTS)
    if not downloading.is_path(name):
        found["mirrored"] = [f"models/{name.rpartition('/')[2]}"]
    elif kind == "tokenizer" and name.endswith(".json"):
        found["files"] = [os.path.dirname(name) or "."]  # what lies beside it is read too
    else:
        found["files"] = [name]
    return found


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


def training_settings(model):
    """What training depends on besides its windows, of a model that is trained here: how they are sampled is
    another step's."""
    how = {key: value for key, value in model["training"].items() if key not in WINDOW_SETTINGS}
    return {"architecture": model["architecture"], "seeds": model["seeds"], "training": how}


def checkpoint_settings(model):
    """What fetching depends on, of a pretrained model."""
    return {part: model[part] for part in ("checkpoints", "task", "context")}


def window_settings(model, use):
    """What one table of windows depends on.

    Parameters
    ----------
    model : dict
        One entry of `models`.
    use : {"train", "evaluation", "analysis"}

    Returns
    -------
    dict
        seeds, count (windows per seed), size (tokens), sampling, split, tags.
    """
    analysis, size = model["analysis"], context(model)
    if use == "analysis":
        chosen = {"seeds": [analysis["seed"]], "count": analysis["windows"], "sampling": analysis["sampling"]}
        return {**chosen, "size": size, "split": "held-out", "tags": True}
    training = model["training"]
    size += model["architecture"]["causal"]  # one more, so that the last position has a next token
    if use == "train":
        chosen = {"seeds": model["seeds"], "count": training["windows"], "split": "train"}
    else:
        chosen = {"seeds": [EVALUATION_SEED], "count": training["evaluation_windows"], "split": "validation"}
    return {**chosen, "size": size, "sampling": training["sampling"], "tags": False}


def context(model):
    """Tokens that a model, one entry of `models`, sees at once."""
    return model["context"] if "checkpoints" in model else model["architecture"]["context"]
