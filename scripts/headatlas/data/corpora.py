"""Corpora: text from five kinds of source, cut into train, validation and test.

A row is a passage (a sentence of a tagged corpus, a paragraph, or a whole text); passages that belong
together share a `document`. Each split is one contiguous block of rows, in corpus order.
"""

import ast
import contextlib
import hashlib
import io
import os
import random
import re
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from headatlas.base.errors import InputError
from headatlas.data import downloading, text_files

SPLITS = ("train", "validation", "test")
DEFAULT_SHARES = (0.8, 0.1, 0.1)
_RUNS = 40  # runs of passages that a corpus of few documents is held out by
PLANNED = 4_000_000  # bytes of own files whose passages are counted while a run is planned
LONGEST = 100_000  # characters of a passage: a file without line breaks is more than one


def load_corpus(settings, mirror=None, downloads=None, temporary=None, key=None):
    """Read a corpus.

    Parameters
    ----------
    settings : dict
        `source` and what that source needs:

        - `nltk`: `name` (brown, masc_tagged), `split`. Sentences in corpus order, split by sentence, with words and
          part-of-speech tags. Text is joined as in Edkins & Wiechecki 2023: a space goes before a word unless it is
          the first or starts with a character other than a letter or digit.
        - `datasets`: `name` (a Hub name, folder or file), `revision`, `configuration`, `text_column`, `splits` (from
          train, validation, test to the data set's own names; without it those of these names that it has, or its only
          one as train), `lowercase`, `space_punctuation`, `limit` (documents
          of each split, spread evenly through it), `split`. A split that is not among `splits` gets its share of train,
          spread evenly through it: the end of train will not do, for data sets are often sorted by label.
        - `python-docs`: `split`. Docstrings and language topics of the running interpreter's standard library.
        - `repeated-tokens`: `vocabulary`, `documents`, `length`, `shortest_period`, `longest_period`, `seed`, `split`.
        - `files`: `files` (text, JSON lines, CSV, TSV, Parquet; zip files, folders and globs of them), `text_column`,
          `passages` (how plain text is cut: guess, lines, blank-lines, whole), `seed`, `split`. Held-out text is drawn
          evenly spread through the corpus, for files are often sorted by label: whole documents where there are ten or
          more, else runs of consecutive passages.

        `split` holds the three shares of train, validation and test. A passage of more than 100,000 characters is cut
        into several, at white space where there is some.
    mirror, downloads, temporary : path-like, optional
        Folder asked first; folder for what is downloaded; folder for what is needed meanwhile, which is as large as the
        text (the system's, where it is not given).
    key : str, optional
        Where the settings stand in the configuration (`corpora.NAME`), for errors.

    Returns
    -------
    dict
        Columns `document` (int32 array), `split`, `text` (lists of str) and, for tagged corpora, `words` and `tags`
        (lists of lists of str).

    Raises
    ------
    InputError
        If a setting, file or download cannot be used, or the corpus or one of its splits is empty.
    """
    source = settings.get("source")
    if source not in SOURCES:
        raise InputError(f"source: {source!r} is not a kind of corpus; allowed: {', '.join(SOURCES)}")
    label = key or f"corpus {settings.get('name') or source}"
    try:
        columns = _shortened(SOURCES[source](settings, mirror, downloads, temporary))
    except InputError as error:
        if not key:
            raise
        raise InputError(f"{key}.files: {error}" if source == "files" else f"{key}: {error}") from None
    if not columns["text"]:
        raise InputError(f"{label}: no text in it")
    if source == "files":
        columns = _spread_cut(columns, _shares(settings), settings.get("seed", 0))
    elif "split" not in columns:
        by_document = source != "nltk"  # Edkins & Wiechecki 2023 cut the Brown corpus by sentence
        columns["split"] = _cut(columns["document"], _shares(settings), by_document)
    for split in SPLITS:
        if split not in columns["split"]:
            count, advice = len(columns["text"]), ""
            if source == "files":
                advice = "; allowed: 3 or more, by more text or by `passages: lines` or `blank-lines`"
            raise InputError(f"{label}: the {split} split is empty; there are {count} passages{advice}")
    for row, text in enumerate(columns["text"]):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f"{label}: passage {row} holds a lone surrogate, which is not text") from None
    order = ("document", "split", "text", "words", "tags")
    columns["document"] = np.asarray(columns["document"], dtype=np.int32)
    return {name: columns[name] for name in order if name in columns}


def planned_texts(settings, key):
    """The texts of each split of one's own files, where these are small enough to be read while a run is planned.

    Parameters
    ----------
    settings : dict
        As for `load_corpus`, of the source `files`.
    key : str
        Where the settings stand in the configuration.

    Returns
    -------
    dict from split to list of str, or None
        None for files of more than `PLANNED` bytes.

    Raises
    ------
    InputError
        As `load_corpus`.
    """
    if sum(map(text_files.size, settings["files"])) > PLANNED:
        return None
    with contextlib.redirect_stderr(io.StringIO()):  # what it says of them, the step that reads them logs
        columns = load_corpus(settings, key=key)
    texts = {split: [] for split in SPLITS}
    for split, text in zip(columns["split"], columns["text"], strict=True):
        texts[split].append(text)
    return texts


def describe_corpus(columns):
    """Counts of a corpus, for the log.

    Documents, characters, and passages in all and of each split; `repeated` are those whose text occurs before,
    `leaked` those outside train whose text is in train as well.
    """
    texts, split = columns["text"], np.asarray(columns["split"])
    trained = {texts[row] for row in np.flatnonzero(split == "train")}
    return {
        "documents": len(np.unique(columns["document"])),
        "characters": sum(map(len, texts)),
        "passages": len(texts),
        "repeated": len(texts) - len(set(texts)),
        "leaked": sum(texts[row] in trained for row in np.flatnonzero(split != "train")),
        **{name: int((split == name).sum()) for name in SPLITS},
    }


def _shortened(columns):
    """Columns without passages of more than `LONGEST` characters; those of tagged corpora are sentences."""
    if "tags" in columns or max(map(len, columns["text"]), default=0) <= LONGEST:
        return columns
    pieces = [list(_pieces(text)) for text in columns["text"]]
    rows = np.repeat(np.arange(len(pieces)), [len(of_one) for of_one in pieces]).tolist()
    repeated = {name: [values[row] for row in rows] for name, values in columns.items() if name != "text"}
    return repeated | {"text": [piece for of_one in pieces for piece in of_one]}


def _pieces(text):
    """Parts of a text that are no longer than `LONGEST`, cut at white space where there is some."""
    start = 0
    while start < len(text):
        end = start + LONGEST
        if end < len(text):
            end = max(text.rfind(white, start, end) for white in " \t\n") + 1 or end
        if piece := text[start:end].strip():
            yield piece
        start = end


def _shares(settings):
    shares = settings.get("split", DEFAULT_SHARES)
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise InputError(f"split: {list(shares)} is not three shares above 0 (train, validation, test) that sum to 1")
    return shares


def _cut(documents, shares, by_document):
    """The split of each row: by whole documents where there are ten or more, else by rows."""
    _, unit = np.unique(documents, return_inverse=True)
    if not by_document or unit[-1] + 1 < 10:
        unit = np.arange(len(documents))
    edges = np.rint(np.cumsum(shares[:2]) * (unit[-1] + 1))
    return [SPLITS[index] for index in np.searchsorted(edges, unit, side="right")]


def _spread_cut(columns, shares, seed):
    """Columns in blocks of train, validation and test, each spread evenly through the corpus and in its order.

    The corpus is divided into as many stretches as there are units to hold out, and one is drawn from each.
    """
    _, unit = np.unique(columns["document"], return_inverse=True)
    rows = len(unit)
    if unit[-1] + 1 < 10:  # text stays contiguous but for the borders of these runs
        unit = np.arange(rows) * min(rows, _RUNS) // rows
    count = int(unit[-1]) + 1
    if count < len(SPLITS):
        return columns | {"split": ["train"] * rows}
    tested, validated = (max(1, round(share * count)) for share in (shares[2], shares[1]))
    while tested + validated >= count:
        tested, validated = max(1, tested - 1), max(1, validated - 1)
    held, generator = tested + validated, random.Random(seed)
    drawn = [generator.randrange(at * count // held, (at + 1) * count // held) for at in range(held)]
    kinds = np.zeros(count, dtype=int)
    kinds[drawn] = SPLITS.index("validation")
    kinds[[drawn[at] for at in _spread(held, tested)]] = SPLITS.index("test")
    kinds = kinds[unit]  # of each row
    order = np.argsort(kinds, kind="stable")
    spread = {name: [values[row] for row in order] for name, values in columns.items()}
    return spread | {"split": [SPLITS[kind] for kind in kinds[order]]}


# NLTK's tagged corpora: folder in the zip file, its documents, separator of word and tag, encoding
TAGGED = {
    "brown": ("brown/", r"c[a-z]\d\d", "/", "ascii"),
    "masc_tagged": ("masc_tagged/", r"(spoken|written)/.*\.txt", "_", "utf-8"),
}


def _nltk(settings, mirror, downloads, temporary):
    name = settings.get("name")
    path = downloading.nltk_file(name, mirror, downloads)
    folder, pattern, separator, encoding = TAGGED[name]
    columns = {"document": [], "text": [], "words": [], "tags": []}
    with zipfile.ZipFile(path) as archive:
        files = sorted(file for file in archive.namelist() if re.fullmatch(folder + pattern, file))
        for document, file in enumerate(files):
            for line in archive.read(file).decode(encoding).split("\n"):
                pairs = [_word_and_tag(item, separator) for item in line.split()]
                words, tags = zip(*(pair for pair in pairs if pair[0]), strict=True) if pairs else ((), ())
                if words:
                    columns["document"].append(document)
                    columns["text"].append(join_words(words))
                    columns["words"].append(list(words))
                    columns["tags"].append(list(tags))
    return columns


def _word_and_tag(item, separator):
    """As NLTK's `str2tuple`, but an item without a tag has the empty one."""
    word, found, tag = item.rpartition(separator)
    return (word, tag.upper()) if found else (item, "")


def join_words(words):
    """Words as running text, as in Edkins & Wiechecki 2023 (see `load_corpus`)."""
    return "".join(f" {word}" if at and word[0].isalnum() else word for at, word in enumerate(words))


def _datasets(settings, mirror, downloads, temporary):
    name, configuration = settings.get("name"), settings.get("configuration")
    column, place = settings.get("text_column", "text"), "available"
    if downloading.is_path(name):
        parts = _load_dataset(name, None, None, column, temporary)
    elif files := downloading.dataset_files(downloading.hub_name(name), configuration, mirror):
        parts, place = {split: text_files.file_rows(path, column) for split, path in files.items()}, "the mirror has"
    else:
        parts = _load_dataset(name, configuration, settings.get("revision"), column, temporary)
    names = settings.get("splits") or _own_splits(parts)
    for split, own in names.items():
        if own not in parts:
            label = f"{name} {configuration}" if configuration else name
            raise InputError(f"corpus {label}: no split {own!r} for {split}; {place} {', '.join(parts)}; set `splits`")
    drawn = [split for split in SPLITS if split not in names]
    print(
        f"splits: {', '.join(f'{split} is {own!r}' for split, own in names.items())}"
        + (f"; {' and '.join(drawn)} drawn from {names['train']!r}, evenly spread" if drawn else ""),
        file=sys.stderr,
    )
    headed = "wikitext" in f"{name} {configuration}".lower()
    documents = {split: _documents(parts[own], headed, settings) for split, own in names.items()}
    whole = len(documents["train"])
    for split, share in zip(SPLITS, _shares(settings), strict=True):
        if split not in documents:
            train = documents["train"]
            chosen = set(_spread(len(train), round(share * whole)))
            documents[split] = [train[index] for index in sorted(chosen)]
            documents["train"] = [document for index, document in enumerate(train) if index not in chosen]
    rows = [
        (split, number, text)
        for split in SPLITS
        for number, document in enumerate(documents.get(split, []))
        for text in document
    ]
    # number documents through all the splits
    starts = np.cumsum([0] + [len(documents.get(split, [])) for split in SPLITS])
    return {
        "split": [split for split, _, _ in rows],
        "document": [int(starts[SPLITS.index(split)]) + number for split, number, _ in rows],
        "text": [text for _, _, text in rows],
    }


def _own_splits(parts):
    """The splits a data set has, by ours: those of the same names, or its only one as train."""
    if len(parts) == 1:
        return {"train": next(iter(parts))}
    return {split: split for split in SPLITS if split in parts or split == "train"}


def _spread(count, wanted):
    """`wanted` indices below `count`, evenly spread."""
    return ((np.arange(wanted) + 0.5) * count / wanted).astype(int).tolist()


def _documents(texts, headed, settings):
    """Group rows into documents: WikiText's begin at a ` = Title = ` line, elsewhere each row is one."""
    documents = []
    for text in texts:
        if text := text.strip():
            if headed and documents and not re.fullmatch(r"= [^=].* =", text):
                documents[-1].append(text)
            else:
                documents.append([text])
    limit = settings.get("limit")
    if limit is not None and limit < len(documents):
        documents = [documents[index] for index in _spread(len(documents), limit)]
    return [[_prepared(text, settings) for text in document] for document in documents]


def _prepared(text, settings):
    if settings.get("lowercase"):
        text = text.lower()
    if settings.get("space_punctuation"):
        text = re.sub(r"(?<=\S)(?=[^\w\s])", " ", text)
    return text


_BUILDERS = {".json": "json", ".jsonl": "json", ".csv": "csv", ".parquet": "parquet", ".txt": "text"}


def _load_dataset(name, configuration, revision, column, temporary):
    """All splits of a data set, through the `datasets` library, as a dict from split to list of texts.

    That library knows files that it has read again by their names and times, not by their content: it gets a new
    folder for what it makes of them each time. Files of the Hub it keeps by content, where other programs find them.
    """
    import datasets

    if downloading.is_path(name):
        path = Path(name).expanduser()
        if not path.exists():
            raise InputError(f"corpus {name}: no such file or folder")
        revision, what = None, {"path": str(path)}
        if path.is_file():
            kind = next((suffix for suffix in path.suffixes if suffix in _BUILDERS), None)
            if kind is None:
                raise InputError(f"corpus {name}: unknown kind of file; allowed: {', '.join(_BUILDERS)}")
            what = {"path": _BUILDERS[kind], "data_files": str(path)}
    elif revision is None:
        raise InputError(f"corpus {name}: no revision is given; pin a commit or tag of the Hugging Face Hub")
    else:
        what = {"path": name, "name": configuration}
    with tempfile.TemporaryDirectory(prefix="datasets-", dir=temporary) as cache:
        try:
            parts = datasets.load_dataset(**what, revision=revision, cache_dir=cache)
        except Exception as error:  # its own, those of its readers, and of the libraries that ask the Hub
            raise InputError(
                f"corpus {name}: cannot be loaded ({downloading.hub_reason(error.__cause__ or error)})"
            ) from None
        for split, part in parts.items():
            if column not in part.column_names:
                raise InputError(
                    f"corpus {name}: no text_column {column!r} in {split}; it has {', '.join(part.column_names)}"
                )
        return {
            split: text_files.checked_texts(part[column], f"corpus {name}, {split}") for split, part in parts.items()
        }


def _repeated_tokens(settings, mirror, downloads, temporary):
    """Documents that repeat one random block: their induction heads are known beforehand (Olsson et al. 2022)."""
    vocabulary, length = settings.get("vocabulary", 256), settings.get("length", 48)
    shortest, longest = settings.get("shortest_period", 8), settings.get("longest_period", 23)
    if not 1 <= shortest <= longest < length:
        raise InputError(
            f"shortest_period, longest_period, length: {shortest}, {longest}, {length} must satisfy "
            "1 <= shortest_period <= longest_period < length"
        )
    rng = np.random.default_rng(settings.get("seed", 0))
    width = max(3, len(str(vocabulary - 1)))
    words = np.array([f"t{token:0{width}d}" for token in range(vocabulary)], dtype=object)
    texts = []
    for _ in range(settings.get("documents", 0)):
        block = words[rng.integers(vocabulary, size=int(rng.integers(shortest, longest + 1)))].tolist()
        texts.append(" ".join((block * -(-length // len(block)))[:length]))
    return {"document": list(range(len(texts))), "text": texts}


# Folders that are not the standard library, or that hold next to no English (tests, tables, a frozen grammar)
_NOT_PROSE = {"site-packages", "dist-packages", "test", "tests", "idle_test", "lib2to3", "encodings", "pydoc_data"}


def _python_docs(settings, mirror, downloads, temporary):
    """Docstrings (read by `ast`: nothing is imported) and the language topics that `help()` shows.

    Documents (modules and topics) come in the order of a digest of their names, so that every split holds some of
    everything and a module added by a later Python leaves the others where they are.
    """
    from pydoc_data.topics import topics

    library = Path(sysconfig.get_path("stdlib"))
    documents = {f"topic {name}": [text] for name, text in topics.items()}
    for folder, inner, files in os.walk(library):
        inner[:] = [name for name in inner if name not in _NOT_PROSE]
        for path in (Path(folder, name) for name in files if name.endswith(".py")):
            documents[f"module {path.relative_to(library).as_posix()}"] = _docstrings(path)
    columns, seen, document = {"document": [], "text": []}, set(), 0
    for name in sorted(documents, key=lambda name: hashlib.sha256(name.encode()).digest()):
        paragraphs = [paragraph for docstring in documents[name] for paragraph in _paragraphs(docstring)]
        paragraphs = [paragraph for paragraph in dict.fromkeys(paragraphs) if paragraph not in seen]
        seen.update(paragraphs)
        columns["document"] += [document] * len(paragraphs)
        columns["text"] += paragraphs
        document += bool(paragraphs)
    return columns


def _docstrings(path):
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # templates and the like, which no interpreter reads
        return []
    found, left = [], [tree]
    while left:
        node = left.pop(0)
        found.append(ast.get_docstring(node) or "")
        left[:0] = [
            inner for inner in node.body if isinstance(inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        ]
    return found


def _paragraphs(docstring):
    """Paragraphs with plain white space, without examples typed at the prompt and lines without a letter."""
    for paragraph in re.split(r"\n\s*\n", docstring):
        lines = paragraph.split("\n")
        prompt = next((at for at, line in enumerate(lines) if line.lstrip().startswith(">>>")), len(lines))
        text = " ".join(" ".join(line for line in lines[:prompt] if re.search(r"[^\W\d_]", line)).split())
        if text:
            yield text


SOURCES = {
    "nltk": _nltk,
    "datasets": _datasets,
    "python-docs": _python_docs,
    "repeated-tokens": _repeated_tokens,
    "files": text_files.read_files,
}
