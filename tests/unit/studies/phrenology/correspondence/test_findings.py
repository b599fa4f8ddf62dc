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
FACTS = {"are_kinds": True, "p": 0.005, "continua": 199, "axis_share": 0.3}
NAMES = pd.DataFrame({"what": ["kind", "kind"], "group": [0, 1], "name": ["current token (0.70)", "mixed"]})


def measured(what):
    rows = [(what, group, 9, 9, resampling, 0.9, 0.8, 1.0) for group in (0, 1) for resampling in ("prompts", "members")]
    columns = ["what", "group", "heads", "members", "resampling", "jaccard", "low", "high"]
    agreement = pd.DataFrame({"what": what, "resampling": ["prompts", "members"], "ari": 0.85, "low": 0.7, "high": 1.0})
    return pd.DataFrame(rows, columns=columns), agreement


def test_kinds_come_with_their_plateau_rivals_and_the_floor_of_p():
    first, *others = findings.kinds_sentences(FACTS, PLATEAUS, *measured("kind"), NAMES)
    assert first.startswith("**Heads come in 2 kinds.** 2 groups last longest, over a factor of 5.00 in resolution")
    assert "nearly as long last 3 (a factor of 4.00)" in first
    assert "p ≤ 0.005 (199 continua)" in first
    assert "Kind 0, current token (0.70): 9 heads in 9 members" in others[0]
    assert "0.85 (95% 0.70 to 1.00)" in others[-1]


def test_of_a_continuum_no_group_is_called_a_kind():
    words = findings.kinds_sentences({**FACTS, "are_kinds": False, "p": 0.4}, PLATEAUS, *measured("candidate"), NAMES)
    assert words[0].startswith("**Kinds of heads cannot be told from a continuum here")
    assert "p = 0.4 (199 continua)" in words[0]
    assert not any("Kind 0" in sentence for sentence in words)


def test_partners_are_counted_with_those_that_are_stable():
    stability, agreement = measured("partner")
    stability.loc[stability["group"] == 1, "jaccard"] = [0.9, 0.7]
    words = findings.partner_sentences(pd.DataFrame({"group": [0, 1], "tie": [-1, 0]}), stability, agreement)
    assert "2 groups of partners, 1 of them stable" in words[0]
    assert "1 of 2 heads" in words[0]
    assert "not available" in findings.partner_sentences(pd.DataFrame({"group": [-1]}), stability, agreement)[0]


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
