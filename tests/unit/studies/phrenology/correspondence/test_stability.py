"""Stability against sets and loops, on groups that are plain and on groups that one member or some prompts make."""

import numpy as np
import pandas as pd
import pytest

from headatlas.base.errors import InputError
from headatlas.studies.phrenology.correspondence import kinds, stability


def apart(points):
    return np.sqrt(np.square(points[..., :, None, :] - points[..., None, :, :]).sum(-1))


def find(distances, rows):
    return kinds.find_kinds(distances, 5, steps=20, starts=1).labels


def test_jaccard_equals_sets():
    rng = np.random.default_rng(1)
    labels, resampled = rng.integers(0, 4, 30), rng.integers(-1, 5, (6, 30))
    labels[:3] = -1
    found = stability.jaccard(labels, resampled)
    for i, other in enumerate(resampled):
        present = set(np.flatnonzero(other >= 0))
        for group in range(4):
            own = set(np.flatnonzero(labels == group)) & present
            theirs = [set(np.flatnonzero(other == g)) for g in range(5)]
            assert found[i, group] == pytest.approx(max(len(own & t) / len(own | t) for t in theirs))


def test_plain_groups_are_found_again_under_both_resamplings():
    rng = np.random.default_rng(2)
    members, kind = np.repeat(np.arange(5), 6), np.tile([0, 0, 0, 0, 1, 1], 5)
    parts = apart(4 * np.eye(2, 5)[kind] + 0.3 * rng.normal(size=(8, 30, 5)))
    resampled = stability.resample(find, parts, members, halvings=4)
    assert (resampled.prompts.shape, resampled.members.shape) == ((8, 30), (5, 30))
    assert ((resampled.members == -1) == (np.arange(5)[:, None] == members)).all()
    table = stability.stability_table("kind", kind, resampled, members)
    assert table["jaccard"].tolist() == [1.0] * 4
    assert table["heads"].tolist() == [20, 20, 10, 10]
    assert table["resampling"].tolist() == ["prompts", "members"] * 2
    agreement = stability.agreement_table("kind", kind, resampled)
    assert agreement["ari"].tolist() == [1, 1]
    assert agreement["resamples"].tolist() == [4, 5]
    np.testing.assert_array_equal(stability.together(resampled.prompts), kind[:, None] == kind)


def test_what_is_the_prompts_own_is_not_found_on_others():
    rng = np.random.default_rng(3)
    members = np.repeat(np.arange(5), 6)
    parts = apart(rng.normal(size=(8, 30, 20)))  # every part places all heads anew
    labels = find(parts.mean(0), None)
    resampled = stability.resample(find, parts, members, halvings=6)
    table = stability.stability_table("kind", labels, resampled, members)
    assert (table.loc[table["resampling"] == "prompts", "jaccard"] < stability.STABLE).all()
    assert stability.agreement_table("kind", labels, resampled)["ari"][0] < 0.3


def test_a_group_that_one_member_makes_is_lost_without_it():
    members, kind = np.repeat(np.arange(4), 6), np.zeros(24, dtype=int)
    kind[18:] = 1  # all heads of the last member

    def by_kind(distances, rows):  # one that needs six heads of a kind, else takes all for one
        return np.where(np.bincount(kind[rows], minlength=2)[1] < 6, 0, kind[rows])

    resampled = stability.resample(by_kind, np.zeros((2, 24, 24)), members, halvings=1)
    found = stability.jaccard(kind, resampled.members)
    assert np.isnan(found[3, 1])
    assert (found[:3, 1] == 1).all()


def test_two_members_cannot_be_left_out_one_at_a_time():
    resampled = stability.resample(
        lambda distances, rows: rows % 2, np.zeros((2, 8, 8)), np.repeat([0, 1], 4), halvings=1
    )
    assert len(resampled.members) == 0
    table = stability.stability_table("kind", np.arange(8) % 2, resampled, np.repeat([0, 1], 4))
    assert table.loc[table["resampling"] == "members", "jaccard"].isna().all()


def test_one_part_cannot_be_halved():
    with pytest.raises(InputError, match="cannot be halved"):
        stability.resample(find, np.zeros((1, 4, 4)), [0, 0, 1, 1], halvings=2)


def test_a_consensus_has_a_row_for_each_head_and_kind_of_group():
    heads = pd.DataFrame({"model": ["a", "b"], "head": [3, 4]})
    shared = {"kind": np.array([[0.0, 1.0], [2.0, 3.0]]), "partner": np.array([[4.0, 5.0], [6.0, 7.0]])}
    table = stability.consensus_table(heads, shared)
    assert list(table["what"]) == ["kind", "kind", "partner", "partner"]
    assert list(table["model"]) == ["a", "b", "a", "b"]
    assert list(table["head"]) == [3, 4, 3, 4]
    assert table["together"].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
