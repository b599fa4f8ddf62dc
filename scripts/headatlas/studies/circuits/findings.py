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


def outcomes(table):
    """The last held-out loss and accuracy of each run, mean over members, with its axes and baselines."""
    held_out = table[table["split"] != "train"]
    last = held_out[held_out["step"] == held_out.groupby("model")["step"].transform("max")]
    constant = [name for name in table if name not in ("member", "step", "epoch", "split", "loss", "accuracy")]
    first = [name for name in constant if name not in ("unigram", "bigram")]
    found = last.groupby(first, sort=False, as_index=False)[["epoch", "loss", "accuracy", "unigram", "bigram"]].mean()
    return found.sort_values("loss", ignore_index=True)


def in_grid(ended, axes):
    """Of `outcomes` the runs that belong to a sweep's grid, `axes` mapping each axis to its values."""
    within = [ended[axis].isin(values) for axis, values in axes.items()]
    grid = ended["model"].str.fullmatch(r".*-d\d+")  # a run with epochs of its own ends otherwise
    return ended[np.logical_and.reduce([*within, grid])]


def effects(ended, axes):
    """How far each parameter moves the loss, other things being equal.

    Parameters
    ----------
    ended : DataFrame
        From `outcomes`, of the runs of a grid; all pairs that differ in one axis alone are compared.
    axes : sequence of str

    Returns
    -------
    DataFrame
        parameter, value, loss (mean over the runs with that value), spread (of the parameter: mean over what stays
        equal of the largest less the smallest loss), runs; the parameter of the largest spread first. Parameters with
        one value are left out.
    """
    rows = []
    for axis in axes:
        if ended[axis].nunique() < 2:
            continue
        others = [other for other in axes if other != axis]
        ranges = ended.groupby(others)["loss"].agg(["max", "min", "count"])
        ranges = ranges[ranges["count"] > 1]
        spread = (ranges["max"] - ranges["min"]).mean()
        for value, losses in ended.groupby(axis, sort=False)["loss"]:
            rows.append(
                {"parameter": axis, "value": str(value), "loss": losses.mean(), "spread": spread, "runs": len(losses)}
            )
    found = pd.DataFrame(rows, columns=["parameter", "value", "loss", "spread", "runs"])
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
        From `outcomes`.
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
    return "\n".join(
        [
            *_of_training(ended, parameters),
            *_of_losses(losses),
            *_of_texts(texts),
            *_of_one_layer(copying, trigrams),
            *_of_induction(induction, names),
        ]
    )


def _of_training(ended, parameters):
    below = {baseline: int((ended["loss"] < ended[baseline]).sum()) for baseline in ("unigram", "bigram")}
    best, worst = ended.iloc[0], ended.iloc[-1]
    lines = [
        f"{len(ended)} runs; held-out loss below the unigram baseline in {below['unigram']}, "
        f"below the bigram baseline in {below['bigram']}.",
        "",
        f"- best: `{best['model']}`, {best['loss']:.3f} nats per token, {best['accuracy']:.1%} of tokens right "
        f"(unigram baseline {best['unigram']:.3f}, bigram {best['bigram']:.3f})",
    ]
    if len(ended) > 1:
        lines.append(f"- worst: `{worst['model']}`, {worst['loss']:.3f} (unigram baseline {worst['unigram']:.3f})")
    for parameter, rows in parameters.groupby("parameter", sort=False):
        means = ", ".join(f"{row.value} {row.loss:.2f}" for row in rows.sort_values("loss").itertuples())
        lines.append(f"- {parameter.replace('_', ' ')} moves the loss by {rows['spread'].iloc[0]:.2f}: {means}")
    if below["unigram"] < len(ended):
        high = ended.loc[ended["loss"] >= ended["unigram"], "model"]
        lines.append(f"- TOO LITTLE TRAINING TO INTERPRET (above the unigram baseline): {', '.join(high)}")
    return [*lines, ""]


def _of_losses(losses):
    if losses is None:
        return []
    held_out = losses[losses["split"] != "train"].sort_values("step")
    first, last = held_out.iloc[0], held_out.iloc[-1]
    return [
        f"The published loss, over positions, goes from {first['over_positions']:.5f} to {last['over_positions']:.5f} "
        f"(flat: {first['flat']:.5f}) on the run whose cross-entropy falls from {first['cross_entropy']:.2f} to "
        f"{last['cross_entropy']:.2f} nats per token: it is small because it is divided by the vocabulary.",
        "",
    ]


def _of_texts(texts):
    drawn = texts[texts["generated"] & (texts["sample"] >= 0)]
    lines = []
    for (_, tokenizer), rows in drawn.groupby(["model", "tokenizer"], sort=False):
        text = " ".join(texts[(texts["model"] == rows["model"].iloc[0]) & (texts["sample"] == 0)]["piece"])
        lines.append(f"- {tokenizer}: {rows['continuation'].mean():.0%} continuation pieces; `{text}`")
    return ["Text sampled under each model shown, by tokenizer:", "", *dict.fromkeys(lines), ""] if lines else []


def _of_one_layer(copying, trigrams):
    lines = []
    for model, heads in copying.groupby("model", sort=False):
        copies = heads[heads["ov_copying"] > heads["chance"] + 3 * heads["chance_deviation"]]
        lines.append(
            f"One layer (`{model}`): {len(copies)} of {len(heads)} heads copy by their OV circuit's eigenvalues; the "
            f"head that copies most raises {heads['copied'].max():.0%} of common tokens above all others where it sees "
            f"them (chance {heads['copied_chance'].iloc[0]:.1%})."
        )
        strongest = trigrams[trigrams["model"] == model].sort_values("raised", ascending=False).head(5)
        lines.append("")
        for row in strongest.itertuples():
            lines.append(f"- `{row.source} … {row.destination} → {row.output}` ({row.raised:+.1f} nats)")
        lines.append("")
    return lines


def _of_induction(induction, names):
    lines = []
    deep = names.groupby("model", sort=False).filter(lambda rows: rows["layer"].max() > 0)
    for model in deep["model"].unique():
        own = induction[induction["model"] == model]
        if own.empty:
            lines.append(f"- `{model}`: no induction head")
            continue
        best = own.iloc[0]
        lines.append(
            f"- `{model}`: {len(own)} induction heads; layer {int(best['layer'])} head {int(best['head'])} pays "
            f"{best['induction']:.2f} (chance {best['chance']:.2f}) and reads layer {int(best['earlier_layer'])} head "
            f"{int(best['earlier_head'])} through its keys ({best['beyond']:+.1f} deviations of random heads)"
        )
    return ["More than one layer:", "", *lines, ""] if lines else []
