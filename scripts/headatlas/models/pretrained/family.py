"""A family of pretrained models, read through the interface of `families`."""

import sys
from contextlib import suppress

import numpy as np
import torch
import transformers
from safetensors import safe_open

from headatlas.base.errors import InputError
from headatlas.models.pretrained import checks, restarting
from headatlas.models.pretrained.head_weights import HeadWeights
from headatlas.models.pretrained.loading import TASKS, eager, untied
from headatlas.models.pretrained.positions import context
from headatlas.models.pretrained.score_terms import score_terms
from headatlas.models.pretrained.unembedding import Unembedding
from headatlas.models.pretrained.watching import AllLayersSeen, Capture, OwnCode, watched
from headatlas.models.transformer import LayerAttention

_LONGEST = 512  # tokens that a model is shown at once where nothing says how many


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
        hugging = eager(transformers.AutoConfig.for_model(model_type, **settings))
        hugging.use_cache = hugging.get_text_config().use_cache = False
        auto, _ = TASKS[config["task"]]
        self._model = auto.from_config(hugging, dtype=torch.float32)
        self._model.eval().requires_grad_(False).to(self.device)
        with safe_open(self._file, framework="pt") as opened:
            self.members = opened.get_slice(next(iter(opened.keys()))).get_shape()[0]
        self._load(0)

        layout = checks.layout(self._model, config["task"])
        self.heads, self.d_head, self.d_value = layout.heads, layout.d_head, layout.d_value
        self._scalings, self._own_code = layout.scalings, layout.own_code
        text = hugging.get_text_config()
        self.model_type, self.layers, self.vocabulary = text.model_type, text.num_hidden_layers, text.vocab_size
        self.context = context(self._model)
        self.window = config.get("context") or min(self.context or _LONGEST, _LONGEST)
        self.causal = config["task"] == "causal"
        self.pad = config.get("pad")
        self.scaling = self._scalings[0]
        self.rotary = any("Rotary" in type(module).__name__ for module in self._model.modules())
        self._stand_in = checks.stand_in(text)
        self._real = 0 if self._stand_in else 1  # a token that is no padding
        self._weights_of = self._unembedding_of = None
        self._restart = False  # not looked for yet
        inner, self._d_model = getattr(text, "intermediate_size", None) or 0, text.hidden_size
        self._width = max(*inner, 4 * text.hidden_size) if isinstance(inner, list) else max(inner, 4 * text.hidden_size)

    @property
    def layer_bytes(self):
        """About how much memory the weights of a layer take."""
        return 4 * self._d_model * (4 * self.heads * self.d_head + 2 * self._width)

    def window_bytes(self, size):
        """About how much memory one window of `size` tokens takes in `attention`."""
        one = self.heads * size * (size + 2 * self.d_head) * 4
        return self.layers * one + 3 * self.heads * size * size * 4 + 3 * size * self._width * 4

    def pass_bytes(self, size):
        """About how much memory one window of `size` tokens takes in a pass of which nothing is kept."""
        return 3 * 4 * size * (self.heads * size + self._width)

    def trace_bytes(self, size):
        """How much memory is kept of one window of `size` tokens: what enters each layer, and its heads' outputs."""
        return 4 * size * self.layers * (self._d_model + self.heads * self.d_value)

    def attention(self, tokens, member, values=False):
        """Yield what the heads of one member do, layer by layer; no logits are computed.

        Parameters
        ----------
        tokens : integer array of shape (batch, position)
            Padding (`pad`) is never attended to.
        member : int
        values : bool
            Whether values are wanted too.

        Yields
        ------
        LayerAttention
            queries and keys (batch, head, position, d_head), after any rotation of positions, keys
            repeated for the heads that share them; pattern (batch, head, query, key); values (batch, head, position,
            d_value), repeated likewise. float32.
            Where a model scales its layers differently, the queries carry the difference, so that
            scores are q.k * `scaling` in every layer.
        """
        self._load(member)
        tokens, real = self.inputs(tokens)
        capture = Capture(stop_after=self.layers)
        with torch.no_grad(), suppress(AllLayersSeen), self._watched(capture=capture):
            self._model.base_model(tokens, attention_mask=real)
        for layer in range(self.layers):
            queries, keys, carried, pattern, *_ = capture.layers[layer]
            capture.layers[layer] = None  # so that a reader who packs as it goes holds one layer less each time
            if self._scalings[layer] != self.scaling:
                queries = queries * (self._scalings[layer] / self.scaling)
            yield LayerAttention(layer, queries.float(), keys.float(), pattern, carried.float() if values else None)

    def other_terms(self, size):
        """What enters the heads' scores besides q.k * `scaling` in windows of that many tokens: a list of sentences.

        Empty where a pattern is the softmax of q.k * `scaling` over the keys that a query may see.
        """
        config = self._model.config.get_text_config()
        generator = torch.Generator().manual_seed(0)
        tokens = torch.randint(self.vocabulary, (2, size), generator=generator).to(self.device)
        tokens[tokens == self._stand_in] = self._real  # no padding
        capture = Capture(stop_after=self.layers)
        with torch.no_grad(), suppress(AllLayersSeen), self._watched(capture=capture):
            self._model.base_model(tokens, attention_mask=torch.ones_like(tokens))
        layers = (one._replace(scaling=scaling) for one, scaling in zip(capture.layers, self._scalings, strict=True))
        return score_terms(layers, self.causal, getattr(config, "attn_logit_softcapping", None))

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

    def _watched(self, **watching):
        return watched(OwnCode(heads=self.heads) if self._own_code else None, **watching)

    def editing(self, edit):
        """While this lasts, `edit` is given every layer's head outputs in turn and returns what the layer goes on with.

        Parameters
        ----------
        edit : callable from a Tensor of shape (batch, position, head, d_head) to one of the same shape
        """
        return self._watched(edit=edit)

    def visiting(self, visit):
        """While this lasts, every layer goes on with what `visit` returns in place of its head outputs.

        Parameters
        ----------
        visit : callable
            Given the pattern (batch, head, query, key) and the outputs (batch, position, head, d_head).
        """
        return self._watched(visit=visit)

    def head_weights(self, member, layer):
        """The matrices of one layer's heads, as `families.load_family` says.

        Raises
        ------
        InputError
            If they cannot be had: see `head_weights.HeadWeights`.
        """
        unembedding = self.unembedding(member)
        if self._weights_of != member:
            self._weights, self._weights_of = HeadWeights(self._model, self._watched, unembedding, self._real), member
        found = self._weights.layer(layer)
        if (factor := self._scalings[layer] / self.scaling) != 1:
            found["W_Q"] = found["W_Q"] * np.float32(factor)
        return found

    def unembedding(self, member):
        """Where one member turns hidden states into logits, until another member is asked for."""
        self._load(member)
        if self._unembedding_of != member:
            self._unembedding, self._unembedding_of = Unembedding(self._model), member
        return self._unembedding

    def restart(self, member):
        """How passes begin at a layer's heads, a `restarting.Restart`; None where a model cannot be entered there."""
        unembedding = self.unembedding(member)
        if self._restart is False:
            tokens, real = checks.shown(self._model)
            found = restarting.find(
                self._model, self.layers, lambda watching: unembedding.inputs(tokens, real, watching), self.editing
            )
            self._restart, reason = found
            if reason:
                print(
                    f"model type {self.model_type!r}: passes with heads ablated start at the tokens, not at the layer "
                    f"({reason}): up to twice as slow",
                    file=sys.stderr,
                )
        return self._restart

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
    return set(model.state_dict()) - set(untied(model))
