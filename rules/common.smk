# What rules share: the checked configuration, the `spec` that a step depends on, where files lie. Holds no rule.
import copy
import os
import re
import sys
from functools import partial

from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

SCRIPTS = str(ROOT / "scripts")
sys.path.insert(0, SCRIPTS)

from headatlas.base.errors import InputError
from headatlas.jobs import code_digest, contents, invocation
from headatlas.jobs.store import Store
from headatlas.studies.circuits import sweep
from headatlas.workflow import captions, configuration, model_settings, name_patterns, papers_of_a_run, run_display
from headatlas.workflow import schema, targets
from headatlas.workflow.artifacts import MODEL, Artifacts, figures, tables
from headatlas.workflow.name_patterns import one_of
from headatlas.workflow.resources import by_rule, threads
from headatlas.workflow.step_specs import Specs

# What a person sees while a run goes on, in place of messages for whoever debugs a workflow
if run_display.replaces_messages(workflow):
    run_display.attach(logger, plan=workflow.output_settings.dryrun)

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


artifacts = Artifacts(config)  # each method of it below says what it gives
models_of, of_models, judged = artifacts.models_of, artifacts.of_models, artifacts.judged
windows_of, prompts_of, study_settings = artifacts.windows_of, artifacts.prompts_of, artifacts.study_settings
tokenizer_of, tokenizers_of = artifacts.tokenizer_of, artifacts.tokenizers_of
TOKENIZER = artifacts.wildcards_tokenizer  # and MODEL: of the wildcard `model`
training_threads, forward_threads = partial(threads.of_training, config), partial(threads.of_passes, config)

specs = Specs(SCRIPTS, config["store"])
spec, drawn_by, reads = specs.spec, specs.drawn_by, specs.reads

TOY_MODELS = artifacts.toys
PRETRAINED_MODELS = [name for name in config["models"] if name not in TOY_MODELS]

LOADED_TOKENIZERS = [name for name, tokenizer in config["tokenizers"].items() if "load" in tokenizer]
TRAINED_TOKENIZERS = [name for name in config["tokenizers"] if name not in LOADED_TOKENIZERS]
DOWNLOADED = configuration.downloaded(config)


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
