"""Figures of knockouts draw what the tables say."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from headatlas.base.errors import InputError
from headatlas.models import ablations
from headatlas.models.knockout import KINDS
from headatlas.plotting import style
from headatlas.studies.phrenology.figures import knockout_effects, knockout_logits, knockout_losses

PROMPT = ["They", "␣sit", "␣alone", "␣in", "␣their", "␣rooms"]


def heads_of(members=2, heads=4):
    rows = np.indices((members, 1, heads)).reshape(3, -1)
    return pd.DataFrame(dict(zip(("member", "layer", "head"), rows, strict=True))).assign(model="toy")


def clusters_of(heads):
    return heads.assign(cluster=heads["head"] // 2)


def logits_of(heads, tokens=20):
    """Head 1 suppresses token 5: without it, its logit is 3 higher."""
    clean = np.random.default_rng(0).normal(0, 2, tokens)
    rows = heads.loc[heads.index.repeat(tokens)].reset_index(drop=True)
    rows["token"], rows["name"] = np.tile(np.arange(tokens), len(heads)), np.tile(["␣w$"] * tokens, len(heads))
    rows["clean"] = np.tile(clean, len(heads))
    raised = np.where((rows["head"] == 1) & (rows["token"] == 5), 3.0, 0.0)
    return rows.assign(**dict.fromkeys(KINDS, rows["clean"] + raised))


def drawn(figure):
    return [axes for axes in figure.axes if axes.get_visible() and axes.collections]


@pytest.mark.parametrize(("protocol", "panels"), [("published", 1), ("corrected", 3)])
def test_one_head(tmp_path, protocol, panels):
    table = logits_of(heads_of())
    figure = knockout_logits.one_head(table[(table["member"] == 0) & (table["head"] == 1)], PROMPT, protocol)
    assert len(drawn(figure)) == panels
    for axes in drawn(figure):
        points, colours = axes.collections[0].get_offsets(), axes.collections[0].get_facecolors()
        shift = points[:, 1] - points[:, 0] if protocol == "published" else points[:, 1]
        moved = np.flatnonzero(shift > 1)
        assert len(moved) == 1
        np.testing.assert_allclose(colours[moved[0], :3], to_rgb(knockout_logits._UP))
    assert "They sit alone in their rooms" in figure.get_suptitle().replace("\n", " ")
    assert "suppressed ␣w$ (+3.0)" in figure.finding
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    with pytest.raises(InputError, match="not in the table"):
        knockout_logits.one_head(table[table["head"] == 9], PROMPT, protocol)


@pytest.mark.parametrize(("cluster", "shown"), [(0, "cluster 0 (4 heads)"), (7, "cluster 1 (4 heads)")])
def test_one_cluster(cluster, shown):
    heads = heads_of()
    figure = knockout_logits.one_cluster(logits_of(heads), clusters_of(heads), cluster, PROMPT)
    assert len(drawn(figure)) == 4
    assert shown in figure.get_suptitle().replace("\n", " ")
    expected = {f"m{m} h{h}" for m in range(2) for h in ((0, 1) if cluster == 0 else (2, 3))}
    assert {axes.get_title() for axes in drawn(figure)} == expected


def test_large_clusters_are_cut_and_said_to_be(monkeypatch):
    monkeypatch.setattr(knockout_logits, "PANELS", 3)
    heads = heads_of(members=2)
    for draw in (knockout_logits.one_cluster, knockout_logits.cluster_matrix):
        figure = draw(logits_of(heads, 8), clusters_of(heads), 0, PROMPT)
        assert "first 3" in figure.get_suptitle().replace("\n", " ")
    figure = knockout_logits.one_cluster(logits_of(heads, 8), clusters_of(heads), 0, PROMPT)
    assert len(drawn(figure)) == knockout_logits.PANELS


def test_the_matrix_of_a_cluster_holds_shifts_and_says_how_well_they_agree():
    heads = heads_of(3)
    rng = np.random.default_rng(1)
    common, table = rng.normal(size=40), logits_of(heads, 40)
    own = [common if head in (0, 1) else rng.normal(size=40) for head in heads["head"]]  # cluster 0 moves tokens alike
    table["mean"] = table["clean"] + np.concatenate(own) + 5  # what moves every logit changes nothing
    figure = knockout_logits.cluster_matrix(table, clusters_of(heads), 0, PROMPT, shown=4)
    axes = figure.axes[0]
    strongest = np.argsort(-np.abs(common - np.median(common)))[:4]
    wanted = np.sort((common - np.median(common))[strongest])
    np.testing.assert_allclose(axes.images[0].get_array(), np.tile(wanted, (6, 1)), atol=1e-9)
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"m{m} h{h}" for m in range(3) for h in (0, 1)]
    assert "correlation 1.00" in figure.get_suptitle().replace("\n", " ")


def test_tokens_that_not_all_networks_have_are_left_out_of_the_matrix():
    """Of a large vocabulary each network's table has the tokens likely in it."""
    heads = heads_of(3)
    table = logits_of(heads, 40)
    table["mean"] = table["clean"] + np.random.default_rng(0).normal(size=len(table))
    few = table[(table["token"] < 30) | (table["member"] == 0)]
    figure = knockout_logits.cluster_matrix(few, clusters_of(heads), 0, PROMPT, shown=35)
    assert figure.axes[0].images[0].get_array().shape[1] == few["token"].lt(30).sum() / len(heads)
    assert np.isfinite(figure.axes[0].images[0].get_array()).all()
    assert "nan" not in figure.get_suptitle()


def test_published_effects_lie_where_the_table_says():
    heads = clusters_of(heads_of())
    points = np.random.default_rng(0).normal(size=(len(heads), 2))
    table = heads.assign(published_1=points[:, 0], published_2=points[:, 1])
    figure = knockout_effects.effects(table, {"explained_variance": {"published": [0.5, 0.25]}, "prompts": 64})
    (axes,) = drawn(figure)
    for dots, (cluster, own) in zip(axes.collections, table.groupby("cluster"), strict=True):
        np.testing.assert_allclose(dots.get_offsets(), own[["published_1", "published_2"]])
        np.testing.assert_allclose(dots.get_facecolors()[:, :3], [style.cluster_colour(cluster)])
    assert "50% of variance" in axes.get_xlabel()
    assert "75% of the variance" in figure.finding


def test_effects_are_drawn_against_the_distance_of_attention():
    far = np.abs(np.arange(12)[:, None] - np.arange(12)) / 12.0
    members = np.arange(12) // 4
    cosines = np.where(members[:, None] == members, np.nan, 1 - far)
    figure = knockout_effects.effects_by_distance(far, cosines, np.arange(12) % 4, bins=4)
    every, partners = figure.axes[0].collections
    assert len(every.get_offsets()) == 48
    assert len(partners.get_offsets()) == 12
    assert "-1.00" in figure.get_suptitle().replace("\n", " ")
    np.testing.assert_allclose(every.get_offsets().sum(1), 1)
    alone = knockout_effects.effects_by_distance(far, np.full_like(far, np.nan), np.zeros(12), bins=4)
    assert "only one" in alone.texts[0].get_text()


def losses_of(heads):
    """Head h costs h / 10 nats; another in its place costs 0.15 throughout."""
    parts = [heads.assign(kind=kind, effect=heads["head"] / 10, standard_error=0.01) for kind in KINDS]
    return pd.concat([*parts, heads.assign(kind="other", effect=0.15, standard_error=0.01)], ignore_index=True)


def points_of(axes, marker):
    found = np.concatenate([line.get_xydata() for line in axes.get_lines() if line.get_marker() == marker])
    return found[np.argsort(found[:, 0])]


def test_losses(tmp_path):
    heads = heads_of()
    figure = knockout_losses.loss_without(losses_of(heads), clusters_of(heads), 128)
    assert len(figure.axes) == 3
    for axes in figure.axes:
        points = points_of(axes, "o")
        assert points[:, 0].tolist() == list(range(8))
        np.testing.assert_allclose(points[:, 1], [0.1, 0.1, 0, 0, 0.3, 0.3, 0.2, 0.2])  # costliest first in a cluster
    np.testing.assert_allclose(points_of(figure.axes[0], "D")[:, 1], 0.15)
    assert [label.get_text() for label in figure.axes[-1].get_xticklabels()] == ["0", "1"]
    assert (
        "mean ablation raises the loss for 6 of 8 heads; for 4, another head in the place costs more" in figure.finding
    )
    assert "mean ablation costs 0.05 nats per token in group 0 (0.00 to 0.10)" in figure.finding
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")


def test_a_new_kind_of_ablation_has_a_panel(monkeypatch):
    half = ablations.Ablation("set to half of itself", ablations.NOTHING, lambda outputs, mean, donor: outputs / 2)
    monkeypatch.setitem(ablations.ABLATIONS, "half", half)
    heads = heads_of()
    rows = losses_of(heads)
    rows = pd.concat([rows, rows[rows["kind"] == "zero"].assign(kind="half")], ignore_index=True)
    figure = knockout_losses.loss_without(rows, clusters_of(heads), 128)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "head set to its mean", "head set to zero", "head taken from another prompt", "head set to half of itself"
    ]  # fmt: skip
