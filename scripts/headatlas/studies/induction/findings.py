"""What the study of induction heads found, in sentences with numbers."""

import numpy as np
import pandas as pd

from headatlas.base.statistics import bootstrap_interval
from headatlas.studies.induction import head_kinds, repeated_tokens

_CLEAR = 0.1  # of attention beyond chance: what counts as an induction head in a sentence


def gain(pairs, seed=0):
    """What the long context gains, with its paired bootstrap interval.

    Parameters
    ----------
    pairs : DataFrame of [short, long]
        One row per text.
    seed : int

    Returns
    -------
    mean, low, high : float
    """
    low, high = bootstrap_interval(pairs["short"].to_numpy(), pairs["long"].to_numpy(), seed=seed)
    return float((pairs["short"] - pairs["long"]).mean()), float(low), float(high)


def self_repair(effects, kind="mean"):
    """How much of the direct damage other heads make good, for each model's strongest heads together.

    Parameters
    ----------
    effects : DataFrame
        As `backup.effect_tables` gives.
    kind : {"zero", "mean", "resample"}

    Returns
    -------
    DataFrame of [member, heads, total, direct, repair, repair_low, repair_high, singly, control]
        `singly` is the sum of the heads' total effects one by one, `control` the mean total effect of random sets.
    """
    rows = []
    for member, own in effects[effects["kind"] == kind].groupby("member"):
        real = own[own["control_of"] < 0]
        together = real.loc[real["size"].idxmax()]
        controls = own[own["control_of"] == together["set"]]
        kept = {name: together[name] for name in ("heads", "total", "direct", "repair", "repair_low", "repair_high")}
        singly = real.loc[real["size"] == 1, "total"].sum()
        rows.append({"member": member, **kept, "singly": singly, "control": controls["total"].mean()})
    return pd.DataFrame(rows)


def phase_change(table, threshold=0.5):
    """When a member's strongest head first reaches a share of the induction that it ends with.

    Parameters
    ----------
    table : DataFrame
        As `dynamics.trace` gives.
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


def text(models, depths, told, traced):
    """The findings as Markdown.

    Parameters
    ----------
    models : dict from model to dict
        Each with `causal` (bool), `maps`, `conditions`, `pairs`, `effects` (tables of the study) and `context`
        (facts of `pairs`).
    depths : DataFrame
        As `depth.depth_table` gives.
    told : DataFrame
        As `look_alikes.tell_apart` gives, with `model`.
    traced : dict from model to DataFrame
        As `dynamics.trace` gives.

    Returns
    -------
    str
    """
    lines = []
    for model, found in models.items():
        lines += [f"- **{model}** " + sentence for sentence in _strongest(found)]
        lines += [f"- {model}: {sentence}" for sentence in [*_learning(found), *_without(found), *_masks(found)]]
        if model in traced:
            lines += [f"- {model}: {sentence}" for sentence in _born(traced[model])]
        own = told[told["model"] == model]
        lines.append(f"- {model}: {_kinds(own)}")
    return "\n".join([*lines, *_depths(models, depths)]) + "\n"


def _name(row):
    return f"layer {row['layer']} head {row['head']}"


def _strongest(found):
    rows = repeated_tokens.induction_rows(found["maps"], found["causal"])
    for protocol in repeated_tokens.PROTOCOLS:
        own = rows[rows["protocol"] == protocol]
        best = own.loc[own["value"].idxmax()]
        clear = own[own["value"] >= own["chance"] + _CLEAR]
        member = f"of member {best['member']} " if own["member"].nunique() > 1 else ""
        yield (
            f"({protocol}): strongest induction head {member}is {_name(best)} at {best['value']:.3f} ± "
            f"{best['standard_error']:.3f} (chance {best['chance']:.3f}); {len(clear)} of "
            f"{len(own)} heads are {_CLEAR} above chance."
        )


def _learning(found):
    pairs, facts = found["pairs"], found["context"]
    sizes = f"{facts['long']} rather than {facts['short']} tokens"
    for protocol, own in pairs.groupby("protocol", sort=False):
        if found["causal"] and protocol == "published":
            continue  # the same
        gains = [gain(rows) for _, rows in own.groupby("member")]
        spread = "; ".join(f"{mean:.3f} (95% {low:.3f} to {high:.3f})" for mean, low, high in gains)
        what = "the loss at the later token is lower by" if found["causal"] else "the masked token's loss is lower by"
        if protocol == "published":
            what = "published, the mean loss of all tokens is lower by"
        sign = f", Olsson's score {-np.mean([mean for mean, *_ in gains]):.3f}" if found["causal"] else ""
        said = f"in-context learning: with {sizes}, {what} {spread} nats{sign}; "
        yield said + f"{facts['texts']} texts, {facts['skipped']} too short."


def _without(found):
    for _, row in self_repair(found["effects"]).iterrows():
        share = f" ({row['repair'] / row['direct']:.0%} of it)" if row["direct"] > 0.01 else ""
        control = f"{row['control']:.3f}" if np.isfinite(row["control"]) else "not to be had"
        yield (
            f"member {row['member']} without heads {row['heads']} (mean ablation): loss on repeated tokens "
            f"{row['total']:+.3f} nats, {row['direct']:+.3f} were no other head to respond, so self-repair is "
            f"{row['repair']:+.3f} nats{share}, 95% {row['repair_low']:+.3f} to {row['repair_high']:+.3f}; "
            f"one by one the heads cost {row['singly']:+.3f} in all; as many random heads of the same layers {control}."
        )


def _masks(found):
    table = found["conditions"]
    masked = table[(table["condition"] == "masks") & (table["reading"] == "same")]
    if len(masked):
        best = masked.groupby(["level", "count"], sort=False)["value"].max()
        said = ", ".join(f"{value:.3f} at {level}" for (level, _), value in best.items())
        yield f"with several masks at once, the strongest head pays the earlier instance {said} of tokens masked."
    words = table[
        (table["condition"] == "words") & (table["reading"] == repeated_tokens.induction_reading(found["causal"]))
    ]
    if len(words):
        best = words.groupby("level", sort=False)["value"].max()
        yield "strongest induction on " + ", ".join(f"{level} {value:.3f}" for level, value in best.items()) + "."


def _born(table):
    for row in phase_change(table).itertuples():
        if row.final < table.loc[table["score"] == "induction", "chance"].max() + _CLEAR:
            yield f"member {row.member} never forms an induction head (strongest at the end {row.final:.3f})."
            continue
        yield (
            f"member {row.member}: head {row.head} reaches half of its final {row.final:.3f} by {row.tokens:,} tokens; "
            f"in-context learning goes from {row.gain_before:.3f} before to {row.gain_after:.3f} nats at the end."
        )


def _kinds(own):
    if (own["kind"] == "unknown").all():
        return "its weights are not known to us, so copying cannot be told."
    counted = {kind: int((own["kind"] == kind).sum()) for kind in head_kinds.KINDS}
    said = ", ".join(f"{count} {kind}" for kind, count in counted.items())
    return f"by prefix matching and copying, of {len(own)} heads: {said}."


def _depths(models, depths):
    own = depths[(depths["protocol"] == "corrected") & depths["depth"].notna()]
    deep = []
    for row in own.itertuples():
        p_value = f", p = {row.p_value:.3g}" if np.isfinite(row.p_value) else ""
        deep.append(f"{row.model} member {row.member} {row.depth:.2f} ({row.low:.2f} to {row.high:.2f}{p_value})")
    layered = own[own["p_value"].notna()]
    later = layered[(layered["low"] > 0.5)]
    yield (
        f"- Do induction heads always appear in later layers? In {len(later)} of {len(layered)} networks of several "
        f"layers their score-weighted depth lies beyond the middle with its 95% interval: {'; '.join(deep)}."
    )
