"""Ways to put queries and keys into one picture, compared over all heads, and the pictures of chosen heads.

After Chen, "Exploring transformer interpretability", Figures 1, 3 and 4, and Yeh et al. 2023 (AttentionViz).
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from headatlas.base import progress
from headatlas.base.errors import InputError
from headatlas.studies.attentionviz import joint_embeddings, key_scaling

PUBLISHED_UMAP = {"metric": "cosine", "components": 3, "init": "random"}
SPACE = "space"  # distances before any map
_IDENTITY = ["member", "layer", "head"]


class Construction(NamedTuple):
    """Where a construction takes its constant from (None: 1), whether it is exact, and how UMAP runs on it."""

    scale: tuple | None
    exact: bool
    umap: dict


CONSTRUCTIONS = {
    "unscaled": Construction(None, False, {}),
    "published grid": Construction(("published", "weighted_correlation_scaled"), False, PUBLISHED_UMAP),
    "norm ratio": Construction(("corrected", "norm_ratio"), False, {}),
    "closed form": Construction(("corrected", "closed_form"), False, {}),
    "exact": Construction(("corrected", "closed_form"), True, {}),
}


def constant_of(scales, identity, protocol, criterion):
    """The constant chosen for a head, NaN where there is none.

    Parameters
    ----------
    scales : DataFrame
        As `criteria.choose` gives.
    identity : tuple of (member, layer, head)
    protocol, criterion : str
    """
    rows = scales[(scales[_IDENTITY] == list(identity)).all(axis=1)]
    (c,) = rows.loc[(rows["protocol"] == protocol) & (rows["criterion"] == criterion), "c"]
    return float(c)


def compare(layers, real, causal, scales, *, methods, seed, epochs, mapped="closed form", total=None):
    """Judge every construction of every head, as a space and as maps.

    Parameters
    ----------
    layers : iterable of LayerVectors
        Queries and keys of shape (head, prompt, position, d_head).
    real : bool array of shape (prompt, position)
    causal : bool
    scales : DataFrame
        As `criteria.choose` gives.
    methods : sequence of {"pca", "umap", "tsne"}
    seed : int
    epochs : int
        Of UMAP, the same for every construction.
    mapped : str
        The construction whose maps are returned.
    total : int, optional
        Heads that there are, for the progress shown.

    Returns
    -------
    table : DataFrame of [member, layer, head, construction, method, c, spearman, standard_error, trustworthiness]
        Method `space` is the construction before any map.
    maps : DataFrame of [member, layer, head, method, kind, prompt, position, component_1, component_2]
        `prompt` counts those given.
    """
    seen = key_scaling.visible(real, causal)
    rows, maps = [], [_placed(np.empty((0, 2), np.float32), real[:0], _identity((0, 0, 0)) | {"method": SPACE})]
    chosen = {}
    for row in scales.itertuples():
        chosen[row.member, row.layer, row.head, row.protocol, row.criterion] = row.c
    with progress.bar(total, "joint maps", "heads") as shown:
        for member, layer, queries, keys in layers:
            for head, (of_queries, of_keys) in enumerate(zip(queries, keys, strict=True)):
                identity = (member, layer, head)
                scores = of_queries.astype(np.float64) @ of_keys.swapaxes(-1, -2).astype(np.float64)
                for name, kind in CONSTRUCTIONS.items():
                    c = 1.0 if kind.scale is None else chosen[*identity, *kind.scale]
                    if np.isnan(c) and kind.exact:
                        c = 1.0  # any constant serves
                    if np.isnan(c):
                        missing = joint_embeddings.Quality(np.nan, np.nan, np.nan)
                        rows += [(*identity, name, method, c, *missing) for method in (SPACE, *methods)]
                        continue
                    built = joint_embeddings.construct(of_queries, of_keys, real, c, kind.exact)
                    space = joint_embeddings.points_of(*built, real)
                    rows.append((*identity, name, SPACE, c, *joint_embeddings.judge(space, scores, seen)))
                    for method in methods:
                        settings = {"epochs": epochs, **kind.umap} if method == "umap" else {}
                        points = joint_embeddings.embed(space, method, seed, **settings)
                        metric = settings.get("metric", "euclidean")
                        quality = joint_embeddings.judge(points, scores, seen, space, metric, seed)
                        rows.append((*identity, name, method, c, *quality))
                        if name == mapped:
                            maps.append(_placed(points, real, _identity(identity) | {"method": method}))
                shown.update()
    columns = [*_IDENTITY, "construction", "method", "c", "spearman", "standard_error", "trustworthiness"]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(_IDENTITY, "int32"))
    return table, pd.concat(maps, ignore_index=True)


def _identity(values):
    return {name: np.int32(value) for name, value in zip(_IDENTITY, values, strict=True)}


def _placed(points, real, columns):
    """Rows of one map: whose point each is, queries first, then keys."""
    prompt, position = (np.tile(index.astype(np.int32), 2) for index in np.nonzero(real))
    kind = np.repeat(["query", "key"], len(points) // 2)
    own = {"kind": kind, "prompt": prompt, "position": position}
    return pd.DataFrame(columns | own | {"component_1": points[:, 0], "component_2": points[:, 1]})


def chosen_heads(heads, facts):
    """The two heads of Figures 3 and 4.

    Parameters
    ----------
    heads : sequence of [member, layer, head], or None
        None: of member 0 those of the paper, layer 1 head 2 and layer 3 head 3, as far as the model reaches; where
        both are its last head, its first and its last.
    facts : Mapping
        `members`, `layers` and `heads` of the model.

    Returns
    -------
    list of tuple
        One head where the model has no other.

    Raises
    ------
    InputError
        If the model has no such head.
    """
    last = [facts[name] - 1 for name in ("members", "layers", "heads")]
    if heads is None:
        early, late = (
            tuple(min(index, most) for index, most in zip(one, last, strict=True)) for one in ((0, 1, 2), (0, 3, 3))
        )
        return list(dict.fromkeys([early if early != late else (0, 0, 0), late]))
    for one in heads:
        if any(index > most for index, most in zip(one, last, strict=True)):
            raise InputError(
                f"heads: member {one[0]} layer {one[1]} head {one[2]} found; allowed: up to member {last[0]} "
                f"layer {last[1]} head {last[2]}"
            )
    return [tuple(one) for one in heads]


def annotate(maps, tokens, real, tags=None):
    """Maps with what each point is: `token`, `normalised_position` and part of speech `tag`, "" where there is none.

    Parameters
    ----------
    maps : DataFrame
        With `prompt` and `position`.
    tokens : int array of shape (prompt, position)
    real : bool array of shape (prompt, position)
    tags : array of str of shape (prompt, position), optional
        Categories of `parts_of_speech`.
    """
    place = (maps["prompt"].to_numpy(), maps["position"].to_numpy())
    last = np.maximum(real.sum(1) - 1, 1)[place[0]]
    own = {"token": tokens[place], "normalised_position": (place[1] / last).astype(np.float32)}
    return maps.assign(**own, tag="" if tags is None else tags[place])


def six_constants(chosen, protocol):
    """The six constants of Figures 3 and 4, ascending, the chosen one among them.

    Published, all of the grid's seven but 1, or but 1.25 where 1 is chosen. Corrected, the chosen one among five of the
    grid; where none could be chosen, 1.

    Parameters
    ----------
    chosen : float
    protocol : {"published", "corrected"}

    Returns
    -------
    constants : list of float
    mark : float
        The one to mark; NaN where none was chosen.
    """
    if protocol == "published":
        return [c for c in key_scaling.CONSTANTS if c == chosen or c != (1.25 if chosen == 1 else 1)][:6], chosen
    return sorted([0.2, 0.4, 1.25, 2.5, 5.0, 1.0 if np.isnan(chosen) else chosen]), chosen


def scaled_maps(queries, keys, real, causal, scales, identity, *, method, seed, epochs=None):
    """Joint maps of one head at six constants (Figures 3 and 4), published and corrected.

    Published the constant is that of the scaled weighted correlation and UMAP has three components, of which the first
    two are drawn, by cosine distance from a random start. Corrected it is that of the closed form, the map has two
    components by the metric that chose the constant, and a seventh map, of constant NaN, is the exact construction.

    Parameters
    ----------
    queries, keys : arrays of shape (prompt, position, d_head)
    real : bool array of shape (prompt, position)
    causal : bool
    scales : DataFrame
        As `criteria.choose` gives.
    identity : tuple of (member, layer, head)
    method : {"pca", "umap", "tsne"}
        Of the corrected maps.
    seed : int
    epochs : int, optional
        Of UMAP; its own choice when not given.

    Returns
    -------
    maps : DataFrame of [member, layer, head, protocol, c, exact, kind, prompt, position, component_1, component_2]
    quality : DataFrame of [member, layer, head, protocol, c, exact, chosen, spearman, standard_error, trustworthiness]
    """
    seen = key_scaling.visible(real, causal)
    scores = np.asarray(queries, dtype=np.float64) @ np.swapaxes(keys, -1, -2)
    maps, quality = [], []
    for protocol, scale in (("published", "weighted_correlation_scaled"), ("corrected", "closed_form")):
        constants, mark = six_constants(constant_of(scales, identity, protocol, scale), protocol)
        wanted = [(c, False) for c in constants]
        if protocol == "corrected":
            wanted.append((1.0 if np.isnan(mark) else mark, True))
        for c, exact in wanted:
            built = joint_embeddings.construct(queries, keys, real, c, exact)
            space = joint_embeddings.points_of(*built, real)
            by, settings = (method, {}) if protocol == "corrected" else ("umap", PUBLISHED_UMAP)
            points = joint_embeddings.embed(space, by, seed, **{"epochs": epochs, **settings})
            found = joint_embeddings.judge(points, scores, seen, space, settings.get("metric", "euclidean"), seed)
            columns = _identity(identity) | {"protocol": protocol, "c": c, "exact": exact}
            maps.append(_placed(points, real, columns))
            quality.append(columns | {"chosen": c == mark and not exact} | found._asdict())
    return pd.concat(maps, ignore_index=True), pd.DataFrame(quality)


def relation(queries, keys, real, causal, scales, identity, *, most=4000, seed=0):
    """Dot product against distance of a head's pairs, and the ideal inverse relation (Figure 1b), from the data.

    In the exact construction the squared distance plus twice the dot product is the same for all keys of a query. With
    its mean in place of every query's own, distance is a falling function of the dot product alone: the ideal.

    Parameters
    ----------
    queries, keys, real, causal, scales, identity
        As for `scaled_maps`.
    most : int
        Pairs to draw; more are sampled.
    seed : int

    Returns
    -------
    DataFrame of [member, layer, head, protocol, score, distance, ideal]
        `score` is the dot product (corrected, with the centred key); `ideal` the distance it would have.
    """
    seen = key_scaling.visible(real, causal)
    rows = []
    for protocol, scale in (("published", "weighted_correlation_scaled"), ("corrected", "closed_form")):
        c = constant_of(scales, identity, protocol, scale)
        c = 1.0 if np.isnan(c) else c
        plain, exact = (
            joint_embeddings.distances(*joint_embeddings.construct(queries, keys, real, c, wanted))[seen]
            for wanted in (False, True)
        )
        score = key_scaling.measure_pairs(queries, keys, seen, centred=protocol == "corrected").scores[seen]
        constant, distance = np.mean(np.square(exact) + 2 * score), plain
        if len(score) > most:
            drawn = np.sort(np.random.default_rng(seed).choice(len(score), most, replace=False))
            distance, score = distance[drawn], score[drawn]
        ideal = np.sqrt(np.maximum(constant - 2 * score, 0))
        named = _identity(identity) | {"protocol": protocol}
        rows.append(pd.DataFrame(named | {"score": score, "distance": distance, "ideal": ideal}))
    return pd.concat(rows, ignore_index=True)
