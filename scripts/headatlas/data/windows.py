"""Windows of tokens: what models are trained, judged and looked at on."""

import random
import sys
from typing import NamedTuple

import numpy as np

from headatlas.base import progress, tables
from headatlas.base.errors import InputError
from headatlas.data.tokenizer_reading import MOST_UNKNOWN

SAMPLINGS = ("published", "corrected", "documents")
_BATCH, _CHARACTERS = 4096, 1 << 22  # texts encoded at once, and their characters, which take 40 bytes each meanwhile


class Windows(NamedTuple):
    """Windows of every seed: `tokens` int32 (seed, window, size) and `tags`, strings of that shape, or None."""

    tokens: np.ndarray
    tags: np.ndarray | None


def sample_windows(documents, tokenizer, *, seeds, count, size, sampling, split, with_tags=False, key="windows"):
    """Draw windows of tokens from a corpus.

    For each seed `random.Random(seed).sample` draws, without replacement, the passages at which windows start
    (Edkins & Wiechecki 2023, "Attention phrenology"). From there a window is

    - `published`: whole passages, encoded one by one and appended until the window is full, then cut;
    - `corrected`: passages joined to one string (by a space where passages are the sentences of a tagged corpus, by a
      line break elsewhere), encoded as one, then cut;
    - `documents`: that one passage, cut or padded (Jayakumar et al.).

    Where more `corrected` windows are wanted than there are passages, each seed draws starts from all tokens of the
    split instead, without replacement, and a line of the log says so.

    Past the last passage of the split the first two go on with its first one. Text that spells a special token is
    encoded as plain text, and nothing is put before or after it.

    Parameters
    ----------
    documents : Mapping or DataFrame
        Columns `split`, `text`, and with tags `words`, `tags`.
    tokenizer : tokens.Tokenizer
    seeds : sequence of int
    count, size : int
        Windows per seed; tokens per window.
    sampling : {"published", "corrected", "documents"}
    split : {"train", "validation", "test", "held-out"}
        `held-out` is all that is not train.
    with_tags : bool
        Whether to give each token the part-of-speech tag of the word that holds its first character other than
        white space ("" for padding and for tokens without one).
    key : str
        Where the configuration says how many windows are wanted, for errors.

    Returns
    -------
    Windows

    Raises
    ------
    InputError
        If the split has too few passages (`corrected`: tokens) for the windows that are wanted, or no tokens, or more
        than half of the tokens are unknown to the tokenizer, or there are no tags.
    """
    if sampling not in SAMPLINGS:
        raise InputError(f"sampling: {sampling!r} is unknown; allowed: {', '.join(SAMPLINGS)}")
    passages = _Passages(documents, tokenizer, split, with_tags)
    if count > len(passages):
        if sampling == "corrected" and len(passages):
            return _anywhere(passages, tokenizer, seeds, count, size, key)
        anywhere = ", or `sampling: corrected`, whose windows start anywhere" if sampling == "published" else ""
        raise InputError(
            f"{key}: {count} of them are wanted, but the {split} split has {len(passages)} passages to start at "
            f"(each is used at most once); allowed: at most {len(passages)}{anywhere}"
        )
    drawn = [random.Random(int(seed)).sample(range(len(passages)), count) for seed in seeds]
    starts = np.array(drawn)  # (seed, window)
    unique, place = np.unique(starts, return_inverse=True)
    if sampling == "documents":
        rows = _padded(passages, unique, size, tokenizer.pad_token_id)
    elif sampling == "published":
        rows = _appended(passages, unique, size)
    else:
        rows = _joined(passages, unique, size)
    _check(rows[0], tokenizer, passages)
    return Windows(*(None if part is None else part[place.reshape(starts.shape)] for part in rows))


def _anywhere(passages, tokenizer, seeds, count, size, key):
    """Windows that start at any token of the split's text, encoded as one string."""
    tokens, tags = passages.stream()
    if not len(tokens):
        raise passages.nothing()
    if count > len(tokens):
        raise InputError(
            f"{key}: {count} of them are wanted, but the {passages.split} split has {len(tokens)} tokens to start at "
            f"(each is used at most once); allowed: at most {len(tokens)}, or more text"
        )
    print(
        f"windows: {count} are wanted and the {passages.split} split has {len(passages)} passages: they start at any "
        f"of its {len(tokens)} tokens",
        file=sys.stderr,
    )
    starts = np.array([random.Random(int(seed)).sample(range(len(tokens)), count) for seed in seeds])
    at = (starts[..., None] + np.arange(size)) % len(tokens)  # (seed, window, size)
    windows = Windows(tokens[at], None if tags is None else tags[at])
    _check(windows.tokens, tokenizer, passages)
    return windows


def _check(tokens, tokenizer, passages):
    """There is something in windows (row, size), and the tokenizer knows what."""
    real = tokens != (-1 if tokenizer.pad_token_id is None else tokenizer.pad_token_id)
    if not real.any():
        raise passages.nothing()
    if tokenizer.unk_token_id is not None:
        unknown = (tokens[real] == tokenizer.unk_token_id).mean()
        if unknown > MOST_UNKNOWN:
            raise InputError(
                f"tokenizer: {unknown:.0%} of the tokens of the {passages.split} split are {tokenizer.unk_token}, "
                f"unknown to it; allowed: at most {MOST_UNKNOWN:.0%}, a tokenizer for such text"
            )


class _Passages:
    """The passages of a split and their encodings, each made once and when first asked for."""

    def __init__(self, documents, tokenizer, split, with_tags):
        column = np.asarray(documents["split"])
        if split not in ("train", "validation", "test", "held-out"):
            raise InputError(f"split: {split!r} is unknown; allowed: train, validation, test, held-out")
        if with_tags and "tags" not in documents:
            raise InputError("tags: the corpus has no part-of-speech tags")
        rows = np.flatnonzero(column != "train" if split == "held-out" else column == split)
        self.split, self.tagged = split, with_tags
        texts, words, tags = (
            list(documents[name]) if name in documents else None for name in ("text", "words", "tags")
        )
        self.texts = [texts[row] for row in rows]
        self.between = "\n" if words is None else " "
        self._tags = [_character_tags(texts[row], words[row], tags[row]) for row in rows] if with_tags else None
        self._encoder = tokenizer.literal
        self._known = {}
        self.lengths = np.full(len(rows), -1)  # in tokens, -1 where not yet encoded

    def __len__(self):
        return len(self.texts)

    def encode(self, texts, tags=None):
        """Encode texts: per text its ids (int32), and the tags of its tokens or None."""
        encode = self._encoder.encode_batch_fast if tags is None else self._encoder.encode_batch
        encoded, blocks = [], list(_blocks(texts))
        for block in blocks if len(blocks) < 2 else progress.track(blocks, "encoding text", "blocks of texts"):
            for encoding in encode(texts[block], add_special_tokens=False):
                of_tokens = None if tags is None else _token_tags(encoding.offsets, tags[len(encoded)])
                encoded.append((np.array(encoding.ids, dtype=np.int32), of_tokens))
        return encoded

    def nothing(self):
        return InputError(f"the {self.split} split has no token in its {len(self)} passages")

    def know(self, indices):
        """Encode the passages of these indices that are not known yet; return all of them."""
        new = [int(index) for index in np.unique(indices) if self.lengths[index] < 0]
        tags = None if self._tags is None else [self._tags[index] for index in new]
        for index, encoded in zip(new, self.encode([self.texts[index] for index in new], tags), strict=True):
            self._known[index] = encoded
            self.lengths[index] = len(encoded[0])
        return [self._known[int(index)] for index in indices]

    def join(self, start, count):
        """`count` passages from `start` on as one string, and the tags of its characters or None."""
        indices = np.arange(start, start + count) % len(self)
        text = self.between.join(self.texts[index] for index in indices)
        if self._tags is None:
            return text, None
        return text, [tag for index in indices for tag in (*self._tags[index], *[""] * len(self.between))]

    def stream(self):
        """The tokens of all passages, joined, and their tags or None; a block of passages is encoded as one string."""
        texts, tags = [], []
        for block in _blocks(self.texts):
            text, of_characters = self.join(block.start, block.stop - block.start)
            texts.append(text + self.between)  # after the last passage too, where the first one follows
            tags.append(of_characters)
        ids, of_tokens = zip(*self.encode(texts, None if self._tags is None else tags), strict=True)
        return np.concatenate(ids), None if self._tags is None else np.concatenate(of_tokens)

    def reach(self, starts, size):
        """How many passages from each start on hold `size` tokens when encoded one by one."""
        counts, filled = np.zeros(len(starts), dtype=int), np.zeros(len(starts), dtype=int)
        while (short := filled < size).any():
            if counts.max() >= len(self) and not self.lengths.any():
                raise self.nothing()
            following = (starts[short] + counts[short]) % len(self)
            self.know(following)
            filled[short] += self.lengths[following]
            counts[short] += 1
        return counts


def _blocks(texts):
    """Slices of texts that are encoded at once."""
    start = characters = 0
    for at, text in enumerate(texts):
        if at - start == _BATCH or (at > start and characters + len(text) > _CHARACTERS):
            yield slice(start, at)
            start, characters = at, 0
        characters += len(text)
    if start < len(texts):
        yield slice(start, len(texts))


def _character_tags(text, words, tags):
    """The tag of the word that holds each character of a text, "" between words."""
    found, at = [""] * len(text), 0
    for word, tag in zip(words, tags, strict=True):
        at = text.index(word, at)
        found[at : at + len(word)] = [tag] * len(word)
        at += len(word)
    return found


def _token_tags(offsets, character_tags):
    # words hold no white space, so the first tagged character is the first one that is not white space
    return np.array([next(filter(None, character_tags[start:stop]), "") for start, stop in offsets], dtype=object)


def _appended(passages, starts, size):
    """Windows (start, size) of passages encoded one by one."""
    passages.reach(starts, size)
    known = np.flatnonzero(passages.lengths >= 0)
    # From every start on all passages that are needed are known, so they lie side by side here; past the last
    # passage of the split comes its first one.
    begins = np.concatenate([[0], np.cumsum(passages.lengths[known])])
    at = (begins[np.searchsorted(known, starts)][:, None] + np.arange(size)) % begins[-1]  # (start, size)
    ids, tags = zip(*passages.know(known), strict=True)
    return np.concatenate(ids)[at], np.concatenate(tags)[at] if passages.tagged else None


def _joined(passages, starts, size):
    """Windows (start, size) of passages encoded as one string."""
    # One passage more than should be needed, so that what ends a window is encoded with what follows it.
    counts = passages.reach(starts, size) + 1
    rows, left = [None] * len(starts), range(len(starts))
    while left:
        texts, tags = zip(*(passages.join(starts[row], counts[row]) for row in left), strict=True)
        for row, encoded in zip(left, passages.encode(texts, tags if passages.tagged else None), strict=True):
            rows[row] = encoded
        left = [row for row in left if len(rows[row][0]) < size]
        counts[left] += 1
    return _cut(rows, size, None, passages.tagged)


def _padded(passages, starts, size, pad):
    """Windows (start, size) of one passage each."""
    if pad is None:
        raise InputError("sampling documents: the tokenizer has no padding token")
    return _cut(passages.know(starts), size, pad, passages.tagged)


def _cut(encoded, size, pad, tagged):
    """Windows (row, size) from encoded texts of any length, padded where too short."""
    tokens = np.full((len(encoded), size), -1 if pad is None else pad, dtype=np.int32)
    tags = np.full(tokens.shape, "", dtype=object) if tagged else None
    for row, (ids, of_tokens) in enumerate(encoded):
        tokens[row, : len(ids)] = ids[:size]
        if tagged:
            tags[row, : len(ids)] = of_tokens[:size]
    return tokens, tags


def write_windows(path, windows, *, members, pad, mask, vocabulary, sampling, provenance=None):
    """Write a table of windows.

    Parameters
    ----------
    path : path-like
    windows : Windows
        Of shape (member, window, size).
    members : sequence of int
        The member of each row of `windows`; -1 for windows that all members share.
    pad, mask : int or None
        Ids of padding, where windows may hold it, and of the mask.
    vocabulary : int
        Number of token ids.
    sampling : str
        How the windows were drawn.
    provenance : Mapping, optional
    """
    members = np.asarray(members, dtype=np.int32)
    of_members, count, size = windows.tokens.shape
    if len(members) != of_members:
        raise ValueError(f"{len(members)} members for windows of {of_members}")
    columns = {
        "member": np.repeat(members, count),
        "window": np.tile(np.arange(count, dtype=np.int32), of_members),
        "tokens": windows.tokens.reshape(-1, size).astype(np.int32),
    }
    if windows.tags is not None:
        columns["tags"] = windows.tags.reshape(-1, size)
    facts = {"pad": pad, "mask": mask, "size": size, "vocabulary": vocabulary, "sampling": sampling}
    facts |= {"members": of_members, "tagged": windows.tags is not None}
    tables.write(path, columns, facts=facts, provenance=provenance)


def read_windows(path, member=None):
    """Tokens of one member's windows, or of all rows, as an int32 array (window, size)."""
    tokens = tables.read_lists(path, "tokens", **({} if member is None else {"member": member}))
    if not len(tokens):
        raise InputError(f"{path}: no windows of member {member}")
    return tokens


def read_member_windows(path):
    """Tokens of all members' windows as an int32 array (member, window, size)."""
    tokens = tables.read_lists(path, "tokens")
    return tokens.reshape(tables.facts(path)["members"], -1, tokens.shape[1])


def read_tags(path):
    """Part-of-speech tags of all windows as an array of str (window, size); None where the corpus has none."""
    return tables.read_lists(path, "tags") if tables.facts(path)["tagged"] else None
