"""Texts of one's own files: plain text, tables of texts, and folders, globs and zip files of them."""

import csv
import glob
import gzip
import io
import json
import lzma
import os
import re
import sys
import zipfile
import zlib
from pathlib import Path

from headatlas.base.errors import InputError
from headatlas.data import downloading
from headatlas.jobs import contents

PASSAGES = ("guess", "lines", "blank-lines", "whole")
PLAIN, _SEPARATORS = (".txt", ".md"), {".csv": ",", ".tsv": "\t"}
_PACKED = (*PLAIN, ".jsonl", *_SEPARATORS)  # what a zip file may hold
_KINDS = (*_PACKED, ".parquet")
ALLOWED = f"{', '.join(_PACKED)} (plain or .gz, .xz), .parquet, .zip, a folder or a glob of such files"
_OPENERS = {".xz": lzma.decompress, ".gz": gzip.decompress}
_DAMAGE = (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)

LONG_LINE = 400  # characters: a line as long as this on average is a text; shorter ones are joined to that length
LONG_PARAGRAPH = 2000  # where there is more between blank lines, on average, they do not set passages apart
ABOUT = 30  # passages that the joined lines of a small corpus give, where there are as many lines


def places(name):
    """The files and folders that an item of `files` stands for: itself if it exists, else those that it matches.

    Raises
    ------
    InputError
        If there is none, or one that is of no known kind, or no file of a known kind in it.
    """
    path = os.path.expanduser(name)
    if os.path.isdir(path):
        if not any(_known(inner) for inner, _ in contents.files_of(Path(path))):
            raise InputError(f"{str(name)!r} holds no file that can be read; allowed: {ALLOWED}")
        return [path]
    if not os.path.exists(path) and glob.has_magic(path):
        found = sorted(match for match in glob.glob(path, recursive=True) if os.path.isfile(match) and _known(match))
        if not found:
            raise InputError(f"{str(name)!r} matches no file that can be read; allowed: {ALLOWED}")
        return found
    if not _known(path):
        raise InputError(f"{str(name)!r} is of no known kind; allowed: {ALLOWED}")
    if not os.path.isfile(path):
        raise InputError(f"{str(name)!r} is not there; allowed: files that exist, {ALLOWED}")
    return [path]


def size(place):
    """Bytes of what a file or folder holds, those of a zip file unpacked."""
    total = 0
    for name, path in contents.files_of(Path(place)):
        if name.endswith(".zip") and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                total += sum(member.file_size for member in archive.infolist())
        elif _known(name) and path.is_file():
            total += path.stat().st_size
    return total


def read_files(settings, mirror=None, downloads=None, temporary=None):
    """Columns `document` and `text` of a corpus's `files`; a line of the log says how plain text was cut.

    A row of a table is a document. A plain text file is one, except where each of its lines is a text.
    """
    column, how = settings.get("text_column", "text"), settings.get("passages", "guess")
    if how not in PASSAGES:
        raise InputError(f"passages: {how!r} found; allowed: {', '.join(PASSAGES)}")
    found = [place for name in settings.get("files") or [] for place in places(name)]
    paths = [path for place in found for _, path in sorted(contents.files_of(Path(place)))]
    paths = [path for path in dict.fromkeys(paths) if _known(path.name) and path.is_file()]
    read = [pair for path in paths for pair in _texts_of(path, column)]
    ways = [how if how != "guess" else _guess(rows) for plain, rows in read if plain]
    joined = sum(map(_characters, (rows for plain, rows in read if plain)))
    length = min(LONG_LINE, joined // ABOUT)
    if ways:
        counts = ", ".join(f"{ways.count(way)} {_WAYS[way]}" for way in _WAYS if way in ways)
        print(f"passages: {how}: of {len(ways)} plain text files, {counts}", file=sys.stderr)
    columns, document, ways = {"document": [], "text": []}, 0, iter(ways)
    for plain, rows in read:
        for passages in _documents(rows, next(ways), length) if plain else ([row] for row in rows):
            if passages := [passage for passage in passages if passage.strip()]:
                columns["document"] += [document] * len(passages)
                columns["text"] += passages
                document += 1
    return columns


_WAYS = {
    "blank-lines": "cut at blank lines",
    "lines": "with a text on each line",
    "joined": "with short lines joined to passages",
    "whole": "taken whole",
}


def _guess(lines):
    """How a plain text file is cut: at blank lines if they are enough, else by its lines, long or joined."""
    paragraphs = sum(1 for at, line in enumerate(lines) if line.strip() and not (at and lines[at - 1].strip()))
    filled = sum(1 for line in lines if line.strip())
    if paragraphs > 1 and _characters(lines) <= LONG_PARAGRAPH * paragraphs:
        return "blank-lines"
    if filled < 2:
        return "whole"
    return "lines" if _characters(lines) >= LONG_LINE * filled else "joined"


def _characters(lines):
    return sum(map(len, lines))


def _documents(lines, way, length):
    """The passages of each document of a plain text file."""
    if way == "lines":
        return [[line] for line in lines]
    if way == "joined":
        return [_joined(lines, length)]
    text = "\n".join(lines)
    if way == "whole":
        return [[text.strip("\n")]]
    return [[part.strip("\n") for part in re.split(r"\n[^\S\n]*(?=\n)", text)]]


def _joined(lines, length):
    """Consecutive lines as passages of `length` characters or a little more."""
    passages, held, characters = [], [], 0
    for line in lines:
        if line.strip():
            held.append(line)
            characters += len(line)
        if held and characters >= length:
            passages.append("\n".join(held))
            held, characters = [], 0
    if held:
        passages.append("\n".join(held))
    return passages


def _suffix(name):
    path = Path(name)
    return Path(path.stem).suffix if path.suffix in _OPENERS else path.suffix


def _known(name):
    suffix = _suffix(name)
    packed = Path(name).suffix in _OPENERS
    return suffix in (_PACKED if packed else (*_KINDS, ".zip"))


def _texts_of(path, column):
    """Of a file, or each file of a zip file: whether it is plain text, and its lines or the texts of its rows."""
    if path.suffix != ".zip":
        yield _suffix(path.name) in PLAIN, file_rows(path, column)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if _is_packed(name))
            packed = [(name, archive.read(name)) for name in names]
    except _DAMAGE as error:
        raise InputError(f"{path}: cannot be read ({downloading.one_line(error)})") from None
    if not packed:
        raise InputError(f"{path}: no file in it that can be read; allowed: {', '.join(_PACKED)}")
    for name, content in packed:
        yield _suffix(name) in PLAIN, _rows(name, content, column, f"{path}, {name}")


def _is_packed(name):
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
    return _suffix(name) in _PACKED and not hidden


def file_rows(path, column):
    """Texts of a table's rows, or the lines of any other (text) file; gzip and xz are undone."""
    if _suffix(path) == ".parquet":
        from headatlas.base import tables  # its import costs what planning a run need not pay

        try:
            return checked_texts(tables.read(path, columns=[column])[column], path)
        except InputError as error:  # what it says of a damaged result is no advice for a file of the user's
            raise InputError(str(error).removesuffix("; delete it and run again")) from None
    try:
        return _rows(Path(path).name, Path(path).read_bytes(), column, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({downloading.one_line(error)})") from None


def _rows(name, content, column, where):
    try:
        content = _OPENERS.get(Path(name).suffix, bytes)(content)
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start + 3 * content.startswith(b"\xef\xbb\xbf")
        raise InputError(f"{where}: not UTF-8 text at byte {at} (0x{content[at]:02x})") from None
    except _DAMAGE as error:
        raise InputError(f"{where}: cannot be read ({downloading.one_line(error)})") from None
    suffix = _suffix(name)
    if suffix in _SEPARATORS:
        return _table_texts(text, _SEPARATORS[suffix], column, where)
    lines = text.replace("\r\n", "\n").split("\n")
    if suffix != ".jsonl":
        return lines
    return [
        _json_text(line, column, f"{where}, line {number + 1}") for number, line in enumerate(lines) if line.strip()
    ]


def _table_texts(text, separator, column, where):
    """Texts of a table whose first row names its columns; a quoted text may hold separators and line breaks."""
    csv.field_size_limit(2**31 - 1)  # the library's own limit is shorter than many a document
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    texts = []
    try:
        header = next(rows, [])
        if column not in header:
            raise InputError(
                f"{where}: no text_column {column!r}; allowed: {', '.join(header) or 'a first row of names'}"
            )
        at = header.index(column)
        for row in rows:
            if row and len(row) <= at:
                raise InputError(f"{where}, line {rows.line_num}: no text under text_column {column!r}")
            texts += row[at : at + 1]
    except csv.Error as error:
        raise InputError(f"{where}, line {rows.line_num}: not a table ({error})") from None
    return texts


def _json_text(line, column, where):
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({getattr(error, 'msg', error)})") from None
    if not isinstance(row, dict) or not isinstance(row.get(column), str):
        found = f"; it has {', '.join(row)}" if isinstance(row, dict) else ""
        raise InputError(f"{where}: no text under text_column {column!r}{found}")
    return row[column]


def checked_texts(values, where):
    """A list of the values, which must be text."""
    try:
        texts = list(values)
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: holds a text that is not UTF-8 (0x{error.object[error.start]:02x} in it)") from None
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"{where}: row {row} holds {text!r:.40}, not text")
    return texts
