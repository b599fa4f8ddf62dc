"""Names of groups: the planted score names, chance is obeyed, and what is chosen is measured elsewhere."""

import numpy as np
import pandas as pd
import pytest

from headatlas.base.errors import InputError
from headatlas.studies.phrenology.correspondence.names import above_chance, describe_groups, hedges_g


def heads_of(groups, members=6):
    """One head of every group in each member."""
    member, head = np.repeat(np.arange(members), groups), np.tile(np.arange(groups), members)
    return pd.DataFrame({"model": "m", "member": member, "layer": 0, "head": head, "group": head})


def scores_of(heads, means, chance=0.1, spread=0.02, seed=0):
    rng = np.random.default_rng(seed)
    identity = heads[["model", "member", "layer", "head"]]
    parts = []
    for score, mean in means.items():
        halves = [np.array(mean)[heads["group"]] + rng.normal(0, spread, len(heads)) for _ in range(2)]
        value = np.mean(halves, axis=0)
        parts.append(identity.assign(score=score, value=value, chance=chance, even=halves[0], odd=halves[1]))
    return pd.concat(parts, ignore_index=True)


def names(heads, scores):
    return describe_groups(heads, scores).groupby("group")["name"].first().to_dict()


def test_hedges_g_equals_the_formula_written_out():
    inside, outside = np.array([3.0, 4, 5]), np.array([1.0, 2, 2, 3])
    pooled = np.sqrt((2 * inside.var(ddof=1) + 3 * outside.var(ddof=1)) / 5)
    assert hedges_g(inside, outside) == pytest.approx((4 - 2) / pooled * (1 - 3 / (4 * 5 - 1)))
    assert hedges_g([1.0, 1], [0.0, 0]) == np.inf
    assert hedges_g([1.0, 1], [1.0, 1]) == 0
    assert np.isnan(hedges_g([1.0], []))


def test_groups_are_named_by_what_they_do_with_the_mean_that_was_measured():
    heads = heads_of(4)
    means = {
        "previous_token": [0.8, 0.2, 0.2, 0.25],
        "current_token": [0.1, 0.7, 0.7, 0.35],
        "entropy": [1.0, 0.3, 1.0, 0.8],
        "distance": [3.0, 3.0, 3.4, 3.1],
    }
    scores = scores_of(heads, means)
    table = describe_groups(heads, scores)
    found = names(heads, scores)
    assert found[0].startswith("previous token (0.8")
    assert found[1].startswith("current token (0.7")
    assert "sharp (0.3" in found[1]  # the second word tells it from the third group, which has the same first
    assert table.groupby("group")["rank"].apply(list).tolist() == [[1, 2, 3, 4]] * 4
    row = table[(table["group"] == 0) & (table["score"] == "previous_token")].iloc[0]
    own = (scores["score"] == "previous_token") & (scores["head"] == 0)
    assert row["mean"] == pytest.approx(scores["odd"][own].mean())
    assert row["effect"] == pytest.approx(
        hedges_g(scores["value"][own], scores["value"][(scores["score"] == "previous_token") & ~own])
    )


def test_what_lies_below_chance_names_nobody_however_far_it_is_from_the_others():
    """One-layer models: prefix matching .13 and induction .03 against others lower still, all below chance."""
    heads = heads_of(3)
    scores = scores_of(heads, {"prefix_matching": [0.133, 0.05, 0.05], "induction": [0.03, 0.01, 0.002]}, chance=0.186)
    table = describe_groups(heads, scores)
    assert (table["effect"].abs() > 0.8).any()
    assert set(table["name"]) == {"mixed"}
    assert not table["names"].any()


def test_what_takes_two_layers_is_said_of_no_head_of_the_first():
    """In one layer, a head that attends to all tokens but its own lies above the chance level of induction."""
    heads = heads_of(2)
    scores = scores_of(heads, {"induction": [0.5, 0.1]})
    assert names(heads, scores)[0] == "mixed"
    above, deep = heads.assign(layer=1), scores.assign(layer=1)
    assert names(above, deep)[0].startswith("induction (0.")


def test_low_is_said_only_where_all_others_are_above_chance():
    heads = heads_of(3)
    assert "low current token" in names(heads, scores_of(heads, {"current_token": [0.05, 0.6, 0.6]}))[0]
    assert names(heads, scores_of(heads, {"current_token": [0.01, 0.07, 0.07]}))[0] == "mixed"


def test_a_name_must_hold_on_the_samples_it_was_not_chosen_on():
    heads = heads_of(3)
    scores = scores_of(heads, {"current_token": [0.9, 0.3, 0.3]})
    assert names(heads, scores)[0].startswith("current token")
    elsewhere = scores.assign(odd=np.random.default_rng(1).normal(0.5, 0.2, len(scores)))
    assert names(heads, elsewhere)[0] == "mixed"


def test_above_chance_is_a_statement_about_members():
    many = np.repeat([0.12, 0.09, 0.1, 0.11], 50)  # two hundred heads of four members
    networks = np.repeat(np.arange(4), 50)
    assert not above_chance(many, networks, np.full(200, 0.1))
    assert above_chance(many, networks, np.full(200, 0.05))


def test_heads_of_no_group_count_among_the_others_and_missing_scores_do_not():
    heads = heads_of(3).assign(group=lambda table: np.where(table["head"] == 2, -1, table["head"]))
    scores = scores_of(heads_of(3), {"current_token": [0.7, 0.2, 0.2]})
    assert set(describe_groups(heads, scores)["group"]) == {0, 1}
    none = describe_groups(heads.assign(group=-1), scores)
    assert none.empty
    extra = scores.assign(score="entropy", value=np.nan)
    assert "entropy" not in set(describe_groups(heads, pd.concat([scores, extra]))["score"])
    with pytest.raises(InputError, match="none belongs"):
        describe_groups(heads, scores.assign(member=99))
