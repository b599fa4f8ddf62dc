# IN:  models, training and baselines of every run of the sweep; patterns and scores of the runs that figures show
# OUT: circuits/{sweep,text,attention,heads,copying,skip_trigrams,composition,losses}.parquet, findings.md, figures 1-9, composition

RUNS = list(config["studies"]["circuits"]["runs"])
SHOWN = config["studies"]["circuits"]["shown"]
HEAT_MAPS = sweep.heat_maps(SHOWN)  # figures 3 to 9, as far as the configuration names their runs
WRITING = list(dict.fromkeys([*models_of("circuits"), *SHOWN.get("fig01", {}).get("corrected", [])]))


rule circuits:
    """Everything that the study of attention-only models shows: what they learn to do, and what does not matter to it."""
    input:
        figures("circuits", ["fig01_tokenizers"] if "fig01" in SHOWN else []),
        figures("circuits", ["fig02_sweep", *HEAT_MAPS]),
        figures("circuits", ["composition", *(["losses_compared"] if "losses" in SHOWN else [])], ["corrected"]),
        expand("<results>/figures/circuits/corrected/table1_settings.{kind}", kind=["csv", "png", "pdf"]),
        "<results>/circuits/findings.md",


rule gather_sweep:
    """Gather the training of every run of a sweep in one table."""
    input:
        training=expand("<results>/models/{model}/training.parquet", model=RUNS),
        baselines=[
            f"<results>/models/{config['studies']['circuits']['windows'][model]}/baselines.parquet" for model in RUNS
        ],
    output:
        sweep="<results>/circuits/sweep.parquet",
    params:
        spec=spec("gather_sweep", models=RUNS, runs=config["studies"]["circuits"]["runs"]),
    script:
        "../scripts/gather_sweep.py"


if "losses" in SHOWN:

    rule compare_losses:
        """Measure, at the snapshots of one run's training, its cross-entropy and the published loss over positions."""
        input:
            train=lambda wildcards: windows_of(SHOWN["losses"]["corrected"], "train"),
            evaluation=lambda wildcards: windows_of(SHOWN["losses"]["corrected"], "evaluation"),
            snapshots=lambda wildcards: f"<results>/models/{SHOWN['losses']['corrected']}/snapshots.safetensors",
            described=lambda wildcards: f"<results>/models/{SHOWN['losses']['corrected']}/snapshots.json",
        output:
            losses="<results>/circuits/losses.parquet",
        threads: lambda wildcards: forward_threads(SHOWN["losses"]["corrected"])
        resources:
            gpu=1,
        params:
            spec=lambda wildcards: spec("compare_losses", threads=forward_threads(SHOWN["losses"]["corrected"])),
        script:
            "../scripts/compare_losses.py"

    use rule draw_figure as draw_losses with:
        """Draw the published loss over positions beside the cross-entropy of the same run."""
        input:
            losses="<results>/circuits/losses.parquet",
        output:
            **figure("circuits", "losses_compared", ["corrected"]),
        params:
            spec=drawn_by("studies.circuits.figures.sweep.draw_losses"),


rule generate_text:
    """Let the models that a study shows continue its prompt, and see what their heads look at meanwhile."""
    input:
        **tokenizers_of(WRITING),
        model=expand("<results>/models/{model}/model.safetensors", model=WRITING),
        config=expand("<results>/models/{model}/config.json", model=WRITING),
        windows=[windows_of(model, "analysis") for model in WRITING],
    output:
        **tables("circuits", "text", "attention"),
    threads: forward_threads(*WRITING)
    resources:
        gpu=1,
    params:
        spec=spec(
            "generate_text",
            models=WRITING,
            tokenizers=[config["models"][model]["tokenizer"] for model in WRITING],
            generation=config["studies"]["circuits"]["generation"],
            threads=forward_threads(*WRITING),
        ),
    script:
        "../scripts/generate_text.py"


rule read_circuits:
    """Read from weights and scores what the heads of attention-only models do."""
    input:
        **tokenizers_of(models_of("circuits")),
        model=of_models("circuits", "<results>/models/{model}/model.safetensors"),
        config=of_models("circuits", "<results>/models/{model}/config.json"),
        windows=[windows_of(model, "analysis") for model in models_of("circuits")],
        train=[windows_of(model, "train") for model in models_of("circuits")],
        patterns=of_models("circuits", "<results>/attention/{model}/patterns.parquet"),
        scores=of_models("circuits", "<results>/scores/{model}.parquet"),
    output:
        **tables("circuits", "heads", "names", "skip_trigrams", "copying", "composition", "induction"),
    params:
        spec=spec("read_circuits", models=models_of("circuits")),
    script:
        "../scripts/read_circuits.py"


if "fig01" in SHOWN:

    use rule draw_figure as draw_tokenizers with:
        """Fig 1: text sampled under each tokenizer; corrected, with the share of continuation pieces beside it."""
        input:
            text="<results>/circuits/text.parquet",
        output:
            **figure("circuits", "fig01_tokenizers"),
        params:
            spec=lambda wildcards: drawn_by(
                "studies.circuits.figures.sweep.draw_tokenizers", models=SHOWN["fig01"]["corrected"]
            ),


use rule draw_figure as draw_sweep with:
    """Fig 2: losses and accuracies of all runs by epoch, published with the paper's loss; corrected, what each parameter does."""
    input:
        sweep="<results>/circuits/sweep.parquet",
        losses="<results>/circuits/losses.parquet" if "losses" in SHOWN else [],
    output:
        **figure("circuits", "fig02_sweep"),
    params:
        spec=drawn_by("studies.circuits.figures.sweep.draw_sweep", axes=config["studies"]["circuits"]["sweep"]),


use rule draw_figure as draw_heat_maps with:
    """Figs 3 to 9: what heads of a layer look at in a text; published, the chosen heads; corrected, all, with their scores."""
    input:
        **tables("circuits", "text", "attention", "heads", "names", "sweep"),
    output:
        **figure("circuits", "{figure}", caption="heat_maps"),
    wildcard_constraints:
        figure=one_of(HEAT_MAPS),
    params:
        spec=lambda wildcards: drawn_by(
            "studies.circuits.figures.heat_maps.draw_heat_maps", figure=HEAT_MAPS[wildcards.figure]
        ),


use rule draw_figure as draw_composition with:
    """Draw which later heads read what earlier heads write, beyond random heads."""
    input:
        **tables("circuits", "composition", "names", "sweep"),
        judged=judged(*models_of("circuits")),
    output:
        **figure("circuits", "composition", ["corrected"]),
    params:
        spec=drawn_by("studies.circuits.figures.composition.draw_composition"),


use rule draw_figure as draw_settings with:
    """Table I: settings of the reference work, of the paper and of what was run."""
    output:
        **figure("circuits", "table1_settings", ["corrected"], kinds=["csv", "png", "pdf"]),
    params:
        spec=drawn_by(
            "studies.circuits.figures.sweep.draw_settings", models={model: config["models"][model] for model in RUNS}
        ),


rule report_circuits:
    """Say in words what the study of attention-only transformers found."""
    input:
        **tables("circuits", "text", "names", "skip_trigrams", "copying", "induction", "sweep"),
        losses="<results>/circuits/losses.parquet" if "losses" in SHOWN else [],
    output:
        findings="<results>/circuits/findings.md",
    params:
        spec=spec("report_circuits", axes=config["studies"]["circuits"]["sweep"]),
    script:
        "../scripts/report_circuits.py"
