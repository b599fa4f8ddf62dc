"""Where data come from: a mirror folder is asked first, then the network.

Files known by their content are checked by sha256 wherever they come from, and a download arrives
whole or not at all. `NLTK`, `DATASETS` and `TOKENIZERS` say which public names a mirror folder holds
and where; a pretrained model `NAME` or `ORG/NAME` lies in its `models/NAME/`.
"""

import contextlib
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from headatlas.base import progress
from headatlas.base.errors import InputError


@dataclass(frozen=True)
class Pinned:
    """A file known by its content: its place in a mirror folder, its sha256 and, if it has one, its address."""

    path: str
    sha256: str
    url: str | None = None


_NLTK_DATA = (
    "https://raw.githubusercontent.com/nltk/nltk_data/5db857e6f7df11eabb5e5665836db9ec8df07e28/packages/corpora"
)

NLTK = {
    "brown": Pinned(
        "brown/brown.zip",
        "9b275f9b3b95d7bd66ccfb7cd259f445a13bbe5d1f4107aba09fd3e8364bafa6",
        f"{_NLTK_DATA}/brown.zip",
    ),
    "masc_tagged": Pinned(
        "nltk/masc_tagged.zip",
        "678a5141cf3381bedb1839c58a330507337be07c7c71603279c0ef5337032304",
        f"{_NLTK_DATA}/masc_tagged.zip",
    ),
}

_IMDB = {
    "train": Pinned("imdb/aclImdb_train.jsonl.xz", "1fe5831d707a237ebaaa818b7dd23f7be3cc2f94389e203176c3044c4d0ffc4d"),
    "test": Pinned("imdb/aclImdb_test.jsonl.xz", "12a94bfaf33335a2f26cbae7ad8ffb9b81815563f5de0e1860e2ed56b1bf89ce"),
}

DATASETS = {  # (name, configuration): split -> file
    ("stanfordnlp/imdb", None): _IMDB,
    ("stanfordnlp/imdb", "plain_text"): _IMDB,
    ("Salesforce/wikitext", "wikitext-103-raw-v1"): {
        "train": Pinned(
            "wikitext-103/wiki.train.tokens.first2883584",
            "404a35153f7425a473fbca5cb6b5aa500a9dc8800dd0d28a6656c82436feaae5",
        ),
        "validation": Pinned(
            "wikitext-103/wiki.valid.tokens", "9aee9f52d6e77de6c7751fc5e7c44287db3ec0eaf15477098acc6b93c1c4250b"
        ),
        "test": Pinned(
            "wikitext-103/wiki.test.tokens", "56db52eb157b1ab5c89646eef70510c1eca6e12a3bfdb99f0d6b05b4eacb75b9"
        ),
    },
    ("Salesforce/wikitext", "wikitext-2-raw-v1"): {
        "validation": Pinned(
            "wikitext-2/valid.txt", "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8"
        ),
        "test": Pinned("wikitext-2/test.txt", "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0"),
    },
}

_GPT2 = (
    Pinned("gpt2_tokenizer/vocab.json", "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"),
    Pinned("gpt2_tokenizer/merges.txt", "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"),
)
_BERT = (Pinned("bert_uncased_vocab/vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),)

TOKENIZERS = {  # name -> files of one folder
    "gpt2": _GPT2,
    "openai-community/gpt2": _GPT2,
    "bert-base-uncased": _BERT,
    "google-bert/bert-base-uncased": _BERT,
}

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
)
MODEL_FILES = ("config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json", *TOKENIZER_FILES)


_RETRIES = 4  # of a download


def one_line(error):
    """The words of an exception as one line of at most 300 characters, for use inside a message."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def hub_reason(error):
    """Why the Hugging Face Hub gave nothing, as one line."""
    if isinstance(error, json.JSONDecodeError):
        return "what answers sends something else than its lists of files, perhaps the web page of a proxy"
    return one_line(error)


def is_path(name):
    """Whether a name is a file or folder: it is there, or is written as a path and cannot be a Hub name."""
    text = str(name)
    return text.startswith((".", "/", "~")) or Path(text).expanduser().exists()


def hub_name(name):
    """Return a Hugging Face Hub name (`NAME` or `ORGANISATION/NAME`) or raise `InputError`."""
    allowed = isinstance(name, str) and re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name, re.ASCII)
    if not allowed or ".." in name or "--" in name:
        raise InputError(f"name {name!r}: not a Hugging Face Hub name (NAME or ORGANISATION/NAME) nor an existing path")
    return name


def _inside(mirror, relative):
    if not Path(mirror).is_dir():
        raise InputError(f"mirror: {mirror} is not a folder")
    return Path(mirror) / relative


def _check(path, sha256):
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise InputError(f"{path}: sha256 is {found}, expected {sha256}: the file is damaged or another version")
    return path


def mirrored(pinned, mirror):
    """Path of a pinned file in the mirror folder, checked, or None where there is no mirror or no such file in it."""
    if mirror is None or not (path := _inside(mirror, pinned.path)).is_file():
        return None
    return _check(path, pinned.sha256)


def _no_page(response, **_):
    """Refuse a web page (of a proxy, or a login) that comes in a file's place with a status that says all is well."""
    kind = response.headers.get("Content-Type", "")
    if response.ok and kind.startswith("text/html"):
        raise ValueError(f"the server sent a web page ({kind}), not the file")


class _Bar:
    """`progress.bar` in the form pooch asks for: it opens when the size is known, closes with `stack`."""

    def __init__(self, description, stack):
        self.total, self._description, self._stack, self._shown, self._left = None, description, stack, None, 0

    def update(self, count):
        if self._shown is None:
            self._left = self.total or 0
            self._shown = self._stack.enter_context(progress.bar(self.total or None, self._description, "bytes"))
        step = min(count, self._left) if self.total else count
        self._left -= step
        self._shown.update(step)

    def reset(self):  # pooch rewinds to fill the bar; ours never runs past the end
        pass

    def close(self):
        pass


def download(url, sha256, folder):
    """Download a file whose content is known, unless it already lies in `folder`.

    A download that fails, whatever of it came, is tried again after 1, 2, 3 and 4 seconds.

    Parameters
    ----------
    url : str
    sha256 : str
        The expected digest, in hexadecimal.
    folder : path-like
        Made if need be. A failed download leaves nothing behind in it.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If the file cannot be had, is cut short, is a web page, or has another digest.
    """
    import pooch

    folder = Path(folder).resolve()
    name = url.rpartition("/")[2]
    was_there = folder.exists()
    try:
        with contextlib.ExitStack() as stack:
            bar = _Bar(f"downloading {name}", stack)
            fetch = pooch.HTTPDownloader(progressbar=bar, timeout=60, hooks={"response": _no_page})
            known = {"registry": {name: f"sha256:{sha256}"}, "urls": {name: url}, "retry_if_failed": _RETRIES}
            path = Path(pooch.create(folder, base_url="", **known).fetch(name, downloader=fetch))
        with contextlib.suppress(OSError):  # another's, who has done so
            path.chmod(folder.stat().st_mode & 0o666)  # it came as its owner's alone, and the folder may be shared
        return path
    except (ValueError, OSError) as error:  # those of requests derive from the latter
        if not was_there:
            with contextlib.suppress(OSError):  # stays where another job has put a file into it
                folder.rmdir()
        raise InputError(
            f"{name} from {url}: cannot be had with the expected sha256 {sha256} ({one_line(error)}); nothing was kept"
        ) from None


def nltk_file(name, mirror=None, downloads=None):
    """The zip file of a corpus of NLTK's data collection, from the mirror or downloaded; checked.

    Raises
    ------
    InputError
        If the name is unknown, or the file is neither in the mirror nor to be had.
    """
    if name not in NLTK:
        raise InputError(f"name: {name!r} is not a known NLTK corpus; allowed: {', '.join(NLTK)}")
    pinned = NLTK[name]
    if path := mirrored(pinned, mirror):
        return path
    if downloads is None:
        raise InputError(f"{name}: the mirror has no {pinned.path} and no downloads folder is given")
    return download(pinned.url, pinned.sha256, downloads)


def dataset_files(name, configuration, mirror):
    """Files of a Hub data set in the mirror, as a dict from split to checked path; None where it holds none."""
    pinned = DATASETS.get((name, configuration), {})
    found = {split: path for split, file in pinned.items() if (path := mirrored(file, mirror))}
    return found or None


def tokenizer_folder(name, revision=None, mirror=None, downloads=None):
    """Folder with the files of a tokenizer: a folder given as such, the mirror's, or fetched from the Hub.

    Parameters
    ----------
    name : str or path-like
        A folder, or a Hub name.
    revision : str, optional
        Commit, tag or branch; needed only where the Hub is asked.
    mirror : path-like, optional
    downloads : path-like, optional
        Where fetched files are kept; the Hub library's own cache when not given.

    Raises
    ------
    InputError
        If the name is malformed, or the files are damaged or not available.
    """
    files = [mirrored(pinned, mirror) for pinned in TOKENIZERS.get(str(name), ())]
    if files and all(files):
        return files[0].parent
    return _folder(name, revision, mirror, downloads, TOKENIZER_FILES)


def model_folder(name, revision=None, mirror=None, downloads=None):
    """Folder with the configuration and safetensors weights of a pretrained model; as `tokenizer_folder`."""
    return _folder(name, revision, mirror, downloads, MODEL_FILES)


def checkpoint_folders(checkpoints, mirror=None, downloads=None):
    """The folders of several checkpoints, each another.

    Parameters
    ----------
    checkpoints : list of mapping
        Each with `name` and `revision`, as for `model_folder`.
    mirror, downloads : path-like, optional

    Raises
    ------
    InputError
        If one folder stands for several of them, as one of a mirror may that does not tell revisions apart.
    """
    found = {}
    for number, given in enumerate(checkpoints):
        folder = model_folder(given["name"], given["revision"], mirror, downloads)
        first = found.setdefault(Path(folder).resolve(), number)
        if first != number:
            raise InputError(
                f"checkpoints {first} and {number}: {given['name']} at revision {given['revision']} is the same folder "
                f"{folder} as {checkpoints[first]['name']} at revision {checkpoints[first]['revision']}; "
                "a mirror must have a folder models/NAME@REVISION for each"
            )
    return list(found)


def _folder(name, revision, mirror, downloads, files):
    if is_path(name):
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise InputError(f"{name}: not a folder")
        return folder
    hub_name(name)
    if mirror is not None:
        folder = _inside(mirror, "models") / name.rpartition("/")[2]
        for place in (folder.with_name(f"{folder.name}@{revision}"), folder):
            if place.is_dir():
                return place
    if revision is None:
        raise InputError(f"{name}: no revision is given; pin a commit or tag of the Hugging Face Hub")

    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(files), cache_dir=downloads))
    except Exception as error:  # the library tries again by itself, then raises whatever its own libraries do
        raise InputError(
            f"{name} at revision {revision}: not available from the Hugging Face Hub ({hub_reason(error)})"
        ) from None
