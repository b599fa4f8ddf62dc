"""What the study of induction heads found: one sentence for each question, and its numbers for each model.

Intervals are over the members of a family; of a model with one member there is none. A question that a model cannot
answer is named with the reason.
"""

from headatlas.base.statistics import bootstrap_interval, describe_mean, interval_of_mean
from headatlas.scores.induction_scores import ERRORS, LEAST, is_induction
from headatlas.studies.induction import ablation_effects, head_kinds, induction_depth, phase_changes, repeated_tokens


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


def text(models, depths, told, traced):
    """The findings as Markdown.

    Parameters
    ----------
    models : dict from model to dict
        Each with `causal` (bool), `maps`, `conditions`, `pairs`, `effects` (tables of the study) and `context`
        (facts of `pairs`).
    depths : DataFrame
        As `induction_depth.depth_table` gives.
    told : DataFrame
        As `head_kinds.tell_apart` gives, with `model`.
    traced : dict from model to DataFrame
        As `training_dynamics.trace` gives.

    Returns
    -------
    str
    """
    questions = [
        _strongest(models),
        _kinds(told),
        _redundancy(models),
        _self_repair(models),
        _depths(depths, list(models)),
        _phase_changes(traced, list(models)),
        _learning(models),
        _masks(models),
        _words(models),
    ]
    answered = [(headline, lines) for headline, lines in questions if headline]
    parts = ["\n".join([f"**{headline}**", "", *(f"- {line}" for line in lines)]) for headline, lines in answered]
    return "\n\n".join(parts) + "\n"


def _listed(names):
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


def _strongest(models):
    lines, form, none = [], [], []
    for model, found in models.items():
        rows = repeated_tokens.induction_rows(found["maps"], found["causal"])
        said = {}
        for protocol in repeated_tokens.PROTOCOLS:
            own = rows[rows["protocol"] == protocol]
            best = repeated_tokens.strongest(own)
            chance = f"chance {own['chance'].mean():.3f}"
            said[protocol] = f"{describe_mean(best['value'])}, {chance}", best, own
        words, best, own = said["corrected"]
        counts = is_induction(own).groupby(own["member"]).sum()
        (form if (counts > 0).all() else none).append(model)
        layers = sorted(own.loc[is_induction(own), "layer"].unique().tolist())
        where = f", in layer{'s'[: len(layers) > 1]} {_listed([str(layer) for layer in layers])}" if layers else ""
        each = own.groupby("member").size().iloc[0]
        names = ", ".join(f"{row.layer}.{row.head}" for row in best.itertuples())
        lines.append(
            f"{model}: {describe_mean(counts, 1)} of {each} heads a member are induction heads{where}; the strongest "
            f"({names}) pays {words}, measured on other sequences than it was chosen on. As published: "
            f"{said['published'][0]}."
        )
    if not form:
        headline = "No model has induction heads."
    elif none:
        headline = f"Induction heads form in every member of {_listed(form)}, not of {_listed(none)}."
    else:
        headline = "Induction heads form in every member of every model."
    return headline, [
        *lines,
        f"An induction head pays {LEAST:g} of its attention or more to what followed its token before (of masked "
        f"models: to the earlier instance), and {ERRORS} standard errors more than chance.",
    ]


def _kinds(told):
    lines, copying, both = [], 0, 0
    for model, own in told.groupby("model", sort=False):
        if (own["kind"] == "unknown").all():
            lines.append(f"{model}: its weights are not known, so copying cannot be told.")
            continue
        counted = {kind: int((own["kind"] == kind).sum()) for kind in head_kinds.KINDS}
        both, copying = both + counted["induction"], copying + counted["look-alike"]
        said = ", ".join(f"{count} {kind}" for kind, count in counted.items())
        lines.append(f"{model}: of {len(own)} heads {said}.")
    if not both + copying:
        return "No head matches prefixes, so none can only look like an induction head.", lines
    return (
        f"Of {both + copying} heads that find the earlier occurrence, {both} also copy what they find; {copying} only "
        "look like induction heads.",
        lines,
    )


def _redundancy(models):
    lines, signs, unasked = [], [], []
    for model, found in models.items():
        rows = ablation_effects.redundancy(found["effects"])
        if rows.empty:
            unasked.append(model)
            continue
        _, low, high = interval_of_mean(rows["excess"])
        signs.append(int(low > 0) - int(high < 0))
        control = "no control, for the layer has too few other heads"
        if rows["control"].notna().any():
            control = f"as many other heads of the layer cost {describe_mean(rows['control'])}"
        heads = describe_mean(rows["size"], 1) if rows["size"].nunique() > 1 else str(rows["size"].iloc[0])
        lines.append(
            f"{model}: ablated one by one (mean ablation), {heads} heads of a layer cost "
            f"{rows['singly'].mean():.2f} nats in sum, together {rows['together'].mean():.2f}: "
            f"{describe_mean(rows['excess'], signed=True)} more; {control}."
        )
    if unasked:
        lines.append(f"Cannot be asked of {_listed(unasked)}: no layer has two induction heads.")
    if not signs:
        return "Redundancy within a layer cannot be asked of these models.", lines
    headline = {
        1: "Induction heads of one layer are redundant: together they are worth more than the sum of each.",
        -1: "Induction heads of one layer are worth less together than the sum of each.",
        0: "Whether induction heads of one layer are redundant is not settled.",
    }
    return headline[signs[0] if len(set(signs)) == 1 else 0], lines


def _self_repair(models):
    lines, signs, unasked = [], [], []
    for model, found in models.items():
        rows = ablation_effects.repair(found["effects"])
        if rows.empty:
            unasked.append(model)
            continue
        _, low, high = interval_of_mean(rows["repair_singly"])
        signs.append(int(low > 0) - int(high < 0))
        share = rows["repair"].sum() / rows["direct"].sum()
        control = "no control"
        if rows["control_repair"].notna().any():
            control = f"of as many other heads of these layers {describe_mean(rows['control_repair'], signed=True)}"
        layers = sorted(rows["later_layers"].unique().tolist())
        after = f"{'-'.join(map(str, layers))} layer{'s'[: max(layers) > 1]}"
        lines.append(
            f"{model}: of the {rows['direct_singly'].mean():.2f} nats that induction heads cost one by one, were no "
            f"later head to respond, the {after} after them make good "
            f"{describe_mean(rows['repair_singly'], signed=True)}; of the {rows['direct'].mean():.2f} nats that they "
            f"cost together, {describe_mean(rows['repair'], signed=True)} ({share:.0%}); {control}."
        )
    if unasked:
        lines.append(f"Cannot be asked of {_listed(unasked)}: no layer lies after an induction head.")
    if not signs:
        return "Self-repair across layers cannot be asked of these models.", lines
    headline = {
        1: "Later layers make good part of what ablated induction heads did.",
        -1: "Later layers make the loss without an induction head worse, not better.",
        0: "No self-repair across layers is found for certain.",
    }
    return headline[signs[0] if len(set(signs)) == 1 else 0], lines


def _depths(depths, models):
    asked = induction_depth.askable(depths)
    lines, later, sure = [], [], 0
    for model, own in asked.groupby("model", sort=False):
        mean, low, high = interval_of_mean(own["depth"])
        words = describe_mean(own["depth"])
        if len(own) == 1:
            low, high = own["low"].iloc[0], own["high"].iloc[0]
            words = f"{mean:.2f} (95% {low:.2f} to {high:.2f} over {own['heads'].iloc[0]} heads)"
        sure += 1
        later += [model] if low > 0.5 else []
        lines.append(f"{model} ({own['layers'].iloc[0]} layers): mean depth of induction {words}; the middle is 0.50.")
    unasked = [model for model in models if model not in set(asked["model"])]
    if unasked:
        lines.append(
            f"Cannot be asked of {_listed(unasked)}: fewer than {induction_depth.FEWEST_LAYERS} layers, or no "
            "induction head."
        )
    if not sure:
        return "Whether induction heads lie in later layers cannot be asked of these models.", lines
    headline = f"Induction heads lie beyond the middle in {len(later)} of {sure} models of three layers or more"
    return headline + (f" ({_listed(later)})." if later else "."), lines


def _phase_changes(traced, models):
    lines, formed, together = [], [], []
    for model, table in traced.items():
        found = phase_changes.of_members(table)
        own = found[found["forms"]]
        if own.empty:
            lines.append(f"{model}: no induction head forms (strongest at the end {found['final'].max():.2f}).")
            continue
        formed.append(model)
        thousand = own[["induction", "width", "in_context", "previous_token"]] / 1000
        lag = thousand["in_context"] - thousand["induction"]
        _, low, high = interval_of_mean(lag)
        together.append(not (low > 0 or high < 0))
        line = (
            f"{model}: {len(own)} of {len(found)} members; the strongest head passes half of its final "
            f"{own['final'].mean():.2f} at {describe_mean(thousand['induction'], 0)} thousand tokens and goes from a "
            f"tenth to nine tenths within {describe_mean(thousand['width'], 0)} thousand; in-context learning passes "
            f"its half {describe_mean(lag, 0, signed=True)} thousand tokens from there"
        )
        if thousand["previous_token"].notna().any():
            before = thousand["previous_token"] - thousand["induction"]
            line += f", the strongest previous-token head below {describe_mean(before, 0, signed=True)} thousand"
        lines.append(line + ".")
    unasked = [model for model in models if model not in traced]
    if unasked:
        lines.append(f"Cannot be asked of {_listed(unasked)}: no snapshots of the training.")
    if not formed:
        return "The time at which induction heads form cannot be asked of these models.", lines
    return (
        "Induction heads form in a narrow window of training"
        + (", and in-context learning with them." if all(together) else "."),
        lines,
    )


def _learning(models):
    lines, gained = [], 0
    for model, found in models.items():
        pairs, facts = found["pairs"], found["context"]
        said = {}
        for protocol, own in pairs.groupby("protocol", sort=False):
            members = own.assign(gain=own["short"] - own["long"]).groupby("member")["gain"].mean()
            mean, low, high = gain(own)
            words = describe_mean(members)
            if len(members) == 1:
                words = f"{mean:.2f} (95% {low:.2f} to {high:.2f} over {len(own)} texts)"
            else:
                _, low, _ = interval_of_mean(members)
            said[protocol] = words, low, mean
        gained += said["corrected"][1] > 0
        what = "the token at the end" if found["causal"] else "the same masked token"
        line = (
            f"{model}: with {facts['long']} rather than {facts['short']} tokens before it, the loss of {what} is lower "
            f"by {said['corrected'][0]} nats"
        )
        if found["causal"]:
            line += f" (Olsson's score {-said['corrected'][2]:.2f})"
        else:
            line += f"; as published, the mean loss of all tokens by {said['published'][0]}"
        lines.append(f"{line}; {facts['texts']} texts, {facts['skipped']} too short.")
    return f"A longer context lowers the loss in {gained} of {len(models)} models.", lines


def _masks(models):
    lines = []
    for model, found in models.items():
        table = found["conditions"]
        masked = table[(table["condition"] == "masks") & (table["reading"] == "same")]
        if masked.empty:
            continue
        fewest = masked[masked["count"] == masked["count"].min()]
        heads = repeated_tokens.strongest(fewest)[["member", "layer", "head"]]
        followed = masked.merge(heads)
        said = ", ".join(
            f"{describe_mean(own['held_out'])} with {level}" for level, own in followed.groupby("level", sort=False)
        )
        names = ", ".join(f"{row.layer}.{row.head}" for row in heads.itertuples())
        lines.append(f"{model}: the head that is strongest with one mask ({names}) pays the earlier instance {said}.")
    if not lines:
        return "", []
    return "Several masks at once: the same heads followed.", lines


def _words(models):
    lines = []
    for model, found in models.items():
        table = found["conditions"]
        reading = repeated_tokens.induction_reading(found["causal"])
        words = table[(table["condition"] == "words") & (table["reading"] == reading)]
        if len(words):
            best = repeated_tokens.strongest(words, ["level", "member"])
            said = ", ".join(
                f"{level} {describe_mean(own['value'])}" for level, own in best.groupby("level", sort=False)
            )
            lines.append(f"{model}: strongest induction on {said}.")
    return ("Induction on whole words and on pieces of words.", lines) if lines else ("", [])
