# IN:  models/{model}/model.safetensors, config.json, windows/{model}/analysis.parquet
# OUT: attention/{model}/{patterns,queries_keys,value_weighted}.parquet

KEPT = [name for name, model in config["models"].items() if model["analysis"]["patterns"] != "none"]
# The table of each model's attention patterns, in a list; none where the configuration keeps none
PATTERNS = {name: [f"<results>/attention/{name}/patterns.parquet"] * (name in KEPT) for name in config["models"]}


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
