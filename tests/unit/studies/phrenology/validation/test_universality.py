"""Universality: partners that are real stand out of the noise in every member, others in one of twenty."""

import numpy as np

from headatlas.studies.phrenology.validation import partner_agreement, universality


def planted(strength, members=7, heads=6, layers=2, seed=0):
    """Three similarities in which partners of a group are alike by `strength`, some heads alike to all, and noise."""
    rng = np.random.default_rng(seed)
    member, layer, _ = np.indices((members, layers, heads)).reshape(3, -1)
    group = np.concatenate([heads * at + rng.permutation(heads) for _ in range(members) for at in range(layers)])
    popular = rng.normal(size=len(member))
    similarities = []
    for _ in range(3):
        noise = rng.normal(size=(len(member), len(member)))
        alike = strength * (group[:, None] == group) + popular + popular[:, None]
        similarities.append(0.1 * (alike + noise + noise.T))
    return similarities, partner_agreement.partners_of(group, member), member, layer


def measures(similarities):
    return dict(zip(("ov", "qk", "effects"), similarities, strict=True))


def test_partners_that_are_alike_stand_out():
    similarities, partners, member, layer = planted(12.0)
    table = universality.universality(measures(similarities), partners, member, layer)
    assert (table["beyond_noise"] == 1).all()
    assert (table["members"] == 6).all()
    assert (table["score_low"] > 2).all()
    for row in (0, 40):
        own = [similarities[1][row, partners[row, other]] for other in range(7) if other != member[row]]
        np.testing.assert_allclose(table["qk"][row], np.mean(own))
        assert table["qk_low"][row] < np.mean(own) < table["qk_high"][row]


def test_unrelated_heads_have_partners_in_one_member_of_twenty():
    shares = []
    for seed in range(8):
        similarities, partners, member, layer = planted(0.0, seed=seed)
        shares.append(universality.universality(measures(similarities), partners, member, layer)["beyond_noise"].mean())
    assert 0.035 < np.mean(shares) < 0.065


def test_scores_equal_plain_loops():
    similarities, partners, member, layer = planted(3.0, members=3, heads=3)
    scores, threshold = universality.beyond_noise(similarities, partners, member, layer)
    total = np.zeros((len(member), len(member)))
    noise = np.zeros(total.shape, dtype=bool)
    for similarity in similarities:
        rest = np.zeros_like(total)
        for i in range(len(member)):
            for j in range(len(member)):
                if layer[i] == layer[j] and member[i] != member[j]:
                    ours = (member == member[i]) & (layer == layer[i])
                    theirs = (member == member[j]) & (layer == layer[j])
                    block = similarity[np.ix_(ours, theirs)]
                    rest[i, j] = (
                        similarity[i, j] - similarity[i, theirs].mean() - similarity[ours, j].mean() + block.mean()
                    )
                    noise[i, j] = partners[i, member[j]] != j
        total += rest / rest[noise].std() / 3
    np.testing.assert_allclose(threshold, np.quantile(total[noise], 0.95))
    for i in range(len(member)):
        for other in range(3):
            if other == member[i]:
                assert np.isnan(scores[i, other])
            else:
                np.testing.assert_allclose(scores[i, other], total[i, partners[i, other]])


def test_what_is_known_of_a_head_and_member_is_averaged_too():
    similarities, partners, member, layer = planted(5.0)
    recovered = np.where(partners >= 0, np.arange(7.0), np.nan)
    recovered[0, 3] = np.nan
    table = universality.universality(measures(similarities) | {"transplant": recovered}, partners, member, layer)
    np.testing.assert_allclose(table["transplant"][0], np.mean([1, 2, 4, 5, 6]))


def test_without_partners_nothing_is_said():
    similarities, _, member, layer = planted(5.0)
    partners = np.full((len(member), 7), -1)
    table = universality.universality(measures(similarities), partners, member, layer)
    assert (table["members"] == 0).all()
    assert table[["ov", "qk", "effects", "score", "beyond_noise"]].isna().all(axis=None)
