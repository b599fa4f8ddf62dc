"""What a sweep of attention-only transformers came to: its runs side by side, Table I, and findings in words."""

import numpy as np
import pandas as pd

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
        model, the axes, [member,] epoch, loss, accuracy, unigram, bigram, and without `by_seed` members and error (the
        standard error of the loss over members); the least loss first.
    """
    held_out = table[table["split"] != "train"]
    last = held_out[held_out["step"] == held_out.groupby("model")["step"].transform("max")]
    constant = [name for name in table if name not in ("member", "step", "epoch", "split", "loss", "accuracy")]
    first = [name for name in constant if name not in ("unigram", "bigram")] + (["member"] if by_seed else [])
    found = last.groupby(first, sort=False)[["epoch", "loss", "accuracy", "unigram", "bigram"]].mean()
    if not by_seed:
        found = found.assign(members=last.groupby(first, sort=False).size(), error=last.groupby(first)["loss"].sem())
    return found.reset_index().sort_values("loss", ignore_index=True)


def above_bigram(ended):
    """The runs, of `outcomes`, whose heads are not to be interpreted: counting pairs of tokens predicts as well."""
    return ended.loc[ended["loss"] >= ended["bigram"], "model"].tolist()


def in_grid(ended, axes):
    """Of `outcomes` the runs that belong to a sweep's grid, `axes` mapping each axis to its values."""
    within = [ended[axis].isin(values) for axis, values in axes.items()]
    grid = ended["model"].str.fullmatch(r".*-d\d+")  # a run with epochs of its own ends otherwise
    return ended[np.logical_and.reduce([*within, grid])]


def effects(ended, axes):
    """How far each parameter moves the loss, other things being equal, with its error over seeds.

    Parameters
    ----------
    ended : DataFrame
        From `outcomes` by seed, of the runs of a grid; all pairs that differ in one axis alone are compared, a seed
        with itself.
    axes : sequence of str

    Returns
    -------
    DataFrame
        parameter, value, loss (mean over the runs with that value), error (its standard error over seeds), spread (of
        the parameter: mean over what stays equal of the largest less the smallest loss), spread_error, runs, seeds;
        errors are missing with one seed. The parameter of the largest spread first; those with one value are left out.
    """
    rows = []
    for axis in axes:
        if ended[axis].nunique() < 2:
            continue
        others = [other for other in axes if other != axis]
        ranges = ended.groupby([*others, "member"])["loss"].agg(["max", "min", "count"])
        ranges = ranges[ranges["count"] > 1]
        by_seed = (ranges["max"] - ranges["min"]).groupby(level="member").mean()
        of_parameter = {"spread": by_seed.mean(), "spread_error": by_seed.sem()}
        for value, own in ended.groupby(axis, sort=False):
            losses = own.groupby("member")["loss"].mean()
            row = {"parameter": axis, "value": str(value), "loss": losses.mean(), "error": losses.sem(), **of_parameter}
            rows.append(row | {"runs": len(own) // len(losses), "seeds": len(losses)})
    names = ["parameter", "value", "loss", "error", "spread", "spread_error", "runs", "seeds"]
    found = pd.DataFrame(rows, columns=names)
    return found.sort_values("spread", ascending=False, kind="stable", ignore_index=True)


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
        From `effects`.
    losses : DataFrame of [step, split, cross_entropy, over_positions, flat], or None
        One run under both losses.
    texts : DataFrame of [model, tokenizer, sample, piece, generated, continuation]
    copying : DataFrame of [model, head, copied, copied_chance, ov_copying, chance, chance_deviation]
    trigrams : DataFrame of [model, head, rank, source, destination, output, raised, looked, copies], tokens as text
    induction : DataFrame
        What `attention_only.induction_heads` gives, with `model`.
    names : DataFrame of [model, member, layer, head, name, value, chance]

    Returns
    -------
    str
    """
    weak = set(above_bigram(ended))
    return "\n".join(
        [
            *_of_training(ended, parameters),
            *_of_losses(losses),
            *_of_texts(texts),
            *_of_one_layer(copying, trigrams, weak),
            *_of_induction(induction, names, weak),
        ]
    )


def _short(model):
    """A run's name without what every run of the study has."""
    return model.removeprefix("circuits-")


def _warned(model, weak):
    return " (above its bigram baseline: too little training to interpret its heads)" if model in weak else ""


def _with_error(value, error):
    return f"{value:.2f}" + (f" ± {error:.2f}" if np.isfinite(error) else "")


def _of_training(ended, parameters):
    weak, best, worst = above_bigram(ended), ended.iloc[0], ended.iloc[-1]
    seeds = int(ended["members"].min())
    lines = [
        f"**{len(ended) - len(weak)} of {len(ended)} runs learn more than pairs of tokens.** Held-out losses in nats "
        f"per token, mean over {seeds} seed{'s'[: seeds > 1]}" + (" ± standard error:" if seeds > 1 else ":"),
        "",
        f"- best: `{_short(best['model'])}` {_with_error(best['loss'], best['error'])}, {best['accuracy']:.1%} of "
        f"tokens right (baselines: unigram {best['unigram']:.2f}, bigram {best['bigram']:.2f})",
    ]
    if len(ended) > 1:
        lines.append(f"- worst: `{_short(worst['model'])}` {_with_error(worst['loss'], worst['error'])}")
    if weak:
        lines.append(
            "- TOO LITTLE TRAINING TO INTERPRET (at or above the bigram baseline): "
            + ", ".join(f"`{_short(model)}`" for model in weak)
        )
    return [*lines, "", *_of_parameters(parameters)]


def _of_parameters(parameters):
    if parameters.empty:
        return []
    seeds = int(parameters["seeds"].min())
    first = parameters.iloc[0]
    if seeds < 2:
        headline = "What matters to the loss is not asked of one seed."
    elif parameters["parameter"].nunique() < 2:
        headline = f"The {first['parameter'].replace('_', ' ')} is all that the sweep varies."
    else:
        second = parameters[parameters["parameter"] != first["parameter"]].iloc[0]
        apart = first["spread"] - second["spread"]
        sure = apart > 2 * np.hypot(first["spread_error"], second["spread_error"])
        headline = "No parameter matters most for certain."
        if sure:
            headline = f"The {first['parameter'].replace('_', ' ')} matters most."
    lines = [f"**{headline}** Mean losses at each value, other things equal, ± standard error over {seeds} seeds:", ""]
    for parameter, rows in parameters.groupby("parameter", sort=False):
        means = ", ".join(
            f"{row.value} {_with_error(row.loss, row.error)}" for row in rows.sort_values("loss").itertuples()
        )
        spread = _with_error(rows["spread"].iloc[0], rows["spread_error"].iloc[0])
        lines.append(f"- {parameter.replace('_', ' ')} moves the loss by {spread}: {means}")
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
        lines.append(
            f"- `{_short(model)}`, {tokenizer}: {rows['continuation'].mean():.0%} continuation pieces; `{text}`"
        )
    return ["**Text sampled under each model shown:**", "", *dict.fromkeys(lines), ""] if lines else []


def _of_one_layer(copying, trigrams, weak):
    lines = []
    for model, heads in copying.groupby("model", sort=False):
        copies = heads[heads["ov_copying"] > heads["chance"] + 3 * heads["chance_deviation"]]
        lines.append(
            f"**{len(copies)} of {len(heads)} heads of one layer copy**, by their OV circuit's eigenvalues, in "
            f"`{_short(model)}`{_warned(model, weak)}. The head that copies most raises {heads['copied'].max():.0%} of "
            f"common tokens above all others where it sees them (chance {heads['copied_chance'].iloc[0]:.1%}). Its "
            "strongest skip-trigrams (source … destination → output):"
        )
        strongest = trigrams[trigrams["model"] == model].sort_values("raised", ascending=False).head(5)
        lines.append("")
        for row in strongest.itertuples():
            lines.append(f"- `{row.source} … {row.destination} → {row.output}` ({row.raised:+.1f} nats)")
        lines.append("")
    return lines


def _of_induction(induction, names, weak):
    lines, having = [], 0
    deep = names.groupby("model", sort=False).filter(lambda rows: rows["layer"].max() > 0)
    for model in deep["model"].unique():
        own = induction[induction["model"] == model]
        if own.empty:
            lines.append(f"- `{_short(model)}`: none{_warned(model, weak)}")
            continue
        best, having = own.iloc[0], having + 1
        lines.append(
            f"- `{_short(model)}`{_warned(model, weak)}: {len(own)}; of seed {int(best['member'])}, "
            f"layer {int(best['layer'])} head {int(best['head'])} pays "
            f"{best['induction']:.2f} (chance {best['chance']:.2f}) and reads layer {int(best['earlier_layer'])} head "
            f"{int(best['earlier_head'])} through its keys ({best['beyond']:+.1f} deviations of random heads)"
        )
    count = deep["model"].nunique()
    return [f"**{having} of {count} models of several layers have induction heads:**", "", *lines, ""] if lines else []
