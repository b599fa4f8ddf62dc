"""Attention by part of speech: a planted preference is found, noise and mere position are not."""

import numpy as np
import pytest

from headatlas.base.errors import InputError
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


CATEGORIES = parts_of_speech.CATEGORIES[:12]


def sentences(prompts=400, size=12, seed=5):
    """Tags as a grammar gives them: sentences begin otherwise than they go on, and neighbours depend on each other."""
    generator = np.random.default_rng(seed)
    begins, follows = generator.dirichlet(np.full(12, 0.3)), generator.dirichlet(np.full(12, 0.5), 12)
    tags = [generator.choice(12, prompts, p=begins)]
    for _ in range(size - 1):
        drawn = generator.random((prompts, 1)) > follows[tags[-1]].cumsum(1)
        tags.append(drawn.sum(1).clip(max=11))
    return np.array(CATEGORIES)[np.stack(tags, 1)]


def positional_heads(prompts, size):
    """Scores (prompt, query, key) of heads that know nothing of words."""
    query, key = np.indices((size, size))
    of_positions = {
        "sink": 9.0 * (key == 0),
        "previous": 9.0 * (key == query - 1),
        "uniform": 0.0 * key,
        "current": 9.0 * (key == query),
        "fixed position": 9.0 * (key == 4),
        "decay": -0.5 * (query - key),
        "second token": 9.0 * (key == 1),
    }
    heads = {name: np.broadcast_to(scores, (prompts, size, size)) for name, scores in of_positions.items()}
    return heads | {"random": np.random.default_rng(6).normal(0, 2, (prompts, size, size))}


def with_head(tags, scores):
    size = tags.shape[1]
    raised = np.exp(np.where(np.tri(size, dtype=bool), scores, -np.inf))
    pattern = raised / raised.sum(-1, keepdims=True)
    return parts_of_speech.measure([(0, 0, 0, pattern)], tags, np.ones(tags.shape, bool), True)


@pytest.mark.parametrize("name", list(positional_heads(1, 12)))
def test_a_head_that_knows_positions_alone_never_passes_for_one_that_knows_words(name):
    tags = sentences()
    table = with_head(tags, positional_heads(*tags.shape)[name])
    assert len(table) == 144
    assert table["p_value"].notna().all()
    assert not table["significant"].any()


@pytest.mark.parametrize("seed", [6, 7])
def test_a_head_that_looks_from_nouns_to_pronouns_is_found_whatever_the_grammar(seed):
    tags = sentences(seed=seed)
    looks = (tags == "NOUN")[:, :, None] & (tags == "PRON")[:, None, :]
    table = with_head(tags, positional_heads(*tags.shape)["random"] + 2.0 * looks)
    found = table[table["significant"] & (table["excess"] > 0)]
    assert found[["query", "key"]].to_numpy().tolist() == [["NOUN", "PRON"]]


def test_a_query_that_no_other_sentence_has_at_its_position_is_left_out():
    tags = np.array([["DET", "VERB", "VERB"], ["DET", "VERB", "PRON"], ["NOUN", "VERB", "VERB"]], dtype=object)
    indicator = np.stack([tags == name for name in ("DET", "VERB", "PRON", "NOUN")], -1).astype(float)
    others = np.broadcast_to(np.tri(3, k=-1, dtype=bool), (3, 3, 3))
    probability, compared = parts_of_speech._expected(indicator, others)
    assert compared.tolist() == [[True, True, True], [True, True, False], [True, True, True]]
    assert probability[0, 2, 0].tolist() == [0, 0, 0, 1]  # of the third sentence alone, whose third token is a verb too
    assert probability[0, 1, 0].tolist() == [0.5, 0, 0, 0.5]


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


def test_too_few_sentences_are_one_line():
    tags = np.full((9, 4), "NOUN", dtype=object)
    with pytest.raises(InputError, match="none occurs in 10 of the 9 sentences looked at; allowed: more sentences"):
        parts_of_speech.measure([], tags, np.ones((9, 4), bool), True)
