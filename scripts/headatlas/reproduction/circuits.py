"""Figures 1 to 9 and Table I of Interpretability of Transformer Circuits (Jayakumar et al.) beside a run."""

import numpy as np
from scipy.special import stdtrit

from headatlas.reproduction.claims import Claim
from headatlas.scores.induction_scores import ERRORS
from headatlas.studies.circuits.sweep import AXES

SETUP = {"corpus": "imdb", "d_model": "128, 256", "heads": "4, 8", "max_length": "20, 50, 80", "tokenizer": "gpt2"}
TABLES = {name: f"circuits/{name}.parquet" for name in ("sweep", "losses", "names", "text", "heads")}
_FLAT = 0.0011  # T ln T / V of 19 tokens and GPT-2's vocabulary: what the published loss gives before any training
_PLAIN, _DEEPER = "one-layer", ("two-layer", "two-layer-mlp")  # variants without a residual stream
_MUCH = 0.1  # nats per token that a deeper model would gain, were it much better
# Which heads a figure shows: of the first of these variants that the run has, of which layer (None: any); by which
# names they are known if the paper is right, and whether the heads of that name are to copy too
_LOOKED = (
    (
        "Figure 3",
        'Head 6 of one layer attends to "movie", the topic, from every query; head 1 too where it is right.',
        ("one-layer",),
        0,
        ["topic word"],
        False,
    ),
    (
        "Figure 4",
        "In the second layer a head attends to the previous word and copies it.",
        ("two-layer-tied", "two-layer"),
        1,
        ["previous token"],
        True,
    ),
    (
        "Figure 5",
        "In the first layer a head always attends to the first two words.",
        ("two-layer-tied", "two-layer"),
        0,
        ["first token"],
        False,
    ),
    (
        "Figures 6, 7",
        'With an MLP a head attends to "movie", one to the first word, one to the word before the last.',
        ("two-layer-mlp-tied", "two-layer-mlp", "two-layer-mlp-residual"),
        None,
        ["topic word", "first token", "previous token"],
        False,
    ),
)

_UNASKED = Claim("Figure 2", "The loss is very low.", "", "", None, "this run does not compute the published loss")


def claims(tables):
    """What the paper reports and what a run gives; parameters as of `phrenology.claims`."""
    return [
        _pieces(tables["text"]),
        _loss(tables["losses"]) if tables["losses"] is not None else _UNASKED,
        _variants(tables["sweep"]),
        *_heads(tables["names"], tables["heads"], tables["sweep"]),
        *_sizes(tables["sweep"]),
    ]


def last_losses(sweep):
    """The last held-out loss of each run and member of a sweep: its rows, with `below`, whether below the bigram "
    "baseline."""
    held_out = sweep[sweep["split"] == "validation"]
    last = held_out[held_out["step"] == held_out.groupby("model")["step"].transform("max")]
    return last.assign(below=last["loss"] < last["bigram"])


def _pieces(text):
    share = text[text["generated"]].groupby("tokenizer")["continuation"].mean()
    said = ", ".join(f"{name} {value:.0%}" for name, value in share.items())
    return Claim(
        "Figure 1",
        "Under BERT's tokenizer the text sampled is full of pieces that continue a word (##).",
        f"share of continuation pieces in sampled text, by tokenizer: {said}",
        "the same, counted",
        bool(share.max() > 0.1) if len(share) else None,
        "more than a tenth under one of the tokenizers",
    )


def _loss(losses):
    held = losses[losses["split"] == "held out"].sort_values("step")
    first, last = held.iloc[0], held.iloc[-1]
    return Claim(
        "Figure 2",
        f"The loss is very low and falls very slowly (flat: {_FLAT} of 19 tokens and 50,257 in the vocabulary).",
        f"{first['over_positions']:.4f} to {last['over_positions']:.4f} (flat: {last['flat']:.4f})",
        f"the same run's cross-entropy, {first['cross_entropy']:.2f} to {last['cross_entropy']:.2f} nats per token: "
        "the published "
        "loss is a softmax over positions",
        bool(last["over_positions"] < 0.1 * last["cross_entropy"]),
        "the published loss is less than a tenth of the cross-entropy of the same run",
    )


def _gains(sweep):
    """What each deeper variant without a residual stream learns more than one layer, in nats, with its interval.

    Runs are held against those that differ from them in the variant alone; noise is what is left of all their losses
    when each run's mean and each seed's mean are taken out. All intervals together hold at 95% (Bonferroni).
    """
    last = last_losses(sweep)
    last = last[last["variant"].isin([_PLAIN, *_DEEPER]) & last["model"].str.fullmatch(r".*-d\d+")]
    others = [axis for axis in AXES if axis in last and axis != "variant"]
    wide = last.pivot_table(index=others, columns=["variant", "member"], values="loss").dropna()
    variants = [name for name in _DEEPER if name in wide]
    if _PLAIN not in wide or not variants or wide.empty:
        return {}
    kept = [_PLAIN, *variants]
    losses = np.stack([wide[name].to_numpy() for name in kept])  # (variant, other axes, seed)
    count, seeds = losses[0].size, losses.shape[2]
    cells = losses.reshape(-1, seeds)
    freedom = (len(cells) - 1) * (seeds - 1)
    residual = cells - cells.mean(1, keepdims=True) - cells.mean(0) + cells.mean()
    reach = np.nan
    if freedom:
        level = 1 - 0.025 / len(variants)
        reach = float(stdtrit(freedom, level)) * np.sqrt(2 * (residual**2).sum() / freedom / count)
    means = losses.mean((1, 2))
    return {name: (means[0] - mean, reach) for name, mean in zip(variants, means[1:], strict=True)}


def _variants(sweep):
    gained = _gains(sweep)
    said = ", ".join(
        f"{name} {gain:+.2f}" + ("" if np.isnan(reach) else f" ({gain - reach:+.2f} to {gain + reach:+.2f})")
        for name, (gain, reach) in gained.items()
    )
    agrees, asked = None, "the sweep does not have these variants"
    if gained and any(np.isnan(reach) for _, reach in gained.values()):
        asked = "one seed has no error"
    elif gained:
        if all(gain + reach < _MUCH for gain, reach in gained.values()):
            agrees = True
        elif any(gain - reach > _MUCH for gain, reach in gained.values()):
            agrees = False
        asked = f"the 95% intervals of what deeper variants without a residual stream gain lie below {_MUCH} nats"
        asked += "" if agrees is not None else ", or one above: they lie on both sides"
    return Claim(
        "Figure 2",
        "Neither a second layer nor an MLP improves training much.",
        "the published loss is drawn",
        f"held-out nats per token that are gained on one layer: {said}" if gained else "",
        agrees,
        asked,
    )


def _heads(names, scores, sweep):
    """Whether heads of the runs and layers that a figure shows do over many prompts what the paper saw in one text."""
    known = last_losses(sweep).groupby("model")["below"].all()
    names = names.merge(sweep[["model", "variant"]].drop_duplicates())
    claims = []
    for item, reported, variants, layer, wanted, copies in _LOOKED:
        shown = next((names[names["variant"] == name] for name in variants if (names["variant"] == name).any()), None)
        if shown is None:
            claims.append(Claim(item, reported, "", "", None, "no such model is shown in this run"))
            continue
        variant, own = shown["variant"].iloc[0], shown if layer is None else shown[shown["layer"] == layer]
        where = f"the heads of {variant}" if layer is None else f"the heads of layer {layer} of {variant}"
        counts = ", ".join(f"{name} {count}" for name, count in own["name"].value_counts().items())
        doing = [own[own["name"] == name] for name in wanted]
        if copies:
            doing = [_that_copy(rows, scores) for rows in doing]
        members = own["member"].unique()
        having = sum(all((rows["member"] == member).any() for rows in doing) for member in members)
        asked = f"in every seed a head is named {' and one '.join(map(repr, wanted))} by its scores over many prompts"
        asked += " and copies" if copies else ""
        agrees = having == len(members)
        if not known[own["model"].unique()].all():
            agrees, asked = None, f"{variant} knows no more than pairs of tokens, so that its heads mean nothing"
        else:
            asked += f": so it is in {having} of {len(members)}"
        drawn = "the maps of one sampled text are drawn, of stand-ins for the heads that the paper picked"
        claims.append(Claim(item, reported, drawn, f"{where}, of {len(members)} seeds: {counts}", agrees, asked))
    return claims


def _that_copy(heads, scores):
    """Those heads that raise the logits of what they see, by as many standard errors as an induction head needs."""
    copying = scores[scores["score"] == "copying"]
    copying = copying[copying["value"] - copying["chance"].fillna(0) > ERRORS * copying["standard_error"].fillna(0)]
    return heads.merge(copying[["model", "member", "layer", "head"]])


def _sizes(sweep):
    """Losses at each width of the WikiText runs that there are at every width, each from its own first to its last."""
    held_out = sweep[(sweep["split"] == "validation") & sweep["corpus"].str.contains("wikitext")]
    by_step = held_out.groupby(["model", "step"])["loss"].mean().groupby("model").agg(["first", "last"])
    runs = held_out.drop_duplicates("model").set_index("model").join(by_step)
    others = [axis for axis in AXES if axis in runs and axis != "d_model"]
    widths = runs["d_model"].nunique()
    if others:
        runs = runs[runs.groupby(others)["d_model"].transform("nunique") == widths]
    losses = runs.groupby("d_model")[["first", "last"]].mean()
    comparable = len(losses) > 1
    said = ", ".join(f"{width}: {row['first']:.2f} to {row['last']:.2f}" for width, row in losses.iterrows())
    return [
        Claim(
            "Figures 8, 9",
            'On WikiText-103 at widths 128 and 256 losses fall slowly and heads attend to "movie" and to the words '
            "just before.",
            "",
            f"held-out nats per token by width, {said}" if comparable else "",
            bool((losses["last"] < losses["first"]).all()) if comparable else None,
            "losses fall at every width; what heads attend to is not asked"
            if comparable
            else "this run has no WikiText at two widths; that of `config/circuits-wikitext.yaml` has",
        ),
        Claim(
            "Table I",
            "Beside Elhage et al.: no residual stream, 4 or 8 heads, widths of 128 or 256, lengths of at most 80.",
            "built from the settings of this run",
            "the same",
            None,
            "it lists settings, which are this run's own",
        ),
    ]
