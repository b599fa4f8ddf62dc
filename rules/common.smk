# What rules share: the checked configuration, the `spec` that a step depends on, where files lie. Holds no rule.
import copy
import math
import os
import re
import sys
from functools import cache

from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

SCRIPTS = str(ROOT / "scripts")
sys.path.insert(0, SCRIPTS)

from headatlas.base.errors import InputError
from headatlas.jobs import code_digest, contents, invocation
from headatlas.jobs.store import Store
from headatlas.studies.circuits import sweep
from headatlas.workflow import (
    captions,
    configuration,
    model_settings,
    model_sizes,
    name_patterns,
    papers_of_a_run,
    resources,
    run_display,
    schema,
    targets,
)

# What a person sees while a run goes on, in place of messages for whoever debugs a workflow
if run_display.replaces_messages(workflow):
    run_display.attach(logger)

if workflow.modifier.skip_configfile:  # used as a module with a configuration of its own: that stands on top of ours
    given = load_configfile(ROOT / "config.yaml")
    update_config(given, copy.deepcopy(config))
    config = given

try:
    for file in workflow.configfiles:
        schema.check_file(file)
    filled = schema.filled(config)
    completed = configuration.complete(filled)
except InputError as error:
    raise WorkflowError(str(error)) from None
if filled["targets"] is None and workflow.is_main_process:
    for study, reason in completed["left_out"].items():
        if study != "circuits" or not completed["compare"]:  # else no plain run would build it
            logger.warning(f"{study} is left out: {reason}")

REQUIRED = [re.split("[=<>]", name)[0] for name in (ROOT / "envs/requirements.in").read_text().split()]
# A mapping of our own, so that what follows from other keys is not written into the one that was given
config = {**completed, "described": captions.of_run(filled, completed, REQUIRED, ROOT / "report")}
if Path(config["store"]).is_dir():  # a dry run makes none
    code_digest.remember_in(Store(config["store"]).memory())
config["described"]["found"] = captions.Found(config["results"])
config["described"]["front_page"] = captions.FrontPage(config["results"])
logger.addFilter(targets.Explained(workflow.rules, config))


pathvars:
    results=config["results"],
    logs=f"{config['results']}/logs",


wildcard_constraints:
    corpus=name_patterns.matching(config["corpora"]),
    tokenizer=name_patterns.matching(config["tokenizers"]),
    model=name_patterns.matching(config["models"]),
    use="train|evaluation|analysis",


TOY_MODELS = [name for name, model in config["models"].items() if "checkpoints" not in model]
PRETRAINED_MODELS = [name for name, model in config["models"].items() if "checkpoints" in model]

LOADED_TOKENIZERS = [name for name, tokenizer in config["tokenizers"].items() if "load" in tokenizer]
TRAINED_TOKENIZERS = [name for name in config["tokenizers"] if name not in LOADED_TOKENIZERS]
DOWNLOADED = configuration.downloaded(config)


def one_of(names):
    """Wildcard constraint for exactly these names."""
    return "|".join(names) or "(?!)"


def spec(script, *modules, reads=None, **settings):
    """All that a step's outputs depend on besides inputs and wildcards, in one canonical order; `modules` are those
    of the library that the script imports by a name it is given, `reads` what no rule makes."""
    path = f"{SCRIPTS}/{script}.py"
    return {
        "rule": settings.get("drawn_by", script).rpartition(".")[2],  # whoever has us as a module calls it otherwise
        "script": script,
        "modules": modules,
        "code": code_digest.code_digest(path, SCRIPTS, *modules),
        "packages": dict(code_digest.packages(path, SCRIPTS, *modules)),
        "settings": configuration.ordered(settings),
        "reads": reads or {},
    }


def drawn_by(function, **settings):
    """`spec` of a figure: the library's function that draws it, and what that is told besides the rule's inputs."""
    function = f"headatlas.{function}"
    return spec("draw_figure", function.rpartition(".")[0], drawn_by=function, **settings)


@cache
def content(place, suffixes):
    """Digests of the files of a place outside the results, by their path below it; those of large files are remembered."""
    return contents.digests(Path(place).expanduser(), Store(config["store"]).memory(), suffixes)


def reads(kind, *read):
    """What a step reads and no rule makes. It is no `input`, whose times would count, but stands here by content."""
    return configuration.read_by_content(kind, read, content)


def windows_of(model, use):
    """Windows that a model is trained, judged or looked at on; runs of a sweep that read the same texts share theirs."""
    shared = config["studies"].get("circuits", {}).get("windows", {})
    return f"<results>/windows/{shared.get(model, model)}/{use}.parquet"


def training_threads(model):
    """A thread for two members: two that share one small member's products mostly wait for each other, and with a
    member each the quicker waits at every step."""
    return min(config["threads"], -(-len(config["models"][model]["seeds"]) // 2))


def forward_threads(*models):
    """Threads that share a product: none do where models are small, for they would mostly wait for each other."""
    small = [model in TOY_MODELS and config["models"][model]["architecture"]["d_model"] <= 256 for model in models]
    return 1 if all(small) else config["threads"]


def models_of(study):
    """Models that a study compares, or those of all studies that a plain run builds."""
    if study == "all":
        return sorted({model for target in config["targets"] for model in config["studies"][target]["models"]})
    return config["studies"][study]["models"]


def judged(*models):
    """What those of the models that are trained here have learnt, and the baselines that they should beat."""
    shared = config["studies"].get("circuits", {}).get("windows", {})
    places = [(f"{model}/training", f"{shared.get(model, model)}/baselines") for model in models if model in TOY_MODELS]
    return [f"<results>/models/{name}.parquet" for pair in places for name in pair]


def study_settings(study, *names):
    """Settings of a study that a step depends on; one within a section is named with it, as in "knockouts.head"."""
    found = {}
    for name in names:
        *section, key = name.split(".")
        found[key] = (config["studies"][study][section[0]] if section else config["studies"][study])[key]
    return found


def of_models(study, path):
    """One file per model that a study compares, in the study's order."""
    return expand(path, model=models_of(study))


def prompts_of(study):
    """Windows on which a study compares its models: the first model's, since all share their content."""
    return windows_of(models_of(study)[0], "analysis")


def tokenizer_of(model):
    """The two files of a model's tokenizer; whoever loads the first finds the second beside it."""
    folder = f"<results>/tokenizers/{config['models'][model]['tokenizer']}"
    return {"tokenizer": f"{folder}/tokenizer.json", "tokenizer_config": f"{folder}/tokenizer_config.json"}


def tokenizers_of(models):
    """The same of several models, in their order."""
    return {part: [tokenizer_of(model)[part] for model in models] for part in ("tokenizer", "tokenizer_config")}


TOKENIZER = {  # the same of the wildcard's model
    "tokenizer": lambda wildcards: tokenizer_of(wildcards.model)["tokenizer"],
    "tokenizer_config": lambda wildcards: tokenizer_of(wildcards.model)["tokenizer_config"],
}


MODEL = {  # weights and configuration of the wildcard's model
    "model": "<results>/models/{model}/model.safetensors",
    "config": "<results>/models/{model}/config.json",
}


def tables(folder, *names):
    """Tables of one folder of the results, each under its own name."""
    return {name: f"<results>/{folder}/{name}.parquet" for name in names}


def figures(study, names, protocols=("published", "corrected"), models=None):
    """Both files of each of a study's figures under each protocol, of each of the models if they are given."""
    names = names if models is None else expand("{model}/{name}", model=models, name=names)
    path = "<results>/figures/{study}/{protocol}/{name}.{kind}"
    return expand(path, study=study, protocol=protocols, name=names, kind=["png", "pdf"])


def figure(study, name, protocols=("published", "corrected"), caption=None, kinds=("png", "pdf")):
    """A figure's files as outputs that are called published_png and so on; the PDF is not in the report."""
    files = {}
    for protocol in protocols:
        for kind in kinds:
            file = f"<results>/figures/{study}/{protocol}/{name}.{kind}"
            files[f"{protocol}_{kind}"] = file if kind == "pdf" else reported(file, caption)
    return files


def reported(path, caption=None):
    """A result that the report shows, under its study and protocol, with the caption report/{study}/{its name}.rst;
    where its name is a wildcard, the caption's is given."""
    study, protocol, name, labels = captions.in_report(path)
    file = f"../report/{study}/{caption or name}.rst"
    return report(path, caption=file, category=study, subcategory=protocol, labels=labels)


def complete(step):
    """Add a log called after the rule and its wildcards, its environment, memory and minutes, unless they are said."""
    name = re.search("(draw_.+)?$", step.name)[0] or Path(step.script).stem  # the name of a module's rule has a prefix
    if not step.log:
        wildcards = re.findall(r"(?<=\{)\w+", str(step.output[0])) if step.output else []
        step.log_modifier = workflow.modifier.path_modifier
        step.set_log(f"{os.path.join('<logs>', name, *map('{{{}}}'.format, wildcards))}.log")
    if not step.conda_env:
        step.conda_env = f"{ROOT}/envs/environment.yaml"
    asked = resources.asked_by(
        config,
        name,
        on_gpu=lambda: "gpu" in step.resources and workflow.global_resources.get("gpu") != 0,  # 0: there is none here
    )
    said = [
        *(step.ruleinfo.resources or ((), {}))[1],
        *workflow.resource_settings.overwrite_resources.get(step.name, {}),
    ]
    step.resources.update({key: asked[key] for key in asked if key not in said})


def refused(study):
    """Input of the target of a study that cannot be built with this configuration: the reason, if it is asked for."""

    def files(wildcards):
        raise WorkflowError(config["left_out"][study])

    return files


onstart:
    store = Store(config["store"])
    if obstacle := store.obstacle():
        logger.warning(obstacle)
    invocation.announce(
        statements=code_digest.statements(SCRIPTS),
        forced=invocation.forced(workflow.dag_settings, {rule.name for rule in workflow.rules}),
        obstacle=obstacle,
    )
