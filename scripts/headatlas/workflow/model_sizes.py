"""Models of a configuration in numbers, and how a job's need follows from what it holds."""

import json
import math
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FLOAT = 4
LOADED_VOCABULARY = 60_000  # of a tokenizer that is loaded, not trained: a little more than GPT-2's
_TRANSFORMERS = 200 << 20  # bytes that the library holds with which a pretrained model is opened
_SIZES = {  # what is read from a checkpoint's own configuration, by the names that types of model give it
    "layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "heads": ("num_attention_heads", "n_head", "num_heads", "n_heads"),
    "d_model": ("hidden_size", "n_embd", "d_model", "dim"),
    "d_head": ("head_dim",),
    "d_mlp": ("intermediate_size", "n_inner", "ffn_dim", "hidden_dim"),
    "vocabulary": ("vocab_size",),
}
_LONGEST = 24 * 60  # minutes; few partitions allow more, and a training goes on from its checkpoint


@dataclass(frozen=True)
class Need:
    """What one attempt of a job asks for: MiB of memory, in hundreds, and minutes."""

    memory: int
    minutes: int


@dataclass(frozen=True)
class Model:
    """What a model of the configuration is in numbers.

    A pretrained one is what its own configuration says, if that is in a folder here; else GPT-2 medium.
    """

    members: int
    context: int
    prompts: int
    queries_keys: int
    trained: bool = False
    causal: bool = True
    layers: int = 24
    heads: int = 16
    d_model: int = 1024
    d_head: int = 64
    d_mlp: int = 4096
    vocabulary: int = LOADED_VOCABULARY
    training: dict = field(default_factory=dict)

    @property
    def weights(self):
        """Numbers that one member is made of."""
        attention = 4 * self.d_model * self.heads * self.d_head
        layer = attention + 2 * self.d_model * self.d_mlp + self.d_mlp
        return 2 * self.vocabulary * self.d_model + self.context * self.d_model + self.layers * layer

    @property
    def all_heads(self):
        return self.members * self.layers * self.heads

    @property
    def entries(self):
        """Numbers of one packed pattern."""
        return self.context * (self.context + 1) // 2 if self.causal else self.context**2  # as `packing.entries`

    @property
    def token(self):
        """Numbers that one token is in a layer's forward pass."""
        return self.heads * (4 * self.d_head + 3 * self.context) + 6 * self.d_model + 3 * self.d_mlp

    @property
    def loaded(self):
        """Bytes of one open member: its weights, and those pages of the file that they were read from."""
        return 2 * FLOAT * self.weights if self.trained else 3 * FLOAT * self.weights + _TRANSFORMERS


def model(config, name):
    """The numbers of a model.

    Parameters
    ----------
    config : dict
        Completed.
    name : str

    Returns
    -------
    Model
    """
    settings = config["models"][name]
    analysis = settings["analysis"]
    shown = {"prompts": analysis["windows"], "queries_keys": min(analysis["queries_keys"], analysis["windows"])}
    if "checkpoints" in settings:
        causal = settings["task"] == "causal"
        mirror = os.environ.get("HEADATLAS_MIRROR") or config["mirror"]
        sizes = checkpoint_sizes(settings["checkpoints"][0]["name"], mirror)  # all are of one architecture
        return Model(len(settings["checkpoints"]), settings["context"], **shown, causal=causal, **sizes)
    shape = settings["architecture"]
    sizes = {key: shape[key] for key in ("context", "causal", "layers", "heads", "d_model", "d_head")}
    sizes["d_mlp"] = 0 if shape["activation"] == "none" else shape["d_mlp"]
    sizes["vocabulary"] = config["tokenizers"][settings["tokenizer"]].get("vocabulary", LOADED_VOCABULARY)
    return Model(len(settings["seeds"]), **shown, **sizes, trained=True, training=settings["training"])


@cache
def checkpoint_sizes(name, mirror):
    """Sizes of a checkpoint, as its own configuration has them.

    Parameters
    ----------
    name : str
        A folder, or a Hub name whose last part is a folder of the mirror's `models/`.
    mirror : str or None

    Returns
    -------
    dict from str to int
        Fields of `Model`; none where there is no configuration here, or not one of numbers.
    """
    folders = [Path(name).expanduser(), *([Path(mirror).expanduser() / "models" / Path(name).name] if mirror else [])]
    for folder in folders:
        try:
            given = json.loads((folder / "config.json").read_text())
            given = given | (given.get("text_config") or {})
            found = {size: next((given[key] for key in keys if given.get(key)), None) for size, keys in _SIZES.items()}
            found = {size: int(value) for size, value in found.items() if value is not None}
            found.setdefault("d_head", found["d_model"] // found["heads"])
            found.setdefault("d_mlp", 4 * found["d_model"])
        except (OSError, ValueError, TypeError, AttributeError, KeyError, ZeroDivisionError):
            continue
        return found | {"d_mlp": found["d_mlp"] * 3 // 2}  # a gated MLP has three maps where others have two
    return {}


def need(interpreter, held, seconds=0.0):
    """A quarter more than the arrays held, in bytes, and three times the seconds measured at such sizes."""
    memory = interpreter + 1.25 * held / 2**20
    minutes = 30 + 3 * seconds / 60
    return Need(100 * math.ceil(memory / 100), min(_LONGEST, 10 * math.ceil(minutes / 10)))
