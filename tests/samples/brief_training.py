"""A training of seconds: its architecture, settings, seeds and windows."""

import numpy as np

from headatlas.models.training import TrainingSettings
from headatlas.models.transformer import Architecture

SMALL = Architecture(vocabulary=30, context=6, layers=1, heads=2, d_model=8, d_head=4, d_mlp=16)


BRIEF = TrainingSettings(epochs=2, batch=8, evaluations=3)


SEEDS, PAD, MASK = [11, 12, 13], 28, 29


def some_windows(members=3, count=20, size=7, top=28):
    return np.random.default_rng(2).integers(0, top, (members, count, size)).astype(np.int32)


EVALUATION = some_windows(1, 10)[0]
