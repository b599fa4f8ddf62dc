"""What heads look at in one text, as heat maps whose axes are its tokens (Figs 3 to 9 of Jayakumar et al.)."""

import numpy as np

from headatlas.base import tables
from headatlas.plotting import style
from headatlas.scores import catalogue
from headatlas.studies.circuits.findings import outcomes

_ACROSS = 4  # panels in a row
_SCORES = catalogue.names(shown="heat maps")
_LABELS = [catalogue.score(name).short for name in _SCORES]


def _map(axes, weights, pieces, title, *, labelled, below):
    """One head's attention: keys along x, queries down y, nothing above the diagonal."""
    size = len(pieces)
    grid = np.zeros((size, size))
    grid[weights["query"], weights["key"]] = weights["weight"]
    image = axes.imshow(grid, cmap="Blues", vmin=0, vmax=1)
    axes.set_title(title, fontsize=7.5)
    names = [style.printable(piece, 12) for piece in pieces]
    axes.set_xticks(range(size), names if below else [""] * size, rotation=90)
    axes.set_yticks(range(size), names if labelled else [""] * size)
    axes.tick_params(labelsize=6, length=1.5)
    return image


def _weights(attention, layer, head):
    return attention[(attention["layer"] == layer) & (attention["head"] == head)]


def _curves(axes, history, baselines):
    """Losses of the run by epoch, on one pair of axes."""
    for split, colour, label in (("train", style.TRAIN, "train"), ("validation", style.HELD_OUT, "held out")):
        mean = history[history["split"] == split].groupby("epoch")["loss"].mean()
        axes.plot(mean.index, mean, color=colour, linewidth=1.2, label=label)
    if baselines:
        for name in ("unigram", "bigram"):
            axes.axhline(history[name].mean(), color="0.25", linewidth=0.8, linestyle=(0, (4, 2)))
            axes.annotate(name, (1, history[name].mean()), xycoords=axes.get_yaxis_transform(), fontsize=6, va="bottom")
    axes.set(xlabel="epoch", ylabel="loss (nats per token)")
    axes.legend()


def _learnt(ended):
    """What a run learnt beside its baseline, and whether its heads are to be interpreted."""
    said = f"held-out loss {ended['loss']:.2f}, bigram baseline {ended['bigram']:.2f} nats"
    return said + (": TOO LITTLE TRAINING TO INTERPRET" if ended["loss"] >= ended["bigram"] else "")


def _title(model, ended, what):
    return f"{model}\n{_learnt(ended)}\n{what} over its own text: keys across, queries down"


@style.paper
def chosen_heads(attention, text, model, settings, ended, history=None):
    """The heads that the paper chose, alone, as published.

    Parameters
    ----------
    attention : DataFrame of [layer, head, query, key, weight]
    text : DataFrame of [position, piece], in order
        The prompt and what the model added.
    model : str
    settings : mapping
        layer (int) and heads (list of int); a head that the model lacks is replaced by its first ones.
    ended : mapping
        The run's last held-out `loss` and its `bigram` baseline.
    history : DataFrame of [step, epoch, split, loss, unigram, bigram], optional
        Drawn beside the maps.

    Returns
    -------
    matplotlib.figure.Figure
    """
    pieces, layer = text["piece"].tolist(), settings["layer"]
    there = sorted(attention.loc[attention["layer"] == layer, "head"].unique())
    heads = [head for head in settings["heads"] if head in there]
    heads = sorted(heads + [head for head in there if head not in heads][: len(settings["heads"]) - len(heads)])
    panels = len(heads) + (history is not None)
    figure = style.blank(max(3.6, 0.42 * style.WIDTH * panels), 3.5)
    axes = np.atleast_1d(figure.subplots(1, panels))
    if history is not None:
        _curves(axes[0], history, baselines=False)
        axes = axes[1:]
    for place, (head, panel) in enumerate(zip(heads, axes, strict=True)):
        shown = _map(panel, _weights(attention, layer, head), pieces, f"head {head}", labelled=not place, below=True)
    figure.colorbar(shown, ax=list(axes), label="attention", shrink=0.6).outline.set_visible(False)
    figure.suptitle(_title(model, ended, f"attention of layer {layer}"), fontsize=7)
    return figure


@style.paper
def all_heads(attention, text, model, settings, ended, scores, names, history=None):
    """Every head of every layer over one text, and beside it what each does over many prompts.

    Parameters
    ----------
    attention, text, model, settings, ended, history
        As in `chosen_heads`; only `layer` of the settings is read, and marked.
    scores : DataFrame of [member, layer, head, score, value, standard_error, chance]
    names : DataFrame of [member, layer, head, name, value, chance]

    Returns
    -------
    matplotlib.figure.Figure
    """
    pieces = text["piece"].tolist()
    scores, names = scores[scores["member"] == 0], names[names["member"] == 0]
    called = names.set_index(["layer", "head"])
    heads = sorted(set(zip(attention["layer"], attention["head"], strict=True)))
    rows = [
        own[first : first + _ACROSS]
        for layer in sorted({layer for layer, _ in heads})
        for own in [[head for head in heads if head[0] == layer]]
        for first in range(0, len(own), _ACROSS)
    ]
    side = max(1.35, 0.11 * len(pieces))
    deep = 2.1 + 0.1 * len(heads)  # of the scores
    figure = style.blank(max(style.WIDTH, _ACROSS * side + 1.2), (side + 0.35) * len(rows) + deep + 0.9)
    upper, lower = figure.subfigures(2, 1, height_ratios=((side + 0.35) * len(rows) + 0.9, deep))
    panels = upper.subplots(len(rows), _ACROSS, squeeze=False)
    for row, line in zip(rows, panels, strict=True):
        for place, panel in enumerate(line):
            if place >= len(row):
                panel.axis("off")
                continue
            layer, head = row[place]
            own = called.loc[(layer, head)]
            said = own["name"] if own["name"] == "spread" else f"{own['name']} {own['value']:.2f}"
            title = f"layer {layer} head {head}\n{said}"
            bottom = row is rows[-1]
            image = _map(panel, _weights(attention, layer, head), pieces, title, labelled=not place, below=bottom)
            if layer == settings["layer"] and len(heads) > len(row):
                panel.title.set_fontweight("bold")
    upper.colorbar(image, ax=panels, label="attention", shrink=min(1.0, 1.6 / len(rows)), aspect=25)
    upper.suptitle(_title(model, ended, "attention"), fontsize=7)

    beside = lower.subplots(1, 2 if history is not None else 1, squeeze=False, width_ratios=None)[0]
    _score_grid(lower, beside[-1], scores, heads)
    if history is not None:
        _curves(beside[0], history, baselines=True)
    return figure


def _score_grid(figure, axes, scores, heads):
    """Scores less their chance level, heads down and scores across, with their numbers."""
    table = scores.assign(above=scores["value"] - scores["chance"]).pivot(
        index=["layer", "head"], columns="score", values=["value", "above"]
    )
    values, above = (
        table[part].reindex(index=heads, columns=list(_SCORES)).to_numpy(dtype=float) for part in ("value", "above")
    )
    image = axes.imshow(above, cmap=style.SIGNED, vmin=-0.8, vmax=0.8, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = "white" if abs(above[row, column]) > 0.5 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color=ink)
    axes.set_xticks(range(len(_LABELS)), _LABELS, rotation=30, ha="right")
    axes.set_yticks(range(len(heads)), [f"layer {layer} head {head}" for layer, head in heads])
    axes.set_title("mean attention over many prompts\n(colour: above or below that of a uniform head)", fontsize=7.5)
    bar = figure.colorbar(image, ax=axes, label="above chance", aspect=15)
    bar.outline.set_visible(False)


def draw_heat_maps(text, attention, heads, names, sweep, figure, protocol):
    """Figs 3 to 9: of the run that the figure shows under the protocol, the first sampled text."""
    model = figure["runs"][protocol]
    texts = tables.read(text, model=model)
    history = tables.read(sweep, model=model)
    shown = tables.read(attention, model=model), texts[texts["sample"] == 0], model.removeprefix("circuits-"), figure
    shown = *shown, outcomes(history[history["member"] == 0]).iloc[0]
    history = history if figure["curves"] else None
    if protocol == "published":
        return chosen_heads(*shown, history)
    return all_heads(*shown, tables.read(heads, model=model), tables.read(names, model=model), history)
