# IN:  a source named in the configuration: NLTK, the Hub, files, Python's documentation, or planted repeats
# OUT: corpora/{corpus}/documents.parquet


rule fetch_corpus:
    """Read a corpus from its source and write its passages; where jobs are submitted, on the machine that submits them."""
    output:
        documents="<results>/corpora/{corpus}/documents.parquet",
    localrule: True
    params:
        spec=lambda wildcards: spec(
            "fetch_corpus",
            reads=reads("corpus", config["corpora"][wildcards.corpus]),
            corpus=config["corpora"][wildcards.corpus],
        ),
    script:
        "../scripts/fetch_corpus.py"


rule fetch:
    """All downloads of a configuration and nothing else: what is left needs no network."""
    input:
        expand("<results>/corpora/{corpus}/documents.parquet", corpus=DOWNLOADED["corpora"]),
        expand("<results>/tokenizers/{tokenizer}/tokenizer.json", tokenizer=DOWNLOADED["tokenizers"]),
        expand("<results>/models/{model}/model.safetensors", model=DOWNLOADED["models"]),
    localrule: True
