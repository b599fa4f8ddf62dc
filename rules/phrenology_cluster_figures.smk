# IN:  phrenology/*.parquet of rules/phrenology_clusters.smk, attention/{model}/patterns.parquet
# OUT: figures/phrenology/{published,corrected}: table 1, figures 1 to 6, and the page on which clusters stand


rule draw_autoencoders:
    """Table 1: what autoencoders of every width cost and leave, as published and held out; as CSV and on paper."""
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
        **needs("draw_autoencoders"),
    params:
        spec=spec("draw_autoencoders"),
    script:
        "../scripts/draw_autoencoders.py"


rule draw_decoded_pairs:
    """Fig 1: the token pairs that the embedding is about, and what its values decode to there."""
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
        **needs("draw_decoded_pairs"),
    params:
        spec=spec("draw_decoded_pairs"),
    script:
        "../scripts/draw_decoded_pairs.py"


rule draw_embedded_distances:
    """Fig 2: distances between embedded heads; corrected, the Jensen-Shannon distance of their patterns beside them."""
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
        **needs("draw_embedded_distances"),
    params:
        spec=spec("draw_embedded_distances"),
    script:
        "../scripts/draw_embedded_distances.py"


rule draw_neighbour_graph:
    """Fig 3: the graph of nearest neighbours that is clustered."""
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
        **needs("draw_neighbour_graph"),
    params:
        spec=spec("draw_neighbour_graph"),
    script:
        "../scripts/draw_neighbour_graph.py"


rule draw_resolutions:
    """Fig 4: what the resolution changes, and which one is chosen."""
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
        **needs("draw_resolutions"),
    params:
        spec=spec("draw_resolutions"),
    script:
        "../scripts/draw_resolutions.py"


rule draw_clusters:
    """Fig 5: the chosen clusters on a plane, with their names."""
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
        **needs("draw_clusters"),
    params:
        spec=spec("draw_clusters"),
    script:
        "../scripts/draw_clusters.py"


rule draw_pair_weights:
    """Fig 6: the weight of every token pair in single patterns, split by cluster."""
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
        **needs("draw_pair_weights"),
    params:
        spec=spec("draw_pair_weights"),
    script:
        "../scripts/draw_pair_weights.py"


rule draw_standing_clusters:
    """The page that says how many clusters stand, and which do not."""
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
        **needs("draw_standing_clusters"),
    params:
        spec=spec("draw_standing_clusters"),
    script:
        "../scripts/draw_standing_clusters.py"
