"""Figures of knockouts draw what the tables say."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from headatlas.base.errors import InputError
from headatlas.models.knockout import KINDS
from headatlas.plotting import style
from headatlas.studies.phrenology.figures import knockouts

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
    figure = knockouts.one_head(table[(table["member"] == 0) & (table["head"] == 1)], PROMPT, protocol)
    assert len(drawn(figure)) == panels
    for axes in drawn(figure):
        points, colours = axes.collections[0].get_offsets(), axes.collections[0].get_facecolors()
        moved = np.flatnonzero(points[:, 1] - points[:, 0] > 1)
        assert len(moved) == 1
        np.testing.assert_allclose(colours[moved[0], :3], to_rgb(knockouts._UP))
    assert "They sit alone in their rooms" in figure.get_suptitle()
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    with pytest.raises(InputError, match="not in the table"):
        knockouts.one_head(table[table["head"] == 9], PROMPT, protocol)


@pytest.mark.parametrize(("cluster", "shown"), [(0, "Cluster 0 (4 heads)"), (7, "Cluster 1 (4 heads)")])
def test_one_cluster(cluster, shown):
    heads = heads_of()
    figure = knockouts.one_cluster(logits_of(heads), clusters_of(heads), cluster, PROMPT, "corrected")
    assert len(drawn(figure)) == 4
    assert shown in figure.get_suptitle()
    expected = {f"member {m}, head {h}" for m in range(2) for h in ((0, 1) if cluster == 0 else (2, 3))}
    assert {axes.get_title() for axes in drawn(figure)} == expected


def test_large_clusters_are_cut_and_said_to_be(monkeypatch):
    monkeypatch.setattr(knockouts, "PANELS", 3)
    heads = heads_of(members=2)
    figure = knockouts.one_cluster(logits_of(heads, 8), clusters_of(heads), 0, PROMPT, "published", labels=1)
    assert len(drawn(figure)) == knockouts.PANELS
    assert f"first {knockouts.PANELS} of 4 heads" in figure.get_suptitle()


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_effects_lie_where_the_table_says(protocol):
    heads = clusters_of(heads_of())
    points = np.random.default_rng(0).normal(size=(len(heads), len(knockouts.COMPONENTS)))
    table = heads.assign(**dict(zip(knockouts.COMPONENTS, points.T, strict=True)))
    shares = {effect: [0.5, 0.25] for effect in ("published", *KINDS)}
    figure = knockouts.effects(table, {"explained_variance": shares, "prompts": 64}, protocol)
    names = ["published"] if protocol == "published" else KINDS
    for axes, effect in zip(drawn(figure), names, strict=True):
        np.testing.assert_allclose(axes.collections[0].get_offsets(), table[[f"{effect}_1", f"{effect}_2"]])
        colours = axes.collections[0].get_facecolors()[:, :3]
        np.testing.assert_allclose(colours, [style.cluster_colour(cluster) for cluster in table["cluster"]])
        assert "50% of variance" in axes.get_xlabel()


def losses_of(heads):
    """Head h costs h / 10 nats; another in its place costs 0.15 throughout."""
    parts = [heads.assign(kind=kind, effect=heads["head"] / 10, standard_error=0.01) for kind in KINDS]
    return pd.concat([*parts, heads.assign(kind="other", effect=0.15, standard_error=0.01)], ignore_index=True)


def points_of(axes, marker):
    found = np.concatenate([line.get_xydata() for line in axes.get_lines() if line.get_marker() == marker])
    return found[np.argsort(found[:, 0])]


def test_losses(tmp_path):
    heads = heads_of()
    figure = knockouts.loss_without(losses_of(heads), clusters_of(heads), 128)
    assert len(figure.axes) == 3
    for axes in figure.axes:
        points = points_of(axes, "o")
        assert points[:, 0].tolist() == list(range(8))
        np.testing.assert_allclose(points[:, 1], [0.1, 0.1, 0, 0, 0.3, 0.3, 0.2, 0.2])  # costliest first in a cluster
    np.testing.assert_allclose(points_of(figure.axes[0], "D")[:, 1], 0.15)
    assert [label.get_text() for label in figure.axes[-1].get_xticklabels()] == ["0", "1"]
    assert figure.get_suptitle().startswith(
        "6 of 8 heads are worth something; for 4, another head in the place costs more"
    )
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
