"""Tokenizers against known ids."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from headatlas.base.errors import InputError
from headatlas.data import corpora, tokenizer_reading, tokenizer_training
from texts import TEXTS

NAMES = ("tokenizer.json", "tokenizer_config.json")


def files_of(tokenizer, folder):
    folder.mkdir()
    tokenizer_reading.save_tokenizer(tokenizer, *(folder / name for name in NAMES))
    return [(folder / name).read_bytes() for name in NAMES]


def test_byte_level_tokenizer_has_the_size_asked_for_with_special_tokens_last(bpe):
    assert len(bpe) == 300
    assert (bpe.pad_token_id, bpe.mask_token_id) == (298, 299)
    assert bpe.all_special_ids == [298, 299]
    assert None not in bpe.names(range(300))


@settings(max_examples=50, deadline=None)
@given(text=st.text())
@example(text="a <|mask|> b")  # a text that spells a special token is read as that token
def test_byte_level_tokenizer_loses_nothing(bpe, text):
    assert bpe.backend.decode(bpe.encode(text), skip_special_tokens=False) == text


def test_words_tokenizer():
    tokenizer = tokenizer_training.train_tokenizer(["b a b c", "b a\nb <|pad|>"], "words", 10)
    assert tokenizer.backend.get_vocab() == {"b": 0, "a": 1, "c": 2, "<|unk|>": 3, "<|pad|>": 4, "<|mask|>": 5}
    assert tokenizer.encode("b c d a") == [0, 2, 3, 1]
    assert len(tokenizer_training.train_tokenizer(["b a b c a"], "words", 5)) == 5
    planted = corpora.load_corpus({"source": "repeated-tokens", "documents": 300})
    assert len(tokenizer_training.train_tokenizer(planted["text"], "words", 259)) == 259


def test_training_is_deterministic(bpe, tmp_path):
    again = tokenizer_training.train_tokenizer(TEXTS * 3, "byte-level-bpe", 300)
    assert files_of(bpe, tmp_path / "first") == files_of(again, tmp_path / "second")
    words = [tokenizer_training.train_tokenizer(["a b c d e f"], "words", 9) for _ in range(2)]
    assert files_of(words[0], tmp_path / "third") == files_of(words[1], tmp_path / "fourth")


TIES = """
import hashlib, itertools, sys

from headatlas.data import tokenizer_training

texts = [" ".join(map("".join, itertools.permutations(letters, 3))) for letters in ("abcd", "wxyz")]
for kind, size in (("byte-level-bpe", 300), ("words", 40)):
    print(hashlib.sha256(tokenizer_training.train_tokenizer(texts, kind, size).literal.to_str().encode()).hexdigest())
"""


def test_ties_are_broken_alike_in_every_process():
    """Pairs and words that occur as often as one another, counted by other threads in another order."""
    path = str(Path(tokenizer_training.__file__).parents[2])
    said = set()
    for number in range(5):
        order = {"RAYON_NUM_THREADS": str(1 + number % 3), "PYTHONHASHSEED": str(number), "PYTHONPATH": path}
        ran = subprocess.run([sys.executable, "-c", TIES], env={**os.environ, **order}, capture_output=True, check=True)
        said.add(ran.stdout)
    assert len(said) == 1
    assert len(next(iter(said)).split()) == 2


def word_pieces():
    """As BERT has them: lower case, a frame around a text, and a mask that takes the space before it."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat", "##s", "e", "##t", "##e", "a"]
    backend = tokenizers.Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    backend.add_special_tokens([*pieces[:4], "[IMAGE]", AddedToken("[MASK]", lstrip=True, special=True)])
    backend.add_tokens(["catsat"])  # no special one
    backend.enable_truncation(4)
    backend.enable_padding(length=9)
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return tokenizer_reading.Tokenizer(backend, special | {"mask_token": "[MASK]", "image_token": "[IMAGE]"}, longest=6)


KINDS = {
    "byte-level-bpe": lambda: tokenizer_training.train_tokenizer(TEXTS, "byte-level-bpe", 290),
    "words": lambda: tokenizer_training.train_tokenizer([*TEXTS, "<s> [MASK] </s>"] * 2, "words", 50),
    "word pieces": word_pieces,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_tokenizer_is_to_transformers_what_it_is_here(kind, tmp_path):
    files_of(KINDS[kind](), tmp_path / "saved")
    ours = tokenizer_reading.read_tokenizer(*(tmp_path / "saved" / name for name in NAMES))
    theirs = PreTrainedTokenizerFast.from_pretrained(tmp_path / "saved")
    assert len(ours) == len(theirs)
    assert ours.all_special_ids == sorted(theirs.all_special_ids)
    assert ours.names(range(len(ours) + 2)) == theirs.convert_ids_to_tokens(range(len(ours) + 2))
    for role in ("pad", "mask", "unk", "cls", "sep", "bos", "eos"):
        for attribute in (f"{role}_token", f"{role}_token_id"):
            assert getattr(ours, attribute) == getattr(theirs, attribute), attribute
    texts = [
        *TEXTS,
        "",
        " ",
        "\n",
        "The cats  [MASK]  [CLS] sat<|mask|>",
        "<s></s> [mask][IMAGE]",
        "Été e\u0301 \u202e\0🤖",
        "catsat",
    ]
    for text in [*texts, "the cat sat " * 700]:
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False), text
        literal = theirs.encode(text, add_special_tokens=False, split_special_tokens=True)
        assert ours.literal.encode(text, add_special_tokens=False).ids == literal, text
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False)  # neither way disturbs the other


def test_the_byte_level_alphabet_is_that_of_transformers():
    assert {character: byte for byte, character in bytes_to_unicode().items()} == tokenizer_reading._BYTE


@pytest.mark.parametrize("kind", KINDS)
def test_saved_tokenizers_load_everywhere(kind, tmp_path):
    tokenizer = KINDS[kind]()
    written = files_of(tokenizer, tmp_path / "saved")
    for loaded in (
        tokenizer_reading.read_tokenizer(*(tmp_path / "saved" / name for name in NAMES)),
        tokenizer_training.load_tokenizer(tmp_path / "saved" / "tokenizer.json"),
        tokenizer_training.load_tokenizer(tmp_path / "saved"),
        AutoTokenizer.from_pretrained(tmp_path / "saved"),
    ):
        assert len(loaded) == len(tokenizer)
        assert (loaded.pad_token_id, loaded.mask_token_id) == (tokenizer.pad_token_id, tokenizer.mask_token_id)
    again = tokenizer_reading.read_tokenizer(*(tmp_path / "saved" / name for name in NAMES))
    assert files_of(again, tmp_path / "again") == written
    again.literal.encode_batch(["a", "b c d"])  # a tokenizer that was used is still the same
    assert files_of(again, tmp_path / "used") == written


def test_bad_tokenizers(tmp_path):
    for action, word in (
        (lambda: tokenizer_training.train_tokenizer(TEXTS, "sentencepiece", 300), "byte-level-bpe"),
        (lambda: tokenizer_training.train_tokenizer(TEXTS, "byte-level-bpe", 257), "258"),
        (lambda: tokenizer_training.load_tokenizer(tmp_path / "tokenizer.json"), "no such file"),
        (lambda: tokenizer_training.load_tokenizer(tmp_path), "vocab.txt"),
        (lambda: tokenizer_training.load_tokenizer("someone/tokenizer"), "revision"),
    ):
        with pytest.raises(InputError, match=word) as caught:
            action()
        assert "\n" not in str(caught.value)
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0"')
    with pytest.raises(InputError, match="not a tokenizer"):
        tokenizer_training.load_tokenizer(tmp_path)
    files_of(word_pieces(), tmp_path / "saved")
    paths = [tmp_path / "saved" / name for name in NAMES]
    told = json.loads(paths[1].read_text())
    for text in (json.dumps(told | {"sep_token": "[END]"}), "{", "{}"):
        paths[1].write_text(text)
        with pytest.raises(InputError, match=r"saved/tokenizer\.json: not a tokenizer of this workflow"):
            tokenizer_reading.read_tokenizer(*paths)


def test_gpt2_from_bare_files(gpt2, tmp_path):
    assert gpt2.encode("Hello world") == [15496, 995]
    assert gpt2.eos_token_id == 50256
    assert gpt2.pad_token_id == 50257
    assert gpt2.mask_token_id is None
    assert len(gpt2) == 50258
    files_of(gpt2, tmp_path / "saved")
    loaded = tokenizer_training.load_tokenizer(tmp_path / "saved", mask=True)
    assert (len(loaded), loaded.pad_token_id, loaded.mask_token_id) == (50259, 50257, 50258)
    assert tokenizer_reading.describe_tokens(gpt2, gpt2.encode(" the\n café 東")) == [
        "␣the",
        "↵",
        "␣café",
        "␣\\xe6",
        "\\x9d",
        "\\xb1",
    ]


def test_bert_from_bare_files(mirror):
    bert = tokenizer_training.load_tokenizer("bert-base-uncased", mirror=mirror)
    assert len(bert) == 30522
    assert (bert.pad_token_id, bert.cls_token_id, bert.sep_token_id, bert.mask_token_id) == (0, 101, 102, 103)
    ids = bert.encode("Phrenology Été")
    assert "".join(tokenizer_reading.describe_tokens(bert, ids)).replace("##", "") == "phrenologyete"
    assert bert.backend.encode("hello").ids == [101, 7592, 102]


def test_tokenizers_of_the_pretrained_models(mirror):
    stories = tokenizer_training.load_tokenizer("someone/stories260K", mirror=mirror)
    assert stories.pad_token_id == 512  # it had none
    ids = stories.encode("Once upon a time")
    assert tokenizer_reading.describe_tokens(stories, [*ids, 9999]) == ["␣Once", "␣upon", "␣a", "␣time", "⟨id 9999⟩"]
    smiles = tokenizer_training.load_tokenizer(mirror / "models" / "rxnmapper_albert")
    assert (len(smiles), smiles.pad_token_id) == (591, 0)
    assert tokenizer_reading.describe_tokens(smiles, smiles.encode("BrC=O")) == [
        "Br",
        "C",
        "=",
        "O",
    ]


def test_a_prompt_is_encoded_or_refused_by_its_key(bpe):
    assert bpe.backend.decode(tokenizer_reading.encode_prompt(bpe, "the cat", 16, "prompt")) == "the cat"
    with pytest.raises(InputError, match=r"study\.prompt: '' is 0 tokens; allowed: 1 to 16"):
        tokenizer_reading.encode_prompt(bpe, "", 16, "study.prompt")
    with pytest.raises(InputError, match="allowed: 1 to 3,"):
        tokenizer_reading.encode_prompt(bpe, "the cat sat on the mat", 3, "study.prompt")


def test_a_prompt_that_is_not_given_is_the_beginning_of_a_window_and_fits(bpe):
    pad = bpe.pad_token_id
    window = np.array([pad, 7, 5, 3, 8, 9, 4, 6, pad], dtype=np.int32)
    assert tokenizer_reading.held_out_prompt(bpe, window, 16) == [7, 5, 3, 8, 9, 4]
    assert tokenizer_reading.held_out_prompt(bpe, window, 2) == [7, 5]
    assert tokenizer_reading.held_out_prompt(bpe, [4, pad, pad], 16) == [4]
    assert tokenizer_reading.given_or_held_out(bpe, None, window, 2, "study.prompt") == [7, 5]
    assert tokenizer_reading.given_or_held_out(bpe, "the cat", window, 16, "study.prompt") == bpe.encode("the cat")
    with pytest.raises(InputError, match=r"study\.prompt: '' is 0 tokens"):
        tokenizer_reading.given_or_held_out(bpe, "", window, 16, "study.prompt")


def test_a_model_that_looks_ahead_is_asked_at_masks(bpe):
    assert tokenizer_reading.reading(bpe, False) == {"causal": False, "pad": 298, "mask": 299}
    assert tokenizer_reading.reading(bpe, True) == {"causal": True, "pad": 298, "mask": None}


def test_columns_of_tokens_become_legible_and_others_stay(bpe):
    ids = bpe.encode("the cat")
    table = pd.DataFrame({"source": ids, "rank": range(len(ids))})
    described = tokenizer_reading.described(bpe, table, "source")
    assert list(described["source"]) == tokenizer_reading.describe_tokens(bpe, ids)
    assert list(described["rank"]) == list(range(len(ids)))
    assert list(table["source"]) == ids


def test_a_tokenizer_written_by_hand_as_the_page_says(tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "data.md").read_text()
    (text,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    (tmp_path / "tokenizer.json").write_text(text)
    tokenizer = tokenizer_training.load_tokenizer(str(tmp_path))
    assert list(tokenizer.encode("2012x")) == [2, 0, 1, 2, 3]
    assert tokenizer.pad_token_id == 4
    assert len(tokenizer.encode("20\n\n1")) == 4, "line breaks are no letters, and stand together"
    assert "(?m)." in page
    (tmp_path / "tokenizer.json").write_text(text.replace('"Regex": "."', '"Regex": "(?m)."'))
    assert list(tokenizer_training.load_tokenizer(str(tmp_path)).encode("20\n\n1")) == [2, 0, 3, 3, 1]
    words = text.replace(re.search(r'"pre_tokenizer": (\{.*\}),', text)[1], '{"type": "WhitespaceSplit"}')
    (tmp_path / "tokenizer.json").write_text(words)
    assert list(tokenizer_training.load_tokenizer(str(tmp_path)).encode("1 0 10")) == [1, 0, 3]
