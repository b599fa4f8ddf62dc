"""Every head of a run with all that tables say of it: the part of a page that is there from the start."""

import re

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_float_dtype, is_numeric_dtype

from headatlas.atlas.encoding import floats, integers
from headatlas.atlas.results import IDENTITY
from headatlas.base import tables
from headatlas.scores.catalogue import SCORES

_MOST_ROWS = 24  # rows about one head that its page lists of a table
_MOST_CELLS = 200_000  # of a table whose rows are about heads: a larger one is linked, not shown
_SHOWN_ELSEWHERE = (
    *("scores/", "knockouts/", "attention/", "phrenology/clusters.", "phrenology/kinds.", "phrenology/partners."),
    *("phrenology/distances.", "phrenology/projections.", "phrenology/places.", "phrenology/knockout_tokens."),
    *("phrenology/stability.", "phrenology/head_cards.", "phrenology/embeddings"),
)


def describe(results, shared):
    """All heads, scores, costs, maps, groups and pairs of a run, as an index of numbers a page can hold.

    Parameters
    ----------
    results : Results
    shared : list of int
        Prompts that all heads of each model show, as `attention.shared_prompts` gives them.

    Returns
    -------
    dict
    """
    models, rows, first = [], [], 0
    for model, prompts in zip(results.models, shared, strict=True):
        facts = results.facts(model)
        count = facts["members"] * facts["layers"] * facts["heads"]
        models.append(
            {name: facts[name] for name in ("members", "layers", "heads", "size", "prompts", "packing")}
            | {"name": model, "first": first, "shared": prompts, "loss": _loss(results, model)}
        )
        index = np.indices((facts["members"], facts["layers"], facts["heads"])).reshape(3, -1)
        rows.append(pd.DataFrame({"model": model} | dict(zip(IDENTITY[1:], index, strict=True))))
        first += count
    for model, label in zip(models, short_names([model["name"] for model in models]), strict=True):
        model["label"] = label
    heads = pd.concat(rows, ignore_index=True)
    place = pd.Series(np.arange(len(heads)), index=pd.MultiIndex.from_frame(heads[IDENTITY]))
    return {
        "models": models,
        "count": len(heads),
        "scores": _scores(results, place),
        "costs": _costs(results, place),
        "maps": _maps(results, place),
        "groupings": _groupings(results, place),
        "pairs": _pairs(results, place),
        "tokens": _effects_on_tokens(results, place),
        "measures": _measures(results, place),
        "tables": _described_tables(results),
    }


def short_names(names):
    """Names as a person says them: what all runs of a sweep share at their end is left out."""
    runs = [name.removeprefix("circuits-").split("-") for name in names if name.startswith("circuits-")]
    shared = 0
    if len(runs) > 1:
        while all(len(run) > shared + 1 and run[-1 - shared] == runs[0][-1 - shared] for run in runs):
            shared += 1
    short = []
    for name in names:
        parts = name.removeprefix("circuits-").split("-")
        short.append("circuits-" + "-".join(parts[: len(parts) - shared]) if name.startswith("circuits-") else name)
    return short if len(set(short)) == len(short) else list(names)


def _loss(results, model):
    history = results.table(f"models/{model}/training.parquet")
    baselines = results.table(f"models/{model}/baselines.parquet")
    if history is None or history.empty:
        return None
    held_out = history[history["split"] != "train"]
    last = held_out[held_out["step"] == held_out["step"].max()]["loss"]
    found = {"held_out": last.mean(), "spread": last.std(ddof=1) if len(last) > 1 else None, "members": len(last)}
    return found | ({} if baselines is None else baselines[["unigram", "bigram"]].mean().to_dict())


def _at(rows, place):
    """Row of each head of a table among all heads, -1 where it is none of them."""
    return place.reindex(pd.MultiIndex.from_frame(rows[IDENTITY])).fillna(-1).to_numpy().astype(int)


def _spread(rows, place, column, dtype=float, missing=np.nan):
    """A column of a table with one row for each of some heads, over all heads."""
    at, values = _at(rows, place), np.full(len(place), missing, dtype=dtype)
    values[at[at >= 0]] = rows[column].to_numpy()[at >= 0]
    return values


def _scores(results, place):
    found = results.scores()
    order = list(SCORES)
    names = sorted(found["score"].unique(), key=lambda s: (order.index(s) if s in SCORES else len(order), s))
    described = []
    for name in names:
        rows = found[found["score"] == name]
        columns = ("value", "standard_error", "chance")
        known = SCORES.get(name)
        about = {"formula": known.formula, "source": known.source, "measured_on": known.measured_on} if known else {}
        described.append({"name": name} | about | {c: floats(_spread(rows, place, c)) for c in columns})
    return described


def _costs(results, place):
    found = results.costs()
    return [
        {"kind": kind} | {column: floats(_spread(rows, place, column)) for column in ("effect", "standard_error")}
        for kind, rows in found.groupby("kind", sort=False)
    ]


def _maps(results, place):
    described = []
    rows = results.table("phrenology/projections.parquet")
    if rows is not None:
        rows = rows[rows["model"].isin(results.models)]
        for method, part in rows.groupby("method", sort=False):
            described.append(
                {"name": method, "title": f"{_METHODS.get(method, method)} of attention patterns"}
                | {axis: floats(_spread(part, place, f"component_{n}")) for axis, n in (("x", 1), ("y", 2))}
            )
    rows = results.table("phrenology/places.parquet")
    if rows is not None:
        for protocol, part in rows.groupby("protocol", sort=False):
            for name in dict.fromkeys(column.rpartition("_")[0] for column in rows if column.endswith("_1")):
                title = f"{_METHODS.get(name, name)}, {protocol}"
                axes = {axis: floats(_spread(part, place, f"{name}_{n}")) for axis, n in (("x", 1), ("y", 2))}
                described.append({"name": f"{protocol}-{name}", "title": title} | axes)
    return described


_METHODS = {"pca": "PCA", "umap": "UMAP", "tsne": "t-SNE", "graph": "Neighbour graph"}


def _groupings(results, place):
    found = []
    evidence = results.table("phrenology/evidence.parquet")
    for name, file, column, title in (
        ("kind", "kinds", "kind", "Kinds"),
        ("partner", "partners", "group", "Partner groups"),
    ):
        rows = results.table(f"phrenology/{file}.parquet")
        if rows is not None:
            proof = _evidence_of(evidence, name, column)
            found.append(_grouping(name, title, file, rows, column, proof, results, place))
    clusters = results.table("phrenology/clusters.parquet")
    if clusters is not None:
        names = results.table("phrenology/cluster_names.parquet")
        for protocol, rows in clusters.groupby("protocol"):  # corrected first
            proof = results.table("phrenology/standing.parquet") if protocol == "corrected" else None
            if names is not None:
                of_protocol = names[names["protocol"] == protocol][["cluster", "name"]].drop_duplicates("cluster")
                proof = of_protocol if proof is None else proof.merge(of_protocol, how="left", on="cluster")
            title = f"Clusters, {protocol}"
            found.append(_grouping(f"clusters-{protocol}", title, "clusters", rows, "cluster", proof, results, place))
    return found


def _evidence_of(evidence, grouping, column):
    """Rows of the evidence table about one grouping, its group's number under the grouping's own column."""
    if evidence is None:
        return None
    chooser = next((c for c in ("grouping", "groups", "what", "level") if c in evidence), None)
    if chooser is not None:
        evidence = evidence[evidence[chooser].astype(str).str.rstrip("s") == grouping].drop(columns=chooser)
    own = next((c for c in (column, "group", "kind") if c in evidence), None)
    return None if own is None else evidence.rename(columns={own: column})


def _grouping(name, title, file, rows, column, proof, results, place):
    groups, at = [], _at(rows, place)
    of = np.full(len(place), -1)
    of[at[at >= 0]] = rows[column].to_numpy()[at >= 0]
    facts = {} if proof is None else {row[column]: row for row in proof.to_dict("records")}
    for group in sorted({int(value) for value in of if value >= 0}):
        about = facts.get(group, {})
        verdict = next((about[key] for key in ("supported", "stands") if key in about), None)
        numbers = {
            key: value
            for key, value in about.items()
            if key not in (column, "name", "supported", "stands") and not isinstance(value, list | np.ndarray)
        }
        groups.append({"id": group, "name": about.get("name"), "supported": verdict, "evidence": numbers})
    described = {"name": name, "title": title, "file": f"phrenology/{file}.parquet", "of": integers(of)}
    described["groups"] = groups
    shares = results.table("phrenology/stability.parquet")
    if "share" in rows:
        described["share"] = floats(_spread(rows, place, "share"))
    elif shares is not None and "share" in shares and name in ("kind", "clusters-corrected"):
        described["share"] = floats(_spread(shares, place, "share"))
    if "tie" in rows:
        described["tie"] = floats(_spread(rows, place, "tie"))
    return described


def _pairs(results, place):
    """Numbers about two heads: by row and column where a table holds a square, else by pairs."""
    found = []
    rows = results.table("phrenology/distances.parquet", IDENTITY)
    if rows is not None:
        square = tables.read_lists(results.path("phrenology/distances.parquet"), "jensen_shannon")
        found.append(
            {"name": "attention", "title": "Jensen-Shannon distance of attention", "nearer": "smaller", "chance": None}
            | {"file": "phrenology/distances.parquet", "heads": integers(_at(rows, place)), "square": floats(square)}
        )
    for name in results.names("phrenology/*.parquet"):
        columns = tables.columns(results.path(name))
        if not {f"{side}_{part}" for side in ("first", "second") for part in IDENTITY} <= set(columns):
            continue
        rows = results.table(name)
        ends = [
            _at(rows[[f"{side}_{part}" for part in IDENTITY]].set_axis(IDENTITY, axis=1), place)
            for side in ("first", "second")
        ]
        numbers = {c: rows[c] for c in columns if not re.match("first_|second_", c) and is_numeric_dtype(rows[c])}
        words = {c: rows[c] for c in columns if not re.match("first_|second_", c) and not is_numeric_dtype(rows[c])}
        found.append(
            {"name": name.split("/")[1].removesuffix(".parquet"), "file": name}
            | {"first": integers(ends[0]), "second": integers(ends[1])}
            | {"numbers": {c: floats(v) for c, v in numbers.items()}, "words": {c: list(v) for c, v in words.items()}}
        )
    return found


def _effects_on_tokens(results, place):
    rows = results.table("phrenology/knockout_tokens.parquet")
    if rows is None:
        return None
    rows = rows.assign(at=_at(rows, place))
    rows = rows[rows["at"] >= 0].sort_values(["at", "direction", "rank"], kind="stable")
    return {
        "file": "phrenology/knockout_tokens.parquet",
        "of": integers(rows["at"]),
        "direction": rows["direction"].tolist(),
        "name": rows["name"].tolist(),
        "effect": floats(rows["effect"]),
        "standard_error": floats(rows["standard_error"]),
    }


def _measures(results, place):
    """Tables whose rows are about single heads and are shown nowhere else, with the head of each row."""
    models, found = {key[0] for key in place.index}, []
    for name in results.names("*/**/*.parquet"):
        if name.startswith(_SHOWN_ELSEWHERE):
            continue
        columns = tables.columns(results.path(name))
        if not {"member", "layer", "head"} <= set(columns) or "first_model" in columns:
            continue
        listed = [column for column, kind in columns.items() if kind.startswith(("fixed_size_list", "list"))]
        kept = [column for column in columns if column not in listed]
        if tables.rows(results.path(name)) * len(kept) > _MOST_CELLS:
            continue
        rows = results.table(name, kept)
        if "model" not in rows:
            owner = name.split("/")[1].removesuffix(".parquet")
            rows = rows.assign(model=owner)
        rows = rows[rows["model"].isin(models) & (rows["head"].notna())]
        rows = rows.assign(at=_at(rows, place)) if len(rows) else rows
        if rows.empty or rows.groupby("at").size().max() > _MOST_ROWS:
            continue
        rows = rows[rows["at"] >= 0].sort_values("at", kind="stable")
        about = {column: _listed(rows[column]) for column in rows if column not in (*IDENTITY, "at")}
        if about and len(rows):
            found.append({"file": name, "of": integers(rows["at"]), "columns": about})
    return found


def _listed(values):
    if is_bool_dtype(values):
        return values.tolist()
    if is_float_dtype(values):
        return floats(values)
    if is_numeric_dtype(values):
        return integers(values)
    return [None if value is None or value != value else str(value) for value in values]


def _described_tables(results):
    """What each table holds and what made it: for the link from a number to where it comes from."""
    described = {}
    for name in results.names("**/*.parquet"):
        path = results.path(name)
        notes = tables.provenance(path)
        described[name] = {
            "rows": tables.rows(path),
            "columns": [f"{column}: {kind}" for column, kind in tables.columns(path).items()],
            "rule": notes.get("rule"),
            "code": notes.get("code"),
            "device": notes.get("device"),
            "settings": notes.get("settings"),
            "packages": notes.get("packages"),
        }
    return described
