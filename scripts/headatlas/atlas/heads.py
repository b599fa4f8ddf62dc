"""Every head of a run with all that tables say of it: the part of a page that is there from the start."""

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_float_dtype, is_numeric_dtype

from headatlas.atlas.encoding import floats, integers, plain
from headatlas.atlas.model_names import short_names
from headatlas.atlas.results import IDENTITY
from headatlas.base import tables
from headatlas.data import ngram_baselines
from headatlas.scores.catalogue import SCORES

_MOST_ROWS = 24  # rows about one head that its page lists of a table
_MOST_CELLS = 200_000  # of a table whose rows are about heads: a larger one is linked, not shown
_SHOWN_ELSEWHERE = (
    *(
        "scores/",
        "token_circuits/",
        "knockouts/",
        "attention/",
        "phrenology/clusters.",
        "phrenology/kinds.",
        "phrenology/partners.",
    ),
    *("phrenology/distances.", "phrenology/projections.", "phrenology/places.", "phrenology/knockout_tokens."),
    *("phrenology/consensus.", "phrenology/head_cards.", "phrenology/embeddings", "phrenology/circuits."),
    *("phrenology/knockouts.", "phrenology/transplants."),
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
            | {"kept": results.has_patterns(model)}
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
        "circuits": _token_circuits(results, place),
        "measures": _measures(results, place),
        "tables": _described_tables(results),
    }


def _loss(results, model):
    history = results.table(f"models/{model}/training.parquet")
    baselines = results.table(f"models/{model}/baselines.parquet")
    if history is None or history.empty:
        return None
    held_out = history[history["split"] != "train"]
    last = held_out[held_out["step"] == held_out["step"].max()]["loss"]
    found = {"held_out": last.mean(), "spread": last.std(ddof=1) if len(last) > 1 else None, "members": len(last)}
    if baselines is None:
        return found
    counted = baselines[["unigram", "bigram"]].mean().to_dict()
    return found | counted | {"enough": bool(ngram_baselines.below(found["held_out"], **counted))}


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


_METHODS = {"pca": "PCA", "umap": "UMAP", "tsne": "t-SNE", "graph": "Neighbour graph", "map": "Map"}


def _groupings(results, place):
    """Kinds, groups of partners and published clusters, with names, verdicts and all numbers of the evidence."""
    found = []
    kinds, partners = results.table("phrenology/kinds.parquet"), results.table("phrenology/partners.parquet")
    if kinds is not None:
        what = "kind" if (kinds["kind"] >= 0).any() or "candidate" not in kinds else "candidate"
        described = _grouping(results, place, "kinds", kinds, what, what)
        described["title"] = {"kind": "Kinds", "candidate": "Groups of the plateau (no kinds)"}[what]
        if what == "candidate":
            p = tables.facts(results.path("phrenology/kinds.parquet")).get("p")
            described["note"] = "These heads lie along a continuum, whose plateaus are as long: they are no kinds" + (
                "." if p is None else f" (p = {p:.3g})."
            )
        found.append(described)
    if partners is not None:
        described = _grouping(results, place, "partners", partners, "group", "partner")
        if "tie" in partners:
            described["tie"] = integers(_spread(partners, place, "tie", int, -1))
        found.append(described | {"title": "Partner groups"})
    clusters = results.table("phrenology/clusters.parquet")
    if clusters is not None:
        clusters = clusters if "protocol" in clusters else clusters.assign(protocol="published")
        for protocol, rows in clusters.groupby("protocol"):  # corrected first
            described = _grouping(results, place, "clusters", rows, "cluster", f"clusters-{protocol}")
            found.append(described | {"title": f"Clusters, {protocol}"})
    return found


def _grouping(results, place, file, rows, column, name):
    at = _at(rows, place)
    of = np.full(len(place), -1)
    of[at[at >= 0]] = rows[column].to_numpy()[at >= 0]
    names = _of_groups(results.table("phrenology/names.parquet"), name)
    evidence = _of_groups(results.table("phrenology/evidence.parquet"), name)
    stability = _stability(results.table("phrenology/stability.parquet"), name)
    groups = []
    for group in np.unique(of[of >= 0]).tolist():
        numbers = evidence.get(group) or stability.get(group) or {}
        called = names.get(group, {}).get("name")
        groups.append({"id": group, "name": called, "supported": numbers.pop("supported", None), "evidence": numbers})
    described = {"name": name, "file": f"phrenology/{file}.parquet", "of": integers(of), "groups": groups}
    share = _with_own_group(results, place, name, of)
    return described if share is None else described | {"share": floats(share)}


def _of_groups(table, what):
    """Rows of a table about the groups of one grouping, by group, as plain numbers."""
    if table is None:
        return {}
    rows = table[table["what"] == what].drop(columns="what").drop_duplicates("group").set_index("group")
    return {int(group): plain(row, 15) for group, row in rows.to_dict("index").items()}


def _stability(table, what):
    """The Jaccard indices of each group and their intervals, where there is no table of all evidence."""
    found = {}
    if table is not None and "resampling" in table:
        for row in table[table["what"] == what].to_dict("records"):
            own = {f"jaccard_{row['resampling']}{end}": row[key] for end, key in _ENDS.items()}
            found.setdefault(int(row["group"]), {"heads": row["heads"], "members": row["members"]}).update(
                plain(own, 15)
            )
    return found


_ENDS = {"": "jaccard", "_low": "low", "_high": "high"}


def _with_own_group(results, place, what, of):
    """How often a head is found with the other heads of its group, over halves of the prompts: its mean share."""
    path = results.path("phrenology/consensus.parquet")
    if path is None:
        return None
    rows, together = tables.read(path, ["what", *IDENTITY]), tables.read_lists(path, "together")
    chosen = (rows["what"] == what).to_numpy()
    at = _at(rows[chosen], place)
    if not chosen.any() or (at < 0).any():
        return None
    same = (of[at][:, None] == of[at]) & (of[at] >= 0) & ~np.eye(len(at), dtype=bool)
    share = np.full(len(of), np.nan)
    count = same.sum(1)
    share[at] = np.where(count > 0, (together[chosen] * same).sum(1) / np.maximum(count, 1), np.nan)
    return share


def _pairs(results, place):
    """Numbers about two heads, as squares over some heads: row and column are places in `heads`."""
    found = []
    for file, column, name, title, formed in _SQUARES:
        path = results.path(file)
        if path is None or column not in tables.columns(path):
            continue
        at = _at(tables.read(path, IDENTITY), place)
        if len(at) <= _MOST_PAIRED:
            square = formed(tables.read_lists(path, column))
            found.append({"name": name, "title": title, "file": file, "heads": integers(at), "square": floats(square)})
    rows = results.table("phrenology/transplants.parquet")
    if rows is not None and len(rows):
        donors = rows[[f"donor_{part}" for part in IDENTITY]].set_axis(IDENTITY, axis=1)
        receiver, donor = _at(rows, place), _at(donors, place)
        at = np.unique(np.concatenate([receiver, donor]))
        at = at[at >= 0]
        if len(at) <= _MOST_PAIRED:
            square = np.full((len(at), len(at)), np.nan)
            known = (receiver >= 0) & (donor >= 0)
            spots = np.searchsorted(at, receiver[known]), np.searchsorted(at, donor[known])
            square[spots] = rows["recovered"].to_numpy()[known]
            title = "Loss recovered with the other in its place, nats"
            about = {"name": "transplant", "title": title, "file": "phrenology/transplants.parquet"}
            found.append(about | {"heads": integers(at), "square": floats(square)})
    return found


def _cosines(products):
    lengths = np.sqrt(np.maximum(np.diagonal(products), 1e-30))
    return products / lengths / lengths[:, None]


_MOST_PAIRED = 700  # heads whose squares a page holds; 2 MB each
_SQUARES = (
    ("phrenology/distances.parquet", "jensen_shannon", "attention", "Jensen-Shannon distance of attention", np.asarray),
    ("phrenology/circuits.parquet", "ov", "ov", "Cosine of OV circuits", np.asarray),
    ("phrenology/circuits.parquet", "qk", "qk", "Cosine of QK circuits", np.asarray),
    ("phrenology/knockouts.parquet", "mean", "effects", "Cosine of effects (mean ablation)", _cosines),
)


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


def _token_circuits(results, place):
    """The strongest pairs of tokens in each head's OV and QK circuit, all models together."""
    parts, facts = [], []
    for model in results.models:
        path = results.path(f"token_circuits/{model}.parquet")
        if path is not None and tables.rows(path):
            rows = tables.read(path).assign(model=model)
            for end in ("source", "target"):
                ids, where = np.unique(rows[end], return_inverse=True)
                rows[end] = np.array(results.token_names(model, ids), dtype=object)[where]
            parts.append(rows.assign(at=_at(rows, place)))
            facts.append(tables.facts(path).get("tokens"))
    if not parts:
        return None
    rows = pd.concat(parts, ignore_index=True)
    names = list(dict.fromkeys([*rows["source"], *rows["target"]]))
    number = {name: index for index, name in enumerate(names)}
    return {
        "of": integers(rows["at"]),
        "circuit": integers((rows["circuit"] == "qk").astype(int)),
        "names": names,
        "source": integers(rows["source"].map(number)),
        "target": integers(rows["target"].map(number)),
        "value": floats(rows["value"]),
        "chance": floats(rows["chance"]),
        "tokens": max(facts),
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
