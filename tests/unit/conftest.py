"""Tokenizers that several tests share."""

import pytest

from headatlas import tokenizer_building
from samples import TEXTS


@pytest.fixture(scope="session")
def bpe():
    return tokenizer_building.train_tokenizer(TEXTS * 3, "byte-level-bpe", 300)


@pytest.fixture(scope="session")
def gpt2(mirror):
    return tokenizer_building.load_tokenizer("gpt2", mirror=mirror)
