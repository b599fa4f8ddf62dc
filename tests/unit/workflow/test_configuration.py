"""A wrong configuration is one line that names the key, the value and what is allowed; a right one is filled in."""

import copy
import dataclasses
import datetime
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from snakemake.utils import update_config

from headatlas.attention import patterns
from headatlas.base.errors import InputError
from headatlas.data import corpora, text_files, tokenizer_training, windows
from headatlas.jobs import contents
from headatlas.models import pretrained, training, transformer
from headatlas.studies.attentionviz import joint_embeddings
from headatlas.studies.circuits import sweep
from headatlas.studies.phrenology import autoencoder
from headatlas.workflow import configuration, configuration_page, model_settings, schema, step_specs

ROOT = Path(__file__).parents[3]
EMBEDDED = yaml.safe_load((ROOT / "config.yaml").read_text())
PRESETS = sorted(set((ROOT / "config").glob("*.yaml")) - {schema.SCHEMA})
REMOVED = object()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working folder, and no mirror that the machine names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADATLAS_MIRROR", raising=False)
    return tmp_path


def layered(changes=None):
    """The embedded default with keys changed, given as dotted paths."""
    config = copy.deepcopy(EMBEDDED)
    for path, value in (changes or {}).items():
        *sections, key = path.split(".")
        place = config
        for section in sections:
            place = place[int(section)] if isinstance(place, list) else place.setdefault(section, {})
        if value is REMOVED:
            del place[key]
        else:
            place[key] = copy.deepcopy(value)
    return config


def checked(config):
    """What the workflow does with a configuration before its first job."""
    return configuration.complete(schema.filled(config))


LOADED = {"load": "openai-community/gpt2", "revision": "607a30d"}
PRETRAINED = {
    "corpus": "python-docs",
    "tokenizer": "loaded",
    "checkpoints": [{"name": "openai-community/gpt2", "revision": "607a30d"}],
    "task": "causal",
    "context": 16,
}
TOY = EMBEDDED["models"]["toy"]
REPEATS = {"source": "repeated-tokens"}
HUB = {"source": "datasets", "name": "stanfordnlp/imdb", "revision": "e6281661"}

BAD = {  # changed keys, and what the line must say: the key, the value, what is allowed
    "unknown key": ({"thread": 3}, "thread: unknown key", "did you mean 'threads'?", "results"),
    "unknown inner key": (
        {"models.toy.architecture.head": 3},
        "models.toy.architecture.head: unknown key",
        "did you mean 'heads'?",
        "d_model",
    ),
    "key that is no text": ({"3": 1}, "3: unknown key", "allowed: compare", "threads"),
    "unknown study": ({"studies.circus": {}}, "studies.circus: unknown key", "allowed: ", "phrenology"),
    "unknown training key": ({"models.toy.training.lr": 1}, "models.toy.training.lr", "unknown key", "learning_rate"),
    "wrong type": ({"models.toy.architecture.heads": "8"}, "models.toy.architecture.heads", "'8'", "a whole number"),
    "boolean for integer": (
        {"models.toy.architecture.layers": True},
        "models.toy.architecture.layers",
        "True",
        "a whole number",
    ),
    "integer for boolean": ({"models.toy.architecture.causal": 1}, "models.toy.architecture.causal", "1", "true or"),
    "fraction for integer": ({"threads": 1.5}, "threads", "1.5", "a whole number"),
    "null for a section": ({"models.toy": None}, "models.toy", "None", "a mapping of keys to values"),
    "list for a section": ({"corpora": ["brown"] * 40}, "corpora", "['brown', 'brown'", "...", "a mapping of keys"),
    "out of range": ({"threads": 0}, "threads", "0", "at least 1"),
    "above range": ({"models.toy.training.learning_rate": 11}, "models.toy.training.learning_rate", "11", "at most 10"),
    "share of none": ({"models.toy.training.masking": 0}, "models.toy.training.masking", "0", "more than 0"),
    "share of all": ({"models.toy.training.masking": 1}, "models.toy.training.masking", "1", "less than 1"),
    "beta of one": ({"models.toy.training.betas": [0.9, 1]}, "models.toy.training.betas.1", "1", "less than 1"),
    "three betas": ({"models.toy.training.betas": [0.9, 0.9, 0.9]}, "models.toy.training.betas", "0.9", "at most 2"),
    "seed below zero": ({"models.toy.seeds": [3, -1]}, "models.toy.seeds.1", "-1", "at least 0"),
    "not a number": (
        {"models.toy.training.weight_decay": math.nan},
        "models.toy.training.weight_decay",
        "nan",
        "finite",
    ),
    "infinite": ({"models.toy.training.weight_decay": math.inf}, "models.toy.training.weight_decay", "inf", "finite"),
    "missing key": (
        {"models.toy.architecture.d_model": REMOVED},
        "models.toy.architecture.d_model",
        "missing",
        "given",
    ),
    "missing source": ({"corpora.python-docs.source": REMOVED}, "corpora.python-docs.source", "missing", "given"),
    "missing section": ({"studies": REMOVED}, "studies", "missing", "given"),
    "bad enum": (
        {"models.toy.architecture.activation": "gelo"},
        "models.toy.architecture.activation",
        "'gelo'",
        "gelu",
    ),
    "unknown source": ({"corpora.x": {"source": "nltkk"}}, "corpora.x.source", "'nltkk'", "one of nltk"),
    "unknown NLTK corpus": ({"corpora.x": {"source": "nltk", "name": "b"}}, "corpora.x.name", "'b'", "one of brown"),
    "key of another source": (
        {"corpora.x": {"source": "nltk", "name": "brown", "limit": 3}},
        "corpora.x.limit",
        "unknown key",
        "name, source, split",
    ),
    "name with slash": ({"corpora.a/b": REPEATS}, "corpora.a/b", "'a/b'", "small letters, digits and '-'"),
    "name above": ({"corpora": {"../up": REPEATS}}, "corpora.../up", "'../up'", "small letters, digits and '-'"),
    "name of two lines": ({"corpora": {"a\n": REPEATS}}, "corpora.a\\n", "'a\\n'", "small letters, digits and '-'"),
    "name with capitals": ({"models.Toy": TOY}, "models.Toy", "'Toy'", "small letters, digits and '-'"),
    "results above": ({"results": "../elsewhere"}, "results", "'../elsewhere'", "without spaces, braces and '..'"),
    "results with braces": ({"results": "a/{b}"}, "results", "'a/{b}'", "without spaces, braces and '..'"),
    "empty store": ({"store": ""}, "store", "''", "not empty"),
    "no seeds": ({"models.toy.seeds": []}, "models.toy.seeds", "[]", "at least 1"),
    "seeds twice": ({"models.toy.seeds": [4, 4]}, "models.toy.seeds", "[4, 4]", "without repeats"),
    "models twice": (
        {"studies.phrenology.models": ["toy"] * 2},
        "studies.phrenology.models",
        "'toy'",
        "without repeats",
    ),
    "no such head": (
        {"studies.phrenology.knockouts": {"head": [0, 0, 8]}},
        "studies.phrenology.knockouts.head.2",
        "8 found",
        "at most 7",
    ),
    "empty prompt": (
        {"studies.phrenology.knockouts": {"prompt": ""}},
        "studies.phrenology.knockouts.prompt",
        "''",
        "not empty",
    ),
    "null for a study": ({"studies.circuits": None}, "studies.circuits", "None", "a mapping of keys to values"),
    "unknown model to compare": ({"compare": ["toy", "mine"]}, "compare.1", "'mine' is not configured", "toy"),
    "nothing to compare": ({"compare": []}, "compare", "[]", "at least 1"),
    "no models for a study": (
        {"studies.induction.models": None},
        "studies.induction.models",
        "none is given",
        "here or under `compare`",
    ),
    "models that see next to nothing": (
        {"models.toy.architecture.context": 2, "studies.induction.models": ["toy"]},
        "studies.induction.models",
        "see 2 tokens",
        "3 tokens or more",
    ),
    "no target": ({"targets": []}, "targets", "[]", "at least 1"),
    "unknown target": (
        {"targets": ["phrenologie"]},
        "targets.0",
        "'phrenologie'",
        "did you mean 'phrenology'?",
        "circuits",
    ),
    "target that is not configured": (
        {"studies.circuits": REMOVED, "targets": ["induction", "circuits"]},
        "targets.1",
        "'circuits' is not configured",
        "allowed: attentionviz, induction, phrenology",
    ),
    "truth value for a name": ({"models.toy.corpus": False}, "models.toy.corpus", "False", "in quotes", "text"),
    "truth value as a name": (
        {"models": {True: TOY}},
        "models.True",
        "True is not a name",
        "in quotes",
        "small letters",
    ),
    "number as a name": ({"models": {100000: TOY}}, "models.100000", "100000 is not a name", "in quotes"),
    "truth value in a list": (
        {"studies.phrenology.models": [False]},
        "studies.phrenology.models.0",
        "False",
        "in quotes",
    ),
    "revision of digits": (
        {"tokenizers.x": {"load": "gpt2", "revision": 1234567}},
        "tokenizers.x.revision",
        "1234567 found",
        "a number: put the text in quotes",
        "text or null",
    ),
    "revision like a date": (
        {"tokenizers.x": {"load": "gpt2", "revision": datetime.date(2024, 1, 31)}},
        "tokenizers.x.revision",
        "a date: put the text in quotes",
    ),
    "text that is no number": (
        {"models.toy.training.learning_rate": "1e"},
        "models.toy.training.learning_rate",
        "'1e'",
        "number",
    ),
    "short beyond long": (
        {"studies.induction.short": 18},
        "studies.induction.short",
        "18",
        "less than studies.induction.long (18)",
    ),
    "long beyond a context": (
        {"studies.induction.long": 40},
        "studies.induction.long",
        "40 found",
        "'repeats-bidirectional', sees 18 tokens",
    ),
    "snapshots": ({"models.toy.training.snapshots": -1}, "models.toy.training.snapshots", "-1", "at least 0"),
    "no models": ({"studies.phrenology.models": []}, "studies.phrenology.models", "[]", "at least 1"),
    "unknown model": (
        {"studies.phrenology.models": ["toys"]},
        "studies.phrenology.models.0",
        "'toys'",
        "did you mean 'toy'?",
    ),
    "unknown corpus": ({"models.toy.corpus": "python"}, "models.toy.corpus", "'python'", "allowed: python-docs"),
    "unknown tokenizer": (
        {"models.toy.tokenizer": "python-docs-2k"},
        "models.toy.tokenizer",
        "'python-docs-2k' is not configured",
        "did you mean 'python-docs-1k'?",
    ),
    "tokenizer of an unknown corpus": (
        {"tokenizers.python-docs-1k.corpus": "brown"},
        "tokenizers.python-docs-1k.corpus",
        "'brown'",
        "allowed: python-docs",
    ),
    "shares": (
        {"corpora.python-docs.split": [0.8, 0.1, 0.2]},
        "corpora.python-docs.split",
        "[0.8, 0.1, 0.2]",
        "1.1",
        "sum to 1",
    ),
    "two shares": ({"corpora.python-docs.split": [0.8, 0.2]}, "corpora.python-docs.split", "[0.8, 0.2]", "at least 3"),
    "heads that do not divide": (
        {"models.toy.architecture.d_head": None, "models.toy.architecture.heads": 7},
        "models.toy.architecture.d_model",
        "64",
        "a multiple of heads, or give d_head",
    ),
    "batch above windows": (
        {"models.toy.training.windows": 63, "models.toy.training.batch": 64},
        "models.toy.training.batch",
        "64",
        "at most training.windows (63)",
    ),
    "more evaluations than steps": (
        {"models.toy.training.windows": 64, "models.toy.training.batch": 64, "models.toy.training.epochs": 4},
        "models.toy.training.evaluations",
        "10",
        "(4)",
    ),
    "more queries than prompts": (
        {"models.toy.analysis.windows": 16},
        "models.toy.analysis.queries_keys",
        "32",
        "at most analysis.windows (16)",
    ),
    "fewer prompts than are drawn": (
        {"models.toy.analysis.windows": 7},
        "models.toy.analysis.windows",
        "7",
        "at least 8",
    ),
    "too few heads": (
        {"models.toy.seeds": [1], "models.toy.architecture.heads": 5},
        "studies.phrenology.models",
        "5 heads",
        "allowed: at least",
    ),
    "other tokenizer in a study": (
        {
            "tokenizers.other": EMBEDDED["tokenizers"]["python-docs-1k"],
            "models.b": {**TOY, "tokenizer": "other"},
            "studies.phrenology.models": ["toy", "b"],
        },
        "studies.phrenology.models.1",
        "'b' has tokenizer other",
        "'toy' has python-docs-1k",
        "the same prompts",
    ),
    "other context in a study": (
        {
            "models.b": {**TOY, "architecture": {**TOY["architecture"], "context": 12}},
            "studies.phrenology.models": ["toy", "b"],
        },
        "studies.phrenology.models.1",
        "context 12",
        "16",
        "the same prompts",
    ),
    "other direction in a study": (
        {
            "models.b": {**TOY, "architecture": {**TOY["architecture"], "causal": False}},
            "studies.phrenology.models": ["toy", "b"],
        },
        "studies.phrenology.models.1",
        "causal False",
        "True",
        "allowed: models",
    ),
    "other prompts in a study": (
        {"models.b": {**TOY, "analysis": {"seed": 1}}, "studies.phrenology.models": ["toy", "b"]},
        "studies.phrenology.models.1",
        "analysis {",
        "'seed': 1,",
        "the same prompts",
    ),
    "period above length": (
        {"corpora.x": {**REPEATS, "length": 20}},
        "corpora.x.longest_period",
        "23",
        "shortest_period (8) to length - 1 (19)",
    ),
    "periods in the wrong order": (
        {"corpora.x": {**REPEATS, "shortest_period": 24}},
        "corpora.x.longest_period",
        "23",
        "shortest_period (24)",
    ),
    "no files": ({"corpora.x": {"source": "files", "files": []}}, "corpora.x.files", "[]", "at least 1"),
    "file of another kind": (
        {"corpora.x": {"source": "files", "files": ["a.doc"]}},
        "corpora.x.files.0",
        "'a.doc'",
        ".jsonl",
    ),
    "file that is not there": (
        {"corpora.x": {"source": "files", "files": ["a.txt"]}},
        "corpora.x.files.0",
        "'a.txt'",
        "files that exist",
    ),
    "file twice": (
        {"corpora.x": {"source": "files", "files": ["a.txt"] * 2}},
        "corpora.x.files",
        "'a.txt'",
        "without repeats",
    ),
    "split used twice": (
        {"corpora.x": {**HUB, "splits": {"train": "train", "test": "train"}}},
        "corpora.x.splits",
        "'test': 'train'",
        "a different split",
    ),
    "data set without revision": (
        {"corpora.x": {**HUB, "revision": None}},
        "corpora.x.revision",
        "None",
        "'stanfordnlp/imdb'",
        "the commit or tag",
        "a mirror",
    ),
    "tokenizer that is nowhere": (
        {"tokenizers.x": {"load": "./tok"}},
        "tokenizers.x.load",
        "'./tok'",
        "an existing folder",
    ),
    "tokenizer without revision": (
        {"tokenizers.x": {"load": "gpt2"}},
        "tokenizers.x.revision",
        "None",
        "commit or tag",
    ),
    "tokenizer loaded and trained": (
        {"tokenizers.x": {"load": "gpt2", "vocabulary": 9}},
        "tokenizers.x.vocabulary",
        "unknown key",
        "load",
    ),
    "checkpoint with a tokenizer of ours": (
        {"models.x": {**PRETRAINED, "tokenizer": "python-docs-words"}},
        "models.x.tokenizer",
        "'python-docs-words' is trained here",
        "by `load:`",
        "a tokenizer.json, which may be written by hand",
    ),
    "checkpoint that is nowhere": (
        {"tokenizers.loaded": LOADED, "models.x": {**PRETRAINED, "checkpoints": [{"name": "a/b/c"}]}},
        "models.x.checkpoints.0.name",
        "'a/b/c'",
        "an existing folder",
        "Hub name",
    ),
    "checkpoint twice": (
        {"tokenizers.loaded": LOADED, "models.x": {**PRETRAINED, "checkpoints": PRETRAINED["checkpoints"] * 2}},
        "models.x.checkpoints",
        "gpt2",
        "without repeats",
    ),
    "sweep of an unknown corpus": (
        {"studies.circuits.sweep.corpus": ["python"]},
        "studies.circuits.sweep.corpus.0",
        "'python' is not configured",
        "python-docs",
    ),
    "sweep of nothing": ({"studies.circuits.sweep.heads": []}, "studies.circuits.sweep.heads", "[]", "at least 1"),
    "unknown variant": (
        {"studies.circuits.sweep.variant": ["three-layer"]},
        "studies.circuits.sweep.variant.0",
        "'three-layer'",
        "one of one-layer",
    ),
    "figure of an unknown tokenizer": (
        {"studies.circuits.figures.fig03": {"tokenizer": "bert"}},
        "studies.circuits.figures.fig03.tokenizer",
        "'bert' is not configured",
        "python-docs-1k",
    ),
    "no figure of heads": (
        {f"studies.circuits.figures.{name}": None for name in ("fig03", "fig04", "fig06", "losses", "circuits")},
        "studies.circuits.figures",
        "none is given",
        "at least one of fig03",
    ),
    "heads that do not divide in a sweep": (
        {"studies.circuits.sweep.heads": [7]},
        "models.circuits-python-docs-python-docs-1k-l20.architecture.d_model",
        "64",
        "a multiple of heads",
    ),
    "model of a run's name": (
        {"models.circuits-python-docs-python-docs-1k-l20": TOY},
        "models.circuits-python-docs-python-docs-1k-l20",
        "a run of this name",
    ),
    "mirror that is not there": ({"mirror": "nowhere"}, "mirror", "'nowhere'", "an existing folder"),
}


def test_names_and_results_stay_where_they_say():
    """Names become folders and files; no pattern may match at a line break before the end."""
    rules = schema.load()
    assert all(rules["properties"][part]["$ref"] == "#/$defs/named" for part in ("corpora", "tokenizers", "models"))
    named = Draft202012Validator(rules["$defs"]["named"]["propertyNames"])
    for name in ("../up", "..", ".", "a/../b", "/etc", "~", "a\\b", "a\n", "\n", "", "a b", "{a}", "a" * 65, "é", 7):
        assert not named.is_valid(name), name
    assert all(named.is_valid(name) for name in ("a", "7", "gpt-2", "a" * 64))
    results = Draft202012Validator(rules["properties"]["results"])
    for folder in ("..", "../up", "a/../../b", "a/..", "a\n", "a b", "{a}", "<logs>", ""):
        assert not results.is_valid(folder), folder
    assert all(results.is_valid(folder) for folder in ("results", "results/a..b", "~/atlas", "/data/atlas"))


@pytest.mark.parametrize(("changes", "said"), [(case[0], case[1:]) for case in BAD.values()], ids=BAD)
def test_bad_configuration_is_one_line(changes, said):
    with pytest.raises(InputError) as caught:
        checked(layered(changes))
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    assert re.match(re.escape(said[0].partition(":")[0]) + r"[:.] ?", message)  # the whole key
    assert message.startswith(said[0])
    for part in said[1:]:
        assert part in message


def test_a_mirror_that_the_environment_names_must_be_there(monkeypatch):
    monkeypatch.setenv("HEADATLAS_MIRROR", "nowhere")
    with pytest.raises(InputError, match="HEADATLAS_MIRROR: 'nowhere' is not there; allowed: an existing folder"):
        checked(layered())


def test_with_a_mirror_no_revision_is_needed(folder, monkeypatch):
    checked(layered({"mirror": str(folder), "tokenizers.x": {"load": "gpt2"}}))
    monkeypatch.setenv("HEADATLAS_MIRROR", str(folder))
    checked(layered({"tokenizers.x": {"load": "gpt2"}}))


@pytest.mark.parametrize("preset", [None, *PRESETS], ids=lambda preset: preset.stem if preset else "embedded")
def test_the_default_and_every_preset_are_right(preset, folder):
    config = layered()
    if preset:
        update_config(config, yaml.safe_load(preset.read_text()))
    if config.get("mirror"):
        (folder / config["mirror"]).mkdir(parents=True)
    complete = checked(config)
    for study in complete["studies"].values():
        assert set(study["models"]) <= set(complete["models"])


def test_every_preset_has_a_results_folder_of_its_own():
    presets = [yaml.safe_load(preset.read_text()) for preset in PRESETS]
    folders = [preset["results"] for preset in presets if "models" in preset or "studies" in preset]
    assert len({*folders, "results"}) == len(folders) + 1


def test_the_default_does_not_repeat_what_the_schema_says():
    """A default is written in one place: what config.yaml writes is something else, and never of a study's method."""
    rules = schema.load()
    repeated, written = [], []

    def walk(given, allowed, key):
        allowed = configuration_page.followed(allowed)
        properties = dict(allowed.get("properties", {}))
        if "if" in allowed:
            chosen = "then" if set(allowed["if"].get("required", [""])) <= set(given) else "else"
            properties |= configuration_page.followed(allowed[chosen])["properties"]
        for branch in allowed.get("allOf", []):
            if given.get("source") == branch["if"]["properties"]["source"]["const"]:
                properties |= configuration_page.followed(branch["then"])["properties"]
        for name, value in given.items():
            inner = configuration_page.followed(properties.get(name) or allowed.get("additionalProperties") or {})
            if "default" in inner and not isinstance(value, dict):
                written.append(f"{key}{name}")
                if value == inner["default"]:
                    repeated.append(f"{key}{name}")
            if isinstance(value, dict):
                walk(value, inner, f"{key}{name}.")

    walk(EMBEDDED, rules, "")
    assert len(written) > 15
    assert not repeated
    written = [key for key in written if key not in {f"studies.{name}.models" for name in STUDIES}]
    assert all(key.startswith(("corpora.", "tokenizers.", "models.")) for key in written)


def test_a_configuration_of_what_must_be_given_is_filled_in():
    """Nothing but what has no default: every key that the schema knows is there afterwards."""
    bare = {
        "corpora": {"c": {"source": "python-docs"}},
        "tokenizers": {"t": {"train": "words", "corpus": "c", "vocabulary": 90}},
        "models": {
            "m": {
                "corpus": "c",
                "tokenizer": "t",
                "seeds": [0, 1],
                "architecture": dict.fromkeys(("layers", "heads"), 4),
            },
        },
        "studies": {"phrenology": {"models": ["m"]}, "induction": {"models": ["m"]}, "attentionviz": {"models": ["m"]}},
        "targets": ["phrenology"],
    }
    bare["models"]["m"]["architecture"] |= {"context": 32, "d_model": 8}
    filled = checked(bare)
    assert {"results", "store", "mirror", "watch", "threads"} <= set(filled)
    rules = schema.load()["$defs"]
    for name in ("phrenology", "induction", "attentionviz"):
        assert set(filled["studies"][name]) == set(rules[name]["properties"])
    for part in ("autoencoders", "kinds", "search", "knockouts"):
        assert set(filled["studies"]["phrenology"][part]) == set(rules[part]["properties"])
    for part in ("architecture", "training", "analysis", "scores"):
        assert set(filled["models"]["m"][part]) == set(rules[part]["properties"])
    filled["studies"]["phrenology"]["search"]["draws"] = 7
    assert checked(bare)["studies"]["phrenology"]["search"]["draws"] == 1000  # the schema's own is not handed out


def properties_of(rules, key=""):
    """(dotted key, its rules) of everything that the schema calls a property, references not followed."""
    for name, inner in rules.items() if isinstance(rules, dict) else enumerate(rules):
        if name == "properties" and isinstance(inner, dict) and not key.endswith(".if"):
            yield from ((f"{key}.{one}", what) for one, what in inner.items() if what != {})
        if isinstance(inner, dict | list):
            yield from properties_of(inner, f"{key}.{name}")


def test_every_key_is_described():
    found = dict(properties_of(schema.load()))
    assert len(found) > 120
    studies = {f".properties.studies.{name}" for name in STUDIES}
    bare = {key for key, rules in found.items() if not rules.get("description")} - studies
    assert not bare
    assert all(schema.load()["$defs"][name]["description"] for name in STUDIES)


def test_the_page_of_all_keys_is_current():
    assert configuration_page.PAGE.read_text() == configuration_page.page(), (
        "PYTHONPATH=scripts python -m headatlas.workflow.configuration_page"
    )


def test_the_page_tells_every_key_with_its_default():
    page = configuration_page.page()
    for key, rules in properties_of(schema.load()):
        assert f"| `{key.rpartition('.')[2]}` |" in page, key
        if rules.get("default", {}) != {}:
            assert f"`{json.dumps(rules['default'])}` |" in page
    assert "## `studies.phrenology.kinds`" in page
    assert "## `corpora.NAME` with `source: files`" in page


STUDIES = {
    folder.name for folder in (ROOT / "scripts/headatlas/studies").iterdir() if (folder / "__init__.py").is_file()
}
ENUMERATIONS = {  # what the schema lists, by where it does: what the library has
    "$defs.sampling": windows.SAMPLINGS,
    "$defs.schedule": training.SCHEDULES,
    "$defs.map_method": joint_embeddings.METHODS,
    "$defs.corpus.properties.source": corpora.SOURCES,
    "$defs.corpus_nltk.properties.name": corpora.TAGGED,
    "$defs.corpus_files.properties.passages": text_files.PASSAGES,
    "$defs.trained_tokenizer.properties.train": tokenizer_training.KINDS,
    "$defs.pretrained_model.properties.task": pretrained.TASKS,
    "$defs.architecture.properties.activation": transformer.ACTIVATIONS,
    "$defs.analysis.properties.patterns": [*patterns.KEPT, "none"],
    "$defs.circuits.properties.analysis.properties.patterns": patterns.KEPT,
    "$defs.autoencoders.properties.widths.items": [2**power for power in range(1, 7)],  # of the paper's Table 1
    "$defs.variant": sweep.VARIANTS,
}


def test_the_library_repeats_no_default_of_the_schema():
    """What the configuration gives has no second default in the settings that it is given to."""
    for settings, section in (
        (training.TrainingSettings, "training"),
        (transformer.Architecture, "architecture"),
        (autoencoder.AutoencoderSettings, "autoencoders"),
    ):
        rules = schema.load()["$defs"][section]["properties"]
        given = [field for field in dataclasses.fields(settings) if field.name in rules]
        assert len(given) > 5
        assert all(field.default is dataclasses.MISSING for field in given), settings


def enumerated(rules, key=""):
    for name, inner in rules.items() if isinstance(rules, dict) else enumerate(rules):
        if name == "enum":
            yield key.removeprefix("."), inner
        elif isinstance(inner, dict | list):
            yield from enumerated(inner, f"{key}.{name}")


def test_what_the_schema_lists_is_what_the_library_has():
    found = dict(enumerated(schema.load()))
    assert {key: sorted(values) for key, values in found.items()} == {
        key: sorted(values) for key, values in ENUMERATIONS.items()
    }
    rules = schema.load()
    assert set(rules["properties"]["studies"]["properties"]) == STUDIES
    figures = {settings["of"] for settings in sweep.FIGURES.values()} | {"fig01", "losses", "circuits"}
    assert set(rules["$defs"]["circuits"]["properties"]["figures"]["properties"]) == figures
    assert set(rules["$defs"]["circuits"]["properties"]["sweep"]["properties"]) == set(sweep.AXES)
    assert set(rules["$defs"]["run"]["properties"]) == {*sweep.AXES, "epochs"}
    branches = [branch["if"]["properties"]["source"]["const"] for branch in rules["$defs"]["corpus"]["allOf"]]
    assert sorted(branches) == sorted(corpora.SOURCES)


def test_files_name_the_schema_for_editors():
    for file in (ROOT / "config.yaml", *PRESETS):
        first = file.read_text().partition("\n")[0]
        named = first.removeprefix("# yaml-language-server: $schema=")
        assert (file.parent / named).resolve() == schema.SCHEMA, file


@pytest.mark.parametrize("written", ["1e-3", "1E-3", "+1.e-3", "1_000", "0.001"])
def test_numbers_are_read_as_a_person_means_them(written):
    """YAML 1.1 takes a number without a point, but with an exponent, for text."""
    config = yaml.safe_load(f"{{training: {{learning_rate: {written}, weight_decay: {written}}}}}")
    if written == "1_000":
        config["training"]["learning_rate"] = 1
    found = checked(layered({"models.toy.training": config["training"]}))["models"]["toy"]["training"]
    assert found["weight_decay"] == float(written)
    assert isinstance(found["learning_rate"], int | float)


def test_numbers_in_lists_and_of_whole_numbers_too():
    found = checked(
        layered({"studies.circuits.sweep.learning_rate": ["4e-3", 0.002], "models.toy.training.windows": "1e4"})
    )
    assert found["studies"]["circuits"]["sweep"]["learning_rate"] == [0.004, 0.002]
    assert found["models"]["toy"]["training"]["windows"] == 10000
    text = checked(layered({"models.1e5": TOY, "studies.phrenology.models": ["1e5"]}))  # where text is meant, it stays
    assert text["studies"]["phrenology"]["models"] == ["1e5"]
    with pytest.raises(InputError, match=r"models.toy.training.windows: 0.01 found; allowed: a whole number"):
        checked(layered({"models.toy.training.windows": "1e-2"}))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "seeds: [7, 010]",
            "line 1: seeds.1: 010 is read as 8, a number to the base of 8; allowed: 8, or '010' in quotes",
        ),
        ("a:\n  revision: 0012345", "line 2: a.revision: 0012345 is read as 5349,"),
        ("a: 1:30", "line 1: a: 1:30 is read as 90, a number to the base of 60; allowed: 90, or '1:30' in quotes"),
        ("a: {b: 1}\nc: 2\na: 3", "line 3: a: given in line 1 too; allowed: each key once"),
        ("models:\n  b: {x: 1}\n  b: {y: 2}", "line 3: models.b: given in line 2 too"),
    ],
)
def test_what_yaml_reads_otherwise_is_said(folder, text, line):
    (folder / "mine.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        schema.check_file("mine.yaml")
    assert str(caught.value).startswith(f"mine.yaml, {line}")


def test_what_yaml_reads_as_written_is_not_complained_of(folder):
    fine = "a: &x {revision: '0012345', c: 0, d: 0.5, e: -10, f: 0x1f, g: 08a}\nb: {<<: *x, c: 1}\nd: {<<: *x, c: 2}\n"
    (folder / "mine.yaml").write_text(fine)
    schema.check_file("mine.yaml")
    (folder / "mine.yaml").write_text('{"a": 1, "b": [10]}')  # JSON
    schema.check_file("mine.yaml")
    for file in (ROOT / "config.yaml", *PRESETS):
        schema.check_file(file)


def test_a_study_that_is_not_a_target_stops_nobody():
    few = {"models.toy.seeds": [1], "models.toy.architecture.heads": 5}  # too few heads for phrenology
    found = checked(layered({**few, "targets": ["induction"]}))
    assert "phrenology" not in found["studies"]
    assert found["left_out"] == {
        "phrenology": "studies.phrenology.models: 5 heads in all; allowed: at least 8, "
        "for the 5 neighbours of the projections"
    }
    assert {"attentionviz", "circuits", "induction"} == set(found["studies"])
    assert checked(layered())["left_out"] == {}
    wrong = checked(layered({"studies.circuits.sweep.corpus": ["python"], "targets": ["induction"]}))
    assert not any(name.startswith("circuits-") for name in wrong["models"])
    with pytest.raises(InputError, match=r"studies\.phrenology\.models: 5 heads"):
        checked(layered({**few, "targets": ["phrenology"]}))


ENOUGH = "\n\n".join(f"passage {number}" for number in range(8000))  # for the sweep of circuits too
OWN = {
    "corpora.mine": {"source": "files", "files": ["mine.txt"]},
    "tokenizers.mine-2k": {"train": "byte-level-bpe", "corpus": "mine", "vocabulary": 2048},
    "models.mine": {**TOY, "corpus": "mine", "tokenizer": "mine-2k"},
    "compare": ["mine"],
}


def test_what_is_compared_is_compared_by_every_study(folder):
    (folder / "mine.txt").write_text(ENOUGH)
    found = checked(layered(OWN))
    for study in ("phrenology", "attentionviz", "induction"):
        assert found["studies"][study]["models"] == ["mine"]
    assert found["targets"] == ["phrenology", "attentionviz", "induction"]
    assert found["left_out"] == {}
    assert (found["studies"]["induction"]["short"], found["studies"]["induction"]["long"]) == (4, 16)
    runs = found["studies"]["circuits"]["runs"].values()
    assert {(run["corpus"], run["tokenizer"]) for run in runs} == {("mine", "mine-2k")}
    assert len(runs) == len(checked(layered())["studies"]["circuits"]["runs"]) - 1  # that of another tokenizer
    assert len(found["studies"]["circuits"]["shown"]["fig01"]["corrected"]) == 1
    assert configuration.complete(found) == found
    assert checked(layered({**OWN, "targets": ["circuits"]}))["targets"] == ["circuits"]


def test_a_study_that_cannot_look_at_what_is_compared_is_left_out_and_said(folder):
    (folder / "mine.txt").write_text(ENOUGH)
    few = {"models.mine": {**OWN["models.mine"], "seeds": [1], "architecture": {**TOY["architecture"], "heads": 4}}}
    found = checked(layered(OWN | few))
    assert found["targets"] == ["attentionviz", "induction"]
    assert list(found["left_out"]) == ["phrenology"]
    assert "4 heads in all" in found["left_out"]["phrenology"]
    with pytest.raises(InputError, match="4 heads in all"):
        checked(layered(OWN | few | {"targets": ["phrenology", "induction"]}))


def test_models_are_compared_however_their_patterns_are_kept_but_not_where_none_are(folder):
    (folder / "mine.txt").write_text(ENOUGH)
    half = layered(
        {"models.b": {**TOY, "analysis": {"patterns": "float16"}}, "studies.phrenology.models": ["toy", "b"]}
    )
    assert checked(half)["studies"]["phrenology"]["models"] == ["toy", "b"]
    found = checked(layered(OWN | {"models.mine": {**OWN["models.mine"], "analysis": {"patterns": "none"}}}))
    assert found["targets"] == ["attentionviz", "induction"]
    assert found["left_out"] == {
        "phrenology": "models.mine.analysis.patterns: none found, but the study of phrenology compares patterns; "
        "allowed: float32, float16, or `targets` without phrenology"
    }


def test_a_corpus_of_too_few_passages_for_the_sweep_is_told_before_the_first_job(folder):
    """Named as the configuration names them; where windows start anywhere, no passage is missing."""
    mine = {"corpora": {"mine": {"source": "files", "files": ["mine.txt"]}}, "targets": ["circuits"]}
    mine["studies"] = {"circuits": {"sweep": {"corpus": ["mine"]}, "figures": dict.fromkeys(["fig08", "fig09"])}}
    (folder / "mine.txt").write_text("\n\n".join(f"The passage of number {number}." for number in range(700)))

    def told(**training):
        config = layered()
        update_config(config, mine | {"studies": {"circuits": mine["studies"]["circuits"] | {"training": training}}})
        return checked(config)

    with pytest.raises(
        InputError, match=r"studies\.circuits\.training\.windows: 6000 and .*evaluation_windows: 512 found"
    ):
        told()
    with pytest.raises(InputError, match=r"corpora\.mine has (5\d\d) \(train\) and \d\d \(validation\) passages"):
        told(windows=500)
    assert "circuits" in told(windows=500, evaluation_windows=50)["studies"]
    assert "circuits" in told(sampling="corrected")["studies"]


def test_examples_of_the_readme_do_what_they_say_for_all_studies(folder):
    (folder / "texts").mkdir()
    for name in ("one.txt", "more.jsonl"):
        rows = "\n".join(json.dumps({"text": text}) for text in ENOUGH.split("\n\n"))
        (folder / "texts" / name).write_text(rows if name.endswith(".jsonl") else ENOUGH)
    examples = [
        yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    ]
    assert len(examples) == 2
    for example in examples:
        config = layered()
        update_config(config, example)
        found = checked(config)
        (name,) = example["models"]
        own = {axis: example["models"][name][axis] for axis in ("corpus", "tokenizer")}
        for study, settings in found["studies"].items():
            if study == "circuits":
                shown = {model: found["models"][model] for model in settings["models"]}
                assert all({axis: model[axis] for axis in own} == own for model in shown.values())
            else:
                assert settings["models"] == [name]
        assert set(found["studies"]) == STUDIES
        assert set(found["targets"]) == STUDIES - {"circuits"}
        assert found["results"] != "results"


def test_of_a_pretrained_model_less_is_measured_where_nothing_is_said(monkeypatch):
    """A first look at 144 heads takes minutes; a number that is given is kept."""
    loaded = {"tokenizers.loaded": LOADED, "models.one": PRETRAINED, "studies.phrenology.models": ["one"]}
    for changes, prompts, knocked_out in (
        ({}, 1024, {"prompts": 64, "windows": 64, "others": 8}),
        (loaded, 128, {"prompts": 8, "windows": 8, "others": 2}),
        (loaded | {"studies.phrenology.knockouts": {"windows": 32}}, 128, {"prompts": 8, "windows": 32, "others": 2}),
        (loaded | {"models.one": {**PRETRAINED, "analysis": {"windows": 2048}}}, 2048, {"prompts": 8}),
    ):
        found = checked(layered(changes))
        (compared,) = found["studies"]["phrenology"]["models"]
        assert found["models"][compared]["analysis"]["windows"] == prompts
        assert found["studies"]["phrenology"]["knockouts"].items() >= knocked_out.items()


def test_contexts_of_in_context_learning_follow_from_the_models():
    def lengths(**given):
        study = checked(layered({f"studies.induction.{key}": value for key, value in given.items()}))
        return [study["studies"]["induction"][name] for name in ("short", "long")]

    assert lengths() == [5, 18]
    assert lengths(models=["repeats-two-layers"]) == [12, 48]
    assert lengths(models=["repeats-two-layers"], long=30) == [8, 30]
    wide = {"models.toy.architecture.context": 2000, "studies.induction.models": ["toy"]}
    assert checked(layered(wide))["studies"]["induction"]["long"] == 500


def test_sizes_that_follow_are_filled_in():
    shape = {"layers": 2, "heads": 8, "context": 16, "d_model": 64}
    found = checked(layered({"models.toy.architecture": shape}))["models"]["toy"]["architecture"]
    assert (found["d_head"], found["d_mlp"]) == (8, 256)
    shape |= {"d_head": 3, "d_mlp": 5}
    found = checked(layered({"models.toy.architecture": shape}))["models"]["toy"]["architecture"]
    assert (found["d_head"], found["d_mlp"]) == (3, 5)


def test_completing_copies_and_is_done_once():
    given = layered()
    config = schema.filled(given)
    assert given == layered()
    before = copy.deepcopy(config)
    complete = configuration.complete(config)
    assert config == before
    assert configuration.complete(complete) == complete


def test_whole_numbers_are_integers_so_that_equal_settings_are_written_equally():
    found = [
        checked(layered({"models.toy.training.batch": batch, "models.toy.training.weight_decay": decay}))
        for batch, decay in ((64, 1), (64.0, 1.0))
    ]
    assert json.dumps(found[0]) == json.dumps(found[1])
    assert type(found[1]["models"]["toy"]["training"]["batch"]) is int


def test_paths_are_tidied(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    (folder / "mine.txt").write_text(ENOUGH)
    config = layered({"results": "~/there/", "corpora.x": {"source": "files", "files": ["~/mine.txt"]}})
    complete = checked(config)
    assert complete["results"] == str(folder / "there")
    assert step_specs.sources("corpus", complete["corpora"]["x"])["files"] == [str(folder / "mine.txt")]


def test_folders_and_globs_of_text_are_read_by_content(tmp_path, monkeypatch):
    """A folder is a place whose content counts, a glob the files that it matches when the run is planned."""
    monkeypatch.chdir(tmp_path)
    Path("texts").mkdir()
    for name in ("b.txt", "a.txt", "c.png"):
        Path("texts", name).write_text("x\n\ny\n\nz")
    found = {"source": "files", "files": ["texts", "texts/*", "texts/b.txt"]}
    complete = checked(layered({"corpora.x": found}))
    places = step_specs.sources("corpus", complete["corpora"]["x"])["files"]
    assert places == ["texts", "texts/a.txt", "texts/b.txt"]
    before = contents.digests("texts")
    Path("texts/d.txt").write_text("more")
    assert contents.digests("texts") != before
    for item, said in (("*.csv", "matches no file"), ("texts/c.png", "of no known kind")):
        with pytest.raises(
            InputError, match=rf"corpora\.x\.files\.1: .*{said}.*; allowed: \.txt, \.md, \.jsonl, \.csv"
        ):
            checked(layered({"corpora.x": {"source": "files", "files": ["texts", item]}}))


def test_order_of_keys_does_not_matter():
    def backwards(value):
        return {key: backwards(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    one, other = checked(layered()), checked(backwards(layered()))
    assert json.dumps(step_specs.ordered(one)) == json.dumps(step_specs.ordered(other))
    assert step_specs.ordered({"b": (1, {"d": 1, "c": 2}), "a": 3}) == {"a": 3, "b": [1, {"c": 2, "d": 1}]}


def test_window_settings():
    model = checked(layered())["models"]["toy"]
    train, evaluation, analysis = (
        model_settings.window_settings(model, use) for use in ("train", "evaluation", "analysis")
    )
    assert (train["seeds"], train["size"], train["split"]) == (TOY["seeds"], 17, "train")
    assert (evaluation["size"], evaluation["split"], len(evaluation["seeds"])) == (17, "validation", 1)
    assert (analysis["seeds"], analysis["size"], analysis["split"]) == ([9992], 16, "held-out")
    bidirectional = {**model, "architecture": {**model["architecture"], "causal": False}}
    assert model_settings.window_settings(bidirectional, "train")["size"] == 16
    pretrained = checked(layered({"tokenizers.loaded": LOADED, "models.x": PRETRAINED}))["models"]["x"]
    assert model_settings.window_settings(pretrained, "analysis")["size"] == 16


@pytest.mark.parametrize("preset", [p for p in PRESETS if p.stem.startswith("circuits")], ids=lambda p: p.stem)
def test_a_preset_that_leaves_figures_out_is_built_whole(preset, folder):
    places = [f"results={folder}/results", f"store={folder}/store"]
    ran = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--quiet", "all", "--configfile", preset, "--config", *places],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(folder)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def planned(folder, text, *arguments):
    """What a dry run with a configuration file says, and whether it ended well."""
    (folder / "mine.yaml").write_text(f"results: {folder}/results\n{text}")
    ran = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", *arguments, "--configfile", str(folder / "mine.yaml")],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(folder)},
        capture_output=True,
        text=True,
    )
    return ran.stdout + ran.stderr, ran.returncode == 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("models: {toy: {trainin: {}}}", "models.toy.trainin: unknown key; did you mean 'training'? allowed: "),
        ("models: {toy: {seeds: [010]}}", "mine.yaml, line 2: models.toy.seeds.0: 010 is read as 8"),
        (
            "studies: {phrenology: {models: [tou]}}",
            "studies.phrenology.models.0: 'tou' is not configured; did you mean 'toy'? allowed: ",
        ),
    ],
    ids=["schema", "file", "names"],
)
def test_command_line_stops_before_the_first_job(folder, text, line):
    said, well = planned(folder, text)
    assert not well
    assert sum(line in found for found in said.splitlines()) == 1
    assert "Traceback" not in said
    assert "rule " not in said
    assert not (folder / "results").exists()


def test_targets_are_what_a_plain_run_builds(folder):
    """Here one of five heads, which phrenology refuses: it stops nobody but who asks for it."""
    text = "targets: [attentionviz]\nmodels: {toy: {seeds: [1], architecture: {heads: 5}}}"
    said, well = planned(folder, text)
    assert well, said
    jobs = set(re.findall(r" {2,}(\w+) +\d+(?= {3}|$)", said, re.MULTILINE))
    assert {"map_chosen_heads", "draw_scales", "write_summary", "train_model"} <= jobs
    assert not jobs & {"measure_repeats", "gather_sweep", "find_kinds", "measure_knockouts"}
    said, well = planned(folder, text, "phrenology")
    assert not well
    assert sum("studies.phrenology.models: 5 heads in all; allowed: " in line for line in said.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "well", "line"),
    [
        ("targets: [attentionviz]", True, r"\d+ jobs, in the order in which they can run:"),
        ("thread: 3", False, "thread: unknown key; did you mean 'threads'?.*"),
    ],
    ids=["right", "wrong"],
)
def test_a_plan_is_one_table_or_what_stands_against_it(folder, text, well, line):
    (folder / "mine.yaml").write_text(f"results: {folder}/results\n{text}")
    rules = (ROOT / "Makefile").read_text().replace("plan: .venv/installed", "plan:")
    (folder / "Makefile").write_text(rules)
    # a person's shell: under `make test`, make tells its children to print the folders they enter
    person = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    ran = subprocess.run(
        ["make", "-s", "-f", str(folder / "Makefile"), "plan", f"CONFIG={folder / 'mine.yaml'}"],
        cwd=ROOT,
        env={**person, "XDG_CACHE_HOME": str(folder)},
        capture_output=True,
        text=True,
    )
    said = ran.stdout + ran.stderr
    assert (ran.returncode == 0) == well, said
    assert len(said.splitlines()) < 40, said
    assert re.search(f"^{line}$", said, re.MULTILINE), said
    assert ("train_model" in said) != ("thread: unknown key" in said)
