"""The studies of a run as pages: figures as published beside corrected, captions, findings, tables."""

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from markdown_it import MarkdownIt

from headatlas.base import figure_findings

PROTOCOLS = ("published", "corrected")
_COARSER = ((1000, 50), (800, 30), (640, 30))  # pixels of width, at most, and quality of an embedded picture's WebP


def describe(results, captions=None):
    """Figures and findings by study.

    Parameters
    ----------
    results : Results
    captions : mapping from a figure's name under the folder to its caption, optional

    Returns
    -------
    list of dict
        `name`; `findings`, HTML made from Markdown in which nothing is markup but Markdown's own; `figures`: `title`,
        `model`, and under `published` and `corrected` the file, its PDF or CSV and its caption, where there is one;
        `reproduction`, rows of what the study's paper reports beside this run, if that was compared.
    """
    captions, studies = captions or {}, {}
    for name in results.names("figures/**/*.png"):
        _, study, *within, file = name.split("/")
        protocol = within[0] if within and within[0] in PROTOCOLS else "corrected"
        model = "/".join(within[1:] if within and within[0] in PROTOCOLS else within)
        stem = file.removesuffix(".png")
        figures = studies.setdefault(study, {"name": study, "findings": [], "figures": {}})["figures"]
        figure = figures.setdefault((model, stem), {"name": stem, "title": title(stem), "model": model or None})
        others = [PurePosixPath(name).with_suffix(kind).as_posix() for kind in (".pdf", ".csv")]
        figure[protocol] = {
            "file": name,
            "others": [other for other in others if results.path(other)],
            "caption": _caption(captions.get(name), figure_findings.read(results.path(name))),
        }
    for name in results.names("*/*.md"):
        study = name.split("/")[0]
        text = results.path(name).read_text(encoding="utf-8")
        described = studies.setdefault(study, {"name": study, "findings": [], "figures": {}})
        described["findings"].append({"file": name, "html": _html(text)})
    reproduced = results.table("reproduction.parquet")
    for study in studies.values():
        study["figures"] = [study["figures"][key] for key in sorted(study["figures"], key=_reading_order)]
        study["reproduction"] = (
            [] if reproduced is None else reproduced[reproduced["study"] == study["name"]].to_dict("records")
        )
    return sorted(studies.values(), key=lambda study: (study["name"] == "training", study["name"]))


def _caption(caption, found):
    """A caption and, at its end, what the figure itself says that it shows."""
    return f"{caption} Found: {found.rstrip('.')}." if caption and found else caption


def title(stem):
    """A figure's name as a person reads it: "fig03_early_head" is "Figure 3: early head"."""
    first, _, rest = stem.partition("_")
    words = rest.replace("_", " ")
    for kind, said in (("fig", "Figure"), ("table", "Table")):
        if first.startswith(kind) and first.removeprefix(kind).isdigit():
            return f"{said} {int(first.removeprefix(kind))}: {words}" if words else f"{said} {int(first[len(kind) :])}"
    whole = stem.replace("_", " ")
    return whole[:1].upper() + whole[1:]


def _reading_order(key):
    model, stem = key
    return (model, not stem.startswith("fig"), not stem.startswith("table"), stem)


def _html(text):
    return MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table").render(text)


def pictures(results, room=None, threads=1):
    """Every figure as a small WebP in base64, by its name under the folder.

    Parameters
    ----------
    results : Results
    room : float, optional
        Bytes of all; where they take more, they are made coarser, down to the coarsest of a few ways. The page links
        each to the figure itself.
    threads : int
        Figures that are worked on at once.
    """
    names = results.names("figures/**/*.png")
    with ThreadPoolExecutor(threads) as pool:  # Pillow lets go of the interpreter while it decodes and encodes
        for way in _COARSER:
            made = list(pool.map(lambda name, way=way: small_picture(results.path(name), *way), names))
            if room is None or sum(map(len, made)) <= room:
                break
    return dict(zip(names, made, strict=True))


def small_picture(path, widest, quality):
    """A picture as WebP of some quality (1 to 100) in base64, at most so many pixels wide."""
    from PIL import Image

    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    if picture.width > widest:
        picture = picture.resize(
            (widest, round(picture.height * widest / picture.width)), Image.Resampling.BOX, reducing_gap=2
        )
    content = io.BytesIO()
    picture.save(content, "WEBP", quality=quality, method=4)
    return base64.b64encode(content.getvalue()).decode()
