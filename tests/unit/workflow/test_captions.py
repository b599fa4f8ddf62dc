"""What the report says of a run: corpora, models and sizes as they are configured, settings that can be given again."""

import base64
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from docutils.core import publish_parts
from jinja2 import ChainableUndefined, Environment, StrictUndefined
from PIL import Image
from snakemake.iocontainers import Wildcards

from headatlas.plotting import style
from headatlas.workflow import captions

REPORT = Path(__file__).parents[3] / "report"
FRONT = REPORT / "workflow.rst"
SHAPE = {"layers": 2, "heads": 4, "d_model": 64, "context": 16}
TOY = {"corpus": "docs", "seeds": [0, 1], "architecture": SHAPE}
LOADED = {"corpus": "docs", "checkpoints": [{"name": "gpt2"}], "context": 64}


def test_a_run_is_told_by_study_and_model():
    given = {"models": {"toy": TOY, "gpt2": LOADED, "unused": TOY}, "studies": {"phrenology": {"models": ["toy"]}}}
    studies = {"phrenology": {"models": ["toy"]}, "induction": {"models": ["gpt2", "toy"]}}
    completed = {**given, "targets": ["induction"], "studies": studies}
    told = captions.of_run(given, completed, ["numpy", "no-such-package"], REPORT)
    toy = "2 members of 2 layers with 4 heads each, width 64, context 16"
    assert told["of_study"]["phrenology"] == f"corpus docs; toy: {toy}"
    assert told["of_study"]["induction"] == f"corpus docs; gpt2: 1 checkpoint (gpt2), texts of 64 tokens; toy: {toy}"
    assert told["of_model"]["toy"] == f"corpus docs; toy: {toy}"
    assert set(told["models"]) == {"toy", "gpt2"}
    phrenology = captions.of_run(given, {**completed, "targets": ["phrenology"]}, [], REPORT)
    assert set(phrenology["models"]) == {"toy"}
    assert told["asked"]["induction"].startswith("which heads do induction")
    assert told["sweep"] is None
    assert set(told["versions"]) == {"Python", "numpy"}


def test_settings_are_told_as_yaml_without_aliases():
    given = {"models": {"toy": TOY, "twin": TOY}, "studies": {}, "targets": []}
    told = captions.of_run(given, given, [], REPORT)["settings"]
    assert yaml.safe_load(told) == given
    assert "&" not in told


def test_a_sweep_is_told_by_what_its_runs_are():
    place = {"variant": "one-layer", "heads": 4, "d_model": 64, "max_length": 20}
    runs = {"a": place, "b": {**place, "heads": 8}}
    told = captions.of_sweep({"runs": runs, "sweep": dict.fromkeys(place)})
    assert told == "2 runs of attention-only models (one-layer) with 4, 8 heads, width 64, texts of 20 tokens"


def test_captions_end_in_what_the_figures_say_that_they_show(tmp_path):
    def draw(name, said):
        path = tmp_path / "figures" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        style.save(style.finding(style.blank(1, 1), said), path, path.with_suffix(".pdf"))

    found = captions.Found(tmp_path)  # before anything is drawn, as when a run begins
    assert found.get("phrenology/fig05_clusters", "") == ""
    draw("phrenology/published/fig05_clusters", "5 clusters.")
    draw("phrenology/published/fig05_clusters", "7 clusters.")
    draw("phrenology/corrected/fig05_clusters", "no kinds, p ≤ 0.6 → a continuum.")
    draw("attentionviz/corrected/toy/fig03_early_head", "it promotes *args, `x`, my_ and |.")
    draw("training/toy/training", None)
    draw("training/repeats", "the loss ended at 2.")
    names = (
        "phrenology/fig05_clusters",
        "attentionviz/toy/fig03_early_head",
        "training/repeats",
        "training/toy/training",
    )
    assert [found.get(name, "none") for name in names] == [
        ". Found: published: 7 clusters; corrected: no kinds, p ≤ 0.6 → a continuum",
        r". Found: it promotes \*args, \`x\`, my\_ and \|",
        ". Found: the loss ended at 2",
        "none",
    ]
    assert pickle.loads(pickle.dumps(found)).get(names[0], "") == "", "a job is handed none"
    shown = publish_parts(f"A caption{found.get(names[1])}.", writer="html")["body"]
    assert "system-message" not in shown
    assert "it promotes *args, `x`, my_ and |." in shown
    caption = tmp_path / "a.rst"
    caption.write_text("Groups{{ snakemake.config.described.found.get('phrenology/fig05_clusters', '') }} (a corpus).")
    described = {"described": {"found": found}}
    assert captions.rendered(caption, described, {}) == "Groups (a corpus).", "the same whatever has been drawn"


OF_TABLES = ("evidence", "head_cards", "knockout_tokens")  # these show no figure


@pytest.mark.parametrize("path", sorted(REPORT.glob("*/*.rst")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_caption_of_every_figure_asks_for_what_it_found(path):
    asked = []

    class Found:
        def get(self, name, default):
            asked.append(name)
            return ". Found: 3 of 4"

    wildcards = {"model": "toy", "figure": "fig03_early_head", "colour": "type"}
    described = {"found": Found(), "of_study": dict.fromkeys(("phrenology", "circuits", "induction"), "corpus a")}
    config = {"described": described | {"of_model": {"toy": "corpus a"}}}
    # settings that a caption tells besides are none of this test's
    template = Environment(undefined=ChainableUndefined).from_string(path.read_text(encoding="utf-8"))
    said = " ".join(template.render(snakemake={"config": config, "wildcards": wildcards}).split())
    if path.stem in OF_TABLES:
        assert not asked
        return
    assert ". Found: 3 of 4 (corpus a" in said
    (name,) = asked
    study, _, rest = name.partition("/")
    assert study == path.parent.name
    own = {"heat_maps": "fig03_early_head", "scaled_embeddings": "toy/fig03_early_head", "training": "toy"}
    own |= {"global_view": "toy/global_view_type"}
    assert rest == own.get(path.stem, f"toy/{path.stem}" if study == "attentionviz" else path.stem)


def test_titles_sort_by_number():
    titles = [captions.title(name) for name in ("fig12_one_head", "fig07_head_distances", "knockout_losses")]
    assert titles == ["Figure 12: one head", "Figure \u20077: head distances", "knockout losses"]


@pytest.mark.parametrize(
    ("path", "place", "labels"),
    [
        ("figures/induction/corrected/masks.png", ("induction", "corrected", "masks"), {"result": "masks"}),
        (
            "figures/attentionviz/published/{model}/fig02_scales.png",
            ("attentionviz", "published", "fig02_scales"),
            {"result": "Figure \u20072: scales", "model": "toy"},
        ),
        ("figures/training/{model}.png", ("training", None, "{model}"), {"result": "toy"}),
        ("phrenology/head_cards.csv", ("phrenology", "tables", "head_cards"), {"result": "head cards (csv)"}),
    ],
)
def test_a_result_is_shown_under_its_study_and_protocol(path, place, labels):
    *found, told = captions.in_report(f"<results>/{path}")
    assert tuple(found) == place
    assert told(Wildcards(fromdict={"model": "toy"})) == labels


class Category:
    def __init__(self, name):
        self.name = name


def draw_figure(folder, name, said):
    path = folder / "figures" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = style.finding(style.blank(1, 1), said)
    style.save(figure, path, path.with_suffix(".pdf"))


def rendered(results, studies):
    """As Snakemake makes it of the template."""
    described = {
        "asked": dict.fromkeys(studies, "which heads"),
        "models": {"toy": {"corpus": "docs", "sizes": "small"}},
        "sweep": None,
        "settings": "a: 1",
    }
    described |= {"versions": {}, "front_page": captions.FrontPage(results)}
    config = {"studies": dict.fromkeys(studies), "described": described}
    links = "".join(f"\n.. _{name}: javascript:app.showCategory('{name}')" for name in ("summary", *studies))
    template = Environment(undefined=StrictUndefined).from_string(FRONT.read_text(encoding="utf-8") + links)
    categories = {Category(name): {} for name in ("summary", *studies)}
    text = template.render(snakemake={"config": config}, categories=categories, files=[])
    return publish_parts(text, writer="html")["html_body"]


def test_the_summary_and_every_figure_beside_its_other_protocol_stand_on_the_front_page(tmp_path):
    front = captions.FrontPage(tmp_path)  # before anything is there, as when a run begins
    assert (front.summary(), front.beside("phrenology")) == ("", "")
    draw_figure(tmp_path, "phrenology/published/fig05_clusters", "7 clusters, Jaccard 0.4 < 0.75.")
    draw_figure(tmp_path, "phrenology/corrected/fig05_clusters", "no kinds.")
    draw_figure(tmp_path, "phrenology/corrected/transplants", "ablation costs 0.1 nats.")
    for protocol in ("published", "corrected"):
        draw_figure(tmp_path, f"attentionviz/{protocol}/toy/fig09_same", "the same.")
    body = "<h1>Head Atlas</h1>\n<p>Two kinds <em>recur</em>.</p>\n\n<pre>\n  a\n</pre>"
    (tmp_path / "summary.html").write_text(f"<!doctype html>\n<html><body>\n{body}</body></html>\n")
    page = rendered(tmp_path, ["phrenology", "attentionviz"])
    assert "system-message" not in page
    assert "<p>Two kinds <em>recur</em>.</p>" in page
    assert "<h1>Head Atlas</h1>" not in page, "the summary's title is the page's"
    sections = re.findall(r'<section class="beside">.*?</section>', page, re.DOTALL)
    assert [re.search("<h4>(.*)</h4>", section)[1] for section in sections] == [
        "Figure 5: clusters",
        "transplants",
        "Figure 9: same (toy)",
    ]
    said = [re.findall("<figcaption>(.*?)</figcaption>", section) for section in sections]
    assert said == [
        ["published: 7 clusters, Jaccard 0.4 &lt; 0.75.", "corrected: no kinds."],
        ["corrected: ablation costs 0.1 nats."],
        ["published and corrected: the same."],
    ]
    target = f"app.showResultInfo('{tmp_path}/figures/phrenology/published/fig05_clusters.png')"
    assert target in sections[0]


def test_pictures_of_any_size_stand_on_the_front_page(tmp_path):
    """docutils drops a text with a line of more than 10,000 characters."""
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), dtype=np.uint8)
    for protocol in captions.PROTOCOLS:
        png = tmp_path / "figures" / "circuits" / protocol / "noise.png"
        png.parent.mkdir(parents=True)
        Image.fromarray(noise[:: -1 if protocol == "published" else 1]).save(png)
    whole = base64.b64encode(png.read_bytes()).decode()
    (tmp_path / "summary.html").write_text(f'<body>\n<img src="data:image/png;base64,{whole}"></body>')
    page = rendered(tmp_path, ["circuits"])
    assert "system-message" not in page
    shown, *small = re.findall('src="data:image/(?:png|webp);base64,([^"]*)"', page)
    assert shown.replace("\n", "") == whole
    assert [len(each) > 10_000 for each in small] == [True, True], "small pictures that would have been too long a line"


def test_a_job_is_handed_no_front_page(tmp_path):
    assert pickle.loads(pickle.dumps(captions.FrontPage(tmp_path))) == {}
