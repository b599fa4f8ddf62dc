"""The page of a run of ten thousand heads, as known from the start: scores, a projection, kinds; no attention."""

import numpy as np

from headatlas.atlas import encoding, page

HEADS = 10_000


def large_index():
    """The index of a run of 25 members of 20 layers of 20 heads."""
    rng = np.random.default_rng(0)
    model = {"name": "large", "label": "large", "members": 25, "layers": 20, "heads": 20, "size": 16, "prompts": 10}
    model |= {"packing": "lower", "first": 0, "shared": 0, "loss": None}
    scores = [
        {
            "name": name,
            "value": encoding.floats(rng.random(HEADS)),
            "standard_error": encoding.floats(rng.random(HEADS) / 50),
        }
        | {"chance": encoding.floats(np.full(HEADS, 0.2))}
        for name in ("previous_token", "current_token", "induction", "copying", "entropy", "distance")
    ]
    points = rng.normal(size=(2, HEADS)).cumsum(1)
    maps = [{"name": "pca", "title": "PCA", "x": encoding.floats(points[0]), "y": encoding.floats(points[1])}]
    groups = [{"id": i, "name": f"kind {i}", "supported": True, "evidence": {}} for i in range(7)]
    kinds = {"name": "kind", "title": "Kinds", "file": "kinds", "of": encoding.integers(rng.integers(0, 7, HEADS))}
    about = {"title": "Large", "settings": None, "versions": {}, "models": {}}
    run = {"form": 1, "about": about, "palette": page.palette(), "models": [model], "count": HEADS, "scores": scores}
    run |= {"maps": maps, "groupings": [kinds | {"groups": groups}], "tokens": None, "circuits": None, "tables": {}}
    return run | {name: [] for name in ("joint", "studies", "costs", "controls", "pairs", "measures")}


def write_large(path):
    """Write the page as one file."""
    path.write_text(page._opening(large_index(), local=False) + "</body></html>", encoding="utf-8")
