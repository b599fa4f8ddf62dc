"""Models of a configuration in numbers, and how a job's need follows from what it holds."""

import glob
import json
import math
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FLOAT = 4
LOADED_VOCABULARY = 60_000  # of a tokenizer that is loaded, not trained: a little more than GPT-2's
TRANSFORMERS = 200 << 20  # bytes that the library holds with which a pretrained model is opened
_SIZES = {  # what is read from a checkpoint's own configuration, by the names that types of model give it
    "layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "heads": ("num_attention_heads", "n_head", "num_heads", "n_heads"),
    "d_model": ("hidden_size", "n_embd", "d_model", "dim"),
    "d_head": ("head_dim",),
    "d_mlp": ("intermediate_size", "n_inner", "ffn_dim", "hidden_dim"),
    "vocabulary": ("vocab_size",),
}
_CONTEXTS = ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx")  # as `pretrained.positions` asks
# Types whose configuration need not say that embedding and unembedding are one table
_TIED = {"gpt2", "bert", "roberta", "distilbert", "electra", "albert", "opt"}
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
    tied: bool = False  # embedding and unembedding are one table
    keeps_patterns: bool = True  # else scores are measured as they are extracted
    training: dict = field(default_factory=dict)

    @property
    def weights(self):
        """Numbers that one member is made of."""
        attention = 4 * self.d_model * self.heads * self.d_head
        layer = attention + 2 * self.d_model * self.d_mlp + self.d_mlp
        return (2 - self.tied) * self.vocabulary * self.d_model + self.context * self.d_model + self.layers * layer

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
        return 2 * FLOAT * self.weights + (0 if self.trained else TRANSFORMERS)


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
    shown["keeps_patterns"] = analysis.get("patterns") != "none"
    if "checkpoints" in settings:
        causal = settings["task"] == "causal"
        sizes = checkpoint_sizes(settings["checkpoints"][0]["name"], mirror_of(config))  # all are of one architecture
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
    dict from str to int, and `tied`, True where it is
        Fields of `Model`; none where there is no configuration here, or not one of numbers.
    """
    for given in _configurations(name, mirror):
        try:
            found = {size: next((given[key] for key in keys if given.get(key)), None) for size, keys in _SIZES.items()}
            found = {size: int(value) for size, value in found.items() if value is not None}
            found.setdefault("d_head", found["d_model"] // found["heads"])
            found.setdefault("d_mlp", 4 * found["d_model"])
        except (ValueError, TypeError, KeyError, ZeroDivisionError):
            continue
        if given.get("tie_word_embeddings", given.get("model_type") in _TIED):
            found["tied"] = True
        return found | {"d_mlp": found["d_mlp"] * 3 // 2}  # a gated MLP has three maps where others have two
    return {}


@cache
def checkpoint_context(name, mirror):
    """Tokens that a checkpoint sees at most, by its own configuration, and the key that says so; None if none does."""
    for given in _configurations(name, mirror):
        for key in _CONTEXTS:
            if type(given.get(key)) is int and given[key] > 0:
                return given[key], key
    return None


def folders(name, mirror):
    """Where a model of that name may lie here: a folder of its own, those of the mirror."""
    found = [Path(name).expanduser()]
    if mirror:
        models = Path(mirror).expanduser() / "models"
        found += [models / Path(name).name, *sorted(models.glob(f"{glob.escape(Path(name).name)}@*"))]
    return found


def _configurations(name, mirror):
    """What configurations of a checkpoint there are here, as mappings: a folder's, the mirror's."""
    for folder in folders(name, mirror):
        try:
            given = json.loads((folder / "config.json").read_text())
            yield given | (given.get("text_config") or {})
        except (OSError, ValueError, TypeError, AttributeError):
            continue


def shape(config, name):
    """Members, layers and heads a layer of a model of the configuration; None where no configuration here has them."""
    settings = config["models"][name]
    if "checkpoints" not in settings:
        return len(settings["seeds"]), *(settings["architecture"][size] for size in ("layers", "heads"))
    sizes = checkpoint_sizes(settings["checkpoints"][0]["name"], mirror_of(config))  # all are of one architecture
    if not {"layers", "heads"} <= set(sizes):
        return None
    return len(settings["checkpoints"]), sizes["layers"], sizes["heads"]


def mirror_of(config):
    """The mirror folder that the environment or the configuration names, or None."""
    return os.environ.get("HEADATLAS_MIRROR") or config["mirror"]


def need(interpreter, held, seconds=0.0):
    """A quarter more than the arrays held, in bytes, and three times the seconds measured at such sizes."""
    memory = interpreter + 1.25 * held / 2**20
    minutes = 30 + 3 * seconds / 60
    return Need(100 * math.ceil(memory / 100), min(_LONGEST, 10 * math.ceil(minutes / 10)))
