# IN:  models/{model}/model.safetensors and windows/{model}/analysis.parquet of every model that the study compares
# OUT: knockouts/{model}/{losses,by_class,prompt}.parquet and, asked for by name, screen.parquet, phrenology/{knockouts,knockout_tokens}, figures 12 to 14


rule measure_knockouts:
    """Knock out every head of a model: what that costs in loss, and what it does to the end of one prompt."""
    input:
        **TOKENIZER,
        **MODEL,
        windows=lambda wildcards: windows_of(wildcards.model, "analysis"),
    output:
        **tables("knockouts/{model}", "losses", "by_class", "prompt"),
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        gpu=1,
    params:
        spec=lambda wildcards: spec(
            "measure_knockouts",
            **study_settings("phrenology", "knockouts.prompt", "knockouts.windows", "knockouts.others", "seed"),
            threads=forward_threads(wildcards.model),
        ),
    script:
        "../scripts/measure_knockouts.py"


rule screen_heads:
    """Rank all heads of a model by attribution, and ablate those that stand first: a first look at a large model."""
    input:
        **TOKENIZER,
        **MODEL,
        windows=lambda wildcards: windows_of(wildcards.model, "analysis"),
    output:
        **tables("knockouts/{model}", "screen"),
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        gpu=1,
    params:
        spec=lambda wildcards: spec(
            "screen_heads",
            **study_settings("phrenology", "knockouts.screen_windows", "knockouts.screened", "seed"),
            threads=forward_threads(wildcards.model),
        ),
    script:
        "../scripts/screen_heads.py"


rule compare_knockouts:
    """Compare what knocking out does across all heads of a study; name the tokens that each promotes and suppresses."""
    input:
        **tokenizer_of(models_of("phrenology")[0]),
        models=of_models("phrenology", "<results>/models/{model}/model.safetensors"),
        configs=of_models("phrenology", "<results>/models/{model}/config.json"),
        windows=prompts_of("phrenology"),
    output:
        knockouts="<results>/phrenology/knockouts.parquet",
        tokens="<results>/phrenology/knockout_tokens.parquet",
        csv=reported("<results>/phrenology/knockout_tokens.csv"),
    threads: forward_threads(*models_of("phrenology"))
    resources:
        gpu=1,
    params:
        spec=spec(
            "compare_knockouts",
            **study_settings("phrenology", "models", "knockouts.prompts", "seed"),
            threads=forward_threads(*models_of("phrenology")),
        ),
    script:
        "../scripts/compare_knockouts.py"


use rule draw_figure as draw_one_head with:
    """Fig 12: the logits after one prompt with a head knocked out, by zero and, corrected, by its mean and by others."""
    input:
        prompt=of_models("phrenology", "<results>/knockouts/{model}/prompt.parquet")[0],
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "fig12_one_head"),
    params:
        spec=drawn_by(
            "studies.phrenology.figures.knockout_logits.draw_one_head",
            **study_settings("phrenology", "knockouts.head"),
        ),


use rule draw_figure as draw_one_cluster with:
    """Fig 13: the logits after one prompt with each head of one cluster knocked out."""
    input:
        **tables("phrenology", "clusters", "kinds"),
        prompts=of_models("phrenology", "<results>/knockouts/{model}/prompt.parquet"),
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "fig13_cluster"),
    params:
        spec=drawn_by(
            "studies.phrenology.figures.knockout_logits.draw_one_cluster",
            **study_settings("phrenology", "models", "knockouts.cluster"),
        ),


use rule draw_figure as draw_knockout_effects with:
    """Fig 14: effects of knockouts; published on a plane, corrected against how far apart the heads attend."""
    input:
        **tables("phrenology", "knockouts", "clusters", "distances", "partners"),
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "fig14_effects"),
    params:
        spec=drawn_by("studies.phrenology.figures.knockout_effects.draw_knockout_effects"),


use rule draw_figure as draw_knockout_losses with:
    """Draw what ablating every head costs in loss, beside another head of its layer in its place."""
    input:
        losses=of_models("phrenology", "<results>/knockouts/{model}/losses.parquet"),
        kinds="<results>/phrenology/kinds.parquet",
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "knockout_losses", ["corrected"]),
    params:
        spec=drawn_by("studies.phrenology.figures.knockout_losses.draw_knockout_losses", models=models_of("phrenology")),


use rule draw_figure as draw_losses_by_class with:
    """Draw what ablating every head costs for repeated and new, frequent and rare, first and later tokens."""
    input:
        **HEADS_AND_GROUPS,
        by_class=of_models("phrenology", "<results>/knockouts/{model}/by_class.parquet"),
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "losses_by_class", ["corrected"]),
    params:
        spec=drawn_by(
            "studies.phrenology.figures.writing.losses_by_class.draw_losses_by_class", models=models_of("phrenology")
        ),
