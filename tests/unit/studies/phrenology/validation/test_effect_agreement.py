"""Agreement of effects: planted groups are found, groups of nothing are not, and all numbers equal plain loops."""

from math import comb

import numpy as np
import pytest

from headatlas.studies.phrenology.validation import effect_agreement


def planted(members=6, heads=4, size=300, strength=0.6, seed=0):
    """Effects (head, size) of heads whose groups share a direction, beside one that all heads share; a member's heads
    come in an order of its own."""
    rng = np.random.default_rng(seed)
    group = np.concatenate([rng.permutation(heads) for _ in range(members)])
    common, own = rng.normal(size=(heads, size)), rng.normal(size=(members * heads, size))
    effects = strength * common[group] + own + rng.normal(size=size)
    lengths = rng.uniform(0.1, 10, len(group))
    return effects * lengths[:, None], np.repeat(np.arange(members), heads), group


def test_cosines_are_those_of_the_vectors():
    effects, members, _ = planted(members=3, size=7)
    unit = effects / np.linalg.norm(effects, axis=1, keepdims=True)
    less = np.stack([row - unit[members != member].mean(0) for row, member in zip(unit, members, strict=True)])
    less /= np.linalg.norm(less, axis=1, keepdims=True)
    found = effect_agreement.residual_cosines(effects @ effects.T, members)
    np.testing.assert_allclose(found, less @ less.T, atol=1e-9)


def test_statistics_equal_plain_loops():
    effects, members, groups = planted(members=4, heads=5, size=9)
    groups = np.where(groups == 4, -1, groups // 2)  # two heads of a member in each group
    table = effect_agreement.agreement(effects @ effects.T, members, 0 * members, groups, permutations=10)
    assert table["group"].tolist() == [0, 1, -1]
    unit = effects / np.linalg.norm(effects, axis=1, keepdims=True)
    cosines = effect_agreement.residual_cosines(effects @ effects.T, members)
    for row in table.itertuples():
        chosen = np.flatnonzero(groups == row.group) if row.group >= 0 else np.flatnonzero(groups >= 0)
        pairs = [
            cosines[i, j]
            for i in chosen
            for j in chosen
            if i < j and groups[i] == groups[j] and members[i] != members[j]
        ]
        np.testing.assert_allclose(row.cosine, np.mean(pairs))
        missed = rest = 0.0
        for i in chosen:
            near = unit[(groups == groups[i]) & (members != members[i])].mean(0)
            missed += np.square(unit[i] - near).sum()
            rest += np.square(unit[i] - unit[members != members[i]].mean(0)).sum()
        np.testing.assert_allclose(row.r2, 1 - missed / rest)
        assert row.heads == len(chosen)
        assert row.members == 4


def test_planted_partners_are_found_and_others_not():
    effects, members, groups = planted(strength=0.8)
    products = effects @ effects.T
    table = effect_agreement.agreement(products, members, 0 * members, groups, permutations=200)
    assert (table["p"] <= 2 / 201).all()  # a permutation may be the arrangement itself
    assert table["p"].min() == 1 / 201
    assert (table["p_floor"] == 1 / 201).all()
    assert (table["p_holm"][:-1] <= 8 / 201).all()
    assert (table["r2"] > 0.05).all()
    assert (table["cosine"] > 3 * table["null_95"].abs()).all()
    rng = np.random.default_rng(1)
    dealt = np.concatenate([rng.permutation(4) for _ in range(6)])
    table = effect_agreement.agreement(products, members, 0 * members, dealt, permutations=200)
    assert (table["p_holm"][:-1] > 0.05).all()
    assert (table["r2"] < 0).all()


def test_effects_of_nothing_in_common_are_significant_as_often_as_chance_says():
    p_values = []
    for seed in range(40):
        effects, members, groups = planted(strength=0, seed=seed, size=50)
        found = effect_agreement.agreement(
            effects @ effects.T, members, 0 * members, groups, permutations=99, seed=seed
        )
        p_values += found["p"][:-1].tolist()
    assert 0.02 < np.mean(np.array(p_values) <= 0.05) < 0.09
    assert 0.4 < np.mean(p_values) < 0.6


def test_partners_are_tested_within_kinds():
    """Two kinds of two heads each: of each kind, the heads are dealt to partners at random."""
    effects, members, kinds = planted(members=9, heads=2, strength=1.0)
    noise = np.random.default_rng(3).normal(size=effects.shape) * np.linalg.norm(effects, axis=1, keepdims=True) / 20
    vectors = np.concatenate([effects, effects + noise])
    members, kinds = np.tile(members, 2), np.tile(kinds, 2)
    groups, rng = 2 * kinds + np.repeat([0, 1], 18), np.random.default_rng(0)
    for member in range(9):
        for kind in range(2):
            rows = np.flatnonzero((members == member) & (kinds == kind))
            groups[rows] = rng.permutation(groups[rows])
    products = vectors @ vectors.T
    free = effect_agreement.agreement(products, members, 0 * members, groups, permutations=200)
    within = effect_agreement.agreement(products, members, 0 * members, groups, kinds, permutations=200)
    assert (free["p_holm"][:-1] <= 0.05).all()
    assert (within["p_holm"][:-1] > 0.05).all()


def test_the_floor_is_that_of_the_arrangements_where_they_are_few():
    effects, members, groups = planted(members=2, heads=4)
    table = effect_agreement.agreement(effects @ effects.T, members, 0 * members, groups, permutations=500)
    assert (table["p_floor"][:-1] == 1 / comb(4, 1) ** 2).all()
    assert (table["p"][:-1] >= 0.8 * table["p_floor"][:-1]).all()
    alone = effect_agreement.agreement(effects @ effects.T, members, 0 * members, groups, groups, permutations=50)
    assert (alone["p_floor"][:-1] == 1).all()  # a kind of one head in each member: nothing to permute
    assert (alone["p"] == 1).all()


def test_a_group_of_one_member_is_not_asked():
    effects, members, groups = planted()
    groups = np.where((groups == 3) & (members > 0), -1, groups)
    table = effect_agreement.agreement(effects @ effects.T, members, 0 * members, groups, permutations=20).set_index(
        "group"
    )
    assert table.loc[3, ["cosine", "p", "p_floor", "p_holm", "r2"]].isna().all()
    assert table.drop(3)["p"].notna().all()


def test_the_order_of_heads_changes_nothing():
    effects, members, groups = planted()
    order = np.random.default_rng(5).permutation(len(members))
    one = effect_agreement.agreement(effects @ effects.T, members, 0 * members, groups, permutations=50)
    turned = effects[order]
    two = effect_agreement.agreement(turned @ turned.T, members[order], 0 * members, groups[order], permutations=50)
    np.testing.assert_allclose(one["cosine"], two["cosine"])
    np.testing.assert_allclose(one["r2"], two["r2"])


@pytest.mark.parametrize("seed", [0, 1])
def test_permutations_stay_within_their_stratum(seed):
    strata = np.array([0, 1, 0, 2, 1, 0])
    order = effect_agreement.permuted_within(strata, np.random.default_rng(seed))
    assert sorted(order) == list(range(6))
    assert (strata[order] == strata).all()
