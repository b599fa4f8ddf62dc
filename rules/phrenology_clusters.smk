# IN:  attention/{model}/patterns.parquet of every model that the study of phrenology compares
# OUT: phrenology/{autoencoders,importance,decoded,embeddings_*,resolutions,profile,edges,clusters}.parquet


rule fit_autoencoders:
    """Train autoencoders of every width and seed under both protocols; embed the heads with the one chosen."""
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
    conda:
        "../envs/analysis.yaml"
    threads: 2
    resources:
        **needs("fit_autoencoders"),
        gpu=1,
    params:
        spec=spec("fit_autoencoders", **study_settings("phrenology", "models", "autoencoders", "seed")),
    script:
        "../scripts/fit_autoencoders.py"


rule search_resolutions:
    """Cluster the heads at many resolutions under both protocols, and find every change point of the resolution."""
    input:
        published="<results>/phrenology/embeddings_published.parquet",
        corrected="<results>/phrenology/embeddings_corrected.parquet",
    output:
        resolutions="<results>/phrenology/resolutions.parquet",
        profile="<results>/phrenology/profile.parquet",
        edges="<results>/phrenology/edges.parquet",
    log:
        "<logs>/search_resolutions.log",
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs("search_resolutions"),
    params:
        spec=spec("search_resolutions", **study_settings("phrenology", "clusters", "seed")),
    script:
        "../scripts/search_resolutions.py"


rule cluster_heads:
    """Choose the clustering of each protocol: a cluster for every head, the largest first."""
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
        **needs("cluster_heads"),
    params:
        spec=spec("cluster_heads"),
    script:
        "../scripts/cluster_heads.py"


rule judge_clusters:
    """Say how many clusters are significant and stable: nulls, resampled prompts, other seeds, matched heads."""
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
    conda:
        "../envs/analysis.yaml"
    threads: config["threads"]
    resources:
        **needs("judge_clusters"),
    params:
        spec=spec("judge_clusters", **study_settings("phrenology", "clusters", "seed"), threads=config["threads"]),
    script:
        "../scripts/judge_clusters.py"


rule describe_clusters:
    """Name every cluster by the scores that set it apart, and lay out a card of every head."""
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
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs("describe_clusters"),
    params:
        spec=spec("describe_clusters", models=models_of("phrenology")),
    script:
        "../scripts/describe_clusters.py"


rule place_heads:
    """Lay the heads out on a plane: their embeddings by UMAP, their graph by its edges."""
    input:
        published="<results>/phrenology/embeddings_published.parquet",
        corrected="<results>/phrenology/embeddings_corrected.parquet",
        edges="<results>/phrenology/edges.parquet",
    output:
        places="<results>/phrenology/places.parquet",
    log:
        "<logs>/place_heads.log",
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs("place_heads"),
    params:
        spec=spec("place_heads", **study_settings("phrenology", "seed")),
    script:
        "../scripts/place_heads.py"
