"""Partners: against every possible matching, on planted counterparts, on copies, and in any order."""

from itertools import permutations, product

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from headatlas.base.errors import InputError
from headatlas.studies.phrenology.correspondence import partners


def apart(points):
    return np.sqrt(np.square(points[:, None] - points).sum(-1))


def members_of(members, heads):
    return np.repeat(np.arange(members), heads), np.zeros(members * heads, dtype=int)


def cost(distances, groups):
    same = groups[:, None] == groups
    return (distances * same).sum() / 2


def test_no_matching_of_all_members_is_better():
    for seed in range(10):
        distances = apart(np.random.default_rng(seed).normal(size=(12, 2)))
        best = min(
            cost(distances, np.concatenate([np.arange(3), *orders]))
            for orders in product(map(np.array, permutations(range(3))), repeat=3)
        )
        found = partners.match_partners(distances, *members_of(4, 3))
        assert cost(distances, found) == pytest.approx(best)
        assert (np.sort(found.reshape(4, 3)) == np.arange(3)).all()


def test_perfect_partners_on_one_axis_are_found():
    rng = np.random.default_rng(0)
    truth = np.concatenate([rng.permutation(8) for _ in range(9)])
    distances = apart((truth + 0.1 * rng.normal(size=72))[:, None])
    assert adjusted_rand_score(partners.match_partners(distances, *members_of(9, 8)), truth) == 1


def test_layers_are_matched_apart_and_numbered_one_after_the_other():
    rng = np.random.default_rng(1)
    members, layers = np.repeat(np.arange(3), 8), np.tile(np.repeat([0, 1], 4), 3)
    truth = np.concatenate([[*rng.permutation(4), *rng.permutation(4)] for _ in range(3)])
    distances = apart(truth[:, None] + 0.01 * rng.normal(size=(24, 1)))  # heads of both layers lie on one another
    found = partners.match_partners(distances, members, layers)
    assert adjusted_rand_score(found, truth + 4 * layers) == 1
    assert (found // 4 == layers).all()


def test_a_copy_of_a_member_is_its_perfect_partner():
    one = np.random.default_rng(2).normal(size=(8, 5))
    distances = apart(np.concatenate([one, one]))
    members, layers = members_of(2, 8)
    groups = partners.match_partners(distances, members, layers)
    np.testing.assert_array_equal(groups[:8], groups[8:])
    tie, swap, away = partners.nearest_swaps(distances[None], groups, members)
    assert (away == 0).all()
    assert (tie == -1).all()
    assert (swap > 0).all()


def test_the_order_of_members_and_heads_changes_nothing():
    rng = np.random.default_rng(3)
    distances, (members, layers) = apart(rng.normal(size=(40, 3))), members_of(5, 8)
    groups = partners.match_partners(distances, members, layers)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(40)
        again = partners.match_partners(distances[np.ix_(order, order)], members[order], layers)
        np.testing.assert_array_equal(again, groups[order])
        names = np.random.default_rng(seed).permutation(5)[members]  # another member comes first
        again = partners.match_partners(distances[np.ix_(order, order)], names[order], layers)
        np.testing.assert_array_equal(again, groups[order])


def test_one_member_or_unlike_members_have_no_partners():
    distances = apart(np.random.default_rng(4).normal(size=(6, 2)))
    for members in ([0] * 6, [0, 0, 0, 0, 1, 1]):
        assert (partners.match_partners(distances, members, [0] * 6) == -1).all()
    with pytest.raises(InputError, match="5 heads have a member, 6 have distances"):
        partners.match_partners(distances, [0] * 5, [0] * 5)


def test_two_heads_of_a_member_in_one_place_are_a_tie():
    rng = np.random.default_rng(5)
    members, layers = members_of(4, 3)
    centre = np.tile([0.0, 0.0, 5.0], 4)  # the first two heads of every member are the same
    parts = np.array([apart(centre[:, None] + 0.1 * rng.normal(size=(12, 1))) for _ in range(20)])
    groups = partners.match_partners(parts.mean(0), members, layers)
    tie, swap, _ = partners.nearest_swaps(parts, groups, members)
    third = centre > 0
    assert (tie[third] == -1).all()
    assert (swap[third] > 1).all()
    assert (tie[~third] >= 0).mean() > 0.5


def test_consensus_is_what_most_matchings_share():
    rng = np.random.default_rng(6)
    members, layers = members_of(5, 4)
    truth = np.concatenate([rng.permutation(4) for _ in range(5)])
    resampled = np.array([truth] * 6 + [np.concatenate([rng.permutation(4) for _ in range(5)]) for _ in range(4)])
    groups, together = partners.consensus_partners(resampled, np.ones((20, 20)), members, layers)
    assert adjusted_rand_score(groups, truth) == 1
    assert together[0, 5] == pytest.approx((resampled[:, 0] == resampled[:, 5]).mean())
