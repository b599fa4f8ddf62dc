# IN:  attention/{model}/patterns.parquet of every model that the study of phrenology compares
# OUT: phrenology/{autoencoders,importance,decoded,embeddings_*,resolutions,profile,edges,clusters}.parquet

BUILT["phrenology"].append("<results>/phrenology/clusters.parquet")


rule fit_autoencoders:
    input:
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
    output:
        autoencoders="<results>/phrenology/autoencoders.parquet",
        importance="<results>/phrenology/importance.parquet",
        decoded="<results>/phrenology/decoded.parquet",
        published="<results>/phrenology/embeddings_published.parquet",
        corrected="<results>/phrenology/embeddings_corrected.parquet",
    log:
        "<logs>/fit_autoencoders.log",
    benchmark:
        "<benchmarks>/fit_autoencoders.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: attempt * 4000,
        runtime=lambda wildcards, attempt: attempt * 60,
    params:
        spec=spec(
            "fit_autoencoders",
            models=config["studies"]["phrenology"]["models"],
            autoencoders=config["studies"]["phrenology"]["autoencoders"],
            seed=config["studies"]["phrenology"]["seed"],
            threads=config["threads"],
        ),
    script:
        "../scripts/fit_autoencoders.py"


rule search_resolutions:
    input:
        published="<results>/phrenology/embeddings_published.parquet",
        corrected="<results>/phrenology/embeddings_corrected.parquet",
    output:
        resolutions="<results>/phrenology/resolutions.parquet",
        profile="<results>/phrenology/profile.parquet",
        edges="<results>/phrenology/edges.parquet",
    log:
        "<logs>/search_resolutions.log",
    benchmark:
        "<benchmarks>/search_resolutions.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * 4000,
        runtime=lambda wildcards, attempt: attempt * 60,
    params:
        spec=spec(
            "search_resolutions",
            clusters=config["studies"]["phrenology"]["clusters"],
            seed=config["studies"]["phrenology"]["seed"],
        ),
    script:
        "../scripts/search_resolutions.py"


rule cluster_heads:
    input:
        published="<results>/phrenology/embeddings_published.parquet",
        corrected="<results>/phrenology/embeddings_corrected.parquet",
        resolutions="<results>/phrenology/resolutions.parquet",
    output:
        clusters="<results>/phrenology/clusters.parquet",
    log:
        "<logs>/cluster_heads.log",
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        spec=spec("cluster_heads"),
    script:
        "../scripts/cluster_heads.py"
