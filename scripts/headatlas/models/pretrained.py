"""Pretrained models of `transformers`, causal or masked, as families of heads.

Queries, keys and patterns are taken in the library's registry of attention functions: every layer
of a model calls the function registered here, whatever implementation its configuration asks for
(fused kernels never form a pattern). The masks come from the registry's counterpart for masks, in
which an unknown name would mean no mask at all.
"""

from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors import SafetensorError, safe_open
from transformers.masking_utils import eager_mask
from transformers.utils import logging as transformers_logging

from headatlas.base.errors import InputError
from headatlas.models.head_weights import head_weights
from headatlas.models.transformer import LayerAttention

_NAME = "headatlas"
_IMPLEMENTATION_KEYS = {"attn_implementation", "_attn_implementation"}
TASKS = {
    "causal": (transformers.AutoModelForCausalLM, transformers.MODEL_FOR_CAUSAL_LM_MAPPING),
    "masked": (transformers.AutoModelForMaskedLM, transformers.MODEL_FOR_MASKED_LM_MAPPING),
}
_LOADING_ERRORS = (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError, SafetensorError)
# Keys that checkpoints of one architecture may differ in: they never change what a head computes.
_FREE_KEYS = {"architectures", "initializer_range", "use_cache"}
_FREE_KEYS |= {"id2label", "label2id", "task_specific_params", "bos_token_id", "eos_token_id"}


class _AllLayersSeen(Exception):
    """Ends a forward pass after its last pattern: neither the last layer's output nor logits are needed."""


class _Capture:
    """What the attention functions of one forward pass saw, in call order: shared layers have one module."""

    def __init__(self, stop_after=None):
        self.layers, self.scalings, self._stop_after = [], [], stop_after

    def add(self, queries, keys, pattern, scaling):
        self.layers.append((queries, keys, pattern))
        self.scalings.append(scaling)
        if len(self.layers) == self._stop_after:
            raise _AllLayersSeen


_capture = ContextVar("headatlas_capture", default=None)
_visit = ContextVar("headatlas_visit", default=None)  # the same, given the patterns too
_edit = ContextVar("headatlas_edit", default=None)  # what replaces the heads' outputs, called layer by layer


def _attend(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **kwargs):
    """An attention function of `transformers` that shows its pattern to the capture under way."""
    scaling = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
    groups = query.shape[1] // key.shape[1]
    if groups > 1:  # grouped-query attention: a key head serves neighbouring query heads
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    if kwargs.get("s_aux") is not None:
        raise InputError(f"{type(module).__name__} has attention sinks outside the window: its rows do not sum to one")

    scores = (query.float() @ key.float().transpose(-1, -2)).mul_(scaling)  # (batch, head, query, key)
    if kwargs.get("softcap") is not None:
        scores = torch.tanh(scores / kwargs["softcap"]) * kwargs["softcap"]
    if kwargs.get("position_bias") is not None:
        scores = scores + kwargs["position_bias"].float()
    pattern = _masked(scores, attention_mask, _is_causal(module, kwargs)).softmax(-1)

    capture = _capture.get()
    if capture is not None:
        capture.add(query, key, pattern, scaling)
    mixed = (pattern.to(value.dtype) @ value).transpose(1, 2).contiguous()  # (batch, position, head, d_head)
    visit, edit = _visit.get(), _edit.get()
    mixed = mixed if visit is None else visit(pattern, mixed)
    return (mixed if edit is None else edit(mixed)), None


def _is_causal(module, kwargs):
    given = kwargs.get("is_causal")
    return getattr(module, "is_causal", False) if given is None else given


def _masked(scores, mask, causal):
    """Scores with -inf where a query may not look; a query that may look nowhere (padding) sees itself."""
    size, length = scores.shape[-2:]
    if mask is None:
        if not causal or size == 1:
            return scores
        blocked = torch.ones(size, length, dtype=torch.bool, device=scores.device).triu(length - size + 1)
        return scores.masked_fill(blocked, -torch.inf)
    mask = mask[..., :length]
    if mask.dtype == torch.bool:
        blocked = ~mask
    else:
        blocked = mask <= torch.finfo(mask.dtype).min / 2
        scores = scores + mask.float()
    nowhere = blocked.all(-1, keepdim=True)
    itself = torch.eye(size, length, dtype=torch.bool, device=scores.device)
    return scores.masked_fill(blocked & ~(nowhere & itself), -torch.inf).masked_fill(nowhere & itself, 0.0)


transformers.AttentionInterface.register(_NAME, _attend)
transformers.AttentionMaskInterface.register(_NAME, eager_mask)


def fetch(checkpoints, task, pad=None):
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
        _probe(model, task)
        configs.append(_description(model.config))
        _require_same(checkpoints, configs)
        states.append(_untied(model))
    weights = {}
    for name in list(states[0]):
        tensors = [state.pop(name) for state in states]
        weights[name] = torch.stack(tensors)  # (member, ...)
    named = [{"name": str(c["name"]), "revision": c.get("revision")} for c in checkpoints]
    if pad is None:
        pad = configs[0].get("pad_token_id")
    return weights, {"kind": "pretrained", "task": task, "checkpoints": named, "pad": pad, "config": configs[0]}


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
        raise InputError(f"{title}: its configuration cannot be loaded: {_first_line(error)}") from None
    config = _through_registry(config)
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
            **where,
        )
    except _LOADING_ERRORS as error:
        if _NAME in str(error):
            raise _unreadable(config.model_type, "it has attention of its own making") from None
        raise InputError(f"{title}: its weights cannot be loaded: {_first_line(error)}") from None
    finally:
        transformers_logging.set_verbosity(verbosity)
    lacking = sorted(report["missing_keys"]) + sorted(str(entry) for entry in report["mismatched_keys"])
    if lacking:
        raise InputError(f"{title}: as a {task} model it lacks {len(lacking)} weights, the first {lacking[0]}")
    return model.eval()


def _require_files(title, folder):
    if not (folder / "config.json").is_file():
        raise InputError(f"{title}: {folder} has no config.json, so it is not a saved transformers model")
    if not any(folder.glob("*.safetensors")):
        others = sorted(path.name for path in folder.glob("*.bin"))
        found = f"only {', '.join(others)}, which is never unpickled" if others else "no weights at all"
        raise InputError(f"{title}: {folder} has no .safetensors file ({found}); save it with safe_serialization=True")


def _first_line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _unreadable(model_type, reason):
    return InputError(
        f"model type {model_type!r}: patterns cannot be taken, {reason}; "
        "it must call transformers' attention functions in every layer"
    )


def _through_registry(config):
    """The configuration with our attention function in place of what it asks for: a key of its own would win."""
    for key in _IMPLEMENTATION_KEYS & config.__dict__.keys():
        delattr(config, key)
    config._attn_implementation = _NAME
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


def _untied(model):
    """The state dictionary without the second name of a tensor that has two."""
    kept, seen = {}, set()
    for name, tensor in model.state_dict().items():
        place = (tensor.data_ptr(), tensor.shape, tensor.stride())
        if tensor.numel() and place in seen:
            continue
        seen.add(place)
        kept[name] = tensor
    return kept


def _probe(model, task):
    """Run two tokens through a model: (heads, d_head, scaling of each layer), or InputError where it cannot be read."""
    config = model.config.get_text_config()
    tokens = torch.zeros(1, 2, dtype=torch.long, device=model.device)
    capture = _Capture()
    token = _capture.set(capture)
    try:
        with torch.no_grad():
            model.base_model(tokens, attention_mask=torch.ones_like(tokens))
    finally:
        _capture.reset(token)
    expected = config.num_hidden_layers
    if len(capture.layers) != expected:
        raise _unreadable(config.model_type, f"{len(capture.layers)} of its {expected} layers show one")
    shapes = {queries.shape for queries, _, _ in capture.layers}
    if len(shapes) > 1:
        raise _unreadable(config.model_type, "its layers differ in their numbers of heads")
    if task == "causal" and any(bool(pattern[..., 0, 1].any()) for _, _, pattern in capture.layers):
        raise InputError(
            f"model type {config.model_type!r}: task causal, but a token sees the one after it; try masked"
        )
    _, heads, _, d_head = shapes.pop()
    return heads, d_head, capture.scalings


class PretrainedFamily:
    """Checkpoints of one architecture, read through the interface of `families`.

    Parameters
    ----------
    model_file : path-like
        The stacked weights of `fetch`, as safetensors.
    config : dict
        The configuration of `fetch`.
    device : str or torch.device
    """

    def __init__(self, model_file, config, device="cpu"):
        self.config, self.device, self._file = config, torch.device(device), model_file
        self._member = None
        settings = dict(config["config"])
        settings.pop("dtype", None)  # whatever the checkpoint's precision, float32 here
        model_type = settings.pop("model_type")
        hugging = _through_registry(transformers.AutoConfig.for_model(model_type, **settings))
        hugging.use_cache = False
        auto, _ = TASKS[config["task"]]
        self._model = auto.from_config(hugging, dtype=torch.float32)
        self._model.eval().requires_grad_(False).to(self.device)
        with safe_open(self._file, framework="pt") as opened:
            self.members = opened.get_slice(next(iter(opened.keys()))).get_shape()[0]
        self._load(0)

        self.heads, self.d_head, self._scalings = _probe(self._model, config["task"])
        text = hugging.get_text_config()
        self.model_type, self.layers, self.vocabulary = text.model_type, text.num_hidden_layers, text.vocab_size
        self.context = _context(text)
        self.causal = config["task"] == "causal"
        self.pad = config.get("pad")
        self.scaling = self._scalings[0]
        self.rotary = any("Rotary" in type(module).__name__ for module in self._model.modules())
        self._stand_in = text.pad_token_id if text.pad_token_id is not None else 0
        self._width = max(getattr(text, "intermediate_size", None) or 0, 4 * text.hidden_size)

    def window_bytes(self, size):
        """About how much memory one window of `size` tokens takes in `attention`."""
        one = self.heads * size * (size + 2 * self.d_head) * 4
        return self.layers * one + 3 * self.heads * size * size * 4 + 3 * size * self._width * 4

    def attention(self, tokens, member):
        """Yield what the heads of one member do, layer by layer; no logits are computed.

        Parameters
        ----------
        tokens : integer array of shape (batch, position)
            Padding (`pad`) is never attended to.
        member : int

        Yields
        ------
        LayerAttention
            queries and keys (batch, head, position, d_head), after any rotation of positions, keys
            repeated for the heads that share them; pattern (batch, head, query, key). float32.
            Where a model scales its layers differently, the queries carry the difference, so that
            scores are q.k * `scaling` in every layer.
        """
        self._load(member)
        tokens, real = self.inputs(tokens)
        capture = _Capture(stop_after=self.layers)
        token = _capture.set(capture)
        try:
            with torch.no_grad():
                self._model.base_model(tokens, attention_mask=real)
        except _AllLayersSeen:
            pass
        finally:
            _capture.reset(token)
        for layer in range(self.layers):
            queries, keys, pattern = capture.layers[layer]
            capture.layers[layer] = None  # so that a reader who packs as it goes holds one layer less each time
            if self._scalings[layer] != self.scaling:
                queries = queries * (self._scalings[layer] / self.scaling)
            yield LayerAttention(layer, queries.float(), keys.float(), pattern)

    def inputs(self, tokens):
        """Token ids (batch, position) as the model takes them, and which of them are real: both tensors.

        Padding is replaced by a token that the model knows.
        """
        tokens = torch.tensor(np.asarray(tokens), dtype=torch.long, device=self.device)
        real = torch.ones_like(tokens) if self.pad is None else (tokens != self.pad).long()
        tokens = torch.where(real.bool(), tokens, self._stand_in)
        if int(tokens.max()) >= self.vocabulary:
            raise InputError(
                f"token {int(tokens.max())}: this model's vocabulary is 0 to {self.vocabulary - 1}; "
                "allowed: windows made with the tokenizer that the model was trained with"
            )
        if self.context is not None and tokens.shape[1] > self.context:
            raise InputError(f"windows of {tokens.shape[1]} tokens: this model's context is {self.context}")
        return tokens, real

    def model(self, member):
        """The model of `transformers` that holds one member's weights, until another member is asked for."""
        self._load(member)
        return self._model

    @contextmanager
    def editing(self, edit):
        """While this lasts, `edit` is given every layer's head outputs in turn and returns what the layer goes on with.

        Parameters
        ----------
        edit : callable from a Tensor of shape (batch, position, head, d_head) to one of the same shape
        """
        token = _edit.set(edit)
        try:
            yield
        finally:
            _edit.reset(token)

    @contextmanager
    def visiting(self, visit):
        """While this lasts, every layer goes on with what `visit` returns in place of its head outputs.

        Parameters
        ----------
        visit : callable
            Given the pattern (batch, head, query, key) and the outputs (batch, position, head, d_head).
        """
        token = _visit.set(visit)
        try:
            yield
        finally:
            _visit.reset(token)

    def head_weights(self, member, layer):
        """The matrices of one layer's heads, as `families.load_family` says.

        Raises
        ------
        InputError
            If the weights of this model type are not known.
        """
        self._load(member)
        return head_weights(self._model, layer)

    def predictor(self, member):
        """What one member expects next, as a function: `ToyFamily.predictor`."""
        self._load(member)

        @torch.no_grad()
        def predict(tokens, last):
            tokens, last = tokens.to(self.device), last.to(self.device)
            real = torch.arange(tokens.shape[1], device=self.device) <= last[:, None]  # (batch, position)
            logits = self._model(tokens, attention_mask=real.long()).logits
            return logits[torch.arange(len(last)), last]

        return predict

    def _load(self, member):
        if member == self._member:
            return
        with safe_open(self._file, framework="pt", device=str(self.device)) as opened:
            state = {name: opened.get_slice(name)[member : member + 1][0] for name in opened.keys()}  # noqa: SIM118
        tied = self._model.load_state_dict(state, strict=False)
        missing = set(tied.missing_keys) - set(self._model.all_tied_weights_keys) - _shared_names(self._model)
        if missing or tied.unexpected_keys:
            name = sorted(missing | set(tied.unexpected_keys))[0]
            raise InputError(f"{self._file}: does not fit its configuration: weight {name}; delete it and run again")
        self._member = member


def _shared_names(model):
    """Names of tensors that also have another name, which holds the weights."""
    return set(model.state_dict()) - set(_untied(model))


def _context(config):
    longest = getattr(config, "max_position_embeddings", None)
    if longest is not None and "roberta" in config.model_type:
        longest -= config.pad_token_id + 1  # RoBERTa's positions start after the padding's
    return longest
