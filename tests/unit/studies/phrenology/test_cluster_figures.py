"""Table 1, Figures 1 to 6 and the page on which clusters stand: what is drawn is what was given, and nothing is cut."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from drawn_figures import distances_of, drawn_texts, heads_of, maps_of
from headatlas.attention.packing import first_prompts, places
from headatlas.base import tables
from headatlas.base.errors import InputError
from headatlas.plotting import style
from headatlas.studies.phrenology import cluster_report, knn_graph, resolution_search
from headatlas.studies.phrenology.cluster_labels import head_cards
from headatlas.studies.phrenology.clustering import graph_builder, search_settings
from headatlas.studies.phrenology.figures import autoencoders, clusters
from headatlas.studies.phrenology.figures.cluster_report import clusters_stand
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
    heads = heads_of(models=models, members=members)
    rng = np.random.default_rng(1)
    points = rng.normal(0, 0.3, (len(heads), 5, 3)) + heads["head"].to_numpy()[:, None, None]
    labels = heads.groupby(["model", "member"], sort=False).ngroup().to_numpy()
    build, settings = graph_builder(labels, "corrected"), search_settings(labels, "corrected", draws=30)
    graph, distances = build(points)
    search = settings(graph, labels, distances)
    best = search.best(settings.criterion)
    profile, _ = resolution_search.exact_profile(graph, labels, search=search, distances=distances)
    own = pd.factorize(best.labels)[0]
    far = np.abs(distances) / distances.max()
    permutations = {"labels": 19, "heads": 3}
    found = cluster_report.judge(
        points, labels, own, search, build, settings, far, permutations=permutations, resamples=2
    )
    on_plane = {f"{kind}_{i}": rng.normal(size=len(heads)) for kind in ("umap", "graph") for i in (1, 2)}
    chosen = {"criterion": settings.criterion, "resolution": best.resolution}
    return heads.assign(**on_plane), knn_graph.edge_table(graph), own, search, profile, chosen, found


SEARCHES = {"four members": searched(), "one member": searched(1, 1), "two models": searched(2, 2)}


def every_figure():
    for protocol in ("published", "corrected"):
        for alone in (True, False):
            rows = autoencoders.table1(networks_of(protocol, alone=alone), protocol)
            yield f"table 1 {protocol} {alone}", lambda r=rows, p=protocol: autoencoders.draw_table1(r, p, 2, 205)
        importance, decoded = figure_1()
        for width in (2, 64):
            yield (
                f"1 {protocol} {width}",
                lambda p=protocol, w=width, i=importance, d=decoded: autoencoders.decoded_pairs(i, d, p, w),
            )
    heads = heads_of()
    far = distances_of(heads)
    yield "2 published", lambda: clusters.embedded_distances(heads, far, 2)
    yield "2 corrected", lambda: clusters.embedded_distances(heads, far, 64, jensen_shannon=far / 9)
    packed = np.random.default_rng(0).random((12, 8, 21))
    split = np.arange(12) // 5
    yield "6", lambda: clusters.pair_weights(packed, places(6, "lower"), split, NAMES)
    for name, (laid, edges, own, search, profile, chosen, found) in SEARCHES.items():
        for protocol in ("published", "corrected"):
            yield (
                f"3 {name} {protocol}",
                lambda a=laid, e=edges, o=own, p=protocol: clusters.neighbour_graph(a, e, o, NAMES, p, 8),
            )
            yield (
                f"4 {name} {protocol}",
                lambda s=search, r=profile, c=chosen, p=protocol, f=found: clusters.resolution(
                    s.draws, r, c, p, null=(0.5, 0.6), sizes=f.clusters, names=NAMES
                ),
            )
        yield f"5 {name}", lambda a=laid, o=own: clusters.clusters_on_plane(a, o, NAMES, 1.5)
        yield f"page {name}", lambda f=found: clusters_stand(f.nulls, f.draws, f.clusters, NAMES, f.sentences[0])


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
    scale = rise[5, 5] / (importance["mse"].iloc[-1] - 1e-4)
    assert np.log10(scale) == pytest.approx(round(np.log10(scale)))
    grids = maps_of(figure, (5, 5))
    assert len(grids) == 12
    assert grids[3][0].tolist() == pytest.approx([3, 3.25, 3.5, 3.75, 4])


def test_rows_of_figure_6_stand_cluster_by_cluster():
    packed = np.arange(4.0)[:, None, None] * np.ones((4, 3, 21)) / 4
    figure = clusters.pair_weights(packed, places(6, "lower"), [1, 0, 1, 0], NAMES)
    (image,) = maps_of(figure, (12, 21))
    assert image[:, 0].tolist() == [0.25] * 3 + [0.75] * 3 + [0] * 3 + [0.5] * 3


def test_a_cluster_has_one_colour_of_its_own():
    colours = [style.cluster_colour(cluster) for cluster in range(27)]
    assert len(set(colours)) == 27
    assert colours[0] == to_rgb("#4477AA")


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


def test_a_card_holds_what_is_known_of_a_head():
    heads = pd.DataFrame({"model": "m", "member": [0, 0], "layer": 0, "head": [0, 1]})
    both = pd.concat(
        [heads.assign(protocol="corrected", cluster=[1, 0]), heads.assign(protocol="published", cluster=0)]
    )
    names = {"corrected": pd.DataFrame({"cluster": [0, 1], "name": ["a", "b"]})}
    names["published"] = pd.DataFrame({"cluster": [0, 0], "name": ["c", "c"]})
    scores = pd.concat([heads.assign(score=s, value=[v, -v]) for s, v in (("entropy", 2.0), ("induction", 3.0))])
    stability = heads.assign(consensus=[0, 0], share=[0.5, 0.25])
    standing = pd.DataFrame({"cluster": [0, 1], "stands": [True, False]})
    cards = head_cards(both, names, scores, stability, standing)
    assert cards["name"].tolist() == ["b", "a"]
    assert cards["published_name"].tolist() == ["c", "c"]
    assert cards["stands"].tolist() == [False, True]
    assert cards["induction"].tolist() == [3.0, -3.0]
    assert cards["share"].tolist() == [0.5, 0.25]
