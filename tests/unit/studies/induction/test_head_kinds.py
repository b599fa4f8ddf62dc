"""Heads told apart by what they find and what they copy, and how deep they lie."""

import numpy as np
import pandas as pd
import pytest

from headatlas.studies.circuits import qk_ov_circuits
from headatlas.studies.induction import head_kinds, induction_depth


def scores_of(heads):
    """A table of scores from (layer, head, prefix matching, mirrored, copying)."""
    rows = []
    for layer, head, matching, mirrored, copying in heads:
        named = {"prefix_matching": matching, "prefix_matching_mirrored": mirrored, "copying": copying}
        for score, value in named.items():
            if value is not None:
                rows.append((0, layer, head, score, value, 0.01, 0.05 if "prefix" in score else 0.0))
    return pd.DataFrame(rows, columns=["member", "layer", "head", "score", "value", "standard_error", "chance"])


def test_kinds_of_heads():
    heads = [(0, 0, 0.9, None, 0.8), (0, 1, 0.9, None, -0.5), (1, 0, 0.06, None, 0.9), (1, 1, 0.05, None, 0.0)]
    heads += [(2, 0, 0.0, 0.7, 0.6), (2, 1, 0.9, 0.1, None)]  # a bidirectional model's, the last of unknown weights
    table = head_kinds.tell_apart(scores_of(heads)).set_index(["layer", "head"])
    kinds = table["kind"].to_dict()
    assert kinds[0, 0] == kinds[2, 0] == "induction"
    assert kinds[0, 1] == "look-alike"
    assert kinds[1, 0] == "copier"
    assert kinds[1, 1] == "neither"
    assert kinds[2, 1] == "unknown"
    assert table.loc[(2, 0), "prefix_matching"] == 0.7
    asked = pd.DataFrame({"member": 0, "layer": [1, 1], "head": [0, 1], "value": 0.7, "chance": 0.02})
    at_masks = head_kinds.tell_apart(scores_of(heads), asked.assign(standard_error=0.1)).set_index(["layer", "head"])
    assert at_masks["kind"].to_dict() == kinds | {(1, 0): "induction", (1, 1): "look-alike"}
    counted = head_kinds.counts(table.assign(model="a"))
    assert counted.loc["a"].tolist() == [2, 1, 1, 1, 1]


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


@pytest.mark.parametrize(
    ("value", "error", "is_one"), [(0.21, 0.02, True), (0.19, 0.001, False), (0.21, 0.04, False), (0.9, 0.15, True)]
)
def test_one_rule_says_what_an_induction_head_is_wherever_it_is_asked(value, error, is_one):
    rows = scores_of([(1, 0, value, None, 0.8)])
    rows.loc[rows["score"] == "prefix_matching", "standard_error"] = error
    kind = head_kinds.tell_apart(rows).loc[0, "kind"]
    assert (kind == "induction") == is_one
    named = rows.replace({"score": {"prefix_matching": "induction"}}).astype({"layer": int})
    found = qk_ov_circuits.induction_heads(named, pd.DataFrame(columns=["score", "member", "layer", "head"]))
    assert len(found) == is_one


def test_a_head_copies_only_beyond_its_error():
    rows = scores_of([(1, 0, 0.9, None, 0.3)])
    rows.loc[rows["score"] == "copying", "standard_error"] = 0.1
    assert head_kinds.tell_apart(rows).loc[0, "kind"] == "look-alike"
