# IN:  models/{model}/model.safetensors and windows/{model}/analysis.parquet of every model that the study compares
# OUT: knockouts/{model}/{losses,prompt}.parquet, phrenology/{knockouts,knockout_tokens,prediction*}, figures 12 to 14

BUILT["phrenology"] += figures("phrenology", ["fig12_one_head", "fig13_cluster", "fig14_effects"])
BUILT["phrenology"] += figures("phrenology", ["knockout_losses", "prediction"], ["corrected"])
BUILT["phrenology"] += ["<results>/phrenology/knockout_tokens.csv", "<results>/phrenology/prediction.md"]


rule measure_knockouts:
    input:
        model="<results>/models/{model}/model.safetensors",
        config="<results>/models/{model}/config.json",
        windows=lambda wildcards: windows_of(wildcards.model, "analysis"),
        tokenizer=lambda wildcards: tokenizer_files(wildcards.model)[0],
        tokenizer_config=lambda wildcards: tokenizer_files(wildcards.model)[1],
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
        gpu=1,
        mem_mb=lambda wildcards, attempt: attempt * need("measure_knockouts", wildcards.model).memory,
        runtime=lambda wildcards, attempt: attempt * need("measure_knockouts", wildcards.model).minutes,
    params:
        spec=lambda wildcards: spec(
            "measure_knockouts",
            prompt=config["studies"]["phrenology"]["knockouts"]["prompt"],
            windows=config["studies"]["phrenology"]["knockouts"]["windows"],
            random_heads=config["studies"]["phrenology"]["knockouts"]["random_heads"],
            seed=config["studies"]["phrenology"]["seed"],
            threads=forward_threads(wildcards.model),
        ),
    script:
        "../scripts/measure_knockouts.py"


rule compare_knockouts:
    input:
        models=of_models("phrenology", "<results>/models/{model}/model.safetensors"),
        configs=of_models("phrenology", "<results>/models/{model}/config.json"),
        windows=prompts_of("phrenology"),
        tokenizer=tokenizer_files(models_of("phrenology")[0])[0],
        tokenizer_config=tokenizer_files(models_of("phrenology")[0])[1],
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
        gpu=1,
        mem_mb=lambda wildcards, attempt: attempt * need("compare_knockouts").memory,
        runtime=lambda wildcards, attempt: attempt * need("compare_knockouts").minutes,
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
        mem_mb=lambda wildcards, attempt: attempt * need("predict_knockouts").memory,
        runtime=lambda wildcards, attempt: attempt * need("predict_knockouts").minutes,
    params:
        spec=spec(
            "predict_knockouts",
            permutations=config["studies"]["phrenology"]["knockouts"]["permutations"],
            seed=config["studies"]["phrenology"]["seed"],
        ),
    script:
        "../scripts/predict_knockouts.py"


rule draw_one_head:
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
        mem_mb=lambda wildcards, attempt: attempt * need("draw_one_head").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_one_head").minutes,
    params:
        spec=spec("draw_one_head", head=config["studies"]["phrenology"]["knockouts"]["head"]),
    script:
        "../scripts/draw_one_head.py"


rule draw_one_cluster:
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
        mem_mb=lambda wildcards, attempt: attempt * need("draw_one_cluster").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_one_cluster").minutes,
    params:
        spec=spec(
            "draw_one_cluster",
            models=config["studies"]["phrenology"]["models"],
            cluster=config["studies"]["phrenology"]["knockouts"]["cluster"],
        ),
    script:
        "../scripts/draw_one_cluster.py"


rule draw_knockout_effects:
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
        mem_mb=lambda wildcards, attempt: attempt * need("draw_knockout_effects").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_knockout_effects").minutes,
    params:
        spec=spec("draw_knockout_effects"),
    script:
        "../scripts/draw_knockout_effects.py"


rule draw_knockout_losses:
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
        mem_mb=lambda wildcards, attempt: attempt * need("draw_knockout_losses").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_knockout_losses").minutes,
    params:
        spec=spec("draw_knockout_losses", models=config["studies"]["phrenology"]["models"]),
    script:
        "../scripts/draw_knockout_losses.py"


rule draw_prediction:
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
        mem_mb=lambda wildcards, attempt: attempt * need("draw_prediction").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_prediction").minutes,
    params:
        spec=spec("draw_prediction"),
    script:
        "../scripts/draw_prediction.py"
