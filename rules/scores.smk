# IN:  attention/{model}/patterns.parquet, windows/{model}/analysis.parquet, models/{model}/model.safetensors
# OUT: scores/{model}.parquet


rule score_heads:
    input:
        model="<results>/models/{model}/model.safetensors",
        config="<results>/models/{model}/config.json",
        windows=lambda wildcards: windows_of(wildcards.model, "analysis"),
        patterns="<results>/attention/{model}/patterns.parquet",
        tokenizer=lambda wildcards: tokenizer_files(wildcards.model)[0],
        tokenizer_config=lambda wildcards: tokenizer_files(wildcards.model)[1],
    output:
        scores="<results>/scores/{model}.parquet",
    log:
        "<logs>/score_heads/{model}.log",
    benchmark:
        "<benchmarks>/score_heads/{model}.tsv"
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: attempt * need("score_heads", wildcards.model).memory,
        runtime=lambda wildcards, attempt: attempt * need("score_heads", wildcards.model).minutes,
    params:
        spec=lambda wildcards: spec(
            "score_heads", threads=forward_threads(wildcards.model), **config["models"][wildcards.model]["scores"]
        ),
    script:
        "../scripts/score_heads.py"
