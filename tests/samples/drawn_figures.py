"""What was drawn into a figure, and small tables to draw."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.text import Text

from headatlas.plotting import style


def heads_of(models=1, members=3, layers=1, heads=4):
    index = [np.arange(count) for count in (models, members, layers, heads)]
    grid = np.stack(np.meshgrid(*index, indexing="ij"), axis=-1).reshape(-1, 4)
    table = pd.DataFrame(grid, columns=["model", "member", "layer", "head"])
    return table.assign(model=[f"model-{m}" for m in table["model"]])


def distances_of(heads, seed=0):
    points = np.random.default_rng(seed).normal(0, 0.05, (len(heads), 2)) + 3 * heads[["head"]].to_numpy() % 7
    return np.linalg.norm(points[:, None] - points[None], axis=-1).astype(np.float32)


def drawn_texts(figure, monkeypatch):
    """The texts that drawing really puts on the page, with their boxes in pixels."""
    drawn, draw = [], Text.draw

    def recorded(text, renderer, *arguments, **options):
        if text.get_visible() and text.get_text().strip():
            drawn.append((text.get_text(), text.get_window_extent(renderer)))
        return draw(text, renderer, *arguments, **options)

    with monkeypatch.context() as patched, matplotlib.rc_context(style.RC):
        figure.draw_without_rendering()  # the first drawing settles the layout
        patched.setattr(Text, "draw", recorded)
        figure.draw_without_rendering()
    return drawn


def images(axes):
    return [np.ma.filled(image.get_array(), np.nan) for image in axes.images]


def maps_of(figure, shape):
    """Arrays of the images of that shape, in the order in which their axes were added."""
    return [array for axes in figure.axes for array in images(axes) if array.shape == shape]
