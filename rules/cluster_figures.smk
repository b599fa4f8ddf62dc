# IN:  phrenology/*.parquet of rules/clusters.smk, attention/{model}/patterns.parquet
# OUT: figures/phrenology/{published,corrected}: table 1, figures 1 to 6, and the page on which clusters stand

BUILT["phrenology"] += [
    *figures(
        "phrenology",
        [
            "table1_autoencoders",
            "fig01_decoded_pairs",
            "fig02_embedded_distances",
            "fig03_neighbour_graph",
            "fig04_resolution",
            "fig05_clusters",
            "fig06_pair_weights",
        ],
    ),
    *figures("phrenology", ["clusters_stand"], ["corrected"]),
]


rule draw_autoencoders:
    input:
        autoencoders="<results>/phrenology/autoencoders.parquet",
    output:
        published_csv=reported("<results>/figures/phrenology/published/table1_autoencoders.csv"),
        published_png=reported("<results>/figures/phrenology/published/table1_autoencoders.png"),
        published_pdf="<results>/figures/phrenology/published/table1_autoencoders.pdf",
        corrected_csv=reported("<results>/figures/phrenology/corrected/table1_autoencoders.csv"),
        corrected_png=reported("<results>/figures/phrenology/corrected/table1_autoencoders.png"),
        corrected_pdf="<results>/figures/phrenology/corrected/table1_autoencoders.pdf",
    log:
        "<logs>/draw_autoencoders.log",
    benchmark:
        "<benchmarks>/draw_autoencoders.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_autoencoders").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_autoencoders").minutes,
    params:
        spec=spec("draw_autoencoders"),
    script:
        "../scripts/draw_autoencoders.py"


rule draw_decoded_pairs:
    input:
        importance="<results>/phrenology/importance.parquet",
        decoded="<results>/phrenology/decoded.parquet",
        published="<results>/phrenology/embeddings_published.parquet",
        corrected="<results>/phrenology/embeddings_corrected.parquet",
    output:
        published_png=reported("<results>/figures/phrenology/published/fig01_decoded_pairs.png"),
        published_pdf="<results>/figures/phrenology/published/fig01_decoded_pairs.pdf",
        corrected_png=reported("<results>/figures/phrenology/corrected/fig01_decoded_pairs.png"),
        corrected_pdf="<results>/figures/phrenology/corrected/fig01_decoded_pairs.pdf",
    log:
        "<logs>/draw_decoded_pairs.log",
    benchmark:
        "<benchmarks>/draw_decoded_pairs.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_decoded_pairs").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_decoded_pairs").minutes,
    params:
        spec=spec("draw_decoded_pairs"),
    script:
        "../scripts/draw_decoded_pairs.py"


rule draw_embedded_distances:
    input:
        published="<results>/phrenology/embeddings_published.parquet",
        corrected="<results>/phrenology/embeddings_corrected.parquet",
        distances="<results>/phrenology/distances.parquet",
    output:
        published_png=reported("<results>/figures/phrenology/published/fig02_embedded_distances.png"),
        published_pdf="<results>/figures/phrenology/published/fig02_embedded_distances.pdf",
        corrected_png=reported("<results>/figures/phrenology/corrected/fig02_embedded_distances.png"),
        corrected_pdf="<results>/figures/phrenology/corrected/fig02_embedded_distances.pdf",
    log:
        "<logs>/draw_embedded_distances.log",
    benchmark:
        "<benchmarks>/draw_embedded_distances.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_embedded_distances").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_embedded_distances").minutes,
    params:
        spec=spec("draw_embedded_distances"),
    script:
        "../scripts/draw_embedded_distances.py"


rule draw_neighbour_graph:
    input:
        places="<results>/phrenology/places.parquet",
        edges="<results>/phrenology/edges.parquet",
        clusters="<results>/phrenology/clusters.parquet",
        names="<results>/phrenology/cluster_names.parquet",
    output:
        published_png=reported("<results>/figures/phrenology/published/fig03_neighbour_graph.png"),
        published_pdf="<results>/figures/phrenology/published/fig03_neighbour_graph.pdf",
        corrected_png=reported("<results>/figures/phrenology/corrected/fig03_neighbour_graph.png"),
        corrected_pdf="<results>/figures/phrenology/corrected/fig03_neighbour_graph.pdf",
    log:
        "<logs>/draw_neighbour_graph.log",
    benchmark:
        "<benchmarks>/draw_neighbour_graph.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_neighbour_graph").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_neighbour_graph").minutes,
    params:
        spec=spec("draw_neighbour_graph"),
    script:
        "../scripts/draw_neighbour_graph.py"


rule draw_resolutions:
    input:
        resolutions="<results>/phrenology/resolutions.parquet",
        profile="<results>/phrenology/profile.parquet",
        clusters="<results>/phrenology/clusters.parquet",
        standing="<results>/phrenology/standing.parquet",
        nulls="<results>/phrenology/nulls.parquet",
        names="<results>/phrenology/cluster_names.parquet",
    output:
        published_png=reported("<results>/figures/phrenology/published/fig04_resolution.png"),
        published_pdf="<results>/figures/phrenology/published/fig04_resolution.pdf",
        corrected_png=reported("<results>/figures/phrenology/corrected/fig04_resolution.png"),
        corrected_pdf="<results>/figures/phrenology/corrected/fig04_resolution.pdf",
    log:
        "<logs>/draw_resolutions.log",
    benchmark:
        "<benchmarks>/draw_resolutions.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_resolutions").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_resolutions").minutes,
    params:
        spec=spec("draw_resolutions"),
    script:
        "../scripts/draw_resolutions.py"


rule draw_clusters:
    input:
        places="<results>/phrenology/places.parquet",
        resolutions="<results>/phrenology/resolutions.parquet",
        clusters="<results>/phrenology/clusters.parquet",
        names="<results>/phrenology/cluster_names.parquet",
    output:
        published_png=reported("<results>/figures/phrenology/published/fig05_clusters.png"),
        published_pdf="<results>/figures/phrenology/published/fig05_clusters.pdf",
        corrected_png=reported("<results>/figures/phrenology/corrected/fig05_clusters.png"),
        corrected_pdf="<results>/figures/phrenology/corrected/fig05_clusters.pdf",
    log:
        "<logs>/draw_clusters.log",
    benchmark:
        "<benchmarks>/draw_clusters.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_clusters").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_clusters").minutes,
    params:
        spec=spec("draw_clusters"),
    script:
        "../scripts/draw_clusters.py"


rule draw_pair_weights:
    input:
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
        clusters="<results>/phrenology/clusters.parquet",
        names="<results>/phrenology/cluster_names.parquet",
    output:
        published_png=reported("<results>/figures/phrenology/published/fig06_pair_weights.png"),
        published_pdf="<results>/figures/phrenology/published/fig06_pair_weights.pdf",
        corrected_png=reported("<results>/figures/phrenology/corrected/fig06_pair_weights.png"),
        corrected_pdf="<results>/figures/phrenology/corrected/fig06_pair_weights.pdf",
    log:
        "<logs>/draw_pair_weights.log",
    benchmark:
        "<benchmarks>/draw_pair_weights.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_pair_weights").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_pair_weights").minutes,
    params:
        spec=spec("draw_pair_weights"),
    script:
        "../scripts/draw_pair_weights.py"


rule draw_standing_clusters:
    input:
        nulls="<results>/phrenology/nulls.parquet",
        draws="<results>/phrenology/null_draws.parquet",
        standing="<results>/phrenology/standing.parquet",
        names="<results>/phrenology/cluster_names.parquet",
    output:
        png=reported("<results>/figures/phrenology/corrected/clusters_stand.png"),
        pdf="<results>/figures/phrenology/corrected/clusters_stand.pdf",
    log:
        "<logs>/draw_standing_clusters.log",
    benchmark:
        "<benchmarks>/draw_standing_clusters.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_standing_clusters").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_standing_clusters").minutes,
    params:
        spec=spec("draw_standing_clusters"),
    script:
        "../scripts/draw_standing_clusters.py"
