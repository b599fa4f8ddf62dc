"""What the report says of a run: corpora, models and sizes as they are configured, settings that can be given again."""

import pickle
from pathlib import Path

import pytest
import yaml
from docutils.core import publish_parts
from snakemake.iocontainers import Wildcards

from headatlas.plotting import style
from headatlas.workflow import captions

REPORT = Path(__file__).parents[3] / "report"
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
