"""Agreement of matchings: planted, at chance, and against plain loops."""

import numpy as np
import pytest
from scipy import stats

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
        found = partner_agreement.relabelled(partner_agreement.partners_of(of, members), order)
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


@pytest.mark.parametrize("members", [3, 5, 9])
@pytest.mark.parametrize("alone", [0.0, 2.0], ids=["members alone", "pairs too"])
def test_the_interval_covers_the_truth_as_often_as_it_says(members, alone):
    """Pairs whose value is the sum of what either member brings, and of something of their own: the mean is known."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(200):
        own = rng.normal(size=members)
        pairs = own[:, None] + own + alone * rng.normal(size=(members, members))
        low, high = partner_agreement.over_members(pairs, np.ones_like(pairs))
        covered += low < 0 < high
    assert covered >= 182  # drawn with replacement: 98 of three members, 170 of nine


def test_an_interval_takes_three_members_and_stays_where_a_share_can_be():
    assert np.isnan(partner_agreement.over_members(np.ones((2, 2)), np.ones((2, 2)))).all()
    shares = np.array([[0, 1, 1], [1, 0, 0.2], [1, 0.2, 0]])
    assert partner_agreement.over_members(shares, np.ones((3, 3)))[1] > 1
    low, high = partner_agreement.over_members(shares, np.ones((3, 3)), within=(0, 1))
    assert (low, high) == (0, 1)


def test_left_out_members_are_those_of_a_plain_loop():
    rng = np.random.default_rng(3)
    parts, wholes = rng.normal(size=(5, 5)), rng.uniform(1, 2, (5, 5))

    def ratio(kept):
        pairs = [(i, j) for i in kept for j in kept if i != j]
        return sum(parts[pair] for pair in pairs) / sum(wholes[pair] for pair in pairs)

    left = np.array([ratio([i for i in range(5) if i != out]) for out in range(5)])
    error = np.sqrt(4 / 5 * np.square(left - left.mean()).sum())
    expected = ratio(range(5)) + stats.t.ppf(0.975, 4) * error * np.array([-1, 1])
    np.testing.assert_allclose(partner_agreement.over_members(parts, wholes), expected)
