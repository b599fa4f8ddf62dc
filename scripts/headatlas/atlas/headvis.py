"""A run's heads in the folder layout of HeadVis (Anthropic, 2026), so that its front end can show them.

HeadVis serves `data/config.json`, `data/scatter_data.json` and `data/heads/L{layer}H{head}.json` from disk, for one
model. That layout is what its documentation says; the fields within are documented only in its source, which was not at
hand: those written here are named as plainly as possible and described in docs/atlas.md.
"""

import json
import zipfile

import numpy as np

from headatlas.atlas import attention
from headatlas.atlas.encoding import plain
from headatlas.attention.packing import unpack

_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file, so that equal data are equal bytes


def write_archive(path, results, model):
    """Write a ZIP archive with a folder `member-{m}/data` for each member of a model.

    Parameters
    ----------
    path : path-like
    results : Results
    model : str
    """
    facts = results.facts(model)
    heads = results.heads()
    heads = heads[heads["model"] == model].dropna(axis="columns", how="all")
    metrics = [name for name in heads if name not in ("model", "member", "layer", "head")]
    tokens = results.tokens(model)
    names = None
    if tokens is not None:
        ids, places = np.unique(tokens, return_inverse=True)
        names = np.array(results.token_names(model, ids), dtype=object)[places.reshape(tokens.shape)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in range(facts["members"]):
            own = heads[heads["member"] == member]
            config = {"model_name": model, "member": member, "n_layers": facts["layers"], "n_heads": facts["heads"]}
            config |= {"context_length": facts["size"], "n_sequences": facts["prompts"], "metrics": metrics}
            _add(archive, member, "config.json", config)
            points = [
                {"layer": row["layer"], "head": row["head"], "id": f"L{row['layer']}H{row['head']}"}
                | {name: row[name] for name in metrics}
                for row in own.to_dict("records")
            ]
            _add(archive, member, "scatter_data.json", {"metrics": metrics, "heads": points})
            for layer in range(facts["layers"]):
                for head, packed in enumerate(_packed(results, model, member, layer)):
                    about = own[(own["layer"] == layer) & (own["head"] == head)].iloc[0]
                    described = {"layer": layer, "head": head, "metrics": {name: about[name] for name in metrics}}
                    described["sequences"] = [] if packed is None else _sequences(packed, facts, names)
                    _add(archive, member, f"heads/L{layer}H{head}.json", described)


def _packed(results, model, member, layer):
    """Packed patterns of a layer's heads; None for each where no patterns are kept."""
    if results.has_patterns(model):
        return results.packed_patterns(model, member, layer)
    return [None] * results.facts(model)["heads"]


def _sequences(packed, facts, names):
    """The prompts that the atlas chooses for a head, with why, departure, tokens and the whole pattern."""
    departure = attention.departures(packed, facts["size"], facts["packing"])
    chosen = []
    for prompt, why in attention.chosen_prompts(departure):
        pattern = unpack(packed[prompt][None], facts["size"], facts["packing"])[0]
        about = {"sequence": prompt, "bucket": why, "activation": departure[prompt]}
        tokens = None if names is None else names[prompt].tolist()
        chosen.append(about | {"tokens": tokens, "attention": pattern.round(4).tolist()})
    return chosen


def _add(archive, member, name, value):
    entry = zipfile.ZipInfo(f"member-{member}/data/{name}", _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False))
