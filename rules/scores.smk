# IN:  attention/{model}/patterns.parquet, windows/{model}/analysis.parquet, models/{model}/model.safetensors
# OUT: scores/{model}.parquet, token_circuits/{model}.parquet, ov_eigenvalues/{model}.parquet


rule score_heads:
    """Measure what every head does: from its patterns (extracted anew if not kept), on repeated tokens, from its weights."""
    input:
        **TOKENIZER,
        **MODEL,
        windows=lambda wildcards: windows_of(wildcards.model, "analysis"),
        patterns=lambda wildcards: artifacts.patterns_of(wildcards.model),
    output:
        scores="<results>/scores/{model}.parquet",
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        gpu=1,
    params:
        spec=lambda wildcards: spec(
            "score_heads", threads=forward_threads(wildcards.model), **config["models"][wildcards.model]["scores"]
        ),
    script:
        "../scripts/score_heads.py"


rule read_token_circuits:
    """Read from weights which tokens each head raises and seeks, and the eigenvalues of its OV circuit."""
    input:
        **TOKENIZER,
        **MODEL,
        windows=lambda wildcards: windows_of(wildcards.model, "analysis"),
    output:
        pairs="<results>/token_circuits/{model}.parquet",
        eigenvalues="<results>/ov_eigenvalues/{model}.parquet",
    threads: lambda wildcards: forward_threads(wildcards.model)
    params:
        spec=lambda wildcards: spec("read_token_circuits", tokens=400, threads=forward_threads(wildcards.model)),
    script:
        "../scripts/read_token_circuits.py"
