# IN:  models/{model}/model.safetensors and windows/{model}/analysis.parquet of every model that the study compares
# OUT: knockouts/{model}/{losses,prompt}.parquet, phrenology/{knockouts,knockout_tokens,prediction*}, figures 12 to 14


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
    benchmark:
        "<benchmarks>/measure_knockouts/{model}.tsv"
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        **needs("measure_knockouts"),
        gpu=1,
    params:
        spec=lambda wildcards: spec(
            "measure_knockouts",
            prompt=config["studies"]["phrenology"]["knockouts"]["prompt"],
            windows=config["studies"]["phrenology"]["knockouts"]["windows"],
            others=config["studies"]["phrenology"]["knockouts"]["others"],
            seed=config["studies"]["phrenology"]["seed"],
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
    benchmark:
        "<benchmarks>/compare_knockouts.tsv"
    conda:
        "../envs/models.yaml"
    threads: forward_threads(*models_of("phrenology"))
    resources:
        **needs("compare_knockouts"),
        gpu=1,
    params:
        spec=spec(
            "compare_knockouts",
            models=config["studies"]["phrenology"]["models"],
            prompts=config["studies"]["phrenology"]["knockouts"]["prompts"],
            seed=config["studies"]["phrenology"]["seed"],
            threads=forward_threads(*models_of("phrenology")),
        ),
    script:
        "../scripts/compare_knockouts.py"


rule predict_knockouts:
    """Predict each head's knockout effect from the heads that attend alike, and hold it against permutations."""
    input:
        knockouts="<results>/phrenology/knockouts.parquet",
        distances="<results>/phrenology/distances.parquet",
    output:
        prediction="<results>/phrenology/prediction.parquet",
        heads="<results>/phrenology/prediction_heads.parquet",
        draws="<results>/phrenology/prediction_draws.parquet",
        findings="<results>/phrenology/prediction.md",
    log:
        "<logs>/predict_knockouts.log",
    benchmark:
        "<benchmarks>/predict_knockouts.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs("predict_knockouts"),
    params:
        spec=spec(
            "predict_knockouts",
            permutations=config["studies"]["phrenology"]["knockouts"]["permutations"],
            seed=config["studies"]["phrenology"]["seed"],
        ),
    script:
        "../scripts/predict_knockouts.py"


rule draw_one_head:
    """Fig 12: the logits after one prompt with a head knocked out, by zero and, corrected, by its mean and by others."""
    input:
        prompt=of_models("phrenology", "<results>/knockouts/{model}/prompt.parquet")[0],
    output:
        published_png=reported("<results>/figures/phrenology/published/fig12_one_head.png"),
        published_pdf="<results>/figures/phrenology/published/fig12_one_head.pdf",
        corrected_png=reported("<results>/figures/phrenology/corrected/fig12_one_head.png"),
        corrected_pdf="<results>/figures/phrenology/corrected/fig12_one_head.pdf",
    log:
        "<logs>/draw_one_head.log",
    benchmark:
        "<benchmarks>/draw_one_head.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("draw_one_head"),
    params:
        spec=spec("draw_one_head", head=config["studies"]["phrenology"]["knockouts"]["head"]),
    script:
        "../scripts/draw_one_head.py"


rule draw_one_cluster:
    """Fig 13: the logits after one prompt with each head of one cluster knocked out."""
    input:
        prompts=of_models("phrenology", "<results>/knockouts/{model}/prompt.parquet"),
        clusters="<results>/phrenology/clusters.parquet",
    output:
        published_png=reported("<results>/figures/phrenology/published/fig13_cluster.png"),
        published_pdf="<results>/figures/phrenology/published/fig13_cluster.pdf",
        corrected_png=reported("<results>/figures/phrenology/corrected/fig13_cluster.png"),
        corrected_pdf="<results>/figures/phrenology/corrected/fig13_cluster.pdf",
    log:
        "<logs>/draw_one_cluster.log",
    benchmark:
        "<benchmarks>/draw_one_cluster.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("draw_one_cluster"),
    params:
        spec=spec(
            "draw_one_cluster",
            models=config["studies"]["phrenology"]["models"],
            cluster=config["studies"]["phrenology"]["knockouts"]["cluster"],
        ),
    script:
        "../scripts/draw_one_cluster.py"


rule draw_knockout_effects:
    """Fig 14: heads placed by what knocking them out does, coloured by their cluster."""
    input:
        knockouts="<results>/phrenology/knockouts.parquet",
        clusters="<results>/phrenology/clusters.parquet",
    output:
        published_png=reported("<results>/figures/phrenology/published/fig14_effects.png"),
        published_pdf="<results>/figures/phrenology/published/fig14_effects.pdf",
        corrected_png=reported("<results>/figures/phrenology/corrected/fig14_effects.png"),
        corrected_pdf="<results>/figures/phrenology/corrected/fig14_effects.pdf",
    log:
        "<logs>/draw_knockout_effects.log",
    benchmark:
        "<benchmarks>/draw_knockout_effects.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("draw_knockout_effects"),
    params:
        spec=spec("draw_knockout_effects"),
    script:
        "../scripts/draw_knockout_effects.py"


rule draw_knockout_losses:
    """Draw what every head is worth in loss, beside another head of its layer in its place."""
    input:
        losses=of_models("phrenology", "<results>/knockouts/{model}/losses.parquet"),
        clusters="<results>/phrenology/clusters.parquet",
    output:
        png=reported("<results>/figures/phrenology/corrected/knockout_losses.png"),
        pdf="<results>/figures/phrenology/corrected/knockout_losses.pdf",
    log:
        "<logs>/draw_knockout_losses.log",
    benchmark:
        "<benchmarks>/draw_knockout_losses.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("draw_knockout_losses"),
    params:
        spec=spec("draw_knockout_losses", models=config["studies"]["phrenology"]["models"]),
    script:
        "../scripts/draw_knockout_losses.py"


rule draw_prediction:
    """Draw how well the effect of knocking a head out is predicted by the heads that attend like it."""
    input:
        heads="<results>/phrenology/prediction_heads.parquet",
        prediction="<results>/phrenology/prediction.parquet",
        draws="<results>/phrenology/prediction_draws.parquet",
        clusters="<results>/phrenology/clusters.parquet",
    output:
        png=reported("<results>/figures/phrenology/corrected/prediction.png"),
        pdf="<results>/figures/phrenology/corrected/prediction.pdf",
    log:
        "<logs>/draw_prediction.log",
    benchmark:
        "<benchmarks>/draw_prediction.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("draw_prediction"),
    params:
        spec=spec("draw_prediction"),
    script:
        "../scripts/draw_prediction.py"
