"""Tokenizers: trained here, loaded from anywhere, saved so that others load them."""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.implementations import BertWordPieceTokenizer, ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from headatlas import sources
from headatlas.errors import InputError

PAD, MASK, UNKNOWN = "<|pad|>", "<|mask|>", "<|unk|>"


def train_tokenizer(texts, kind, vocabulary):
    """Train a tokenizer on texts.

    Parameters
    ----------
    texts : sequence of str
    kind : {"byte-level-bpe", "words"}
        GPT-2's byte-level byte-pair encoding (Radford et al. 2019), which loses nothing; or whole words, set apart by
        white space, rarer ones unknown.
    vocabulary : int
        Largest size, with the special tokens, which get the last ids: (unknown,) padding, mask. Texts with fewer
        distinct words or pairs make a smaller vocabulary.

    Returns
    -------
    transformers.PreTrainedTokenizerFast

    Raises
    ------
    InputError
        If the kind is unknown or the vocabulary too small for it.
    """
    if kind == "byte-level-bpe":
        alphabet, special = pre_tokenizers.ByteLevel.alphabet(), {"pad_token": PAD, "mask_token": MASK}
        _require_room(kind, vocabulary, len(alphabet) + len(special))
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary - len(special), initial_alphabet=alphabet, show_progress=False
        )
        backend.train_from_iterator(texts, trainer)
    elif kind == "words":
        special = {"unk_token": UNKNOWN, "pad_token": PAD, "mask_token": MASK}
        _require_room(kind, vocabulary, 1 + len(special))
        counter = Tokenizer(models.WordLevel())
        counter.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        counter.train_from_iterator(
            texts, trainers.WordLevelTrainer(vocab_size=vocabulary - len(special), show_progress=False)
        )
        ranked = counter.get_vocab()
        words = [word for word in sorted(ranked, key=ranked.get) if word not in special.values()]
        ids = {word: index for index, word in enumerate([*words, UNKNOWN])}
        backend = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
        backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    else:
        raise InputError(f"kind: {kind!r} is not a kind of tokenizer; allowed: byte-level-bpe, words")
    backend.add_special_tokens(list(special.values()))
    return PreTrainedTokenizerFast(tokenizer_object=backend, clean_up_tokenization_spaces=False, **special)


def _require_room(kind, vocabulary, least):
    if vocabulary < least:
        raise InputError(f"vocabulary: {vocabulary} is too small for a {kind} tokenizer; at least {least}")


def load_tokenizer(name, revision=None, mirror=None, downloads=None, mask=False):
    """Load a tokenizer and see to it that padding has an id of its own.

    Parameters
    ----------
    name : str or path-like
        A `tokenizer.json`; or a folder with a `tokenizer.json`, with `vocab.json` and `merges.txt` (GPT-2's byte-level
        byte-pair encoding), or with `vocab.txt` (BERT's word pieces); or a Hugging Face Hub name.
    revision, mirror, downloads
        As in `sources.tokenizer_folder`.
    mask : bool
        Whether to add a mask token where there is none.

    Returns
    -------
    transformers.PreTrainedTokenizerFast
        A padding token (and a mask token) that had to be added comes after all others.

    Raises
    ------
    InputError
        If the files are not there or are not a tokenizer.
    """
    path = Path(name)
    if path.suffix == ".json":
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        folder = path.parent
    else:
        folder = sources.tokenizer_folder(name, revision, mirror, downloads)
    tokenizer = _read_tokenizer(folder)
    for role, spellings in _SPECIAL.items():  # files often leave unsaid which token has which role
        for token in spellings:
            if getattr(tokenizer, role) is None and tokenizer.backend_tokenizer.token_to_id(token) is not None:
                tokenizer.add_special_tokens({role: token})
    others = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id}
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id in others:
        tokenizer.add_special_tokens({"pad_token": PAD})
    if mask and tokenizer.mask_token_id is None:
        tokenizer.add_special_tokens({"mask_token": MASK})
    return tokenizer


_SPECIAL = {
    "unk_token": ("[UNK]", "<unk>"),
    "pad_token": ("[PAD]", "<pad>"),
    "mask_token": ("[MASK]", "<mask>"),
    "cls_token": ("[CLS]",),
    "sep_token": ("[SEP]",),
    "bos_token": ("<s>", "<|endoftext|>"),
    "eos_token": ("</s>", "<|endoftext|>"),
}


def _read_tokenizer(folder):
    files = {file.name: str(file) for file in Path(folder).iterdir()}
    try:
        if "tokenizer.json" in files:
            return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
        if {"vocab.json", "merges.txt"} <= set(files):
            bare = ByteLevelBPETokenizer(files["vocab.json"], files["merges.txt"])
        elif "vocab.txt" in files:
            words = Path(files["vocab.txt"]).read_text(encoding="utf-8").split("\n")
            cased = any(word != word.lower() for word in words if not word.startswith("["))
            bare = BertWordPieceTokenizer(files["vocab.txt"], lowercase=not cased)
        else:
            raise ValueError("no tokenizer.json, no vocab.json with merges.txt, and no vocab.txt in it")
        backend = Tokenizer.from_str(bare.to_str())
        return PreTrainedTokenizerFast(tokenizer_object=backend, clean_up_tokenization_spaces=False)
    except Exception as error:  # the tokenizers library raises bare exceptions
        raise InputError(f"{folder}: not a tokenizer ({sources.one_line(error)})") from None


def save_tokenizer(tokenizer, tokenizer_json, tokenizer_config_json):
    """Write the two files that `PreTrainedTokenizerFast` and `AutoTokenizer` load; equal tokenizers, equal bytes."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_padding()
    backend.no_truncation()
    special = {role: str(token) for role, token in tokenizer.special_tokens_map.items() if isinstance(token, str)}
    configuration = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": tokenizer.model_max_length,
        **special,
    }
    Path(tokenizer_json).write_text(backend.to_str(pretty=True) + "\n", encoding="utf-8")
    Path(tokenizer_config_json).write_text(json.dumps(configuration, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def frame(tokenizer):
    """What a masked model expects around a text: `before` and `after`, lists of token ids, empty where unknown."""
    ends = {"before": tokenizer.cls_token_id, "after": tokenizer.sep_token_id}
    return {place: [] if token is None else [token] for place, token in ends.items()}


def encode_prompt(tokenizer, text, longest, key):
    """Token ids of a text that a model reads at once; `key` is what the configuration calls it.

    Raises
    ------
    InputError
        If there is no token in it, or more than `longest`.
    """
    ids = tokenizer.encode(text, add_special_tokens=False)
    if not 0 < len(ids) <= longest:
        raise InputError(
            f"{key}: {text!r} is {len(ids)} tokens; allowed: 1 to {longest}, which the models read at once"
        )
    return ids


_VISIBLE = str.maketrans({" ": "␣", "▁": "␣", "\n": "↵", "\t": "⇥", "\r": "␍"})


def describe_tokens(tokenizer, ids):
    """Legible names of token ids, for labels: `␣the`, `↵`, `##ing`; what is no text or cannot be shown as `\\xe2`."""
    bytewise = isinstance(tokenizer.backend_tokenizer.decoder, decoders.ByteLevel)
    names = tokenizer.convert_ids_to_tokens([int(index) for index in ids])
    return [_legible(name, index, bytewise) for name, index in zip(names, ids, strict=True)]


_BYTE = {character: byte for byte, character in bytes_to_unicode().items()}  # of the byte-level alphabet


def _legible(name, index, bytewise):
    if name is None:
        return f"⟨id {index}⟩"
    if bytewise and all(character in _BYTE for character in name):
        content = bytes(_BYTE[character] for character in name)
    elif len(name) == 6 and name.startswith("<0x") and name.endswith(">"):  # a byte in SentencePiece's spelling
        content = bytes([int(name[3:5], 16)])
    else:
        return _shown(name)
    return _shown(content.decode(errors="backslashreplace"))


def _shown(text):
    """A text in which white space has a sign and a control character its number."""
    text = text.translate(_VISIBLE)
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
