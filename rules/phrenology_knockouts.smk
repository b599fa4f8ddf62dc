# IN:  models/{model}/model.safetensors and windows/{model}/analysis.parquet of every model that the study compares
# OUT: knockouts/{model}/{losses,prompt}.parquet, phrenology/{knockouts,knockout_tokens}, figures 12 to 14


rule measure_knockouts:
    """Knock out every head of a model: what it is worth in loss, and what it does to the end of one prompt."""
    input:
        **TOKENIZER,
        model="<results>/models/{model}/model.safetensors",
        config="<results>/models/{model}/config.json",
        windows=lambda wildcards: windows_of(wildcards.model, "analysis"),
    output:
        losses="<results>/knockouts/{model}/losses.parquet",
        prompt="<results>/knockouts/{model}/prompt.parquet",
    log:
        "<logs>/measure_knockouts/{model}.log",
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        **needs("measure_knockouts"),
        gpu=1,
    params:
        spec=lambda wildcards: spec(
            "measure_knockouts",
            **study_settings("phrenology", "knockouts.prompt", "knockouts.windows", "knockouts.others", "seed"),
            threads=forward_threads(wildcards.model),
        ),
    script:
        "../scripts/measure_knockouts.py"


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
    log:
        "<logs>/compare_knockouts.log",
    conda:
        "../envs/models.yaml"
    threads: forward_threads(*models_of("phrenology"))
    resources:
        **needs("compare_knockouts"),
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
    output:
        **figure("phrenology", "fig12_one_head"),
    pathvars:
        name="draw_one_head",
    params:
        spec=drawn_by(
            "studies.phrenology.figures.knockouts.draw_one_head",
            **study_settings("phrenology", "knockouts.head"),
        ),


use rule draw_figure as draw_one_cluster with:
    """Fig 13: the logits after one prompt with each head of one cluster knocked out."""
    input:
        prompts=of_models("phrenology", "<results>/knockouts/{model}/prompt.parquet"),
        clusters="<results>/phrenology/clusters.parquet",
        kinds="<results>/phrenology/kinds.parquet",
    output:
        **figure("phrenology", "fig13_cluster"),
    pathvars:
        name="draw_one_cluster",
    resources:
        **needs("draw_one_cluster"),
    params:
        spec=drawn_by(
            "studies.phrenology.figures.knockouts.draw_one_cluster",
            **study_settings("phrenology", "models", "knockouts.cluster"),
        ),


use rule draw_figure as draw_knockout_effects with:
    """Fig 14: effects of knockouts; published on a plane, corrected against how far apart the heads attend."""
    input:
        knockouts="<results>/phrenology/knockouts.parquet",
        clusters="<results>/phrenology/clusters.parquet",
        distances="<results>/phrenology/distances.parquet",
        partners="<results>/phrenology/partners.parquet",
    output:
        **figure("phrenology", "fig14_effects"),
    pathvars:
        name="draw_knockout_effects",
    resources:
        **needs("draw_knockout_effects"),
    params:
        spec=drawn_by("studies.phrenology.figures.knockouts.draw_knockout_effects"),


use rule draw_figure as draw_knockout_losses with:
    """Draw what every head is worth in loss, beside another head of its layer in its place."""
    input:
        losses=of_models("phrenology", "<results>/knockouts/{model}/losses.parquet"),
        kinds="<results>/phrenology/kinds.parquet",
    output:
        **figure("phrenology", "knockout_losses", ["corrected"]),
    pathvars:
        name="draw_knockout_losses",
    params:
        spec=drawn_by("studies.phrenology.figures.knockouts.draw_knockout_losses", models=models_of("phrenology")),
