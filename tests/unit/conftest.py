"""Tokenizers that several tests share."""

import pytest

from headatlas.data import tokenizer_training
from samples import TEXTS


@pytest.fixture(scope="session")
def bpe():
    return tokenizer_training.train_tokenizer(TEXTS * 3, "byte-level-bpe", 300)


@pytest.fixture(scope="session")
def gpt2(mirror):
    return tokenizer_training.load_tokenizer("gpt2", mirror=mirror)
