"""What was found, in words: the answer comes first, with p and rivals, and nothing is claimed of a continuum."""

import numpy as np
import pandas as pd

from headatlas.studies.phrenology.correspondence import findings

PLATEAUS = pd.DataFrame(
    {
        "kinds": [1, 2, 3, 4],
        "length": np.log([1.5, 5.0, 4.0, 1.2]),
        "chosen": [False, True, False, False],
        "rival": [False, False, True, False],
    }
)
FACTS = {"are_kinds": True, "p": 0.005, "continua": 199, "axis_share_within": 0.3, "axis_p": 0.005}
CONTINUUM = {**FACTS, "are_kinds": False, "p": 0.4}
HEADS = pd.DataFrame({"model": "toy", "kind": [0, 0, 1]})
NAMES = pd.DataFrame({"what": ["kind", "kind"], "group": [0, 1], "name": ["current token (0.70)", "mixed"]})


def measured(what):
    rows = [(what, group, 9, 9, resampling, 0.9, 0.8, 1.0) for group in (0, 1) for resampling in ("prompts", "members")]
    columns = ["what", "group", "heads", "members", "resampling", "jaccard", "low", "high"]
    agreement = pd.DataFrame({"what": what, "resampling": ["prompts", "members"], "ari": 0.85, "low": 0.7, "high": 1.0})
    return pd.DataFrame(rows, columns=columns), agreement


def test_kinds_come_with_their_plateau_rivals_and_the_floor_of_p():
    first, *others = findings.kinds_sentences(FACTS, HEADS, PLATEAUS, *measured("kind"), NAMES)
    assert first.startswith(
        "**Heads come in 2 or 3 kinds.** 2 groups last longest, over a factor of 5.00 in resolution"
    )
    assert "nearly as long last 3 (a factor of 4.00)" in first
    assert "p ≤ 0.005 (199 continua)" in first
    assert "Kind 0, current token (0.70): 9 heads in 9 members" in others[0]
    assert "0.85 (95% 0.70 to 1.00)" in others[-1]


def test_the_headline_counts_kinds_as_far_as_they_can_be_counted():
    def headline(*rival):
        plateaus = PLATEAUS.assign(rival=[number in rival for number in PLATEAUS["kinds"]])
        return findings.kinds_sentences(FACTS, HEADS, plateaus, *measured("kind"), NAMES)[0].split("** ")[0]

    assert headline() == "**Heads come in 2 kinds."
    assert headline(3, 4) == "**Heads come in 2, 3 or 4 kinds."


def test_groups_that_are_the_models_themselves_are_no_kinds_of_heads():
    def first(models):
        heads = pd.DataFrame({"model": list(models), "kind": [0, 0, 1, 1]})
        return findings.kinds_sentences(FACTS, heads, PLATEAUS, *measured("kind"), NAMES)[0]

    assert first("aabb").startswith("__No kind of heads is shared by the models compared.__ 2 groups last longest")
    assert "Each group holds heads of one model alone" in first("aabb")
    for models in ("abab", "abbb", "aaaa"):  # shared, one of them shared, a single model
        assert first(models).startswith("**Heads come in 2 or 3 kinds.**")
        assert "one model alone" not in first(models)


def test_a_coordinate_is_shared_only_beyond_members_turned_at_random():
    def said(p):
        facts = {**FACTS, "are_kinds": False, "p": 0.4, "axis_p": p}
        return findings.kinds_sentences(facts, HEADS, PLATEAUS, *measured("candidate"), NAMES)[0]

    assert "spread along a coordinate that the members share: it makes up 30%" in said(0.005)
    assert "p ≤ 0.005 (199 random turns)" in said(0.005)
    assert "spread along" not in said(0.2)
    assert "Nor is it shown that members share a coordinate" in said(0.2)


def test_of_a_continuum_no_group_is_called_a_kind():
    words = findings.kinds_sentences(CONTINUUM, HEADS, PLATEAUS, *measured("candidate"), NAMES)
    assert words[0].startswith("__Kinds of heads cannot be told from a continuum here")
    assert "p = 0.4 (199 continua)" in words[0]
    assert not any("Kind 0" in sentence for sentence in words)


def test_partners_are_counted_with_those_that_are_stable():
    stability, agreement = measured("partner")
    stability.loc[stability["group"] == 1, "jaccard"] = [0.9, 0.7]
    words = findings.partner_sentences(pd.DataFrame({"group": [0, 1], "tie": [-1, 0]}), stability, agreement)
    assert words[0].startswith("Matched one to one over all members, heads form 2 groups of partners, as any heads do")
    assert "; 1 of them is stable (" in words[0]
    assert "1 of 2 heads" in words[0]
    assert "not available" in findings.partner_sentences(pd.DataFrame({"group": [-1]}), stability, agreement)[0]


def test_where_no_group_of_partners_is_stable_nothing_is_found():
    stability, agreement = measured("partner")
    words = findings.partner_sentences(
        pd.DataFrame({"group": [0, 1], "tie": [-1, 0]}), stability.assign(jaccard=0.7), agreement
    )
    assert words[0].startswith("__No group of partners is stable.__")
    assert not any("**" in sentence for sentence in words)


def test_the_published_number_stands_beside_the_papers():
    choice = {"value": 0.73, "resolution": 2.5, "low": 2.4, "high": 2.6, "draws": 88, "clusters": [15, 13, 8]}
    null = {"observed": 0.73, "null_mean": 0.68, "null_95": 0.72, "p": 1 / 201, "permutations": 200}
    facts = {"leiden": "converged", "converged": choice, "published": choice | {"draws": 1}, "null": null}
    words = findings.published_sentence(facts | {"criterion": "f_published"})
    assert "F = 0.730 at resolution 2.50, shared by 88 draws, with 3 clusters of 15, 13, 8 heads" in words
    assert "the paper reports F = 0.8295 at resolution 2.1634" in words
    assert "p ≤ 0.005 (200 permutations)" in words
    assert "no evidence" in words
    alone = {name: fact for name, fact in facts.items() if name != "null"} | {"criterion": "modularity"}
    assert "a single member leaves no F" in findings.published_sentence(alone)


def test_a_card_holds_what_is_known_of_a_head():
    heads = pd.DataFrame({"model": "m", "member": [0, 0], "layer": 0, "head": [0, 1]})
    kinds = heads.assign(kind=[1, 0], silhouette=[0.5, 0.25])
    partners = heads.assign(group=[0, 1], tie=[-1, 0], distance_to_partners=[0.1, 0.2], consensus=[1.0, 0.5])
    scores = pd.concat([heads.assign(score=s, value=[v, -v]) for s, v in (("entropy", 2.0), ("induction", 3.0))])
    cards = findings.head_cards(kinds, partners, heads.assign(cluster=[4, 5]), NAMES, scores)
    assert cards["kind_name"].tolist() == ["mixed", "current token (0.70)"]
    assert cards["partners"].tolist() == [0, 1]
    assert cards["published_cluster"].tolist() == [4, 5]
    assert cards["induction"].tolist() == [3.0, -3.0]
