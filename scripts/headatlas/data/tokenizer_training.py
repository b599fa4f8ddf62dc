"""Tokenizers that are new to the workflow: trained here, or loaded from anywhere."""

from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers
from tokenizers.implementations import BertWordPieceTokenizer, ByteLevelBPETokenizer

from headatlas.base.errors import InputError
from headatlas.data import downloading
from headatlas.data.tokenizer_reading import Tokenizer

KINDS = ("byte-level-bpe", "words")
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
    tokens.Tokenizer

    Raises
    ------
    InputError
        If the kind is unknown or the vocabulary too small for it.
    """
    if kind == "byte-level-bpe":
        alphabet, special = pre_tokenizers.ByteLevel.alphabet(), {"pad_token": PAD, "mask_token": MASK}
        _require_room(kind, vocabulary, len(alphabet) + len(special))
        backend = tokenizers.Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary - len(special), initial_alphabet=alphabet, show_progress=False
        )
        backend.train_from_iterator(texts, trainer)
    elif kind == "words":
        special = {"unk_token": UNKNOWN, "pad_token": PAD, "mask_token": MASK}
        _require_room(kind, vocabulary, 1 + len(special))
        counter = tokenizers.Tokenizer(models.WordLevel())
        counter.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        counter.train_from_iterator(
            texts, trainers.WordLevelTrainer(vocab_size=vocabulary - len(special), show_progress=False)
        )
        ranked = counter.get_vocab()
        words = [word for word in sorted(ranked, key=ranked.get) if word not in special.values()]
        ids = {word: index for index, word in enumerate([*words, UNKNOWN])}
        backend = tokenizers.Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
        backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    else:
        raise InputError(f"kind: {kind!r} is not a kind of tokenizer; allowed: {', '.join(KINDS)}")
    backend.add_special_tokens(list(special.values()))
    backend.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B:1")  # nothing around a text
    return Tokenizer(backend, special)


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
    tokens.Tokenizer
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
        folder = downloading.tokenizer_folder(name, revision, mirror, downloads)
    try:
        backend, special, longest = _read_anything(folder)
    except Exception as error:  # the tokenizers library raises bare exceptions
        raise InputError(f"{folder}: not a tokenizer ({downloading.one_line(error)})") from None
    new = []
    for role, spellings in _SPELLINGS.items():  # files often leave unsaid which token has which role
        for token in spellings:
            if role not in special and backend.token_to_id(token) is not None:
                special[role] = token
                new.append(token)
    others = {special.get(role) for role in ("bos_token", "eos_token", "unk_token")}
    if special.get("pad_token") in {None, *others}:
        special["pad_token"] = PAD
        new.append(PAD)
    if mask and "mask_token" not in special:
        special["mask_token"] = MASK
        new.append(MASK)
    backend.add_special_tokens(new)
    return Tokenizer(backend, special, longest)


_SPELLINGS = {
    "unk_token": ("[UNK]", "<unk>"),
    "pad_token": ("[PAD]", "<pad>"),
    "mask_token": ("[MASK]", "<mask>"),
    "cls_token": ("[CLS]",),
    "sep_token": ("[SEP]",),
    "bos_token": ("<s>", "<|endoftext|>"),
    "eos_token": ("</s>", "<|endoftext|>"),
}


def _read_anything(folder):
    """Backend, tokens by role and longest text (None where untold) of a folder's tokenizer."""
    files = {file.name: str(file) for file in Path(folder).iterdir()}
    if "tokenizer.json" in files:
        # Only here, since its import takes a second: it knows all the ways in which files tell of special tokens.
        from transformers import PreTrainedTokenizerFast

        found = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
        special = {role: str(token) for role, token in found.special_tokens_map.items() if isinstance(token, str)}
        return found.backend_tokenizer, special, found.model_max_length
    if {"vocab.json", "merges.txt"} <= set(files):
        bare = ByteLevelBPETokenizer(files["vocab.json"], files["merges.txt"])
    elif "vocab.txt" in files:
        words = Path(files["vocab.txt"]).read_text(encoding="utf-8").split("\n")
        cased = any(word != word.lower() for word in words if not word.startswith("["))
        bare = BertWordPieceTokenizer(files["vocab.txt"], lowercase=not cased)
    else:
        raise ValueError("no tokenizer.json, no vocab.json with merges.txt, and no vocab.txt in it")
    return tokenizers.Tokenizer.from_str(bare.to_str()), {}, None
