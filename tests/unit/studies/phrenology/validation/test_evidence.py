"""The verdict, with every number that it rests on, and what is said of it."""

import numpy as np
import pandas as pd
import pytest

from headatlas.studies.phrenology.correspondence.partners import finder, match_partners
from headatlas.studies.phrenology.correspondence.stability import resample, stability_table
from headatlas.studies.phrenology.validation import evidence, findings
from planted import unrelated_heads


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


def family(strength, members=7, heads=6, size=200, seed=0, group=None):
    """All that `weigh` asks for: heads whose groups are alike by every measure as far as `strength` says."""
    rng = np.random.default_rng(seed)
    group = np.concatenate([rng.permutation(heads) for _ in range(members)]) if group is None else group
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
    costs = table.assign(ablation=0.5, ablation_error=0.01)
    receiver, donor = np.nonzero(member[:, None] != member)
    recovered = 0.5 * np.where(group[receiver] == group[donor], 0.3 * strength, 0) + rng.normal(0, 0.02, len(donor))
    pairs = {"receiver": receiver, "donor": donor, "recovered": recovered, "recovered_equal_norm": recovered - 0.1}
    effects = {name: (found := vectors()) @ found.T for name in evidence.ABLATIONS}
    circuits = {name: cosines(vectors()) for name in ("ov", "qk")}
    found = pd.concat([stability(range(2), "kind"), stability(range(heads), "partner")])
    return table, 1 - attention, effects, circuits, (costs, pd.DataFrame(pairs)), found, match_partners


def test_planted_partners_are_supported_by_all_the_evidence():
    found = evidence.weigh(*family(1.0), permutations=199)
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
    assert (
        "**By weights and effects, partners are alike beyond what other heads of their group by the plateau are.**"
        in words
    )
    assert "Most universal: toy member" in words
    assert "by Holm p ≤ 0.03" in words  # six groups of partners at one in 200


def test_unrelated_networks_support_nothing():
    found = evidence.weigh(*family(0.0), permutations=199)
    assert not found["evidence"]["supported"].any()
    assert found["universality"]["beyond_noise"].mean() < 0.2
    assert "is not beyond chance" in found["findings"]
    assert "__By weights and effects, partners are alike beyond what other heads" in found["findings"]
    assert "Most universal" not in found["findings"]
    assert "**" not in found["findings"]
    assert "__0 of 6 groups of partners are supported__" in found["findings"]


def weighed_attention(points, group, strength, seed=0):
    """All the evidence for heads with these patterns, as points (head, coordinate), on parts of the prompts.

    Partners and their stability are found in them; effects, circuits and transplants are alike by `group`.
    """
    rng, members = np.random.default_rng(seed), len(points) // 6
    table, _, effects, circuits, (costs, pairs), _, match = family(strength, members, seed=seed, group=group)
    parts = np.stack([points + 0.05 * rng.normal(size=points.shape) for _ in range(8)])
    parts = np.sqrt(np.square(parts[:, :, None] - parts[:, None]).sum(-1))
    member, layer = table["member"].to_numpy(), table["layer"].to_numpy()
    find = finder(member, layer)
    table["group"], table["kind"] = find(parts.mean(0), np.arange(len(points))), 0
    resampled = resample(find, parts, member, halvings=4)
    found = stability_table("partner", table["group"], resampled, member)
    found = pd.concat([found, stability([0], "candidate")])
    given = (table, parts.mean(0), effects, circuits, (costs, pairs), found, match)
    return evidence.weigh(*given, permutations=199, seed=seed)


def test_perfect_partners_in_one_dimension_are_supported():
    """A null that deals interactions anew gives them a p of .36 to .91."""
    rng = np.random.default_rng(0)
    group = np.concatenate([rng.permutation(6) for _ in range(9)])
    weighed = weighed_attention(group[:, None] / 2, group, 1.0)
    partners = weighed["evidence"].query("what == 'partner'")
    assert partners["supported"].all()
    assert (weighed["agreement"]["p"] == 1 / 200).all()
    assert "**6 of 6 groups of partners are supported**" in weighed["findings"]


def test_unrelated_members_whose_heads_exclude_one_another_support_nothing():
    said = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        heads = unrelated_heads(rng, exclude=True, heads=6)
        group = np.concatenate([rng.permutation(6) for _ in range(9)])
        weighed = weighed_attention(heads, group, 0.0, seed)
        assert not weighed["evidence"]["supported"].any()
        said += "**" in weighed["findings"]
    assert said <= 1  # of two statements, each of which one family in twenty may allow


def test_kinds_without_partners_make_no_head_universal():
    """Heads alike by their kind in every respect: more than noise, and no partner is more than another of the kind."""
    table, distances, effects, circuits, (costs, pairs), found, match = family(0.0)
    rng, kind = np.random.default_rng(1), table["kind"].to_numpy()

    def cosines():
        vectors = rng.normal(size=(2, 200))[kind] + rng.normal(size=(len(table), 200))
        return vectors @ vectors.T / 400

    circuits, effects = {name: cosines() for name in circuits}, {name: cosines() for name in effects}
    table["group"] = table["kind"] + 2 * table.groupby(["member", "kind"]).cumcount()  # any matching within kinds
    weighed = evidence.weigh(table, distances, effects, circuits, (costs, pairs), found, match, permutations=199)
    assert weighed["universality"]["beyond_noise"].mean() > 0.09  # "chance 5%"
    assert weighed["universality"]["p"][0] > 0.05
    assert "Most universal" not in weighed["findings"]


@pytest.mark.parametrize(
    ("share", "low", "high", "said"),
    [
        (0.95, 0.92, 0.98, "correspond and are interchangeable"),
        (0.95, 0.85, 1.05, "correspond."),
        (0.3, 0.2, 0.4, "correspond and are not interchangeable"),
        (0.3, np.nan, np.nan, "correspond."),
    ],
)
def test_heads_are_called_interchangeable_or_not_as_far_as_the_interval_says(share, low, high, said):
    sources = ("partner", "kind", "others", "other layer", "partner less others", "partner best")
    table = pd.DataFrame([{"norm": n, "source": s} for n in ("as mapped", "equal norm") for s in sources])
    table = table.assign(share=share, low=low, high=high, chance=0.1, rank=1.0, rank_chance=4.5, p=0.005)
    words = "".join(findings._transplants(table.assign(permutations=199), 9))
    assert f"**Heads of independently trained networks {said}" in words
    assert "nan" not in words
    less = table["source"] == "partner less others"
    words = "".join(findings._transplants(table.assign(permutations=199, p=np.where(less, 0.2, np.nan)), 9))
    assert words.startswith("__That a head's partner replaces it better")


def test_weights_that_are_not_known_are_left_out():
    given = list(family(1.0))
    given[3] = {name: np.full_like(cosines, np.nan) for name, cosines in given[3].items()}
    found = evidence.weigh(*given, permutations=19)
    assert found["agreement"][["first", "second"]].to_numpy().tolist() == [["attention", "effects"]]
    assert found["universality"]["beyond_noise"].notna().all()


def test_one_network_is_not_asked():
    table, distances, effects, circuits, (costs, pairs), found, match = family(1.0)
    one = slice(0, 6)
    given = [table[one].assign(group=-1), distances[one, one], {name: m[one, one] for name, m in effects.items()}]
    given += [{name: m[one, one] for name, m in circuits.items()}, (costs[one], pairs[:0])]
    weighed = evidence.weigh(*given, found[found["what"] == "kind"], match, permutations=19)
    assert "cannot be asked" in weighed["findings"]
    assert not weighed["evidence"]["supported"].any()
    assert weighed["universality"]["score"].isna().all()


def test_where_r2_is_negative_effects_are_weakly_similar():
    def said(r2, what="partner"):
        table = evidence.evidence(stability([0], what), effects([0], what, r2=r2), shares([0]))
        return "".join(findings._verdicts(table))

    assert "its heads' effects are weakly similar: cosine 0.200" in said(-0.02)
    assert "its heads' effects are similar: cosine 0.200" in said(0.02)
    assert "so these are no kinds" in said(0.02, "candidate")
    assert "partners recover 30% of the loss" in said(0.02)
