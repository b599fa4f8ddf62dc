# IN:  phrenology/*.parquet of rules/phrenology_clusters.smk, attention/{model}/patterns.parquet
# OUT: figures/phrenology/{published,corrected}: table 1, figures 1 to 6, consensus and partners


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
        published="<results>/phrenology/edges_published.parquet",
        corrected="<results>/phrenology/edges_corrected.parquet",
        clusters="<results>/phrenology/clusters.parquet",
        kinds="<results>/phrenology/kinds.parquet",
        names="<results>/phrenology/names.parquet",
    output:
        **figure("phrenology", "fig03_neighbour_graph"),
    pathvars:
        name="draw_neighbour_graph",
    params:
        spec=drawn_by("studies.phrenology.figures.clusters.draw_neighbour_graph"),


use rule draw_figure as draw_resolutions with:
    """Fig 4: what the resolution changes; published by evenness over members, corrected by how long each number lasts."""
    input:
        resolutions="<results>/phrenology/resolutions.parquet",
        plateaus="<results>/phrenology/plateaus.parquet",
        continua="<results>/phrenology/continua.parquet",
    output:
        **figure("phrenology", "fig04_resolution"),
    pathvars:
        name="draw_resolutions",
    params:
        spec=drawn_by("studies.phrenology.figures.clusters.draw_resolutions"),


use rule draw_figure as draw_clusters with:
    """Fig 5: groups of heads on a plane; published clusters by UMAP, corrected kinds by the distances' coordinates."""
    input:
        places="<results>/phrenology/places.parquet",
        clusters="<results>/phrenology/clusters.parquet",
        kinds="<results>/phrenology/kinds.parquet",
        names="<results>/phrenology/names.parquet",
    output:
        **figure("phrenology", "fig05_clusters"),
    pathvars:
        name="draw_clusters",
    params:
        spec=drawn_by("studies.phrenology.figures.clusters.draw_clusters"),


use rule draw_figure as draw_pair_weights with:
    """Fig 6: what each group attends to; published, every token pair of single patterns, corrected, means and distances."""
    input:
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
        clusters="<results>/phrenology/clusters.parquet",
        kinds="<results>/phrenology/kinds.parquet",
        names="<results>/phrenology/names.parquet",
    output:
        **figure("phrenology", "fig06_pair_weights"),
    pathvars:
        name="draw_pair_weights",
    resources:
        **needs("draw_pair_weights"),
    params:
        spec=drawn_by("studies.phrenology.figures.attention_maps.draw_pair_weights"),


use rule draw_figure as draw_consensus with:
    """How often two heads fall into one group on halves of the prompts: kinds, and partners."""
    input:
        kinds="<results>/phrenology/kinds.parquet",
        partners="<results>/phrenology/partners.parquet",
        consensus="<results>/phrenology/consensus.parquet",
        agreement="<results>/phrenology/agreement.parquet",
    output:
        **figure("phrenology", "consensus", ["corrected"]),
    pathvars:
        name="draw_consensus",
    params:
        spec=drawn_by("studies.phrenology.figures.correspondence.draw_consensus"),


use rule draw_figure as draw_partners with:
    """Whose counterpart each head is, in every member, and how firmly that is known."""
    input:
        partners="<results>/phrenology/partners.parquet",
        stability="<results>/phrenology/stability.parquet",
        names="<results>/phrenology/names.parquet",
    output:
        **figure("phrenology", "partners", ["corrected"]),
    pathvars:
        name="draw_partners",
    params:
        spec=drawn_by("studies.phrenology.figures.correspondence.draw_partners"),
