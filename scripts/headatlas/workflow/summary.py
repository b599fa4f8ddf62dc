"""The summary of a run, for a person to read: models, losses beside their baselines, heads, figures."""

from pathlib import Path

import numpy as np
from markdown_it import MarkdownIt

from headatlas.scores import catalogue
from headatlas.scores.induction_scores import ERRORS

_STYLE = """
body { max-width: 60rem; margin: 2rem auto; padding: 0 1.5rem; font: 15px/1.5 system-ui, sans-serif; color: #1e293b }
h1, h2, h3 { line-height: 1.2; margin-top: 2rem }
table { border-collapse: collapse; margin: 1rem 0; font-size: 13px; display: block; overflow-x: auto }
th, td { padding: .25rem .75rem .25rem 0; text-align: left; border-bottom: 1px solid #e2e8f0; vertical-align: top }
"""


def losses(name, history, baselines):
    """One row about a family trained here: its last held-out loss beside the baselines, in nats per token.

    Parameters
    ----------
    name : str
    history : DataFrame of [member, step, epoch, split, loss, accuracy]
    baselines : DataFrame of [member, unigram, bigram]

    Returns
    -------
    dict from column title to text
    """
    held_out = history[history["split"] == "validation"]
    last = held_out[held_out["step"] == held_out["step"].max()]
    loss, unigram, bigram = last["loss"].mean(), baselines["unigram"].mean(), baselines["bigram"].mean()
    if loss < min(unigram, bigram):
        verdict = "below both baselines"
    elif loss < unigram:
        verdict = "below the unigram baseline only"
    else:
        verdict = "ABOVE THE UNIGRAM BASELINE: too little training to interpret"
    return {
        "model": name,
        "members": str(last["member"].nunique()),
        "steps": str(last["step"].max()),
        "held-out loss": f"{loss:.3f} ± {last['loss'].std(ddof=0):.3f}",
        "accuracy": f"{last['accuracy'].mean():.1%}",
        "unigram baseline": f"{unigram:.3f}",
        "bigram baseline": f"{bigram:.3f}",
        "": verdict,
    }


def strongest_heads(name, scores):
    """Rows naming the head of a family that does each thing most, if one does it beyond chance, and what chance gives.

    The largest of many heads is above chance by chance: it must be so by `ERRORS` standard errors to be named.

    Parameters
    ----------
    name : str
    scores : DataFrame of [member, layer, head, score, value, standard_error, chance]

    Returns
    -------
    list of dict from column title to text
    """
    rows = []
    for score in catalogue.names(shown="summary"):
        of_score = scores[(scores["score"] == score) & scores["value"].notna()]
        if of_score.empty:
            continue
        best = of_score.loc[of_score["value"].idxmax()]
        error, chance = (f"{best[key]:.3f}" if np.isfinite(best[key]) else "" for key in ("standard_error", "chance"))
        beyond = best["value"] - np.nan_to_num(best["chance"]) > ERRORS * np.nan_to_num(best["standard_error"])
        named = f"member {best['member']} layer {best['layer']} head {best['head']}" if beyond else "none above chance"
        rows.append(
            {
                "model": name,
                "score": catalogue.score(score).words,
                "strongest head": named,
                "value": f"{best['value']:.3f}" + (f" ± {error}" if error else ""),
                "chance": chance,
            }
        )
    return rows


def _table(rows):
    titles = list(rows[0])
    widths = [max(len(title), *(len(row[title]) for row in rows)) for title in titles]
    lines = [titles, ["-" * width for width in widths], *([row[title] for title in titles] for row in rows)]
    return [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]


def findings(paths):
    """What each study found, in its own words: the text of its Markdown files, by study.

    Parameters
    ----------
    paths : list of path-like
        Any files; those that end in .md lie in a folder called after their study.

    Returns
    -------
    dict from str to list of str
    """
    found = {}
    for path in map(Path, paths):
        if path.suffix == ".md":
            found.setdefault(path.parent.name, []).append(path.read_text(encoding="utf-8").strip())
    return found


def pictures(paths):
    """The PNG files among paths, by the folder under figures/ that they lie in: a study's name, or "training"."""
    found = {}
    for path in paths:
        if str(path).endswith(".png"):
            parts = Path(path).parts
            found.setdefault(parts[len(parts) - parts[::-1].index("figures")], []).append(str(path))
    return found


def text(trained, heads, found, figures):
    """The whole summary as Markdown that reads well in a terminal.

    Parameters
    ----------
    trained : list of dict
        What `losses` gives for each family trained here.
    heads : list of dict
        What `strongest_heads` gives, for all families.
    found : dict from str to list of str
        What `findings` gives.
    figures : dict from str to list of str
        What `pictures` gives.

    Returns
    -------
    str
    """
    lines = ["# Head Atlas", ""]
    if trained:
        lines += [
            "## Models trained (loss in nats per token, mean over members ± their spread)",
            "",
            *_table(trained),
            "",
        ]
    if heads:
        lines += ["## The heads that do each thing most", "", *_table(heads), ""]
    for study, texts in found.items():
        lines += [f"## Found: {study}", "", *(line for text in texts for line in (text, ""))]
    for study, paths in figures.items():
        lines += [f"## Figures: {study}", "", *(f"- {path}" for path in paths), ""]
    return "\n".join(lines)


def page(markdown):
    """A summary as an HTML page that needs no other file."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    head = f'<meta charset="utf-8"><title>Head Atlas</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}</body></html>\n'
