"""The house rules: every rule, script, module, environment and path is where a reader expects it."""

import ast
import dataclasses
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from importlib import import_module, metadata
from inspect import signature
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from docutils.core import publish_parts
from jinja2 import Environment, StrictUndefined
from snakemake.io import get_flag_value, is_flagged
from snakemake.iocontainers import Wildcards

from headatlas.atlas import described_tables
from headatlas.jobs import code_digest
from headatlas.models import training
from headatlas.workflow import model_settings
from headatlas.workflow.resources import by_rule, estimates

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"

LIBRARY = SCRIPTS / "headatlas"
CAPTIONS = ROOT / "report"
MODEL = "toy"  # of the embedded default: what a caption is rendered for


def targets_of(workflow):
    """Names that stand for files of other rules."""
    return {rule.name for rule in workflow.rules if not rule.script}


@pytest.fixture(scope="module")
def jobs(workflow):
    """All rules that do work; `draw_figure` itself is what those of figures inherit."""
    return [rule for rule in workflow.rules if rule.name not in targets_of(workflow) | {"draw_figure"}]


def place(name):
    """The file that a rule names, as it stands in rules/."""
    return (ROOT / "rules" / str(name)).resolve()


def where(rule):
    return f"rule {rule.name} ({Path(rule.snakefile).name})"


def test_targets_only_gather(workflow):
    assert {"all", *workflow.config["studies"]} <= targets_of(workflow)
    for rule in (rule for rule in workflow.rules if rule.name in targets_of(workflow)):
        assert not rule.output, where(rule)
        assert not rule.shellcmd, where(rule)
        assert not rule.is_run, where(rule)
        assert rule.docstring, where(rule)
    assert workflow.default_target == "all"


def test_every_rule_has_a_script_of_its_name_and_a_figure_the_one_of_figures(jobs):
    assert len(jobs) > 15
    for rule in jobs:
        script = "draw_figure" if rule.name.startswith("draw_") else rule.name
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", rule.name), f"{where(rule)}: not called verb_noun"
        assert rule.script == f"../scripts/{script}.py", f"{where(rule)}: script is {rule.script}"
        assert not rule.shellcmd, f"{where(rule)}: shell text is not covered by any digest"
        assert not rule.is_run, f"{where(rule)}: run blocks are not covered by any digest"
    assert {Path(rule.script).stem for rule in jobs} == {path.stem for path in SCRIPTS.glob("*.py")}


def test_every_table_that_a_rule_writes_is_described_and_no_other(jobs):
    written = set()
    for rule in jobs:
        for file in map(str, rule.output):
            if file.endswith(".parquet"):
                name = re.sub(r"\{\w+[^}]*\}", "any", file).removeprefix("<results>/").removeprefix("results/")
                pattern, _ = described_tables.entry(name)
                assert pattern, f"{where(rule)}: {file} is not in tables.yaml"
                written.add(pattern)
    assert written == set(described_tables.load()["tables"])


def spec_of(rule):
    """What a rule's `spec` is for some job of it, with the names of the embedded default."""
    (spec,) = [value for name, value in rule.params.items() if name == "spec"]
    if not callable(spec):
        return spec
    names = {"corpus": "python-docs", "tokenizer": "python-docs-1k", "model": "repeats-two-layers", "use": "train"}
    names |= {"model": "toy"} if rule.name == "sample_windows" else {}
    names |= {name: values.split("|")[0] for name, values in rule.wildcard_constraints.items() if name not in names}
    return spec(Wildcards(fromdict=names))


def test_every_figure_is_drawn_by_the_function_of_its_name_from_all_that_its_rule_gives(jobs):
    """A function lacks no input and no setting, and its rule waits for no file and no setting that it does not read."""
    drawn = [rule for rule in jobs if rule.name.startswith("draw_")]
    assert len(drawn) > 35
    for rule in drawn:
        settings = dict(spec_of(rule)["settings"])
        module, _, function = settings.pop("drawn_by").rpartition(".")
        assert function == rule.name, where(rule)
        taken = set(signature(getattr(import_module(module), function)).parameters)
        given = {name for name, _ in rule.input.items()} - {"judged"} | set(settings)  # the script itself reads that
        both = {f"{protocol}_png" for protocol in ("published", "corrected")} <= set(rule.output.keys())
        assert taken - {"protocol"} == given, where(rule)
        assert both or "protocol" not in taken, where(rule)


NOT_OF_HEADS = {"draw_training", "draw_tokenizers", "draw_sweep", "draw_losses", "draw_settings"}


def test_every_figure_of_heads_says_whose_training_was_too_little(jobs):
    """`judged`, or the sweep's own losses, from which heat maps say so themselves."""
    drawn = {rule.name: {name for name, _ in rule.input.items()} for rule in jobs if rule.name.startswith("draw_")}
    without = {name for name, given in drawn.items() if "judged" not in given}
    assert without - {"draw_heat_maps"} <= NOT_OF_HEADS
    assert "sweep" in drawn["draw_heat_maps"]


def test_an_edited_figure_redraws_those_of_its_module_alone(jobs):
    """The digest of a figure covers the module that draws it, and of no other study anything."""
    for rule in (rule for rule in jobs if rule.name.startswith("draw_")):
        spec, script = spec_of(rule), str(SCRIPTS / "draw_figure.py")
        module = spec["settings"]["drawn_by"].rpartition(".")[0]
        assert spec["code"] == code_digest.code_digest(script, str(SCRIPTS), module), where(rule)
        sources = code_digest.local_sources(script, SCRIPTS, module)
        assert SCRIPTS / Path(*module.split(".")).with_suffix(".py") in sources
        studies = {path.relative_to(LIBRARY / "studies").parts[0] for path in sources if "studies" in path.parts}
        assert studies - {"__init__.py"} <= {module.split(".")[2]}, where(rule)


def test_every_rule_says_what_it_does_and_needs(jobs):
    for rule in jobs:
        assert re.fullmatch(r"[A-Z][^\n]{20,118}[.?]", rule.docstring or ""), f"{where(rule)}: one line on what it does"
        assert len(rule.log) == 1, f"{where(rule)}: one log"
        assert f"/logs/{rule.name}" in str(rule.log[0]), f"{where(rule)}: its log is not called after it"
        assert rule.conda_env, f"{where(rule)}: conda"
        assert place(rule.conda_env).is_file(), f"{where(rule)}: {rule.conda_env} is not there"
        assert list(rule.params.keys()) == ["spec"], f"{where(rule)}: params are one `spec`"


def test_no_rule_is_measured_by_snakemake(jobs):
    """It would measure how quickly a result was restored; a job measures itself, and only when it computes."""
    for rule in jobs:
        assert not rule.benchmark, where(rule)


def test_what_may_need_the_network_runs_where_jobs_are_submitted(jobs, workflow):
    local = {rule.name for rule in jobs if rule.name in workflow._localrules}
    assert local == {rule.name for rule in jobs if rule.name.startswith("fetch_")}


def test_no_rule_tries_again_by_itself(jobs):
    """A rule's own `retries` would be heeded within a submitted job too, at the memory that was too little."""
    assert not [where(rule) for rule in jobs if rule.ruleinfo.retries]


def test_every_rule_asks_for_its_own_estimate(jobs, workflow):
    """Memory and minutes are those that `headatlas.workflow.resources` has for it, times the attempt."""
    name_of = {"corpus": "python-docs", "tokenizer": "python-docs-1k", "model": "repeats-two-layers"}
    for rule in jobs:
        kind = {"fetch_corpus": "corpus", "build_tokenizer": "tokenizer", "fetch_tokenizer": "tokenizer"}.get(
            rule.name, "model"
        )
        expected = by_rule.of_rule(workflow.config, rule.name, name_of[kind])
        for attempt in (1, 3):
            asked = rule.expand_resources(Wildcards(fromdict={kind: name_of[kind]}), None, attempt)
            assert asked.mem_mb == attempt * expected.memory, where(rule)
            assert asked.runtime == attempt * expected.minutes, where(rule)
    estimated = {*by_rule.OF_MODELS, *by_rule.OF_STUDIES, "fetch_corpus", "build_tokenizer", "fetch_tokenizer"}
    assert estimated <= {rule.name for rule in jobs}
    light = [rule for rule in jobs if rule.name not in estimated]
    assert not [where(rule) for rule in light if "gpu" in rule.resources], "what runs a model is not light"
    weights = {where(rule) for rule in light for file in rule.input if str(file).endswith(".safetensors")}
    assert not weights, "what reads a model is not light"


@pytest.mark.parametrize(("gpus", "more"), [(0, 0), (2, estimates.CUDA), (None, estimates.CUDA)])
def test_a_step_on_a_gpu_asks_for_the_memory_of_cuda(jobs, workflow, monkeypatch, gpus, more):
    """Where there may be one: on a machine that has some, and on a cluster, where their number is not given."""
    monkeypatch.setattr(workflow, "global_resources", {"gpu": gpus} if gpus is not None else {})
    tagged = {rule.name for rule in jobs if "gpu" in rule.resources}
    assert {"train_model", "score_heads"} <= tagged
    for rule in (rule for rule in jobs if rule.name in ("train_model", "score_heads", "project_heads")):
        expected = by_rule.of_rule(workflow.config, rule.name, MODEL).memory + more * (rule.name in tagged)
        assert rule.expand_resources(Wildcards(fromdict={"model": MODEL}), None, 1).mem_mb == expected, where(rule)


def test_no_two_rule_files_assign_one_name():
    """All rule files share one namespace: what a name means must not depend on the order of includes."""
    assigned = {}
    for path in (ROOT / "rules").glob("*.smk"):
        for name in re.findall(r"^(\w+) = ", path.read_text(), re.MULTILINE):
            assert assigned.setdefault(name, path) == path, f"{name}: {path.name}, {assigned[name].name}"


def test_figures_are_drawn_together_on_a_cluster(jobs):
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "profile.yaml").read_text())
    assert set(profile["group-components"]) == {"figures"}
    for rule in jobs:
        assert rule.ruleinfo.group == ("figures" if rule.name.startswith("draw_") else None), where(rule)


def test_inputs_and_outputs_are_named(jobs):
    for rule in jobs:
        for what, files in (("input", rule.input), ("output", rule.output)):
            named = sum(1 if isinstance(value, str) or callable(value) else len(value) for _, value in files.items())
            assert named == len(files), f"{where(rule)}: an unnamed {what} is in no digest"
        assert len(rule.output), f"{where(rule)}: no output"
        for file in rule.output:
            assert not file.is_directory, f"{where(rule)}: {file} is a folder; outputs are files"


def test_outputs_lie_under_results(jobs, workflow):
    results = workflow.globals["config"]["results"]
    for rule in jobs:
        for file in [*rule.output, *rule.log, *([rule.benchmark] if rule.benchmark else [])]:
            assert str(file).startswith(f"{results}/"), f"{where(rule)}: {file}"


def test_no_two_rules_write_one_file(jobs):
    written = [re.sub(r"\{(\w+),[^}]*\}", r"{\1}", str(file)) for rule in jobs for file in rule.output]
    twice = {file for file in written if written.count(file) > 1}
    made_or_fetched = {"results/models/{model}/": ("model.safetensors", "config.json")}
    made_or_fetched["results/tokenizers/{tokenizer}/"] = ("tokenizer.json", "tokenizer_config.json")
    assert twice <= {f"{folder}{name}" for folder, names in made_or_fetched.items() for name in names}


def reported(workflow):
    """Every output that the report shows, as (rule, path, flag)."""
    for rule in workflow.rules:
        for output in rule.output:
            if is_flagged(output, "report"):
                yield rule, str(output), get_flag_value(output, "report")


def test_every_figure_and_table_is_in_the_report(workflow):
    shown = {path for _, path, _ in reported(workflow)}
    assert len(shown) > 60
    for rule in workflow.rules:
        for path in map(str, rule.output):
            wanted = path.endswith((".png", ".csv", ".html")) and "atlas" not in rule.name  # pages of their own
            assert (path in shown) == wanted, f"rule {rule.name}: {path}"


def wildcards_of(path):
    """Every choice of the wildcards of a path; of models, one."""
    allowed = dict(re.findall(r"\{(\w+),([^}]*)\}", path))
    choices = [[MODEL] if name == "model" else values.split("|") for name, values in allowed.items()]
    return [dict(zip(allowed, chosen, strict=True)) for chosen in product(*choices)]


def test_every_caption_says_what_one_sees_and_ends_in_corpus_models_and_sizes(workflow):
    used, described = set(), workflow.config["described"]
    for rule, path, flag in reported(workflow):
        file = CAPTIONS.parent / re.sub(r"^.*/report/", "report/", flag.caption.get_path_or_uri(secret_free=True))
        used.add(file)
        assert file.is_file(), f"rule {rule.name}: {file} is not there"
        template = Environment(undefined=StrictUndefined).from_string(file.read_text())
        for wildcards in wildcards_of(path):
            text = template.render(
                snakemake=SimpleNamespace(config=workflow.config, wildcards=SimpleNamespace(**wildcards))
            )
            text = " ".join(text.split())
            assert re.fullmatch(r"[A-Z][^.{}]{20,}.*\((?:[a-z]+: )?corp(us|ora) .*\)\.", text), f"{file.name}: {text}"
            clauses = [*described["of_study"].values(), described["of_model"][MODEL]]
            assert any(text.endswith(f"{clause}).") for clause in clauses), f"{file.name}: {text}"
            assert "system-message" not in publish_parts(text, writer="html")["body"], file
    assert used == {path for path in CAPTIONS.rglob("*.rst") if path.name != "workflow.rst"}, "a caption of nothing"


def functions(path):
    return [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.stem)
def test_scripts_are_wiring(path):
    text = path.read_text()
    tree = ast.parse(text)
    assert text.count("\n") <= 40, "ideas live in the library"
    assert ast.get_docstring(tree), "one line on what it does"
    (main,) = (node for node in functions(path) if node.name == "main")
    assert [ast.unparse(decorator) for decorator in main.decorator_list] == ["job"]
    assert [argument.arg for argument in main.args.args] == ["snakemake", "run"]
    imported = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imported == ["from headatlas.jobs.job import job"], "what a restored job need not import, main imports"
    assert "snakemake.config" not in text, "settings come by `spec`, or a change of them goes unnoticed"
    assert "snakemake.output" not in text, "outputs are written to run.out, which is renamed into place when whole"
    called = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert "main(snakemake)" in called


def test_every_setting_that_a_script_reads_is_in_its_spec(jobs):
    """`run.settings["x"]` in a script, and no `x` handed to it in the rule, would end in a KeyError at run time."""
    for rule in (rule for rule in jobs if rule.name != "fetch_model"):  # of which the embedded default has no job
        read = set(re.findall(r'run\.settings\["(\w+)"\]', place(rule.script).read_text()))
        assert read <= set(spec_of(rule)["settings"]), where(rule)


def test_every_model_that_is_trained_has_all_settings_of_a_training(workflow):
    """Runs of a sweep take theirs from another section than models, and the library has no defaults of its own."""
    fields = {field.name for field in dataclasses.fields(training.TrainingSettings)}
    needed = {
        field.name for field in dataclasses.fields(training.TrainingSettings) if field.default is dataclasses.MISSING
    }
    for name, model in workflow.config["models"].items():
        given = set(model_settings.training_settings(model)["training"])
        assert needed <= given <= fields, name


def modules():
    """Dotted names of the library's modules and their files."""
    for path in sorted((SCRIPTS / "headatlas").rglob("*.py")):
        parts = path.relative_to(SCRIPTS).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


@cache
def imports(path, package, late=True):
    """Every absolute dotted name that a file imports; without `late`, only what it imports when it is imported."""
    found, tree = [], ast.parse(path.read_text())
    for node in ast.walk(tree) if late else tree.body:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            found += [".".join([*base, *([node.module] if node.module else []), alias.name]) for alias in node.names]
    return found


def test_packages_import_only_from_those_above_them_and_no_study_another():
    above = re.findall(
        r"^(\w+)  +\S", ast.get_docstring(ast.parse((LIBRARY / "__init__.py").read_text())), re.MULTILINE
    )
    assert sorted(above) == sorted(path.name for path in LIBRARY.iterdir() if (path / "__init__.py").is_file())
    for name, path in modules():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        own = name.split(".")[1:] or above[-1:]  # what a notebook imports may reach every package
        for target in (target.split(".") for target in imports(path, package) if target.startswith("headatlas.")):
            assert LIBRARY.joinpath(target[1]).is_dir(), f"{name} imports {'.'.join(target)}, which is not there"
            assert above.index(target[1]) <= above.index(own[0]), f"{name} imports {'.'.join(target)}, from below"
            if own[0] == target[1] == "studies":
                assert own[1] == target[2], f"{name} imports {'.'.join(target)}, of another study"


# Analyses take arrays or tables; these alone run or read a model, by what of `models` does either
RUN_MODELS = {"generation", "in_context_learning", "induction_scores", "joint_effects", "position_loss", "prediction"}
RUN_MODELS |= {"self_repair", "training_dynamics", "transplants", "weight_scores"}
OF_MODELS = {"checkpoints", "cross_entropy", "families", "head_weights", "interventions", "minibatches", "pretrained"}
OF_MODELS |= {"tensorboard", "training", "transformer"}


def test_analyses_take_arrays_and_never_a_model():
    library = {name.rpartition(".")[2] for name, _ in modules()}
    assert library >= RUN_MODELS | OF_MODELS, "names of modules that are gone"
    for name, path in modules():
        if name.split(".")[1:2] not in (["scores"], ["studies"]) or path.stem in RUN_MODELS:
            continue
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        read = [target.split(".") for target in imports(path, package) if target.startswith("headatlas.models.")]
        assert not [target for target in read if target[2] in OF_MODELS], f"{name} imports what runs a model"


def test_no_folder_is_a_crowd():
    for folder in {path.parent for _, path in modules()}:
        assert len(list(folder.glob("*.py"))) <= 15, f"{folder}: more than 14 modules beside __init__.py"


def test_the_library_does_not_know_snakemake():
    for name, path in modules():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        assert not [target for target in imports(path, package) if target.split(".")[0] == "snakemake"], path.name


def test_no_modules_import_one_another():
    library = dict(modules())
    direct = {}
    for name, path in library.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        found = {target if target in library else target.rpartition(".")[0] for target in imports(path, package)}
        direct[name] = found & set(library) - {"headatlas", name}
    TopologicalSorter(direct).prepare()  # raises CycleError, which names the circle


def test_only_tables_touches_parquet():
    for name, path in modules():
        if name == "headatlas.base.tables":
            continue
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        assert not [target for target in imports(path, package) if target.startswith("pyarrow")], path.name
        assert not re.search(r"\.(to|read)_parquet\(|ParquetFile|ParquetWriter", path.read_text()), path.name
    for path in SCRIPTS.glob("*.py"):
        assert "pyarrow" not in path.read_text(), path.name


UNPICKLING = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "jsonpickle", "marshal", "shelve"}
RUNNING = {  # what unpickles, or runs code that it is given
    "eval", "exec", "torch.load", "torch.jit.load", "torch.hub.load", "joblib.load", "np.load", "numpy.load",
    "pd.read_pickle", "pandas.read_pickle", "yaml.load", "yaml.unsafe_load", "yaml.full_load",
}  # fmt: skip
WITHOUT_WEIGHTS = {"transformers.AutoConfig", "PreTrainedTokenizerFast"}


def settings_of(tree):
    """Names and values of all keyword arguments and of all keys of written dictionaries."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from ((keyword.arg, keyword.value) for keyword in node.keywords)
        elif isinstance(node, ast.Dict):
            keys = ((key.value if isinstance(key, ast.Constant) else None) for key in node.keys)
            yield from zip(keys, node.values, strict=True)


def dangers(source):
    """What in a source could run code that comes with data."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in UNPICKLING)
        elif isinstance(node, ast.ImportFrom):
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from full & RUNNING
            if (node.module or "").split(".")[0] in UNPICKLING:
                yield node.module
        elif isinstance(node, ast.Call) and (called := ast.unparse(node.func)) in RUNNING:
            yield called
        elif isinstance(node, ast.Call) and called.endswith(".from_pretrained"):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if called.rpartition(".")[0] not in WITHOUT_WEIGHTS and given.get("use_safetensors") != "True":
                yield f"{called} without use_safetensors=True"
    for name, value in settings_of(tree):
        if name in ("trust_remote_code", "allow_pickle") and ast.unparse(value) != "False":
            yield f"{name}={ast.unparse(value)}"


def test_nothing_is_unpickled_and_no_code_comes_with_data():
    for path in sorted(SCRIPTS.rglob("*.py")):
        assert list(dangers(path.read_text())) == [], path.name


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from dill import loads",
        "from joblib import load",
        "torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "eval(text)",
        "auto.from_pretrained(name)",
        "auto.from_pretrained(name, use_safetensors=True, trust_remote_code=True)",
        'where = {"trust_remote_code": settings["trust"]}',
    ],
)
def test_unpickling_would_be_seen(source):
    assert list(dangers(source))


def test_colours_of_figures_are_said_in_one_place():
    for name, path in modules():
        if name != "headatlas.plotting.style" and {"figures", "plotting"} & set(path.parts):
            assert not re.search(r"#[0-9a-fA-F]{6}\b", path.read_text()), f"{name}: a colour beside the palette's"


def test_files_are_of_a_size_to_read():
    assert (ROOT / "Snakefile").read_text().count("\n") <= 70
    assert all(path.read_text().count("\n") <= 310 for path in (ROOT / "rules").glob("*.smk"))
    for name, path in modules():
        lines = path.read_text().count("\n")
        assert lines <= 480, f"{name} has {lines} lines"


def test_rule_files_open_with_their_contract():
    for path in (ROOT / "rules").glob("*.smk"):
        if path.name in ("common.smk", "every_rule.smk"):
            assert not re.search(r"^rule ", path.read_text(), re.MULTILINE)
        else:
            first, second, *_ = path.read_text().splitlines()
            assert first.startswith("# IN: "), path.name
            assert second.startswith("# OUT: "), path.name


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_place_on_somebodys_machine():
    machine = re.compile(r"(?<![\w.}~<>-])/(?:work|home|root|tmp|Users|mnt|scratch)/\w")
    for path in tracked():
        if path != Path(__file__) and path.suffix not in (".png", ".pdf", ".gz", ".zip", ".xz"):
            found = machine.search(path.read_text(encoding="utf-8"))
            assert not found, f"{path.relative_to(ROOT)}: {found[0]}"


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


CONDA_NAMES = {"python-igraph": "igraph"}  # conda-forge's names where they are not PyPI's


def pinned(lines):
    """Package names and versions of `name==version` or `name=version` lines."""
    found = {}
    for line in lines:
        name, version = re.split(r"==?", line)
        found[normal(CONDA_NAMES.get(name, name))] = version
    return found


def lock():
    text = (ROOT / "envs" / "requirements.lock").read_text()
    return pinned(line for line in text.splitlines() if "==" in line and not line.startswith(("#", "-")))


def environment(path):
    """Pinned packages of one conda environment, those that pip installs included."""
    lines = []
    for entry in yaml.safe_load(path.read_text())["dependencies"]:
        lines += entry["pip"] if isinstance(entry, dict) else [entry]
    return pinned(line for line in lines if line != "pip")


def test_conda_environments_agree_with_the_lock():
    locked = lock()
    for path in (ROOT / "envs").glob("*.yaml"):
        packages = environment(path)
        assert packages.pop("python") >= "3.11"
        assert len(packages) > 3
        differ = {name: (own, locked.get(name)) for name, own in packages.items() if own != locked.get(name)}
        assert differ == {}, f"{path.name}: (here, in requirements.lock)"


def test_the_lock_holds_all_that_is_required():
    required = (ROOT / "envs" / "requirements.in").read_text().split()
    assert {normal(re.split("[=<>]", name)[0]) for name in required} <= set(lock())


def third_party(rule):
    """Packages that a script and its modules import; what `job` imports, a script asks for only by importing it too."""
    figure = rule.name.startswith("draw_")
    modules = [spec_of(rule)["settings"]["drawn_by"].rpartition(".")[0]] if figure else []
    owners = metadata.packages_distributions()
    found = set()
    for path in code_digest.local_sources(place(rule.script), SCRIPTS, *modules):
        if path.stem == "job":
            continue
        for target in imports(path, "headatlas"):
            module = target.split(".")[0]
            if module not in sys.stdlib_module_names and module != "headatlas":
                found |= {normal(name) for name in owners[module]}
    return found


def test_conda_environments_hold_what_their_scripts_import(jobs):
    lacking = {rule.name: third_party(rule) - set(environment(place(rule.conda_env))) for rule in jobs}
    assert {name: packages for name, packages in lacking.items() if packages} == {}


SLOW = {  # takes a second or more to import, and the packages that do so as soon as they are imported themselves
    "transformers": "headatlas.models.pretrained",
    "headatlas.models.pretrained": "headatlas.models.pretrained",
    "umap": None,
}


def test_steps_do_not_pay_for_imports_that_they_do_not_use():
    """Most jobs take seconds, and an import at the head of a module is paid by all who import that module."""
    for name, path in modules():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        found = set(imports(path, package, late=False))
        for slow, allowed in SLOW.items():
            paid = any(target == slow or target.startswith(f"{slow}.") for target in found)
            assert not paid or package == allowed, f"{path.name}: import {slow} in the function that needs it"
