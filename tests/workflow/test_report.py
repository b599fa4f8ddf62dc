"""The report: every figure is in it with a caption."""

import re
from itertools import product
from types import SimpleNamespace

from docutils.core import publish_parts
from jinja2 import Environment, StrictUndefined
from snakemake.io import get_flag_value, is_flagged

from checkout import ROOT

CAPTIONS = ROOT / "report"
MODEL = "toy"  # of the embedded default: what a caption is rendered for


def reported(workflow):
    """Every output that the report shows, as (rule, path, flag)."""
    for rule in workflow.rules:
        for file in rule.output:
            if is_flagged(file, "report"):
                yield rule, str(file), get_flag_value(file, "report")


def test_every_figure_and_table_is_in_the_report(workflow):
    shown = {path for _, path, _ in reported(workflow)}
    assert len(shown) > 60
    for rule in workflow.rules:
        for path in map(str, rule.output):
            assert (path in shown) == path.endswith((".png", ".csv", ".html")), f"rule {rule.name}: {path}"


def wildcards_of(path):
    """Every choice of the wildcards of a path; of models, one."""
    allowed = dict(re.findall(r"\{(\w+),([^}]*)\}", path))
    choices = [[MODEL] if name == "model" else values.split("|") for name, values in allowed.items()]
    return [dict(zip(allowed, chosen, strict=True)) for chosen in product(*choices)]


def test_every_caption_is_a_sentence_that_ends_in_corpus_models_and_sizes(workflow):
    used, described = set(), workflow.config["described"]
    for rule, path, flag in reported(workflow):
        place = CAPTIONS.parent / re.sub(r"^.*/report/", "report/", flag.caption.get_path_or_uri(secret_free=True))
        used.add(place)
        assert place.is_file(), f"rule {rule.name}: {place} is not there"
        template = Environment(undefined=StrictUndefined).from_string(place.read_text())
        for wildcards in wildcards_of(path):
            text = template.render(
                snakemake=SimpleNamespace(config=workflow.config, wildcards=SimpleNamespace(**wildcards))
            )
            text = " ".join(text.split())
            assert re.fullmatch(r"[A-Z][^.{}]{20,}.*\((?:[a-z]+: )?corp(us|ora) .*\)\.", text), f"{place.name}: {text}"
            assert ". " not in text, f"{place.name}: one sentence"
            clauses = [*described["of_study"].values(), described["of_model"][MODEL]]
            assert any(text.endswith(f"{clause}).") for clause in clauses), f"{place.name}: {text}"
            assert "system-message" not in publish_parts(text, writer="html")["body"], place
    assert used == {path for path in CAPTIONS.rglob("*.rst") if path.name != "workflow.rst"}, "a caption of nothing"
