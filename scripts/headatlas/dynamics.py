"""How induction heads are born: scores at snapshots of a training, against the tokens seen.

Induction heads form in a narrow window of training, in which in-context learning sets in (Olsson et al. 2022, the
"phase change"). Snapshots are a family whose members are a seed at a step, so that all that is measured of a family is
measured of them.
"""

import numpy as np
import pandas as pd

from headatlas import in_context, interventions, repeats
from headatlas.induction import score_table

MEMORY = 256 << 20  # bytes of a batch's forward pass, about


def trace(family, asking, evaluation, *, short, long, mask=None, seed=0, memory=MEMORY):
    """Scores of every snapshot.

    Parameters
    ----------
    family : ToyFamily
        Its members are `config["snapshots"]`: for each a member, a step and the tokens seen.
    asking : repeats.Asking
    evaluation : integer array of shape (window, size)
        Held-out windows on which in-context learning is measured; those with padding left out.
    short, long : int
        Tokens of the contexts.
    mask : int, optional
    seed : int
    memory : int
        Bytes, about.

    Returns
    -------
    DataFrame
        member, step, tokens (int64), score, layer, head, value, chance. The score "in_context" (nats gained in the
        long context) is of the whole member: layer and head are -1.
    """
    maps = repeats.induction_rows(repeats.map_table(family, asking, memory), family.causal)
    maps = maps[maps["protocol"] == "corrected"]
    around = {"special": asking.special, "before": asking.before, "after": asking.after, "memory": memory}
    length = asking.room("standard", "corrected")
    others = score_table(family, sequences=asking.trials, seed=asking.seed, length=length, **around)
    others = others[others["score"] == "previous_token_repeated"]
    parts = [
        table.assign(score=score)[["member", "layer", "head", "score", "value", "chance"]]
        for score, table in (("induction", maps), ("previous_token", others))
    ]
    texts = evaluation[(evaluation != family.pad).all(1), :long] if family.pad is not None else evaluation[:, :long]
    gains = []
    for member in range(family.members):
        opened = interventions.open_member(family, member)
        sizes, losses = in_context.loss_curves(opened, texts, family.causal, short=short, mask=mask, seed=seed)
        gains.append(float((losses[:, sizes == short] - losses[:, sizes == long]).mean()))
    identity = {"member": np.arange(family.members, dtype=np.int32), "layer": np.int32(-1), "head": np.int32(-1)}
    parts.append(pd.DataFrame({**identity, "score": "in_context", "value": gains, "chance": 0.0}))
    table = pd.concat(parts, ignore_index=True)
    taken = pd.DataFrame(family.config["snapshots"])
    table[["step", "tokens"]] = taken[["step", "tokens"]].to_numpy()[table["member"]]
    table["member"] = taken["member"].to_numpy(np.int32)[table["member"]]
    names = ["member", "step", "tokens", "score", "layer", "head", "value", "chance"]
    return table[names].astype({"step": "int32", "tokens": "int64"})


def phase_change(table, threshold=0.5):
    """When a member's strongest head first reaches a share of the induction that it ends with.

    Parameters
    ----------
    table : DataFrame
        As `trace` gives.
    threshold : float
        The share of the final score.

    Returns
    -------
    DataFrame
        member, tokens (at that snapshot), final (score of the strongest head), head ("layer.head"), gain_before and
        gain_after (in-context learning at the snapshot before, and at the last).
    """
    rows = []
    for member, own in table.groupby("member"):
        scores = own[own["score"] == "induction"]
        last = scores[scores["step"] == scores["step"].max()]
        best = last.loc[last["value"].idxmax()]
        curve = scores[(scores["layer"] == best["layer"]) & (scores["head"] == best["head"])].sort_values("step")
        reached = curve[curve["value"] >= threshold * best["value"]].iloc[0]
        gains = own[own["score"] == "in_context"].sort_values("step")
        before = gains[gains["step"] < reached["step"]]["value"]
        row = {"member": member, "tokens": int(reached["tokens"]), "final": float(best["value"])}
        row |= {"head": f"{best['layer']}.{best['head']}", "gain_after": float(gains["value"].iloc[-1])}
        rows.append(row | {"gain_before": float(before.iloc[-1]) if len(before) else np.nan})
    return pd.DataFrame(rows)
