"""Universality: real partners stand out of the noise in every member, heads of one kind no more than by chance."""

import numpy as np

from headatlas.studies.phrenology.validation import partner_agreement, universality


def planted(strength, members=7, heads=6, layers=2, seed=0, kinds=0.0):
    """Three similarities: partners of a group are alike by `strength`, those of a kind by `kinds`, some to all."""
    rng = np.random.default_rng(seed)
    member, layer, _ = np.indices((members, layers, heads)).reshape(3, -1)
    group = np.concatenate([heads * at + rng.permutation(heads) for _ in range(members) for at in range(layers)])
    popular, kind = rng.normal(size=len(member)), np.minimum(group % heads, 2)  # kinds of 1, 1 and all other heads
    similarities = []
    for _ in range(3):
        noise = rng.normal(size=(len(member), len(member)))
        alike = strength * (group[:, None] == group) + popular + popular[:, None]
        alike = alike + kinds * (kind[:, None] == kind)
        similarities.append(0.02 * (alike + noise + noise.T))
    strata = np.unique([member, layer, kind], axis=1, return_inverse=True)[1]
    return similarities, partner_agreement.partners_of(group, member), member, layer, strata


def measures(similarities):
    return dict(zip(("ov", "qk", "effects"), similarities, strict=True))


def test_partners_that_are_alike_stand_out():
    similarities, partners, member, layer, _ = planted(12.0)
    table = universality.universality(measures(similarities), partners, member, layer, 10 * member + layer, seed=1)
    assert (table["beyond_noise"] == 1).all()
    assert (table["p"] == 1 / 1001).all()
    assert abs(table["chance"].mean() - (1 / 6 + 0.05 * 5 / 6)) < 0.02  # one head in six is dealt its own partner
    assert (table["members"] == 6).all()
    assert (table["score_low"] > 2).all()
    for row in (0, 40):
        own = [similarities[1][row, partners[row, other]] for other in range(7) if other != member[row]]
        np.testing.assert_allclose(table["qk"][row], np.mean(own))
        assert table["qk_low"][row] < np.mean(own) < table["qk_high"][row]


def found_in(seeds, **options):
    """Means over heads, beside their chance, and p, of unrelated heads: (seed, 3)."""
    found = []
    for seed in range(seeds):
        similarities, *of = planted(0.0, seed=seed, **options)
        table = universality.universality(measures(similarities), *of, permutations=99, seed=seed)
        found.append((table["beyond_noise"].mean(), table["chance"].mean(), table["p"][0]))
    return np.array(found)


def test_unrelated_heads_have_partners_in_one_member_of_twenty():
    share, chance, p = found_in(20).T
    assert 0.035 < share.mean() < 0.065
    assert abs(share.mean() - chance.mean()) < 0.01
    assert (p <= 0.05).sum() <= 3


def test_heads_of_a_kind_that_are_no_partners_are_not_beyond_chance():
    """Alike by their kinds alone: beyond noise far more often than in one member of twenty, and no more than chance."""
    share, chance, p = found_in(20, kinds=6.0).T
    assert share.min() > 0.1
    assert abs(share.mean() - chance.mean()) < 0.02
    assert (p <= 0.05).sum() <= 3


def test_scores_equal_plain_loops():
    similarities, partners, member, layer, strata = planted(3.0, members=3, heads=3)
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
    np.testing.assert_allclose(scores[noise], total[noise])
    table = universality.universality(measures(similarities), partners, member, layer, strata, permutations=1)
    for i in range(len(member)):
        own = [total[i, partners[i, other]] for other in range(3) if other != member[i]]
        np.testing.assert_allclose(table["score"][i], np.mean(own))
        assert table["beyond_noise"][i] == np.mean(np.array(own) > threshold)


def test_what_is_known_of_a_head_and_member_is_averaged_too():
    similarities, partners, member, layer, strata = planted(5.0)
    recovered = np.where(partners >= 0, np.arange(7.0), np.nan)
    recovered[0, 3] = np.nan
    table = universality.universality(
        measures(similarities) | {"transplant": recovered}, partners, member, layer, strata
    )
    np.testing.assert_allclose(table["transplant"][0], np.mean([1, 2, 4, 5, 6]))


def test_without_partners_nothing_is_said():
    similarities, _, member, layer, strata = planted(5.0)
    partners = np.full((len(member), 7), -1)
    table = universality.universality(measures(similarities), partners, member, layer, strata)
    assert (table["members"] == 0).all()
    assert table[["ov", "qk", "effects", "score", "beyond_noise", "p"]].isna().all(axis=None)
