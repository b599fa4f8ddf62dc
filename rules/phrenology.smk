# IN:  attention/{model}/{patterns,queries_keys}.parquet of every model the study compares
# OUT: phrenology/{distances,projections,components,first_token}.parquet, figures 7 to 11; the rest in phrenology_*.smk


rule phrenology:
    """Everything that the study of phrenology shows: which heads of independently trained models do the same thing."""
    input:
        figures("phrenology", ["table1_autoencoders", "fig01_decoded_pairs", "fig02_embedded_distances"]),
        figures("phrenology", ["fig03_neighbour_graph", "fig04_resolution", "fig05_clusters", "fig06_pair_weights"]),
        figures("phrenology", ["fig07_head_distances", "fig08_projections", "fig09_components"]),
        figures("phrenology", ["fig10_third_component", "fig11_first_token"]),
        figures("phrenology", ["fig12_one_head", "fig13_cluster", "fig14_effects"]),
        figures("phrenology", ["consensus", "partners", "knockout_losses", "losses_by_class"], ["corrected"]),
        figures("phrenology", ["transplants", "agreement", "universality"], ["corrected"]),
        figures("phrenology", ["head_scores", "ablation_costs", "mean_patterns"], ["corrected"]),
        figures("phrenology", ["partner_flow", "joined_tokens", "ov_eigenvalues", "value_weighted"], ["corrected"]),
        "<results>/phrenology/head_cards.csv",
        "<results>/phrenology/knockout_tokens.csv",
        "<results>/phrenology/kinds.md",
        "<results>/phrenology/evidence.csv",
        "<results>/phrenology/evidence.md",


rule measure_distances:
    """Measure how far apart the attention patterns of all heads of a study lie."""
    input:
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
        windows=prompts_of("phrenology"),
    output:
        distances="<results>/phrenology/distances.parquet",
        parts="<results>/phrenology/distance_parts.parquet",
    threads: config["threads"]
    params:
        spec=spec("measure_distances", models=models_of("phrenology"), threads=config["threads"]),
    script:
        "../scripts/measure_distances.py"


rule project_heads:
    """Project all heads of a study, beside three artificial ones, onto planes."""
    input:
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
        windows=prompts_of("phrenology"),
    output:
        projections="<results>/phrenology/projections.parquet",
    params:
        spec=spec("project_heads", **study_settings("phrenology", "models", "seed")),
    script:
        "../scripts/project_heads.py"


rule decompose_patterns:
    """Decompose the heads of a study into principal components, as maps of the first prompts."""
    input:
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
    output:
        components="<results>/phrenology/components.parquet",
    params:
        spec=spec("decompose_patterns", models=models_of("phrenology")),
    script:
        "../scripts/decompose_patterns.py"


rule project_first_token:
    """Project tokens onto a plane by how the heads of a study look from them to the first token."""
    input:
        **tokenizer_of(models_of("phrenology")[0]),
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
        queries_keys=of_models("phrenology", "<results>/attention/{model}/queries_keys.parquet"),
        windows=prompts_of("phrenology"),
    output:
        first_token="<results>/phrenology/first_token.parquet",
    params:
        spec=spec("project_first_token", models=models_of("phrenology")),
    script:
        "../scripts/project_first_token.py"


use rule draw_figure as draw_head_distances with:
    """Fig 7: distances between heads; corrected by Jensen-Shannon, heads of a kind and partners side by side."""
    input:
        **tables("phrenology", "distances", "kinds", "partners"),
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "fig07_head_distances"),
    params:
        spec=drawn_by("studies.phrenology.figures.projections.draw_head_distances"),


use rule draw_figure as draw_projections with:
    """Fig 8: heads beside artificial ones in UMAP, t-SNE and PCA; corrected, with the trust each panel deserves."""
    input:
        projections="<results>/phrenology/projections.parquet",
        cards="<results>/phrenology/head_cards.parquet",
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "fig08_projections"),
    params:
        spec=drawn_by("studies.phrenology.figures.projections.draw_projections"),


use rule draw_figure as draw_components with:
    """Fig 9: principal components as maps of the first prompts; both protocols draw the same."""
    input:
        components="<results>/phrenology/components.parquet",
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "fig09_components"),
    params:
        spec=drawn_by("studies.phrenology.figures.components.draw_components"),


use rule draw_figure as draw_third_component with:
    """Fig 10: the third component on the tokens of the first prompts; both protocols draw the same."""
    input:
        **tokenizer_of(models_of("phrenology")[0]),
        components="<results>/phrenology/components.parquet",
        windows=prompts_of("phrenology"),
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "fig10_third_component"),
    params:
        spec=drawn_by("studies.phrenology.figures.components.draw_third_component"),


use rule draw_figure as draw_first_token with:
    """Fig 11: tokens by what the heads do with them, as published and as its title says."""
    input:
        first_token="<results>/phrenology/first_token.parquet",
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "fig11_first_token"),
    params:
        spec=drawn_by("studies.phrenology.figures.projections.draw_first_token"),
