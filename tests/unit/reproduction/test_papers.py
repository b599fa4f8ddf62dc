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
    plateaus = pd.DataFrame({"chosen": [True], "kinds": [3], "length": [np.log(2.0)]})
    kinds = pd.DataFrame({"kind": [-1, -1]})
    resolution, sizes = phrenology._clusters(resolutions, clusters, plateaus, kinds)
    assert resolution.agrees is agrees
    assert f"{draws} of 20 draws" in resolution.published
    assert sizes.agrees is False
    assert (
        "3 groups last longest (a factor of 2.0 in resolution) and cannot be told from a continuum" in sizes.corrected
    )


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
