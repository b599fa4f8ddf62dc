"""Table 1, Figures 1 to 7, consensus and partners: what is drawn is what was given, and nothing is cut."""

import numpy as np
import pandas as pd
import pytest

from drawn_figures import distances_of, drawn_texts, heads_of, maps_of
from headatlas.attention.packing import first_prompts, places
from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.studies.phrenology import head_tables, knn_graph, resolution_search
from headatlas.studies.phrenology.correspondence import kinds
from headatlas.studies.phrenology.figures import (
    attention_maps,
    autoencoders,
    clusters,
    correspondence,
    embedded_distances,
    matrix,
    resolutions,
)
from planted import planted_heads

NAMES = {0: "previous token", 1: "low entropy, low previous token repeated", 2: "mixed"}


def networks_of(protocol, widths=(2, 64), alone=False):
    splits = ("fit",) if protocol == "published" else ("fit", "prompts") if alone else ("fit", "prompts", "member")
    rows = [
        {
            "method": method,
            "width": width,
            "seed": seed,
            "layers": 14,
            "parameters": 50000 + width,
            "split": split,
            "mse": 0.01 / width + 0.001 * seed + 0.0001 * splits.index(split),
            "observations": 205,
            "aic": 1e5 / width,
            "bic": 2e5 / width,
            "chosen": method == "autoencoder" and width == 64 and seed == 1,
            "protocol": protocol,
        }
        for method, seeds in (("autoencoder", (0, 1)), ("pca", (-1,)))
        for width in widths
        for seed in seeds
        for split in splits
        if method == "autoencoder" or protocol == "corrected"
    ]
    return pd.DataFrame(rows)


def figure_1():
    query, key = places(6, "lower")
    generator = np.random.default_rng(0)
    importance = pd.DataFrame({"query": query, "key": key, "mse": generator.random(21) * 1e-3, "untouched": 1e-4})
    first, second = (a.ravel() for a in np.meshgrid(np.linspace(0, 1, 5), np.linspace(-1, 0, 5), indexing="ij"))
    decoded = [
        {"rank": rank, "query": query[rank], "key": key[rank], "first": a, "second": b, "weight": a + rank}
        for rank in range(12)
        for a, b in zip(first, second, strict=True)
    ]
    return importance, pd.DataFrame(decoded)


def searched(members=4, models=1):
    """Heads placed on planes, both graphs' edges, groups, the published search and what Figure 4 knows of it."""
    heads = heads_of(models=models, members=members)
    rng = np.random.default_rng(1)
    points = rng.normal(0, 0.3, (len(heads), 5, 3)) + heads["head"].to_numpy()[:, None, None]
    labels = head_tables.member_labels(heads)
    graph, distances = knn_graph.euclidean_graph(points, 3, weight="affinity")
    criterion = resolution_search.criterion_of(labels)
    draws, chosen = [], {}
    for leiden in ("published", "converged"):
        search = resolution_search.resolution_search(
            graph, labels, 30, converged=leiden == "converged", distances=distances
        )
        draws.append(search.draws.assign(leiden=leiden))
        chosen[leiden] = search.best(criterion)
    facts = {leiden: resolution_search.facts_of(choice) for leiden, choice in chosen.items()}
    facts |= {"leiden": "converged", "criterion": criterion}
    if members > 1:
        facts["null"] = {"null_mean": 0.5, "null_95": 0.6}
    laid = heads.assign(**{name: rng.normal(size=len(heads)) for name in ("map_1", "map_2", "graph_1", "graph_2")})
    own = kinds.by_size(chosen["converged"].labels)
    return laid, knn_graph.edge_table(graph), own, pd.concat(draws, ignore_index=True), facts


SEARCHES = {"four members": searched(), "one member": searched(1, 1), "two models": searched(2, 2)}
PLATEAUS = pd.DataFrame(
    {
        "kinds": [1, 2, 3, 12],
        "low": [0.01, 0.05, 0.6, 3.0],
        "high": [0.05, 0.6, 3.0, 5.0],
        "length": np.log([5.0, 12.0, 5.0, 1.67]),
        "chosen": [False, True, False, False],
        "rival": [False, False, True, False],
    }
)
CONTINUUM = {"length": 2.48, "p": 0.005, "continua": 199}


def stability_of(what, groups):
    rows = [(what, group, r, 0.8, 0.6, 1.0) for group in range(groups) for r in ("prompts", "members")]
    return pd.DataFrame(rows, columns=["what", "group", "resampling", "jaccard", "low", "high"])


def correspondence_figures():
    for are_kinds in (True, False):
        lengths = np.random.default_rng(0).gamma(4, 0.3, 199)
        facts = CONTINUUM | {"are_kinds": are_kinds}
        yield f"4 corrected {are_kinds}", lambda f=facts, v=lengths: correspondence.number_of_kinds(PLATEAUS, v, f)
    for name, sizes in {
        "small": (1, 4, 1, 4),
        "nine": (1, 9, 1, 8),
        "layers": (1, 3, 12, 12),
        "models": (2, 2, 1, 4),
        "one": (1, 1, 1, 8),
    }.items():
        heads = heads_of(*sizes)
        far = distances_of(heads)
        alone = len(heads[["model", "member"]].drop_duplicates()) == 1
        groups = np.full(len(heads), -1) if alone else (heads["layer"] * sizes[3] + heads["head"]).to_numpy()
        kind = heads["head"].to_numpy() % 2
        yield f"7 {name}", lambda h=heads, d=far, k=kind, g=groups: correspondence.ordered_distances(h, d, k, g, False)
        partners = heads.assign(group=groups, tie=np.where(groups % 2, 0, -1), distance_to_partners=far.mean(0))
        stability = stability_of("partner", groups.max() + 1)
        yield f"partners {name}", lambda p=partners, s=stability: correspondence.groups_of_partners(p, s, NAMES)
        what = ["kind"] if alone else ["candidate", "partner"]
        shared = {each: np.where(kind[:, None] == kind, 0.9, 0.1) for each in what}
        agreement = pd.DataFrame({"what": np.repeat(what, 2), "resampling": ["prompts", "members"] * len(what)})
        agreement["ari"] = 0.8
        own = {"kind": kind, "candidate": kind, "partner": groups}
        yield (
            f"consensus {name}",
            lambda h=heads, s=shared, g=own, a=agreement: correspondence.shared_groups(h, s, g, a),
        )


def every_figure():
    for protocol in ("published", "corrected"):
        for alone in (True, False):
            rows = autoencoders.table1(networks_of(protocol, alone=alone), protocol)
            draw = autoencoders.draw_table1 if protocol == "published" else autoencoders.errors_by_width
            yield f"table 1 {protocol} {alone}", lambda r=rows, d=draw: d(r, 2)
        importance, decoded = figure_1()
        for width in (2, 64):
            yield (
                f"1 {protocol} {width}",
                lambda p=protocol, w=width, i=importance, d=decoded: autoencoders.decoded_pairs(i, d, p, w),
            )
    heads = heads_of()
    far = distances_of(heads)
    yield "2 published", lambda: embedded_distances.embedded_distances(heads, far, 2)
    yield "2 corrected", lambda: embedded_distances.embedded_distances(heads, far, 64, jensen_shannon=far / 9)
    packed = np.random.default_rng(0).random((12, 8, 21))
    split = np.arange(12) // 5
    yield "6", lambda: attention_maps.pair_weights(packed, places(6, "lower"), split, NAMES)
    means = np.tril(np.random.default_rng(0).random((12, 6, 6)))
    yield "6 means", lambda: attention_maps.mean_patterns(means, split, NAMES, True)
    even = np.ones((12, 6, 6)) / 6
    yield "6 means of many", lambda: attention_maps.mean_patterns(even, np.arange(12) // 2, {}, False)
    for name, (laid, edges, own, draws, facts) in SEARCHES.items():
        for protocol in ("published", "corrected"):
            yield (
                f"3 {name} {protocol}",
                lambda a=laid, e=edges, o=own, p=protocol: clusters.neighbour_graph(a, e, o, NAMES, p, 8),
            )
        yield f"4 {name}", lambda d=draws, f=facts: resolutions.resolution(d, f)
        for filled in (True, False):
            yield (
                f"5 {name} {filled}",
                lambda a=laid, o=own, f=filled: clusters.groups_on_plane(a, o, NAMES, "title", ("x", "y"), f),
            )
    yield from correspondence_figures()


FIGURES = dict(every_figure())


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_cut_off(name, monkeypatch):
    figure = FIGURES[name]()
    page = figure.bbox
    for text, box in drawn_texts(figure, monkeypatch):
        assert box.x0 >= page.x0 - 1, text
        assert box.y0 >= page.y0 - 1, text
        assert box.x1 <= page.x1 + 1, text
        assert box.y1 <= page.y1 + 1, text


def test_table_1_averages_over_seeds_and_keeps_the_splits_apart():
    rows = autoencoders.table1(networks_of("corrected"), "corrected").set_index("width")
    assert rows["chosen"].tolist() == [False, True]
    assert rows.loc[2, "mse_fit"] == pytest.approx(0.005 + 0.0005)
    assert rows.loc[2, "mse_member"] == pytest.approx(0.005 + 0.0005 + 0.0002)
    assert rows.loc[64, "pca_prompts"] == pytest.approx(0.01 / 64 - 0.001 + 0.0001)
    assert "mse_member" not in autoencoders.table1(networks_of("corrected", alone=True), "corrected")
    with pytest.raises(InputError, match="published or corrected"):
        autoencoders.table1(networks_of("corrected"), "published")


def test_figure_1_shows_the_rise_and_the_decoded_grid():
    importance, decoded = figure_1()
    figure = autoencoders.decoded_pairs(importance, decoded, "corrected", 2)
    (rise,) = maps_of(figure, (6, 6))
    assert np.isnan(rise[0, 1])
    assert np.nanmax(rise) == 1
    assert rise[5, 5] == pytest.approx((importance["mse"].iloc[-1] - 1e-4) / (importance["mse"] - 1e-4).max())
    grids = maps_of(figure, (5, 5))
    assert len(grids) == 12
    assert grids[3][0].tolist() == pytest.approx([3, 3.25, 3.5, 3.75, 4])


def test_mean_patterns_are_the_groups_and_say_what_stays_at_the_current_token():
    sharp, broad = np.eye(4), np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]
    figure = attention_maps.mean_patterns(np.stack([sharp, broad, sharp]), [0, 1, 0], {}, True)
    first, second = maps_of(figure, (4, 4))
    seen = np.tri(4, dtype=bool)
    np.testing.assert_allclose(first[seen], sharp[seen])
    np.testing.assert_allclose(second[seen], broad[seen])
    assert np.isnan(first[~seen]).all()
    lines = {line.get_label(): line.get_ydata() for axes in figure.axes for line in axes.lines}
    np.testing.assert_allclose(lines["group 0"], [1, 0, 0, 0])
    np.testing.assert_allclose(lines["group 1"], lines["uniform head"])
    assert "1.00 (heads 1.00 to 1.00) in group 0, 0.52 (heads 0.52 to 0.52) in group 1" in figure.finding


def test_rows_of_figure_6_stand_cluster_by_cluster():
    packed = np.arange(4.0)[:, None, None] * np.ones((4, 3, 21)) / 4
    figure = attention_maps.pair_weights(packed, places(6, "lower"), [1, 0, 1, 0], NAMES)
    (image,) = maps_of(figure, (12, 21))
    assert image[:, 0].tolist() == [0.25] * 3 + [0.75] * 3 + [0] * 3 + [0.5] * 3


def test_first_prompts_come_head_by_head(tmp_path):
    patterns, _, _ = planted_heads(types=2, members=2, prompts=4, size=3)  # (head, prompt, entry)
    index = np.indices((2, 2, 4)).reshape(3, -1).astype(np.int32)
    shuffled = np.random.default_rng(0).permutation(16)
    columns = dict(zip(("member", "head", "prompt"), index[:, shuffled], strict=True))
    columns |= {"layer": np.zeros(16, np.int32), "pattern": patterns.reshape(16, -1)[shuffled]}
    tables.write(tmp_path / "p.parquet", columns, facts={"prompts": 4})
    np.testing.assert_array_equal(first_prompts(tmp_path / "p.parquet", 3), patterns[:, :3])
    np.testing.assert_array_equal(first_prompts(tmp_path / "p.parquet", 9), patterns)


def test_places_of_entries():
    assert [part.tolist() for part in places(3, "lower")] == [[0, 1, 1, 2, 2, 2], [0, 0, 1, 0, 1, 2]]
    assert [part.tolist() for part in places(2, "full")] == [[0, 0, 1, 1], [0, 1, 0, 1]]


def test_partners_of_every_member_are_drawn_with_their_distance():
    heads = heads_of(members=3)
    groups = heads["head"].to_numpy()
    away = np.arange(len(heads)) / 10
    figure = correspondence.groups_of_partners(
        heads.assign(group=groups, tie=-1, distance_to_partners=away), stability_of("partner", 4), {}
    )
    (drawn,) = maps_of(figure, (4, 3))
    np.testing.assert_allclose(np.sort(drawn.ravel()), away)
    np.testing.assert_allclose(drawn[0], away[groups == 0])  # the nearest group first


def test_figure_7_orders_heads_by_kind_and_leaves_the_diagonal_out():
    heads, kind = heads_of(), np.array([0, 1, 0, 1] * 3)
    far = distances_of(heads)
    left, right = maps_of(correspondence.ordered_distances(heads, far, kind, heads["head"].to_numpy(), True), far.shape)
    assert np.isnan(np.diag(np.ma.filled(left, np.nan))).all()
    order = matrix.clustered_order(far, kind)
    apart = ~np.eye(len(far), dtype=bool)
    np.testing.assert_allclose(np.ma.filled(left, np.nan)[apart], far[np.ix_(order, order)][apart])
    assert not np.array_equal(left[apart], right[apart])


def test_edges_within_groups_that_were_made_of_them_are_held_against_no_chance():
    laid, edges, own, *_ = SEARCHES["four members"]
    figure = clusters.neighbour_graph(laid, edges, own, NAMES, "corrected", 8)
    assert "made for that" in figure.finding
    assert not any("chance" in axes.get_title() for axes in figure.axes)
    assert "chance" not in figure.finding


def test_rivals_of_the_longest_plateau_stand_beside_it():
    figure = correspondence.number_of_kinds(PLATEAUS, np.full(9, 1.0), CONTINUUM | {"are_kinds": True})
    assert "2 groups last longest, over a factor of 12.00 (nearly as long: 3), longer than in" in figure.finding
    figure = correspondence.number_of_kinds(
        PLATEAUS.assign(rival=False), np.full(9, 1.0), CONTINUUM | {"are_kinds": True}
    )
    assert "nearly as long" not in figure.finding


def test_the_number_of_groups_is_written_clear_of_the_steps():
    figure = correspondence.number_of_kinds(PLATEAUS, np.full(9, 1.0), CONTINUUM | {"are_kinds": True})
    figure.draw_without_rendering()
    steps = figure.axes[0]
    labels = [text.get_window_extent() for text in steps.texts]
    assert len(labels) == 2  # the chosen number and its rival
    for low, high, count in PLATEAUS[["low", "high", "kinds"]].to_numpy():
        rise = np.geomspace(max(count - 1, 1), count, 50) if count < 12 else np.geomspace(3, 12, 50)
        along = np.stack([np.geomspace(low, high, 200), np.full(200, count)], axis=1)
        for point in steps.transData.transform(np.concatenate([along, np.stack([np.full(50, low), rise], axis=1)])):
            assert not any(box.contains(*point) for box in labels), f"the step of {count:.0f} groups runs through words"
