# IN:  models/{model}/model.safetensors, config.json, windows/{model}/analysis.parquet
# OUT: attention/{model}/{patterns,queries_keys,value_weighted}.parquet

KEPT = [model for model in config["models"] if artifacts.patterns_of(model)]  # of which patterns are kept


rule extract_patterns:
    """Extract the attention patterns of every head over the analysis windows."""
    input:
        **MODEL,
        windows=lambda wildcards: windows_of(wildcards.model, "analysis"),
    output:
        patterns="<results>/attention/{model}/patterns.parquet",
    wildcard_constraints:
        model=one_of(KEPT),
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        gpu=1,
    params:
        spec=lambda wildcards: spec(
            "extract_patterns",
            patterns=config["models"][wildcards.model]["analysis"]["patterns"],
            threads=forward_threads(wildcards.model),
        ),
    script:
        "../scripts/extract_patterns.py"


rule extract_queries_keys:
    """Extract queries and keys of every head over the first analysis windows."""
    input:
        **MODEL,
        windows=lambda wildcards: windows_of(wildcards.model, "analysis"),
    output:
        queries_keys="<results>/attention/{model}/queries_keys.parquet",
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        gpu=1,
    params:
        spec=lambda wildcards: spec(
            "extract_queries_keys",
            prompts=config["models"][wildcards.model]["analysis"]["queries_keys"],
            threads=forward_threads(wildcards.model),
        ),
    script:
        "../scripts/extract_queries_keys.py"


rule weigh_attention:
    """Weigh the attention of every head by what the values that it attends to write, by distance and on the first token."""
    input:
        **MODEL,
        windows=lambda wildcards: windows_of(wildcards.model, "analysis"),
    output:
        weighted="<results>/attention/{model}/value_weighted.parquet",
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        gpu=1,
    params:
        spec=lambda wildcards: spec("weigh_attention", threads=forward_threads(wildcards.model)),
    script:
        "../scripts/weigh_attention.py"
