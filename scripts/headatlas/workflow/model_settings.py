"""Models of the configuration: the sizes that follow from others, and what their windows depend on."""

from headatlas.base.errors import InputError

WINDOW_SETTINGS = ("windows", "sampling", "evaluation_windows")  # of `training`: what its windows depend on
EVALUATION_SEED = 9991  # of the windows that the loss along the way is measured on


PROMPTS, FEWER_PROMPTS = 1024, 128  # that a model is shown where that is not given: one trained here, a pretrained one


def complete(key, model):
    if model["analysis"]["windows"] is None:
        windows = FEWER_PROMPTS if "checkpoints" in model else PROMPTS
        model = {**model, "analysis": {**model["analysis"], "windows": windows}}
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


def member_count(model):
    return len(model["checkpoints" if "checkpoints" in model else "seeds"])


def is_causal(model):
    return model["task"] == "causal" if "checkpoints" in model else model["architecture"]["causal"]


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


def training_settings(model):
    """What training depends on besides its windows, of a model that is trained here: how they are sampled is
    another step's."""
    how = {key: value for key, value in model["training"].items() if key not in WINDOW_SETTINGS}
    return {"architecture": model["architecture"], "seeds": model["seeds"], "training": how}


def checkpoint_settings(model):
    """What fetching depends on, of a pretrained model."""
    return {part: model[part] for part in ("checkpoints", "task", "context")}
