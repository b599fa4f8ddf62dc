"""Each paper's claims on planted tables: the verdict turns when what decides it is turned."""

import numpy as np
import pandas as pd
import pytest

from headatlas.attention.packing import places
from headatlas.reproduction import attentionviz, circuits, induction, phrenology


def autoencoders(errors):
    widths = [2, 4, 8]
    rows = [
        {
            "protocol": "published",
            "method": "autoencoder",
            "split": "fit",
            "width": w,
            "mse": e,
            "aic": 2 * w - 2 * np.log(e),
        }
        for w, e in zip(widths, errors, strict=True)
    ]
    for method, scale in (("autoencoder", 1.0), ("pca", 0.9)):
        rows += [
            {
                "protocol": "corrected",
                "method": method,
                "split": "prompts",
                "width": w,
                "mse": scale * e,
                "bic": scale * w,
            }
            for w, e in zip(widths, errors, strict=True)
        ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("errors", "agrees"), [((0.3, 0.2, 0.1), True), ((0.3, 0.35, 0.1), False)])
def test_table_1_agrees_where_the_error_falls_at_every_width(errors, agrees):
    first, second = phrenology._autoencoders(autoencoders(errors))
    assert first.agrees is agrees
    assert "3 of 3 widths" in first.corrected
    assert second.agrees is True
    assert "pca of width 2" in second.corrected


@pytest.mark.parametrize(("best", "draws", "agrees"), [(0.8, 5, True), (0.6, 5, False), (0.8, 1, False)])
def test_figure_4_agrees_on_a_plateau_of_the_papers_height(best, draws, agrees):
    count = 20
    score = np.r_[np.full(draws, best), np.full(count - draws, 0.3)]
    resolutions = pd.DataFrame(
        {"leiden": "converged", "f_published": score, "resolution": 1.5, "partition": (score < best) * 1}
    )
    clusters = pd.DataFrame({"cluster": [0, 0, 1, 2]})
    plateaus = {"chosen": [True, False], "rival": [False, True], "kinds": [3, 5], "length": np.log([2.0, 1.9])}
    kinds = pd.DataFrame({"kind": [-1, -1]})
    resolution, sizes = phrenology._clusters(resolutions, clusters, pd.DataFrame(plateaus), kinds)
    assert resolution.agrees is agrees
    assert f"{draws} of 20 draws" in resolution.published
    assert sizes.agrees is False
    words = (
        "3 groups last longest (a factor of 2.0 in resolution, nearly as long 5) and cannot be told from a continuum"
    )
    assert words in sizes.corrected


def test_figure_9_knows_which_component_is_the_diagonal():
    query, key = places(6, "lower")
    diagonal, previous, first = ((query == key) * 1.0, (query - key == 1) * 1.0, (key == 0) * 1.0)

    def table(*weights):
        return pd.DataFrame({"component": np.arange(len(weights)), "prompt": 0, "weights": list(weights)})

    right = phrenology._components(table(diagonal, previous, first))
    assert [claim.agrees for claim in right] == [True, True]
    wrong = phrenology._components(table(previous, diagonal, diagonal))
    assert [claim.agrees for claim in wrong] == [False, False]


def test_circuits_know_runs_that_learn_more_than_pairs():
    sweep = pd.DataFrame(
        {
            "model": ["a", "a", "b", "b"],
            "split": "validation",
            "step": [0, 9, 0, 9],
            "loss": [6.0, 3.9, 6.0, 4.5],
            "bigram": 4.0,
            "d_model": [64, 64, 128, 128],
            "corpus": "python-docs",
        }
    )
    assert list(circuits.last_losses(sweep)["below"]) == [True, False]
    assert circuits._sizes(sweep)[0].agrees is None
    wikitext = circuits._sizes(sweep.assign(corpus="wikitext-103"))[0]
    assert wikitext.agrees is True
    assert "64: 6.00 to 3.90, 128: 6.00 to 4.50" in wikitext.corrected
    assert circuits._sizes(sweep.assign(corpus="wikitext-103", loss=[3.0, 3.9, 6.0, 4.5]))[0].agrees is False


def test_losses_at_two_widths_are_of_the_same_runs_each_to_its_own_end():
    """A wide run of another variant, and runs of other lengths, leave the others' losses alone."""
    runs = [("a", 64, "x", 9, 4.0), ("b", 128, "x", 20, 3.0), ("c", 128, "y", 9, 1.0)]
    rows = [
        {"model": model, "d_model": width, "variant": variant, "step": step, "loss": loss}
        for model, width, variant, last, end in runs
        for step, loss in ((0, 7.0), (last, end))
    ]
    sweep = pd.DataFrame(rows).assign(split="validation", corpus="wikitext-103", bigram=5.0)
    assert "64: 7.00 to 4.00, 128: 7.00 to 3.00" in circuits._sizes(sweep)[0].corrected


def runs_of(gain, noise=0.001, seeds=2):
    """Last losses of a sweep of three variants and two learning rates; the two-layer runs gain what is said."""
    generator, rows = np.random.default_rng(0), []
    for variant, less in (("one-layer", 0), ("two-layer", gain), ("two-layer-mlp", -0.2)):
        for rate in (0.01, 0.02):
            for member in range(seeds):
                loss = 4 - less + 10 * rate + 0.3 * member + generator.normal(0, noise)
                rows.append((f"circuits-{variant}-lr{rate:g}-d64".replace("0.0", ""), variant, rate, member, loss))
    table = pd.DataFrame(rows, columns=["model", "variant", "learning_rate", "member", "loss"])
    return table.assign(split="validation", step=9, bigram=5.0)


@pytest.mark.parametrize(
    ("gain", "noise", "agrees"),
    [(0.05, 0.001, True), (-0.1, 0.001, True), (0.3, 0.001, False), (0.1, 0.2, None), (0.0, 0.5, None)],
)
def test_deeper_models_are_no_better_only_where_the_interval_says_so(gain, noise, agrees):
    claim = circuits._variants(runs_of(gain, noise))
    assert claim.agrees is agrees
    assert "two-layer " in claim.corrected
    assert circuits._variants(runs_of(gain, noise, seeds=1)).agrees is None


SHOWN = {"one-layer": (1,), "two-layer-tied": (2,), "two-layer": (2,), "two-layer-mlp-residual": (2,)}


def named(**found):
    """Names of the heads of two seeds: `spread`, but where {variant, layer: name} is given with "_" for "-"."""
    rows = [
        {"model": variant, "member": member, "layer": layer, "head": head, "name": "spread"}
        for variant, (layers,) in SHOWN.items()
        for member in range(2)
        for layer in range(layers)
        for head in range(2)
    ]
    table = pd.DataFrame(rows)
    for place, name in found.items():
        variant, layer = place.rsplit("__", 1)
        of = (table["model"] == variant.replace("_", "-")) & (table["layer"] == int(layer)) & (table["head"] == 1)
        table.loc[of, "name"] = name
    return table


def heads_claims(names, copying=0.5, loss=4.0):
    models = list(SHOWN)
    sweep = pd.DataFrame({"model": models, "variant": models, "split": "validation", "step": 9, "loss": loss})
    scores = names.assign(score="copying", value=copying, standard_error=0.01, chance=0.0)
    claims = circuits._heads(names, scores, sweep.assign(bigram=4.5))
    return {claim.item: claim for claim in claims}


def test_a_figure_is_judged_by_the_heads_of_the_layer_that_it_shows():
    """A previous-token head of another layer, or of another model, bears no claim on the second layer out."""
    right = heads_claims(named(two_layer_tied__1="previous token"))["Figure 4"]
    assert right.agrees is True
    assert "so it is in 2 of 2" in right.asked
    for wrong in ("two_layer_tied__0", "two_layer__1", "two_layer_mlp_residual__0", "one_layer__0"):
        assert heads_claims(named(**{wrong: "previous token"}))["Figure 4"].agrees is False
    assert heads_claims(named(two_layer_tied__1="previous token"), copying=-0.06)["Figure 4"].agrees is False
    assert heads_claims(named(two_layer_tied__1="previous token"), loss=4.6)["Figure 4"].agrees is None
    assert heads_claims(named(one_layer__0="topic word"))["Figure 3"].agrees is True
    assert heads_claims(named(one_layer__0="first token"))["Figure 3"].agrees is False
    once = named(two_layer_tied__0="first token")
    once.loc[once["member"] == 1, "name"] = "spread"
    claim = heads_claims(once)["Figure 5"]
    assert claim.agrees is False
    assert "so it is in 1 of 2" in claim.asked
    none = named()
    assert heads_claims(none[none["model"] != "one-layer"])["Figure 3"].agrees is None


def depths(values, induction_heads=1):
    table = pd.DataFrame({"model": "a", "member": range(len(values)), "depth": values, "layers": 4})
    table = table.assign(induction_heads=induction_heads)
    return pd.concat([table.assign(protocol=protocol) for protocol in ("published", "corrected")])


def test_depth_is_that_of_every_member_with_an_induction_head():
    assert induction._depth(depths([0.6, 0.7])).agrees is True
    assert induction._depth(depths([0.4, 0.9])).agrees is False  # in the mean beyond the middle, and not in every one
    without = induction._depth(depths([0.6, 0.1], induction_heads=[1, 0]))
    assert without.agrees is True
    assert "a 0.60" in without.published
    assert "0 the input, 1 the output" in without.published
    assert induction._depth(depths([0.6], induction_heads=0)).agrees is None


def contexts(gains):
    noise = np.random.default_rng(0).normal(0, 0.1, 30)
    rows = [
        pd.DataFrame({"protocol": protocol, "member": member, "short": 3 + gain + noise, "elsewhere": 3.2, "long": 3.0})
        for protocol in ("published", "corrected")
        for member, gain in enumerate(gains)
    ]
    return pd.concat(rows)


@pytest.mark.parametrize(
    ("gains", "agrees"),
    [([0.3], True), ([0.0], False), ([0.3, 0.3, 0.4], True), ([0.1, -0.3, 0.4], False), ([1, 2], None)],
)
def test_context_gains_where_the_interval_says_so(gains, agrees):
    claim = induction._in_context(contexts(gains))
    assert claim.agrees is agrees
    assert "beside another text of that length, 0.20" in claim.corrected


def maps(layers, strong):
    rows = []
    for setup, readings in (
        ("standard", ["same", "before", "after"]),
        ("shuffled", ["after_left", "before_right"]),
        ("bidirectional", ["earlier", "later"]),
    ):
        for reading in readings:
            for layer in range(layers):
                for head in range(4):
                    value = 0.02 * head + (0.6 if (reading, layer, head) in strong else 0)
                    rows.append({"setup": setup, "reading": reading, "layer": layer, "head": head, "value": value})
    table = pd.DataFrame(rows)
    return pd.concat([table.assign(protocol=protocol) for protocol in ("published", "corrected")])


def test_figure_7_agrees_where_strong_heads_lie_late_and_is_not_asked_of_two_layers():
    late, early = {("same", 5, 0), ("same", 4, 2)}, {("same", 5, 0), ("same", 1, 1)}
    assert induction._maps(maps(6, late))[0].agrees is True
    assert induction._maps(maps(6, early))[0].agrees is False
    assert induction._maps(maps(2, {("same", 1, 1)}))[0].agrees is None


def test_shifting_queries_is_what_the_papers_section_gets_wrong():
    table = pd.DataFrame(
        {"change": ["scaling", "key translation", "query translation"], "difference": [1e-7, 1e-7, 0.4]}
    )
    assert attentionviz._invariance(table).agrees is False
    assert attentionviz._invariance(table.assign(difference=1e-7)).agrees is True


def test_a_masked_models_components_are_whole_squares():
    diagonal = np.eye(6).reshape(-1)
    previous = np.eye(6, k=-1).reshape(-1)
    table = pd.DataFrame({"component": [0, 1, 2], "prompt": 0, "weights": [diagonal, previous, previous]})
    table.attrs = {"packing": "full"}
    claim = phrenology._components(table)[0]
    assert claim.agrees is True
    assert "the diagonal 100%" in claim.published


def test_a_head_without_a_chosen_constant_is_left_out():
    head = {"member": 0, "layer": 0, "protocol": "published", "exact": False}
    rows = [
        {**head, "head": 0, "c": 0.2, "spearman": 0.3, "chosen": True},
        {**head, "head": 0, "c": 1.0, "spearman": 0.6, "chosen": False},
        {**head, "head": 1, "c": 1.0, "spearman": 0.6, "chosen": False},
    ]
    plane = pd.DataFrame({"method": ["umap"], "construction": ["exact"], "spearman": [0.2]})
    claim = attentionviz._maps(pd.DataFrame(rows), plane)
    assert claim.agrees is False
    assert "0.30 at the constant chosen (0.2), 0.60 at the best (1)" in claim.published
    assert "head 1" not in claim.published
