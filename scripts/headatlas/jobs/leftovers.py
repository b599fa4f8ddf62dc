"""Parts of small files, written beside them under a name with the process's number, that killed processes left."""

import contextlib
import os
import re


def clear(place):
    """Remove the parts of a file that belong to no process of this machine, or leave them where that fails.

    Parameters
    ----------
    place : Path
        Of the file; its parts are called `.{number}.{name}`.
    """
    with contextlib.suppress(OSError):
        for other in os.listdir(place.parent):
            found = re.fullmatch(rf"\.(\d+)\.{re.escape(place.name)}", other)
            if found and not _alive(int(found[1])):
                os.unlink(place.parent / other)


def _alive(process):
    try:
        os.kill(process, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return True
