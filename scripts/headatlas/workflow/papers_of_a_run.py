"""The four papers beside a run: which of its tables answer each, and how it is set up in the paper's terms."""

from headatlas.reproduction.papers import STUDIES
from headatlas.workflow.model_settings import is_causal


def compared(config):
    """Studies among the targets that one of the four papers is about; others have none."""
    return [study for study in config["targets"] if study in STUDIES]


def model_of(config, study):
    """The model of a study that is held against its paper: its first, of induction its first masked one, or None."""
    models = config["studies"][study]["models"]
    if study == "induction":
        models = [name for name in models if not is_causal(config["models"][name])]
    return models[0] if models else None


def inputs(config, study, made):
    """Tables that a paper's claims are held against.

    Parameters
    ----------
    config : mapping
        A completed configuration.
    study : str
    made : collection of str
        Paths of tables that the run makes, below its folder: a sweep that compares no losses has no such table.

    Returns
    -------
    dict from a name of the study's `TABLES` to a path below the folder of results
    """
    model = model_of(config, study)
    tables = STUDIES[study].TABLES
    paths = {name: path.format(model=model) for name, path in tables.items() if model or "{model}" not in path}
    return {name: path for name, path in paths.items() if path in made}


def setup(config, study):
    """How a run is set up, in the terms of the paper's own `SETUP`; parameters as of `inputs`."""
    if study == "circuits":
        sweep = config["studies"][study]["sweep"]
        return {key: ", ".join(map(str, sorted(sweep[key]))) for key in STUDIES[study].SETUP}
    name = model_of(config, study)
    if name is None:
        return {}
    settings = config["models"][name]
    if "checkpoints" in settings:
        return {"model": settings["checkpoints"][0]["name"].split("/")[-1], "corpus": settings["corpus"]}
    return {
        "model": name,
        "corpus": settings["corpus"],
        "members": len(settings["seeds"]),
        "context": settings["architecture"]["context"],
        **{key: settings["architecture"][key] for key in ("layers", "heads", "d_model")},
    }
