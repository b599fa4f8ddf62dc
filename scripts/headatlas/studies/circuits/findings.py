"""What a sweep of attention-only transformers came to: its runs side by side, Table I, and findings in words."""

import numpy as np
import pandas as pd

from headatlas.base import statements
from headatlas.base.statistics import describe_counts
from headatlas.data import ngram_baselines
from headatlas.studies.circuits import sweep, sweep_effects

ELHAGE = {  # Elhage et al. 2021, "A mathematical framework for transformer circuits", as Table I quotes it
    "residual stream": "always",
    "LayerNorm": "yes (folded into the weights)",
    "layers": "0, 1, 2",
    "heads": "12, 32",
    "d_model": "768",
    "tokenizer": "GPT-2 Neo",
    "training text": "huge",
    "longest text (tokens)": "2048",
    "loss": "cross-entropy over the vocabulary",
}
JAYAKUMAR = {
    "residual stream": "one run",
    "LayerNorm": "no",
    "layers": "1, 2 (one block twice)",
    "heads": "4, 8",
    "d_model": "128, 256",
    "tokenizer": "GPT-2, BERT",
    "training text": "IMDB, WikiText-103",
    "longest text (tokens)": "20, 50, 80",
    "loss": "cross-entropy over positions",
}


def gather(runs, histories, baselines):
    """All runs as one table.

    Parameters
    ----------
    runs : dict from name to point
        A run's place on the axes of `headatlas.studies.circuits.sweep`.
    histories : sequence of DataFrame of [member, step, epoch, split, loss, accuracy]
    baselines : sequence of DataFrame of [member, unigram, bigram]
        Both in the order of `runs`.

    Returns
    -------
    DataFrame
        model, the axes, member, step, epoch, split, loss, accuracy, unigram, bigram.
    """
    parts = []
    for (name, place), history, baseline in zip(runs.items(), histories, baselines, strict=True):
        place = {axis: value for axis, value in place.items() if axis != "epochs"}
        parts.append(history.merge(baseline, on="member").assign(model=name, **place))
    table = pd.concat(parts, ignore_index=True)
    axes = list(dict.fromkeys(axis for place in runs.values() for axis in place if axis != "epochs"))
    shared = ["member", "step", "epoch", "split", "loss", "accuracy", "unigram", "bigram"]
    return table[["model", *axes, *shared]].astype({"learning_rate": "float64"})


def outcomes(table, by_seed=False):
    """The last held-out loss and accuracy of each run, with its axes and baselines.

    Parameters
    ----------
    table : DataFrame
        From `gather`.
    by_seed : bool
        A row for each member of a run, rather than the mean over them.

    Returns
    -------
    DataFrame
        model, the axes, [member,] epoch, loss, accuracy, unigram, bigram, and without `by_seed` members, least and most
        (loss of any member); the least loss first.
    """
    held_out = table[table["split"] != "train"]
    last = held_out[held_out["step"] == held_out.groupby("model")["step"].transform("max")]
    constant = [name for name in table if name not in ("member", "step", "epoch", "split", "loss", "accuracy")]
    first = [name for name in constant if name not in ("unigram", "bigram")] + (["member"] if by_seed else [])
    found = last.groupby(first, sort=False)[["epoch", "loss", "accuracy", "unigram", "bigram"]].mean()
    if not by_seed:
        losses = last.groupby(first, sort=False)["loss"]
        found = found.assign(members=losses.size(), least=losses.min(), most=losses.max())
    return found.reset_index().sort_values("loss", ignore_index=True)


def too_little_trained(ended):
    """The runs, of `outcomes`, whose heads are not to be interpreted: counting predicts as well."""
    rows = ended.itertuples()
    return [row.model for row in rows if not ngram_baselines.below(row.loss, row.unigram, row.bigram)]


def in_grid(ended, axes):
    """Of `outcomes` the runs that belong to a sweep's grid, `axes` mapping each axis to its values."""
    within = [ended[axis].isin(values) for axis, values in axes.items()]
    grid = ended["model"].str.fullmatch(r".*-d\d+")  # a run with epochs of its own ends otherwise
    return ended[np.logical_and.reduce([*within, grid])]


def settings_table(models):
    """Table I of Jayakumar et al.: settings of Elhage et al. 2021, of the paper, and of what was run here.

    Parameters
    ----------
    models : dict from name to mapping
        The entries of `models` of all runs.

    Returns
    -------
    DataFrame
        setting, Elhage et al. 2021, Jayakumar et al., this run.
    """
    shapes = [model["architecture"] for model in models.values()]

    def listed(values):
        return ", ".join(str(value) for value in sorted(set(values), key=lambda value: (str(type(value)), value)))

    def share(key):
        count = sum(bool(shape[key]) for shape in shapes)
        return f"{count} of {len(shapes)} runs"

    tied = {f"{shape['layers']}{' (one block twice)' if shape['tied_layers'] else ''}" for shape in shapes}
    texts = {f"{model['corpus']} ({model['training']['windows']:,} texts)" for model in models.values()}
    ours = {
        "residual stream": share("residual"),
        "LayerNorm": share("layer_norm"),
        "layers": listed(tied),
        "heads": listed(shape["heads"] for shape in shapes),
        "d_model": listed(shape["d_model"] for shape in shapes),
        "tokenizer": listed(model["tokenizer"] for model in models.values()),
        "training text": listed(texts),
        "longest text (tokens)": listed(shape["context"] for shape in shapes),
        "loss": "cross-entropy over the vocabulary",
    }
    rows = [(name, ELHAGE[name], JAYAKUMAR[name], ours[name]) for name in ELHAGE]
    return pd.DataFrame(rows, columns=["setting", "Elhage et al. 2021", "Jayakumar et al.", "this run"])


def findings(ended, parameters, losses, texts, copying, trigrams, induction, names):
    """What the study found, as Markdown.

    Parameters
    ----------
    ended : DataFrame
        From `outcomes`, of all runs.
    parameters : DataFrame
        From `sweep_effects.effects`.
    losses : DataFrame of [step, split, cross_entropy, over_positions, flat], or None
        One run under both losses.
    texts : DataFrame of [model, tokenizer, sample, piece, generated, continuation]
    copying : DataFrame
        What `qk_ov_circuits.copying_heads` gives, with `model` and `member`.
    trigrams : DataFrame
        What `qk_ov_circuits.skip_trigrams` gives, with `model` and `member`, tokens as text.
    induction : DataFrame
        What `qk_ov_circuits.induction_heads` gives, with `model`.
    names : DataFrame of [model, member, layer, head, name, value, chance]

    Returns
    -------
    str
    """
    runs = ended["model"].tolist()
    short = dict(zip(runs, sweep.short_names(runs), strict=True))
    tables = (table.replace({"model": short}) for table in (ended, texts, copying, trigrams, induction, names))
    ended, texts, copying, trigrams, induction, names = tables
    weak = set(too_little_trained(ended))
    return "\n".join(
        [
            *_of_training(ended, parameters),
            *_of_losses(losses),
            *_of_texts(texts),
            *_of_one_layer(copying, trigrams, weak),
            *_of_induction(induction, names, weak),
        ]
    )


def _warned(model, weak):
    return f" (above its baselines: {ngram_baselines.TOO_LITTLE} its heads)" if model in weak else ""


def _loss(run):
    """A run's last loss, and those of its seeds: of two or three no error is known."""
    if run["members"] < 2:
        return f"{run['loss']:.2f}"
    return f"{run['loss']:.2f} ({run['least']:.2f} to {run['most']:.2f})"


def _of_training(ended, parameters):
    weak, best, worst = too_little_trained(ended), ended.iloc[0], ended.iloc[-1]
    seeds = int(ended["members"].min())
    learnt = statements.either(
        len(ended) > len(weak), f"{len(ended) - len(weak)} of {len(ended)} runs learn more than pairs of tokens."
    )
    lines = [
        f"{learnt} Held-out losses in nats "
        f"per token, mean over {seeds} seed{'s'[: seeds > 1]}" + (" (least to most):" if seeds > 1 else ":"),
        "",
        f"- best: `{best['model']}` {_loss(best)}, {best['accuracy']:.1%} of "
        f"tokens right (baselines: unigram {best['unigram']:.2f}, bigram {best['bigram']:.2f})",
    ]
    if len(ended) > 1:
        lines.append(f"- worst: `{worst['model']}` {_loss(worst)}")
    if weak:
        lines.append(
            f"- {ngram_baselines.TOO_LITTLE.upper()} (not below the baselines): "
            + ", ".join(f"`{model}`" for model in weak)
        )
    return [*lines, "", *_of_parameters(parameters)]


def _of_parameters(parameters):
    if parameters.empty:
        return []
    first = parameters.iloc[0]
    moves, most = sweep_effects.moving(parameters)
    named = [name.replace("_", " ") for name in moves]
    count, seeds = parameters["parameter"].nunique(), int(first["seeds"])
    if seeds < 2:
        headline = "What moves the loss is not asked of one seed."
    elif np.isnan(first["p"]):
        headline = "What moves the loss is not asked of a sweep in which a run has no loss."
    elif most:
        headline = f"Over the values swept, the {most.replace('_', ' ')} moves the loss most."
    elif moves:
        headline = f"Over the values swept, the {' and the '.join(named)} move{'s'[: len(moves) == 1]} the loss"
        headline += "." if count == 1 else "; which of the parameters moves it most is not settled."
    else:
        headline = "No parameter moves the loss beyond what seeds do, over the values swept."
    said = f"Mean losses at each value over {first['runs']} runs of {seeds} seed{'s'[: seeds > 1]}"
    if np.isfinite(first["noise"]):
        said += (
            f", ± standard error; noise between seeds is {first['noise']:.3f} nats ({first['noise_freedom']} degrees "
            f"of freedom), and p is Holm's over {count} parameter{'s'[: count > 1]}"
        )
    lines = [f"{statements.either(moves, headline)} {said}:", ""]
    for _, rows in parameters.groupby("parameter", sort=False):
        lines.append(f"- {sweep_effects.describe(rows)}: " + ", ".join(sweep_effects.describe_values(rows)))
    return [*lines, ""]


def _of_losses(losses):
    if losses is None:
        return []
    held_out = losses[losses["split"] != "train"].sort_values("step")
    first, last = held_out.iloc[0], held_out.iloc[-1]
    return [
        "**The published loss is small because it is divided by the vocabulary.** Over positions, it goes "
        f"from {first['over_positions']:.5f} to {last['over_positions']:.5f} "
        f"(flat: {first['flat']:.5f}) on the run whose cross-entropy falls from {first['cross_entropy']:.2f} to "
        f"{last['cross_entropy']:.2f} nats per token.",
        "",
    ]


def _of_texts(texts):
    drawn = texts[texts["generated"] & (texts["sample"] >= 0)]
    lines = []
    for (model, tokenizer), rows in drawn.groupby(["model", "tokenizer"], sort=False):
        text = " ".join(texts[(texts["model"] == rows["model"].iloc[0]) & (texts["sample"] == 0)]["piece"])
        lines.append(f"- `{model}`, {tokenizer}: {rows['continuation'].mean():.0%} continuation pieces; `{text}`")
    return ["**Text sampled under each model shown:**", "", *dict.fromkeys(lines), ""] if lines else []


def _of_one_layer(copying, trigrams, weak):
    lines = []
    for model, heads in copying.groupby("model", sort=False):
        # above what random heads reach, and above nothing: random heads may lie below
        copies = heads["ov_copying"] > np.maximum(heads["chance"] + 3 * heads["chance_deviation"], 0)
        counts = copies.groupby(heads["member"]).sum()
        each = heads["head"].nunique()
        headline = f"Heads of one layer that copy: {describe_counts(counts, each, 'heads')}"
        lines.append(
            f"{statements.either(copies.any(), headline)}, by their OV circuit's eigenvalues, in "
            f"`{model}`{_warned(model, weak)}. The head that copies most raises {heads['copied'].max():.0%} of "
            f"common tokens above all others where it sees them (chance {heads['copied_chance'].iloc[0]:.1%}). The "
            "strongest skip-trigrams of all heads and seeds (source … destination → output):"
        )
        strongest = trigrams[trigrams["model"] == model].sort_values("raised", ascending=False)
        lines.append("")
        for row in strongest.drop_duplicates(["source", "destination", "output"]).head(5).itertuples():
            where = f"seed {row.member}, head {row.head}"
            lines.append(f"- `{row.source} … {row.destination} → {row.output}` ({row.raised:+.1f} nats; {where})")
        lines.append("")
    return lines


def _of_induction(induction, names, weak):
    lines, having = [], 0
    deep = names.groupby("model", sort=False).filter(lambda rows: rows["layer"].max() > 0)
    for model, heads in deep.groupby("model", sort=False):
        own = induction[induction["model"] == model]
        members = heads["member"].unique()
        counts = own.groupby("member").size().reindex(members, fill_value=0)
        counted = describe_counts(counts, len(heads) // len(members), "heads")
        having += len(own) > 0
        lines.append(f"- `{model}`{_warned(model, weak)}: {counted}")
        if own.empty:
            continue
        best = own.iloc[0]
        lines[-1] += (
            f"; the strongest, of seed {int(best['member'])}, layer {int(best['layer'])} head {int(best['head'])}, "
            f"has an induction score of {best['induction']:.2f} (chance {best['chance']:.2f})"
        )
        if np.isfinite(best["earlier_layer"]):  # there is none before the first layer
            lines[-1] += (
                f" and reads layer {int(best['earlier_layer'])} head {int(best['earlier_head'])} through its keys "
                f"({best['beyond']:+.1f} deviations of random heads)"
            )
    count = deep["model"].nunique()
    headline = statements.either(having, f"{having} of {count} models of several layers have induction heads:")
    return [headline, "", *lines, ""] if lines else []
