"""Texts, checkpoints, tokenizers and prompts of one's own are looked at before the first job."""

import copy
import json
import re
import string
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file
from snakemake.utils import update_config

from headatlas.base.errors import InputError
from headatlas.data import own_material
from headatlas.models.pretrained import positions
from headatlas.workflow import configuration, schema
from headatlas.workflow.resources import model_sizes

ROOT = Path(__file__).parents[3]
LETTERS = " " + string.ascii_lowercase
SHAPE = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8, "max_position_embeddings": 32}
SHAPE["vocab_size"] = len(LETTERS) + 1


def tokenizer_json(path, ids, added=()):
    pieces = {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": False}
    model = {"type": "WordLevel", "vocab": ids, "unk_token": "?"}
    content = {"version": "1.0", "added_tokens": list(added), "pre_tokenizer": pieces, "model": model}
    path.write_text(json.dumps(content))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A checkpoint with a tokenizer of letters, and a table of texts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADATLAS_MIRROR", raising=False)
    Path("llama").mkdir()
    Path("llama/config.json").write_text(json.dumps(SHAPE))
    save_file({"weight": np.zeros((4, 8), np.float32)}, "llama/model.safetensors")
    tokenizer_json(Path("llama/tokenizer.json"), {letter: at for at, letter in enumerate(LETTERS + "?")})
    rows = [f"{number},some text of one of these rows" for number in range(100)]
    Path("texts.csv").write_text("\n".join(["id,body", *rows]))
    return tmp_path


def completed(changes="{}"):
    """What a plan makes of a family of two such checkpoints, with keys changed."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    own = {
        "corpora": {"mine": {"source": "files", "files": ["texts.csv"], "text_column": "body"}},
        "tokenizers": {
            "letters": {"load": "llama"},
            "some-words": {"train": "words", "corpus": "mine", "vocabulary": 9},
        },
        "models": {
            "llamas": {
                "corpus": "mine",
                "tokenizer": "letters",
                "task": "causal",
                "context": 16,
                "checkpoints": [{"name": "llama"}],
                "analysis": {"windows": 32},
            }
        },
        "targets": ["attentionviz"],
        "studies": {"attentionviz": {"models": ["llamas"]}},
    }
    for layer in (own, yaml.safe_load(changes)):
        update_config(config, copy.deepcopy(layer))
    return configuration.complete(schema.filled(config))


def damage(name, content=None):
    def do():
        path = Path(name)
        if content is None:
            path.write_bytes(path.read_bytes()[:-40])
        else:
            path.write_text(content)

    return do


def other_tokens():
    tokenizer_json(Path("llama/tokenizer.json"), {letter: 2 * at for at, letter in enumerate(LETTERS + "?")})


def permuted_tokens():
    """The same tokens with other ids, beside the checkpoint, and the checkpoint's own where it is."""
    Path("permuted").mkdir()
    tokenizer_json(Path("permuted/tokenizer.json"), {letter: at for at, letter in enumerate(LETTERS[::-1] + "?")})


def vocabulary_alone(name, content):
    def do():
        permuted_tokens()
        Path("llama/tokenizer.json").unlink()
        Path("llama", name).write_text(content)

    return do


PERMUTED = r"models\.llamas\.tokenizer: 'letters' has 'z' as token 0, which is token 26 by 'llama/{}', and so 26 of 28 "

WRONG = {  # what was done to the files, keys changed, and the line
    "column": (
        None,
        "corpora: {mine: {text_column: txet}}",
        r"corpora\.mine\.files: .*no text_column 'txet'; allowed: id, body",
    ),
    "header alone": (damage("texts.csv", "id,body\n"), "{}", r"corpora\.mine: no text in it"),
    "nothing": (damage("texts.csv", ""), "{}", r"corpora\.mine\.files: .*no text_column 'body'; allowed: a first row"),
    "two rows": (damage("texts.csv", "body\none\ntwo\n"), "{}", r"corpora\.mine: the \w+ split is empty; there are 2"),
    "three rows": (
        damage("texts.csv", "body\none\ntwo\nthree\n"),
        "{}",
        r"models\.llamas\.analysis\.windows: 32 found, but the held-out text of corpora\.mine has \d\d tokens at most",
    ),
    "as many documents": (
        None,
        "models: {llamas: {analysis: {sampling: documents}}}",
        r"models\.llamas\.analysis\.windows: 32 found, but the held-out text of corpora\.mine has 20 passages",
    ),
    "no weights": (
        lambda: Path("llama/model.safetensors").unlink(),
        "{}",
        r"models\.llamas\.checkpoints\.0\.name: 'llama' has no \.safetensors file \(no weights at all\); save it",
    ),
    "weights to unpickle": (
        lambda: Path("llama/model.safetensors").rename("llama/pytorch_model.bin"),
        "{}",
        r"'llama' has no \.safetensors file \(only pytorch_model\.bin, which is never unpickled\)",
    ),
    "no configuration": (
        lambda: Path("llama/config.json").unlink(),
        "{}",
        r"models\.llamas\.checkpoints\.0\.name: 'llama' has no config\.json, so it is not a saved transformers model",
    ),
    "half of the weights": (
        damage("llama/model.safetensors"),
        "{}",
        r"'llama' has a damaged model\.safetensors \(\d+ of \d+ bytes\); copy or download it again",
    ),
    "a pointer in place of weights": (
        damage("llama/model.safetensors", "version https://git-lfs.github.com/spec/v1\n"),
        "{}",
        r"'llama' has a damaged model\.safetensors \(no header of such a file\)",
    ),
    "context": (
        None,
        "models: {llamas: {context: 33}}",
        r"models\.llamas\.context: 33 found; allowed: at most 32, which is max_position_embeddings of 'llama'",
    ),
    "another tokenizer": (
        other_tokens,
        "{}",
        r"models\.llamas\.tokenizer: 'letters' has tokens up to 54, but 'llama' knows 0 to 27; allowed: ",
    ),
    "ids in another order": (
        permuted_tokens,
        "tokenizers: {letters: {load: permuted}}",
        PERMUTED.format(r"tokenizer\.json") + "tokens; allowed: the tokenizer that the checkpoint was trained with",
    ),
    "ids in another order than a list's": (
        vocabulary_alone("vocab.json", json.dumps({letter: at for at, letter in enumerate(LETTERS + "?")})),
        "tokenizers: {letters: {load: permuted/tokenizer.json}}",
        PERMUTED.format(r"vocab\.json"),
    ),
    "ids in another order than a file's lines": (
        vocabulary_alone("vocab.txt", "\n".join(LETTERS + "?")),
        "tokenizers: {letters: {load: permuted}}",
        PERMUTED.format(r"vocab\.txt"),
    ),
    "few heads": (
        None,
        "{targets: [phrenology], studies: {phrenology: {models: [llamas]}}}",
        r"studies\.phrenology\.models: 4 heads in all; allowed: at least 8",
    ),
    "head that is not there": (
        None,
        "studies: {attentionviz: {heads: [[0, 0, 0], [0, 2, 0]]}}",
        r"studies\.attentionviz\.heads\.1: layer 2 found; allowed: 0 to 1, as 'llamas' has 2",
    ),
}


@pytest.mark.parametrize(("done", "changes", "line"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_it_is_one_line(done, changes, line):
    if done:
        done()
    with pytest.raises(InputError) as caught:
        completed(changes)
    assert re.match(f".*{line}", str(caught.value))
    assert "\n" not in str(caught.value)


def test_what_is_right_is_taken():
    assert completed("models: {llamas: {context: 32, analysis: {windows: 500}}}")["left_out"] == {}
    added = {"id": 40, "content": "<pad>", "single_word": False, "lstrip": False, "rstrip": False}
    added |= {"normalized": False, "special": True}
    tokenizer_json(Path("llama/tokenizer.json"), {letter: at for at, letter in enumerate(LETTERS + "?")}, [added])
    completed()  # a token for padding, which the model need not know
    Path("fewer").mkdir()
    tokenizer_json(Path("fewer/tokenizer.json"), {letter: at for at, letter in enumerate(LETTERS[:20])})
    completed("tokenizers: {letters: {load: fewer}}")  # what both have is the same
    Path("llama/tokenizer.json").write_text("{}")
    completed("tokenizers: {letters: {load: fewer}}")  # the step that loads it says what is wrong
    tokenizer_json(Path("llama/tokenizer.json"), {letter: at for at, letter in enumerate(LETTERS + "?")})
    both = "{studies: {phrenology: {models: [llamas]}}, targets: [phrenology], models: {llamas: {checkpoints: %s}}}"
    save_file({"weight": np.zeros((4, 8), np.float32)}, "model.safetensors")
    Path("config.json").write_text(json.dumps(SHAPE))
    completed(both % '[{name: llama}, {name: "."}]')  # eight heads


PROMPTS = {  # of a tokenizer of letters, which sees 16, and of one of words
    "phrenology": {
        "letters": {
            "nothing else": None,
            "a far longer prompt": "is 19 tokens; allowed: 1 to 16",
            "12 + 34": "unknown",
        },
        "some-words": {"a far longer prompt": None, "a " * 17: "is 17 tokens; allowed: 1 to 16"},
        "python-docs-1k": {"a far longer prompt": None, "a" + " b" * 17: "is at least 18 tokens; allowed: 1 to 16"},
    },
    "circuits": {
        "letters": {"no more": None, "no more of it": "is 13 tokens; allowed: 1 to 10"},
        "some-words": {"a far longer prompt": None, "a " * 11: "is 11 tokens; allowed: 1 to 10"},
    },
}


@pytest.mark.parametrize(
    ("study", "tokenizer", "prompt", "wrong"),
    [
        (study, tokenizer, prompt, wrong)
        for study, of_study in PROMPTS.items()
        for tokenizer, prompts in of_study.items()
        for prompt, wrong in prompts.items()
    ],
)
def test_a_prompt_is_held_against_what_models_read_at_once(study, tokenizer, prompt, wrong):
    toy = {"corpus": "mine", "tokenizer": tokenizer, "seeds": list(range(9)), "training": {"windows": 64}}
    toy |= {"architecture": {"layers": 1, "heads": 1, "d_model": 8, "context": 16}, "analysis": {"windows": 32}}
    toy["training"] |= {"evaluations": 1, "evaluation_windows": 8}
    settings = {"models": ["toy"], "knockouts": {"prompt": prompt, "head": [0, 0, 0]}}
    if study == "circuits":
        settings = {"generation": {"prompt": prompt, "tokens": 7}, "sweep": {"max_length": [16]}}
        settings["sweep"] |= {"corpus": ["mine"], "tokenizer": [tokenizer]}
        settings["training"] = {"windows": 64, "evaluation_windows": 8}
        settings["figures"] = dict.fromkeys(("fig01", "fig08", "fig09"))
    changes = json.dumps({"models": {"toy": toy}, "studies": {study: settings}, "targets": [study]})
    if wrong is None:
        completed(changes)
        return
    key = {"phrenology": "knockouts.prompt", "circuits": "generation.prompt"}[study]
    with pytest.raises(InputError, match=rf"^studies\.{study}\.{key}: .*{wrong}"):
        completed(changes)


def test_more_tokens_than_a_model_reads_are_not_written():
    few = {"generation": {"tokens": 21}}
    with pytest.raises(InputError, match=r"studies\.circuits\.generation\.tokens: 21 found; allowed: at most 20"):
        completed(json.dumps({"studies": {"circuits": few}, "targets": ["circuits"]}))
    few["generation"]["tokens"] = 20
    completed(json.dumps({"studies": {"circuits": few}, "targets": ["circuits"]}))


def test_large_files_are_not_read_beforehand(monkeypatch):
    monkeypatch.setattr("headatlas.data.corpora.PLANNED", 10)
    monkeypatch.setattr(own_material, "READ", 10)
    other_tokens()
    completed("corpora: {mine: {text_column: txet}}")


def test_a_context_is_asked_for_by_the_names_that_loading_asks_for():
    assert model_sizes._CONTEXTS == positions._NAMES
