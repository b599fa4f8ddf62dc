"""Kinds of heads: planted ones are found, however many heads of a member are of one kind, in any order of heads."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from headatlas.base.errors import InputError
from headatlas.studies.phrenology.correspondence import kinds


def planted(sizes, members=6, noise=0.3, seed=0):
    """Distances of heads around one centre per kind, so many of every member at each; members and kinds."""
    rng = np.random.default_rng(seed)
    kind = np.tile(np.repeat(np.arange(len(sizes)), sizes), members)
    points = 3 * np.eye(len(sizes), 20)[kind] + noise * rng.normal(size=(len(kind), 20))
    distances = np.sqrt(np.square(points[:, None] - points).sum(-1))
    return distances, np.repeat(np.arange(members), sum(sizes)), kind


@pytest.mark.parametrize("sizes", [(5, 3), (4, 3, 1), (2, 2, 2, 2)])
def test_planted_kinds_are_found_with_their_number(sizes):
    distances, members, kind = planted(sizes)
    found = kinds.find_kinds(distances, kinds.neighbours_of(members))
    assert adjusted_rand_score(found.labels, kind) == 1
    chosen = found.plateaus[found.plateaus["chosen"]]
    assert chosen["kinds"].tolist() == [len(sizes)]
    assert chosen["length"].item() == found.plateaus.loc[found.plateaus["kinds"].between(2, 24), "length"].max()


def test_numbers_of_kinds_that_rival_one_another_are_all_said():
    plateaus = pd.DataFrame({"kinds": [2, 3, 5, 8], "chosen": [False, True, False, False]})
    assert kinds.describe_count(plateaus.assign(rival=False)) == "3"
    assert kinds.describe_count(plateaus.assign(rival=[True, False, False, False])) == "2 or 3"
    assert kinds.describe_count(plateaus.assign(rival=[True, False, True, True])) == "2, 3, 5 or 8"


def test_plateaus_cover_the_resolutions_without_a_gap():
    distances, members, _ = planted((4, 3, 1), noise=1.5)
    found = kinds.find_kinds(distances, kinds.neighbours_of(members))
    table = found.plateaus
    assert (table["low"].iloc[0], table["high"].iloc[-1]) == (kinds.LOWEST, kinds.HIGHEST)
    np.testing.assert_allclose(table["high"][:-1], table["low"][1:])
    np.testing.assert_allclose(table["length"], np.log(table["high"] / table["low"]))
    assert (found.partitions.max(1) + 1 == table["kinds"]).all()
    rivals = table.loc[table["rival"], "length"]
    assert (rivals >= kinds.RIVAL * table["length"][table["chosen"]].item()).all()


def test_the_order_of_heads_changes_nothing():
    distances, members, _ = planted((4, 3, 1), noise=1.5, seed=3)
    found = kinds.find_kinds(distances, 7)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(members))
        again = kinds.find_kinds(distances[np.ix_(order, order)], 7)
        assert adjusted_rand_score(again.labels, found.labels[order]) == 1
        np.testing.assert_allclose(again.plateaus["length"], found.plateaus["length"])


def test_neighbours_grow_with_members_and_heads():
    assert kinds.neighbours_of(np.repeat(np.arange(9), 8)) == 8
    assert kinds.neighbours_of(np.repeat(np.arange(12), 3)) == 11
    assert kinds.neighbours_of(np.zeros(144)) == 12
    assert kinds.neighbours_of([0, 1, 2]) == 2


def test_too_few_heads_are_refused():
    with pytest.raises(InputError, match="2 heads; at least 3"):
        kinds.find_kinds(np.zeros((2, 2)), 1)
