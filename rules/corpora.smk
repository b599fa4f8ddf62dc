# IN:  a source named in the configuration: NLTK, the Hub, files, Python's documentation, or planted repeats
# OUT: corpora/{corpus}/documents.parquet


rule fetch_corpus:
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
        mem_mb=lambda wildcards, attempt: attempt * need("fetch_corpus", wildcards.corpus).memory,
        runtime=lambda wildcards, attempt: attempt * need("fetch_corpus", wildcards.corpus).minutes,
    params:
        spec=lambda wildcards: spec("fetch_corpus", corpus=config["corpora"][wildcards.corpus]),
    script:
        "../scripts/fetch_corpus.py"
