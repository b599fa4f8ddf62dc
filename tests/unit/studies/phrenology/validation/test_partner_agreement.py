"""Agreement of matchings: planted, at chance, and against plain loops."""

import numpy as np

from headatlas.studies.phrenology.validation import partner_agreement


def families(members=7, heads=6, seed=0):
    """Members of heads, the true group of every head, and the heads' kinds (two for each member)."""
    rng = np.random.default_rng(seed)
    group = np.concatenate([rng.permutation(heads) for _ in range(members)])
    return np.repeat(np.arange(members), heads), group, group % 2


def mistaken(groups, members, share, rng, strata=None):
    """Groups in which a share of the members' heads are dealt anew, within strata if given."""
    found = groups.copy()
    for member in np.unique(members):
        if rng.random() < share:
            for stratum in np.unique(strata) if strata is not None else [None]:
                inside = members == member
                rows = np.flatnonzero(inside if stratum is None else inside & (strata == stratum))
                found[rows] = rng.permutation(found[rows])
    return found


def strata_of(members, kinds):
    return members * 10 + kinds


def test_partners_are_the_heads_of_a_group():
    members, groups, _ = families(3, 2)
    partners = partner_agreement.partners_of(groups, members)
    for head in range(6):
        for member in range(3):
            same = np.flatnonzero((members == member) & (groups == groups[head]))
            assert partners[head, member] == (-1 if member == members[head] else same[0])
    assert (partner_agreement.partners_of(np.full(6, -1), members) == -1).all()


def test_shares_equal_plain_loops():
    members, groups, kinds = families(4, 3)
    other = mistaken(groups, members, 1.0, np.random.default_rng(0))
    named = {"a": partner_agreement.partners_of(groups, members), "b": partner_agreement.partners_of(other, members)}
    named["a"][0, 1] = -1
    (row,) = partner_agreement.agreement(named, members, strata_of(members, kinds), permutations=5).itertuples()
    same = [
        named["a"][head, member] == named["b"][head, member]
        for head in range(12)
        for member in range(4)
        if min(named["a"][head, member], named["b"][head, member]) >= 0
    ]
    assert len(same) == 12 * 3 - 1
    np.testing.assert_allclose(row.share, np.mean(same))


def test_relabelling_heads_of_both_changes_nothing():
    members, groups, _ = families()
    rng = np.random.default_rng(0)
    order = rng.permutation(len(members))
    for of in (groups, mistaken(groups, members, 1.0, rng)):
        there = np.empty_like(of)
        there[order] = of  # head i is called order[i]
        renamed = np.empty_like(members)
        renamed[order] = members
        expected = partner_agreement.partners_of(there, renamed)
        found = partner_agreement._relabelled(partner_agreement.partners_of(of, members), order)
        assert (found == expected).all()


def test_planted_agreement_is_found_beyond_kinds():
    members, groups, kinds = families(9, 8)
    rng = np.random.default_rng(1)
    named = {
        "a": groups,
        "b": mistaken(groups, members, 0.4, rng),
        "kinds alone": mistaken(groups, members, 1.0, rng, kinds),
    }
    named = {name: partner_agreement.partners_of(of, members) for name, of in named.items()}
    found = partner_agreement.agreement(named, members, strata_of(members, kinds), permutations=200)
    found = found.set_index(["first", "second"])
    real, chance = found.loc[("a", "b")], found.loc[("a", "kinds alone")]
    assert real["share"] > 0.3
    assert real["p"] == 1 / 201
    assert real["low"] < real["share"] < real["high"]
    assert abs(chance["chance"] - 0.25) < 0.02  # eight heads of two kinds
    assert chance["p"] > 0.05
    assert abs(chance["share"] - chance["chance"]) < 0.1
    itself = partner_agreement.agreement({"a": named["a"], "b": named["a"]}, members, strata_of(members, kinds), 20)
    assert itself.loc[0, ["share", "low", "high"]].tolist() == [1, 1, 1]


def test_without_partners_there_is_nothing_to_agree_on():
    members, groups, kinds = families()
    named = {"a": partner_agreement.partners_of(groups, members), "b": np.full((len(groups), 7), -1)}
    found = partner_agreement.agreement(named, members, strata_of(members, kinds), permutations=5)
    assert found.empty
    assert "chance_95" in found


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Pairs of members whose value is the sum of what either brings: the mean is known."""
    rng, covered = np.random.default_rng(0), 0
    for seed in range(100):
        own = rng.normal(size=10)
        low, high = partner_agreement.resampled_members(own[:, None] + own, np.ones((10, 10)), 500, seed)
        covered += low < 0 < high
    assert 82 <= covered <= 99
    assert np.isnan(partner_agreement.resampled_members(np.ones((2, 2)), np.ones((2, 2)))).all()
