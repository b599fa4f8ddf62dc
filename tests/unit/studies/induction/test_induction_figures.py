"""Figures and findings of the induction study say what its tables hold, for models of any shape."""

import numpy as np
import pandas as pd
import pytest

from drawn_figures import drawn_texts, maps_of
from headatlas.studies.induction import findings, head_kinds, induction_depth, repeated_tokens
from headatlas.studies.induction.figures import head_kinds as kinds_figure
from headatlas.studies.induction.figures import (
    in_context_learning,
    induction_maps,
    masks,
    model_sizes,
    self_repair,
    training_dynamics,
)
from headatlas.studies.induction.figures import repeated_tokens as setups_figure

SHAPES = {
    "repeats-bidirectional": (2, 4, 2, True),
    "bert": (12, 12, 1, False),
    "large": (24, 16, 1, False),
}  # layers, heads, members


def heads_of(shape, **columns):
    layers, heads, members, _ = shape
    member, layer, head = np.indices((members, layers, heads)).reshape(3, -1)
    return pd.DataFrame({**columns, "member": member, "layer": layer, "head": head})


def maps_table(shape, seed=0):
    generator, parts = np.random.default_rng(seed), []
    for protocol in repeated_tokens.PROTOCOLS:
        for setup in ["standard"] if shape[3] else repeated_tokens.SETUPS:
            for reading in repeated_tokens.SETUPS[setup]:
                rows = heads_of(shape, protocol=protocol, setup=setup, reading=reading)
                late = (rows["layer"] == shape[0] - 1) & (reading in ("same", "after"))
                value = generator.uniform(0, 0.04, len(rows)) + 0.6 * late
                parts.append(rows.assign(value=value, standard_error=0.01, chance=0.02))
    return pd.concat(parts, ignore_index=True)


def conditions_table(shape):
    parts = [] if shape[3] else [("masks", "1%", 4), ("masks", "10%", 40)]
    tables = []
    for condition, level, count in [*parts, ("words", "whole words", int(not shape[3])), ("words", "pieces", 1)]:
        for reading in ("same", "after", "masks"):
            rows = heads_of(shape, condition=condition, level=level, count=count, reading=reading)
            tables.append(rows.assign(value=0.1 + 0.01 * rows["head"], standard_error=0.01, chance=0.02))
    return pd.concat(tables, ignore_index=True)


def learning(shape, gain=0.3):
    noise, rows = np.random.default_rng(1).normal(0, 0.05, 20), []
    for protocol in repeated_tokens.PROTOCOLS:
        for member in range(shape[2]):
            both = {"short": 3 + noise, "long": 3 - gain + noise / 2}
            rows.append(pd.DataFrame({"protocol": protocol, "member": member, "text": range(20), **both}))
    curve = pd.DataFrame({"member": 0, "size": [5, 10, 20], "loss": [3.0, 2.9, 2.7], "low": 2.5, "high": 3.2})
    facts = {"short": 5, "long": 20, "causal": shape[3], "texts": 20, "skipped": 7}
    return pd.concat(rows, ignore_index=True), curve, facts


def ablations(shape, total=0.4, direct=1.0):
    rows, changed = [], []
    for member in range(shape[2]):
        sets = [("1.0", 1, -1), ("1.1", 1, -1), ("1.0 1.1", 2, -1), ("1.2", 1, 0), ("1.2 1.3", 2, 2)]
        for index, (heads, size, control_of) in enumerate(sets):
            scale = 0.02 if control_of >= 0 else 1.0 if size == 2 else 0.25
            row = {"member": member, "set": index, "heads": heads, "size": size, "control_of": control_of}
            row |= {"kind": "mean", "loss": 0.5, "ordinary": 0.01, "ordinary_error": 0.01}
            row |= {"total": total * scale, "direct": direct * scale, "repair": (direct - total) * scale}
            row |= {"total_error": 0.02, "direct_error": 0.02, "repair_low": 0.5, "repair_high": 0.7}
            rows.append(row)
    for index in range(3):
        own = heads_of(shape, set=index, kind="mean")
        own = own.assign(before=0.1, after=0.2, change=0.1, standard_error=0.01)
        changed.append(own.assign(ablated=(own["layer"] == 1) & (own["head"] == 0)))
    return pd.DataFrame(rows), pd.concat(changed, ignore_index=True)


def dynamics_table():
    rows = []
    for member in range(2):
        for step, tokens in enumerate((0, 100, 1000, 10000)):
            for score, value in (("induction", 0.05 + 0.4 * (step > 1) * (step - 1)), ("previous_token", 0.2 * step)):
                rows += [(member, step, tokens, score, layer, 0, value * layer, 0.05) for layer in (0, 1)]
            rows.append((member, step, tokens, "in_context", -1, -1, 0.5 * (step > 1), 0.0))
    names = ["member", "step", "tokens", "score", "layer", "head", "value", "chance"]
    return pd.DataFrame(rows, columns=names)


def told_apart(shape):
    rows = heads_of(shape, prefix_matching=0.05, chance=0.04, copying=0.0, ov_copying=0.1, kind="neither")
    late = rows["layer"] == shape[0] - 1
    rows.loc[late, ["prefix_matching", "copying"]] = [0.7, 0.6]
    rows.loc[late, "kind"] = "induction"
    return rows


MAPS = {name: maps_table(shape) for name, shape in SHAPES.items()}
LEARNING = {name: learning(shape) for name, shape in SHAPES.items()}
ABLATIONS = {name: ablations(shape) for name, shape in SHAPES.items()}
CONDITIONS = {name: conditions_table(shape) for name, shape in SHAPES.items()}
SCORES = {name: repeated_tokens.induction_rows(table, SHAPES[name][3]) for name, table in MAPS.items()}
DEPTHS = induction_depth.depth_table(pd.concat([table.assign(model=name) for name, table in SCORES.items()]))
TOLD = pd.concat([told_apart(shape).assign(model=name) for name, shape in SHAPES.items()])


def trials_of(size, causal):
    one = {"tokens": [f"word{i}" for i in range(size)], "masked": size - 4, "length": size // 2}
    one["keys"] = {"same": size // 2 - 4, "before": size // 2 - 5, "after": size // 2 - 3}
    setups = {"standard": one} if causal else dict.fromkeys(repeated_tokens.SETUPS, one)
    return dict.fromkeys(repeated_tokens.PROTOCOLS, setups)


def in_context_figure(protocol, names=tuple(SHAPES)):
    pairs, curves, facts = ({name: LEARNING[name][part] for name in names} for part in range(3))
    gains = {
        (name, of, member): findings.gain(rows)
        for name, table in pairs.items()
        for (of, member), rows in table.groupby(["protocol", "member"])
    }
    return in_context_learning.in_context(pairs, curves, facts, gains, protocol)


STANDARD = [("standard", reading) for reading in repeated_tokens.SETUPS["standard"]]
OTHERS = [(setup, reading) for setup in ("shuffled", "bidirectional") for reading in repeated_tokens.SETUPS[setup]]
FIGURES = {
    "published learning": lambda: in_context_figure("published"),
    "learning": lambda: in_context_figure("corrected"),
    "learning of one": lambda: in_context_figure("corrected", ["repeats-bidirectional"]),
    "scheme": lambda: setups_figure.scheme(
        {"repeats-bidirectional": trials_of(32, True), "bert": trials_of(401, False)}, "corrected"
    ),
    "maps": lambda: induction_maps.induction_maps(MAPS, STANDARD, "published"),
    "other maps": lambda: induction_maps.induction_maps(MAPS, OTHERS, "corrected"),
    "no maps": lambda: induction_maps.induction_maps(
        {"repeats-bidirectional": MAPS["repeats-bidirectional"]}, OTHERS, "corrected"
    ),
    "published sizes": lambda: model_sizes.sizes(of_protocol("published"), DEPTHS, "published"),
    "sizes": lambda: model_sizes.sizes(of_protocol("corrected"), DEPTHS, "corrected"),
    "dynamics": lambda: training_dynamics.training_dynamics({"a": dynamics_table(), "b": dynamics_table()}),
    "no dynamics": lambda: training_dynamics.training_dynamics({}),
    "look-alikes": lambda: kinds_figure.head_kinds(TOLD, head_kinds.MATCHING, head_kinds.COPYING),
    "back-up heads": lambda: self_repair.backup_heads(*({n: ABLATIONS[n][p] for n in SHAPES} for p in (0, 1))),
    "masks": lambda: masks.masks(CONDITIONS),
    "no masks": lambda: masks.masks({"repeats-bidirectional": CONDITIONS["repeats-bidirectional"][:0]}),
}


def of_protocol(protocol):
    return {name: table[table["protocol"] == protocol] for name, table in SCORES.items()}


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_cut_off(name, monkeypatch):
    figure = FIGURES[name]()
    page, texts = figure.bbox, drawn_texts(figure, monkeypatch)
    assert texts
    cut = [text for text, b in texts if b.x0 < page.x0 or b.y0 < page.y0 or b.x1 > page.x1 or b.y1 > page.y1]
    assert not cut


def test_maps_are_drawn_as_given():
    figure = FIGURES["maps"]()
    drawn = maps_of(figure, (12, 12))
    assert len(drawn) == 3
    table = MAPS["bert"]
    for array, reading in zip(drawn, repeated_tokens.SETUPS["standard"], strict=True):
        rows = table[(table["protocol"] == "published") & (table["reading"] == reading)]
        np.testing.assert_array_equal(array, rows["value"].to_numpy().reshape(12, 12))
    assert len(maps_of(figure, (2, 4))) == 2 * 3


def test_findings_name_heads_and_numbers():
    models = {}
    for name, shape in SHAPES.items():
        pairs, _, facts = LEARNING[name]
        models[name] = {"causal": shape[3], "maps": MAPS[name], "pairs": pairs, "context": facts}
        models[name] |= {"conditions": CONDITIONS[name], "effects": ABLATIONS[name][0]}
    text = findings.text(models, DEPTHS, TOLD, {"repeats-bidirectional": dynamics_table()})
    best = SCORES["bert"][SCORES["bert"]["protocol"] == "corrected"].nlargest(1, "value").iloc[0]
    assert f"layer {best['layer']} head {best['head']} at {best['value']:.3f} ± 0.010 (chance 0.020)" in text
    assert "12 of 144 heads" in text
    assert "Olsson's score -0.30" in text
    assert "7 too short" in text
    assert "+0.400 nats, +1.000 were no other head to respond, so self-repair is +0.600 nats (60% of it)" in text
    assert "one by one the heads cost +0.200 in all" in text
    assert "head 1.0 reaches half of its final 0.850 by 1,000 tokens" in text
    assert "Do induction heads always appear in later layers? In 4 of 4 networks" in text
    assert "12 induction, 0 look-alike" in text
