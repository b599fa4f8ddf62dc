"""A wrong configuration is one line that names the key, the value and what is allowed; a right one is filled in."""

import copy
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
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config, validate

from headatlas.base.errors import InputError
from headatlas.workflow import configuration

ROOT = Path(__file__).parents[3]
SCHEMA = ROOT / "config" / "schema.yaml"
EMBEDDED = yaml.safe_load((ROOT / "config.yaml").read_text())
PRESETS = sorted(set((ROOT / "config").glob("*.yaml")) - {SCHEMA})
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
    try:
        validate(config, str(SCHEMA))
    except WorkflowError as error:
        raise InputError(configuration.explain(error.__context__)) from None
    return configuration.complete(config)


PRETRAINED = {
    "corpus": "python-docs",
    "tokenizer": "python-docs-1k",
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
    "key that is no text": ({"3": 1}, "3: unknown key", "allowed: corpora", "threads"),
    "unknown study": ({"studies.circus": {}}, "studies.circus: unknown key", "allowed: ", "phrenology"),
    "unknown training key": ({"models.toy.training.lr": 1}, "models.toy.training.lr", "unknown key", "learning_rate"),
    "wrong type": ({"models.toy.architecture.heads": "8"}, "models.toy.architecture.heads", "'8'", "integer"),
    "boolean for integer": (
        {"models.toy.architecture.layers": True},
        "models.toy.architecture.layers",
        "True",
        "integer",
    ),
    "integer for boolean": ({"models.toy.architecture.causal": 1}, "models.toy.architecture.causal", "1", "boolean"),
    "fraction for integer": ({"threads": 1.5}, "threads", "1.5", "integer"),
    "null for a section": ({"models.toy": None}, "models.toy", "None", "object"),
    "list for a section": ({"corpora": ["brown"] * 40}, "corpora", "['brown', 'brown'", "...", "object"),
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
    "no study left": (
        {"studies": {"phrenology": None, "circuits": None}},
        "studies",
        "all are null",
        "at least one study",
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
            "models.b": {**PRETRAINED, "task": "masked", "analysis": TOY["analysis"]},
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
    "checkpoint that is nowhere": (
        {"models.x": {**PRETRAINED, "checkpoints": [{"name": "a/b/c"}]}},
        "models.x.checkpoints.0.name",
        "'a/b/c'",
        "an existing folder",
        "Hub name",
    ),
    "checkpoint twice": (
        {"models.x": {**PRETRAINED, "checkpoints": PRETRAINED["checkpoints"] * 2}},
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
    schema = yaml.safe_load(SCHEMA.read_text())
    assert all(schema["properties"][part]["$ref"] == "#/$defs/named" for part in ("corpora", "tokenizers", "models"))
    named = Draft202012Validator(schema["$defs"]["named"]["propertyNames"])
    for name in ("../up", "..", ".", "a/../b", "/etc", "~", "a\\b", "a\n", "\n", "", "a b", "{a}", "a" * 65, "é", 7):
        assert not named.is_valid(name), name
    assert all(named.is_valid(name) for name in ("a", "7", "gpt-2", "a" * 64))
    results = Draft202012Validator(schema["properties"]["results"])
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
    if config["mirror"]:
        (folder / config["mirror"]).mkdir(parents=True)
    complete = checked(config)
    for study in complete["studies"].values():
        assert set(study["models"]) <= set(complete["models"])


def test_every_preset_has_a_results_folder_of_its_own():
    presets = [yaml.safe_load(preset.read_text()) for preset in PRESETS]
    folders = [preset["results"] for preset in presets if "models" in preset or "studies" in preset]
    assert len({*folders, EMBEDDED["results"]}) == len(folders) + 1


def documented():
    """(dotted key, value written in config.yaml, default in the schema) wherever the schema has one."""
    schema = yaml.safe_load(SCHEMA.read_text())

    def followed(rules):
        """The rules that a reference leads to, under those that stand beside it."""
        if "$ref" not in rules:
            return rules
        return {**followed(schema["$defs"][rules["$ref"].rpartition("/")[2]]), **rules}

    def walk(written, rules, key):
        properties = dict(rules.get("properties", {}))
        if "if" in rules:
            chosen = rules["then" if set(rules["if"].get("required", [""])) <= set(written) else "else"]
            properties |= followed(chosen)["properties"]
        for branch in rules.get("allOf", []):
            if written.get("source") == branch["if"]["properties"]["source"]["const"]:
                properties |= followed(branch["then"])["properties"]
        for name, value in written.items():
            inner = followed(properties.get(name) or rules.get("additionalProperties") or {})
            if "default" in inner and not isinstance(value, dict):
                yield f"{key}{name}", value, inner["default"]
            if isinstance(value, dict):
                yield from walk(value, inner, f"{key}{name}.")

    return list(walk(explained(EMBEDDED), schema, ""))


# What the embedded model chooses for itself: everything else written in config.yaml is the default
CHOSEN = {
    "models.toy.architecture.d_head",
    "models.toy.architecture.d_mlp",
    "models.toy.architecture.activation",
    "models.toy.training.windows",
    "models.toy.training.epochs",
    "models.toy.training.evaluations",
    "models.toy.training.learning_rate",
    "models.toy.training.weight_decay",
    "studies.circuits.training.windows",
    "studies.circuits.training.epochs",
    "studies.circuits.training.evaluations",
    "studies.circuits.generation.prompt",
    "studies.circuits.analysis.windows",
    "studies.phrenology.autoencoders.seeds",
    "studies.phrenology.autoencoders.epochs",
    "studies.phrenology.autoencoders.batch",
    "studies.phrenology.autoencoders.rows",
    "studies.phrenology.clusters.head_permutations",
    "studies.phrenology.clusters.resamples",
    "studies.phrenology.knockouts.permutations",
    "studies.phrenology.knockouts.windows",
    "studies.phrenology.clusters.repeated_draws",
    "studies.attentionviz.percentile",
    "studies.attentionviz.sentences",
    "studies.attentionviz.epochs",
    "studies.induction.length",
    "studies.induction.texts",
    "studies.induction.short",
    "studies.induction.long",
    "studies.induction.controls",
}


def explained(config):
    """A configuration without the planted models and their corpora: what their keys are is said of `toy`."""
    kept = {part: {n: v for n, v in config[part].items() if "repeats" not in n} for part in ("corpora", "models")}
    return {**config, **kept}


def test_documented_values_are_the_defaults():
    found = documented()
    assert len(found) > 25
    assert {key for key, value, default in found if value != default} == CHOSEN


def test_every_key_with_a_default_is_documented():
    """What is filled in where nothing is given is written in config.yaml, but for corpora it does not use."""
    bare = layered()
    for part in ("training", "analysis", "scores"):
        bare["models"]["toy"].pop(part)
    for part in ("autoencoders", "clusters"):
        bare["studies"]["phrenology"].pop(part)
    for part in set(bare["studies"]["attentionviz"]) - {"models"}:
        bare["studies"]["attentionviz"].pop(part)
    filled = checked(bare)
    written = checked(layered())
    for key in CHOSEN:
        *sections, name = key.split(".")
        for config in (filled, written):
            place = config
            for section in sections:
                place = place[section]
            place.pop(name, None)
    assert filled == written

    def keys(config):
        return {name: keys(value) if isinstance(value, dict) else None for name, value in config.items()}

    found = keys(explained(checked(layered())))
    embedded = explained(EMBEDDED)
    found["models"] = {name: found["models"][name] for name in embedded["models"]}  # the rest are runs of the sweep
    for made in ("runs", "shown", "windows", "models"):
        del found["studies"]["circuits"][made]
    assert found == keys(embedded)


def test_sizes_that_follow_are_filled_in():
    shape = {"layers": 2, "heads": 8, "context": 16, "d_model": 64}
    found = checked(layered({"models.toy.architecture": shape}))["models"]["toy"]["architecture"]
    assert (found["d_head"], found["d_mlp"]) == (8, 256)
    shape |= {"d_head": 3, "d_mlp": 5}
    found = checked(layered({"models.toy.architecture": shape}))["models"]["toy"]["architecture"]
    assert (found["d_head"], found["d_mlp"]) == (3, 5)


def test_completing_copies_and_is_done_once():
    config = layered()
    validate(config, str(SCHEMA))
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
    (folder / "mine.txt").write_text("some")
    config = layered({"results": "~/there/", "corpora.x": {"source": "files", "files": ["~/mine.txt"]}})
    complete = checked(config)
    assert complete["results"] == str(folder / "there")
    assert configuration.local_files(complete["corpora"]["x"]) == [str(folder / "mine.txt")]


def test_order_of_keys_does_not_matter():
    def backwards(value):
        return {key: backwards(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    one, other = checked(layered()), checked(backwards(layered()))
    assert json.dumps(configuration.ordered(one)) == json.dumps(configuration.ordered(other))
    assert configuration.ordered({"b": (1, {"d": 1, "c": 2}), "a": 3}) == {"a": 3, "b": [1, {"c": 2, "d": 1}]}


def test_local_files_are_those_read(folder):
    (folder / "tok").mkdir()
    for name in ("tokenizer.json", "merges.txt", ".hidden"):
        (folder / "tok" / name).write_text("")
    assert configuration.local_files({"load": "tok"}) == ["tok/merges.txt", "tok/tokenizer.json"]
    assert configuration.local_files({"name": "tok/merges.txt"}) == ["tok/merges.txt"]
    assert configuration.local_files({"name": "openai-community/gpt2"}) == []
    assert configuration.local_files({"source": "python-docs"}) == []


def test_window_settings():
    model = checked(layered())["models"]["toy"]
    train, evaluation, analysis = (
        configuration.window_settings(model, use) for use in ("train", "evaluation", "analysis")
    )
    assert (train["seeds"], train["size"], train["split"]) == (TOY["seeds"], 17, "train")
    assert (evaluation["size"], evaluation["split"], len(evaluation["seeds"])) == (17, "validation", 1)
    assert (analysis["seeds"], analysis["size"], analysis["split"]) == ([9992], 16, "held-out")
    bidirectional = {**model, "architecture": {**model["architecture"], "causal": False}}
    assert configuration.window_settings(bidirectional, "train")["size"] == 16
    pretrained = checked(layered({"models.x": PRETRAINED}))["models"]["x"]
    assert configuration.window_settings(pretrained, "analysis")["size"] == 16


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ({"models": {"toy": {"trainin": {}}}}, "models.toy.trainin: unknown key; did you mean 'training'? allowed: "),
        (
            {"studies": {"phrenology": {"models": ["tou"]}}},
            "studies.phrenology.models.0: 'tou' is not configured; did you mean 'toy'? allowed: ",
        ),
    ],
    ids=["schema", "names"],
)
def test_command_line_stops_before_the_first_job(folder, override, line):
    (folder / "mine.yaml").write_text(yaml.safe_dump({**override, "results": str(folder / "results")}))
    ran = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--configfile", str(folder / "mine.yaml")],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(folder)},
        capture_output=True,
        text=True,
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode != 0
    assert sum(line in found for found in said.splitlines()) == 1
    assert "Traceback" not in said
    assert "rule " not in said
    assert not (folder / "results").exists()
