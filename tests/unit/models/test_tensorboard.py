"""Curves to watch are the history, and are there before the training ends."""

import struct
import time

import pytest
from tensorboardX.proto.event_pb2 import Event

from brief_training import BRIEF, EVALUATION, SEEDS, SMALL, some_windows
from headatlas.models import tensorboard, training


def scalars(folder):
    """(tag, step) to value, from the records of the one event file: length, its checksum, an event, its checksum."""
    (file,) = folder.iterdir()
    data, found = file.read_bytes(), {}
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + length])
        found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
        data = data[16 + length :]
    return found


def test_curves_are_the_history_and_stand_while_training_runs(tmp_path):
    seen = []
    with tensorboard.curves(tmp_path / "seen") as write:

        def record(row):
            write(row)
            until = time.monotonic() + 20
            while not seen and time.monotonic() < until:  # the first row, while training waits for us
                seen.extend(scalars(tmp_path / "seen"))
                time.sleep(0.1)

        _, history = training.train(SMALL, SEEDS, some_windows(), EVALUATION, BRIEF, on_record=record)
    expected = {}
    for row in history.itertuples():
        for quantity in ("loss", "accuracy"):
            expected[f"{quantity}_{row.split}/member_{row.member}", row.step] = getattr(row, quantity)
    assert scalars(tmp_path / "seen") == pytest.approx(expected, rel=1e-6)
    assert 0 < len(seen) < len(expected)


def test_without_a_folder_nothing_is_written():
    with tensorboard.curves(None) as write:
        assert write is None
