"""What heads look at in one text, as heat maps whose axes are its tokens (Figs 3 to 9 of Jayakumar et al.)."""

import numpy as np

from headatlas.base import tables
from headatlas.data import ngram_baselines
from headatlas.plotting import style
from headatlas.scores import catalogue
from headatlas.studies.circuits.findings import outcomes

_ROOM = style.WIDTH - 1.35  # inches for the maps of a row, beside tokens and colour bar
_SIDE = 1.6, 2.2  # inches of a map's side, at least where there is room, and at most
_BESIDE = 1.7  # inches of tokens and colour bar beside a map that stands alone
_TOKEN = 0.12  # inches of a row of a map: that a token's letters fit into
_SCORES = catalogue.names(shown="heat maps")
_LABELS = [catalogue.score(name).short for name in _SCORES]


def _map(axes, weights, pieces, title, *, labelled, most):
    """One head's attention: keys along x, queries down y, grey what a query cannot see; as many tokens as `most`."""
    size = len(pieces)
    grid = np.zeros((size, size))
    grid[weights["query"], weights["key"]] = weights["weight"]
    grid[np.triu_indices(size, 1)] = np.nan
    image = axes.imshow(grid, cmap=style.map_with_gaps("Blues"), vmin=0, vmax=1)
    axes.set_title(title, fontsize=8)
    places, names = style.thinned(range(size), [style.printable(piece, 12) for piece in pieces], size, most)
    axes.set_xticks(places, names, rotation=90)
    axes.set_yticks(places, names if labelled else [""] * len(places))
    axes.tick_params(labelsize=style.SMALL, length=1.5)
    return image


def _weights(attention, layer, head):
    return attention[(attention["layer"] == layer) & (attention["head"] == head)]


def _rows_of_maps(figure, attention, pieces, layer, titles):
    """Heads of a layer side by side, as many in a row as their tokens allow; `titles` by head."""
    abreast, side = _abreast(len(titles), pieces)
    panels = figure.subplots(-(-len(titles) // abreast), abreast, squeeze=False)
    for place, (panel, (head, title)) in enumerate(zip(panels.flat, titles.items(), strict=False)):
        weights = _weights(attention, layer, head)
        image = _map(panel, weights, pieces, title, labelled=not place % abreast, most=int(side / _TOKEN))
    for panel in panels.flat[len(titles) :]:
        panel.axis("off")
    bar = figure.colorbar(image, ax=panels, label="attention", shrink=0.7, aspect=20)
    bar.outline.set_visible(False)


def _abreast(heads, pieces):
    """How many maps stand in a row, so that their tokens can be read, and the inches of a side."""
    most = min(heads, next((n for n in (4, 3, 2) if _ROOM / n >= _TOKEN * len(pieces)), 1))
    abreast = -(-heads // -(-heads // most))  # in as many rows, and all of them full
    least, widest = _SIDE
    return abreast, min(_ROOM / abreast, widest, max(least, _TOKEN * len(pieces)))


def _height(heads, pieces, titles):
    """Of the rows that `_rows_of_maps` draws, with titles and tokens."""
    lines = 1 + max(title.count("\n") for title in titles.values())
    abreast, side = _abreast(heads, pieces)
    longest = max(len(style.printable(piece, 12)) for piece in pieces)
    return -(-heads // abreast) * (side + 0.4 + 0.15 * lines + 0.07 * longest) + 0.2


def _curves(axes, history, baselines):
    """Losses of the run by epoch, on one pair of axes."""
    for split, colour, label in (("train", style.TRAIN, "train"), ("validation", style.HELD_OUT, "held out")):
        mean = history[history["split"] == split].groupby("epoch")["loss"].mean()
        axes.plot(mean.index, mean, color=colour, linewidth=1.2, label=label)
    if baselines:
        for name in ("unigram", "bigram"):
            axes.axhline(history[name].mean(), color="0.25", linewidth=0.8, linestyle=(0, (4, 2)))
            axes.annotate(name, (1, history[name].mean()), xycoords=axes.get_yaxis_transform(), va="bottom", ha="right")
    axes.set(xlabel="epoch", ylabel="loss (nats per token)")
    axes.legend()


def _learnt(ended):
    """What a run learnt beside its baseline, and whether its heads are to be interpreted."""
    said = f"held-out loss {ended['loss']:.2f}, bigram baseline {ended['bigram']:.2f} nats"
    enough = ngram_baselines.below(ended["loss"], ended["unigram"], ended["bigram"])
    return said if enough else f"{said}: {ngram_baselines.TOO_LITTLE.upper()}"


def _title(model, ended, layer, width=style.WIDTH, seen=None):
    """A figure's title, what is seen before the settings, and the inches that it takes."""
    lines = [*([seen] if seen else []), f"{model}, layer {layer} (rows: queries)", _learnt(ended)]
    said = style.wrapped("\n".join(lines), width - 0.2)
    return said, 0.25 + 0.15 * (said.count("\n") + 1)


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
    missing = [head for head in settings["heads"] if head not in there]
    instead = [head for head in there if head not in heads][: len(missing)]
    titles = {head: f"head {head}" for head in heads}
    titles |= {head: f"head {head}\n(for the paper's {paper})" for head, paper in zip(instead, missing, strict=False)}
    width = style.WIDTH
    if len(titles) == 1 and history is None:  # a page's width would be half empty
        width = min(style.WIDTH, _abreast(1, pieces)[1] + _BESIDE)
    deep = _height(len(titles), pieces, titles)
    title, above = _title(model, ended, layer, width)
    figure = style.blank(width, deep + above + (2.2 if history is not None else 0))
    upper = figure
    if history is not None:
        upper, lower = figure.subfigures(2, 1, height_ratios=(deep + above, 2.2))
        _curves(lower.subplots(), history, baselines=False)
    _rows_of_maps(upper, attention, pieces, layer, dict(sorted(titles.items())))
    upper.suptitle(title, fontsize=8)
    shares = ", ".join(
        f"head {head} {own.loc[own['query'] == own['key'], 'weight'].mean():.2f}"
        for head in sorted(titles)
        for own in [_weights(attention, layer, head)]
    )
    style.finding(
        figure,
        f"in this one text of {len(pieces)} tokens the mean attention to the current token is {shares}"
        f"{'; the paper chose heads that this model does not have' if missing else ''}; {_learnt(ended)}",
    )
    return figure


@style.paper
def all_heads(attention, text, model, settings, ended, scores, names, history=None):
    """Every head of the figure's layer over one text, and below what each does over many prompts.

    Parameters
    ----------
    attention, text, model, settings, ended, history
        As in `chosen_heads`; only `layer` of the settings is read.
    scores : DataFrame of [member, layer, head, score, value, standard_error, chance]
    names : DataFrame of [member, layer, head, name, value, chance]

    Returns
    -------
    matplotlib.figure.Figure
    """
    pieces, layer = text["piece"].tolist(), settings["layer"]
    own = (
        table[(table["member"] == 0) & (table["layer"] == layer)].drop(columns=["member", "layer"])
        for table in (scores, names)
    )
    scores, names = own
    called = names.set_index("head")
    heads = sorted(attention.loc[attention["layer"] == layer, "head"].unique())
    titles = {head: _named(head, called.loc[head]) for head in heads}
    deep, below = _height(len(heads), pieces, titles), 1.35 + 0.2 * len(heads)
    title, above = _title(model, ended, layer, seen=_seen(called))
    figure = style.blank(style.WIDTH, deep + below + above + (2.0 if history is not None else 0))
    upper, lower, *last = figure.subfigures(
        2 if history is None else 3, 1, height_ratios=(deep + above, below, *([] if history is None else [2.0]))
    )
    _rows_of_maps(upper, attention, pieces, layer, titles)
    upper.suptitle(title, fontsize=8)
    _score_grid(lower, lower.subplots(), scores, heads)
    if history is not None:
        _curves(last[0].subplots(), history, baselines=True)
    style.finding(figure, _finding(scores, called, layer, ended))
    return figure


def _named(head, called):
    """A head with its name and the score that names it, in lines that are narrower than a map."""
    value = "" if called["name"] == "spread" else f": {called['value']:.2f}"
    return f"head {head}{value}\n{called['name']}"


def _seen(called):
    """How many heads of a layer each score names, in the order of how many."""
    counted = (
        called.loc[called["name"] != "spread", "name"]
        .value_counts(sort=False)
        .sort_values(ascending=False, kind="stable")
    )
    said = [f"{count} of {len(called)} heads: {name}" for name, count in counted.items()]
    return "; ".join(said) if said else f"No score names any of the {len(called)} heads"


def _finding(scores, called, layer, ended):
    """What the heads of a layer do over many prompts, with errors and chance."""
    errors = scores.set_index(["head", "score"])[["value", "standard_error", "chance"]]
    # the score that names a head is the one of its value
    said = []
    for name, heads in called[called["name"] != "spread"].groupby("name", sort=False):
        each = []
        for head, row in heads.iterrows():
            of_head = errors.loc[head]
            error = of_head.loc[(of_head["value"] - row["value"]).abs().idxmin(), "standard_error"]
            each.append(f"head {head} {row['value']:.3f} ± {error:.3f}")
        said.append(f"{name} in {', '.join(each)} (chance {heads['chance'].mean():.2f})")
    spread = called.index[called["name"] == "spread"].tolist()
    if spread:
        said.append(f"{'heads' if len(spread) > 1 else 'head'} {', '.join(map(str, spread))} by no score")
    return f"over many prompts (± standard error), layer {layer} attends to: {'; '.join(said)}; {_learnt(ended)}"


def _score_grid(figure, axes, scores, heads):
    """Scores less their chance level, heads down and scores across, with their numbers."""
    table = scores.assign(above=scores["value"] - scores["chance"]).pivot(
        index="head", columns="score", values=["value", "standard_error", "above"]
    )
    values, errors, above = (
        table[part].reindex(index=heads, columns=list(_SCORES)).to_numpy(dtype=float)
        for part in ("value", "standard_error", "above")
    )
    image = axes.imshow(above, cmap=style.SIGNED, vmin=-0.8, vmax=0.8, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            sure = abs(above[row, column]) > 2 * errors[row, column]
            axes.text(
                column,
                row,
                f"{value:.2f}",
                ha="center",
                va="center",
                fontsize=style.SMALL,
                fontweight="bold" if above[row, column] > 0 and sure else "normal",
                color="white" if abs(above[row, column]) > 0.5 else "black",
            )
    axes.set_xticks(range(len(_LABELS)), _LABELS)
    axes.set_yticks(range(len(heads)), [f"head {head}" for head in heads])
    title = "mean attention over many prompts (bold: above chance by 2 standard errors)"
    axes.set_title(style.wrapped(title, style.WIDTH - 0.6))
    bar = figure.colorbar(image, ax=axes, label="less chance", aspect=15)
    bar.outline.set_visible(False)


def draw_heat_maps(text, attention, heads, names, sweep, figure, protocol):
    """Figs 3 to 9: of the run that the figure shows under the protocol, the first sampled text."""
    model = figure["runs"][protocol]
    texts = tables.read(text, model=model)
    history = tables.read(sweep, model=model)
    place = history.iloc[0]
    name = f"{place['variant']} ({place['heads']} heads a layer, width {place['d_model']})"
    shown = tables.read(attention, model=model), texts[texts["sample"] == 0], name, figure
    shown = *shown, outcomes(history[history["member"] == 0]).iloc[0]
    history = history if figure["curves"] else None
    if protocol == "published":
        return chosen_heads(*shown, history)
    return all_heads(*shown, tables.read(heads, model=model), tables.read(names, model=model), history)
