# IN:  corpora/{corpus}/documents.parquet
# OUT: tokenizers/{tokenizer}/tokenizer.json, windows/{model}/{use}.parquet


rule build_tokenizer:
    """Train a tokenizer on a corpus's training split."""
    input:
        documents=lambda wildcards: (
            f"<results>/corpora/{config['tokenizers'][wildcards.tokenizer]['corpus']}/documents.parquet"
        ),
    output:
        tokenizer="<results>/tokenizers/{tokenizer}/tokenizer.json",
        config="<results>/tokenizers/{tokenizer}/tokenizer_config.json",
    wildcard_constraints:
        tokenizer=one_of(TRAINED_TOKENIZERS),
    params:
        spec=lambda wildcards: spec("build_tokenizer", tokenizer=config["tokenizers"][wildcards.tokenizer]),
    script:
        "../scripts/build_tokenizer.py"


rule fetch_tokenizer:
    """Load a tokenizer from the Hub, a mirror or a folder; where jobs are submitted, on the machine that submits them."""
    output:
        tokenizer="<results>/tokenizers/{tokenizer}/tokenizer.json",
        config="<results>/tokenizers/{tokenizer}/tokenizer_config.json",
    wildcard_constraints:
        tokenizer=one_of(LOADED_TOKENIZERS),
    localrule: True
    params:
        spec=lambda wildcards: spec(
            "fetch_tokenizer",
            reads=reads("tokenizer", config["tokenizers"][wildcards.tokenizer]),
            tokenizer=config["tokenizers"][wildcards.tokenizer],
        ),
    script:
        "../scripts/fetch_tokenizer.py"


rule sample_windows:
    """Sample the windows of tokens that a model is trained on, evaluated on or analysed on."""
    input:
        **TOKENIZER,
        documents=lambda wildcards: f"<results>/corpora/{config['models'][wildcards.model]['corpus']}/documents.parquet",
    output:
        windows="<results>/windows/{model}/{use}.parquet",
    params:
        spec=lambda wildcards: spec(
            "sample_windows", **model_settings.window_settings(config["models"][wildcards.model], wildcards.use)
        ),
    script:
        "../scripts/sample_windows.py"
