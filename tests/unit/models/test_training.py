"""Training: against plain PyTorch, members against themselves alone, killed against undisturbed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from architectures import architecture_of
from brief_training import BRIEF, EVALUATION, MASK, PAD, SEEDS, SMALL, some_windows
from headatlas.base.errors import InputError
from headatlas.models import minibatches, training, transformer


def assert_close(weights, expected, tolerance):
    """Near in every weight that has an effect: attention does not feel the bias of keys, which moves by rounding."""
    for name, value in expected.items():
        if not name.endswith("key.bias") or tolerance == 0.0:
            torch.testing.assert_close(weights[name], value, atol=tolerance, rtol=tolerance, msg=name)


def assert_equal(one, other):
    """The same bits in weights and history."""
    for name, value in one[0].items():
        assert torch.equal(value, other[0][name]), name
    pd.testing.assert_frame_equal(one[1], other[1], check_exact=True)


def plainly(architecture, seed, windows, settings, pad=None, mask=None):
    """One member by autograd and the usual PyTorch parts; the order and the masks are those of training."""
    leaves = {k: v.requires_grad_() for k, v in transformer.initial_weights(architecture, [seed]).items()}
    optimiser = torch.optim.AdamW(
        leaves.values(), lr=settings.learning_rate, betas=settings.betas, weight_decay=settings.weight_decay
    )
    reader, losses = minibatches.Reader(architecture, [seed], windows[None], settings, pad, mask, "cpu"), []
    steps = settings.epochs * -(-len(windows) // settings.batch)
    rates = np.full(steps, settings.learning_rate)
    if settings.schedule == "linear":
        warm_up = max(1, round(steps / 20))
        rates[:warm_up] *= np.arange(1, warm_up + 1) / warm_up
        rates[warm_up - 1 :] = np.linspace(settings.learning_rate, 0, steps - warm_up + 2)[:-1]
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = rates[step]
        batch = reader.read(step, slice(0, 1))
        with torch.no_grad():
            used = batch.inputs.unique()
            table = leaves["token_embedding"]
            table[0, used] = transformer.within_norm(table[0, used], architecture.embedding_max_norm)
        found = transformer.logits(leaves, architecture, batch.inputs, pad).flatten(0, 2)
        found = found if batch.places is None else found[batch.places[0]]
        loss = functional.cross_entropy(found, batch.targets[0])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append((loss.item(), len(found)))
    return {name: leaf.detach()[0] for name, leaf in leaves.items()}, losses


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"causal": False, "context": 7, "activation": "gelu"},
        {"tied_unembedding": True, "embedding_max_norm": 1.0, "residual": False},
        {"layers": 2, "tied_layers": True, "layer_norm": False, "activation": "none"},
    ],
)
def test_training_equals_plain_pytorch(options):
    architecture, windows = replace(SMALL, **options), some_windows()
    windows[:, ::3, 5:] = PAD
    weights, history = training.train(architecture, SEEDS, windows, EVALUATION, BRIEF, pad=PAD, mask=MASK)
    assert {name: value.shape[1:] for name, value in weights.items()} == transformer.shapes(architecture)
    for member, seed in enumerate(SEEDS):
        expected, losses = plainly(architecture, seed, windows[member], BRIEF, PAD, MASK)
        assert_close({name: value[member] for name, value in weights.items()}, expected, 2e-5)
        rows = history[(history["member"] == member) & (history["split"] == "train")]
        assert rows["step"].tolist() == [2, 4, 6]
        losses = np.reshape(losses, (3, 2, 2))  # (record, step, loss and tokens)
        np.testing.assert_allclose(rows["loss"], np.average(losses[..., 0], 1, losses[..., 1]), rtol=1e-5)


@pytest.mark.parametrize("batch", [1, 8])
def test_a_linear_schedule_rises_and_falls_as_it_does_in_plain_pytorch(batch):
    settings, windows = replace(BRIEF, schedule="linear", learning_rate=0.02, batch=batch), some_windows()
    weights, _ = training.train(SMALL, SEEDS[:1], windows[:1], EVALUATION, settings, pad=PAD, mask=MASK)
    expected, _ = plainly(SMALL, SEEDS[0], windows[0], settings, PAD, MASK)
    assert_close({name: value[0] for name, value in weights.items()}, expected, 1e-4)


@pytest.fixture
def threads(request):
    """The number of threads given, for one test."""
    usual = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(usual)


@pytest.mark.parametrize(("threads", "together"), [(1, 1), (1, 2), (1, 3), (2, 1)], indirect=["threads"])
@pytest.mark.parametrize("causal", [True, False])
def test_a_member_comes_out_as_it_would_alone(causal, threads, together):
    architecture = replace(SMALL, causal=causal, context=6 if causal else 7)
    windows = some_windows()
    windows[0, ::2, 4:] = PAD  # members differ in how much there is to score
    settings = {"settings": BRIEF, "pad": PAD, "mask": MASK}
    weights, history = training.train(architecture, SEEDS, windows, EVALUATION, together=together, **settings)
    assert torch.get_num_threads() == threads
    for member, seed in enumerate(SEEDS):
        own, story = training.train(architecture, [seed], windows[member : member + 1], EVALUATION, **settings)
        # Products shared by members, or cut among threads, may take their sums in another order.
        tolerance = 0.0 if threads == together == 1 else 1e-5
        assert_close({k: v[member] for k, v in weights.items()}, {k: v[0] for k, v in own.items()}, tolerance)
        rows = history[history["member"] == member].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows.drop(columns="member"), story.drop(columns="member"), rtol=1e-4)


class Killed(Exception):
    """Stands in for a signal."""


@pytest.mark.parametrize("causal", [True, False])
def test_a_killed_training_goes_on_to_the_same_bytes(tmp_path, causal, capsys):
    architecture = replace(SMALL, causal=causal, context=6 if causal else 7)
    often = replace(BRIEF, checkpoint_seconds=0.0)
    given = (architecture, SEEDS, some_windows(), EVALUATION)
    undisturbed = training.train(*given, BRIEF, mask=MASK)

    def kill(row):
        if row["step"] == 4:
            raise Killed

    with pytest.raises(Killed):
        training.train(*given, often, mask=MASK, scratch=tmp_path / "scratch", on_record=kill)
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == ["checkpoint.safetensors"]
    assert_equal(training.train(*given, often, mask=MASK, scratch=tmp_path / "scratch"), undisturbed)
    assert "goes on from step 3 of 6" in capsys.readouterr().err
    assert not any((tmp_path / "scratch").iterdir())


@pytest.mark.parametrize("trouble", ["another", "damaged"])
def test_a_checkpoint_that_does_not_fit_is_left_alone(tmp_path, trouble, capsys):
    given = (SMALL, SEEDS, some_windows(), EVALUATION)

    def kill(row):
        if row["step"] == 4:
            raise Killed

    with pytest.raises(Killed):
        training.train(*given, replace(BRIEF, checkpoint_seconds=0.0), scratch=tmp_path, on_record=kill)
    settings = BRIEF
    if trouble == "another":
        settings = replace(BRIEF, learning_rate=2e-3)
    else:
        (tmp_path / "checkpoint.safetensors").write_bytes(b"\x00" * 100)
    undisturbed = training.train(*given, settings)
    assert_equal(training.train(*given, settings, scratch=tmp_path), undisturbed)
    assert {"another": "of another training", "damaged": "is damaged"}[trouble] in capsys.readouterr().err


def test_no_optimiser_of_pytorch_is_made(monkeypatch):
    monkeypatch.delattr(torch.optim.Optimizer, "__init__")  # it would import a compiler, which takes seconds
    training.train(SMALL, SEEDS, some_windows(), EVALUATION, replace(BRIEF, epochs=1, evaluations=1))


def test_snapshots_are_the_weights_on_the_way(tmp_path):
    given = (SMALL, SEEDS, some_windows(), EVALUATION)
    settings = replace(BRIEF, snapshots=5, checkpoint_seconds=0.0)
    undisturbed, taken = training.train(*given, BRIEF), {}
    assert_equal(training.train(*given, settings, on_snapshot=taken.__setitem__), undisturbed)
    assert list(taken) == training.snapshot_steps(6, 5) == [0, 1, 2, 3, 6]
    one_epoch, _ = training.train(*given, replace(BRIEF, epochs=1, evaluations=1))
    for step, expected in {0: transformer.initial_weights(SMALL, SEEDS), 3: one_epoch, 6: undisturbed[0]}.items():
        for name, value in expected.items():
            assert torch.equal(taken[step][name], value), (step, name)

    def kill(row):
        if row["step"] == 4:
            raise Killed

    with pytest.raises(Killed):
        training.train(*given, settings, scratch=tmp_path, on_record=kill, on_snapshot=lambda step, weights: None)
    again = {}
    assert_equal(training.train(*given, settings, scratch=tmp_path, on_snapshot=again.__setitem__), undisturbed)
    assert list(again) == list(taken)
    for step, weights in taken.items():
        for name, value in weights.items():
            assert torch.equal(again[step][name], value), (step, name)


@pytest.mark.parametrize(("steps", "count", "expected"), [(100, 4, [0, 1, 10, 100]), (3, 9, [0, 1, 2, 3]), (9, 0, [])])
def test_snapshots_lie_on_a_log_scale(steps, count, expected):
    assert training.snapshot_steps(steps, count) == expected


def test_history_says_who_when_and_how_well():
    rows = []
    _, history = training.train(SMALL, SEEDS, some_windows(), EVALUATION, BRIEF, on_record=rows.append)
    pd.testing.assert_frame_equal(pd.DataFrame(rows), history, check_dtype=False)
    assert history.columns.tolist() == ["member", "step", "epoch", "split", "loss", "accuracy"]
    assert sorted(set(zip(history["split"], history["step"], strict=True))) == [
        *(("train", step) for step in (2, 4, 6)),
        *(("validation", step) for step in (0, 2, 4, 6)),
    ]
    assert history["epoch"].max() == 2.0
    assert history["loss"].between(2.5, 4.5).all()


def test_each_epoch_has_an_order_of_its_own():
    windows = np.arange(20 * 7).reshape(1, 20, 7)
    reader = minibatches.Reader(SMALL, [1], windows, BRIEF, None, None, "cpu")
    orders = [[reader.read(3 * epoch + i, slice(0, 1)).inputs[0, :, 0] // 7 for i in range(3)] for epoch in range(2)]
    orders = [torch.cat(order).tolist() for order in orders]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(20))


def test_padding_and_what_is_not_masked_are_not_scored():
    windows = some_windows(1, 8)
    windows[0, :, 4:] = PAD
    batch = minibatches.Reader(SMALL, [1], windows, BRIEF, PAD, None, "cpu").read(0, slice(0, 1))
    assert batch.scored.sum() == 8 * 3
    assert PAD not in batch.targets
    masked = replace(SMALL, causal=False, context=7)
    reader = minibatches.Reader(masked, [1], windows, BRIEF, PAD, MASK, "cpu")
    batch = reader.read(0, slice(0, 1))
    places = batch.places[0][batch.scored[0] > 0]
    assert (batch.inputs[0].flatten()[places] == MASK).all()
    assert (batch.inputs == MASK).sum() == batch.scored.sum() > 0
    assert MASK not in batch.targets
    assert PAD not in batch.targets
    assert not torch.equal(batch.inputs, reader.read(3, slice(0, 1)).inputs)


def test_a_loss_that_is_not_finite_stops_with_step_and_member():
    settings = replace(BRIEF, learning_rate=1e30)
    with pytest.raises(InputError, match=r"^learning_rate: .* member 0 \(seed 11\) was (nan|inf) at step [1-5], ") as e:
        training.train(SMALL, SEEDS, some_windows(), EVALUATION, settings)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"windows": some_windows(2)}, "windows: shape"),
        ({"windows": some_windows(size=9)}, "windows: 9 tokens long"),
        ({"windows": some_windows() + 10}, "windows: token 37"),
        ({"evaluation": EVALUATION[:0]}, "evaluation: there are none"),
        ({"seeds": [1, -2, 3]}, "seeds: -2"),
        ({"settings": replace(BRIEF, batch=0)}, "batch: 0"),
        ({"settings": replace(BRIEF, snapshots=-1)}, "snapshots: -1"),
        ({"settings": replace(BRIEF, schedule="cosine")}, "schedule: 'cosine'"),
        ({"architecture": replace(SMALL, causal=False, context=7)}, "mask: None"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changed, named):
    given = {"architecture": SMALL, "seeds": SEEDS, "windows": some_windows(), "evaluation": EVALUATION}
    with pytest.raises(InputError, match=f"^{named}"):
        training.train(**{**given, "settings": BRIEF, **changed})


def repeated(generator, count, size):
    """Windows of random tokens that repeat with a period of 8 to 23."""
    return np.stack([np.resize(generator.integers(0, 256, generator.integers(8, 24)), size) for _ in range(count)])


@pytest.mark.parametrize("layers", [1, 2])
def test_induction_heads_form_in_two_layers_and_not_in_one(layers):
    generator = np.random.default_rng(0)
    architecture = architecture_of(
        vocabulary=256, context=48, layers=layers, heads=4, d_model=64, d_head=16, activation="none"
    )
    settings = replace(BRIEF, epochs=1, batch=64, learning_rate=5e-3, weight_decay=0.01, evaluations=1)
    windows = repeated(generator, 250 * 64, 49)[None]
    weights, _ = training.train(architecture, [1], windows, repeated(generator, 16, 49), settings)
    prompts = np.tile(generator.integers(0, 256, (64, 16)), (1, 2))  # (prompt, position)
    found = list(transformer.attention_layers(weights, architecture, torch.from_numpy(prompts)[None]))
    second = np.arange(16, 32)
    scores = [layer.pattern[0, :, :, second, second - 15].mean((0, 2)).max() for layer in found]
    if layers == 2:
        assert scores[1] > 0.8
    else:
        assert scores[0] < 0.2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_to_much_the_same():
    windows = some_windows(count=200)
    settings = replace(BRIEF, batch=32)
    on_cpu, on_gpu = (training.train(SMALL, SEEDS, windows, EVALUATION, settings, device) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(on_cpu[1]["loss"], on_gpu[1]["loss"], rtol=0.02)
    assert_equal(on_gpu, training.train(SMALL, SEEDS, windows, EVALUATION, settings, "cuda"))
