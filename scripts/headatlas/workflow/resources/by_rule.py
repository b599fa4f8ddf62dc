"""What every rule has and none needs to say: log, conda environment, the memory and minutes that its jobs ask for."""

import os
import re
from pathlib import Path

from headatlas.workflow.resources import estimates, study_estimates
from headatlas.workflow.resources.model_sizes import Need, model


def of_rule(config, rule, name=None):
    """What a job of a rule asks for under a completed configuration; `name` is its model, corpus or tokenizer."""
    threads = config["threads"]
    if rule == "fetch_corpus":
        return estimates.collecting(estimates.corpus(config["corpora"][name]))
    if rule == "fetch_tokenizer":
        return estimates.tokenizing(0)
    if rule == "build_tokenizer":
        return estimates.tokenizing(estimates.corpus(config["corpora"][config["tokenizers"][name]["corpus"]]))
    if rule in OF_STUDIES:
        study, need = OF_STUDIES[rule]
        settings = config["studies"][study]
        return need([model(config, each) for each in settings["models"]], settings, threads)
    if rule in OF_MODELS:
        text = estimates.corpus(config["corpora"][config["models"][name]["corpus"]])
        return OF_MODELS[rule](model(config, name), config["studies"], text, threads)
    if rule in ("write_atlas", "split_atlas", "export_heads"):
        shown = {
            each: model(config, each) for target in config["targets"] for each in config["studies"][target]["models"]
        }
        return study_estimates.atlas(list(shown.values()))
    # figures and findings: tables that are small, and a canvas; or with statistics, which import more
    return Need(estimates.ANALYSIS if rule in ("compare_with_papers", "find_induction") else estimates.FIGURES, 10)


def asked_by(config, rule, on_gpu):
    """What jobs of a rule ask for under a completed configuration: `mem_mb` and `runtime` (minutes), by wildcards and
    attempt. `on_gpu` is called when a job is planned: whether it runs on a GPU."""

    def estimated(wildcards):
        named = {wildcards.get(kind) for kind in ("corpus", "tokenizer", "model")} - {None}
        return of_rule(config, rule, *named)

    return {
        "mem_mb": lambda wildcards, attempt: attempt * (estimated(wildcards).memory + bool(on_gpu()) * estimates.CUDA),
        "runtime": lambda wildcards, attempt: attempt * estimated(wildcards).minutes,
    }


def complete(step, config, workflow, root):
    """Add to a rule what it does not say itself: a log called after it and its wildcards, environment, memory, minutes.

    Parameters
    ----------
    step : snakemake.rules.Rule
    config : dict
        A completed configuration.
    workflow : snakemake.workflow.Workflow
        Its profile's `set-resources` stand as they are.
    root : path
        The checkout, in which the environment lies.
    """
    name = re.search("(draw_.+)?$", step.name)[0] or Path(step.script).stem  # the name of a module's rule has a prefix
    if not step.log:
        wildcards = re.findall(r"(?<=\{)\w+", str(step.output[0])) if step.output else []
        step.log_modifier = workflow.modifier.path_modifier
        step.set_log(f"{os.path.join('<logs>', name, *map('{{{}}}'.format, wildcards))}.log")
    if not step.conda_env:
        step.conda_env = f"{root}/envs/environment.yaml"
    asked = asked_by(
        config,
        name,
        on_gpu=lambda: "gpu" in step.resources and workflow.global_resources.get("gpu") != 0,  # 0: there is none here
    )
    said = [
        *(step.ruleinfo.resources or ((), {}))[1],
        *workflow.resource_settings.overwrite_resources.get(step.name, {}),
    ]
    step.resources.update({key: asked[key] for key in asked if key not in said})


OF_MODELS = {  # rules of one model: its numbers, the studies, bytes of its text, threads
    "sample_windows": lambda one, studies, text, threads: estimates.tokenizing(text, one),
    "measure_baselines": lambda one, studies, text, threads: estimates.tokenizing(0, one),
    "train_model": lambda one, studies, text, threads: estimates.training(one, threads),
    "fetch_model": lambda one, studies, text, threads: estimates.fetching(one),
    "extract_patterns": lambda one, studies, text, threads: estimates.extraction(one),
    "weigh_attention": lambda one, studies, text, threads: estimates.scoring(one),
    "extract_queries_keys": lambda one, studies, text, threads: estimates.vectors(one),
    "score_heads": lambda one, studies, text, threads: estimates.scoring(one),
    "read_token_circuits": lambda one, studies, text, threads: estimates.scoring(one),
    "measure_knockouts": lambda one, studies, text, threads: estimates.knocking_out(
        one, **studies["phrenology"]["knockouts"]
    ),
    "screen_heads": lambda one, studies, text, threads: estimates.screening(one, **studies["phrenology"]["knockouts"]),
    "choose_scales": lambda one, studies, text, threads: estimates.pairs(one, studies["attentionviz"]["pairs"]),
    "measure_invariance": lambda one, studies, text, threads: estimates.pairs(one, studies["attentionviz"]["pairs"]),
    "measure_parts_of_speech": lambda one, studies, text, threads: estimates.pairs(
        one, studies["attentionviz"]["pairs"]
    ),
    "map_chosen_heads": lambda one, studies, text, threads: estimates.mapping(  # by UMAP as published
        one, studies["attentionviz"]["sentences"], 28, ["umap"]
    ),
    "compare_constructions": lambda one, studies, text, threads: estimates.mapping(
        one,
        studies["attentionviz"]["all_heads"]["sentences"],
        5 * one.all_heads * len(studies["attentionviz"]["all_heads"]["methods"]),
        studies["attentionviz"]["all_heads"]["methods"],
    ),
    "draw_global_view": lambda one, studies, text, threads: estimates.global_views(
        one, **studies["attentionviz"]["all_heads"]
    ),
    "measure_repeats": lambda one, studies, text, threads: estimates.induction(one, studies["induction"]["trials"], 60),
    "measure_in_context": lambda one, studies, text, threads: estimates.induction(
        one, studies["induction"]["texts"], 60
    ),
    "trace_training": lambda one, studies, text, threads: estimates.induction(
        one, studies["induction"]["sequences"], 60 * one.training.get("snapshots", 0)
    ),
    "ablate_induction": lambda one, studies, text, threads: estimates.induction(
        one,
        studies["induction"]["sequences"],  # below: sets of heads, kinds of ablation, total, direct and on other text;
        # sets of each size and of their control, with the last norm free and held
        (studies["induction"]["ablated"] + 1) * (studies["induction"]["controls"] + 1) * 3 * 3
        + studies["induction"]["ablated"] * 2 * 6 * 2,
    ),
}

OF_STUDIES = {  # rules of a study: the numbers of its models, its settings, threads
    "measure_distances": ("phrenology", lambda models, study, threads: study_estimates.distances(models)),
    "decompose_patterns": ("phrenology", lambda models, study, threads: study_estimates.distances(models)),
    "draw_pair_weights": ("phrenology", lambda models, study, threads: study_estimates.distances(models)),
    "draw_head_distances": ("phrenology", lambda models, study, threads: study_estimates.squares(models)),
    "draw_embedded_distances": ("phrenology", lambda models, study, threads: study_estimates.squares(models)),
    "draw_one_cluster": ("phrenology", lambda models, study, threads: study_estimates.logits(models)),
    "project_heads": ("phrenology", lambda models, study, threads: study_estimates.projecting(models)),
    "project_first_token": ("phrenology", lambda models, study, threads: study_estimates.first_token(models)),
    "fit_autoencoders": (
        "phrenology",
        lambda models, study, threads: study_estimates.autoencoders(models, study["autoencoders"]),
    ),
    "search_resolutions": ("phrenology", lambda models, study, threads: study_estimates.searching(models, study)),
    "find_kinds": ("phrenology", lambda models, study, threads: study_estimates.finding_kinds(models, study)),
    "match_partners": ("phrenology", lambda models, study, threads: study_estimates.resampling_groups(models, study)),
    "measure_stability": (
        "phrenology",
        lambda models, study, threads: study_estimates.resampling_groups(models, study),
    ),
    "place_heads": ("phrenology", lambda models, study, threads: study_estimates.placing(models, study)),
    "compare_knockouts": (
        "phrenology",
        lambda models, study, threads: study_estimates.comparing(models, study["knockouts"]["prompts"]),
    ),
    "transplant_heads": (
        "phrenology",
        lambda models, study, threads: study_estimates.transplanting(models, study["validation"]["windows"]),
    ),
    "compare_circuits": ("phrenology", lambda models, study, threads: study_estimates.comparing_circuits(models)),
    "weigh_evidence": ("phrenology", lambda models, study, threads: study_estimates.weighing(models, study)),
    "draw_universality": ("phrenology", lambda models, study, threads: study_estimates.distances(models)),
    "draw_knockout_effects": ("phrenology", lambda models, study, threads: study_estimates.distances(models)),
    "draw_mean_patterns": ("phrenology", lambda models, study, threads: study_estimates.distances(models)),
    "generate_text": ("circuits", lambda models, study, threads: study_estimates.circuits(models)),
    "compare_losses": ("circuits", lambda models, study, threads: study_estimates.circuits(models)),
    "read_circuits": ("circuits", lambda models, study, threads: study_estimates.circuits(models)),
}
