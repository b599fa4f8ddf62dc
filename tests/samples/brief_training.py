"""A training of seconds: its architecture, settings, seeds and windows."""

import numpy as np

from architectures import architecture_of
from headatlas.models.training import TrainingSettings

SMALL = architecture_of(vocabulary=30, context=6, layers=1, heads=2, d_model=8, d_head=4, d_mlp=16)


BRIEF = TrainingSettings(
    epochs=2,
    batch=8,
    learning_rate=1e-3,
    schedule="constant",
    betas=(0.9, 0.98),
    weight_decay=1.0,
    masking=0.15,
    evaluations=3,
    snapshots=0,
    first_snapshot=1,
)


SEEDS, PAD, MASK = [11, 12, 13], 28, 29


def some_windows(members=3, count=20, size=7, top=28):
    return np.random.default_rng(2).integers(0, top, (members, count, size)).astype(np.int32)


EVALUATION = some_windows(1, 10)[0]
