"""What computing anew would find is found: equal bytes as equal, others with how far they are off."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pytest
from safetensors.numpy import save_file
from snakemake.iocontainers import Namedlist

from headatlas.base import tables
from headatlas.jobs import challenge, code_digest
from headatlas.jobs.job import job

DETERMINED = '''"""A step."""
from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import numpy as np

    from headatlas.base import tables

    values = np.linspace(0, 1, 5) * run.settings["scale"] + {noise}
    tables.write(run.out.table, {{"value": values}}, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
'''
NOISE = "np.random.default_rng().random(5) * 1e-6"


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """The library with two steps: one whose result is determined, one that is off by a little each time."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "headatlas").symlink_to(challenge._SCRIPTS / "headatlas")
    for name, noise in (("settled", "0"), ("noisy", NOISE)):
        (folder / f"{name}.py").write_text(DETERMINED.format(noise=noise))
    monkeypatch.setattr(challenge, "_SCRIPTS", folder)
    monkeypatch.delenv("HEADATLAS_RUN", raising=False)
    code_digest.forget()
    yield folder
    code_digest.forget()


def run(scripts, results, name, **settings):
    """Let a step make its result as Snakemake would."""
    packages = {"numpy": None}
    spec = {"script": name, "modules": [], "packages": packages, "settings": settings, "reads": {}, "code": None}
    spec["code"] = code_digest.code_digest(scripts / f"{name}.py", scripts)
    output = results / f"{name}.parquet"
    results.mkdir(parents=True, exist_ok=True)

    @job
    def main(snakemake, own):
        values = np.linspace(0, 1, 5) * own.settings["scale"]
        tables.write(own.out.table, {"value": values}, provenance=own.provenance)

    spec_of_run = {key: value for key, value in spec.items() if key != "script"}  # the code that runs is this test's
    main(
        SimpleNamespace(
            rule=name,
            input=Namedlist(),
            output=Namedlist(fromdict={"table": str(output)}),
            params=SimpleNamespace(spec=spec_of_run),
            wildcards=Namedlist(),
            resources=Namedlist(),
            config={"store": str(results.parent / "store"), "results": str(results)},
            log=[],
        )
    )
    record = results / "records" / f"{name}.parquet.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "script": name}))
    return output


@pytest.fixture
def in_process(monkeypatch):
    """Steps run here, where the patched folder of scripts is known."""

    def ran(command, **given):
        record, folder = command[-2:]
        challenge.recompute(json.loads(Path(record).read_text()), folder)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(challenge.subprocess, "run", ran)
    monkeypatch.setattr("headatlas.jobs.job.RunningCode", lambda *given: SimpleNamespace(check_unchanged=lambda: None))


def test_equal_bytes_and_others_are_told_apart(scripts, tmp_path, in_process):
    run(scripts, tmp_path / "results", "settled", scale=2)
    run(scripts, tmp_path / "results", "noisy", scale=2)
    said = []
    compared = challenge.challenge(tmp_path / "results", say=lambda line, file: said.append(line))
    assert [line.split(": ", 2)[1:] for line in said if "settled" in line] == [["settled", "equal bytes"]]
    assert any(": noisy: differs: noisy.parquet: value is off by" in line for line in said)  # also if it is stopped
    assert dict(compared.equal) == {"settled": 1, "noisy": 0}
    (line,) = compared.other["noisy"]
    assert line.startswith("noisy.parquet: value is off by at most ")
    assert "e-0" in line
    assert "in all: 1 of 2 steps with equal bytes (50%)" in list(compared.lines())


TWINS = '''"""A step with two outputs of one name, as figures have."""
from headatlas.jobs.job import job


@job
def main(snakemake, run):
    for name, path in vars(run.out).items():
        with open(path, "w") as file:
            file.write(name)


if "snakemake" in globals():
    main(snakemake)
'''


def test_outputs_of_one_name_in_two_folders_stay_two(scripts, tmp_path, in_process):
    (scripts / "twins.py").write_text(TWINS)
    places = {name: f"results/{name}/fig01.txt" for name in ("published", "corrected")}
    code = code_digest.code_digest(scripts / "twins.py", scripts)
    made = {"rule": "twins", "code": code, "packages": {}, "settings": {}, "wildcards": {}}
    record = {"script": "twins", "modules": [], "reads": {}, "provenance": made, "paths": {}, "mirror": None}
    challenge.recompute({**record, "results": "results", "outputs_at": places}, tmp_path / "out")
    assert {name: (tmp_path / "out" / name / "fig01.txt").read_text() for name in places} == {n: n for n in places}


def test_a_script_is_given_all_that_scripts_ask_snakemake_for(scripts, tmp_path, in_process):
    """Each name that a script of the checkout asks for, by a step that asks for all of them."""
    own = Path(code_digest.__file__).parents[2]
    asked = {name for path in own.glob("*.py") for name in re.findall(r"\bsnakemake\.(\w+)", path.read_text())}
    assert {"input", "threads"} <= asked
    names = "".join(f"    snakemake.{name}\n" for name in sorted(asked))
    step = TWINS.replace("    for name, path in vars(run.out)", f"{names}    for name, path in vars(run.out)")
    (scripts / "asking.py").write_text(step)
    code = code_digest.code_digest(scripts / "asking.py", scripts)
    made = {"rule": "asking", "code": code, "packages": {}, "settings": {}, "wildcards": {}}
    record = {"script": "asking", "modules": [], "reads": {}, "provenance": made, "paths": {}, "mirror": None}
    challenge.recompute({**record, "results": "results", "outputs_at": {"a": "results/a.txt"}}, tmp_path / "out")
    assert (tmp_path / "out" / "a.txt").read_text() == "a"


def test_files_are_named_as_snakemake_names_them():
    files = {"maps": ["a", "b"], "depth": "c"}
    like = Namedlist(["a", "b", "c"])
    like._set_name("maps", 0, end=2)
    like._set_name("depth", 2)
    for named in (challenge._Named(files), like):
        assert list(named.maps) == list(named["maps"]) == ["a", "b"]
        assert named.depth == named["depth"] == "c"
        assert list(named) == ["a", "b", "c"]
        assert dict(named.items())["depth"] == "c"
        assert not hasattr(named, "other")


def test_a_draw_is_of_that_many_and_the_same_for_a_seed(scripts, tmp_path, in_process):
    run(scripts, tmp_path / "results", "settled", scale=2)
    run(scripts, tmp_path / "results", "noisy", scale=2)
    quiet = {"say": lambda *given, **named: None}
    drawn = [dict(challenge.challenge(tmp_path / "results", 1, seed, **quiet).equal) for seed in (0, 0, 1, 2, 3)]
    assert all(len(one) == 1 for one in drawn)
    assert drawn[0] == drawn[1]
    assert len({json.dumps(one) for one in drawn}) == 2


def test_what_other_code_made_is_left_out_and_never_counts_as_equal(scripts, tmp_path, capsys):
    run(scripts, tmp_path / "results", "settled", scale=2)
    (scripts / "settled.py").write_text(DETERMINED.format(noise="1"))
    code_digest.forget()
    with pytest.raises(SystemExit) as ended:
        challenge.main([str(tmp_path / "results")])
    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert "left out, made by other code than this checkout's: 1" in said
    assert "0 of 0 steps with equal bytes (none could be compared)" in said
    with pytest.raises(SystemExit, match="no record of a result in it"):
        challenge.main([str(tmp_path)])


def pair(tmp_path, write, one, other, suffix):
    paths = [tmp_path / f"{name}{suffix}" for name in ("one", "other")]
    for path, values in zip(paths, (one, other), strict=True):
        write(path, values)
    return challenge.difference(*paths)


def test_distances_are_in_words(tmp_path):
    numbers = np.float32([0, 2, 4])
    table = {"value": numbers, "head": np.int32([0, 1, 2]), "name": ["a", "b", "c"]}

    def differ(suffix, write, **changed):
        return pair(tmp_path, write, table, table | changed, suffix)

    assert differ(".parquet", tables.write, value=numbers + np.float32([0, 0, 1e-3])) == (
        "value is off by at most 1.0e-03, 2.5e-04 of its largest number"
    )
    assert differ(".parquet", tables.write, head=np.int32([0, 1, 3])) == "head: 1 of 3 differ"
    assert differ(".parquet", tables.write, name=["a", "b", "d"]) == "name: other entries"
    unlike = "value: numbers where there were none, or none where there were"
    assert differ(".parquet", tables.write, value=np.float32([0, 2, np.nan])) == unlike
    assert differ(".parquet", tables.write, value=np.float32([0, 2, np.inf])) == unlike
    assert "made by another device" in differ(".parquet", tables.write)

    def tensors(path, values):
        save_file({"w": values["value"]}, path)

    assert "w is off by at most 1.0e+00" in differ(".safetensors", tensors, value=numbers + 1)
    assert differ(".safetensors", tensors, value=numbers[:2]) == "other columns, or other numbers of rows"

    def text(path, values):
        path.write_text(f"head {values['head'][0]} has {values['value'][1]:.3f}\n")

    assert differ(".md", text, value=numbers + np.float32(0.25)) == "the same words, other decimals"
    assert differ(".md", text, head=[7]) == "2 lines differ in words"
    assert differ(".md", text, value=-numbers) == "2 lines differ in words"  # a sign is a finding

    def image(path, values):
        matplotlib.image.imsave(path, np.full((4, 5, 3), values["head"][0] / 10))

    assert differ(".png", image, head=[5]) == "100.00% of the pixels differ, by at most 50%"


def test_two_results_folders_are_held_against_each_other(scripts, tmp_path, capsys):
    folders = {name: tmp_path / name / "results" for name in ("mine", "same", "theirs")}
    for name, scale in (("mine", 2), ("same", 2), ("theirs", 2.0001)):
        run(scripts, folders[name], "settled", scale=scale)
    compared, said = challenge.against(folders["mine"], folders["same"])
    assert (compared.equal["settled"], said) == (1, [])
    compared, said = challenge.against(folders["mine"], folders["theirs"])
    assert "value is off by at most 1.0e-04" in compared.other["settled"][0]
    assert said == []
    run(scripts, folders["same"], "noisy", scale=2)
    compared, _ = challenge.against(folders["mine"], folders["same"])
    assert dict(compared.skipped) == {"among the other results alone": 1}
    with pytest.raises(SystemExit) as ended:
        challenge.main([str(folders["mine"]), "--against", str(folders["theirs"])])
    assert ended.value.code == 0
    assert "findings: the same but for measured numbers" in capsys.readouterr().out


def test_a_result_that_is_gone_is_not_equal(scripts, tmp_path):
    folders = {name: tmp_path / name / "results" for name in ("mine", "theirs")}
    for folder in folders.values():
        run(scripts, folder, "settled", scale=2)
    (folders["theirs"] / "settled.parquet").unlink()
    compared, _ = challenge.against(folders["mine"], folders["theirs"])
    assert compared.equal["settled"] == 0
    assert "settled.parquet: not among the other results" in compared.other["settled"][0]


@pytest.mark.parametrize(
    ("other", "differ"),
    [
        ("- **2 of 8 groups are supported**: p = 0.012, gain +14% (11% to 16%)", False),
        ("- **1 of 8 groups are supported**: p = 0.011, gain +12% (10% to 14%)", True),
        ("- __2 of 8 groups are supported__: p = 0.011, gain +12% (10% to 14%)", True),
        ("- **2 of 8 groups of heads are supported**: p = 0.011", True),
        ("- nothing is said", True),
    ],
)
def test_findings_differ_by_statements_and_not_by_what_is_measured(tmp_path, other, differ):
    paths = [tmp_path / "one.md", tmp_path / "other.md"]
    texts = "- **2 of 8 groups are supported**: p = 0.011, gain +12% (10% to 14%)", other
    for path, text in zip(paths, texts, strict=True):
        path.write_text(f"**A partner recovers {'9' if text is other else '12'}% more.** In numbers.\n\n{text}\n")
    assert bool(challenge.findings(*paths)) == differ
