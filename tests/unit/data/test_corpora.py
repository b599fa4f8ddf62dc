"""Corpora against known counts, NLTK's own reader, and made data of every kind."""

import csv
import gzip
import io
import json
import lzma
import os
import zipfile

import numpy as np
import pytest

from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.data import corpora, text_files
from headatlas.data.corpora import load_corpus


@pytest.fixture(scope="module")
def brown(mirror):
    return load_corpus({"source": "nltk", "name": "brown"}, mirror)


def error_of(settings, *folders):
    with pytest.raises(InputError) as caught:
        load_corpus(settings, *folders)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def blocks(columns):
    """The splits in the order of rows, each once if it is contiguous."""
    split = np.array(columns["split"])
    return split[np.flatnonzero(np.r_[True, split[1:] != split[:-1]])].tolist()


def test_brown_has_its_known_size(brown):
    assert len(brown["text"]) == 57340
    assert sum(map(len, brown["words"])) == 1161192
    assert len({tag for tags in brown["tags"] for tag in tags}) == 472
    counts = corpora.describe_corpus(brown)
    assert counts["documents"] == 500
    assert counts["train"] == int(0.8 * 57340)
    assert blocks(brown) == ["train", "validation", "test"]
    assert brown["document"].dtype == np.int32
    assert (np.diff(brown["document"]) >= 0).all()


def test_brown_text_is_joined_as_published(brown):
    assert brown["text"][0] == (
        "The Fulton County Grand Jury said Friday an investigation of Atlanta's recent primary election "
        "produced`` no evidence'' that any irregularities took place."
    )
    assert brown["tags"][0][:4] == ["AT", "NP-TL", "NN-TL", "JJ-TL"]


@pytest.mark.parametrize(
    ("name", "separator", "files"),
    [("brown", "/", ["ca01", "cr09"]), ("masc_tagged", "_", ["spoken/2nd_Gore-Bush.txt", "written/wsj_2465.txt"])],
)
def test_sentences_equal_those_of_nltk(mirror, tmp_path, monkeypatch, name, separator, files):
    nltk_data = pytest.importorskip("nltk.data")
    from nltk.corpus.reader import TaggedCorpusReader

    from headatlas.data import downloading

    with zipfile.ZipFile(downloading.nltk_file(name, mirror)) as archive:
        members = [f"{name}/{file}" for file in files]
        archive.extractall(tmp_path, members)
        with zipfile.ZipFile(tmp_path / "few.zip", "w") as few:
            for member in members:
                few.writestr(member, archive.read(member))
    monkeypatch.setattr(nltk_data, "path", [str(tmp_path)])
    monkeypatch.setattr(downloading, "nltk_file", lambda *_: tmp_path / "few.zip")
    ours = load_corpus({"source": "nltk", "name": name})
    reader = TaggedCorpusReader(str(tmp_path / name), files, sep=separator)
    theirs = [[pair for pair in sentence if pair[0]] for sentence in reader.tagged_sents(files)]
    assert [list(zip(*pair, strict=True)) for pair in zip(ours["words"], ours["tags"], strict=True)] == theirs


def test_join_words():
    assert corpora.join_words(["``", "Hi", "there", ",", "2", "'s"]) == "`` Hi there, 2's"
    assert corpora.join_words(["Été", "à", "(", "Paris"]) == "Été à( Paris"


def test_python_docs_are_english_and_enough():
    columns = load_corpus({"source": "python-docs"})
    words = sum(len(text.split()) for text in columns["text"])
    assert words > 200_000
    assert blocks(columns) == ["train", "validation", "test"]
    assert len(set(columns["text"])) == len(columns["text"])
    assert not any(">>>" in text[:3] or "\n" in text or "  " in text for text in columns["text"])
    split = np.array(columns["split"])
    assert not set(columns["document"][split == "train"]) & set(columns["document"][split != "train"])
    assert 0.75 < (split == "train").mean() < 0.85


def test_docstrings_are_read_without_importing(tmp_path, monkeypatch):
    (tmp_path / "package" / "test").mkdir(parents=True)
    (tmp_path / "package" / "__init__.py").write_text(
        '"""A package.\n\nSaid twice."""\nraise SystemExit("imported")\n'
        'class A:\n    """A class."""\n    async def method(self):\n        """A method.\n\n        Said twice."""\n'
    )
    (tmp_path / "package" / "test" / "test_it.py").write_text('"""A test."""')
    (tmp_path / "broken.py").write_text('"""Not Python."""\ndef')
    for number in range(8):
        (tmp_path / f"module_{number}.py").write_text(f'"""Module {number}."""')
    monkeypatch.setattr(corpora.sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr("pydoc_data.topics.topics", {"if": "The if statement\n****\n\n   >>> 1\n   1\n"})
    columns = load_corpus({"source": "python-docs"})
    assert sorted(columns["text"]) == sorted(
        ["A package.", "Said twice.", "A class.", "A method.", "The if statement"]
        + [f"Module {number}." for number in range(8)]
    )
    at = columns["text"].index("A package.")
    assert columns["text"][at : at + 4] == ["A package.", "Said twice.", "A class.", "A method."]
    assert len(set(columns["document"][at : at + 4])) == 1
    assert sorted(set(columns["document"].tolist())) == list(range(10))


def test_paragraphs_leave_out_what_was_typed_at_the_prompt():
    docstring = "Add two\n numbers.\n =====\n\n    For example\n    >>> add(1,\n    ...     2)\n    3\n\n>>> x\n\nEnd."
    assert list(corpora._paragraphs(docstring)) == ["Add two numbers.", "For example", "End."]


def test_repeated_tokens_repeat():
    settings = {"source": "repeated-tokens", "vocabulary": 256, "documents": 200, "length": 48, "seed": 3}
    settings |= {"shortest_period": 8, "longest_period": 23}
    columns = load_corpus(settings)
    periods = set()
    for text in columns["text"]:
        words = text.split()
        assert len(words) == 48
        period = next(p for p in range(1, 49) if words[p:] == words[:-p])
        periods.add(period)
    assert periods == set(range(8, 24))
    assert {word for text in columns["text"] for word in text.split()} <= {f"t{number:03d}" for number in range(256)}
    assert load_corpus(settings)["text"] == columns["text"]
    assert load_corpus(settings | {"seed": 4})["text"] != columns["text"]
    assert "longest_period" in error_of(settings | {"longest_period": 48})


def in_order(columns):
    """Texts and documents in the order of the corpus, whatever their split; they end in their number."""
    return sorted(
        zip(columns["text"], columns["document"].tolist(), strict=True), key=lambda row: int(row[0].split()[-1])
    )


def test_text_files_and_their_paragraphs(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo 1\r\n\r\n  \r\nthree 2\n\n\n\nfour 3")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"five 4\n \nsix 5\n"))
    columns = load_corpus(
        {"source": "files", "files": [tmp_path / "a.txt", tmp_path / "b.txt.gz"], "split": [0.6, 0.2, 0.2]}
    )
    assert in_order(columns) == [("one\ntwo 1", 0), ("three 2", 0), ("four 3", 0), ("five 4", 1), ("six 5", 1)]
    assert columns["split"] == ["train"] * 3 + ["validation", "test"]  # few documents: by passage


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.xz", ".jsonl.gz", ".parquet"])
def test_tables_of_texts(tmp_path, suffix):
    texts, path = [f"text {number}" for number in range(20)], tmp_path / f"x{suffix}"
    if suffix == ".parquet":
        tables.write(path, {"body": texts})
    else:
        opener = {".jsonl": open, ".jsonl.xz": lzma.open, ".jsonl.gz": gzip.open}[suffix]
        with opener(path, "wt") as file:
            file.writelines(json.dumps({"body": text}) + "\n" for text in texts)
    columns = load_corpus({"source": "files", "files": [path], "text_column": "body"})
    assert in_order(columns) == list(zip(texts, range(20), strict=True))
    assert columns["split"] == ["train"] * 16 + ["validation"] * 2 + ["test"] * 2
    assert "body" in error_of({"source": "files", "files": [path]})


def test_ten_documents_are_split_whole(tmp_path):
    for number in range(10):
        (tmp_path / f"{number}.txt").write_text("\n\n".join(f"{number} {part}" for part in range(number + 1)))
    columns = load_corpus({"source": "files", "files": [tmp_path / f"{number}.txt" for number in range(10)]})
    held = [text for text, split in zip(columns["text"], columns["split"], strict=True) if split == "test"]
    number = int(held[0].split()[0])
    assert held == [f"{number} {part}" for part in range(number + 1)]
    assert blocks(columns) == ["train", "validation", "test"]


@pytest.mark.parametrize("form", ["folder", "globs", "zip"])
def test_folders_globs_and_zip_files(tmp_path, form):
    """The same texts however they lie; what is hidden or of another kind is passed over."""
    folder = tmp_path / "reviews"
    for number in range(20):
        (folder / "inner").mkdir(parents=True, exist_ok=True)
        place = folder / "inner" if number % 2 else folder
        (place / f"{number:02d}.txt").write_text(f"review {number}")
    (folder / ".hidden.txt").write_text("hidden 98")
    (folder / "picture.png").write_bytes(b"\x89PNG 99")
    files = [folder]
    if form == "globs":
        files = [folder / "*", folder / "**" / "*.txt"]  # a file that two of them match is read once
    elif form == "zip":
        files = [tmp_path / "reviews.zip"]
        with zipfile.ZipFile(files[0], "w") as archive:
            for path in folder.rglob("*.*"):
                archive.write(path, path.relative_to(tmp_path))
    columns = load_corpus({"source": "files", "files": [str(name) for name in files]})
    assert [text for text, _ in in_order(columns)] == [f"review {number}" for number in range(20)]
    assert len(set(columns["document"])) == 20


def test_the_size_of_a_folder_is_that_of_its_texts(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"x" * 1000)
    (tmp_path / "b.png").write_bytes(b"x" * 100)
    with zipfile.ZipFile(tmp_path / "c.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("d.txt", "x" * 10_000)
    assert text_files.size(tmp_path / "a.txt") == 1000
    assert text_files.size(tmp_path / "c.zip") == 10_000  # unpacked
    assert text_files.size(tmp_path) == 11_000


@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".tsv", "\t"), (".csv.gz", ",")])
def test_tables_with_a_text_column(tmp_path, suffix, separator):
    texts = [f'a "quoted", text\tof\ntwo lines {number}' for number in range(20)]
    made = io.StringIO(newline="")
    csv.writer(made, delimiter=separator).writerows([["label", "review"], *([1, text] for text in texts)])
    content = ("\ufeff" + made.getvalue()).encode()
    path = tmp_path / f"x{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    columns = load_corpus({"source": "files", "files": [path], "text_column": "review"})
    assert in_order(columns) == list(zip(texts, range(20), strict=True))
    assert "no text_column 'text'; allowed: label, review" in error_of({"source": "files", "files": [path]})


SENTENCES = [f"This is sentence number {number}" for number in range(200)]
REVIEWS = [f"{'A film that one sees and forgets. ' * 20}{number}" for number in range(40)]
GUESSES = {  # what a file holds: its text, the passages that are expected, how they were cut
    "paragraphs": ("\n\n".join(REVIEWS), REVIEWS, "1 cut at blank lines"),
    "a review a line": ("\n".join(REVIEWS), REVIEWS, "1 with a text on each line"),
    "one blank line in many": ("\n".join([*SENTENCES[:100], "", *SENTENCES[100:]]), None, "1 with short lines joined"),
    "a sentence a line": ("\n".join(SENTENCES), None, "1 with short lines joined"),
    "few sentences": ("\n".join(SENTENCES[:8]), SENTENCES[:8], "1 with short lines joined"),
}


@pytest.mark.parametrize(("text", "passages", "said"), GUESSES.values(), ids=GUESSES)
def test_how_a_plain_text_is_cut_is_guessed_and_logged(tmp_path, capsys, text, passages, said):
    (tmp_path / "x.txt").write_text(text)
    columns = load_corpus({"source": "files", "files": [tmp_path / "x.txt"]})
    assert blocks(columns) == ["train", "validation", "test"]
    line = capsys.readouterr().err
    assert line.startswith(f"passages: guess: of 1 plain text files, {said}")
    assert line.count("\n") == 1
    cut = [row for row, _ in in_order(columns)]
    assert passages is None or cut == passages
    assert "\n".join(cut).split("\n") == [row for row in text.split("\n") if row]  # nothing is lost or moved
    assert len(cut) >= min(25, text.count("\n") + 1)


@pytest.mark.parametrize(
    ("passages", "expected"),
    [
        ("lines", ["a 1", "b 2", "c 3", "d 4"]),
        ("blank-lines", ["a 1\nb 2", "c 3\nd 4"]),
        ("whole", ["a 1\nb 2\n\nc 3\nd 4"]),
    ],
)
def test_how_a_plain_text_is_cut_can_be_said(tmp_path, passages, expected):
    (tmp_path / "x.txt").write_text("a 1\nb 2\n\nc 3\nd 4\n")
    found = text_files.read_files({"files": [tmp_path / "x.txt"], "passages": passages})
    assert found["text"] == expected
    assert found["document"] == ([0, 1, 2, 3] if passages == "lines" else [0] * len(expected))


@pytest.mark.parametrize("form", ["two folders", "two files"])
def test_held_out_text_is_of_all_classes(tmp_path, form):
    """Negative before positive: both are in each split, and another seed holds out other text."""
    files = [tmp_path / "neg", tmp_path / "pos"]
    for folder in files:
        folder.mkdir()
        for number in range(100):
            (folder / f"{number:03d}.txt").write_text(f"{folder.name} {number}")
    if form == "two files":
        for folder in files:
            text = "\n\n".join(path.read_text() for path in sorted(folder.iterdir()))
            folder.with_suffix(".txt").write_text(text)
        files = [folder.with_suffix(".txt") for folder in files]
    asked = {"source": "files", "files": files}
    columns = load_corpus(asked)
    assert corpora.describe_corpus(columns) | {"characters": 0} == {
        "documents": 200 if form == "two folders" else 2,
        "characters": 0,
        "passages": 200,
        "repeated": 0,
        "leaked": 0,
        "train": 160,
        "validation": 20,
        "test": 20,
    }
    split = np.array(columns["split"])
    of_class = np.array([text.split()[0] for text in columns["text"]])
    for name in corpora.SPLITS:
        assert 0.4 <= (of_class[split == name] == "pos").mean() <= 0.6
    assert load_corpus(asked)["text"] == columns["text"]
    assert set(load_corpus(asked | {"seed": 1})["text"][160:]) != set(columns["text"][160:])


def test_errors_name_the_corpus_and_the_key(tmp_path):
    def line(**settings):
        with pytest.raises(InputError) as caught:
            load_corpus({"source": "files", **settings}, key="corpora.mine")
        return str(caught.value)

    (tmp_path / "x.txt").write_bytes(b"caf\xe9")
    assert line(files=[tmp_path / "x.txt"]) == f"corpora.mine.files: {tmp_path}/x.txt: not UTF-8 text at byte 3 (0xe9)"
    (tmp_path / "x.txt").write_text("one")
    assert line(files=[tmp_path / "x.txt"]).startswith(
        "corpora.mine: the validation split is empty; there are 1 passages"
    )
    (tmp_path / "bad.zip").write_bytes(b"PK no zip")
    assert "corpora.mine.files: " in line(files=[tmp_path / "bad.zip"])
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("a.doc", "x")
    assert "no file in it that can be read; allowed: .txt" in line(files=[tmp_path / "none.zip"])


def test_bad_files(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes(b"\xef\xbb\xbfcaf\xe9 au lait")
    assert "byte 6" in error_of({"source": "files", "files": [path]})
    path.write_bytes(b"caf\xe9 au lait")
    message = error_of({"source": "files", "files": [path]})
    assert "byte 3" in message
    assert "latin.txt" in message
    (tmp_path / "bad.jsonl").write_text('{"text": "x"}\n{"text": \n')
    assert "line 2" in error_of({"source": "files", "files": [tmp_path / "bad.jsonl"]})
    (tmp_path / "lone.jsonl").write_text('{"text": "x"}\n' * 20 + '{"text": "\\ud800"}\n')
    assert "surrogate" in error_of({"source": "files", "files": [tmp_path / "lone.jsonl"]})
    (tmp_path / "cut.jsonl.xz").write_bytes(lzma.compress(b'{"text": "x"}\n' * 999)[:-20])
    assert "cut.jsonl.xz" in error_of({"source": "files", "files": [tmp_path / "cut.jsonl.xz"]})
    (tmp_path / "table.doc").write_text("text\nx\n")
    assert ".jsonl, .csv, .tsv" in error_of({"source": "files", "files": [tmp_path / "table.doc"]})
    (tmp_path / "short.csv").write_text("label,text\n1,x\n2\n")
    assert "short.csv, line 3: no text" in error_of({"source": "files", "files": [tmp_path / "short.csv"]})
    (tmp_path / "empty").mkdir()
    assert "holds no file" in error_of({"source": "files", "files": [tmp_path / "empty"]})
    assert "matches no file" in error_of({"source": "files", "files": [str(tmp_path / "*.md")]})
    assert "absent.txt" in error_of({"source": "files", "files": [tmp_path / "absent.txt"]})


def test_empty_corpora_and_splits(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text(" \n\n \n")
    assert "no text" in error_of({"source": "files", "files": [path]})
    path.write_text("one\n\ntwo")
    assert "split is empty" in error_of({"source": "files", "files": [path], "split": [0.5, 0.49, 0.01]})
    assert "split" in error_of({"source": "files", "files": [path], "split": [0.5, 0.5, 0.5]})
    assert "python-docs" in error_of({"source": "wikipedia"})
    assert "brown" in error_of({"source": "nltk", "name": "treebank"})


def test_imdb_from_the_mirror(mirror):
    settings = {
        "source": "datasets",
        "name": "stanfordnlp/imdb",
        "limit": 40,
        "splits": {"train": "train", "test": "test"},
    }
    columns = load_corpus(settings, mirror)
    assert corpora.describe_corpus(columns) | {"characters": 0} == {
        "documents": 80,
        "passages": 80,
        "characters": 0,
        "repeated": 0,
        "leaked": 0,
        "train": 36,
        "validation": 4,
        "test": 40,
    }
    assert columns["document"].tolist() == list(range(80))
    with lzma.open(mirror / "imdb/aclImdb_train.jsonl.xz", "rt") as file:
        rows = [json.loads(line) for line in file]
    labels = {row["text"].strip(): row["label"] for row in rows}
    for split in ("train", "validation"):  # the data set is sorted by label: each split must hold both all the same
        chosen = [labels[t] for t, s in zip(columns["text"], columns["split"], strict=True) if s == split]
        assert 0.4 < np.mean(chosen) < 0.6


def test_wikitext_from_the_mirror(mirror):
    settings = {"source": "datasets", "name": "Salesforce/wikitext", "configuration": "wikitext-103-raw-v1"}
    columns = load_corpus(settings, mirror)
    split = np.array(columns["split"])
    assert {name: len(set(columns["document"][split == name])) for name in corpora.SPLITS} == {
        "train": 163,
        "validation": 60,
        "test": 62,
    }
    assert all(text.strip() for text in columns["text"])
    starts = np.flatnonzero(np.diff(columns["document"], prepend=-1))
    assert all(columns["text"][row].startswith("= ") and columns["text"][row].endswith(" =") for row in starts)
    message = error_of(settings | {"configuration": "wikitext-2-raw-v1"}, mirror)
    assert "'train'" in message
    assert "validation, test" in message


def test_space_before_punctuation():
    assert corpora._prepared("Well... it's (so) good!", {"space_punctuation": True}) == "Well . . . it 's (so ) good !"


@pytest.fixture
def local_dataset(tmp_path):
    folder = tmp_path / "reviews"
    folder.mkdir()
    for split, count in (("train", 40), ("test", 10)):
        rows = [json.dumps({"body": f"{split} {number}", "label": number % 2}) for number in range(count)]
        (folder / f"{split}.jsonl").write_text("\n".join(["", *rows, ""]).lstrip())
    return folder


def test_local_data_sets_through_the_datasets_library(local_dataset, tmp_path, capsys):
    settings = {"source": "datasets", "name": str(local_dataset), "text_column": "body"}
    columns = load_corpus(settings, None, tmp_path / "kept")
    assert corpora.describe_corpus(columns)["train"] == 36
    assert columns["text"][-10:] == [f"test {number}" for number in range(10)]
    assert sorted(columns["text"][:40]) == sorted(f"train {number}" for number in range(40))
    one = load_corpus(settings | {"name": str(local_dataset / "train.jsonl")}, None, tmp_path / "kept")
    assert {name: one["split"].count(name) for name in corpora.SPLITS} == {"train": 32, "validation": 4, "test": 4}
    assert len(set(one["text"])) == 40
    assert "train is 'train'; validation and test drawn from 'train'" in capsys.readouterr().err
    assert "body" in error_of(settings | {"text_column": "text"}, None, tmp_path / "kept")
    assert "not text" in error_of(settings | {"text_column": "label"}, None, tmp_path / "kept")
    wrong = error_of(settings | {"splits": {"train": "train", "test": "dev"}}, None, tmp_path / "kept")
    assert "'dev'" in wrong
    assert wrong.endswith("set `splits`")
    assert "no such" in error_of(settings | {"name": str(tmp_path / "absent")}, None, tmp_path / "kept")


@pytest.mark.parametrize("given", [{}, {"splits": None}], ids=["absent", "null"])
def test_without_splits_a_data_set_gives_those_that_it_has(local_dataset, tmp_path, capsys, given):
    """The default copes with a data set without test text, and with one whose only split has another name."""
    settings = {"source": "datasets", "name": str(local_dataset), "text_column": "body", **given}
    (local_dataset / "test.jsonl").unlink()
    columns = load_corpus(settings, None, tmp_path / "kept")
    assert {name: columns["split"].count(name) for name in corpora.SPLITS} == {"train": 32, "validation": 4, "test": 4}
    assert "splits: train is 'train'; validation and test drawn from 'train'" in capsys.readouterr().err
    (local_dataset / "train.jsonl").rename(local_dataset / "validation.jsonl")
    columns = load_corpus(settings, None, tmp_path / "kept")
    assert columns["split"].count("train") == 32
    assert "splits: train is 'validation'" in capsys.readouterr().err
    (local_dataset / "test.jsonl").write_text('{"body": "a test"}\n')
    message = error_of(settings, None, tmp_path / "kept")
    assert "no split 'train' for train; available validation, test; set `splits`" in message


@pytest.mark.parametrize("whole", [True, False], ids=["folder", "file"])
def test_a_data_set_with_new_content_under_its_old_time_is_read_anew(local_dataset, tmp_path, monkeypatch, whole):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    file = local_dataset / "train.jsonl"
    settings = {"source": "datasets", "name": str(local_dataset if whole else file), "text_column": "body"}
    first, times = load_corpus(settings, None, tmp_path / "kept"), file.stat()
    file.write_text(file.read_text().replace("train", "given"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    second = load_corpus(settings, None, tmp_path / "kept")
    assert second["text"] == [text.replace("train", "given") for text in first["text"]]


def test_hub_data_sets_need_a_name_and_a_revision():
    assert "revision" in error_of({"source": "datasets", "name": "someone/texts"})
    assert "../up" in error_of({"source": "datasets", "name": "../up/there"})
    assert "name" in error_of({"source": "datasets", "name": "some one/texts"})
