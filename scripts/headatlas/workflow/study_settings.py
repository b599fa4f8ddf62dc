"""Studies of the configuration: which models each looks at, and whether it can."""

import math

from headatlas.base.errors import InputError
from headatlas.data import own_material
from headatlas.studies.circuits import sweep
from headatlas.workflow import model_settings, schema
from headatlas.workflow.resources import model_sizes

FEWEST_HEADS = 8  # with three artificial heads, twice the projections' neighbours and one
FIRST_PROMPTS = 8  # what the figures of components and third component show
# How much is knocked out where that is not given: in networks trained here, and with a pretrained one, for a first look
KNOCKED_OUT = {"prompts": (64, 8), "windows": (64, 8), "others": (8, 2)}
LONG_CONTEXT = 500  # tokens, of in-context learning, where it is not given (Chen's, and Olsson et al.'s)


def complete_targets(config):
    """The configuration with its targets, and with the models that `compare` gives to every study."""
    known = schema.load()["properties"]["studies"]["properties"]
    compared, studies = (
        config["compare"],
        {name: config["studies"][name] for name in known if name in config["studies"]},
    )
    targets = config["targets"] or [study for study in studies if not (compared and study == "circuits")]
    for position, study in enumerate(targets):
        schema.known(f"targets.{position}", study, studies)
    for position, name in enumerate(compared or []):
        schema.known(f"compare.{position}", name, config["models"])
    for name, study in studies.items():
        if not compared:
            continue
        if name != "circuits":
            studies[name] = {**study, "models": compared}
        elif "runs" not in study:  # not completed before
            studies[name] = _of_its_text(study, config["models"][compared[0]])
    return {**config, "targets": targets, "studies": studies}


def _of_its_text(study, model):
    """The circuits study on a model's corpus and tokenizer, without the figures of others."""
    own = {axis: model[axis] for axis in ("corpus", "tokenizer")}

    def kept(place):
        return all(place.get(axis, value) == value for axis, value in own.items())

    figures = {}
    for figure, given in study["figures"].items():
        places = [place for place in _listed(given or []) if kept(place)]
        figures[figure] = (places if isinstance(given, list) else places[0]) if places else None
    return {**study, "sweep": {**study["sweep"], **{axis: [value] for axis, value in own.items()}}, "figures": figures}


def complete_study(config, name, texts):
    """The configuration with one of its studies completed; `texts` are those of corpora that could be read by now."""
    if name == "circuits":
        config = _with_runs(config, texts)
    study = config["studies"][name]
    if study["models"] is None:
        raise InputError(f"studies.{name}.models: none is given; allowed: names of models, here or under `compare`")
    for position, model in enumerate(study["models"]):
        schema.known(f"studies.{name}.models.{position}", model, config["models"])
    if name == "phrenology":
        _check_phrenology(config, study)
        study = _complete_phrenology(config["models"], study)
        config = {**config, "studies": {**config["studies"], name: study}}
    if name == "attentionviz":
        _check_attentionviz(config, study)
    if name == "induction":
        study = _complete_induction(config["models"], study)
        config = {**config, "studies": {**config["studies"], name: study}}
    return config


def _with_runs(config, texts):
    """The configuration with a circuits study's runs among its models, and with what the study shows of them."""
    study = config["studies"]["circuits"]
    if "runs" in study:  # completed before
        return config
    for axis, section in (("corpus", "corpora"), ("tokenizer", "tokenizers")):
        for position, name in enumerate(study["sweep"][axis]):
            schema.known(f"studies.circuits.sweep.{axis}.{position}", name, config[section])
    for figure, given in study["figures"].items():
        for place in [given] if isinstance(given, dict) else given or []:
            for axis, section in (("corpus", "corpora"), ("tokenizer", "tokenizers")):
                if axis in place:
                    schema.known(f"studies.circuits.figures.{figure}.{axis}", place[axis], config[section])
    runs, shown = sweep.expand(study)
    if study["training"]["sampling"] != "corrected":  # whose windows start anywhere
        for name in dict.fromkeys(place["corpus"] for place in runs.values()):
            if texts[name] is not None:
                _check_passages(name, texts[name], study["training"])
    windows = {name: sweep.windows_name(place) for name, place in runs.items()}
    models = {windows[name]: sweep.model(study, place) for name, place in runs.items()}
    models |= {name: sweep.model(study, place) for name, place in runs.items()}
    if "losses" in shown:
        models[shown["losses"]["corrected"]]["training"]["snapshots"] = sweep.SNAPSHOTS
    for name, model in models.items():
        if name in config["models"]:
            raise InputError(f"models.{name}: the sweep of studies.circuits has a run of this name; allowed: another")
        models[name] = model_settings.complete(f"models.{name}", model)
    of_heads = {figure: names for figure, names in shown.items() if figure != "fig01"}
    named = [name for of_figure in of_heads.values() for names in of_figure.values() for name in _listed(names)]
    if not named:
        raise InputError("studies.circuits.figures: none is given; allowed: at least one of fig03 to circuits")
    writing = [*named, *_listed(shown.get("fig01", {}).get("corrected", []))]
    _check_generation(study["generation"], {name: models[name] for name in writing}, config["tokenizers"])
    study = {**study, "runs": runs, "shown": shown, "windows": windows, "models": list(dict.fromkeys(named))}
    return {**config, "models": config["models"] | models, "studies": {**config["studies"], "circuits": study}}


def _check_generation(generation, models, tokenizers):
    """Prompt and what is added to it fit all models that write."""
    room = min(model_settings.context(model) for model in models.values())
    longest = room + 1 - generation["tokens"]  # what is written last is not read
    if longest < 1:
        raise InputError(
            f"studies.circuits.generation.tokens: {generation['tokens']} found; allowed: at most {room}, "
            "which the models read at once"
        )
    if generation["prompt"] is not None:
        for name in dict.fromkeys(model["tokenizer"] for model in models.values()):
            key = "studies.circuits.generation.prompt"
            own_material.check_prompt(generation["prompt"], tokenizers[name], longest, key)


def _check_passages(name, texts, training):
    """A corpus of few passages is said to be one before the first job, where they can be counted by then."""
    passages = {split: len(found) for split, found in texts.items()}
    wanted = {"windows": "train", "evaluation_windows": "validation"}
    if any(training[key] > passages[split] for key, split in wanted.items()):
        prefix = "studies.circuits.training"
        found = " and ".join(f"{prefix}.{key}: {training[key]}" for key in wanted)
        most = " and ".join(f"{passages[split]} ({split})" for split in wanted.values())
        raise InputError(
            f"{found} found, but corpora.{name} has {most} passages, each used at most once; "
            f"allowed: no more than these, more text, or {prefix}.sampling: corrected, whose windows start anywhere"
        )


def _listed(names):
    return names if isinstance(names, list) else [names]


def _check_phrenology(config, study):
    models = {name: config["models"][name] for name in study["models"]}
    first, reference = next(iter(models.items()))
    for position, (name, model) in enumerate(models.items()):
        for part, own, others in (
            ("tokenizer", model["tokenizer"], reference["tokenizer"]),
            ("corpus", model["corpus"], reference["corpus"]),
            ("context", model_settings.context(model), model_settings.context(reference)),
            (
                "causal",
                model_settings.is_causal(model),
                model_settings.is_causal(reference),
            ),  # else their patterns differ in shape
            ("analysis", _shown(model), _shown(reference)),
        ):
            if own != others:
                raise InputError(
                    f"studies.phrenology.models.{position}: {name!r} has {part} {own}, {first!r} has {others}; "
                    "allowed: models that are shown the same prompts"
                )
        if model["analysis"]["patterns"] == "none":
            raise InputError(
                f"models.{name}.analysis.patterns: none found, but the study of phrenology compares patterns; "
                "allowed: float32, float16, or `targets` without phrenology"
            )
        prompts = model["analysis"]["windows"]
        if prompts < FIRST_PROMPTS:
            raise InputError(
                f"models.{name}.analysis.windows: {prompts} found; "
                f"allowed: at least {FIRST_PROMPTS}, which the figures show"
            )
        _check_queries_keys(name, model)
    shapes = [model_sizes.shape(config, name) for name in models]
    for position, (index, size) in enumerate(zip(study["knockouts"]["head"], shapes[0] or (), strict=False)):
        if index >= size:
            raise InputError(
                f"studies.phrenology.knockouts.head.{position}: {index} found; "
                f"allowed: at most {size - 1}, of (member, layer, head) of {first!r}"
            )
    heads = sum(math.prod(shape or [math.inf]) for shape in shapes)
    if heads < FEWEST_HEADS:
        raise InputError(
            f"studies.phrenology.models: {heads} heads in all; allowed: at least {FEWEST_HEADS}, "
            "for the 5 neighbours of the projections"
        )
    if study["knockouts"]["prompt"] is not None:
        key = "studies.phrenology.knockouts.prompt"
        longest = model_settings.context(reference) - (not model_settings.is_causal(reference))  # and a mask behind it
        own_material.check_prompt(
            study["knockouts"]["prompt"], config["tokenizers"][reference["tokenizer"]], longest, key
        )


def _shown(model):
    """What says which prompts a model is shown, not how its patterns on them are kept."""
    return {key: value for key, value in model["analysis"].items() if key != "patterns"}


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
        shape = model_sizes.shape(config, name)
        if shape is None:
            continue  # its layers and heads are known only once it is loaded
        sizes = dict(zip(("member", "layer", "head"), shape, strict=True))
        for position, chosen in enumerate(study["heads"] or []):
            for (part, size), index in zip(sizes.items(), chosen, strict=True):
                if index >= size:
                    raise InputError(
                        f"studies.attentionviz.heads.{position}: {part} {index} found; "
                        f"allowed: 0 to {size - 1}, as {name!r} has {size}"
                    )


def _complete_phrenology(models, study):
    """The study with how much is knocked out, where that is to follow from the models."""
    pretrained = any("checkpoints" in models[name] for name in study["models"])
    given = study["knockouts"]
    follow = {key: sizes[pretrained] for key, sizes in KNOCKED_OUT.items() if given[key] is None}
    return {**study, "knockouts": {**given, **follow}}


def _complete_induction(models, study):
    """The study with the lengths of its contexts, if these are to follow from the models."""
    room = min(model_settings.context(models[name]) for name in study["models"])
    long = study["long"] or min(room, LONG_CONTEXT)
    short = study["short"] or max(2, math.ceil(long / 4))
    if long < 3:
        raise InputError(
            f"studies.induction.models: they see {room} tokens at once; allowed: models that see 3 tokens or more"
        )
    if short >= long:
        raise InputError(f"studies.induction.short: {short} found; allowed: less than studies.induction.long ({long})")
    for position, name in enumerate(study["models"]):
        room = model_settings.context(models[name])
        if long > room:
            raise InputError(
                f"studies.induction.long: {long} found, but studies.induction.models.{position}, {name!r}, sees {room} "
                "tokens at once; allowed: no more than that"
            )
    return {**study, "short": short, "long": long}
