"""One network serves the whole of Figures 1, 2, 3 and 5: what it is chosen by, and that nothing comes from another."""

from dataclasses import replace

import numpy as np
import pytest

from headatlas.studies.phrenology import autoencoder_protocols
from headatlas.studies.phrenology.autoencoder import AutoencoderSettings
from planted import planted_heads

SETTINGS = AutoencoderSettings(widths=(2, 4, 64), seeds=(3, 4), epochs=2, batch=64, learning_rate=1e-3, rows=None)


@pytest.fixture(scope="module", params=["published", "corrected"])
def found(request):
    patterns, members, _ = planted_heads(types=3, members=3, prompts=30, size=6)
    return (
        request.param,
        patterns,
        autoencoder_protocols.compress(patterns, members, 6, "lower", request.param, SETTINGS, 0.2),
    )


def test_long_prompts_are_fewer():
    assert autoencoder_protocols.prompts_within(64_000_000, (72, 1024, 136), 16) == 1024  # all
    assert autoencoder_protocols.prompts_within(64_000_000, (32, 1024, 2080), 64) == 488
    assert autoencoder_protocols.prompts_within(64_000_000, (5000, 1024, 8256), 128) == 8
    assert autoencoder_protocols.prompts_within(None, (5000, 1024, 8256), 128) == 1024


def test_widths_that_compress_nothing_are_left_out(found):
    _, _, result = found
    assert set(result.table["width"]) == {2, 4}
    assert autoencoder_protocols.compressing(replace(SETTINGS, widths=(64,)), 10) == (8,)


def test_one_network_is_chosen_by_the_protocols_criterion(found):
    protocol, _, result = found
    networks = result.table[result.table["method"] == "autoencoder"]
    chosen = networks[networks["chosen"]]
    assert set(zip(chosen["width"], chosen["seed"], strict=True)) == {(result.network.width, result.network.seed)}
    split, criterion = ("fit", "aic") if protocol == "published" else ("member", "bic")
    judged = networks[networks["split"] == split]
    assert judged.groupby("width")[criterion].mean().idxmin() == result.network.width
    of_width = judged[judged["width"] == result.network.width]
    assert of_width.loc[of_width["mse"].idxmin(), "seed"] == result.network.seed


def test_figure_1_and_the_embedding_are_of_that_network(found):
    protocol, patterns, result = found
    entries = 36 if protocol == "published" else 21
    whole = np.zeros((*patterns.shape[:2], 6, 6), dtype=np.float32)
    rows, columns = np.tril_indices(6)
    whole[..., rows, columns] = patterns
    seen = whole.reshape(*patterns.shape[:2], 36) if protocol == "published" else patterns
    code = result.network.encode(seen[4, 7:8])
    np.testing.assert_allclose(result.embedding[4, 7], code[0], atol=1e-6)
    assert result.importance[["query", "key"]].to_numpy().tolist() == np.column_stack([rows, columns]).tolist()
    assert (result.importance["entry"] < entries).all()
    top = result.importance.sort_values("mse", ascending=False).iloc[0]
    first = result.decoded[result.decoded["rank"] == 0]
    assert len(first) == autoencoder_protocols.POINTS**2
    assert len(result.decoded) == autoencoder_protocols.PAIRS * autoencoder_protocols.POINTS**2
    assert (first["query"] == top["query"]).all()
    assert (first["key"] == top["key"]).all()
    if result.network.width == 2:
        point = first.iloc[7]
        drawn = result.network.decode([[point["first"], point["second"]]])[0]
        assert point["weight"] == pytest.approx(drawn[int(top["entry"])], abs=1e-6)


def test_an_entry_that_is_always_the_same_matters_to_nobody_when_permuted():
    patterns, members, _ = planted_heads(types=3, members=3, prompts=30, size=6)
    result = autoencoder_protocols.compress(patterns, members, 6, "lower", "corrected", SETTINGS, 0.2)
    first = result.importance.iloc[0]  # the first query has one key: its attention is always 1
    assert (first["query"], first["key"]) == (0, 0)
    assert first["mse"] == pytest.approx(first["untouched"], rel=1e-5)
