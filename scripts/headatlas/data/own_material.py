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

READ = 12_000_000  # bytes of a tokenizer that is read while a run is planned; Llama 3's has 9 million
_VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt")
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


def vocabulary_file(places):
    """Where a tokenizer has its vocabulary.

    Parameters
    ----------
    places : sequence of path-like
        Folders, or files called `*.json`, of which the first that has one counts.

    Returns
    -------
    pathlib.Path or None
        A small `tokenizer.json`, `vocab.json` or `vocab.txt`.
    """
    for place in map(Path, places):
        files = [place] if place.suffix == ".json" else [place / name for name in _VOCABULARIES]
        for path in files:
            if path.is_file() and path.stat().st_size <= READ:
                return path
    return None


def vocabulary(path):
    """Ids of a tokenizer's own tokens; those added to it, which a model need not know, are left out.

    Parameters
    ----------
    path : pathlib.Path
        From `vocabulary_file`.

    Returns
    -------
    dict from str to int
        Empty where the file holds something else: the step that loads it says what is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".txt":
            return {token: index for index, token in enumerate(text.split("\n")) if token}
        found = json.loads(text)
        if "model" not in found:  # vocab.json, which holds tokens and nothing else
            return {token: index for token, index in found.items() if isinstance(index, int)}
        own, added = found["model"]["vocab"], {token["id"] for token in found.get("added_tokens") or []}
        own = own if isinstance(own, dict) else {token: index for index, (token, *_) in enumerate(own)}
        return {token: index for token, index in own.items() if index not in added}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def check_tokenizer(path, trained_with):
    """Whether a tokenizer counts tokens as the one does that a checkpoint was trained with.

    Parameters
    ----------
    path, trained_with : pathlib.Path
        From `vocabulary_file`; tokens that only one of them has are not compared.

    Raises
    ------
    InputError
        If a token has another id; the line goes on after the name of the tokenizer.
    """
    if path.read_bytes() == trained_with.read_bytes():
        return
    own, known = vocabulary(path), vocabulary(trained_with)
    shared = own.keys() & known.keys()
    differ = [token for token in shared if own[token] != known[token]]
    if differ:
        token = min(differ, key=own.get)
        raise InputError(
            f"has {token!r} as token {own[token]}, which is token {known[token]} by {str(trained_with)!r}, and so "
            f"{len(differ)} of {len(shared)} tokens"
        )


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
