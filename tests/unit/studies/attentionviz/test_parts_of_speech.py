"""Attention by part of speech: a planted preference is found, noise and mere position are not."""

import numpy as np
import pytest

from headatlas.studies.attentionviz import parts_of_speech
from tagged_heads import PROMPTS, SIZE, WORDS, measured, softmax, tags_of


@pytest.mark.parametrize("causal", [True, False])
def test_a_planted_preference_is_found(causal):
    tags = tags_of()
    noise = np.random.default_rng(1).normal(0, 1, (PROMPTS, SIZE, SIZE))
    planted = noise + 3 * (tags == "NOUN")[:, :, None] * (tags == "PRON")[:, None, :]
    table = measured([planted], tags, causal)
    best = table.loc[table["excess"].idxmax()]
    assert (best["query"], best["key"]) == ("NOUN", "PRON")
    assert best["significant"]
    assert best["low"] > 0.2
    assert best["share"] - best["chance"] == pytest.approx(best["excess"])
    others = table[table["query"] != "NOUN"]
    assert not others["significant"].any()
    assert others["excess"].abs().max() < 0.1


def test_noise_is_not():
    noise = np.random.default_rng(2).normal(0, 2, (10, PROMPTS, SIZE, SIZE))
    table = measured(noise, tags_of())
    assert len(table) == 10 * len(WORDS) ** 2
    assert table["significant"].sum() <= 2
    assert 0.90 < ((table["low"] < 0) & (table["high"] > 0)).mean() <= 1


def test_a_head_that_looks_by_position_shows_nothing_above_chance():
    generator = np.random.default_rng(3)
    start = generator.integers(len(WORDS), size=(PROMPTS, 1))
    tags = np.array(WORDS)[(start + np.arange(SIZE)) % len(WORDS)]  # a PRON follows every NOUN, and so on
    previous = 8.0 * np.eye(SIZE, k=-1) + generator.normal(0, 1, (PROMPTS, SIZE, SIZE))
    table = measured([previous], tags)
    after = table[(table["query"] == "PRON") & (table["key"] == "NOUN")].iloc[0]
    assert after["share"] > 0.9
    assert after["chance"] == pytest.approx(after["share"], abs=0.02)
    assert not table["significant"].any()


def test_shares_equal_a_loop_and_leave_the_token_itself_out():
    tags = tags_of()
    pattern = softmax(np.random.default_rng(4).normal(0, 1, (PROMPTS, SIZE, SIZE)))
    table = parts_of_speech.measure([(2, 1, 3, pattern)], tags, np.ones(tags.shape, bool), True)
    shares = []
    for prompt in range(PROMPTS):
        for query in range(1, SIZE):
            if tags[prompt, query] == "VERB":
                row = pattern[prompt, query, :query]
                shares.append((row * (tags[prompt, :query] == "DET")).sum() / row.sum())
    (found,) = table[(table["query"] == "VERB") & (table["key"] == "DET")].itertuples()
    assert (found.member, found.layer, found.head, found.queries) == (2, 1, 3, len(shares))
    assert found.share == pytest.approx(np.mean(shares))
    assert table.groupby("query")["share"].sum().to_numpy() == pytest.approx(1)
    assert table.groupby("query")["chance"].sum().to_numpy() == pytest.approx(1)


def test_rare_categories_padding_and_tokens_without_tags_are_left_out():
    tags = tags_of().astype(object)
    tags[0, 0], tags[:, -2:] = "NUM", ""
    real = np.ones(tags.shape, bool)
    real[:, -1] = False
    pattern = softmax(np.zeros((PROMPTS, SIZE, SIZE)))
    table = parts_of_speech.measure([(0, 0, 0, pattern)], tags, real, True)
    assert set(table["query"]) == set(WORDS)
    assert table.drop_duplicates("query")["queries"].sum() <= PROMPTS * (SIZE - 3)


@pytest.mark.parametrize(
    ("tag", "category"),
    [
        ("NN-TL", "NOUN"), ("NP$", "NOUN"), ("NNS+MD", "NOUN"), ("NNP", "NOUN"), ("PPSS+BEZ", "PRON"), ("PP$", "PRON"),
        ("PRP$", "PRON"), ("PN", "PRON"), ("PDT", "DET"), ("POS", "PART"), ("*", "PART"), ("AT-HL", "DET"),
        ("WDT", "DET"), ("WRB", "ADV"), ("BEDZ*", "VERB"), ("FW-NN", "X"), ("``", "PUNCT"), (".", "PUNCT"),
        ("--HL", "PUNCT"), ("", ""), ("PRON", "PRON"), ("-LRB-", "PUNCT"), ("CD", "NUM"), ("ABN", "DET"), ("AP", "ADJ"),
    ],
)  # fmt: skip
def test_categories_of_tags(tag, category):
    assert parts_of_speech.coarse(tag) == category
    assert parts_of_speech.coarse_tags(np.array([[tag]])).tolist() == [[category]]
