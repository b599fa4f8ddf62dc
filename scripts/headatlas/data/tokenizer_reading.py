"""Tokenizers as steps read them: by the `tokenizers` library alone, whose import costs little, with roles of tokens."""

import copy
import json
from functools import cached_property
from pathlib import Path

import tokenizers
from tokenizers import decoders, pre_tokenizers

from headatlas.base.errors import InputError

_UNBOUNDED = int(1e30)  # how transformers says that a text may have any length
_ROLES = ("pad_token", "mask_token", "unk_token", "cls_token", "sep_token", "bos_token", "eos_token")
MOST_UNKNOWN = 0.5  # share of tokens that a tokenizer may not know of a text it is fit for
PROMPT_TOKENS = 6  # of a prompt that is taken from a held-out window: "They sit alone in their rooms"


class Tokenizer:
    """A tokenizer and the roles of its special tokens, under the names that `transformers` gives them.

    Parameters
    ----------
    backend : tokenizers.Tokenizer
    special : dict from str to str
        Token of each role that has one: "pad_token", "mask_token", ...
    longest : int, optional
        Tokens of the longest text it is meant for; handed on, not enforced.

    Attributes
    ----------
    backend : tokenizers.Tokenizer
        Neither pads nor truncates.
    special : dict from str to str
    pad_token, mask_token, unk_token, cls_token, sep_token, bos_token, eos_token : str or None
    pad_token_id, mask_token_id, unk_token_id, cls_token_id, sep_token_id, bos_token_id, eos_token_id : int or None
    all_special_ids : list of int
        Ascending; those of roles without a name here among them.
    """

    def __init__(self, backend, special, longest=None):
        backend.no_padding()
        backend.no_truncation()
        self.backend, self.special, self.longest = backend, dict(special), longest
        ids = {role: backend.token_to_id(token) for role, token in special.items()}
        if None in ids.values():
            raise ValueError(f"{next(role for role in ids if ids[role] is None)} is none of its tokens")
        for role in _ROLES:
            setattr(self, role, special.get(role))
            setattr(self, f"{role}_id", ids.get(role))
        self.all_special_ids = sorted(set(ids.values()))

    def __len__(self):
        return self.backend.get_vocab_size()

    @cached_property
    def literal(self):
        """A `tokenizers.Tokenizer` to which text that spells a special token is plain text."""
        backend = copy.deepcopy(self.backend)
        backend.encode_special_tokens = True
        return backend

    def encode(self, text):
        """Token ids of a text, in which special tokens may be spelled; none are put around it."""
        return self.backend.encode(text, add_special_tokens=False).ids

    def not_drawn(self, vocabulary):
        """Ids below `vocabulary` that are no text: special tokens, and what a model has more ids than tokens."""
        return sorted({*self.all_special_ids} | {*range(vocabulary)} - {*self.backend.get_vocab().values()})

    def names(self, ids):
        """Tokens of ids as the vocabulary spells them; None for an id it does not have."""
        return [self.backend.id_to_token(int(index)) for index in ids]


def read_tokenizer(tokenizer_json, tokenizer_config_json):
    """Read a tokenizer that `save_tokenizer` wrote."""
    try:
        backend = tokenizers.Tokenizer.from_file(str(tokenizer_json))
        configuration = json.loads(Path(tokenizer_config_json).read_text(encoding="utf-8"))
        special = {role: token for role, token in configuration.items() if role.endswith("_token")}
        return Tokenizer(backend, special, configuration["model_max_length"])
    except Exception as error:  # the tokenizers library raises bare exceptions
        raise InputError(f"{tokenizer_json}: not a tokenizer of this workflow ({error})") from None


def save_tokenizer(tokenizer, tokenizer_json, tokenizer_config_json):
    """Write two files that `transformers` loads too; equal tokenizers, equal bytes."""
    configuration = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": _UNBOUNDED if tokenizer.longest is None else tokenizer.longest,
        **tokenizer.special,
    }
    Path(tokenizer_json).write_text(tokenizer.backend.to_str(pretty=True) + "\n", encoding="utf-8")
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
        If there is no token in it, or more than `longest`, or most of it is unknown to the tokenizer.
    """
    ids = tokenizer.encode(text)
    if not 0 < len(ids) <= longest:
        raise InputError(
            f"{key}: {text!r:.80} is {len(ids)} tokens; allowed: 1 to {longest}, which the models read at once"
        )
    unknown = ids.count(tokenizer.unk_token_id) / len(ids)
    if unknown > MOST_UNKNOWN:
        raise InputError(
            f"{key}: {unknown:.0%} of the tokens of {text!r:.80} are {tokenizer.unk_token}, unknown to the tokenizer; "
            f"allowed: at most {MOST_UNKNOWN:.0%}"
        )
    return ids


def held_out_prompt(tokenizer, window, longest):
    """Token ids of a prompt where none is given: the beginning of a held-out window, as in Edkins & Wiechecki 2023.

    Parameters
    ----------
    tokenizer : Tokenizer
    window : integer sequence
        Padding in it is left out.
    longest : int
        Most tokens there may be.

    Returns
    -------
    list of int
    """
    tokens = [int(token) for token in window if token != tokenizer.pad_token_id]
    return tokens[: min(longest, PROMPT_TOKENS)]


def given_or_held_out(tokenizer, text, window, longest, key):
    """Token ids of the prompt `text` that `key` gives, or, where it is None, of a held-out window's beginning."""
    if text is None:
        return held_out_prompt(tokenizer, window, longest)
    return encode_prompt(tokenizer, text, longest, key)


def reading(tokenizer, causal):
    """How a model reads: `causal`, and the ids `pad` and `mask`, which is None where it predicts without one."""
    return {"causal": causal, "pad": tokenizer.pad_token_id, "mask": None if causal else tokenizer.mask_token_id}


_VISIBLE = str.maketrans({" ": "␣", "▁": "␣", "\n": "↵", "\t": "⇥", "\r": "␍"})


def describe_tokens(tokenizer, ids):
    """Legible names of token ids, for labels: `␣the`, `↵`, `##ing`; what is no text or cannot be shown as `\\xe2`."""
    bytewise = isinstance(tokenizer.backend.decoder, decoders.ByteLevel)
    return [_legible(name, index, bytewise) for name, index in zip(tokenizer.names(ids), ids, strict=True)]


def described(tokenizer, table, *columns):
    """A table with the legible names of tokens in place of their ids, in these columns."""
    return table.assign(**{name: describe_tokens(tokenizer, table[name]) for name in columns})


_ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())  # of 256 characters, one for each byte
_PRINTED = [ord(character) for character in _ALPHABET if ord(character) < 256]  # bytes that spell themselves
_BYTE = dict(zip(_ALPHABET, [*_PRINTED, *sorted({*range(256)} - {*_PRINTED})], strict=True))  # the others go in order


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
