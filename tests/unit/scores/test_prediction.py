"""A pretrained model whose tokenizer is another than its own predicts worse than counting: said in one line."""

import csv
import io
import json

import numpy as np
import pytest
from safetensors.torch import save_file

from headatlas.data.tokenizer_reading import Tokenizer
from headatlas.data.tokenizer_training import load_tokenizer
from headatlas.models import families, pretrained
from headatlas.scores import prediction
from toy_families import toy, windows

STORY = (
    "Once upon a time there was a little girl named Lily. She loved to play in the park with her friends. One day she "
    "saw a big red ball under a tree. She was very happy and ran to her mom. Her mom smiled and said it was time to go "
    "home. Tim had a small dog. The dog liked to run and jump. They went to the park and played all day. "
)
REAL = {"stories260K": "causal", "rxnmapper_albert": "masked"}


def text_of(folder, name):
    if name == "stories260K":
        return STORY * 4
    with open(folder / "example_rxns.csv", newline="") as file:
        return "".join(row["rxn"] for row, _ in zip(csv.DictReader(file), range(40), strict=False))


@pytest.fixture(params=REAL)
def real(request, mirror, tmp_path):
    """A real family, its tokenizer and windows of text that it knows."""
    folder = mirror / "models" / request.param
    weights, config = pretrained.fetch([{"name": str(folder)}] * 2, REAL[request.param])
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    tokenizer = load_tokenizer(str(folder))
    tokens = np.array(tokenizer.encode(text_of(folder, request.param)))
    family = families.load_family(tmp_path / "model.safetensors", tmp_path / "config.json")
    return family, tokenizer, tokens[: len(tokens) // 24 * 24].reshape(-1, 24)


def said(*given):
    file = io.StringIO()
    prediction.warn(*given, file=file)
    return file.getvalue()


def test_a_permuted_vocabulary_is_one_line_and_the_right_one_none(real):
    family, tokenizer, shown = real
    assert len(shown) > 10
    assert said(family, shown, tokenizer) == ""
    ids = np.arange(len(tokenizer))
    plain = np.setdiff1d(ids, tokenizer.all_special_ids)
    ids[plain] = np.random.default_rng(0).permutation(plain)
    line = said(family, ids[shown], tokenizer)
    assert line.startswith("warning: 2 of 2 checkpoints predict text worse than counting its tokens does (loss ")
    assert line.count("\n") == 1


def test_nothing_is_said_where_nothing_can_be(real, tmp_path):
    family, tokenizer, shown = real
    assert said(family, shown[:1], tokenizer) == ""
    if not family.causal:
        special = {role: token for role, token in tokenizer.special.items() if role != "mask_token"}
        assert said(family, shown, Tokenizer(tokenizer.backend, special)) == ""
    (tmp_path / "toy").mkdir()
    assert said(toy(tmp_path / "toy"), windows(8), tokenizer) == "", "toy models are held against their own baselines"
