"""A folder of results of two small models whose heads, tokens and groups are known, written without any training."""

import json

import numpy as np
import pandas as pd

from headatlas.attention.packing import pack
from headatlas.base import tables
from headatlas.jobs.store import file_digest

# What a corpus may hold: markup, quotes, controls, right-to-left text and overrides, wide and combining signs, nothing
NASTY = [
    *("<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "&amp;", "\"'`", "\u202eabc", "\x00\x07"),
    *("שלום", "العربية", "東京", "👩‍🔬", "e\u0301", "\n", "\u2028", "=1+1", "${7*7}", " the"),
]
MEMBERS, LAYERS, HEADS, SIZE, PROMPTS = 3, 2, 4, 8, 20


def previous_token(size):
    """A head that attends to the position before, and the first to itself."""
    pattern = np.eye(size, k=-1)
    pattern[0, 0] = 1
    return pattern


def patterns(seed=0):
    """Causal patterns (member, layer, head, prompt, query, key); layer 0 head 0 looks back by one."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(MEMBERS, LAYERS, HEADS, PROMPTS, SIZE, SIZE)) * 2
    logits[..., np.triu(np.ones((SIZE, SIZE), bool), 1)] = -np.inf
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    weights[:, 0, 0] = previous_token(SIZE)
    return weights.astype(np.float32)


def write_tokenizer(folder, names):
    folder.mkdir(parents=True)
    vocabulary = {name: index for index, name in enumerate(names)}
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": names[0]}
    described = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None}
    described |= {"pre_tokenizer": None, "post_processor": None, "decoder": None, "model": model}
    (folder / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def identity(model=None):
    index = np.indices((MEMBERS, LAYERS, HEADS), dtype=np.int32).reshape(3, -1)
    rows = pd.DataFrame(dict(zip(("member", "layer", "head"), index, strict=True)))
    if model:
        rows.insert(0, "model", model)
    return rows


def write_results(folder, name="planted", seed=0, names=NASTY, study=True, kept=True):
    """Write the folder: attention, prompts, tokenizer, scores; what a study found, with figures.

    Parameters
    ----------
    folder : pathlib.Path
    name : str
        Of the one model.
    seed : int
    names : list of str
        The vocabulary.
    study : bool
        Whether a study found anything.
    kept : bool
        Whether attention patterns are there.
    """
    rng = np.random.default_rng(seed)
    write_tokenizer(folder / "tokenizers/nasty", names)
    (folder / f"windows/{name}").mkdir(parents=True)
    (folder / "scores").mkdir()
    tokens = rng.integers(0, len(names), (PROMPTS, SIZE)).astype(np.int32)
    tokens[0, : min(SIZE, len(names))] = np.arange(min(SIZE, len(names)))
    windows = folder / f"windows/{name}/analysis.parquet"
    digest = file_digest(folder / "tokenizers/nasty/tokenizer.json")
    made = {"rule": "sample_windows", "inputs": {"tokenizer": [digest]}}
    number = np.arange(PROMPTS, dtype=np.int32)
    tables.write(windows, {"member": number * 0 - 1, "window": number, "tokens": tokens}, provenance=made)
    facts = {"members": MEMBERS, "layers": LAYERS, "heads": HEADS, "size": SIZE, "prompts": PROMPTS, "packing": "lower"}
    made = {"rule": "extract_patterns", "inputs": {"windows": [tables.content_digest(windows)]}, "code": "c0de"}
    weights = patterns(seed)
    if kept:
        (folder / f"attention/{name}").mkdir(parents=True)
        _write_patterns(folder / f"attention/{name}/patterns.parquet", weights, facts, made)
    scores = []
    for score, chance in (("previous_token", 0.3), ("induction", 0.2), ("copying", 0.0)):
        rows = identity().assign(score=score, value=rng.random(MEMBERS * LAYERS * HEADS))
        scores.append(rows.assign(standard_error=0.01, chance=chance))
    tables.write(
        folder / f"scores/{name}.parquet", pd.concat(scores), facts=facts, provenance=made | {"rule": "score_heads"}
    )
    (folder / "token_circuits").mkdir()
    pairs = identity().merge(pd.DataFrame({"circuit": ["ov", "qk"]}), how="cross")
    pairs = pairs.assign(rank=np.int32(1), source=np.int32(0), target=np.int32(1), value=5.5, chance=3.5)
    tables.write(folder / f"token_circuits/{name}.parquet", pairs, facts={"tokens": len(names)})
    if study:
        _write_study(folder, name, rng)
    return weights, tokens


def write_family(folder, name, members=1, layers=2, heads=4, seed=0):
    """Write the scores alone of one more model into a folder that `write_results` wrote."""
    rng, count = np.random.default_rng(seed), members * layers * heads
    rows = pd.DataFrame(
        dict(
            zip(
                ("member", "layer", "head"),
                np.indices((members, layers, heads), dtype=np.int32).reshape(3, -1),
                strict=True,
            )
        )
    )
    scores = [
        rows.assign(score=score, value=rng.random(count), standard_error=0.01, chance=0.2)
        for score in (
            "previous_token",
            "current_token",
            "duplicate_token_repeated",
            "previous_token_repeated",
            "induction",
        )
    ]
    facts = {"members": members, "layers": layers, "heads": heads, "size": SIZE, "prompts": PROMPTS, "packing": "lower"}
    tables.write(folder / f"scores/{name}.parquet", pd.concat(scores), facts=facts)


def _write_patterns(path, weights, facts, made):
    number, rows = np.arange(PROMPTS, dtype=np.int32), HEADS * PROMPTS
    with tables.Writer(path, facts=facts, provenance=made) as writer:
        for member in range(MEMBERS):
            for layer in range(LAYERS):
                columns = {"member": np.full(rows, member, np.int32), "layer": np.full(rows, layer, np.int32)}
                columns |= {"head": np.repeat(np.arange(HEADS, dtype=np.int32), PROMPTS)}
                columns |= {"prompt": np.tile(number, HEADS)}
                writer.write(columns | {"pattern": pack(weights[member, layer]).reshape(rows, -1)})


def _write_study(folder, name, rng):
    (folder / "phrenology").mkdir()
    claim = {"study": "phrenology", "item": "Table 1", "reported": "MSE <b>.5</b>", "published": "MSE .25"}
    claim |= {
        "corrected": "MSE .125",
        "verdict": "differs",
        "asked": "the same",
        "differences": "d_model 64 (paper: 256)",
    }
    tables.write(folder / "reproduction.parquet", {key: [value] for key, value in claim.items()})
    (folder / f"knockouts/{name}").mkdir(parents=True)
    count = MEMBERS * LAYERS * HEADS
    heads = identity(name)
    costs = [
        identity().assign(kind=kind, effect=rng.random(count), standard_error=0.01)
        for kind in ("zero", "mean", "resample", "other")
    ]
    tables.write(folder / f"knockouts/{name}/losses.parquet", pd.concat(costs))
    kinds, groups = heads["layer"].to_numpy("int32"), (heads["layer"] * HEADS + heads["head"]).to_numpy("int32")
    tables.write(folder / "phrenology/kinds.parquet", heads.assign(kind=kinds, candidate=kinds))
    tie = np.where(heads["head"] == 1, 0, -1).astype("int32")
    tables.write(folder / "phrenology/partners.parquet", heads.assign(group=groups, tie=tie))
    together = np.repeat((kinds[:, None] == kinds) * 0.9, 1, axis=0)
    together[0] = together[:, 0] = 0.5 * (kinds == kinds[0])  # the first head hesitates
    tables.write(
        folder / "phrenology/consensus.parquet", {"what": ["kind"] * count, **dict(heads), "together": together}
    )
    name = pd.DataFrame({"what": "kind", "group": [0, 1], "name": ["looks <b>back</b>", "mixed"]})
    tables.write(folder / "phrenology/names.parquet", name)
    square = rng.random((count, count)).astype(np.float32)
    square = (square + square.T) / 2
    np.fill_diagonal(square, 0)
    tables.write(folder / "phrenology/distances.parquet", {**dict(heads), "jensen_shannon": square})
    tables.write(folder / "phrenology/knockouts.parquet", {**dict(heads), "mean": square + np.eye(count) * 4})
    here, there = np.divmod(np.arange(count * count), count)
    sides = [heads.iloc[at].reset_index(drop=True).add_prefix(side) for at, side in ((here, ""), (there, "donor_"))]
    pairs = pd.concat(sides, axis=1).assign(recovered=rng.random(count**2))
    tables.write(folder / "phrenology/transplants.parquet", pairs[pairs["member"] != pairs["donor_member"]])
    shared = {f"jaccard_{part}{end}": [0.9, 0.4] for part in ("prompts", "members") for end in ("", "_low", "_high")}
    shared |= {"cosine": [0.3, 0.01], "r2": [0.1, -0.1], "p": [0.002, 0.5], "p_floor": 0.002, "p_holm": [0.004, 0.5]}
    shared |= {"stable": [True, False], "alike": [True, False], "supported": [True, False]}
    evidence = pd.DataFrame({"what": "kind", "group": [0, 1], "heads": 12, "members": 3, **shared})
    tables.write(folder / "phrenology/evidence.parquet", evidence)
    points = heads.assign(method="pca", component_1=rng.normal(size=count), component_2=rng.normal(size=count))
    tables.write(folder / "phrenology/projections.parquet", points)
    written = pd.concat(
        [
            heads.assign(direction=d, rank=r, token=r, name=NASTY[r], effect=0.01 * r, standard_error=0.001)
            for d in ("promoted", "suppressed")
            for r in (0, 1, 2)
        ]
    )
    tables.write(folder / "phrenology/knockout_tokens.parquet", written)
    (folder / "phrenology/kinds.md").write_text("**Two kinds.** Tokens such as <script>alert(1)</script> stay text.\n")
    from PIL import Image

    for protocol in ("published", "corrected"):
        figures = folder / "figures/phrenology" / protocol
        figures.mkdir(parents=True)
        Image.new("RGB", (400, 200), "white").save(figures / "fig01_decoded_pairs.png")
