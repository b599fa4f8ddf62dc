"""Heads told apart by what they find and what they copy, and how deep they lie."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from headatlas.studies.circuits import qk_ov_circuits
from headatlas.studies.induction import (
    findings,
    head_kinds,
    induction_depth,
    phase_changes,
    repeated_tokens,
    self_repair,
)


def scores_of(heads):
    """A table of scores, and attention, from (layer, head, attention, copying)."""
    scores, found = [], []
    for layer, head, attention, copying in heads:
        found.append((0, layer, head, attention, 0.01, 0.05))
        scores.append((0, layer, head, "prefix_matching", 0.3, 0.01, 0.05))
        if copying is not None:
            scores.append((0, layer, head, "copying", copying, 0.01, 0.0))
    names = ["member", "layer", "head", "value", "standard_error", "chance"]
    return pd.DataFrame(scores, columns=[*names[:3], "score", *names[3:]]), pd.DataFrame(found, columns=names)


def test_kinds_of_heads():
    heads = [(0, 0, 0.9, 0.8), (0, 1, 0.9, -0.5), (1, 0, 0.06, 0.9), (1, 1, 0.05, 0.0), (2, 1, 0.9, None)]
    table = head_kinds.tell_apart(*scores_of(heads)).set_index(["layer", "head"])
    assert table["kind"].tolist() == ["finds and copies", "only finds", "only copies", "neither", "unknown"]
    assert table["attention"].tolist() == [0.9, 0.9, 0.06, 0.05, 0.9]
    assert (table["prefix_matching"] == 0.3).all()
    scores, found = scores_of(heads)
    mirrored = scores[scores["score"] == "prefix_matching"].assign(score="prefix_matching_mirrored", value=0.7)
    both = head_kinds.tell_apart(pd.concat([scores, mirrored]), found)
    assert (both["prefix_matching"] == 0.7).all()  # a bidirectional head may match either way
    counted = head_kinds.counts(table.assign(model="a"))
    assert counted.loc["a"].tolist() == [1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("copying", "error", "kind"), [(0.11, 0.01, "only copies"), (0.09, 0.001, "neither"), (0.2, 0.05, "neither")]
)
def test_a_copier_copies_clearly_and_for_certain(copying, error, kind):
    """A tenth of the score's range or more, and five standard errors above none."""
    scores, found = scores_of([(0, 0, 0.05, copying)])
    assert head_kinds.tell_apart(scores.assign(standard_error=error), found)["kind"].tolist() == [kind]


def heads_at(layers, heads, strong, chance=0.01):
    grid = np.full((layers, heads), chance)
    for layer in strong:
        grid[layer] = 0.8
    layer, head = np.indices(grid.shape).reshape(2, -1)
    return pd.DataFrame({"layer": layer, "head": head, "value": grid.ravel(), "chance": chance})


def test_depth_is_where_the_scores_are():
    late, early = (induction_depth.weighted_depth(heads_at(12, 4, [layer])) for layer in (11, 0))
    assert late["depth"] == pytest.approx(11.5 / 12)
    assert early["depth"] == pytest.approx(0.5 / 12)
    assert late["above"] == 4
    assert late["layers"] == 12
    spread = induction_depth.weighted_depth(heads_at(12, 4, range(12)))
    assert spread["depth"] == pytest.approx(0.5)
    assert spread["low"] < 0.5 < spread["high"]
    alone = induction_depth.weighted_depth(heads_at(1, 4, [0]))
    assert alone["depth"] == 0.5
    assert np.isnan(induction_depth.weighted_depth(heads_at(3, 2, []))["depth"])


def test_depth_of_every_member():
    one, other, none = heads_at(4, 2, [3]), heads_at(4, 2, [0]), heads_at(4, 2, [])
    table = pd.concat([one.assign(member=0), other.assign(member=1), none.assign(member=2)])
    table = table.assign(protocol="corrected", model="a", standard_error=0.01)
    shallow = heads_at(2, 2, [1]).assign(protocol="corrected", model="b", member=0, standard_error=0.01)
    found = induction_depth.depth_table(pd.concat([table, shallow, table.assign(protocol="published")]))
    own = found[(found["model"] == "a") & (found["protocol"] == "corrected")]
    assert own["member"].tolist() == [0, 1, 2]
    assert own["depth"].tolist() == pytest.approx([0.875, 0.125, np.nan], nan_ok=True)
    assert own["induction_heads"].tolist() == [2, 2, 0]
    asked = induction_depth.askable(found)  # two layers, and members without an induction head, cannot be asked
    assert asked[["model", "member"]].to_numpy().tolist() == [["a", 0], ["a", 1]]


def mapped(rows):
    """An induction map of [member, layer, head, value, standard_error], as it is measured."""
    parts = {"protocol": "corrected", "setup": "standard", "reading": "after", "chance": 0.05}
    return rows.assign(**parts, choice=rows["value"], held_out=rows["value"], held_out_error=rows["standard_error"])


@pytest.mark.parametrize(
    ("value", "error", "is_one"), [(0.21, 0.02, True), (0.19, 0.001, False), (0.21, 0.04, False), (0.9, 0.15, True)]
)
def test_one_rule_says_what_an_induction_head_is_wherever_it_is_asked(value, error, is_one):
    """In the sentence that counts them, among kinds, in depth, in ablations, in dynamics, and in the other study."""
    rows = pd.DataFrame({"member": 0, "layer": 1, "head": [0], "value": value, "standard_error": error})
    maps = mapped(rows)
    counted = repeated_tokens.induction_heads(maps, True)
    assert len(counted) == is_one
    assert repeated_tokens.induction_heads(maps.assign(protocol="published"), True).empty
    kind = head_kinds.tell_apart(scores_of([(1, 0, value, 0.8)])[0], maps).loc[0, "kind"]
    assert (kind == "finds and copies") == is_one
    assert induction_depth.depth_table(maps.assign(model="a"))["induction_heads"].tolist() == [is_one]
    assert (
        bool(self_repair.sets_of_heads([*zip(counted["layer"], counted["head"], strict=True)], FAMILY, 8, 1)) == is_one
    )
    trace = rows.assign(step=1, tokens=10, score="induction", chance=0.05, choice=0.3, held_out=0.3)
    trace = pd.concat([trace, trace.assign(score="in_context", layer=-1, head=-1)])
    assert phase_changes.of_members(trace, counted)["forms"].tolist() == [is_one]
    named = maps.assign(score="induction")
    found = qk_ov_circuits.induction_heads(named, pd.DataFrame(columns=["score", "member", "layer", "head"]))
    assert len(found) == is_one


FAMILY = SimpleNamespace(layers=2, heads=2)


def test_heads_are_counted_alike_by_the_sentences_on_how_many_there_are_and_on_when_they_form():
    """Of the third member another head than its strongest at the end counts: the trace's own sequences are no judge."""
    strengths = [0.9, 0.1, 0.8, 0.1, 0.25, 0.19]
    rows = pd.DataFrame({"member": np.repeat(range(3), 2), "layer": 1, "head": [0, 1] * 3, "value": strengths})
    maps = mapped(rows.assign(standard_error=0.01))
    trace = rows.assign(value=[0.9, 0.1, 0.8, 0.1, 0.19, 0.19], choice=[0.9, 0.1, 0.8, 0.1, 0.18, 0.21])
    trace = trace.assign(
        step=5, tokens=50, score="induction", held_out=trace["value"], chance=0.05, standard_error=0.02
    )
    trace = pd.concat([trace.assign(step=0, tokens=0, held_out=0.0), trace])
    of_model = {"m": {"maps": maps, "causal": True}}
    counting, _ = findings._strongest({"m": {**of_model["m"], "maps": both_protocols(maps)}})
    assert counting == "**Induction heads form in every member of every model.**"
    learning = trace.drop_duplicates(["member", "step"]).assign(score="in_context", layer=-1, head=-1)
    _, lines = findings._phase_changes({"m": pd.concat([trace, learning])}, of_model)
    assert "m: 3 of 3 members" in lines[0]
    some, lines = findings._strongest({"m": {"maps": both_protocols(maps[maps["value"] != 0.25]), "causal": True}})
    assert some == "**Induction heads form in 2 of 3 members of m.**"
    assert "induction heads are 1, 1 and 0 of 2 heads in 3 members, in layer 1" in lines[0]


def both_protocols(maps):
    return pd.concat([maps, maps.assign(protocol="published")])


def test_a_head_copies_only_beyond_its_error():
    scores, found = scores_of([(1, 0, 0.9, 0.3)])
    scores.loc[scores["score"] == "copying", "standard_error"] = 0.1
    assert head_kinds.tell_apart(scores, found).loc[0, "kind"] == "only finds"
