"""Windows against a plain reimplementation of each way to draw them."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.data import corpora, tokenizer_reading, tokenizer_training, windows
from texts import TEXTS


@pytest.fixture(scope="module")
def brown(mirror):
    return corpora.load_corpus({"source": "nltk", "name": "brown"}, mirror)


def documents_of(texts, train):
    return {"split": ["train"] * train + ["test"] * (len(texts) - train), "text": list(texts)}


def brute_force(texts, tokenizer, seed, count, size, sampling, between):
    """The three ways to draw windows, word for word as their descriptions, one window at a time."""

    def encode(text):
        return tokenizer.literal.encode(text, add_special_tokens=False).ids

    drawn = []
    for start in random.Random(seed).sample(range(len(texts)), count):
        if sampling == "documents":
            ids = encode(texts[start])[:size]
            ids += [tokenizer.pad_token_id] * (size - len(ids))
        elif sampling == "published":
            ids, at = [], start
            while len(ids) < size:
                ids += encode(texts[at % len(texts)])
                at += 1
        else:
            at, text = start + 1, texts[start]
            while len(encode(text)) < 2 * size + 20:  # far more text than the window holds
                text += between + texts[at % len(texts)]
                at += 1
            ids = encode(text)
        drawn.append(ids[:size])
    return np.array(drawn)


@pytest.mark.parametrize("sampling", windows.SAMPLINGS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_windows_equal_those_drawn_one_by_one(bpe, sampling, data):
    words = st.lists(st.sampled_from(["the", "cat", "sat", ",", "東京", "<|pad|>", "dog."]), min_size=1, max_size=6)
    texts = data.draw(st.lists(words.map(" ".join), min_size=2, max_size=8))
    train = data.draw(st.integers(1, len(texts)))
    size, seeds = data.draw(st.integers(1, 20)), data.draw(st.lists(st.integers(0, 9999), min_size=1, max_size=3))
    count = data.draw(st.integers(1, train))
    drawn = windows.sample_windows(
        documents_of(texts, train), bpe, seeds=seeds, count=count, size=size, sampling=sampling, split="train"
    )
    assert drawn.tags is None
    assert drawn.tokens.shape == (len(seeds), count, size)
    assert drawn.tokens.dtype == np.int32
    for row, seed in zip(drawn.tokens, seeds, strict=True):
        np.testing.assert_array_equal(row, brute_force(texts[:train], bpe, seed, count, size, sampling, "\n"))
    if sampling != "documents":  # text that spells the padding token is text
        assert (drawn.tokens < bpe.pad_token_id).all()


@pytest.mark.parametrize("sampling", windows.SAMPLINGS)
def test_windows_of_brown(brown, gpt2, sampling):
    """The real corpus and tokenizer; the first analysis prompt is the one that Edkins & Wiechecki 2023 show."""
    split = np.array(brown["split"])
    train = [text for text, part in zip(brown["text"], split, strict=True) if part == "train"]
    drawn = windows.sample_windows(brown, gpt2, seeds=[990, 991], count=40, size=17, sampling=sampling, split="train")
    for row, seed in zip(drawn.tokens, (990, 991), strict=True):
        np.testing.assert_array_equal(row, brute_force(train, gpt2, seed, 40, 17, sampling, " "))
    shown = windows.sample_windows(
        brown, gpt2, seeds=[9992], count=1024, size=16, sampling=sampling, split="held-out", with_tags=True
    )
    assert gpt2.backend.decode(shown.tokens[0, 0]).startswith("They sit alone in their rooms")
    prompt = tokenizer_reading.held_out_prompt(gpt2, shown.tokens[0, 0], 16)
    assert gpt2.backend.decode(prompt) == "They sit alone in their rooms"
    assert shown.tags[0, 0, :6].tolist() == ["PPSS", "VB", "RB", "IN", "PP$", "NNS"]
    assert ((shown.tags == "") == (shown.tokens == gpt2.pad_token_id)).mean() > 0.999  # but for stray white space


def test_ensemble_draws_what_each_seed_draws_alone(brown, bpe):
    asked = {"count": 30, "size": 12, "sampling": "corrected", "split": "train"}
    together = windows.sample_windows(brown, bpe, seeds=[3, 1, 2], **asked)
    for row, seed in zip(together.tokens, (3, 1, 2), strict=True):
        np.testing.assert_array_equal(row, windows.sample_windows(brown, bpe, seeds=[seed], **asked).tokens[0])


TAGGED = {
    "split": ["train", "train", "test"],
    "text": ["The unbelievable, cat", "sat.", "Odd"],
    "words": [["The", "unbelievable", ",", "cat"], ["sat", "."], ["Odd"]],
    "tags": [["AT", "JJ", ",", "NN"], ["VB", "."], ["JJ"]],
}


@pytest.mark.parametrize("sampling", windows.SAMPLINGS)
def test_tags_of_tokens_that_are_single_bytes(sampling):
    """Every character has the tag of its word, and spaces have none."""
    byte = tokenizer_training.train_tokenizer(TEXTS, "byte-level-bpe", 258)
    drawn = windows.sample_windows(
        TAGGED, byte, seeds=[0], count=2, size=40, sampling=sampling, split="train", with_tags=True
    )
    first = ["AT"] * 3 + [""] + ["JJ"] * 12 + [","] + [""] + ["NN"] * 3
    second = ["VB"] * 3 + ["."]
    between = {"published": [], "corrected": [""], "documents": [""] * 40}[sampling]
    endless = {"T": (first + between + second + between) * 9, "s": (second + between + first + between) * 9}
    assert {byte.backend.decode(ids[:1]) for ids in drawn.tokens[0]} == set(endless)
    for ids, tags in zip(drawn.tokens[0], drawn.tags[0], strict=True):
        assert tags.tolist() == endless[byte.backend.decode(ids[:1])][:40]


def test_a_token_has_the_tag_of_the_word_it_begins_in():
    words = tokenizer_training.train_tokenizer(
        TAGGED["text"], "words", 20
    )  # a comma belongs to the token of the word before it
    drawn = windows.sample_windows(
        TAGGED, words, seeds=[0], count=1, size=3, sampling="corrected", split="held-out", with_tags=True
    )
    assert drawn.tags.tolist() == [[["JJ", "JJ", "JJ"]]]
    drawn = windows.sample_windows(
        TAGGED, words, seeds=[0], count=2, size=4, sampling="documents", split="train", with_tags=True
    )
    assert sorted(drawn.tags[0].tolist()) == [["AT", "JJ", "NN", ""], ["VB", "", "", ""]]


@pytest.fixture(scope="module")
def bytewise(bpe):
    """Two tokenizers that cut a text into bytes or runs of them."""
    return [bpe, tokenizer_training.train_tokenizer(TEXTS, "byte-level-bpe", 258)]


@settings(max_examples=50, deadline=None)
@given(words=st.lists(st.text("abtheé東🤖,.'$\0", min_size=1, max_size=5), min_size=1, max_size=8))
def test_tags_stay_with_their_words_however_a_text_is_cut(bytewise, words):
    """The words' places, found by counting bytes; each word has a tag of its own."""
    owner = []  # of each byte of the text: its word, or None between words
    for at, word in enumerate(words):
        owner += [None] * (at > 0 and word[0].isalnum()) + [at] * len(word.encode())
    passage = {"text": [corpora.join_words(words)], "words": [words], "split": ["train"]}
    passage["tags"] = [[f"T{at}" for at in range(len(words))]]
    assert len(owner) == len(passage["text"][0].encode())
    for tokenizer in bytewise:
        drawn = windows.sample_windows(
            passage,
            tokenizer,
            seeds=[0],
            count=1,
            size=len(owner) + 1,
            sampling="documents",
            split="train",
            with_tags=True,
        )
        start, names = 0, tokenizer.names(drawn.tokens[0, 0])
        for name, tag in zip(names, drawn.tags[0, 0], strict=True):
            if name == tokenizer.pad_token:
                assert tag == ""
                continue
            own = next((word for word in owner[start : start + len(name)] if word is not None), None)
            assert tag == ("" if own is None else f"T{own}")
            start += len(name)  # the byte-level alphabet spells each byte as one character
        assert start == len(owner)


@pytest.mark.parametrize("blocks", [1, 2], ids=["one block", "blocks"])
def test_more_windows_than_passages_start_anywhere(bpe, monkeypatch, capsys, blocks):
    """Each token of the text is a start once; the windows are contiguous text, whatever the blocks it is encoded in."""
    texts = [f"{word} cat sat on the mat" for word in ("The", "A", "One", "that")]
    if blocks > 1:
        monkeypatch.setattr(windows, "_BATCH", 2)
    joined = "\n".join([*texts, ""])
    whole = bpe.literal.encode(joined, add_special_tokens=False).ids
    count, asked = len(whole), {"sampling": "corrected", "split": "train"}
    drawn = windows.sample_windows(documents_of(texts, 4), bpe, seeds=[0, 1], count=count, size=6, **asked)
    if blocks == 1:
        expected = sorted((whole + whole)[at : at + 6] for at in range(count))
        for windows_of_seed in drawn.tokens.tolist():
            assert sorted(windows_of_seed) == expected
        assert drawn.tokens[0].tolist() != drawn.tokens[1].tolist()
    for row in drawn.tokens[0]:
        assert bpe.backend.decode(row.tolist()) in joined + joined
    assert f"windows: {count} are wanted and the train split has 4 passages" in capsys.readouterr().err
    few = windows.sample_windows(documents_of(texts, 4), bpe, seeds=[0], count=4, size=6, **asked)
    np.testing.assert_array_equal(few.tokens[0], brute_force(texts, bpe, 0, 4, 6, "corrected", "\n"))


def test_windows_that_start_anywhere_keep_their_tags():
    byte = tokenizer_training.train_tokenizer(TEXTS, "byte-level-bpe", 258)
    text, tags = "The unbelievable, cat sat. ", ["AT"] * 3 + [""] + ["JJ"] * 12 + [","] + [""] + ["NN"] * 3
    tags += ["", *["VB"] * 3, ".", ""]
    drawn = windows.sample_windows(
        TAGGED, byte, seeds=[0], count=27, size=7, sampling="corrected", split="train", with_tags=True
    )
    expected = sorted(((text * 2)[at : at + 7], (tags * 2)[at : at + 7]) for at in range(27))
    decoded = [byte.backend.decode(row.tolist()) for row in drawn.tokens[0]]
    assert sorted(zip(decoded, drawn.tags[0].tolist(), strict=True)) == expected


OVER = r"^models\.toy\.training\.windows: 999 .* \d+ tokens to start at .*; allowed: at most \d+, or more text$"


def test_windows_that_cannot_be(bpe):
    asked = {"seeds": [0], "count": 2, "size": 4, "sampling": "published", "split": "train"}
    for documents, change, word in (
        (TAGGED, {"count": 3}, "3 of them are wanted, but the train split has 2 passages"),
        (TAGGED, {"count": 3}, "allowed: at most 2, or `sampling: corrected`"),
        (TAGGED, {"count": 3, "sampling": "documents"}, "allowed: at most 2$"),
        (TAGGED, {"count": 999, "sampling": "corrected", "key": "models.toy.training.windows"}, OVER),
        (TAGGED, {"sampling": "random"}, "published, corrected, documents"),
        (TAGGED, {"split": "all"}, "held-out"),
        (documents_of(TEXTS, 3), {"with_tags": True}, "no part-of-speech tags"),
        (documents_of(["", ""], 2), {}, "no token"),
    ):
        with pytest.raises(InputError, match=word) as caught:
            windows.sample_windows(documents, bpe, **(asked | change))
        assert "\n" not in str(caught.value)


def test_windows_on_disk(bpe, tmp_path):
    path = tmp_path / "windows.parquet"
    drawn = windows.sample_windows(TAGGED, bpe, seeds=[5, 6, 7], count=2, size=4, sampling="published", split="train")
    told = {"pad": 298, "mask": 299, "vocabulary": 300, "sampling": "published"}
    windows.write_windows(path, drawn, members=[0, 1, 2], **told)
    assert tables.facts(path) == told | {"size": 4, "members": 3, "tagged": False}
    np.testing.assert_array_equal(windows.read_member_windows(path), drawn.tokens)
    np.testing.assert_array_equal(windows.read_windows(path), drawn.tokens.reshape(-1, 4))
    np.testing.assert_array_equal(windows.read_windows(path, 1), drawn.tokens[1])
    assert windows.read_windows(path).dtype == np.int32
    assert windows.read_tags(path) is None
    frame = tables.read(path, ["member", "window"])
    assert frame["member"].tolist() == [0, 0, 1, 1, 2, 2]
    assert frame["window"].tolist() == [0, 1] * 3
    with pytest.raises(InputError, match="member 9"):
        windows.read_windows(path, 9)

    tagged = windows.sample_windows(
        TAGGED, bpe, seeds=[5], count=1, size=4, sampling="published", split="held-out", with_tags=True
    )
    windows.write_windows(path, tagged, members=[-1], **told)
    np.testing.assert_array_equal(windows.read_windows(path, -1), tagged.tokens[0])
    assert windows.read_tags(path).tolist() == tagged.tags[0].tolist()


def test_documents_from_a_table(bpe, tmp_path):
    """A corpus that went through a file gives the same windows as the one in memory."""
    columns = {"document": np.arange(3, dtype=np.int32), **TAGGED}
    tables.write(tmp_path / "documents.parquet", columns)
    asked = {"seeds": [1], "count": 2, "size": 9, "sampling": "corrected", "split": "train", "with_tags": True}
    for ours, theirs in zip(
        windows.sample_windows(tables.read(tmp_path / "documents.parquet"), bpe, **asked),
        windows.sample_windows(columns, bpe, **asked),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
