"""What a person brings, looked at before the first job: a checkpoint's files, a tokenizer's tokens, a prompt.

Nothing is loaded here: of weights only the header is read, and large files not at all.
"""

import json
from pathlib import Path

import tokenizers
from tokenizers import pre_tokenizers

from headatlas.base.errors import InputError
from headatlas.data import downloading
from headatlas.data.tokenizer_reading import Tokenizer, encode_prompt

READ = 4_000_000  # bytes of a tokenizer that is read while a run is planned
_LENGTH = 8  # bytes of a safetensors file that say how long its header is


def check_checkpoint(folder):
    """Whether a folder holds what a saved model of `transformers` does.

    Parameters
    ----------
    folder : path-like

    Raises
    ------
    InputError
        If a file is missing or cut short; the line begins with what the folder has or lacks.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise InputError("has no config.json, so it is not a saved transformers model")
    if not any(folder.glob("*.safetensors")):
        others = sorted(path.name for path in folder.glob("*.bin"))
        found = f"only {', '.join(others)}, which is never unpickled" if others else "no weights at all"
        raise InputError(f"has no .safetensors file ({found}); save it with safe_serialization=True")
    for path in sorted(folder.glob("model*.safetensors")):
        wanted, size = _whole(path), path.stat().st_size
        if wanted != size:
            told = "no header of such a file" if wanted is None else f"{size:,} of {wanted:,} bytes"
            raise InputError(f"has a damaged {path.name} ({told}); copy or download it again")


def _whole(path):
    """Bytes that a safetensors file should have by its header; None if there is none."""
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(_LENGTH), "little")
            if length > path.stat().st_size:
                return None
            header = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        return _LENGTH + length + max(ends, default=0)
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None


def highest_token(name):
    """The highest id of a tokenizer's own vocabulary; tokens added to it, which a model need not know, do not count.

    Parameters
    ----------
    name : str
        As `load` of the configuration gives it.

    Returns
    -------
    int or None
        None where it is not in a small `tokenizer.json` here.
    """
    path = _tokenizer_json(name)
    if path is None:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        own, added = found["model"]["vocab"], {token["id"] for token in found.get("added_tokens") or []}
        ids = set(own.values()) if isinstance(own, dict) else set(range(len(own)))
        return max(ids - added, default=None)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # the step that loads it says what is wrong
        return None


def check_prompt(text, settings, longest, key):
    """Whether a prompt fits the models that are to read it, as far as can be told before the first job.

    Of a tokenizer that is trained here, only the pieces that it will never join are known.

    Parameters
    ----------
    text : str
    settings : dict
        Of the tokenizer.
    longest : int
        Tokens that the models read at once.
    key : str
        What the configuration calls the prompt.

    Raises
    ------
    InputError
        If there is no token in it, or more than `longest`, or most of it is unknown to the tokenizer.
    """
    if "train" in settings:
        words = settings["train"] == "words"
        cut = pre_tokenizers.WhitespaceSplit() if words else pre_tokenizers.ByteLevel(add_prefix_space=False)
        pieces = len(cut.pre_tokenize_str(text))
        if not 0 < pieces <= longest:
            least = "" if words else "at least "
            raise InputError(
                f"{key}: {text!r:.80} is {least}{pieces} tokens; allowed: 1 to {longest}, which the models read at once"
            )
        return
    path = _tokenizer_json(settings["load"])
    if path is None:
        return
    try:
        backend = tokenizers.Tokenizer.from_file(str(path))
        unknown = json.loads(backend.to_str())["model"].get("unk_token")
        tokenizer = Tokenizer(backend, {"unk_token": unknown} if unknown else {})
    except Exception:  # the tokenizers library raises bare exceptions; the step that loads it says what is wrong
        return
    encode_prompt(tokenizer, text, longest, key)


def _tokenizer_json(name):
    """The `tokenizer.json` that a name stands for, or None where it is not here, or large."""
    path = Path(name).expanduser()
    if path.suffix != ".json":
        path /= "tokenizer.json"
    small = downloading.is_path(name) and path.is_file() and path.stat().st_size <= READ
    return path if small else None
