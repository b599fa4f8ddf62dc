"""Figures and findings of the study of joint embeddings draw and say what the tables hold."""

import numpy as np
import pandas as pd
import pytest

from drawn_figures import drawn_texts, maps_of
from headatlas.attention.queries_keys import LayerVectors
from headatlas.base.errors import InputError
from headatlas.plotting import style
from headatlas.studies.attentionviz import attended_keys, embedding_variants, findings, key_scaling
from headatlas.studies.attentionviz.figures import comparisons, global_views, joint_embeddings
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


def attended_by(place):
    queries, keys = TABLES["vectors"][place]
    seen = key_scaling.visible(REAL, True)[0]
    return attended_keys.most_attended(queries[0], keys[0], seen, 0.5)


def test_arrows_go_from_queries_to_the_keys_that_they_attend_to_most(mapped):
    maps, quality, _ = mapped
    attended, (queries, keys) = attended_by(1), TABLES["vectors"][1]
    assert 0 < len(attended) <= 15
    assert attended["query"].nunique() <= 5
    for row in attended.itertuples():
        weights = np.exp(0.5 * keys[0][: row.query + 1] @ queries[0][row.query])
        weights /= weights.sum()
        assert row.weight == pytest.approx(weights[row.key], rel=1e-5)
        assert row.weight > 1 / (row.query + 1)  # a query that sees all alike has no arrow
    strongest = attended.groupby("query").head(1)
    for row in strongest.itertuples():
        assert row.key == np.argmax(keys[0][: row.query + 1] @ queries[0][row.query])
    names = [f"t{position}" for position in range(SIZE)]
    figure = joint_embeddings.scaled_embeddings(maps, quality, "corrected", 1, attended, names)
    large = figure.axes[0]
    (arrows,) = (found for found in large.collections if hasattr(found, "U"))
    one = maps[(maps["head"] == 1) & (maps["protocol"] == "corrected") & ~maps["exact"] & (maps["prompt"] == 0)]
    mark = quality.query("head == 1 and protocol == 'corrected' and chosen")["c"].item()
    one = one[one["c"] == mark].set_index(["kind", "position"])[["component_1", "component_2"]]
    for place, row in enumerate(attended.itertuples()):
        start, end = one.loc["query", row.query], one.loc["key", row.key]
        np.testing.assert_allclose(arrows.get_offsets()[place], start, rtol=1e-6)
        np.testing.assert_allclose([arrows.U[place], arrows.V[place]], end - start, rtol=1e-5, atol=1e-6)
    assert large.texts  # tokens at the ends of arrows, where there is room
    for text in large.texts:
        (kind,) = (kind for kind in ("query", "key") if text.get_color() == getattr(joint_embeddings, kind.upper()))
        position = int(text.get_text()[1:])
        assert position in attended[kind].to_numpy()
        np.testing.assert_allclose(text.xy, one.loc[kind, position], rtol=1e-6)
    published = joint_embeddings.scaled_embeddings(maps, quality, "published", 1, attended)
    assert not any(axes.texts for axes in published.axes)


def every_figure(mapped):
    maps, quality, relation = mapped
    for protocol in ("published", "corrected"):
        yield f"fig01 {protocol}", joint_embeddings.joint_embedding(maps, quality, relation, protocol)
        yield f"fig02 {protocol}", joint_embeddings.scale_maps(TABLES["scales"], protocol)
        yield f"fig04 {protocol}", joint_embeddings.scaled_embeddings(maps, quality, protocol, 1, attended_by(1))
    for colour in global_views.COLOURS:
        yield f"global {colour}", global_views.global_view(TABLES["maps"], TABLES["constructions"], colour)
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


def test_the_chosen_constant_is_large_and_framed_and_the_best_is_bold(mapped):
    maps, quality, _ = mapped
    figure = joint_embeddings.scaled_embeddings(maps, quality, "corrected", 0)
    assert figure.axes[0].get_title().endswith("(chosen)")
    bold = [axes.xaxis.label.get_text() for axes in figure.axes if axes.xaxis.label.get_fontweight() == "bold"]
    best = quality.query("head == 0 and protocol == 'corrected'")["spearman"].max()
    assert [text.split("\n")[0] for text in bold] == [f"Spearman {best:.2f}"]
    framed = [axes for axes in figure.axes if axes.spines["left"].get_linewidth() > 1 and axes.get_title()]
    mark = quality.query("head == 0 and protocol == 'corrected' and chosen")["c"].item()
    assert [axes.get_title() for axes in framed] == [f"c = {mark:.3g} (chosen)"]
    exact = [axes.get_title() for axes in figure.axes if axes.get_title().startswith("exact")]
    assert len(exact) == 1


def test_global_view_draws_heads_from_the_worst_shown_to_the_best_by_the_most_trusted_kind_of_map():
    figure = global_views.global_view(TABLES["maps"], TABLES["constructions"])
    *stamps, below = (axes for axes in figure.axes if axes.axison)
    trust = TABLES["constructions"].query("construction == 'closed form' and method == 'pca'").sort_values("spearman")
    for letter, axes, row in zip("abc", stamps, trust.itertuples(), strict=True):
        assert axes.get_title() == f"({letter}) h{row.head}: {row.spearman:.2f}"
        points = np.concatenate([dots.get_offsets() for dots in axes.collections])
        own = TABLES["maps"].query(f"head == {row.head} and method == 'pca'")[["component_1", "component_2"]]
        np.testing.assert_allclose(np.sort(points, 0), np.sort(own, 0), rtol=1e-6)
    every, drawn = (np.asarray(dots.get_offsets()) for dots in below.collections)
    np.testing.assert_allclose(np.sort(every[:, 0]), trust["spearman"])
    np.testing.assert_allclose(drawn, every)  # of three heads all are drawn
    best = trust.iloc[-1]
    assert f"to {best['spearman']:.2f} (member 0, layer 0, head {best['head']})" in figure.finding
    worse = TABLES["constructions"].query("method == 'pca'").assign(method="umap", trustworthiness=0.5)
    both = pd.concat([TABLES["constructions"], worse], ignore_index=True)
    assert global_views.best_method(both, "closed form") == "pca"
    with pytest.raises(InputError, match="allowed: type, position, part_of_speech"):
        global_views.global_view(TABLES["maps"], TABLES["constructions"], "size")


def planted_map(points=200, seed=0):
    """Points of one head at random places: as many queries as keys, every token once as each."""
    place = np.random.default_rng(seed).normal(0, 1, (2 * points, 2))
    token = np.tile(np.arange(points), 2)
    columns = {"prompt": token // 10, "position": token % 10, "normalised_position": token % 10 / 9}
    tags = np.where(token % 3 == 0, "NOUN", "VERB")
    kinds = np.repeat(["query", "key"], points)
    return pd.DataFrame({"kind": kinds, **columns, "component_1": place[:, 0], "component_2": place[:, 1], "tag": tags})


@pytest.mark.parametrize(("colour", "by_chance"), [("type", 0.5), ("position", 0.0), ("part_of_speech", 5 / 9)])
def test_neighbours_tell_what_was_planted_and_nothing_where_places_are_random(colour, by_chance):
    maps = planted_map()
    told, chance = global_views.told_by_neighbours(maps, colour)
    assert chance == pytest.approx(by_chance, abs=0.01)
    assert told == pytest.approx(chance, abs=0.12)
    planted = {
        "type": 100.0 * (maps["kind"] == "key"),
        "position": 100.0 * maps["position"],
        "part_of_speech": 100.0 * (maps["tag"] == "NOUN"),
    }[colour]
    told, _ = global_views.told_by_neighbours(maps.assign(component_1=maps["component_1"] + planted), colour)
    assert told == pytest.approx(0.0 if colour == "type" else 1.0, abs=0.01)


def test_a_token_is_no_neighbour_of_itself():
    maps = planted_map()
    own = maps.groupby(["prompt", "position"])[["component_1", "component_2"]].transform("first")
    maps[["component_1", "component_2"]] = own  # query and key of each token at one place, tokens at random
    assert global_views.told_by_neighbours(maps, "position")[0] == pytest.approx(0.0, abs=0.2)


def test_heads_of_too_few_points_are_not_asked():
    assert np.isnan(global_views.told_by_neighbours(planted_map(10), "type")).all()


@pytest.mark.parametrize(("change", "clause"), [(1e-7, "scaling leave it alone"), (0.5, "scaling not")])
def test_invariance_says_which_changes_are_beyond_rounding(change, clause):
    figure = comparisons.invariances(pd.DataFrame({"change": ["scaling"] * 3, "difference": [change] * 3}))
    assert clause in " ".join(figure.get_suptitle().split())


def test_scales_say_for_how_many_heads_they_are_undetermined():
    scales = TABLES["scales"].copy()
    ours = scales["protocol"] == "corrected"
    scales.loc[ours, "undetermined"] = False
    one = ours & (scales["criterion"] == "weighted_correlation_scaled") & (scales["head"] == 1)
    scales.loc[one, "undetermined"] = True
    said = " ".join(joint_embeddings.scale_maps(scales, "corrected").get_suptitle().split())
    assert "undetermined for 0 and 1 of 3 heads" in said
    closed = scales.loc[ours & (scales["criterion"] == "closed_form"), "c"]
    assert f"by the closed form they are {closed.min():.2f} to {closed.max():.2f}" in said


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
    assert (
        "with intervals over 3 heads, 95% for the 4 ways together: in the full space published grid" in said
    )  # there is but one member
    assert f"closed form {gain:+.2f} (" in said
    assert "1.00 exact" in said
    assert "Do noun queries attend to pronoun keys? Not shown__: more than positions give in 0 of 3 heads" in said
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
    assert "with intervals over 4 members, 95% for the 4 ways together" in said


CONSTRUCTIONS = ("unscaled", "published grid", "norm ratio", "closed form", "exact")


def judged(means, members=4, heads=5, noise=0.01):
    """Spearman by construction and method, the mean of each given: {method: (five numbers)}."""
    rng, rows = np.random.default_rng(0), []
    for member in range(members):
        for one in range(heads):
            for method, values in means.items():
                for name, value in zip(CONSTRUCTIONS, values, strict=True):
                    rows.append((member, 0, one, name, method, 1.0, value + noise * rng.normal(), 0.01, 0.9))
    columns = ["member", "layer", "head", "construction", "method", "c", "spearman", "standard_error"]
    return pd.DataFrame(rows, columns=[*columns, "trustworthiness"])


def closeness(means, **sizes):
    return findings.text({"family": TABLES | {"constructions": judged(means, **sizes)}})


@pytest.mark.parametrize("members", [1, 2, 4])
def test_every_way_of_scaling_is_asked_and_all_that_help_are_named(members):
    """The ratio of norms alone helps everywhere; then two; then none, for what gains in the space loses on the map."""
    said = closeness({"space": (0.5, 0.5, 0.7, 0.5, 0.5), "pca": (0.5, 0.5, 0.6, 0.5, 0.5)}, members=members)
    assert "**'norm ratio' helps wherever one looks.**" in said
    said = closeness({"space": (0.5, 0.5, 0.7, 0.7, 1.0), "pca": (0.5, 0.5, 0.6, 0.6, 0.3)}, members=members)
    assert "**'norm ratio' and 'closed form' help wherever one looks.**" in said
    said = closeness({"space": (0.5, 0.7, 0.5, 0.5, 0.5), "pca": (0.5, 0.3, 0.5, 0.5, 0.5)}, members=members)
    assert "__That a way of scaling helps wherever one looks is not shown.__" in said
    assert "nan" not in said


def test_no_way_of_scaling_helps_where_all_are_alike():
    named = 0
    for seed in range(60):
        table = judged({"space": (0.5,) * 5})
        table["spearman"] = np.random.default_rng(seed).normal(0.5, 0.1, len(table))
        gains = findings._gains(findings._by_head(table, "space"))
        named += any(low > 0 for _, low, _ in gains.values())
    assert named <= 5  # one family in forty may, for whichever way


@pytest.mark.parametrize(
    ("grid", "said"),
    [(0.9, "it is not the best: 0.70 against 0.90 of 'published grid'"), (0.5, "it is the best: 0.70"), (0.7, "open")],
)
def test_a_constant_is_called_the_best_only_where_closeness_follows_attention_best(grid, said):
    words = closeness({"space": (0.4, grid, 0.4, 0.7, 1.0), "pca": (0.5,) * 5})
    before = "whether it is the best there is " if said == "open" else ""
    assert f"By the rank correlation of closeness with attention {before}{said}" in words
    assert "best constant" not in words


def test_constants_are_close_to_one_only_where_they_are():
    scales = TABLES["scales"]
    closed = (scales["protocol"] == "corrected") & (scales["criterion"] == "closed_form")

    def said(*constants):
        given = scales.assign(c=scales["c"].mask(closed, pd.Series(constants, scales.index[closed])))
        return findings.text({"three": TABLES | {"scales": given}})

    assert "opposed most at constants close to 0.95**, between 0.90 and 1.00" in said(0.9, 0.95, 1.0)
    assert "opposed most at constants that differ from head to head**, between 0.30 and 2.00" in said(0.3, 0.95, 2.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            (1e-7, 1e-7, 0.9),
            "Scaling queries against keys and shifting keys leave attention alone, shifting queries does not",
        ),
        ((1e-7, 1e-7, 1e-6), "Scaling queries against keys, shifting keys and shifting queries leave attention alone"),
        (
            (0.1, 1e-7, 0.9),
            "Shifting keys leaves attention alone, scaling queries against keys and shifting queries do not",
        ),
        ((0.1, 0.2, 0.9), "Scaling queries against keys, shifting keys and shifting queries change attention"),
        (
            (np.nan, 1e-7, 1e-7),
            "Shifting keys and shifting queries leave attention alone, scaling queries against keys does not",
        ),
    ],
)
def test_what_leaves_attention_alone_is_read_from_its_changes(changes, said):
    table = TABLES["invariance"].groupby("change", sort=False).head(1).assign(difference=changes)
    assert f"**{said}.**" in findings.text({"one": TABLES | {"invariance": table}})


def test_findings_and_figures_stand_missing_constants():
    vectors = TABLES["vectors"]
    _, scales = chosen(vectors, minimum=10_000)
    table, maps = compared(vectors, scales)
    said = findings.text({"few": TABLES | {"scales": scales, "constructions": table}})
    assert "A constant in closed form is not available for any head" in said
    assert "undetermined for 3 of 3 heads" in said
    assert maps.empty
    assert comparisons.construction_scores(table).axes
    figure = global_views.global_view(embedding_variants.annotate(maps, np.zeros((1, 1)), REAL), table)
    assert not figure.axes
    assert "No constant was found for any of 3 heads" in " ".join(figure.texts[0].get_text().split())
