"""Figures and findings of the study of joint embeddings draw and say what the tables hold."""

import numpy as np
import pandas as pd
import pytest

from drawn_figures import drawn_texts, maps_of
from headatlas.attention.queries_keys import LayerVectors
from headatlas.base.errors import InputError
from headatlas.plotting import style
from headatlas.studies.attentionviz import embedding_variants, findings, key_scaling
from headatlas.studies.attentionviz.figures import comparisons, joint_embeddings
from query_key_heads import PROMPTS, REAL, SIZE, chosen, compared, everything, head
from tagged_heads import measured, tags_of


def tables_of(heads=3):
    vectors = [head(seed, ratio) for seed, ratio in zip(range(heads), (1.0, 4.0, 0.3), strict=False)]
    _, scales = chosen(vectors)
    table, maps = compared(vectors, scales, methods=["pca"])
    tokens = np.arange(PROMPTS * SIZE).reshape(PROMPTS, SIZE)
    tags = np.random.default_rng(0).choice(["NOUN", "PRON", ""], (PROMPTS, SIZE))
    maps = embedding_variants.annotate(maps, tokens, REAL, tags)
    layers = [LayerVectors(0, 0, *(np.stack(part) for part in zip(*vectors, strict=True)))]
    noise = np.random.default_rng(1).normal(0, 1, (heads, *tags_of().shape, tags_of().shape[1]))
    return {
        "scales": scales,
        "constructions": table,
        "maps": maps,
        "invariance": key_scaling.invariances(layers, everything(), 0.4),
        "parts_of_speech": measured(noise, tags_of()),
        "vectors": vectors,
    }


TABLES = tables_of()


def chosen_heads():
    parts = []
    for place in (0, 1):
        queries, keys = TABLES["vectors"][place]
        given = (queries, keys, REAL, True, TABLES["scales"], (0, 0, place))
        parts.append(
            (*embedding_variants.scaled_maps(*given, method="pca", seed=0), embedding_variants.relation(*given))
        )
    return [pd.concat(part, ignore_index=True) for part in zip(*parts, strict=True)]


def test_annotated_maps_say_which_token_each_point_is():
    maps = TABLES["maps"]
    assert (maps["token"] == maps["prompt"] * SIZE + maps["position"]).all()
    assert maps.loc[maps["position"] == SIZE - 1, "normalised_position"].eq(1).all()
    assert maps["normalised_position"].min() == 0


@pytest.fixture(scope="module")
def mapped():
    umap = embedding_variants.PUBLISHED_UMAP.copy()
    embedding_variants.PUBLISHED_UMAP.update(epochs=5)
    try:
        return chosen_heads()
    finally:
        embedding_variants.PUBLISHED_UMAP.clear()
        embedding_variants.PUBLISHED_UMAP.update(umap)


def every_figure(mapped):
    maps, quality, relation = mapped
    for protocol in ("published", "corrected"):
        yield f"fig01 {protocol}", joint_embeddings.joint_embedding(maps, quality, relation, protocol)
        yield f"fig02 {protocol}", joint_embeddings.scale_maps(TABLES["scales"], protocol)
        yield f"fig04 {protocol}", joint_embeddings.scaled_embeddings(maps, quality, protocol, 1)
    for colour in joint_embeddings.COLOURS:
        yield f"global {colour}", joint_embeddings.global_view(TABLES["maps"], TABLES["constructions"], colour)
    yield "constructions", comparisons.construction_scores(TABLES["constructions"])
    yield "invariance", comparisons.invariances(TABLES["invariance"])
    yield "parts of speech", comparisons.attention_between_parts(TABLES["parts_of_speech"])
    many = pd.concat([TABLES["scales"].assign(member=m, layer=n) for m in range(3) for n in range(4)])
    yield "fig02 of several members and layers", joint_embeddings.scale_maps(many, "corrected")


def test_no_text_is_cut_off_and_none_is_unread_mathematics(mapped, monkeypatch):
    for name, figure in every_figure(mapped):
        texts = drawn_texts(figure, monkeypatch)
        page = figure.bbox
        for text, box in texts:
            assert page.x0 <= box.x0 <= box.x1 <= page.x1, (name, text)
            assert page.y0 <= box.y0 <= box.y1 <= page.y1, (name, text)
            assert "$" not in text, (name, text)


def test_missing_constants_are_crossed_out():
    scales = TABLES["scales"].copy()
    row = scales.query("head == 1 and criterion == 'closed_form'").index
    scales.loc[row, "c"] = np.nan
    figure = joint_embeddings.scale_maps(scales, "corrected")
    grid = maps_of(figure, (1, 3))[3]
    assert np.isnan(grid).tolist() == [[False, True, False]]
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["x"]
    with pytest.raises(InputError, match="published or corrected"):
        joint_embeddings.scale_maps(scales, "both")


def test_the_chosen_constant_is_framed(mapped):
    maps, quality, _ = mapped
    figure = joint_embeddings.scaled_embeddings(maps, quality, "corrected", 0)
    framed = [axes for axes in figure.axes if axes.spines["left"].get_linewidth() > 1 and axes.get_title()]
    mark = quality.query("head == 0 and protocol == 'corrected' and chosen")["c"].item()
    assert [axes.get_title() for axes in framed] == [f"c = {mark:.3g} (chosen)"]
    exact = [axes.get_title() for axes in figure.axes if axes.get_title().startswith("exact")]
    assert len(exact) == 1


def test_global_view_has_a_map_for_every_head_and_draws_the_most_trusted_kind():
    figure = joint_embeddings.global_view(TABLES["maps"], TABLES["constructions"])
    queries, keys, frames = figure.axes[0].collections
    points = np.concatenate([queries.get_offsets(), keys.get_offsets()])
    boxes = [path.get_extents() for path in frames.get_paths()]
    inside = [((points > box.min) & (points < box.max)).all(1).sum() for box in boxes]
    assert inside == [len(points) // 3] * 3
    for box in boxes:  # margins of a twenty-seventh are left on every side
        own = points[((points > box.min) & (points < box.max)).all(1)]
        np.testing.assert_allclose((own.min(0) - box.min) / box.size, 0.04 / 1.08, rtol=1e-6)
        np.testing.assert_allclose((box.max - own.max(0)) / box.size, 0.04 / 1.08, rtol=1e-6)
    worse = TABLES["constructions"].query("method == 'pca'").assign(method="umap", trustworthiness=0.5)
    both = pd.concat([TABLES["constructions"], worse], ignore_index=True)
    assert joint_embeddings.best_method(both, "closed form") == "pca"
    with pytest.raises(InputError, match="allowed: type, position, part_of_speech"):
        joint_embeddings.global_view(TABLES["maps"], TABLES["constructions"], "size")


def test_figures_are_written(mapped, tmp_path):
    figure = comparisons.construction_scores(TABLES["constructions"])
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").stat().st_size > 1000


def test_findings_say_the_gains_over_all_heads():
    said = findings.text({"planted": TABLES})
    assert said.startswith("**planted**")
    table = TABLES["constructions"].query("method == 'space'").groupby("construction")["spearman"].mean()
    gain = table["closed form"] - table["unscaled"]
    assert f"{table['closed form']:.2f} closed form" in said
    assert "with 95% intervals over 3 heads: in the full space published grid" in said  # there is but one member
    assert f"closed form {gain:+.2f} (" in said
    assert "1.00 exact" in said
    assert "Do noun queries attend to pronoun keys? No**: more than positions give in 0 of 3 heads" in said
    grid = TABLES["scales"].query("protocol == 'corrected' and criterion == 'weighted_correlation'")
    assert f"undetermined for {grid['undetermined'].sum()} of 3 heads" in said
    untagged = findings.text({"planted": TABLES | {"parts_of_speech": None}})
    assert "no part-of-speech tags" in untagged
    with pytest.raises(InputError, match="at least one"):
        findings.text({})


def test_gains_of_a_family_have_their_interval_over_members():
    generator = np.random.default_rng(0)
    rows = TABLES["constructions"].query("member == 0 and head == 0 and method != 'tsne'")
    heads = [
        rows.assign(member=m, head=h, spearman=rows["spearman"] + generator.normal(0, 0.1, len(rows)))
        for m in range(4)
        for h in range(5)
    ]
    said = findings.text({"family": TABLES | {"constructions": pd.concat(heads)}})
    assert "with 95% intervals over 4 members" in said


def test_findings_and_figures_stand_missing_constants():
    vectors = TABLES["vectors"]
    _, scales = chosen(vectors, minimum=10_000)
    table, maps = compared(vectors, scales)
    said = findings.text({"few": TABLES | {"scales": scales, "constructions": table}})
    assert "The best constant is not available for any head" in said
    assert "undetermined for 3 of 3 heads" in said
    assert maps.empty
    assert comparisons.construction_scores(table).axes
    figure = joint_embeddings.global_view(embedding_variants.annotate(maps, np.zeros((1, 1)), REAL), table)
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["x"] * 3
