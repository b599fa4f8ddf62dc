# IN:  phrenology/*.parquet of rules/phrenology_clusters.smk; attention, scores, knockouts, token_circuits of each model
# OUT: figures/phrenology/{published,corrected}: table 1, figures 1 to 6, consensus, partners, every head at a glance
HEADS_AND_GROUPS = {
    "partners": "<results>/phrenology/partners.parquet",
    "kinds": "<results>/phrenology/kinds.parquet",
}
SCORES_AND_LOSSES = {
    "scores": of_models("phrenology", "<results>/scores/{model}.parquet"),
    "losses": of_models("phrenology", "<results>/knockouts/{model}/losses.parquet"),
}


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


use rule draw_figure as draw_head_scores with:
    """Every head by its scores in units of chance, beside what its mean ablation costs."""
    input:
        **HEADS_AND_GROUPS,
        **SCORES_AND_LOSSES,
    output:
        **figure("phrenology", "head_scores", ["corrected"]),
    pathvars:
        name="draw_head_scores",
    params:
        spec=drawn_by("studies.phrenology.figures.heads.draw_head_scores", models=models_of("phrenology")),


use rule draw_figure as draw_worth with:
    """What every head is worth against what its attention looks like."""
    input:
        **HEADS_AND_GROUPS,
        **SCORES_AND_LOSSES,
    output:
        **figure("phrenology", "worth", ["corrected"]),
    pathvars:
        name="draw_worth",
    params:
        spec=drawn_by("studies.phrenology.figures.heads.draw_worth", models=models_of("phrenology")),


use rule draw_figure as draw_mean_patterns with:
    """The mean attention of every head, and its attention by distance."""
    input:
        **HEADS_AND_GROUPS,
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
    output:
        **figure("phrenology", "mean_patterns", ["corrected"]),
    pathvars:
        name="draw_mean_patterns",
    resources:
        **needs("draw_mean_patterns"),
    params:
        spec=drawn_by("studies.phrenology.figures.heads.draw_mean_patterns"),


use rule draw_figure as draw_partner_flow with:
    """Where the heads of each group of partners stand in every network."""
    input:
        partners="<results>/phrenology/partners.parquet",
        cards="<results>/phrenology/head_cards.parquet",
        stability="<results>/phrenology/stability.parquet",
    output:
        **figure("phrenology", "partner_flow", ["corrected"]),
    pathvars:
        name="draw_partner_flow",
    params:
        spec=drawn_by("studies.phrenology.figures.heads.draw_partner_flow"),


use rule draw_figure as draw_joined_tokens with:
    """The pairs of tokens that the most typical head of each group joins by its QK and OV circuits."""
    input:
        **tokenizer_of(models_of("phrenology")[0]),
        **HEADS_AND_GROUPS,
        circuits=of_models("phrenology", "<results>/token_circuits/{model}.parquet"),
    output:
        **figure("phrenology", "joined_tokens", ["corrected"]),
    pathvars:
        name="draw_joined_tokens",
    params:
        spec=drawn_by("studies.phrenology.figures.heads.draw_joined_tokens", models=models_of("phrenology")),
