"""Checkpoints of `transformers` as the stacked weights of a family, checked on the way.

Every model runs under its eager implementation, whatever its configuration asks for: fused kernels never form a
pattern.
"""

import re
from pathlib import Path

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from headatlas.base.errors import InputError
from headatlas.data import own_material
from headatlas.models.pretrained import checks
from headatlas.models.pretrained.checks import first_line
from headatlas.models.pretrained.watching import EAGER

_IMPLEMENTATION_KEYS = {"attn_implementation", "_attn_implementation"}
TASKS = {
    "causal": (transformers.AutoModelForCausalLM, transformers.MODEL_FOR_CAUSAL_LM_MAPPING),
    "masked": (transformers.AutoModelForMaskedLM, transformers.MODEL_FOR_MASKED_LM_MAPPING),
}
_LOADING_ERRORS = (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, AttributeError, AssertionError)
_LOADING_ERRORS += (SafetensorError, StrictDataclassError, ZeroDivisionError)
# Keys that checkpoints of one architecture may differ in: they never change what a head computes.
_FREE_KEYS = {"architectures", "initializer_range", "use_cache"}
_FREE_KEYS |= {"id2label", "label2id", "task_specific_params", "bos_token_id", "eos_token_id"}


def fetch(checkpoints, task, pad=None, context=None):
    """Load the checkpoints of one family and stack their weights.

    Only safetensors files are read, and no code that comes with a model is run.

    Parameters
    ----------
    checkpoints : sequence of mapping
        Each with `name` (a Hub name or a folder), optionally `revision`, and optionally `folder`, a
        folder to load from in place of `name` (a mirror's copy).
    task : {"causal", "masked"}
        Which language-model head the checkpoints have.
    pad : int, optional
        Padding token of the windows the family will read; the checkpoints' own when not given.
    context : int, optional
        Tokens that the family is to be shown at once, which may be far fewer than it can see.

    Returns
    -------
    weights : dict of str to Tensor
        The models' state dictionaries, in the checkpoints' precision, each tensor of shape (member, ...);
        of tied weights, the first.
    config : dict
        What `families.load_family` needs beside the weights.

    Raises
    ------
    InputError
        If a checkpoint is missing, damaged, incomplete, of a type whose patterns cannot be taken, or
        of another architecture than the first.
    """
    if task not in TASKS:
        raise InputError(f"task: {task!r} is not known: choose one of {', '.join(TASKS)}")
    if not checkpoints:
        raise InputError("checkpoints: at least one is needed, none is given")
    states, configs = [], []
    for checkpoint in checkpoints:
        model = _loaded(checkpoint, task)
        _require_numbers(_described(checkpoint), model)
        checks.require_eager(model, checks.layout(model, task))
        configs.append(_description(model.config))
        _require_same(checkpoints, configs)
        states.append(untied(model))
    weights = {}
    for name in list(states[0]):
        tensors = [state.pop(name) for state in states]
        weights[name] = torch.stack(tensors)  # (member, ...)
    named = [{"name": str(c["name"]), "revision": c.get("revision")} for c in checkpoints]
    if pad is None:
        pad = configs[0].get("pad_token_id")
    described = {"kind": "pretrained", "task": task, "checkpoints": named, "pad": pad, "context": context}
    return weights, described | {"config": configs[0]}


def _described(checkpoint):
    revision = checkpoint.get("revision")
    return f"{checkpoint['name']}@{revision}" if revision else str(checkpoint["name"])


def _loaded(checkpoint, task):
    title = _described(checkpoint)
    source = str(checkpoint.get("folder") or Path(checkpoint["name"]).expanduser())
    where = {"revision": checkpoint.get("revision") or "main", "trust_remote_code": False}
    folder = Path(source)
    if folder.is_dir():
        _require_files(title, folder)
    elif checkpoint.get("folder") or folder.is_absolute() or source.startswith("."):
        raise InputError(f"{title}: there is no folder {source}")
    try:
        config = transformers.AutoConfig.from_pretrained(source, **where)
    except _LOADING_ERRORS as error:
        raise InputError(f"{title}: its configuration cannot be loaded: {first_line(error)}") from None
    config = eager(config)
    auto, known = TASKS[task]
    if type(config) not in known:
        raise InputError(f"{title}: model type {config.model_type!r} is not a {task} language model of transformers")
    if config.is_encoder_decoder:
        raise InputError(
            f"{title}: model type {config.model_type!r} is an encoder-decoder; causal or masked models only"
        )
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        model, report = auto.from_pretrained(
            source,
            config=config,
            dtype="auto",
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # told below, by name and shapes
            **where,
        )
    except _LOADING_ERRORS as error:
        raise InputError(f"{title}: its weights cannot be loaded: {first_line(error)}") from None
    finally:
        transformers_logging.set_verbosity(verbosity)
    if report["mismatched_keys"]:
        name, found, expected = sorted(report["mismatched_keys"])[0]
        raise InputError(
            f"{title}: weight {name} has the shape {tuple(found)} in the file and {tuple(expected)} by config.json; "
            "config.json must be that of the weights"
        )
    lacking = sorted(report["missing_keys"])
    if lacking:
        raise InputError(f"{title}: as a {task} model it lacks {len(lacking)} weights, the first {lacking[0]}")
    _require_all_layers(title, model, report["unexpected_keys"])
    return model.eval()


def _require_all_layers(title, model, left_over):
    """A file may hold weights that the model has no use for, but not those of further layers like its own."""
    own = {re.sub(r"\d+", "#", name) for name in model.state_dict()}
    further = sorted(name for name in left_over if re.search(r"\.\d+\.", name) and re.sub(r"\d+", "#", name) in own)
    if further:
        config = model.config.get_text_config()
        key = config.attribute_map.get("num_hidden_layers", "num_hidden_layers")
        raise InputError(
            f"{title}: config.json says {key} {config.num_hidden_layers}, but the file has weights of more, "
            f"the first {further[0]}; write the number of layers that the weights have"
        )


def _require_numbers(title, model):
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise InputError(
                f"{title}: a weight is not a number: {name}; fetch the checkpoint again, or choose another"
            )


def _require_files(title, folder):
    try:
        own_material.check_checkpoint(folder)
    except InputError as error:
        raise InputError(f"{title}: {folder} {error}") from None


def eager(config):
    """The configuration with the implementation that forms patterns: a key of its own would win."""
    for key in _IMPLEMENTATION_KEYS & config.__dict__.keys():
        delattr(config, key)
    config._attn_implementation = EAGER
    return config


def _description(config):
    """The configuration as a dict, without what says where it was read from, by which version, and how it would run."""
    dropped = {"_name_or_path", "transformers_version"} | _IMPLEMENTATION_KEYS
    return {key: value for key, value in config.to_dict().items() if key not in dropped}


def _require_same(checkpoints, configs):
    first, last = configs[0], configs[-1]
    for key in sorted((first.keys() | last.keys()) - _FREE_KEYS):
        if "dropout" in key or key.endswith("_pdrop"):
            continue
        if first.get(key) != last.get(key):
            raise InputError(
                f"checkpoints[{len(configs) - 1}] ({_described(checkpoints[len(configs) - 1])}): {key} is "
                f"{last.get(key)!r}, but {first.get(key)!r} in {_described(checkpoints[0])}; it must be the same"
            )


def untied(model):
    """The state dictionary without the second name of a tensor that has two."""
    kept, seen = {}, set()
    for name, tensor in model.state_dict().items():
        place = (tensor.data_ptr(), tensor.shape, tensor.stride())
        if tensor.numel() and place in seen:
            continue
        seen.add(place)
        kept[name] = tensor
    return kept
