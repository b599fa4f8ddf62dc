"""Figures 1 to 9 and Table I of Interpretability of Transformer Circuits (Jayakumar et al.) beside a run."""

import numpy as np

from headatlas.reproduction.claims import Claim

SETUP = {"corpus": "imdb", "d_model": "128, 256", "heads": "4, 8", "max_length": "20, 50, 80", "tokenizer": "gpt2"}
TABLES = {name: f"circuits/{name}.parquet" for name in ("sweep", "losses", "names", "text", "heads")}
_FLAT = 0.0011  # T ln T / V of 19 tokens and GPT-2's vocabulary: what the published loss gives before any training

_UNASKED = Claim("Figure 2", "The loss is very low.", "", "", None, "this run does not compute the published loss")


def claims(tables):
    """What the paper reports and what a run gives; parameters as of `phrenology.claims`."""
    return [
        _pieces(tables["text"]),
        _loss(tables["losses"]) if tables["losses"] is not None else _UNASKED,
        _variants(tables["sweep"]),
        *_heads(tables["names"], tables["sweep"]),
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


def _variants(sweep):
    mean = last_losses(sweep).groupby(["variant", "member"])["loss"].mean().unstack()
    error = mean.std(axis=1, ddof=1) / np.sqrt(mean.shape[1])
    said = ", ".join(f"{name} {row.mean():.2f} ± {error[name]:.2f}" for name, row in mean.iterrows())
    plain = [name for name in ("two-layer", "two-layer-mlp") if name in mean.index]
    gained = None
    if plain and "one-layer" in mean.index:
        gained = bool((mean.loc[plain].mean(axis=1) < mean.loc["one-layer"].mean() - 2 * error["one-layer"]).any())
    return Claim(
        "Figure 2",
        "Neither a second layer nor an MLP improves training much.",
        "the published loss is drawn",
        f"held-out nats per token: {said}",
        None if gained is None else not gained,
        "without a residual stream none of the deeper variants learns more than one layer, by two standard errors"
        if gained is not None
        else "the sweep does not have these variants",
    )


def _heads(names, sweep):
    counts = names["name"].value_counts()
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    runs = last_losses(sweep)
    trained = int(runs.groupby("model")["below"].all().sum())
    tail = f"of {len(names)} heads of the models shown: {said}"
    looked = [
        (
            "Figure 3",
            'Head 6 of one layer attends to "movie", the topic, from every query; head 1 too where it is right.',
            "first token",
        ),
        ("Figure 4", "In the second layer a head attends to the previous word and copies it.", "previous token"),
        ("Figure 5", "In the first layer a head always attends to the first two words.", "first token"),
        (
            "Figures 6, 7",
            'With an MLP a head attends to "movie", one to the first word, one to the word before the last.',
            "first token",
        ),
    ]
    return [
        Claim(
            item,
            reported,
            "the maps of one sampled text are drawn, of stand-ins for the heads that the paper picked",
            tail,
            bool((names["name"] == name).any()),
            f"a head of the models shown is named {name!r} by its scores over many prompts "
            f"({trained} of {runs['model'].nunique()} runs learn more than pairs of tokens)",
        )
        for item, reported, name in looked
    ]


def _sizes(sweep):
    held_out = sweep[(sweep["split"] == "validation") & sweep["corpus"].str.contains("wikitext")]
    losses = held_out.groupby(["d_model", "step"])["loss"].mean().groupby("d_model").agg(["first", "last"])
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
            "losses fall at every width"
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
