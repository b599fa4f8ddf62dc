"""Families of models behind one interface, whether trained here or pretrained.

A family is one architecture with one or more members (seeds or checkpoints). Whoever reads what its
heads do need not know which kind it is.
"""

import json

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from headatlas.base.errors import InputError
from headatlas.jobs.store import file_digest
from headatlas.models import transformer


def save_family(model_file, config_file, weights, config):
    """Write a family that `load_family` opens.

    Parameters
    ----------
    model_file, config_file : path-like
    weights : dict of str to Tensor, each of shape (member, ...)
    config : dict
        Its `kind`, and what that kind needs; the digest of the weights is added, so that damage is found.
    """
    save_file(weights, model_file)
    with open(config_file, "w", encoding="utf-8") as file:
        json.dump({**config, "sha256": file_digest(model_file)}, file, indent=1, sort_keys=True)


def load_family(model_file, config_file, device="cpu"):
    """Open a family; weights are read member by member, when they are needed.

    Parameters
    ----------
    model_file : path-like
        Stacked weights as safetensors: every tensor of shape (member, ...).
    config_file : path-like
        The JSON beside it, of kind "toy" or "pretrained"; a `sha256` in it must be that of the weights.
    device : str or torch.device
        Where the forward passes run.

    Returns
    -------
    ToyFamily or PretrainedFamily
        With the attributes `members`, `layers`, `heads`, `d_head`, `vocabulary` (int), `context` (int or
        None for no limit), `window` (int: tokens that it is shown at once, as configured), `causal` (bool),
        `pad` (int or None), `scaling` (float: a head's scores are q.k * scaling), `rotary` (bool: queries and
        keys are rotated by their positions) and `config` (dict); and the methods `attention(tokens, member, values)`,
        `window_bytes(size)`, `other_terms(size)` (sentences that say what enters a head's scores besides
        q.k * `scaling`) and `head_weights(member, layer)`, and for causal families `predictor(member)`.
        `head_weights` gives float32 arrays by name:

        W_E (vocabulary, d_model) and W_U (d_model, vocabulary), embedding and unembedding;
        W_Q, W_K, W_V (head, d_model, d_head) and W_O (head, d_head, d_model), so that a head's OV
        circuit is W_E W_V W_O W_U and its QK circuit W_E W_Q W_K^T W_E^T (Elhage et al. 2021).

        A LayerNorm's (or RMSNorm's) scale is folded into the matrices that it stands beside: attention's into
        W_Q, W_K, W_V, one behind the projection of heads into W_O, the final one into W_U, BERT's over the
        embeddings into W_E. What it divides by, its centring, biases, positions and rotations are left out, and
        so is the non-linearity inside the prediction heads of BERT and its kin, of which W_U is the linear part.
        Factors of embeddings and logits are in W_E and W_U. Shared key and value heads are repeated.

    Raises
    ------
    InputError
        If a file is missing or damaged, or the kind is not known.
    """
    try:
        with open(config_file, encoding="utf-8") as file:
            config = json.load(file)
        kind = config["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{config_file}: not the configuration of a model ({reason}); delete it and run again"
        ) from None
    try:
        if "sha256" in config and config["sha256"] != file_digest(model_file):
            raise InputError(f"{model_file}: not the weights that {config_file} describes; delete it and run again")
        if kind == "toy":
            return ToyFamily(model_file, config, device)
        if kind == "pretrained":
            from headatlas.models.pretrained import PretrainedFamily  # only here: toy models need no transformers

            return PretrainedFamily(model_file, config, device)
    except (OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{model_file}: not whole safetensors ({reason}); delete it and run again") from None
    raise InputError(f"{config_file}: kind {kind!r} is not known: toy or pretrained")


class ToyFamily:
    """Toy transformers trained here; parameters and interface as in `load_family`."""

    rotary = False

    def other_terms(self, size):
        """What enters the heads' scores besides q.k * `scaling`: nothing does."""
        return []

    def __init__(self, model_file, config, device="cpu"):
        self.config, self.device, self._file = config, torch.device(device), model_file
        self.architecture = a = transformer.Architecture(**config["architecture"])
        self.layers, self.heads, self.d_head = a.layers, a.heads, a.d_head
        self.causal, self.vocabulary, self.context, self.window = a.causal, a.vocabulary, a.context, a.context
        self.pad, self.scaling = config.get("pad"), a.d_head**-0.5
        with safe_open(model_file, framework="pt") as opened:
            self.members = opened.get_slice("token_embedding").get_shape()[0]
        self._loaded = (None, None)

    @property
    def layer_bytes(self):
        """About how much memory the weights of a layer take."""
        a = self.architecture
        return 4 * a.d_model * (4 * a.heads * a.d_head + (0 if a.activation == "none" else 2 * a.d_mlp))

    def window_bytes(self, size):
        """About how much memory one window of `size` tokens takes in `attention`."""
        a = self.architecture
        stream = 6 * a.d_model + (0 if a.layers == 1 or a.activation == "none" else 3 * a.d_mlp)
        return 4 * size * (a.heads * (4 * a.d_head + 3 * size) + stream)

    @torch.no_grad()
    def attention(self, tokens, member, values=False):
        """Yield what the heads of one member do, layer by layer; no logits are computed.

        Parameters
        ----------
        tokens : integer array of shape (batch, position)
        member : int
        values : bool
            Whether values are wanted too.

        Yields
        ------
        LayerAttention
            queries, keys and values (batch, head, position, d_head), pattern (batch, head, query, key); float32.
        """
        tokens = self.inputs(tokens)
        weights = self._weights(member)
        layers = transformer.attention_layers(weights, self.architecture, tokens[None], self.pad, values)
        for layer, *of_layer in layers:
            yield transformer.LayerAttention(layer, *(each if each is None else each[0] for each in of_layer))

    def inputs(self, tokens):
        """Token ids (batch, position) as a tensor on the device, once they are known to fit the model."""
        tokens = torch.tensor(np.asarray(tokens), dtype=torch.long, device=self.device)
        if int(tokens.max()) >= self.vocabulary or int(tokens.min()) < 0:
            wrong = int(tokens.max()) if int(tokens.max()) >= self.vocabulary else int(tokens.min())
            raise InputError(
                f"token {wrong}: this model's vocabulary is 0 to {self.vocabulary - 1}; "
                "allowed: windows made with the tokenizer that the model was trained with"
            )
        if tokens.shape[1] > self.context:
            raise InputError(f"windows of {tokens.shape[1]} tokens: this model's context is {self.context}")
        return tokens

    def weights(self, member):
        """All weights of one member, (1, ...) each, on the device."""
        with safe_open(self._file, framework="pt", device=str(self.device)) as opened:
            return {name: opened.get_slice(name)[member : member + 1] for name in opened.keys()}  # noqa: SIM118

    def head_weights(self, member, layer):
        """The matrices of one layer's heads, as `load_family` says."""
        a = self.architecture
        stored = f"layers.{0 if a.tied_layers else layer}."
        names = [f"{stored}attention.{part}.weight" for part in ("query", "key", "value", "output")]
        query, key, value, output = (self._tensor(name, member) for name in names)
        embedding = self._tensor("token_embedding", member)
        unembedding = embedding.T if a.tied_unembedding else self._tensor("unembedding.weight", member)
        if a.layer_norm:
            scale = self._tensor(f"{stored}norm_attention.weight", member)[:, None, None]
            query, key, value = scale * query, scale * key, scale * value
            unembedding = self._tensor("norm_final.weight", member)[:, None] * unembedding
        by_head = {"W_Q": query, "W_K": key, "W_V": value}  # (d_model, head, d_head)
        found = {"W_E": embedding, "W_U": unembedding, "W_O": output}
        found |= {name: matrix.transpose(0, 1) for name, matrix in by_head.items()}
        return {name: matrix.float().contiguous().numpy() for name, matrix in found.items()}

    def predictor(self, member):
        """What one member expects next, as a function.

        Parameters
        ----------
        member : int

        Returns
        -------
        callable
            From integer tensors `tokens` (batch, position) and `last` (batch,) to the logits (batch, vocabulary) of the
            token after position `last` of each row; what stands behind that is not read.
        """
        weights = self.weights(member)
        matrix = transformer.unembedding_matrix(weights, self.architecture)[0]  # (d_model, vocabulary)

        @torch.no_grad()
        def predict(tokens, last):
            stream = transformer.hidden(weights, self.architecture, tokens[None].to(self.device))[0]
            read = stream[torch.arange(len(last)), last.to(self.device)]  # (batch, d_model)
            return read @ matrix + weights["unembedding.bias"][0]

        return predict

    def _tensor(self, name, member):
        with safe_open(self._file, framework="pt") as opened:
            return opened.get_slice(name)[member : member + 1][0]

    def _weights(self, member):
        """What patterns need of one member's weights, (1, ...) each: the unembedding stays on disk."""
        if self._loaded[0] != member:
            with safe_open(self._file, framework="pt", device=str(self.device)) as opened:
                names = [name for name in opened.keys() if not name.startswith(("unembedding", "norm_final"))]  # noqa: SIM118
                weights = {name: opened.get_slice(name)[member : member + 1] for name in names}
            self._loaded = (member, weights)
        return self._loaded[1]
