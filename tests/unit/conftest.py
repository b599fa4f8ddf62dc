"""Tokenizers that several tests share."""

import pytest

from headatlas.data import tokenizer_training
from texts import TEXTS


@pytest.fixture(scope="session")
def bpe():
    return tokenizer_training.train_tokenizer(TEXTS * 3, "byte-level-bpe", 300)


@pytest.fixture(scope="session")
def gpt2(mirror):
    return tokenizer_training.load_tokenizer("gpt2", mirror=mirror)


@pytest.fixture(scope="session")
def wired(tmp_path_factory):
    """A two-layer network wired by hand for induction."""
    from planted_families import wired_for_induction  # torch, which most tests do not need

    return wired_for_induction(tmp_path_factory.mktemp("wired"))
