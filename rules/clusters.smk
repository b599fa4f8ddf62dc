# IN:  attention/{model}/patterns.parquet of every model that the study of phrenology compares
# OUT: phrenology/{autoencoders,importance,decoded,embeddings_*,resolutions,profile,edges,clusters}.parquet

BUILT["phrenology"] += [
    "<results>/phrenology/clusters.md",
    "<results>/phrenology/head_cards.csv",
]


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
    threads: 2
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: attempt * need("fit_autoencoders").memory,
        runtime=lambda wildcards, attempt: attempt * need("fit_autoencoders").minutes,
    params:
        spec=spec(
            "fit_autoencoders",
            models=config["studies"]["phrenology"]["models"],
            autoencoders=config["studies"]["phrenology"]["autoencoders"],
            seed=config["studies"]["phrenology"]["seed"],
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
        mem_mb=lambda wildcards, attempt: attempt * need("search_resolutions").memory,
        runtime=lambda wildcards, attempt: attempt * need("search_resolutions").minutes,
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
    benchmark:
        "<benchmarks>/cluster_heads.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("cluster_heads").memory,
        runtime=lambda wildcards, attempt: attempt * need("cluster_heads").minutes,
    params:
        spec=spec("cluster_heads"),
    script:
        "../scripts/cluster_heads.py"


rule judge_clusters:
    input:
        embeddings="<results>/phrenology/embeddings_corrected.parquet",
        distances="<results>/phrenology/distances.parquet",
        resolutions="<results>/phrenology/resolutions.parquet",
        clusters="<results>/phrenology/clusters.parquet",
    output:
        nulls="<results>/phrenology/nulls.parquet",
        draws="<results>/phrenology/null_draws.parquet",
        standing="<results>/phrenology/standing.parquet",
        stability="<results>/phrenology/stability.parquet",
        agreement="<results>/phrenology/agreement.parquet",
        matched="<results>/phrenology/matched.parquet",
        pairs="<results>/phrenology/matched_heads.parquet",
        findings="<results>/phrenology/clusters.md",
    log:
        "<logs>/judge_clusters.log",
    benchmark:
        "<benchmarks>/judge_clusters.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: config["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("judge_clusters").memory,
        runtime=lambda wildcards, attempt: attempt * need("judge_clusters").minutes,
    params:
        spec=spec(
            "judge_clusters",
            clusters=config["studies"]["phrenology"]["clusters"],
            seed=config["studies"]["phrenology"]["seed"],
            threads=config["threads"],
        ),
    script:
        "../scripts/judge_clusters.py"


rule describe_clusters:
    input:
        clusters="<results>/phrenology/clusters.parquet",
        stability="<results>/phrenology/stability.parquet",
        standing="<results>/phrenology/standing.parquet",
        scores=of_models("phrenology", "<results>/scores/{model}.parquet"),
    output:
        names="<results>/phrenology/cluster_names.parquet",
        cards="<results>/phrenology/head_cards.parquet",
        csv=reported("<results>/phrenology/head_cards.csv"),
    log:
        "<logs>/describe_clusters.log",
    benchmark:
        "<benchmarks>/describe_clusters.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("describe_clusters").memory,
        runtime=lambda wildcards, attempt: attempt * need("describe_clusters").minutes,
    params:
        spec=spec("describe_clusters", models=config["studies"]["phrenology"]["models"]),
    script:
        "../scripts/describe_clusters.py"


rule place_heads:
    input:
        published="<results>/phrenology/embeddings_published.parquet",
        corrected="<results>/phrenology/embeddings_corrected.parquet",
        edges="<results>/phrenology/edges.parquet",
    output:
        places="<results>/phrenology/places.parquet",
    log:
        "<logs>/place_heads.log",
    benchmark:
        "<benchmarks>/place_heads.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("place_heads").memory,
        runtime=lambda wildcards, attempt: attempt * need("place_heads").minutes,
    params:
        spec=spec("place_heads", seed=config["studies"]["phrenology"]["seed"]),
    script:
        "../scripts/place_heads.py"
