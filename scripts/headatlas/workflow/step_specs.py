"""Specs of steps: what a step's outputs depend on besides its inputs and wildcards, so that reruns follow content."""

import os
from functools import cache
from pathlib import Path

from headatlas.data import downloading
from headatlas.jobs import code_digest, contents
from headatlas.jobs.store import Store


class Specs:
    """Specs of the steps of one checkout.

    Parameters
    ----------
    scripts : str
        The folder of the scripts.
    store : str
        That of finished results, which remembers the digests of large files.
    """

    def __init__(self, scripts, store):
        self._scripts = scripts
        self._digests = cache(
            lambda place, suffixes: contents.digests(Path(place).expanduser(), Store(store).memory(), suffixes)
        )

    def spec(self, script, *modules, reads=None, **settings):
        """All that a step's outputs depend on besides inputs and wildcards, in one canonical order.

        Parameters
        ----------
        script : str
            The script's name without its suffix.
        *modules : str
            Those of the library that the script imports by a name it is given.
        reads : dict, optional
            What it reads and no rule makes, by `reads`.
        **settings
            What else it is told.
        """
        path = f"{self._scripts}/{script}.py"
        return {
            "rule": settings.get("drawn_by", script).rpartition(".")[2],  # a module's user calls the rule otherwise
            "script": script,
            "modules": modules,
            "code": code_digest.code_digest(path, self._scripts, *modules),
            "packages": dict(code_digest.packages(path, self._scripts, *modules)),
            "settings": ordered(settings),
            "reads": reads or {},
        }

    def drawn_by(self, function, **settings):
        """`spec` of a figure: the library's function that draws it, and what that is told besides the rule's inputs."""
        function = f"headatlas.{function}"
        return self.spec("draw_figure", function.rpartition(".")[0], drawn_by=function, **settings)

    def reads(self, kind, *read):
        """What a step reads and no rule makes: no `input`, whose times would count, but by content.

        Parameters
        ----------
        kind : str
            As in `sources`.
        *read : dict
            Corpora, tokenizers or checkpoints.

        Returns
        -------
        dict
            As `sources`, of all of them at once; `files` maps each place to its digests.
        """
        found = [sources(kind, settings) for settings in read]
        suffixes = found[0]["suffixes"]
        return {
            "files": {
                place: self._digests(place, suffixes and tuple(suffixes))
                for place in sorted({place for source in found for place in source["files"]})
            },
            "mirrored": sorted({place for source in found for place in source["mirrored"]}),
            "suffixes": suffixes,
            "interpreter": any(source["interpreter"] for source in found),
        }


def ordered(value):
    """A copy with every mapping sorted by key, so that equal settings are written equally."""
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [ordered(item) for item in value]
    return value


_OF_CHECKPOINTS = (".safetensors", ".json", ".txt", ".model")  # ends of names of files that are read


def sources(kind, settings):
    """What on disk a corpus, tokenizer or checkpoint is read from: its content counts, wherever it lies.

    Parameters
    ----------
    kind : {"corpus", "tokenizer", "checkpoint"}
    settings : dict
        One of that kind.

    Returns
    -------
    dict
        `files`: files and folders, as a list of str; `mirrored`: places in a mirror folder, where there is one, whose
        content is not known beforehand; `suffixes`: ends of the names of the files that count in a folder, None where
        all do; `interpreter`: whether it is read from Python's own library.
    """
    found = {"files": [], "mirrored": [], "suffixes": None, "interpreter": False}
    if kind == "corpus":
        found["interpreter"] = settings["source"] == "python-docs"
        if settings["source"] == "files":
            found["files"] = list(settings["files"])
        elif settings["source"] == "datasets" and downloading.is_path(settings["name"]):
            found["files"] = [settings["name"]]
        return found
    name = settings.get("load" if kind == "tokenizer" else "name")
    if name is None:  # a tokenizer that is trained here
        return found
    found["suffixes"] = list(downloading.TOKENIZER_FILES if kind == "tokenizer" else _OF_CHECKPOINTS)
    if not downloading.is_path(name):
        found["mirrored"] = [f"models/{name.rpartition('/')[2]}"]
    elif kind == "tokenizer" and name.endswith(".json"):
        found["files"] = [os.path.dirname(name) or "."]  # what lies beside it is read too
    else:
        found["files"] = [name]
    return found
