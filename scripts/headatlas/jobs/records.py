"""Records of what made each result, beside the results and copied with them: `records/`, one file for each."""

import contextlib
import json
import os
from pathlib import Path

from headatlas.base.errors import InputError
from headatlas.jobs import leftovers


class Records:
    """The records of a results folder.

    Parameters
    ----------
    results : str or path-like, optional
        Where it is not given, nothing is recorded.
    """

    def __init__(self, results=None):
        self.results = Path(results) if results else None

    def _place(self, file):
        """Where the record of a file lies; None for a file that is no result of this folder."""
        if self.results is None:
            return None
        own = os.path.relpath(file, self.results)
        return None if own.startswith("..") else self.results / "records" / f"{own}.json"

    def read(self, file):
        """The record of a result as a dict, `output` being the name of the output that it is; None if there is none."""
        place = self._place(file)
        try:
            record = json.loads(place.read_bytes()) if place else None
            return record if record is None or record["output"] in record["outputs"] else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def check(self, file, content):
        """Raise `InputError` if a result is no longer what its job wrote; `content` is its digest.

        A file without a record, or from elsewhere, is taken as it is.
        """
        record = self.read(file)
        if record and record["outputs"][record["output"]]["content"] != content:
            rule = record.get("provenance", {}).get("rule", "its job")
            raise InputError(f"{file}: not what {rule} wrote: it was changed since; delete it and run again")

    def forget(self, files):
        """Remove the records of outputs, by name, that are about to be replaced."""
        for place in filter(None, map(self._place, files.values())):
            with contextlib.suppress(FileNotFoundError):
                place.unlink()

    def write(self, files, record, outputs):
        """Record what made each of these outputs, by name; `outputs` holds their digests."""
        for name, file in files.items():
            if (place := self._place(file)) is None:
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            part = place.with_name(f".{os.getpid()}.{place.name}")
            try:
                part.write_text(json.dumps({**record, "output": name, "outputs": outputs}))
                os.replace(part, place)
            finally:
                with contextlib.suppress(OSError):
                    part.unlink()
            leftovers.clear(place)
