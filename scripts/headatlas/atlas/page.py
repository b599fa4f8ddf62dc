"""The atlas as files: one page that needs no other, or a page whose attention lies in scripts loaded when looked at.

A page opened from disk may load scripts beside it and nothing else: that is why data in pieces are scripts. Its content
security policy forbids every other source, and every script but the page's own.
"""

import base64
import hashlib
import html
from importlib import resources

from matplotlib.colors import to_hex

from headatlas.atlas import attention, heads, joint, studies
from headatlas.atlas.encoding import script_json
from headatlas.plotting import style

STYLES = ("atlas.css", "views.css")
SCRIPTS = (
    *("data.js", "elements.js", "drawing.js", "charts.js", "heads_table.js", "heads_map.js", "matrices.js"),
    *("heads_view.js", "prompts.js", "head_page.js", "kinds.js", "joint.js", "studies_view.js", "compare.js"),
    *("search.js", "app.js"),
)
PAGE = 10_000_000  # bytes of the page of one file: pictures and shared prompts keep within it
_OF_PICTURES = 0.3  # share of it that pictures take, at most
_OF_OVERVIEWS = 0.07  # share of the rest that models' overviews take, about
PIECES = 256  # scripts that the heads of one model are split over, at most, in the form of a folder


def asset(name):
    """Text of one of the page's own style sheets or scripts."""
    return resources.files("headatlas.atlas").joinpath("assets", name).read_text(encoding="utf-8")


def palette():
    """Colours and shapes of the figures, so that member 3 looks the same there and in the page.

    Returns
    -------
    dict
        `light` and `dark`: colours of each index, until they come again; `markers`: shapes, by Matplotlib's letters.
    """
    colours = range(3 * len(style.PALETTE))
    light, dark = ([to_hex(style.colour(i, shades)) for i in colours] for shades in (style.PALETTE, style.ON_DARK))
    return {"light": light, "dark": dark, "markers": style.MARKERS}


def index(results, shared, about=None, captions=None):
    """All that a page knows from the start.

    Parameters
    ----------
    results : Results
    shared : list of int
        Prompts that all heads of each model show.
    about : mapping, optional
        `title`, `settings` (YAML) and `versions` of the run.
    captions : mapping, optional
        As for `studies.describe`.

    Returns
    -------
    dict
    """
    about = {"title": "Head Atlas", "settings": None, "versions": {}, "models": {}, **(about or {})}
    shown = [name.split("/")[1] for name in results.names("attentionviz/*/global_maps.parquet")]
    return {
        "form": 1,
        "about": about,
        "joint": shown,
        "palette": palette(),
        "studies": studies.describe(results, captions),
        **heads.describe(results, shared),
    }


def write_page(path, results, about=None, captions=None, threads=1):
    """Write the atlas as one file.

    Parameters
    ----------
    path : path-like
    results : Results
    about, captions : mapping, optional
        As for `index`.
    threads : int
        Heads or figures that are worked on at once.
    """
    pictures = studies.pictures(results, PAGE * _OF_PICTURES, threads)
    others = [_block(name, content) for name, content in (*joint.maps(results), *pictures.items())]
    others.append("</body></html>\n")
    have = [results.facts(model)["prompts"] for model in results.models]
    described = index(results, have, about, captions)
    opening = len(_opening(described, local=False).encode())  # what is shared has no more digits than what there is
    room = (1 - _OF_OVERVIEWS) * (PAGE - opening - sum(map(len, others)))
    costs = [attention.page_bytes(results, model) for model in results.models]
    for _ in range(3):  # the costs are estimates
        shared = attention.shared_prompts(costs, have, room)
        blocks = [
            _block(f"attention/{name}", packed)
            for model, prompts in zip(results.models, shared, strict=True)
            for name, packed in attention.pieces(results, model, prompts, threads)
        ]
        over = opening + sum(map(len, [*blocks, *others])) - PAGE
        if over <= 0:
            break
        counted = zip(costs, have, shared, strict=True)
        taken = sum(fixed + each * (n - attention.fewest(of)) for (fixed, each), of, n in counted)
        room = min(room, taken) - 1.1 * over
    with open(path, "w", encoding="utf-8") as file:
        for model, prompts in zip(described["models"], shared, strict=True):
            model["shared"] = prompts
        file.write(_opening(described, local=False))
        file.writelines([*blocks, *others])


def write_folder(page, pieces, results, prompts, about=None, captions=None, threads=1):
    """Write the atlas as a page and scripts beside it, each loaded when what is in it is looked at.

    Parameters
    ----------
    page : path-like
    pieces : mapping from a model to a list of paths
        The scripts its heads are split over; heads beyond their number share them in turn.
    results : Results
    prompts : int
        That all heads of a model show, at most.
    about, captions : mapping, optional
        As for `index`.
    threads : int
        Heads that are worked on at once.
    """
    shared = [min(results.facts(model)["prompts"], prompts) for model in results.models]
    described = index(results, shared, about, captions)
    described["pieces"] = {model: len(pieces[model]) for model in results.models}
    described["base"] = "../"  # from the page to the folder of results
    with open(page, "w", encoding="utf-8") as file:
        file.write(_opening(described, local=True))
        for model, count in zip(results.models, shared, strict=True):
            opened = [open(path, "w", encoding="utf-8") for path in pieces[model]]  # noqa: SIM115
            try:
                for script in opened:
                    script.write('"use strict";\n')
                for number, (name, packed) in enumerate(attention.pieces(results, model, count, threads)):
                    if name == model:
                        file.write(_block(f"attention/{name}", packed))
                    else:
                        opened[number % len(opened)].write(f'atlasPiece("attention/{name}", "{packed}");\n')
            finally:
                for script in opened:
                    script.close()
        for name, packed in joint.maps(results):
            file.write(_block(name, packed))
        file.write("</body></html>\n")


def _block(name, content):
    return f'<script type="text/plain" data-block="{html.escape(name)}">{content}</script>\n'


def _opening(described, local):
    """The page from its start to the first block of data."""
    style = "\n".join(map(asset, STYLES))
    program = '(() => {\n"use strict";\n' + "\n".join(map(asset, SCRIPTS)) + "\n})();"
    digest = base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()
    beside = " file: 'self'" if local else ""
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src 'sha256-{digest}'{beside}",
            "style-src 'unsafe-inline'",
            f"img-src data: blob:{beside}",
        ]
    )
    title = html.escape(str(described["about"]["title"]))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<noscript>This page draws its figures with JavaScript, which is switched off.</noscript>
<script type="application/json" id="index">{script_json(described)}</script>
<div id="atlas"></div>
<script>{program}</script>
"""
