# IN:  models/{model}/model.safetensors, config.json, windows/{model}/analysis.parquet
# OUT: attention/{model}/patterns.parquet, queries_keys.parquet


rule extract_patterns:
    """Extract the attention patterns of every head over the analysis windows."""
    input:
        model="<results>/models/{model}/model.safetensors",
        config="<results>/models/{model}/config.json",
        windows=lambda wildcards: windows_of(wildcards.model, "analysis"),
    output:
        patterns="<results>/attention/{model}/patterns.parquet",
    log:
        "<logs>/extract_patterns/{model}.log",
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        **needs("extract_patterns"),
        gpu=1,
    params:
        spec=lambda wildcards: spec("extract_patterns", threads=forward_threads(wildcards.model)),
    script:
        "../scripts/extract_patterns.py"


rule extract_queries_keys:
    """Extract queries and keys of every head over the first analysis windows."""
    input:
        model="<results>/models/{model}/model.safetensors",
        config="<results>/models/{model}/config.json",
        windows=lambda wildcards: windows_of(wildcards.model, "analysis"),
    output:
        queries_keys="<results>/attention/{model}/queries_keys.parquet",
    log:
        "<logs>/extract_queries_keys/{model}.log",
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        **needs("extract_queries_keys"),
        gpu=1,
    params:
        spec=lambda wildcards: spec(
            "extract_queries_keys",
            prompts=config["models"][wildcards.model]["analysis"]["queries_keys"],
            threads=forward_threads(wildcards.model),
        ),
    script:
        "../scripts/extract_queries_keys.py"
