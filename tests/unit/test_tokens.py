"""Tokenizers against known ids."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from headatlas import corpora, tokens
from headatlas.errors import InputError
from samples import TEXTS


def files_of(tokenizer, folder):
    folder.mkdir()
    tokens.save_tokenizer(tokenizer, folder / "tokenizer.json", folder / "tokenizer_config.json")
    return [(folder / name).read_bytes() for name in ("tokenizer.json", "tokenizer_config.json")]


def test_byte_level_tokenizer_has_the_size_asked_for_with_special_tokens_last(bpe):
    assert len(bpe) == 300
    assert (bpe.pad_token_id, bpe.mask_token_id) == (298, 299)
    assert len(set(bpe.get_vocab().values())) == 300


@settings(max_examples=50, deadline=None)
@given(text=st.text())
def test_byte_level_tokenizer_loses_nothing(bpe, text):
    assert bpe.decode(bpe(text, add_special_tokens=False)["input_ids"]) == text


def test_words_tokenizer():
    tokenizer = tokens.train_tokenizer(["b a b c", "b a\nb <|pad|>"], "words", 10)
    assert tokenizer.get_vocab() == {"b": 0, "a": 1, "c": 2, "<|unk|>": 3, "<|pad|>": 4, "<|mask|>": 5}
    assert tokenizer("b c d a")["input_ids"] == [0, 2, 3, 1]
    assert len(tokens.train_tokenizer(["b a b c a"], "words", 5)) == 5
    planted = corpora.load_corpus({"source": "repeated-tokens", "documents": 300})
    assert len(tokens.train_tokenizer(planted["text"], "words", 259)) == 259


def test_training_is_deterministic(bpe, tmp_path):
    again = tokens.train_tokenizer(TEXTS * 3, "byte-level-bpe", 300)
    assert files_of(bpe, tmp_path / "first") == files_of(again, tmp_path / "second")
    words = [tokens.train_tokenizer(["a b c d e f"], "words", 9) for _ in range(2)]
    assert files_of(words[0], tmp_path / "third") == files_of(words[1], tmp_path / "fourth")


@pytest.mark.parametrize("kind", ["byte-level-bpe", "words"])
def test_saved_tokenizers_load_everywhere(kind, tmp_path):
    tokenizer = tokens.train_tokenizer(TEXTS, kind, 290)
    written = files_of(tokenizer, tmp_path / "saved")
    for loaded in (
        tokens.load_tokenizer(tmp_path / "saved" / "tokenizer.json"),
        tokens.load_tokenizer(tmp_path / "saved"),
        PreTrainedTokenizerFast.from_pretrained(tmp_path / "saved"),
        AutoTokenizer.from_pretrained(tmp_path / "saved"),
    ):
        assert loaded.get_vocab() == tokenizer.get_vocab()
        assert (loaded.pad_token_id, loaded.mask_token_id) == (tokenizer.pad_token_id, tokenizer.mask_token_id)
        assert loaded(TEXTS[0])["input_ids"] == tokenizer(TEXTS[0])["input_ids"]
    again = tokens.load_tokenizer(tmp_path / "saved")
    assert files_of(again, tmp_path / "again") == written
    again(["a", "b c d"], padding=True, truncation=True, max_length=2)  # a tokenizer that was used is still the same
    assert files_of(again, tmp_path / "used") == written


def test_bad_tokenizers(tmp_path):
    for action, word in (
        (lambda: tokens.train_tokenizer(TEXTS, "sentencepiece", 300), "byte-level-bpe"),
        (lambda: tokens.train_tokenizer(TEXTS, "byte-level-bpe", 257), "258"),
        (lambda: tokens.load_tokenizer(tmp_path / "tokenizer.json"), "no such file"),
        (lambda: tokens.load_tokenizer(tmp_path), "vocab.txt"),
        (lambda: tokens.load_tokenizer("someone/tokenizer"), "revision"),
    ):
        with pytest.raises(InputError, match=word) as caught:
            action()
        assert "\n" not in str(caught.value)
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0"')
    with pytest.raises(InputError, match="not a tokenizer"):
        tokens.load_tokenizer(tmp_path)


def test_gpt2_from_bare_files(gpt2, tmp_path):
    assert gpt2("Hello world")["input_ids"] == [15496, 995]
    assert gpt2.eos_token_id == 50256
    assert gpt2.pad_token_id == 50257
    assert gpt2.mask_token_id is None
    assert len(gpt2) == 50258
    files_of(gpt2, tmp_path / "saved")
    loaded = tokens.load_tokenizer(tmp_path / "saved", mask=True)
    assert (len(loaded), loaded.pad_token_id, loaded.mask_token_id) == (50259, 50257, 50258)
    assert tokens.describe_tokens(gpt2, gpt2(" the\n café 東")["input_ids"]) == [
        "␣the",
        "↵",
        "␣café",
        "␣\\xe6",
        "\\x9d",
        "\\xb1",
    ]


def test_bert_from_bare_files(mirror):
    bert = tokens.load_tokenizer("bert-base-uncased", mirror=mirror)
    assert len(bert) == 30522
    assert (bert.pad_token_id, bert.cls_token_id, bert.sep_token_id, bert.mask_token_id) == (0, 101, 102, 103)
    ids = bert("Phrenology Été", add_special_tokens=False)["input_ids"]
    assert "".join(tokens.describe_tokens(bert, ids)).replace("##", "") == "phrenologyete"
    assert bert("hello")["input_ids"] == [101, 7592, 102]


def test_tokenizers_of_the_pretrained_models(mirror):
    stories = tokens.load_tokenizer("someone/stories260K", mirror=mirror)
    assert stories.pad_token_id == 512  # it had none
    ids = stories("Once upon a time", add_special_tokens=False)["input_ids"]
    assert tokens.describe_tokens(stories, [*ids, 9999]) == ["␣Once", "␣upon", "␣a", "␣time", "⟨id 9999⟩"]
    smiles = tokens.load_tokenizer(mirror / "models" / "rxnmapper_albert")
    assert (len(smiles), smiles.pad_token_id) == (591, 0)
    assert tokens.describe_tokens(smiles, smiles("BrC=O", add_special_tokens=False)["input_ids"]) == [
        "Br",
        "C",
        "=",
        "O",
    ]


def test_a_prompt_is_encoded_or_refused_by_its_key(bpe):
    assert bpe.decode(tokens.encode_prompt(bpe, "the cat", 16, "prompt")) == "the cat"
    with pytest.raises(InputError, match=r"study\.prompt: '' is 0 tokens; allowed: 1 to 16"):
        tokens.encode_prompt(bpe, "", 16, "study.prompt")
    with pytest.raises(InputError, match="allowed: 1 to 3,"):
        tokens.encode_prompt(bpe, "the cat sat on the mat", 3, "study.prompt")
