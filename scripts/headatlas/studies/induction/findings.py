"""What the study of induction heads found: one sentence for each question, and its numbers for each model.

Intervals are over the members of a family; of a model with one member there is none, nor of one with two. A question
that a model cannot answer is named with the reason.
"""

from scipy.special import bdtrc

from headatlas.base import statements
from headatlas.base.statistics import bootstrap_interval, describe_counts, describe_mean, interval_of_mean
from headatlas.scores.induction_scores import ERRORS, LEAST
from headatlas.studies.induction import (
    ablation_effects,
    head_kinds,
    induction_depth,
    joint_effects,
    phase_changes,
    repeated_tokens,
)

_SHARE = (0, 1)  # what attention and depth can be
GAINS = {"published": ("short", "long"), "corrected": ("elsewhere", "long")}  # whose difference is what context gains


def gain(pairs, protocol, seed=0):
    """What context gains, with its paired bootstrap interval.

    Parameters
    ----------
    pairs : DataFrame of [short, elsewhere, long]
        Losses, one row per text.
    protocol : {"published", "corrected"}
        Published it is the loss in the short context less that in the long one; corrected, the loss in a context as
        long whose far part is another text's less that in the text's own.
    seed : int

    Returns
    -------
    mean, low, high : float
    """
    without, within = (pairs[name].to_numpy() for name in GAINS[protocol])
    low, high = bootstrap_interval(without, within, seed=seed)
    return float((without - within).mean()), float(low), float(high)


def text(models, depths, told, traced):
    """The findings as Markdown.

    Parameters
    ----------
    models : dict from model to dict
        Each with `causal` (bool), `maps`, `conditions`, `pairs`, `effects`, `joint` (tables of the study) and `context`
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
        _phase_changes(traced, models),
        _learning(models),
        _masks(models),
        _words(models),
    ]
    answered = [(headline, lines) for headline, lines in questions if headline]
    parts = ["\n".join([headline, "", *(f"- {line}" for line in lines)]) for headline, lines in answered]
    return "\n\n".join(parts) + "\n"


def _listed(names):
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


def _strongest(models):
    lines, every, some, none = [], [], [], []
    for model, found in models.items():
        rows = repeated_tokens.induction_rows(found["maps"], found["causal"])
        counted = repeated_tokens.induction_heads(found["maps"], found["causal"])
        said = {}
        for protocol in repeated_tokens.PROTOCOLS:
            own = rows[rows["protocol"] == protocol]
            best = repeated_tokens.strongest(own)
            chance = f"chance {own['chance'].mean():.3f}"
            said[protocol] = f"{describe_mean(best['value'], within=_SHARE)}, {chance}", best, own
        words, best, own = said["corrected"]
        members = own["member"].unique()
        counts = counted.groupby("member").size().reindex(members, fill_value=0)
        having = int((counts > 0).sum())
        if having == len(members):
            every.append(model)
        elif having:
            some.append(f"in {having} of {len(members)} members of {model}")
        else:
            none.append(model)
        layers = sorted(counted["layer"].unique().tolist())
        where = f", in layer{'s'[: len(layers) > 1]} {_listed([str(layer) for layer in layers])}" if layers else ""
        each = own.groupby("member").size().iloc[0]
        names = ", ".join(f"L{row.layer}H{row.head}" for row in best.itertuples())
        lines.append(
            f"{model}: induction heads are {describe_counts(counts, each, 'heads')}{where}; the strongest "
            f"({names}) has an induction score of {words}, on other sequences than it was chosen on. As published: "
            f"{said['published'][0]}."
        )
    parts = [f"in every member of {_listed(every)}"] if every else []
    parts += some + ([f"in none of {_listed(none)}"] if none else [])
    headline = f"Induction heads form {', '.join(parts)}."
    if not some and not none:
        headline = "Induction heads form in every member of every model."
    elif not every and not some:
        headline = "No model has induction heads."
    return statements.either(every or some, headline), [
        *lines,
        f"An induction head gives {LEAST:g} of its attention or more to what followed its token before (of masked "
        f"models: to the earlier instance), and {ERRORS} standard errors more than chance.",
    ]


def _kinds(told):
    lines, copying, finding = [], 0, 0
    for model, own in told.groupby("model", sort=False):
        if (own["kind"] == head_kinds.UNKNOWN).all():
            lines.append(f"{model}: its weights are not known, so copying cannot be told.")
            continue
        counted = {kind: int((own["kind"] == kind).sum()) for kind in head_kinds.KINDS}
        copying, finding = copying + counted[head_kinds.KINDS[0]], finding + counted[head_kinds.KINDS[1]]
        said = ", ".join(f"{count} {kind}" for kind, count in counted.items())
        lines.append(f"{model}: of {len(own)} heads {said}.")
    if not copying + finding:
        return statements.denied("No head is an induction head, so none can be asked whether it copies."), lines
    headline = (
        f"Of {copying + finding} induction heads, {copying} also copy what they find, and {finding} do not visibly."
    )
    return statements.found(headline), lines


def _redundancy(models):
    """Said where the excess is beyond zero and beyond that of the control, both over members."""
    lines, signs, alone, last = [], {}, [], []
    for model, found in models.items():
        rows, sizes = joint_effects.redundancy(found["joint"]), joint_effects.by_size(found["joint"])
        if rows.empty:
            alone.append(model)
            continue
        of_loss = (
            f"of the loss, which is no sum, they cost {rows['loss_singly'].mean():.2f} nats one by one, summed, and "
            f"{rows['loss'].mean():.2f} together"
        )
        if not rows["followed"].all():
            last.append(model)
            lines.append(
                f"{model}: nothing comes after its induction heads, so their effects on the logit add up by "
                f"construction; {of_loss}."
            )
            continue
        if rows["excess"].isna().all():
            lines.append(f"{model}: cannot be asked, for it is not known what its last norm does; {of_loss}.")
            continue
        signs[model] = joint_effects.sign(rows)
        of_size = sizes.groupby("size")[["logit", "excess", "control"]].mean()
        listed = {
            name: _listed([f"{value:{form}}" for value in of_size[name].dropna()]) for name, form in _FORMS.items()
        }
        control = "no control: no layer has two other heads that something follows"
        if rows["beyond"].notna().any():
            of_layer = _listed([str(layer) for layer in sorted(set(rows["control_layer"]) - {-1})])
            control = (
                f"as many other heads, of layer {of_layer}, {listed['control']}; beyond these "
                f"{describe_mean(rows['beyond'], signed=True)}"
            )
        lines.append(
            f"{model}: without {_listed([str(size) for size in of_size.index])} induction heads of a layer, the logit "
            "of "
            f"the right token falls by {listed['logit']}, more than without each, summed, by {listed['excess']}: in "
            "the "
            f"mean {describe_mean(rows['excess'], signed=True)}; {control}; {of_loss}."
        )
    reasons = {"no layer has two induction heads": alone, "no heads and no MLP come after them": last}
    lines += [f"Cannot be asked of {_listed(names)}: {reason}." for reason, names in reasons.items() if names]
    if not signs:
        return statements.denied("Redundancy within a layer cannot be asked of these models."), lines
    more, less = ([model for model, sign in signs.items() if sign == wanted] for wanted in (1, -1))
    if bool(more) == bool(less):
        headline = "Whether induction heads of one layer are redundant is not settled."
        return statements.denied(headline), lines
    headline = (
        "Induction heads of one layer are redundant: ablating them together costs more than the sum of each, beyond "
    )
    headline += "other heads"
    if less:
        headline = "Induction heads of one layer cost less together than the sum of each, beyond other heads"
    if len(more or less) < len(signs):
        rest = _listed([model for model in signs if model not in (more or less)])
        headline += f", in {_listed(more or less)}, which is not settled for {rest}"
    return statements.found(f"{headline}."), lines


_FORMS = {"logit": ".2f", "excess": "+.2f", "control": "+.2f"}  # of logits by the size of the set
_BY_CHANCE = 0.025  # of members have an interval that lies beyond zero on a given side


def _self_repair(models):
    lines, signs, unasked = [], [], []
    for model, found in models.items():
        rows = ablation_effects.repair(found["effects"])
        if rows.empty:
            unasked.append(model)
            continue
        signs += (rows["repair_low"] > 0).astype(int).sub((rows["repair_high"] < 0).astype(int)).tolist()
        share = rows["repair"].sum() / rows["direct"].sum()
        control = "no control"
        if rows["control_repair"].notna().any():
            control = f"of as many other heads of these layers {describe_mean(rows['control_repair'], signed=True)}"
        layers = sorted(rows["later_layers"].unique().tolist())
        after = f"{'-'.join(map(str, layers))} layer{'s'[: max(layers) > 1]}"
        lines.append(
            f"{model}: of the {rows['direct'].mean():.2f} nats that the induction heads of a layer would cost "
            "together, "
            f"were no later head to respond, the {after} after them make good "
            f"{describe_mean(rows['repair'], signed=True)} ({share:.0%}); of the {rows['direct_singly'].mean():.2f} "
            "nats "
            f"one by one, summed, {describe_mean(rows['repair_singly'], signed=True)}; {control}."
        )
    if unasked:
        lines.append(f"Cannot be asked of {_listed(unasked)}: no layer lies after an induction head.")
    if not signs:
        return statements.denied("Self-repair across layers cannot be asked of these models."), lines
    asked, good, worse = len(signs), signs.count(1), signs.count(-1)
    lines.append(
        f"A member counts where its own 95% interval over sequences lies beyond zero; by chance "
        f"{_BY_CHANCE * asked:.1f} of {asked} members would on either side."
    )
    # beyond chance: as many or more of members would by chance in one of forty such studies
    sure = [count > 0 and bdtrc(count - 1, asked, _BY_CHANCE) <= _BY_CHANCE for count in (good, worse)]
    headline = (
        f"Later layers make good part of what ablated induction heads did in {good} of {asked} members, and make the "
        "loss "
        f"worse in {worse}."
    )
    return statements.either(any(sure), headline), lines


def _depths(depths, models):
    asked = induction_depth.askable(depths)
    lines, later, sure = [], [], 0
    for model, own in asked.groupby("model", sort=False):
        mean, low, high = interval_of_mean(own["depth"], within=_SHARE)
        words = describe_mean(own["depth"], within=_SHARE)
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
        return statements.denied("Whether induction heads lie in later layers cannot be asked of these models."), lines
    headline = f"Induction heads lie beyond the middle in {len(later)} of {sure} models of three layers or more"
    return statements.either(later, headline + (f" ({_listed(later)})." if later else ".")), lines


def _phase_changes(traced, models):
    lines, formed, together, shares = [], [], [], []
    for model, table in traced.items():
        counted = repeated_tokens.induction_heads(models[model]["maps"], models[model]["causal"])
        found, end = phase_changes.of_members(table, counted), table["tokens"].max() / 1000
        own = found[found["forms"]]
        if own.empty:
            lines.append(f"{model}: no induction head forms (strongest at the end {found['final'].max():.2f}).")
            continue
        formed.append(model)
        thousand = own[["induction", "width", "in_context", "previous_token"]] / 1000
        lag = thousand["in_context"] - thousand["induction"]
        _, low, high = interval_of_mean(lag)
        shares.append(thousand["width"].mean() / end)
        together.append(low <= 0 <= high and high - low < 2 * thousand["width"].mean())  # known to within the rise
        line = (
            f"{model}: {len(own)} of {len(found)} members; the strongest head passes half of its final "
            f"{own['final'].mean():.2f} at {describe_mean(thousand['induction'], 0, within=(0, end))} thousand tokens "
            "and "
            f"goes from a tenth to nine tenths within {describe_mean(thousand['width'], 0, within=(0, end))} thousand; "
            f"in-context learning passes its half {describe_mean(lag, 0, signed=True)} thousand tokens from there"
        )
        if thousand["previous_token"].notna().any():
            before = thousand["previous_token"] - thousand["induction"]
            line += f", the strongest previous-token head below {describe_mean(before, 0, signed=True)} thousand"
        lines.append(line + ".")
    unasked = [model for model in models if model not in traced]
    if unasked:
        lines.append(f"Cannot be asked of {_listed(unasked)}: no snapshots of the training.")
    if not formed:
        return statements.denied("The time at which induction heads form cannot be asked of these models."), lines
    least, most = f"{min(shares):.0%}", f"{max(shares):.0%}"
    headline = f"The rise of induction heads takes {least if least == most else f'{least} to {most}'} of the training"
    return statements.found(headline + (", and in-context learning rises with them." if all(together) else ".")), lines


def _learning(models):
    lines, gained = [], 0
    for model, found in models.items():
        pairs, facts = found["pairs"], found["context"]
        said = {}
        for protocol, own in pairs.groupby("protocol", sort=False):
            without, within = GAINS[protocol]
            members = own.assign(gain=own[without] - own[within]).groupby("member")["gain"].mean()
            mean, low, high = gain(own, protocol)
            words = describe_mean(members)
            if len(members) == 1:
                words = f"{mean:.2f} (95% {low:.2f} to {high:.2f} over {len(own)} texts)"
            else:
                _, low, _ = interval_of_mean(members)
            said[protocol] = words, low
        gained += said["corrected"][1] > 0
        own = pairs[pairs["protocol"] == "corrected"]
        shorter, elsewhere = ((own["short"] - own[other]).mean() for other in ("long", "elsewhere"))
        what = "the last token" if found["causal"] else "the same masked token"
        line = (
            f"{model}: in {facts['long']} tokens of its own text, the loss of {what} is lower by "
            f"{said['corrected'][0]} "
            f"nats than where all but {facts['short']} of them are another text's"
        )
        if found["causal"]:
            line += f" (Olsson's score, which compares tokens {facts['long']} and {facts['short']}: {-shorter:.2f})"
        else:
            line += (
                f"; in {facts['short']} tokens alone it is {shorter:.2f} higher than in {facts['long']}, of which "
                f"{elsewhere:.2f} are what a text so short costs a model that knows long ones; as published, the mean "
                "loss "
                f"of all tokens falls by {said['published'][0]}"
            )
        lines.append(f"{line}; {told_texts(facts)}.")
    headline = f"What stands farther back in its own text lowers the loss in {gained} of {len(models)} models."
    return statements.either(gained, headline), lines


def told_texts(facts):
    """How many texts there are, and how many of them are of more than one document, which were too short."""
    across = facts["across"]
    return f"{facts['texts']} texts" + (f", {across} of them of several short documents joined" if across else "")


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
            f"{describe_mean(own['held_out'], within=_SHARE)} with {level}"
            for level, own in followed.groupby("level", sort=False)
        )
        names = ", ".join(f"L{row.layer}H{row.head}" for row in heads.itertuples())
        lines.append(
            f"{model}: attention to the earlier instance of the head strongest with one mask ({names}): {said}."
        )
    if not lines:
        return "", []
    return statements.found("Several masks at once: the same heads followed."), lines


def _words(models):
    lines = []
    for model, found in models.items():
        table = found["conditions"]
        reading = repeated_tokens.induction_reading(found["causal"])
        words = table[(table["condition"] == "words") & (table["reading"] == reading)]
        if len(words):
            best = repeated_tokens.strongest(words, ["level", "member"])
            said = ", ".join(
                f"{level} {describe_mean(own['value'], within=_SHARE)}"
                for level, own in best.groupby("level", sort=False)
            )
            lines.append(f"{model}: strongest induction on {said}.")
    return (statements.found("Induction on whole words and on pieces of words."), lines) if lines else ("", [])
