# IN:  corpora/{corpus}/documents.parquet
# OUT: tokenizers/{tokenizer}/tokenizer.json, windows/{model}/{use}.parquet


rule build_tokenizer:
    """Train a tokenizer on a corpus's training split, or load one."""
    input:
        documents=lambda wildcards: training_corpus(wildcards.tokenizer),
        files=lambda wildcards: configuration.local_files(config["tokenizers"][wildcards.tokenizer]),
    output:
        tokenizer="<results>/tokenizers/{tokenizer}/tokenizer.json",
        config="<results>/tokenizers/{tokenizer}/tokenizer_config.json",
    log:
        "<logs>/build_tokenizer/{tokenizer}.log",
    benchmark:
        "<benchmarks>/build_tokenizer/{tokenizer}.tsv"
    conda:
        "../envs/models.yaml"
    resources:
        **needs("build_tokenizer"),
    params:
        spec=lambda wildcards: spec("build_tokenizer", tokenizer=config["tokenizers"][wildcards.tokenizer]),
    script:
        "../scripts/build_tokenizer.py"


rule sample_windows:
    """Sample the windows of tokens that a model is trained on, evaluated on or analysed on."""
    input:
        **TOKENIZER,
        documents=lambda wildcards: f"<results>/corpora/{config['models'][wildcards.model]['corpus']}/documents.parquet",
    output:
        windows="<results>/windows/{model}/{use}.parquet",
    log:
        "<logs>/sample_windows/{model}/{use}.log",
    benchmark:
        "<benchmarks>/sample_windows/{model}/{use}.tsv"
    conda:
        "../envs/models.yaml"
    resources:
        **needs("sample_windows"),
    params:
        spec=lambda wildcards: spec(
            "sample_windows",
            **configuration.window_settings(config["models"][wildcards.model], wildcards.use),
        ),
    script:
        "../scripts/sample_windows.py"
