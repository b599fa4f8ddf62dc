"""Autoencoders against independent references: networks written out in plain torch, PCA, a planted sheet."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from headatlas.base.errors import InputError
from headatlas.studies.phrenology import autoencoder
from headatlas.studies.phrenology.autoencoder import AutoencoderSettings
from headatlas.studies.phrenology.figures import autoencoders

QUICK = AutoencoderSettings(widths=(2, 4), seeds=(0, 1), epochs=2, batch=32, learning_rate=1e-3, rows=None)


@pytest.fixture(scope="module")
def patterns():
    """Softmax patterns of 6 heads (3 members of 2), 60 prompts, 36 entries, on a sheet of two dimensions."""
    rng = np.random.default_rng(0)
    place = rng.uniform(-1, 1, (6, 60, 2))
    logits = 2 * place @ rng.normal(size=(2, 36))
    return (np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)).astype(np.float32)


MEMBERS = np.repeat([0, 1, 2], 2)


def test_published_aic_reproduces_the_published_column():
    widths = (2, 4, 8, 16, 32, 64)
    mse = (0.003355, 0.003071, 0.002481, 0.001563, 0.000819, 0.000230)
    printed = [f"{value:.2f}" for value in autoencoder.published_aic(mse, widths)]
    assert printed == ["15.39", "19.57", "28.00", "44.92", "78.21", "144.75"]


def test_layer_counts_are_the_published_ones():
    counts = [2 * len(autoencoder.encoder_sizes(256, width)) - 2 for width in (2, 4, 8, 16, 32, 64)]
    assert counts == [14, 12, 10, 8, 6, 4]
    assert autoencoder.encoder_sizes(136, 8) == [136, 128, 64, 32, 16, 8]


def test_parameter_count_counts_the_tensors():
    networks = autoencoder.Autoencoders(136, replace(QUICK, widths=(4,), seeds=(0,)))
    assert autoencoder.parameter_count(136, 4) == sum(tensor.numel() for tensor in networks.parameters())


def test_the_stack_equals_each_network_passed_alone(patterns):
    networks = autoencoder.Autoencoders(36, replace(QUICK, widths=(2, 8, 32), seeds=(3, 5)))
    rows = patterns[:2, :10]  # (seed, row, entry)
    with torch.no_grad():
        together = networks.reconstruct(torch.from_numpy(rows)).numpy()
    for i, width in enumerate((2, 8, 32)):
        for j, seed in enumerate((3, 5)):
            network = networks.network(width, seed)
            h = rows[j]
            layers = network.encoder + network.decoder
            for weight, bias in layers[:-1]:
                h = np.tanh(h @ weight.numpy() + bias.numpy())
            h = h @ layers[-1][0].numpy() + layers[-1][1].numpy()
            np.testing.assert_allclose(together[i, j], h, atol=1e-6)
            np.testing.assert_allclose(network.decode(network.encode(rows[j])), h, atol=1e-6)
            assert network.encode(rows[j]).shape == (10, width)


def test_a_network_equals_itself_trained_alone_by_plain_torch(patterns):
    rows = patterns.reshape(-1, 36)
    together = autoencoder.fit(rows, QUICK).network(4, 1)
    start = autoencoder.Autoencoders(36, replace(QUICK, widths=(4,), seeds=(1,))).network(4, 1)
    modules = []
    for weight, bias in start.encoder + start.decoder:
        linear = torch.nn.Linear(*weight.shape)
        linear.weight.data, linear.bias.data = weight.T.clone(), bias.clone()
        modules += [linear, torch.nn.Tanh()]
    plain = torch.nn.Sequential(*modules[:-1])
    optimiser = torch.optim.Adam(plain.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(1)
    for _ in range(QUICK.epochs):
        for index in torch.randperm(len(rows), generator=generator).split(QUICK.batch):
            optimiser.zero_grad()
            batch = torch.from_numpy(rows)[index]
            torch.nn.functional.mse_loss(plain(batch), batch).backward()
            optimiser.step()
    with torch.no_grad():
        expected = plain(torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(together.decode(together.encode(rows)), expected, atol=1e-5)


def test_same_seed_same_bytes(patterns):
    rows = patterns.reshape(-1, 36)
    first, second = (autoencoder.fit(rows, QUICK).squared_errors(rows) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_two_values_suffice_for_a_sheet_of_two_dimensions(patterns):
    settings = replace(QUICK, widths=(2,), seeds=(0,), epochs=150, batch=32, learning_rate=3e-3)
    table, _ = autoencoder.corrected_table(patterns, MEMBERS, settings, 0.2)
    error = table.set_index(["method", "split"])["mse"]
    variance = patterns.reshape(-1, 36).var(0).mean()
    assert error["autoencoder", "prompts"] < 0.25 * error["pca", "prompts"]
    assert error["autoencoder", "member"] < 0.1 * variance


def test_corrected_table_holds_out_what_it_says(patterns):
    table, networks = autoencoder.corrected_table(patterns, MEMBERS, QUICK, held_out=0.25, held_out_member=1)
    assert set(table["split"]) == {"fit", "prompts", "member"}
    assert table.groupby("split")["observations"].first().to_dict() == {"fit": 45, "member": 15, "prompts": 15}
    changed = patterns.copy()
    changed[MEMBERS == 1] = np.random.default_rng(1).random((2, 60, 36))
    other, _ = autoencoder.corrected_table(changed, MEMBERS, QUICK, held_out=0.25, held_out_member=1)
    same = table["split"] != "member"
    np.testing.assert_array_equal(table["mse"][same], other["mse"][same])
    assert (table["mse"][~same] != other["mse"][~same]).all()
    row = table[(table["method"] == "autoencoder") & (table["split"] == "prompts")].iloc[0]
    rss = row["mse"] * 15 * 36
    assert row["aic"] == pytest.approx(15 * np.log(rss / 15) + 2 * row["parameters"])
    assert row["bic"] == pytest.approx(15 * np.log(rss / 15) + row["parameters"] * np.log(15))
    assert networks.widths == (2, 4)


def test_pca_baseline_equals_scikit_learn(patterns):
    table, _ = autoencoder.corrected_table(patterns, MEMBERS, QUICK, held_out=0.5, seed=4)
    order = np.random.default_rng(4).permutation(60)
    seen = patterns[:4][:, np.sort(order[30:])].reshape(-1, 36)
    unseen = patterns[:4][:, np.sort(order[:30])].reshape(-1, 36)
    pca = PCA(4).fit(seen)
    expected = np.square(pca.inverse_transform(pca.transform(unseen)) - unseen).mean()
    row = table[(table["method"] == "pca") & (table["split"] == "prompts") & (table["width"] == 4)]
    assert row["mse"].item() == pytest.approx(expected, rel=1e-3)


def test_published_table_and_the_choice_of_width(patterns):
    table, _ = autoencoder.published_table(patterns, QUICK)
    assert autoencoder.best_width(table) == 2  # the published criterion always takes the narrowest
    np.testing.assert_allclose(table["aic"], 2 * table["width"] - 2 * np.log(table["mse"]))
    summary = autoencoders.spread(table)
    assert len(summary) == 2
    assert (summary["seeds"] == 2).all()
    assert summary["mse_sd"].gt(0).all()


@pytest.mark.parametrize("replacement", ["uniform", "permutation"])
def test_importance_equals_replacing_by_hand_and_finds_the_entries_that_matter(replacement):
    rng = np.random.default_rng(2)
    rows = np.full((400, 10), 0.1, dtype=np.float32)
    rows[:, [3, 7]] = rng.random((400, 2))
    settings = replace(QUICK, widths=(2,), seeds=(0,), epochs=60, batch=32)
    network = autoencoder.fit(rows, settings).network(2, 0)
    importance = autoencoder.entry_importance(network, rows, replacement, seed=5)
    rng = np.random.default_rng(5)
    for entry in range(10):
        changed = rows.copy()
        draw = rng.random(400, dtype=np.float32) if replacement == "uniform" else rng.permutation(rows[:, entry])
        changed[:, entry] = draw
        expected = np.square(network.decode(network.encode(changed)) - rows).mean()
        assert importance[entry] == pytest.approx(expected, rel=1e-4)
    if replacement == "permutation":
        assert set(np.argsort(importance)[-2:]) == {3, 7}


def test_grid_and_embedding(patterns):
    networks = autoencoder.fit(patterns.reshape(-1, 36), QUICK)
    for width in (2, 4):
        network = networks.network(width, 0)
        codes = autoencoder.embed_heads(network, patterns)
        assert codes.shape == (6, 60, width)
        np.testing.assert_allclose(codes[4, 7], network.encode(patterns[4, 7:8])[0], atol=1e-6)
        axes, grid = autoencoder.decoded_grid(network, codes.reshape(-1, width), points=4)
        assert axes.shape == (2, 4)
        assert grid.shape == (4, 4, 36)
    axes, grid = autoencoder.decoded_grid(networks.network(2, 0), np.random.default_rng(0).random((50, 2)), points=3)
    expected = networks.network(2, 0).decode([[axes[0, 2], axes[1, 0]]])
    np.testing.assert_allclose(grid[2, 0], expected[0], atol=1e-6)


@pytest.mark.parametrize(
    ("action", "named"),
    [
        (lambda: replace(QUICK, widths=(3,)), "3"),
        (lambda: autoencoder.encoder_sizes(36, 64), "36"),
        (lambda: autoencoder.corrected_table(np.ones((2, 3, 9)), [0, 1], QUICK, held_out=0.1), "held_out"),
        (lambda: autoencoder.corrected_table(np.ones((2, 9, 9)), [0, 1], QUICK, 0.2, held_out_member=5), "5"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(action, named):
    with pytest.raises(InputError, match=named) as raised:
        action()
    assert "\n" not in str(raised.value)


def test_few_rows_at_a_time_change_no_error(patterns, monkeypatch):
    rows = patterns.reshape(-1, 36)
    networks = autoencoder.fit(rows, QUICK)
    whole = networks.squared_errors(rows)
    passed = []
    reconstruct = networks.reconstruct
    monkeypatch.setattr(networks, "reconstruct", lambda part: passed.append(part.shape[1]) or reconstruct(part))
    monkeypatch.setattr(autoencoder, "DRAWN", 4 * 36 * 7)  # four networks, seven rows of 36 entries
    np.testing.assert_allclose(networks.squared_errors(rows), whole, rtol=1e-6)
    assert max(passed) == 7
