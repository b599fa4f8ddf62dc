"""What the report says of a run: models with corpus and sizes, studies, settings, versions, captions, a front page."""

import html
import json
import platform
import re
import textwrap
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

import yaml

from headatlas.base import figure_findings

PROTOCOLS = ("published", "corrected")
_WIDE, _QUALITY = 420, 40  # pixels and quality of a small picture of the report's front page
_LINE = 5000  # characters


def of_run(given, completed, packages, report):
    """What the report says of a run, besides its results.

    Parameters
    ----------
    given : mapping
        The configuration as it was given, defaults filled in.
    completed : mapping
        What `configuration.complete` makes of it.
    packages : iterable of str
        Whose versions are told, as far as they are installed here.
    report : pathlib.Path
        Folder of captions, in which each study has its `question.txt`.

    Returns
    -------
    dict
        `asked`: what each study asks; `models`: corpus and sizes of each that a plain run shows; `sweep`: of its runs,
        if any; `of_study`, `of_model`: the clause in which captions end, by name; `settings`: as YAML; `versions`: by
        package.
    """
    of_models = {
        name: {"corpus": model["corpus"], "sizes": sizes(model)} for name, model in completed["models"].items()
    }
    sweep = of_sweep(completed["studies"]["circuits"]) if "circuits" in completed["studies"] else None
    of_study = {}
    used = {name for study in completed["targets"] for name in completed["studies"][study]["models"]}
    for study, settings in completed["studies"].items():
        corpora = list(dict.fromkeys(of_models[name]["corpus"] for name in settings["models"]))
        models = (
            sweep if study == "circuits" else "; ".join(f"{n}: {of_models[n]['sizes']}" for n in settings["models"])
        )
        of_study[study] = f"{'corpus' if len(corpora) == 1 else 'corpora'} {', '.join(corpora)}; {models}"
    asked = {study: (report / study / "question.txt").read_text(encoding="utf-8").strip() for study in of_study}
    return {
        "asked": asked,
        "models": {name: of_models[name] for name in given["models"] if name in used},
        "sweep": sweep if "circuits" in completed["targets"] else None,
        "of_study": of_study,
        "of_model": {name: f"corpus {model['corpus']}; {name}: {model['sizes']}" for name, model in of_models.items()},
        "settings": _yaml(given),
        "versions": versions(packages),
    }


def sizes(model):
    """Members and sizes of a family as far as its configuration tells: "9 members of 1 layer with 8 heads, ..."."""
    if "checkpoints" in model:
        names = ", ".join(str(checkpoint["name"]) for checkpoint in model["checkpoints"])
        return f"{_counted(len(model['checkpoints']), 'checkpoint')} ({names}), texts of {model['context']} tokens"
    shape = model["architecture"]
    heads = _counted(shape["heads"], "head")
    return (
        f"{_counted(len(model['seeds']), 'member')} of {_counted(shape['layers'], 'layer')} with {heads}"
        f"{'' if shape['layers'] == 1 else ' each'}, width {shape['d_model']}, context {shape['context']}"
    )


def of_sweep(study):
    """How many runs a sweep has, and of which models."""
    runs = study["runs"].values()
    axes = {axis: ", ".join(dict.fromkeys(str(run[axis]) for run in runs)) for axis in study["sweep"]}
    return (
        f"{_counted(len(runs), 'run')} of attention-only models ({axes['variant']}) with {axes['heads']} heads, "
        f"width {axes['d_model']}, texts of {axes['max_length']} tokens"
    )


class Found:
    """How captions go on where figures have been drawn that say what they show.

    Read when a caption asks: figures are drawn after the configuration is read, and the report is made after them.

    Parameters
    ----------
    results : path-like
        Folder of results.
    """

    def __init__(self, results):
        self._figures = Path(results, "figures")

    def __reduce__(self):
        return dict, ()  # jobs are handed the configuration, and write no captions

    def get(self, name, default=""):
        """The clause of a figure by its name below `figures`, without its protocol: "phrenology/fig05_clusters"."""
        study, _, figure = name.partition("/")
        sentences = {}
        for protocol in ("published", "corrected", ""):
            png = self._figures / study / protocol / f"{figure}.png"
            if png.is_file() and (said := figure_findings.read(png)):
                # a token is no markup of reStructuredText
                sentences[protocol] = re.sub(r"([\\*`_|])", r"\\\1", said.rstrip("."))
        return f". Found: {_together(sentences)}" if sentences else default


def _together(by_protocol):
    if len(set(by_protocol.values())) == 1:
        return next(iter(by_protocol.values()))
    return "; ".join(f"{protocol}: {said}" for protocol, said in sorted(by_protocol.items(), reverse=True))


class FrontPage:
    """Read when the report is made, which is after the configuration is read and anything drawn.

    Parameters
    ----------
    results : path-like
        Folder of results, as rules name it.
    """

    def __init__(self, results):
        self._results = Path(results)

    def __reduce__(self):
        return dict, ()  # jobs are handed the configuration, and write no report

    def summary(self):
        """The body of the summary's page, which says what was found with its pictures; empty where there is none."""
        page = self._results / "summary.html"
        if not page.is_file():
            return ""
        (body,) = re.findall(r"<body>\n?(.*)</body>", page.read_text(encoding="utf-8"), re.DOTALL)
        return _short_lines(re.sub(r"<h1>.*?</h1>\n?", "", body, count=1))

    def beside(self, study):
        """A study's figures as HTML, each as published beside corrected, with what it found in this run."""
        folder, found = self._results / "figures" / study, {}
        for protocol in PROTOCOLS:
            for png in (folder / protocol).rglob("*.png"):
                found.setdefault(png.relative_to(folder / protocol).as_posix(), {})[protocol] = png
        return _short_lines("\n".join(_figure(name, found[name]) for name in sorted(found)))


def _short_lines(page):
    """Break pictures within a page into lines that docutils reads: beyond 10,000 characters it drops the page.

    Browsers leave line breaks in such addresses out.
    """
    return re.sub(r"(?<=base64,)[\w+/=]+", lambda found: f"\n{textwrap.fill(found[0], _LINE)}\n", page)


def _figure(name, pngs):
    """One figure under its protocols; where both are the same file, once."""
    *model, file = name.removesuffix(".png").split("/")
    named = title(file).replace("\u2007", "") + (f" ({', '.join(model)})" if model else "")
    if len(pngs) == 2 and len({png.read_bytes() for png in pngs.values()}) == 1:
        pngs = {"published and corrected": pngs["corrected"]}
    shown = "".join(_picture(protocol, png) for protocol, png in pngs.items())
    return f'<section class="beside"><h4>{html.escape(named)}</h4>{shown}</section>'


def _picture(protocol, png):
    from headatlas.atlas.studies import small_picture  # the report alone needs what makes pictures small

    said = html.escape(f"{protocol}: {figure_findings.read(png) or ''}".rstrip(": "))
    image = f'<img alt="{said}" src="data:image/webp;base64,{small_picture(png, _WIDE, _QUALITY)}">'
    link = f"javascript:app.showResultInfo('{quote(str(png))}')"
    return f'<figure><a href="{link}">{image}</a><figcaption>{said}</figcaption></figure>'


def versions(packages):
    """Versions of Python and of packages, as far as they are installed here."""
    found = {"Python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def in_report(path):
    """Where the report shows a result.

    Parameters
    ----------
    path : str
        With pathvars and wildcards, such as "<results>/figures/{study}/{protocol}/{name}.png".

    Returns
    -------
    study, protocol, name : str
        Of a table the protocol is "tables"; of what has none it is None.
    labels : callable from wildcards to dict
        What is told of it beside its caption: its title, and its model if there is one for each.
    """
    study, *within, file = path.removeprefix("<results>/").removeprefix("figures/").split("/")
    name, kind = file.split(".")

    def labels(wildcards):
        result = title(name.format(**dict(wildcards.items())))
        model = {"model": wildcards.model} if "{model}/" in path else {}
        return {"result": result if kind == "png" else f"{result} ({kind})", **model}

    return study, within[0] if within else {"csv": "tables"}.get(kind), name, labels


def rendered(path, config, wildcards):
    """A caption as text.

    Parameters
    ----------
    path : path-like
        Its template, report/{study}/{name}.rst.
    config : mapping
        The configuration as rules know it, with what `of_run` gives as `described`.
    wildcards : mapping
        Of the file that it is the caption of.

    Returns
    -------
    str
    """
    from jinja2 import Environment, StrictUndefined  # what Snakemake's own report renders it with

    template = Environment(undefined=StrictUndefined).from_string(Path(path).read_text(encoding="utf-8"))
    config = {**config, "described": {**config["described"], "found": {}}}  # the same whatever has been drawn
    return " ".join(template.render(snakemake={"config": config, "wildcards": wildcards}).split())


def of_figures(shown, config, templates):
    """The captions of figures as text.

    Parameters
    ----------
    shown : dict
        From `targets.shown`.
    config : mapping
        As in `rendered`.
    templates : Path
        The folder report/ of the checkout.

    Returns
    -------
    dict from str to str
        By the figure's path under the folder of results.
    """
    return {
        file.removeprefix(f"{config['results']}/"): rendered(
            templates / flag.caption.get_path_or_uri(secret_free=True).rpartition("report/")[2], config, wildcards
        )
        for file, (wildcards, flag) in shown.items()
        if file.endswith(".png")
    }


def title(name):
    """A file's name as a person reads it; numbers are padded, so that titles sort: "Figure  7: head distances"."""
    kind, number, words = re.fullmatch(r"(?:(fig|table)(\d+) )?(.+)", name.replace("_", " ")).groups()
    return f"{'Figure' if kind == 'fig' else 'Table'} {int(number):\u2007>2}: {words}" if kind else words


def _counted(number, noun):
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _yaml(settings):
    # No part is shared with another, so that none is written as an alias; one order, so that the same settings are the
    # same text in whatever order they were given
    plain = json.loads(json.dumps(settings, sort_keys=True))
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return yaml.dump(plain, Dumper=dumper, sort_keys=False, default_flow_style=None, width=100)
