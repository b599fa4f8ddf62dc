"""The verdict, with every number that it rests on, and what is said of it."""

import numpy as np
import pandas as pd
import pytest

from headatlas.studies.phrenology.correspondence.partners import match_partners
from headatlas.studies.phrenology.validation import evidence, findings


def stability(groups, what, prompts=0.9, members=0.9):
    rows = [
        (what, group, 9, 9, name, value, value - 0.1, min(1, value + 0.05))
        for group in groups
        for name, value in (("prompts", prompts), ("members", members))
    ]
    return pd.DataFrame(rows, columns=["what", "group", "heads", "members", "resampling", "jaccard", "low", "high"])


def effects(groups, what, p_holm=0.01, r2=0.1):
    rows = [
        {
            "what": what, "ablation": ablation, "group": group, "cosine": 0.2, "null_mean": 0.01, "null_95": 0.05,
            "r2": r2, "p": p_holm / 2, "p_floor": 0.001, "p_holm": np.nan if group < 0 else p_holm, "permutations": 999,
        }
        for ablation in evidence.ABLATIONS
        for group in [*groups, -1]
    ]  # fmt: skip
    return pd.DataFrame(rows)


def shares(groups):
    return pd.DataFrame({"group": list(groups), "share": 0.3, "low": 0.2, "high": 0.4})


@pytest.mark.parametrize(
    ("prompts", "members", "p_holm", "what", "supported"),
    [
        (0.75, 0.75, 0.05, "partner", True),
        (0.749, 0.9, 0.01, "partner", False),
        (0.9, 0.749, 0.01, "kind", False),
        (0.9, 0.9, 0.051, "kind", False),
        (0.9, np.nan, 0.01, "kind", False),
        (0.9, 0.9, np.nan, "partner", False),
        (0.9, 0.9, 0.01, "kind", True),
        (0.9, 0.9, 0.01, "candidate", False),
    ],
)
def test_supported_is_stable_and_alike(prompts, members, p_holm, what, supported):
    table = evidence.evidence(stability([0], what, prompts, members), effects([0], what, p_holm), shares([0]))
    assert table["supported"].tolist() == [supported]
    assert table.loc[0, "jaccard_prompts"] == prompts
    assert table.loc[0, "cosine_zero"] == 0.2
    assert table.loc[0, "transplant"] == 0.3 or what != "partner"


def test_every_group_has_a_row_and_all_numbers():
    of_all = [stability([0, 1], "kind"), stability([0, 1, 2], "partner", members=0.5)]
    tests = [effects([0, 1], "kind"), effects([0, 1, 2], "partner")]
    table = evidence.evidence(pd.concat(of_all), pd.concat(tests), shares([0, 1, 2]))
    assert table[["what", "group"]].to_numpy().tolist() == [
        ["kind", 0],
        ["kind", 1],
        *(["partner", i] for i in range(3)),
    ]
    assert table["supported"].tolist() == [True, True, False, False, False]
    assert table["transplant"].isna().tolist() == [True, True, False, False, False]
    assert table.drop(columns=["transplant", "transplant_low", "transplant_high"]).notna().all(axis=None)


def family(strength, members=7, heads=6, size=200, seed=0):
    """All that `weigh` asks for: heads whose groups are alike by every measure as far as `strength` says."""
    rng = np.random.default_rng(seed)
    group = np.concatenate([rng.permutation(heads) for _ in range(members)])
    member = np.repeat(np.arange(members), heads)
    rows = {"model": "toy", "member": member, "layer": 0, "head": np.tile(np.arange(heads), members)}
    table = pd.DataFrame(rows).assign(kind=group % 2)

    def vectors():
        return strength * rng.normal(size=(heads, size))[group] + rng.normal(size=(len(group), size))

    def cosines(found):
        found = found / np.linalg.norm(found, axis=1, keepdims=True)
        return found @ found.T

    attention = cosines(vectors())
    table["group"] = match_partners(1 - attention, member, table["layer"])
    worth = table.assign(ablation=0.5, ablation_error=0.01)
    receiver, donor = np.nonzero(member[:, None] != member)
    recovered = 0.5 * np.where(group[receiver] == group[donor], 0.3 * strength, 0) + rng.normal(0, 0.02, len(donor))
    pairs = {"receiver": receiver, "donor": donor, "recovered": recovered, "recovered_equal_norm": recovered - 0.1}
    effects = {name: (found := vectors()) @ found.T for name in evidence.ABLATIONS}
    circuits = {name: cosines(vectors()) for name in ("ov", "qk")}
    found = pd.concat([stability(range(2), "kind"), stability(range(heads), "partner")])
    return table, 1 - attention, effects, circuits, (worth, pd.DataFrame(pairs)), found, match_partners


def test_planted_partners_are_supported_by_all_the_evidence():
    found = evidence.weigh(*family(1.0), permutations=199, draws=200)
    partners = found["evidence"][found["evidence"]["what"] == "partner"]
    assert partners["supported"].all()
    assert (partners["p"] >= 1 / 200).all()
    assert found["agreement"]["share"].min() > 0.9
    assert found["universality"]["beyond_noise"].mean() > 0.95
    share = found["shares"].set_index(["norm", "source"]).loc[("as mapped", "partner"), "share"]
    assert abs(share - 0.3) < 0.02
    words = found["findings"]
    assert "**Heads of independently trained networks correspond and are not interchangeable.**" in words
    assert "**6 of 6 groups of partners are supported**" in words
    assert "a little alike" not in words
    assert "p ≤ 0.005 (199 permutations)" in words


def test_unrelated_networks_support_nothing():
    found = evidence.weigh(*family(0.0), permutations=199, draws=200)
    assert not found["evidence"]["supported"].any()
    assert found["universality"]["beyond_noise"].mean() < 0.2
    assert "is not beyond chance" in found["findings"]
    assert "**0 of 6 groups of partners are supported**" in found["findings"]


def test_weights_that_are_not_known_are_left_out():
    given = list(family(1.0))
    given[3] = {name: np.full_like(cosines, np.nan) for name, cosines in given[3].items()}
    found = evidence.weigh(*given, permutations=19, draws=50)
    assert found["agreement"][["first", "second"]].to_numpy().tolist() == [["attention", "effects"]]
    assert found["universality"]["beyond_noise"].notna().all()


def test_one_network_is_not_asked():
    table, distances, effects, circuits, (worth, pairs), found, match = family(1.0)
    one = slice(0, 6)
    given = [table[one].assign(group=-1), distances[one, one], {name: m[one, one] for name, m in effects.items()}]
    given += [{name: m[one, one] for name, m in circuits.items()}, (worth[one], pairs[:0])]
    weighed = evidence.weigh(*given, found[found["what"] == "kind"], match, permutations=19, draws=50)
    assert "cannot be asked" in weighed["findings"]
    assert not weighed["evidence"]["supported"].any()
    assert weighed["universality"]["score"].isna().all()


def test_where_r2_is_negative_heads_do_a_little_alike():
    def said(r2, what="partner"):
        table = evidence.evidence(stability([0], what), effects([0], what, r2=r2), shares([0]))
        return "".join(findings._verdicts(table))

    assert "its heads do a little alike: cosine 0.200" in said(-0.02)
    assert "its heads do alike: cosine 0.200" in said(0.02)
    assert "so these are no kinds" in said(0.02, "candidate")
    assert "partners recover 30% of the loss" in said(0.02)
