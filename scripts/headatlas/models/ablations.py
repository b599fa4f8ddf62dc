"""Kinds of ablation: what the output of a head that is knocked out becomes. A new kind is a row of `ABLATIONS`."""

from collections.abc import Callable
from dataclasses import dataclass

NOTHING, MEANS, DONORS = "nothing", "mean outputs", "another prompt's outputs"


@dataclass(frozen=True)
class Ablation:
    """One kind.

    Attributes
    ----------
    words : str
        What becomes of the head, for a reader: "the head, set to zero".
    needs : {"nothing", "mean outputs", "another prompt's outputs"}
        What has to be measured beforehand.
    replace : callable of (outputs, mean, donor)
        The outputs that take the place of a head's own, (..., d_head) each; `mean` and `donor` are None where the kind
        does not need them.
    """

    words: str
    needs: str
    replace: Callable


ABLATIONS = {
    "zero": Ablation("set to zero", NOTHING, lambda outputs, mean, donor: outputs * 0),
    "mean": Ablation("set to its mean", MEANS, lambda outputs, mean, donor: mean),
    "resample": Ablation("taken from another prompt", DONORS, lambda outputs, mean, donor: donor),
}


def needing(kinds, need):
    """Those of some kinds that need the same beforehand."""
    return tuple(kind for kind in kinds if ABLATIONS[kind].needs == need)
