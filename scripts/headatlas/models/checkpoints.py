"""Checkpoints of a training: one safetensors file, written whole or not at all, nothing pickled."""

import json
import os
import sys

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from headatlas.jobs.store import beside


def save(path, identity, facts, tensors):
    """Replace the checkpoint at `path`.

    Parameters
    ----------
    path : pathlib.Path
        Its folder is made where there is none.
    identity : str
        Digest of all that decides where the training ends.
    facts : dict
        What JSON can hold; floats come back to the same bits.
    tensors : dict of str to Tensor
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = beside(path)  # two runs may train the same model at once
    save_file(tensors, unfinished, metadata={"headatlas": json.dumps({"identity": identity, "facts": facts})})
    os.replace(unfinished, path)


def load(path, identity):
    """The (facts, tensors) saved at `path`, or None where there are none, or not whole, or of another training."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as opened:
            saved = json.loads((opened.metadata() or {}).get("headatlas", "{}"))
            if saved.get("identity") == identity:
                return saved["facts"], {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            reason = "is of another training"
    except (SafetensorError, OSError, ValueError) as error:
        reason = f"is damaged ({error})"
    print(f"training: {path} {reason}; starting anew", file=sys.stderr)
    return None
