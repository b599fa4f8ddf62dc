"""Shares of transplants: planted numbers, plain loops, and nothing from networks that learned nothing."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import save_file

from architectures import architecture_of
from headatlas.models import families, transformer
from headatlas.studies.phrenology.validation import partner_agreement, transplant_shares, transplants


def planted(members=5, heads=4, layers=2, partner=0.5, kind=0.2, seed=0):
    """Transplants in which partners recover `partner` of the cost, others of the kind `kind`, the rest nothing."""
    rng = np.random.default_rng(seed)
    member, layer, _ = np.indices((members, layers, heads)).reshape(3, -1)
    group = np.concatenate([heads * at + rng.permutation(heads) for _ in range(members) for at in range(layers)])
    costs = pd.DataFrame({"member": member, "layer": layer, "ablation": rng.uniform(0.1, 1, len(member))})
    costs["ablation_error"] = 0.01
    rows = []
    for receiver in range(len(costs)):
        for donor in np.flatnonzero(member != member[receiver]):
            share = rng.normal(0, 0.02)
            if layer[donor] == layer[receiver]:
                same_kind = group[donor] % 2 == group[receiver] % 2
                share += partner if group[donor] == group[receiver] else kind * same_kind
            cost = costs["ablation"][receiver]
            rows.append((receiver, donor, share * cost, (share - 0.3) * cost))
    pairs = pd.DataFrame(rows, columns=["receiver", "donor", "recovered", "recovered_equal_norm"])
    return costs, pairs, member, group


def shares_of(costs, pairs, member, group):
    partners = partner_agreement.partners_of(group, member)
    return transplant_shares.Shares(costs, pairs, partners, member, group % 2), partners


def strata(costs, group):
    return pd.factorize(pd.MultiIndex.from_arrays([costs["member"], costs["layer"], group % 2]))[0]


def test_planted_shares_are_found():
    costs, pairs, member, group = planted()
    shares, _ = shares_of(costs, pairs, member, group)
    table = transplant_shares.overall(shares, strata(costs, group), permutations=50).set_index(["norm", "source"])
    expected = {"partner": 0.5, "kind": 0.2, "others": 0.2 / 3, "other layer": 0, "partner less kind": 0.3}
    expected |= {"partner less others": 0.5 - 0.2 / 3}
    for source, share in expected.items():
        for norm, off in (("as mapped", 0), ("equal norm", 0 if "less" in source else -0.3)):
            row = table.loc[norm, source]
            assert abs(row["share"] - share - off) < 0.01
            assert row["low"] <= row["share"] <= row["high"]
            assert row["high"] - row["low"] < 0.1
            assert row["heads"] == 40
    best = table.loc["as mapped", "partner best"]
    assert best["share"] == 1
    assert best["chance"] == 0.25
    assert (best["rank"], best["rank_chance"]) == (1, 2.5)
    assert table.loc[("as mapped", "partner less others"), "p"] == 1 / 51


def test_shares_of_heads_equal_plain_loops():
    costs, pairs, member, group = planted(members=4, seed=3)
    costs.loc[0, "ablation_error"] = 1.0  # nothing to recover
    shares, partners = shares_of(costs, pairs, member, group)
    table = transplant_shares.by_head(shares)
    assert 0 not in table["row"].tolist()
    assert len(table) == (len(costs) - 1) * 4 * 2
    recovered = pairs.set_index(["receiver", "donor"])["recovered"]
    layer = costs["layer"].to_numpy()
    ranks = shares.ranks("as mapped")
    for row in (1, 9, 30):
        by_source = {source: [] for source in transplant_shares.SOURCES}
        for other in np.setdiff1d(range(4), member[row]):
            theirs = np.flatnonzero((member == other) & (layer == layer[row]))
            partner = partners[row, other]
            kin = [head for head in theirs if head != partner and group[head] % 2 == group[row] % 2]
            sets = {"partner": [partner], "kind": kin, "others": [head for head in theirs if head != partner]}
            sets["other layer"] = np.flatnonzero((member == other) & (layer != layer[row]))
            for source, heads in sets.items():
                by_source[source].append(np.mean([recovered[row, head] for head in heads]))
            better = sum(recovered[row, head] > recovered[row, partner] for head in theirs)
            assert ranks[row, other] == 1 + better
        for source, values in by_source.items():
            one = table[(table["row"] == row) & (table["source"] == source) & (table["norm"] == "as mapped")].iloc[0]
            np.testing.assert_allclose(one["share"], np.mean(values) / costs["ablation"][row])
            assert one["members"] == 3
            if source == "partner":
                assert one["rank"] == np.mean(ranks[row][np.isfinite(ranks[row])])
            assert one["low"] <= one["share"] <= one["high"]


def test_the_excess_is_that_of_partners_less_others():
    costs, pairs, member, group = planted(members=4, seed=3)
    costs.loc[5, "ablation_error"] = 1.0
    shares, _ = shares_of(costs, pairs, member, group)
    for norm in transplant_shares.NORMS:
        found = shares.recovered(norm)
        observed, null = shares.excess(norm, strata(costs, group), 30, 0)
        np.testing.assert_allclose(
            observed,
            np.delete(found["partner"] - found["others"], 5, 0)[~np.isnan(np.delete(found["partner"], 5, 0))].sum(),
        )
        assert (null < observed).all()
    once = shares.excess("as mapped", np.arange(len(costs)), 3, 0)[1]  # nothing to permute
    np.testing.assert_allclose(once, shares.excess("as mapped", strata(costs, group), 1, 0)[0])


def test_heads_permuted_are_matchings_of_heads_that_do_not_correspond():
    """Where i in the place of j recovers what j recovers in that of i, both count, in the null as in the matching."""
    costs, pairs, member, group = planted(members=6, layers=1)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(len(costs), len(costs)))
    pairs = pairs.assign(recovered=(noise + noise.T)[pairs["receiver"], pairs["donor"]])
    one = np.zeros(len(costs), dtype=int)
    observed = []
    for _ in range(300):
        dealt = np.concatenate([rng.permutation(4) for _ in range(6)])
        partners = partner_agreement.partners_of(dealt, member)
        observed.append(transplant_shares.Shares(costs, pairs, partners, member, one).excess("as mapped", one, 0, 0)[0])
    null = shares_of(costs, pairs, member, group)[0].excess("as mapped", member, 300, 0)[1]
    assert 0.85 < np.std(null) / np.std(observed) < 1.15  # 0.7 where partners alone are permuted
    assert abs(np.mean(null) - np.mean(observed)) < 0.2 * np.std(observed)


def test_two_networks_give_no_interval():
    costs, pairs, member, group = planted(members=2)
    shares, _ = shares_of(costs, pairs, member, group)
    table = transplant_shares.overall(shares, strata(costs, group), permutations=20)
    assert table[["low", "high"]].isna().all(axis=None)
    assert table.loc[table["source"] == "partner", "share"].notna().all()
    assert transplant_shares.by_head(shares)[["low", "high"]].isna().all(axis=None)


def test_partners_dealt_at_random_recover_no_more_than_others():
    costs, pairs, member, group = planted(partner=0.0, kind=0.0)
    shares, _ = shares_of(costs, pairs, member, group)
    table = transplant_shares.overall(shares, strata(costs, group), permutations=200).set_index(["norm", "source"])
    row = table.loc[("as mapped", "partner less others")]
    assert row["p"] > 0.05
    assert row["low"] < 0 < row["high"]
    best = table.loc[("as mapped", "partner best")]
    assert best["low"] < best["chance"] < best["high"]


def test_no_partners_and_no_cost_give_no_numbers():
    costs, pairs, member, group = planted(members=3)
    shares, _ = shares_of(costs, pairs, member, np.full_like(group, -1))
    table = transplant_shares.overall(shares, strata(costs, group), permutations=5).set_index(["norm", "source"])
    assert table.drop("other layer", level=1)["share"].isna().all()
    costs["ablation_error"] = 9.0
    shares, _ = shares_of(costs, pairs, member, group)
    assert transplant_shares.overall(shares, strata(costs, group), permutations=5)["share"].isna().all()
    assert transplant_shares.by_head(shares).empty


@pytest.mark.parametrize("layers", [1, 2])
def test_an_untrained_family_gives_nothing(tmp_path, layers):
    sizes = {"vocabulary": 60, "context": 10, "heads": 4, "d_model": 24, "d_head": 6, "d_mlp": 40}
    architecture = architecture_of(layers=layers, **sizes)
    save_file(transformer.initial_weights(architecture, range(5)), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"kind": "toy", "architecture": asdict(architecture)}))
    family = families.load_family(tmp_path / "model.safetensors", tmp_path / "config.json")
    tokens = np.random.default_rng(0).integers(0, 60, (24, 10))
    costs, pairs = transplants.transplant([("toy", family, index) for index in range(5)], tokens, between_layers=True)
    member, group = costs["member"].to_numpy(), 4 * costs["layer"].to_numpy() + costs["head"].to_numpy()
    shares, _ = shares_of(costs, pairs, member, group)
    assert np.isfinite(shares.cost).mean() < 0.2  # hardly a head is costs anything
    costs["ablation"], costs["ablation_error"] = costs["ablation"].abs() + 1e-6, 0.0  # asked all the same
    shares, _ = shares_of(costs, pairs, member, group)
    found = transplant_shares.overall(shares, strata(costs, group), permutations=200).set_index(["norm", "source"])
    for norm in transplant_shares.NORMS:
        assert found.loc[(norm, "partner less others"), "p"] > 0.05
        best = found.loc[(norm, "partner best")]
        assert best["low"] <= best["chance"] <= best["high"]
