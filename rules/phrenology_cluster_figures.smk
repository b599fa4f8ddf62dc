# IN:  phrenology/*.parquet of rules/phrenology_clusters.smk, attention/{model}/patterns.parquet
# OUT: figures/phrenology/{published,corrected}: table 1, figures 1 to 6, and the page on which clusters stand


use rule draw_figure as draw_autoencoders with:
    """Table 1: what autoencoders of every width cost and leave, as published and held out; as CSV and on paper."""
    input:
        autoencoders="<results>/phrenology/autoencoders.parquet",
    output:
        **figure("phrenology", "table1_autoencoders", kinds=["csv", "png", "pdf"]),
    pathvars:
        name="draw_autoencoders",
    params:
        spec=drawn_by("studies.phrenology.figures.autoencoders.draw_autoencoders"),


use rule draw_figure as draw_decoded_pairs with:
    """Fig 1: the token pairs that the embedding is about, and what its values decode to there."""
    input:
        importance="<results>/phrenology/importance.parquet",
        decoded="<results>/phrenology/decoded.parquet",
        published="<results>/phrenology/embeddings_published.parquet",
        corrected="<results>/phrenology/embeddings_corrected.parquet",
    output:
        **figure("phrenology", "fig01_decoded_pairs"),
    pathvars:
        name="draw_decoded_pairs",
    params:
        spec=drawn_by("studies.phrenology.figures.autoencoders.draw_decoded_pairs"),


use rule draw_figure as draw_embedded_distances with:
    """Fig 2: distances between embedded heads; corrected, the Jensen-Shannon distance of their patterns beside them."""
    input:
        published="<results>/phrenology/embeddings_published.parquet",
        corrected="<results>/phrenology/embeddings_corrected.parquet",
        distances="<results>/phrenology/distances.parquet",
    output:
        **figure("phrenology", "fig02_embedded_distances"),
    pathvars:
        name="draw_embedded_distances",
    resources:
        **needs("draw_embedded_distances"),
    params:
        spec=drawn_by("studies.phrenology.figures.clusters.draw_embedded_distances"),


use rule draw_figure as draw_neighbour_graph with:
    """Fig 3: the graph of nearest neighbours that is clustered."""
    input:
        places="<results>/phrenology/places.parquet",
        edges="<results>/phrenology/edges.parquet",
        clusters="<results>/phrenology/clusters.parquet",
        names="<results>/phrenology/cluster_names.parquet",
    output:
        **figure("phrenology", "fig03_neighbour_graph"),
    pathvars:
        name="draw_neighbour_graph",
    params:
        spec=drawn_by("studies.phrenology.figures.clusters.draw_neighbour_graph"),


use rule draw_figure as draw_resolutions with:
    """Fig 4: what the resolution changes, and which one is chosen."""
    input:
        resolutions="<results>/phrenology/resolutions.parquet",
        profile="<results>/phrenology/profile.parquet",
        clusters="<results>/phrenology/clusters.parquet",
        standing="<results>/phrenology/standing.parquet",
        nulls="<results>/phrenology/nulls.parquet",
        names="<results>/phrenology/cluster_names.parquet",
    output:
        **figure("phrenology", "fig04_resolution"),
    pathvars:
        name="draw_resolutions",
    params:
        spec=drawn_by("studies.phrenology.figures.clusters.draw_resolutions"),


use rule draw_figure as draw_clusters with:
    """Fig 5: the chosen clusters on a plane, with their names."""
    input:
        places="<results>/phrenology/places.parquet",
        clusters="<results>/phrenology/clusters.parquet",
        names="<results>/phrenology/cluster_names.parquet",
    output:
        **figure("phrenology", "fig05_clusters"),
    pathvars:
        name="draw_clusters",
    params:
        spec=drawn_by("studies.phrenology.figures.clusters.draw_clusters"),


use rule draw_figure as draw_pair_weights with:
    """Fig 6: the weight of every token pair in single patterns, split by cluster."""
    input:
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
        clusters="<results>/phrenology/clusters.parquet",
        names="<results>/phrenology/cluster_names.parquet",
    output:
        **figure("phrenology", "fig06_pair_weights"),
    pathvars:
        name="draw_pair_weights",
    resources:
        **needs("draw_pair_weights"),
    params:
        spec=drawn_by("studies.phrenology.figures.clusters.draw_pair_weights"),


use rule draw_figure as draw_standing_clusters with:
    """The page that says how many clusters stand, and which do not."""
    input:
        nulls="<results>/phrenology/nulls.parquet",
        draws="<results>/phrenology/null_draws.parquet",
        standing="<results>/phrenology/standing.parquet",
        names="<results>/phrenology/cluster_names.parquet",
    output:
        **figure("phrenology", "clusters_stand", ["corrected"]),
    pathvars:
        name="draw_standing_clusters",
    params:
        spec=drawn_by("studies.phrenology.figures.cluster_report.draw_standing_clusters"),
