# IN:  a source named in the configuration: NLTK, the Hub, files, Python's documentation, or planted repeats
# OUT: corpora/{corpus}/documents.parquet


rule fetch_corpus:
    """Read a corpus from its source and write its passages, each with its split."""
    input:
        files=lambda wildcards: configuration.local_files(config["corpora"][wildcards.corpus]),
    output:
        documents="<results>/corpora/{corpus}/documents.parquet",
    log:
        "<logs>/fetch_corpus/{corpus}.log",
    benchmark:
        "<benchmarks>/fetch_corpus/{corpus}.tsv"
    conda:
        "../envs/models.yaml"
    resources:
        **needs("fetch_corpus"),
    params:
        spec=lambda wildcards: spec("fetch_corpus", corpus=config["corpora"][wildcards.corpus]),
    script:
        "../scripts/fetch_corpus.py"
