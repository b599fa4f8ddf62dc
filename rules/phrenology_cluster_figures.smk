# IN:  phrenology/*.parquet of rules/phrenology_clusters.smk; attention, scores, knockouts, weights' tables of each model
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
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "table1_autoencoders", kinds=["csv", "png", "pdf"]),
    params:
        spec=drawn_by("studies.phrenology.figures.autoencoders.draw_autoencoders"),


use rule draw_figure as draw_decoded_pairs with:
    """Fig 1: the token pairs that the embedding is about, and what its values decode to there."""
    input:
        **tables("phrenology", "importance", "decoded"),
        published="<results>/phrenology/embeddings_published.parquet",
        corrected="<results>/phrenology/embeddings_corrected.parquet",
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "fig01_decoded_pairs"),
    params:
        spec=drawn_by("studies.phrenology.figures.autoencoders.draw_decoded_pairs"),


use rule draw_figure as draw_embedded_distances with:
    """Fig 2: distances between embedded heads; corrected, the Jensen-Shannon distance of their patterns beside them."""
    input:
        published="<results>/phrenology/embeddings_published.parquet",
        corrected="<results>/phrenology/embeddings_corrected.parquet",
        distances="<results>/phrenology/distances.parquet",
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "fig02_embedded_distances"),
    params:
        spec=drawn_by("studies.phrenology.figures.embedded_distances.draw_embedded_distances"),


use rule draw_figure as draw_neighbour_graph with:
    """Fig 3: the graph of nearest neighbours that is clustered."""
    input:
        **tables("phrenology", "clusters", "kinds", "names", "places"),
        published="<results>/phrenology/edges_published.parquet",
        corrected="<results>/phrenology/edges_corrected.parquet",
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "fig03_neighbour_graph"),
    params:
        spec=drawn_by("studies.phrenology.figures.clusters.draw_neighbour_graph"),


use rule draw_figure as draw_resolutions with:
    """Fig 4: what the resolution changes; published by evenness over members, corrected by how long each number lasts."""
    input:
        **tables("phrenology", "resolutions", "plateaus", "continua"),
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "fig04_resolution"),
    params:
        spec=drawn_by("studies.phrenology.figures.resolutions.draw_resolutions"),


use rule draw_figure as draw_clusters with:
    """Fig 5: groups of heads on a plane; published clusters by UMAP, corrected kinds by the distances' coordinates."""
    input:
        **tables("phrenology", "places", "clusters", "kinds", "names"),
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "fig05_clusters"),
    params:
        spec=drawn_by("studies.phrenology.figures.clusters.draw_clusters"),


use rule draw_figure as draw_pair_weights with:
    """Fig 6: what each group attends to; published, every token pair of single patterns, corrected, means and distances."""
    input:
        **tables("phrenology", "clusters", "kinds", "names"),
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "fig06_pair_weights"),
    params:
        spec=drawn_by("studies.phrenology.figures.attention_maps.draw_pair_weights"),


use rule draw_figure as draw_consensus with:
    """How often two heads fall into one group on halves of the prompts: kinds, and partners."""
    input:
        **tables("phrenology", "kinds", "partners", "consensus", "agreement"),
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "consensus", ["corrected"]),
    params:
        spec=drawn_by("studies.phrenology.figures.correspondence.draw_consensus"),


use rule draw_figure as draw_partners with:
    """Whose counterpart each head is, in every member, and how firmly that is known."""
    input:
        **tables("phrenology", "partners", "stability", "names"),
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "partners", ["corrected"]),
    params:
        spec=drawn_by("studies.phrenology.figures.correspondence.draw_partners"),


use rule draw_figure as draw_head_scores with:
    """Every head by its scores in units of chance, beside what its mean ablation costs."""
    input:
        **HEADS_AND_GROUPS,
        **SCORES_AND_LOSSES,
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "head_scores", ["corrected"]),
    params:
        spec=drawn_by("studies.phrenology.figures.heads.draw_head_scores", models=models_of("phrenology")),


use rule draw_figure as draw_ablation_costs with:
    """What ablating every head costs against what its attention looks like."""
    input:
        **HEADS_AND_GROUPS,
        **SCORES_AND_LOSSES,
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "ablation_costs", ["corrected"]),
    params:
        spec=drawn_by("studies.phrenology.figures.heads.draw_ablation_costs", models=models_of("phrenology")),


use rule draw_figure as draw_mean_patterns with:
    """The mean attention of every head, and its attention by distance."""
    input:
        **HEADS_AND_GROUPS,
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "mean_patterns", ["corrected"]),
    params:
        spec=drawn_by("studies.phrenology.figures.heads.draw_mean_patterns"),


use rule draw_figure as draw_partner_flow with:
    """Where the heads of each group of partners stand in every network."""
    input:
        partners="<results>/phrenology/partners.parquet",
        cards="<results>/phrenology/head_cards.parquet",
        stability="<results>/phrenology/stability.parquet",
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "partner_flow", ["corrected"]),
    params:
        spec=drawn_by("studies.phrenology.figures.heads.draw_partner_flow"),


use rule draw_figure as draw_joined_tokens with:
    """The pairs of tokens that the most typical head of each group joins by its QK and OV circuits."""
    input:
        **tokenizer_of(models_of("phrenology")[0]),
        **HEADS_AND_GROUPS,
        circuits=of_models("phrenology", "<results>/token_circuits/{model}.parquet"),
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "joined_tokens", ["corrected"]),
    params:
        spec=drawn_by("studies.phrenology.figures.heads.draw_joined_tokens", models=models_of("phrenology")),


use rule draw_figure as draw_ov_eigenvalues with:
    """The eigenvalues of every head's OV circuit in the complex plane, and the copying score that they amount to."""
    input:
        **HEADS_AND_GROUPS,
        eigenvalues=of_models("phrenology", "<results>/ov_eigenvalues/{model}.parquet"),
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "ov_eigenvalues", ["corrected"]),
    params:
        spec=drawn_by(
            "studies.phrenology.figures.writing.ov_eigenvalues.draw_ov_eigenvalues", models=models_of("phrenology")
        ),


use rule draw_figure as draw_value_weighted with:
    """The attention of every head as it is and weighted by what values write, on the first token and by distance."""
    input:
        **HEADS_AND_GROUPS,
        weighted=of_models("phrenology", "<results>/attention/{model}/value_weighted.parquet"),
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "value_weighted", ["corrected"]),
    params:
        spec=drawn_by(
            "studies.phrenology.figures.writing.value_weighted.draw_value_weighted", models=models_of("phrenology")
        ),
