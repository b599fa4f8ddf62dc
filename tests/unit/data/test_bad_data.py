"""Bad data, read as the scripts read it: each kind works, or is one line: where, what, what is allowed."""

import json
import resource
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from architectures import architecture_of
from brief_training import BRIEF
from headatlas.attention import patterns
from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.data import corpora, ngram_baselines, tokenizer_reading, tokenizer_training, windows
from headatlas.data.corpora import LONGEST, load_corpus
from headatlas.models import families, training, transformer
from headatlas.scores import pattern_scores

DRAWN = {"seeds": [0, 1], "count": 3, "size": 9, "sampling": "corrected", "split": "train"}


def json_lines(path, texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return {"source": "files", "files": [path]}


def error_of(action):
    with pytest.raises(InputError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def taken_through(columns, tokenizer, folder):
    """What the steps from windows to scores make of a corpus, for a model of two members; the baselines and scores."""
    train = windows.sample_windows(columns, tokenizer, **DRAWN)
    evaluation = windows.sample_windows(
        columns, tokenizer, **{**DRAWN, "seeds": [2], "count": 1, "split": "validation"}
    )
    shape = {"layers": 1, "heads": 2, "context": 8, "d_model": 8, "d_head": 4, "d_mlp": 8}
    architecture = architecture_of(**shape, vocabulary=len(tokenizer))
    how = replace(BRIEF, epochs=1, batch=3, evaluations=1)
    pad = tokenizer.pad_token_id
    weights, history = training.train(architecture, [0, 1], train.tokens, evaluation.tokens[0], how, pad=pad)
    assert np.isfinite(history["loss"]).all()
    config = {"kind": "toy", "architecture": asdict(architecture), "pad": pad}
    families.save_family(folder / "model.safetensors", folder / "config.json", weights, config)
    family = families.load_family(folder / "model.safetensors", folder / "config.json")
    shown = train.tokens[0, :, :8]
    patterns.write(folder / "patterns.parquet", family, shown)
    found = [(member, layer, 0, part) for member, layer, part in patterns.iterate_heads(folder / "patterns.parquet")]
    baselines = ngram_baselines.baselines(train.tokens, evaluation.tokens[0], len(tokenizer), pad, causal=True)
    return baselines, pattern_scores.score_table(found, shown, causal=True, pad=pad)


GOOD = [f"The {thing} sat on the mat." for thing in ("cat", "dog", "king", "moon")]
ODD = {
    "empty documents": ["", "   ", "\n\n", *GOOD] * 3,
    "duplicate documents": [GOOD[0]] * 12,
    "emoji and NULs": ["A \0 in it, and \0\0 two.", "\U0001f469\u200d\U0001f467 family", "\u202e backwards \x07"] * 5,
    "one token": ["a"] * 12,
}


@pytest.mark.parametrize("kind", ["byte-level-bpe", "words"])
@pytest.mark.parametrize("texts", ODD.values(), ids=ODD)
def test_odd_corpora_work(tmp_path, texts, kind):
    columns = load_corpus(json_lines(tmp_path / "odd.jsonl", texts))
    tables.write(tmp_path / "documents.parquet", columns)
    read = tables.read(tmp_path / "documents.parquet")
    assert sorted(read["text"]) == sorted(text for text in texts if text.strip())
    tokenizer = tokenizer_training.train_tokenizer(read["text"].tolist(), kind, 300)
    baselines, scored = taken_through(read, tokenizer, tmp_path)
    assert np.isfinite(baselines.to_numpy()).all()
    assert len(scored) > 0
    assert not np.isinf(scored["value"]).any()
    names = tokenizer_reading.describe_tokens(tokenizer, range(len(tokenizer)))
    assert all(name.isprintable() for name in names)
    if kind == "byte-level-bpe":
        assert all(tokenizer.backend.decode(tokenizer.encode(text)) == text for text in texts)


def test_control_characters_have_legible_names(bpe):
    assert tokenizer_reading.describe_tokens(bpe, bpe.encode("\0\x1b")) == ["\\x00", "\\x1b"]


def test_repeated_and_leaked_passages_are_counted(tmp_path):
    columns = load_corpus(json_lines(tmp_path / "x.jsonl", [*"abcdefgh", "a", "x"]))
    counts = corpora.describe_corpus(columns)
    assert (counts["repeated"], counts["leaked"]) == (1, 1)


@pytest.mark.parametrize("sampling", windows.SAMPLINGS)
def test_a_corpus_without_a_token_is_named(tmp_path, sampling):
    """Some tokenizers leave out what they do not know."""
    backend = Tokenizer(models.BPE(vocab={"a": 0, "<|pad|>": 1}, merges=[]))
    tokenizer = tokenizer_reading.Tokenizer(backend, {"pad_token": "<|pad|>"})
    columns = load_corpus(json_lines(tmp_path / "x.jsonl", ["\U0001f600"] * 12))
    for count in (3, 30) if sampling == "corrected" else (3,):  # at passages, and anywhere
        asked = DRAWN | {"sampling": sampling, "count": count}
        message = error_of(lambda asked=asked: windows.sample_windows(columns, tokenizer, **asked))
        assert message == "the train split has no token in its 10 passages"


@pytest.mark.parametrize("sampling", windows.SAMPLINGS)
def test_a_tokenizer_that_knows_hardly_any_of_a_corpus_is_refused(tmp_path, sampling):
    columns = load_corpus(json_lines(tmp_path / "x.jsonl", [*(["le chat est sur la table the"] * 11), "le chat"]))
    tokenizer = tokenizer_training.train_tokenizer(GOOD, "words", 20)
    message = error_of(lambda: windows.sample_windows(columns, tokenizer, **(DRAWN | {"sampling": sampling})))
    assert message.startswith("tokenizer: 8")
    assert "% of the tokens of the train split are <|unk|>, unknown to it; allowed: at most 50%" in message
    half = load_corpus(json_lines(tmp_path / "y.jsonl", ["the chat sat sur on la"] * 12))
    windows.sample_windows(half, tokenizer, **(DRAWN | {"sampling": sampling, "size": 6}))


def test_tokens_beyond_a_models_vocabulary_are_named(tmp_path, bpe):
    shape = {"layers": 1, "heads": 2, "context": 8, "d_model": 8, "d_head": 4, "d_mlp": 8, "vocabulary": 200}
    architecture = architecture_of(**shape)
    weights = transformer.initial_weights(architecture, [0])
    config = {"kind": "toy", "architecture": asdict(architecture), "pad": None}
    families.save_family(tmp_path / "model.safetensors", tmp_path / "config.json", weights, config)
    family = families.load_family(tmp_path / "model.safetensors", tmp_path / "config.json")
    drawn = np.full((3, 8), 299)
    message = error_of(lambda: patterns.write(tmp_path / "patterns.parquet", family, drawn))
    assert message.startswith("token 299: this model's vocabulary is 0 to 199; allowed: ")
    assert not (tmp_path / "patterns.parquet").exists()


BAD_FILES = {  # a file's name, its bytes, and what is said after its place
    "invalid UTF-8": ("x.txt", b"caf\xe9 au lait", "not UTF-8 text at byte 3 (0xe9)"),
    "invalid UTF-8 in JSON": ("x.jsonl", b'{"text": "caf\xe9"}\n', "not UTF-8 text at byte 13 (0xe9)"),
    "UTF-16": ("x.txt", "one\n\ntwo".encode("utf-16"), "not UTF-8 text at byte 0 (0xff)"),
    "brackets without end": ("x.jsonl", b"[" * 100_000, "line 1: not JSON (maximum recursion depth"),
    "number without end": ("x.jsonl", b'{"text": %s}' % (b"1" * 9999), "line 1: not JSON (Exceeds the limit"),
    "no Parquet": ("x.parquet", b"hello", "not a whole Parquet file ("),
    "no gzip": ("x.txt.gz", b"hello", "cannot be read (Not a gzipped file"),
    "nothing": ("x.txt", b"", "no text in it"),
    "blank lines": ("x.txt", b" \n\n \t\n" * 9, "no text in it"),
    "one passage": ("x.txt", b"hello", "the validation split is empty; there are 1 passages"),
}


@pytest.mark.parametrize(("name", "content", "said"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files_are_one_line(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    message = error_of(lambda: load_corpus({"source": "files", "files": [tmp_path / name]}))
    assert said in message
    assert name in message or message.startswith("corpus files: ")
    assert "delete it" not in message


@pytest.mark.parametrize("source", ["files", "datasets"])
def test_a_parquet_file_with_invalid_utf8_is_one_line(tmp_path, source):
    import pyarrow
    import pyarrow.parquet

    offsets, content = np.array([0, 1, 2, 4], dtype=np.int32), b"a\xe9\xe9b"
    column = pyarrow.Array.from_buffers(
        pyarrow.string(), 3, [None, pyarrow.py_buffer(offsets), pyarrow.py_buffer(content)]
    )
    pyarrow.parquet.write_table(pyarrow.table({"text": column}), tmp_path / "x.parquet")
    place = {"files": [tmp_path / "x.parquet"]} if source == "files" else {"name": str(tmp_path / "x.parquet")}
    asked = {"source": source, **place, "splits": {"train": "train"}}
    message = error_of(lambda: load_corpus(asked, None, tmp_path / "kept"))
    assert "x.parquet" in message
    assert "holds a text that is not UTF-8 (0xe9 in it)" in message


def test_a_line_of_100_megabytes_is_cut_into_passages(tmp_path, bpe):
    """Read, cut, and sampled from; trained on it is no more than any other text of its size."""
    path, words = tmp_path / "x.txt", b"the cat sat on the mat with a dog "
    path.write_bytes(words * (100_000_000 // len(words) + 1))
    assert path.stat().st_size > 100_000_000
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    columns = load_corpus({"source": "files", "files": [path]})
    assert 1000 < len(columns["text"]) < 1010
    assert max(map(len, columns["text"])) <= LONGEST
    assert all(
        text.startswith(("the ", "cat ", "sat ", "on ", "mat ", "with ", "a ", "dog ")) for text in columns["text"]
    )
    drawn = windows.sample_windows(columns, bpe, **DRAWN)
    assert bpe.backend.decode(drawn.tokens[0, 0]).split()[0] in columns["text"][0].split()
    assert time.process_time() - started < 15
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024  # MB
    assert grown < 800  # the file, its text, its passages, and what is encoded at once


def test_texts_are_encoded_in_blocks_that_memory_holds(bpe, monkeypatch):
    """However long passages are, no more than a few million characters are encoded at once."""
    texts = ["the cat " * 40, "a dog"] * 6
    whole = windows.sample_windows({"split": ["train"] * 12, "text": texts}, bpe, **DRAWN).tokens
    monkeypatch.setattr(windows, "_CHARACTERS", 400)
    blocks = [sum(map(len, texts[block])) for block in windows._blocks(texts)]
    assert max(blocks) <= 400
    assert sum(blocks) == sum(map(len, texts))
    np.testing.assert_array_equal(
        windows.sample_windows({"split": ["train"] * 12, "text": texts}, bpe, **DRAWN).tokens, whole
    )


@settings(max_examples=50, deadline=None)
@given(text=st.text(alphabet="ab \n\té😀", max_size=60), longest=st.integers(1, 20))
def test_long_passages_are_cut_without_loss(text, longest):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "LONGEST", longest)
        pieces = list(corpora._pieces(text))
    assert all(0 < len(piece) <= longest for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    if max(map(len, text.split()), default=0) < longest:  # then no word need be cut
        assert " ".join(pieces).split() == text.split()
