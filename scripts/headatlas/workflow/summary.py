"""The summary of a run, read in two minutes: what was asked, what was found and what not, then the tables."""

import itertools
import re
from pathlib import Path

import numpy as np
from markdown_it import MarkdownIt

from headatlas.atlas.studies import small_picture
from headatlas.base import figure_findings
from headatlas.base import statements as marked
from headatlas.data import ngram_baselines
from headatlas.scores import catalogue
from headatlas.scores.induction_scores import ERRORS

# The picture of the first statement in each text of findings; a model's name may stand before the figure's
PICTURES = {
    "phrenology/evidence.md": "transplants",
    "phrenology/kinds.md": "fig05_clusters",
    "attentionviz/findings.md": "constructions",
    "circuits/findings.md": "fig02_sweep",
    "induction/findings.md": "dynamics",
}
_SHOWN = re.compile(r'<img src="([^"]+)"')  # a picture of a page
NOBODY = "none above chance"
_SENTENCES, _POINTS = 2, 2  # that follow a statement in the short of it
_WIDE = 720  # pixels of a picture within the page
_STYLE = """
body { max-width: 60rem; margin: 2rem auto; padding: 0 1.5rem; font: 15px/1.5 system-ui, sans-serif; color: #1e293b }
h1, h2, h3 { line-height: 1.2; margin-top: 2rem }
table { border-collapse: collapse; margin: 1rem 0; font-size: 13px; display: block; overflow-x: auto }
img { max-width: 100%; border: 1px solid #e2e8f0 }
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
    if ngram_baselines.below(loss, unigram, bigram):
        verdict = "below both baselines"
    else:
        verdict = f"ABOVE THE {'UNIGRAM' if loss >= unigram else 'BIGRAM'} BASELINE: {ngram_baselines.TOO_LITTLE}"
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
        able = scores["layer"] >= catalogue.score(score).first_layer
        of_score = scores[(scores["score"] == score) & scores["value"].notna() & able]
        if of_score.empty:
            continue
        best = of_score.loc[of_score["value"].idxmax()]
        error, chance = (f"{best[key]:.3f}" if np.isfinite(best[key]) else "" for key in ("standard_error", "chance"))
        beyond = best["value"] - np.nan_to_num(best["chance"]) > ERRORS * np.nan_to_num(best["standard_error"])
        named = f"member {best['member']} layer {best['layer']} head {best['head']}" if beyond else NOBODY
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
    """What each study found, in its own words.

    Parameters
    ----------
    paths : list of path-like
        Any files; those that end in .md lie in a folder called after their study.

    Returns
    -------
    dict from str to str
        The text of each Markdown file, by study and name: "phrenology/kinds.md".
    """
    return {
        f"{path.parent.name}/{path.name}": path.read_text(encoding="utf-8").strip()
        for path in map(Path, paths)
        if path.suffix == ".md"
    }


def statements(text):
    """The statements in a text of findings, each a paragraph or a point that begins in bold.

    Parameters
    ----------
    text : str
        Markdown.

    Returns
    -------
    list of (str, str, bool)
        The statement; it in short, with the sentences or else the points that follow it; whether it holds, as whoever
        wrote it marked it.
    """
    found = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        begun = marked.read(line)
        if not begun or len(begun[0].split()) < 3:
            continue
        words, bold, rest, holds = begun
        rest = " ".join(re.split(r"(?<=[.)]) (?=[A-Z])", rest)[:_SENTENCES])
        short = f"{bold}{rest}"
        if not rest or rest.endswith(":"):  # its numbers are the points below
            points = itertools.takewhile(lambda each: each.startswith("- ") or not each, lines[number + 1 :])
            short = "\n".join([short, "", *(f"   {point}" for point in filter(None, points))][: _POINTS + 2])
        found.append((words.rstrip(".:"), short, holds))
    return found


def picture(paths, name):
    """The PNG of a figure as it should be (corrected), of the first model that has it; None where it was not drawn."""
    drawn = [str(path) for path in paths if Path(path).name == f"{name}.png" and "/corrected/" in str(path)]
    return drawn[0] if drawn else None


def text(asked, trained, heads, found, built):
    """The whole summary as Markdown that reads well in a terminal.

    Parameters
    ----------
    asked : dict from str to str
        What each study asks, by its name, in the order in which they are told.
    trained : list of dict
        What `losses` gives for each family trained here.
    heads : list of dict
        What `strongest_heads` gives, for all families.
    found : dict from str to str
        What `findings` gives.
    built : list of path-like
        Files of the run, PNG among them; pictures are linked as seen from the folder of results.

    Returns
    -------
    str
    """
    lines = ["# Head Atlas: what this run found", "", "## Asked", ""]
    lines += [f"- {study}: {question}" for study, question in asked.items()]
    lines += ["", "## Found", ""]
    told = [name for study in asked for name in _in_order(found, study)]
    holding = [(name, held) for name in told if (held := [each for each in statements(found[name]) if each[2]])]
    for number, (name, held) in enumerate(holding, start=1):
        lines += _first(number, name.split("/")[0], held[0], picture(built, PICTURES.get(name)))
    lines += [] if holding else ["Nothing of what was asked.", ""]
    denied = [
        f"- ({name.split('/')[0]}) {headline}."
        for name in told
        for headline, _, holds in statements(found[name])
        if not holds
    ]
    if denied:
        lines += ["## Not supported by this run, or not to be asked of its models", "", *dict.fromkeys(denied), ""]
    lines += [
        "What the four papers report beside this run is in reproduction.md; every head, figure and table can be "
        "looked at in "
        "atlas.html.",
        "",
    ]
    if trained:
        title = "## Models trained (loss in nats per token, mean over members ± their spread)"
        lines += [title, "", *_table(trained), ""]
    beyond = [row for row in heads if row["strongest head"] != NOBODY]
    if beyond:
        lines += ["## The heads that do each thing most", "", *_table(beyond), ""]
    if len(beyond) < len(heads):
        without = ", ".join(f"{row['score']} in {row['model']}" for row in heads if row["strongest head"] == NOBODY)
        lines += [f"No head is above chance by {ERRORS} standard errors for {without}.", ""]
    for study in asked:
        texts = [found[name] for name in told if name.split("/")[0] == study]
        if texts:
            lines += [f"## In full: {study}", "", *(line for each in texts for line in (each, ""))]
    return "\n".join(lines)


def _in_order(found, study):
    """The texts of a study, those with a picture first, in the order of `PICTURES`."""
    of_study = [name for name in found if name.split("/")[0] == study]
    return sorted(
        of_study, key=lambda name: (name not in PICTURES, list(PICTURES).index(name) if name in PICTURES else 0)
    )


def _first(number, study, statement, drawn):
    """A statement with its paragraph cut short, and its picture."""
    headline, short, _ = statement
    lines = [f"{number}. ({study}) {short}", ""]
    if drawn:
        parts = Path(drawn).parts
        within = "/".join(parts[len(parts) - 1 - parts[::-1].index("figures") :])
        lines += [f"   ![{figure_findings.read(drawn) or headline}]({within})".replace("\n", " "), ""]
    return lines


def page(markdown, built):
    """A summary as an HTML page that needs no other file: its pictures are within.

    Parameters
    ----------
    markdown : str
    built : list of path-like
        Files of the run, those among them that `markdown` shows.

    Returns
    -------
    str
    """
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    drawn = {shown: path for path in map(str, built) for shown in _SHOWN.findall(body) if path.endswith(f"/{shown}")}
    body = _SHOWN.sub(lambda found: f'<img src="{_within(drawn[found[1]])}"', body)
    head = f'<meta charset="utf-8"><title>Head Atlas</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}</body></html>\n'


def _within(png):
    return f"data:image/webp;base64,{small_picture(png, _WIDE, quality=60)}"
