"""Where a result comes from: from a figure back to its corpora, as a tree, and what would change it.

``python -m headatlas.jobs.lineage FILE`` reads the records that lie beside the results, and those alone: it works on a
results folder that was copied to another machine. Of every file it says whether it still is what its step wrote, and
whether the code of this checkout is that which made it.
"""

import argparse
import sys
from pathlib import Path

from headatlas.base.errors import InputError
from headatlas.jobs import code_digest
from headatlas.jobs.contents import table_digest
from headatlas.jobs.records import Records

_SCRIPTS = Path(__file__).parents[2]


def results_folder(file):
    """The results folder that a file lies in: the nearest folder above it that holds records.

    Raises
    ------
    InputError
        If there is none.
    """
    for folder in Path(file).absolute().parents:
        if (folder / "records").is_dir():
            return folder
    raise InputError(f"{file}: no results folder of this workflow: none of the folders above it holds `records`")


class Lineage:
    """The steps that led to a result.

    Parameters
    ----------
    file : str or path-like
        A result: a figure, a table, a model.

    Raises
    ------
    InputError
        If it is not there, or nothing is recorded of it.
    """

    def __init__(self, file):
        self.file = Path(file).absolute()
        if not self.file.is_file():
            raise InputError(f"{file}: no such file")
        self.folder = results_folder(file)
        self.records = Records(self.folder)
        if self.records.read(self.file) is None:
            raise InputError(f"{file}: nothing is recorded of what made it")
        self._shown = {}

    def lines(self, settings=True):
        """The tree, as lines of text.

        Parameters
        ----------
        settings : bool
            Whether the settings of each step are told.
        """
        self._shown = {}
        yield from self._step(self.file, "", "", settings)
        yield ""
        yield from self._what_would_change()

    def _here(self, path, record):
        """Where a file that a record names lies now: the results may have been moved since."""
        try:
            return self.folder / Path(path).relative_to(record["results"])
        except ValueError:
            return Path(path)

    def _step(self, file, head, body, settings):
        """Lines of a file and all that led to it: the first after `head`, the others after `body`."""
        record = self.records.read(file)
        shown = file.relative_to(self.folder) if file.is_relative_to(self.folder) else file
        if record is None:
            yield f"{head}{shown}  (nothing is recorded of it)"
            return
        digest, provenance = record["outputs"][record["output"]], record["provenance"]
        line = f"{head}{shown}  sha256 {digest['sha256'][:16]}{self._state(file, digest)}"
        if record["key"] in self._shown:
            yield f"{line}  by {provenance['rule']}, see above"
            return
        self._shown[record["key"]] = record
        yield line
        wildcards = "".join(f" {value}" for value in provenance["wildcards"].values())
        device = f", on {provenance['device']}" if "device" in provenance else ""
        given = record["paths"].values()
        read = [path for paths in given for path in ([paths] if isinstance(paths, str) else paths)]
        outside = list(_outside(provenance["inputs"]))
        stem = f"{body}{'│' if read or outside else ' '}  "
        yield f"{stem}by {provenance['rule']}{wildcards}, code {provenance['code']}{self._code(record)}{device}"
        if settings:
            yield from _settings(provenance["settings"], f"{stem}  ")
        for position, path in enumerate(read):
            last = position == len(read) - 1 and not outside
            yield from self._step(
                self._here(path, record), f"{body}{'└' if last else '├'}─ ", f"{body}{' ' if last else '│'}  ", settings
            )
        for position, line in enumerate(outside):
            yield f"{body}{'└' if position == len(outside) - 1 else '├'}─ {line}"

    @staticmethod
    def _state(file, digest):
        if not file.is_file():
            return "  (not here)"
        return "" if table_digest(file) == digest["content"] else "  CHANGED SINCE IT WAS MADE"

    @staticmethod
    def _code(record):
        """Whether the code of this checkout is that of the step."""
        path = _SCRIPTS / f"{record['script']}.py"
        if not path.is_file():
            return " (not in this checkout)"
        found = code_digest.code_digest(path, _SCRIPTS, *record["modules"])
        return (
            "" if found == record["provenance"]["code"] else f" (this checkout: {found}, so it would be computed anew)"
        )

    def _what_would_change(self):
        records = list(self._shown.values())
        modules, packages = set(), {}
        for record in records:
            path = _SCRIPTS / f"{record['script']}.py"
            if path.is_file():
                modules |= set(code_digest.local_sources(path, _SCRIPTS, *record["modules"]))
            packages |= record["provenance"]["packages"]
        given = sorted({key for record in records for key in record["provenance"]["settings"]})
        yield f"It would change with any of {len(records)} steps: with"
        yield f"  a setting of theirs: {', '.join(given)};"
        yield f"  a statement of the {len(modules)} files of code that they run;"
        yield f"  the content of a file from outside; another Python than {records[0]['provenance']['python']};"
        yield f"  another version of {', '.join(f'{name} {version}' for name, version in sorted(packages.items()))}."
        yield "It would not with comments, times, places of results, the number of cores, or settings of other steps."


def _outside(inputs):
    """A line for each thing that a step reads and no other step makes."""
    for place, digests in inputs.get("files", {}).items():
        for name, digest in digests.items():
            where = place if name == Path(place).name else f"{place}/{name}"
            yield f"{where}  sha256 {digest[:16]}, from outside"
    for place, digests in inputs.get("mirror", {}).items():
        yield f"{place} of the mirror: {len(digests)} files"
    if "interpreter" in inputs:
        yield f"the library of Python {inputs['interpreter'].split()[0]}"


def _settings(settings, indent):
    """Settings as indented lines; short ones stay on one."""
    for key, value in settings.items():
        text = f"{indent}{key}: {value}"
        if isinstance(value, dict) and len(text) > 110:
            yield f"{indent}{key}:"
            yield from _settings(value, f"{indent}  ")
        else:
            yield text if len(text) <= 160 else f"{text[:157]}..."


def main(arguments=None):
    """Where a result comes from, back to its corpora, and what would change it."""
    parser = argparse.ArgumentParser(prog="python -m headatlas.jobs.lineage", description=main.__doc__)
    parser.add_argument("file", help="a figure, table or model among the results")
    parser.add_argument("--short", action="store_true", help="without the settings of each step")
    given = parser.parse_args(arguments)
    try:
        print(*Lineage(given.file).lines(settings=not given.short), sep="\n")
    except InputError as error:
        sys.exit(str(error))
    except BrokenPipeError:  # whoever reads has seen enough
        sys.stderr.close()


if __name__ == "__main__":
    main()
