"""How induction heads are born: scores at snapshots of a training, against the tokens seen.

Induction heads form in a narrow window of training, in which in-context learning sets in (Olsson et al. 2022, the
"phase change"). Its time is when the score of the strongest head passes half of what it ends with, between snapshots in
a straight line; the head is chosen at the end, on other sequences. Snapshots are a family whose members are a seed at a
step, so that all that is measured of a family is measured of them.
"""

import numpy as np
import pandas as pd

from headatlas.base import progress
from headatlas.models import interventions
from headatlas.models.forward_batches import MEMORY
from headatlas.scores import induction_scores
from headatlas.studies.induction import in_context_learning, repeated_tokens


def _previous_token(family, texts, memory):
    """Attention to the token before on held-out texts, defined as the score `previous_token` of `pattern_scores`."""
    queries = np.arange(1, texts.shape[1])
    chance = float(np.mean(1 / (queries + 1))) if family.causal else 1 / texts.shape[1]

    def read(pattern, part):
        return {"previous_token": pattern[:, :, queries, queries - 1].mean(-1)}

    tables = []
    with progress.bar(family.members * len(texts), "previous token", "texts") as shown:
        for member in range(family.members):
            for layer, found in enumerate(induction_scores.read_patterns(family, member, texts, read, memory, shown)):
                measured = {"previous_token": (found["previous_token"], chance)}
                tables.append(repeated_tokens.halved(member, layer, measured, "score"))
    return pd.concat(tables, ignore_index=True)


def trace(family, asking, evaluation, *, short, long, mask=None, seed=0, memory=MEMORY):
    """Scores of every snapshot.

    Parameters
    ----------
    family : ToyFamily
        Its members are `config["snapshots"]`: for each a member, a step and the tokens seen.
    asking : repeats.Asking
    evaluation : integer array of shape (window, size)
        Held-out windows on which in-context learning and attention to the previous token are measured; those with
        padding left out.
    short, long : int
        Tokens of the contexts of in-context learning.
    mask : int, optional
    seed : int
    memory : int
        Bytes, about.

    Returns
    -------
    DataFrame
        member, step, tokens (int64), score, layer, head, value, standard_error, chance, choice, held_out (as
        `repeated_tokens.halved` gives). The score "in_context" is of the whole member, layer and head are -1: nats
        gained in a text's own long context beside one of another text (`in_context_learning`).
    """
    whole = evaluation[:, : family.context]
    whole, texts = (
        some if family.pad is None else some[(some != family.pad).all(1)] for some in (whole, evaluation[:, :long])
    )
    maps = repeated_tokens.map_table(family, asking, memory, [("corrected", "standard")])
    maps = repeated_tokens.induction_rows(maps, family.causal)
    parts = [maps.assign(score="induction"), _previous_token(family, whole[: asking.trials], memory)]
    gains = []
    for member in range(family.members):
        opened = interventions.open_member(family, member)
        options = {"short": short, "mask": mask, "seed": seed}
        sizes, losses, elsewhere = in_context_learning.loss_curves(opened, texts, family.causal, **options)
        gains.append(float((elsewhere - losses[:, np.flatnonzero(sizes == long)[0]]).mean()))
    identity = {"member": np.arange(family.members, dtype=np.int32), "layer": np.int32(-1), "head": np.int32(-1)}
    numbers = {"value": gains, "chance": 0.0, "standard_error": np.nan, "choice": gains, "held_out": gains}
    parts.append(pd.DataFrame({**identity, "score": "in_context", **numbers}))
    table = pd.concat(parts, ignore_index=True, join="inner")
    taken = pd.DataFrame(family.config["snapshots"])
    table[["step", "tokens"]] = taken[["step", "tokens"]].to_numpy()[table["member"]]
    table["member"] = taken["member"].to_numpy(np.int32)[table["member"]]
    names = ["member", "step", "tokens", "score", "layer", "head", "value", "standard_error", "chance"]
    names += ["choice", "held_out"]
    return table[names].astype({"step": "int32", "tokens": "int64"})
