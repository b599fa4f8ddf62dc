"""Figures and findings of the induction study say what its tables hold, for models of any shape."""

import itertools

import numpy as np
import pandas as pd
import pytest

import pdf_texts
from drawn_figures import drawn_texts, maps_of
from headatlas.plotting import style
from headatlas.studies.induction import findings, head_kinds, induction_depth, repeated_tokens
from headatlas.studies.induction.figures import head_kinds as kinds_figure
from headatlas.studies.induction.figures import (
    in_context_learning,
    induction_maps,
    masks,
    model_sizes,
    pairs_of_heads,
    self_repair,
    training_dynamics,
)
from headatlas.studies.induction.figures import repeated_tokens as setups_figure

SHAPES = {
    "repeats-causal": (3, 4, 3, True),
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
                halves = {"choice": value, "held_out": value - 0.001, "held_out_error": 0.01}
                parts.append(rows.assign(value=value, standard_error=0.01, chance=0.02, **halves))
    return pd.concat(parts, ignore_index=True)


def conditions_table(shape):
    parts = [] if shape[3] else [("masks", "1 mask", 1), ("masks", "4 masks", 4)]
    tables = []
    for condition, level, count in [*parts, ("words", "whole words", int(not shape[3])), ("words", "pieces", 1)]:
        for reading in ("same", "after", "masks"):
            rows = heads_of(shape, condition=condition, level=level, count=count, reading=reading)
            value = 0.1 + 0.01 * rows["head"] - 0.02 * count
            halves = {"choice": value, "held_out": value + 0.001, "held_out_error": 0.01}
            tables.append(rows.assign(value=value, standard_error=0.01, chance=0.02, **halves))
    return pd.concat(tables, ignore_index=True)


def learning(shape, gain=0.3):
    noise, rows = np.random.default_rng(1).normal(0, 0.05, 20), []
    for protocol in repeated_tokens.PROTOCOLS:
        for member in range(shape[2]):
            both = {"short": 4 + noise, "elsewhere": 3 + noise, "long": 3 - gain + noise / 2}
            rows.append(pd.DataFrame({"protocol": protocol, "member": member, "text": range(20), **both}))
    curve = pd.DataFrame({"member": 0, "size": [5, 10, 20], "loss": [3.0, 2.9, 2.7], "low": 2.5, "high": 3.2})
    facts = {"short": 5, "long": 20, "causal": shape[3], "texts": 20, "across": 7}
    return pd.concat(rows, ignore_index=True), curve, facts


def ablations(shape, total=0.4, direct=1.0):
    """Heads 1.0 and 1.1 cost 0.1 nats each and 0.4 together, of which later layers, where there are, made 0.6."""
    rows, changed, later = [], [], shape[0] - 2
    for member in range(shape[2]):
        sets = [
            ("1.0", "one", -1),
            ("1.1", "one", -1),
            ("1.0 1.1", "layer", -1),
            ("1.2", "one", 0),
            ("1.2 1.3", "layer", 2),
        ]
        for index, (heads, group, control_of) in enumerate(sets):
            scale = (0.02 if control_of >= 0 else 1.0 if group == "layer" else 0.25) * (1 + 0.1 * member)
            row = {"member": member, "set": index, "heads": heads, "size": len(heads.split()), "group": group}
            row |= {"later_layers": later, "control_of": control_of}
            row |= {"kind": "mean", "loss": 0.5, "ordinary": 0.01, "ordinary_error": 0.01}
            row |= {"total": total * scale, "direct": direct * scale}
            row |= {"repair": (direct - total) * scale if later else np.nan}
            row |= {"total_error": 0.02, "direct_error": 0.02, "repair_low": row["repair"] - 0.1}
            row["repair_high"] = row["repair"] + 0.1
            rows.append(row)
    for index in range(3):
        own = heads_of(shape, set=index, kind="mean")
        own = own.assign(before=0.1, after=0.2, change=0.1, standard_error=0.01)
        changed.append(own.assign(ablated=(own["layer"] == 1) & (own["head"] < 2)))
    return pd.DataFrame(rows), pd.concat(changed, ignore_index=True)


def joint(shape, layer=1, excess=0.5):
    """The logit falls by 4 without two of a layer's heads, by 0.5 more than without each; without two others, by 1."""
    rows = []
    for member in range(shape[2]):
        of_heads = [("0 1", True, layer, 4.0, excess + 0.01 * member), ("2 3", False, 0, 1.0, 0.02 * member)]
        for heads, induction, at, logit, more in of_heads:
            names = " ".join(f"{at}.{head}" for head in heads.split())
            row = {"member": member, "layer": at, "heads": names, "size": 2, "induction": induction}
            row |= {"followed": at + 1 < shape[0], "logit": logit, "logit_singly": logit - more, "excess": more}
            rows.append(row | {"excess_error": 0.1, "loss": 6.0, "loss_singly": 0.7})
    return pd.DataFrame(rows)


def joint_of_eight(members=3):
    """Heads 0 and 1 stand in for one another, heads 2 and 3 do one thing by way of one another, other pairs add up."""
    rows = []
    for member in range(members):
        for one, other in itertools.combinations(range(8), 2):
            excess = {(0, 1): 2.0, (2, 3): -1.0}.get((one, other), 0.01)
            row = {"member": member, "layer": 1, "heads": f"1.{one} 1.{other}", "size": 2, "induction": True}
            row |= {"followed": True, "logit": 4.0, "logit_singly": 4 - excess, "excess": excess, "excess_error": 0.1}
            rows.append(row | {"loss": 6.0, "loss_singly": 0.7})
    return pd.DataFrame(rows)


EIGHT = joint_of_eight()


def dynamics_table(members=3):
    """Head 2.0 passes half of its rise at 100,000 tokens, and each further member 20,000 later."""
    rows = []
    for member in range(members):
        for step, tokens in enumerate((0, 50_000, 100_000, 150_000, 200_000, 250_000)):
            share = np.clip((tokens - 50_000 - 20_000 * member) / 100_000, 0, 1)
            for score, value in (("induction", 0.02 + 0.8 * share), ("previous_token", 0.07 + 0.3 * min(1, 2 * share))):
                rows += [
                    (member, step, tokens, score, layer, 0, value if layer == 2 * (score == "induction") else 0.02)
                    for layer in (0, 2)
                ]
            rows.append((member, step, tokens, "in_context", -1, -1, 2 * share))
    table = pd.DataFrame(rows, columns=["member", "step", "tokens", "score", "layer", "head", "value"])
    table = table.assign(chance=0.02, standard_error=0.001, choice=table["value"], held_out=table["value"])
    return table


def told_apart(shape):
    rows = heads_of(shape, attention=0.05, chance=0.04, copying=0.0, ov_copying=0.1, kind="neither")
    rows = rows.assign(attention_error=0.01, copying_error=0.02)
    late = rows["layer"] == shape[0] - 1
    rows.loc[late, ["attention", "copying"]] = [0.7, 0.6]
    rows.loc[late, "kind"] = "finds and copies"
    return rows


MAPS = {name: maps_table(shape) for name, shape in SHAPES.items()}
LEARNING = {name: learning(shape) for name, shape in SHAPES.items()}
ABLATIONS = {name: ablations(shape) for name, shape in SHAPES.items()}
JOINT = {name: joint(shape) for name, shape in SHAPES.items()}
COUNTED = {name: repeated_tokens.induction_heads(table, SHAPES[name][3]) for name, table in MAPS.items()}
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
        (name, of, member): findings.gain(rows, of)
        for name, table in pairs.items()
        for (of, member), rows in table.groupby(["protocol", "member"])
    }
    return in_context_learning.in_context(pairs, curves, facts, gains, protocol)


STANDARD = [("standard", reading) for reading in repeated_tokens.SETUPS["standard"]]
OTHERS = [(setup, reading) for setup in ("shuffled", "bidirectional") for reading in repeated_tokens.SETUPS[setup]]
FORMED = pd.DataFrame({"member": range(3), "layer": 2, "head": 0})
FIGURES = {
    "published learning": lambda: in_context_figure("published"),
    "learning": lambda: in_context_figure("corrected"),
    "learning of one": lambda: in_context_figure("corrected", ["repeats-causal"]),
    "scheme": lambda: setups_figure.scheme(
        {"repeats-causal": trials_of(32, True), "bert": trials_of(401, False)}, "corrected"
    ),
    "maps": lambda: induction_maps.induction_maps(MAPS, STANDARD, "published"),
    "other maps": lambda: induction_maps.induction_maps(MAPS, OTHERS, "corrected"),
    "no maps": lambda: induction_maps.induction_maps({"repeats-causal": MAPS["repeats-causal"]}, OTHERS, "corrected"),
    "published sizes": lambda: model_sizes.sizes(of_protocol("published"), DEPTHS, "published"),
    "sizes": lambda: model_sizes.sizes(of_protocol("corrected"), DEPTHS, "corrected"),
    "dynamics": lambda: training_dynamics.training_dynamics(
        {"a": dynamics_table(), "b": dynamics_table()}, dict.fromkeys("ab", FORMED)
    ),
    "no dynamics": lambda: training_dynamics.training_dynamics({}, {}),
    "look-alikes": lambda: kinds_figure.head_kinds(TOLD, head_kinds.COPYING),
    "backup heads": lambda: self_repair.backup_heads(*({n: ABLATIONS[n][p] for n in SHAPES} for p in (0, 1))),
    "no backup heads": lambda: self_repair.backup_heads({"a": ablations((2, 4, 3, True))[0]}, {}),
    "redundancy": lambda: self_repair.redundancy(JOINT | {"last": joint((2, 4, 3, True)), "alone": JOINT["bert"][:0]}),
    "pairs": lambda: pairs_of_heads.pairs_of_heads(JOINT | {"last": joint((2, 4, 3, True)), "eight": EIGHT}),
    "no pairs": lambda: pairs_of_heads.pairs_of_heads({"a": JOINT["bert"][:0], "b": joint((2, 4, 3, True))}),
    "no redundancy": lambda: self_repair.redundancy({"a": JOINT["bert"][:0]}),
    "masks": lambda: masks.masks(CONDITIONS),
    "no masks": lambda: masks.masks({"repeats-causal": CONDITIONS["repeats-causal"][:0]}),
}


def of_protocol(protocol, names=tuple(SHAPES)):
    return {name: SCORES[name][SCORES[name]["protocol"] == protocol] for name in names}


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_cut_off(name, monkeypatch):
    figure = FIGURES[name]()
    page, texts = figure.bbox, drawn_texts(figure, monkeypatch)
    assert texts
    cut = [text for text, b in texts if b.x0 < page.x0 or b.y0 < page.y0 or b.x1 > page.x1 or b.y1 > page.y1]
    assert not cut


NAMES = [f"repeats-{which}" for which in ("one-layer", "two-layers", "three-layers", "four-layers", "bidirectional")]


def test_redundancy_and_its_notes_on_five_models_are_legible(tmp_path):
    tables = [
        JOINT["bert"][:0],
        joint((2, 4, 3, True)),
        joint((3, 4, 3, True)),
        joint((4, 4, 3, True)),
        joint((2, 4, 3, True)),
    ]
    figure = self_repair.redundancy(dict(zip(NAMES, tables, strict=True)))
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    assert not pdf_texts.faults(tmp_path / "a.pdf")


def test_an_interval_of_the_phase_change_is_shaded_as_far_as_curves_are_drawn(tmp_path):
    table = dynamics_table()
    late = table["tokens"] * np.where(table["member"] == 0, 1, 4)  # the interval over members reaches below 0
    figure = training_dynamics.training_dynamics({"a": table.assign(tokens=late)}, {"a": FORMED})
    left = min(patch.get_x() for patch in figure.axes[0].patches)
    assert left >= 0.8 * late[late > 0].min()
    style.save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    assert not pdf_texts.faults(tmp_path / "a.pdf")


def test_names_of_five_models_abreast_are_whole_and_their_losses_have_one_scale():
    names = NAMES
    pairs, curve, facts = LEARNING["repeats-causal"]
    gains = {
        (name, of, member): findings.gain(rows, of)
        for name in names
        for (of, member), rows in pairs.groupby(["protocol", "member"])
    }
    figure = in_context_learning.in_context(
        dict.fromkeys(names, pairs), dict.fromkeys(names, curve), dict.fromkeys(names, facts), gains, "corrected"
    )
    lines = {line for axes in figure.axes for line in axes.get_title().split("\n")}
    assert {"bidirectional", "three-layers"} <= lines
    for row in (figure.axes[:5], figure.axes[5:]):
        assert len({axes.get_ylim() for axes in row}) == 1
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["member 0", "member 1", "member 2", "far part another text's"]


def test_the_colours_of_maps_show_where_chance_is():
    bar = FIGURES["maps"]().axes[-1]
    assert "chance" in bar.get_ylabel()
    assert [line.get_ydata()[0] for line in bar.lines] == [0.02]


def test_maps_frame_the_reading_of_induction_and_star_what_is_beyond_chance():
    panels = [axes for axes in FIGURES["maps"]().axes if axes.images]
    framed = [axes.spines["left"].get_visible() for axes in panels]
    assert framed == [False, False, True, True, False, False, True, False, False]  # causal: after; masked: the earlier
    starred = [axes.get_title().endswith("*") for axes in panels]
    assert starred == [True, False, True] * 3  # planted at 0.6 where chance is 0.02; elsewhere within 4 errors of it
    largest = [float(axes.get_title().split("\n")[-1].strip("most *")) for axes in panels[:3]]
    table = MAPS["repeats-causal"].query("protocol == 'published'")
    wanted = [table.loc[table["reading"] == reading, "value"].max() for reading in repeated_tokens.SETUPS["standard"]]
    assert largest == pytest.approx(wanted, abs=0.005)


@pytest.mark.parametrize(("excess", "count"), [(0.5, 1), (0.0, 0)])
def test_redundancy_is_claimed_of_models_whose_intervals_lie_above_zero(excess, count):
    said = " ".join(self_repair.redundancy({"planted": joint((3, 4, 3, True), excess=excess)}).get_suptitle().split())
    assert said == f"Induction heads of a layer stand in for one another: for certain in {count} of 1 model"


def test_pairs_that_stand_in_for_one_another_are_told_from_those_that_add_up():
    figure = pairs_of_heads.pairs_of_heads({"planted": EIGHT})
    panels = [axes for axes in figure.axes if axes.images and axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["member 0", "member 1", "member 2"]
    for axes in panels:
        drawn = np.ma.filled(axes.images[0].get_array(), np.nan)
        assert drawn.shape == (8, 8)
        assert drawn[0, 1] == drawn[1, 0] == 2
        assert drawn[2, 3] == drawn[3, 2] == -1
        assert np.isfinite(drawn).sum() == 4
    title = " ".join(figure.get_suptitle().split())
    assert title == "3 of 84 pairs of induction heads cost more together than one by one, 3 less"
    assert "planted: 3 of 84 pairs cost more together than the sum of each, 3 less" in figure.finding
    small = pairs_of_heads.pairs_of_heads({"planted": joint((3, 4, 3, True), excess=0.5)})
    assert [text.get_text() for text in small.axes[0].texts] == ["+0.50", "+0.50"]
    assert "mean +0.51 logits, of pairs of other heads +0.02" in small.finding


@pytest.mark.parametrize(("repair", "count"), [(0.6, 1), (-0.6, 0), (0.0, 0)])
def test_repair_is_claimed_of_models_whose_interval_lies_above_zero(repair, count):
    table, changed = ablations((3, 4, 3, True))
    table["repair"] = repair + 0.01 * table["member"] - 0.01
    said = " ".join(self_repair.backup_heads({"planted": table}, {"planted": changed}).get_suptitle().split())
    assert said.endswith(f"for certain in {count} of 1 model")


def test_captions_say_what_masks_and_contexts_do():
    said = FIGURES["masks"]().finding
    # the strongest head is the last: 0.1 + 0.01 * 11 - 0.02 * masks, and 0.001 on the other half
    of_bert = "0.19 ± 0.01 (standard error) with 1 mask, 0.13 ± 0.01 (standard error) with 4 masks; chance 0.02"
    assert f"bert: {of_bert}" in said
    assert (
        "repeats-causal: a head's induction on whole words less that on pieces is +0.020 (95% +0.020 to +0.020" in said
    )
    said = FIGURES["learning"]().finding
    assert "repeats-causal +0.30 (95% +0.30 to +0.30 over 3 members); bert +0.30 (95% +0." in said
    assert "mean gain of the long context beside the short one, in nats: repeats-causal +1.30" in (
        FIGURES["published learning"]().finding
    )
    assert "(repeats-causal): token 29 of 32, word28, read at the earlier instance" in FIGURES["scheme"]().finding


def test_maps_are_drawn_as_given():
    figure = FIGURES["maps"]()
    drawn = maps_of(figure, (12, 12))
    assert len(drawn) == 3
    table = MAPS["bert"]
    for array, reading in zip(drawn, repeated_tokens.SETUPS["standard"], strict=True):
        rows = table[(table["protocol"] == "published") & (table["reading"] == reading)]
        np.testing.assert_array_equal(array, rows["value"].to_numpy().reshape(12, 12))
    side_by_side = maps_of(figure, (3, 3 * 4 + 2))  # three members and the gaps between them
    assert len(side_by_side) == 3
    table = MAPS["repeats-causal"]
    for array, reading in zip(side_by_side, repeated_tokens.SETUPS["standard"], strict=True):
        rows = table[(table["protocol"] == "published") & (table["reading"] == reading)]
        expected = rows["value"].to_numpy().reshape(3, 3, 4)  # (member, layer, head)
        for member in range(3):
            np.testing.assert_array_equal(array[:, 5 * member : 5 * member + 4], expected[member])
        assert np.isnan(np.ma.filled(array[:, [4, 9]], np.nan)).all()


def found_of(names):
    models = {}
    for name in names:
        pairs, _, facts = LEARNING[name]
        models[name] = {"causal": SHAPES[name][3], "maps": MAPS[name], "pairs": pairs, "context": facts}
        models[name] |= {"conditions": CONDITIONS[name], "effects": ABLATIONS[name][0], "joint": JOINT[name]}
    return models


def test_findings_name_heads_and_numbers():
    text = findings.text(found_of(SHAPES), DEPTHS, TOLD, {"repeats-causal": dynamics_table()})
    best = SCORES["bert"][SCORES["bert"]["protocol"] == "corrected"].nlargest(1, "choice").iloc[0]
    name = f"L{best['layer']}H{best['head']}"
    assert f"the strongest ({name}) has an induction score of {best['held_out']:.2f} (one member), chance 0.020" in text
    assert "bert: induction heads are 12 of 144 heads, in layer 11" in text
    assert "repeats-causal: induction heads are 4 of 12 heads in each of 3 members, in layer 2" in text
    assert "(Olsson's score, which compares tokens 20 and 5: -1.30)" in text
    assert "in 20 tokens of its own text, the loss of the last token is lower by 0.30 (95%" in text
    assert "in 5 tokens alone it is 1.30 higher than in 20, of which 1.00 are what a text so short costs" in text
    assert "20 texts, 7 of them of several short documents joined" in text
    causal = [line for line in text.splitlines() if line.startswith("- repeats-causal")]
    assert any(
        "the logit of the right token falls by 4.00, more than without each, summed, by +0.51" in line
        for line in causal
    )
    assert any("as many other heads, of layer 0, +0.02; beyond these +0.49 (95%" in line for line in causal)
    assert any("of the 0.55 nats one by one, summed, +0.33 (95%" in line for line in causal)
    assert any("would cost together" in line and "+0.66 (95%" in line and "(60%)" in line for line in causal)
    assert any("passes half of its final 0.82 at 120 (95%" in line for line in causal)
    assert "in-context learning passes its half +0 (95%" in text
    assert "previous-token head below -25 (95%" in text
    assert "Induction heads lie beyond the middle in 3 of 3 models" in text
    assert "with 1 mask, 0." in text
    found = 4 * 3 + 12 + 16
    assert f"Of {found} induction heads, {found} also copy what they find, and 0 do not visibly" in text
    assert "**Later layers make good part of what ablated induction heads did in 5 of 5 members" in text


def test_intervals_hold_only_what_can_be():
    """Of shares and of counts none lies below nothing or above all, and of two members none is told."""
    wide = maps_table((3, 4, 3, True))
    strong = wide["layer"] == 2
    for name in ("value", "choice", "held_out"):
        wide.loc[strong, name] = wide.loc[strong, "member"].map({0: 0.02, 1: 0.5, 2: 0.99})
    models = {"a": {**found_of(["repeats-causal"])["repeats-causal"], "maps": wide}}
    _, lines = findings._strongest(models)
    assert "induction heads are 0, 4 and 4 of 12 heads in 3 members" in lines[0]
    assert "(95% 0.00 to 1.00 over 3 members)" in lines[0]
    _, lines = findings._strongest({"a": {**models["a"], "maps": wide[wide["member"] > 0]}})
    assert "has an induction score of 0.74 (2 members)" in lines[0]
    times = dynamics_table(2)
    _, lines = findings._phase_changes({"a": times}, {"a": {**models["a"], "maps": MAPS["repeats-causal"]}})
    assert "95%" not in lines[0]


def test_findings_say_what_cannot_be_asked():
    name, shape = "two-layers", (2, 4, 3, True)
    models = found_of(["repeats-causal"])
    (own,) = models.values()
    maps = maps_table(shape)
    models = {name: own | {"maps": maps, "effects": ablations(shape)[0], "joint": joint(shape)}}
    scores = repeated_tokens.induction_rows(maps, True).assign(model=name)
    text = findings.text(models, induction_depth.depth_table(scores), told_apart(shape).assign(model=name), {})
    assert "__Self-repair across layers cannot be asked of these models.__" in text
    assert "__Whether induction heads lie in later layers cannot be asked of these models.__" in text
    assert "__The time at which induction heads form cannot be asked of these models.__" in text
    assert "__Redundancy within a layer cannot be asked of these models.__" in text
    assert "Cannot be asked of two-layers: no heads and no MLP come after them." in text


def test_what_cannot_be_asked_is_not_drawn():
    assert not FIGURES["no backup heads"]().axes
    assert not FIGURES["no redundancy"]().axes
    assert not FIGURES["no pairs"]().axes
    assert "not asked of last" in " ".join(FIGURES["pairs"]().get_supxlabel().split())
    noted = " ".join(FIGURES["redundancy"]().get_supxlabel().split())
    assert "not asked of alone: no layer has two induction heads" in noted
    assert "not asked of last: nothing that could answer comes after them" in noted
    effects = {"a": ABLATIONS["bert"][0], "b": ablations((2, 4, 3, True))[0]}
    figure = self_repair.backup_heads(effects, {"a": ABLATIONS["bert"][1]})
    assert "not asked of b" in figure.get_supxlabel()
    shallow = model_sizes.sizes(of_protocol("corrected", ["repeats-causal"]), DEPTHS[:0], "corrected")
    assert len(shallow.axes) == 1 + 1  # maps and their scale, no depths
