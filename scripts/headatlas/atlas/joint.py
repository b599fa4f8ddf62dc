"""Queries and keys of every head on one plane, as the joint view of a page shows them."""

import numpy as np
from pandas.api.types import is_numeric_dtype

from headatlas.atlas.encoding import block
from headatlas.base import tables

_SPACE = "space"  # the method under which a construction is judged before any map


def maps(results):
    """The joint maps of each model that has them, as blocks of a page.

    Yields
    ------
    name : str
        "joint/model".
    block : str
        Header: `methods`; `constructions`, their quality by head; `kinds`, `tags`. Arrays: of each point its kind,
        prompt, position, token and tag (point,), int32; then for each method the points' places (head, point, 2) as
        shares of the head's own range, uint16.
    """
    for name in results.names("attentionviz/*/global_maps.parquet"):
        model = name.split("/")[1]
        if model not in results.models:
            continue
        rows, facts = results.table(name), results.facts(model)
        heads = facts["members"] * facts["layers"] * facts["heads"]
        numbers = (rows["member"] * facts["layers"] + rows["layer"]) * facts["heads"] + rows["head"]
        rows = rows.assign(number=numbers).sort_values(["method", "number"], kind="stable")
        methods = list(dict.fromkeys(rows["method"]))
        places = []
        for method in methods:
            part = rows[rows["method"] == method]
            if len(part) % heads or (part.groupby("number").size() != len(part) // heads).any():
                break  # heads that differ in their points cannot be told apart by place
            places.append(part[["component_1", "component_2"]].to_numpy().reshape(heads, -1, 2))
        else:
            points = rows[rows["method"] == methods[0]].iloc[: places[0].shape[1]]
            tags = sorted(set(points["tag"].fillna("")))
            kinds = list(dict.fromkeys(points["kind"]))
            identity = np.stack(
                [
                    points["kind"].map(kinds.index),
                    points["prompt"],
                    points["position"],
                    points["token"],
                    points["tag"].fillna("").map(tags.index),
                ]
            ).astype(np.int32)
            tokens = np.unique(points["token"])
            yield (
                f"joint/{model}",
                block(
                    {
                        "methods": methods,
                        "kinds": kinds,
                        "tags": tags,
                        "tokens": tokens,
                        "names": results.token_names(model, tokens),
                        "file": name,
                        "quality": _quality(results, model),
                        "sentences": tables.facts(results.path(name)).get("sentences"),
                    },
                    identity,
                    *map(_shares, places),
                ),
            )


def _shares(points):
    """Places as shares of each head's own square, (head, point, 2), so that no picture is stretched."""
    low, high = points.min(1, keepdims=True), points.max(1, keepdims=True)
    side = np.maximum((high - low).max(2, keepdims=True), 1e-12)
    return np.rint((points - (low + high) / 2 + side / 2) / side * 65535).astype(np.uint16)


def _quality(results, model):
    """How faithful each construction is, by head: columns as lists, in the order of heads."""
    file = f"attentionviz/{model}/constructions.parquet"
    rows = results.table(file)
    if rows is None:
        return None
    rows = rows.sort_values(["member", "layer", "head"], kind="stable")
    parts = []
    for (construction, method), part in rows.groupby(["construction", "method"], sort=False):
        numbers = {
            c: part[c].tolist() for c in part if c not in ("member", "layer", "head") and is_numeric_dtype(part[c])
        }
        parts.append({"construction": construction, "method": method, "space": method == _SPACE} | numbers)
    return {"file": file, "of": parts}
