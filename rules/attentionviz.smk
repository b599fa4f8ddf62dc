# IN:  attention/{model}/queries_keys.parquet of every model of the study
# OUT: attentionviz/{model}/*.parquet, findings.md, figures 1 to 4 in both protocols and those beyond, for each model

# Part-of-speech tags come with the corpora of NLTK alone
TAGGED_MODELS = [
    model
    for model in models_of("attentionviz")
    if config["corpora"][config["models"][model]["corpus"]]["source"] == "nltk"
]


rule attentionviz:
    """Everything that the study of joint embeddings shows: queries and keys of a model in one picture."""
    input:
        figures("attentionviz", ["fig01_joint_embedding", "fig02_scales"], models=models_of("attentionviz")),
        figures("attentionviz", ["fig03_early_head", "fig04_late_head"], models=models_of("attentionviz")),
        figures("attentionviz", ["global_view_type", "global_view_position"], ["corrected"], models_of("attentionviz")),
        figures("attentionviz", ["constructions", "invariance"], ["corrected"], models_of("attentionviz")),
        figures("attentionviz", ["global_view_part_of_speech", "parts_of_speech"], ["corrected"], TAGGED_MODELS),
        "<results>/attentionviz/findings.md",


rule choose_scales:
    """Choose the constant that scales queries against keys, for every head by every criterion."""
    input:
        queries_keys="<results>/attention/{model}/queries_keys.parquet",
    output:
        scales="<results>/attentionviz/{model}/scales.parquet",
        scores="<results>/attentionviz/{model}/scale_scores.parquet",
    params:
        spec=spec(
            "choose_scales", **study_settings("attentionviz", "percentile", "minimum_pairs", "pairs", "draws", "seed")
        ),
    script:
        "../scripts/choose_scales.py"


rule map_chosen_heads:
    """Map the queries and keys of the chosen heads at six constants, and relate their distances to dot products."""
    input:
        queries_keys="<results>/attention/{model}/queries_keys.parquet",
        scales="<results>/attentionviz/{model}/scales.parquet",
    output:
        maps="<results>/attentionviz/{model}/maps.parquet",
        quality="<results>/attentionviz/{model}/map_quality.parquet",
        relation="<results>/attentionviz/{model}/relation.parquet",
    params:
        spec=spec(
            "map_chosen_heads",
            **study_settings("attentionviz", "heads", "method", "pairs", "sentences", "epochs", "seed"),
        ),
    script:
        "../scripts/map_chosen_heads.py"


rule compare_constructions:
    """Judge every construction and its maps over all heads, and keep the maps of one for the global view."""
    input:
        queries_keys="<results>/attention/{model}/queries_keys.parquet",
        scales="<results>/attentionviz/{model}/scales.parquet",
    output:
        constructions="<results>/attentionviz/{model}/constructions.parquet",
        maps="<results>/attentionviz/{model}/global_maps.parquet",
    params:
        spec=spec(
            "compare_constructions",
            **study_settings("attentionviz", "seed"),
            **config["studies"]["attentionviz"]["all_heads"],
        ),
    script:
        "../scripts/compare_constructions.py"


rule measure_invariance:
    """Measure how much attention changes when queries and keys are scaled or translated."""
    input:
        queries_keys="<results>/attention/{model}/queries_keys.parquet",
    output:
        invariance="<results>/attentionviz/{model}/invariance.parquet",
    params:
        spec=spec("measure_invariance", **study_settings("attentionviz", "pairs")),
    script:
        "../scripts/measure_invariance.py"


rule measure_parts_of_speech:
    """Measure which part of speech attends to which, for every head."""
    input:
        queries_keys="<results>/attention/{model}/queries_keys.parquet",
    output:
        parts_of_speech="<results>/attentionviz/{model}/parts_of_speech.parquet",
    wildcard_constraints:
        model=one_of(TAGGED_MODELS),
    params:
        spec=spec("measure_parts_of_speech", **study_settings("attentionviz", "pairs")),
    script:
        "../scripts/measure_parts_of_speech.py"


use rule draw_figure as draw_joint_embedding with:
    """Fig 1: queries and keys of one head in one picture, and how distance falls with the dot product."""
    input:
        maps="<results>/attentionviz/{model}/maps.parquet",
        quality="<results>/attentionviz/{model}/map_quality.parquet",
        relation="<results>/attentionviz/{model}/relation.parquet",
        judged=lambda wildcards: judged(wildcards.model),
    output:
        **figure("attentionviz", "{model}/fig01_joint_embedding"),
    params:
        spec=drawn_by("studies.attentionviz.figures.joint_embeddings.draw_joint_embedding"),


use rule draw_figure as draw_scales with:
    """Fig 2: the constants that the criteria choose, as heat maps of layers and heads."""
    input:
        scales="<results>/attentionviz/{model}/scales.parquet",
        judged=lambda wildcards: judged(wildcards.model),
    output:
        **figure("attentionviz", "{model}/fig02_scales"),
    params:
        spec=drawn_by("studies.attentionviz.figures.joint_embeddings.draw_scales"),


use rule draw_figure as draw_scaled_embeddings with:
    """Figs 3 and 4: joint maps of an early and a later head at six constants, with arrows to what queries attend to."""
    input:
        **TOKENIZER,
        maps="<results>/attentionviz/{model}/maps.parquet",
        quality="<results>/attentionviz/{model}/map_quality.parquet",
        queries_keys="<results>/attention/{model}/queries_keys.parquet",
        judged=lambda wildcards: judged(wildcards.model),
    output:
        **figure("attentionviz", "{model}/{figure}", caption="scaled_embeddings"),
    wildcard_constraints:
        figure="fig03_early_head|fig04_late_head",
    params:
        spec=lambda wildcards: drawn_by(
            "studies.attentionviz.figures.joint_embeddings.draw_scaled_embeddings",
            place=int(wildcards.figure == "fig04_late_head"),
        ),


use rule draw_figure as draw_global_view with:
    """All heads at once: a small joint map of each."""
    input:
        maps="<results>/attentionviz/{model}/global_maps.parquet",
        constructions="<results>/attentionviz/{model}/constructions.parquet",
        judged=lambda wildcards: judged(wildcards.model),
    output:
        **figure("attentionviz", "{model}/global_view_{colour}", ["corrected"], caption="global_view"),
    wildcard_constraints:
        colour="type|position|part_of_speech" if TAGGED_MODELS else "type|position",
    params:
        spec=lambda wildcards: drawn_by(
            "studies.attentionviz.figures.global_views.draw_global_view", colour=wildcards.colour
        ),


use rule draw_figure as draw_constructions with:
    """Which construction, and which map of it, shows attention best."""
    input:
        constructions="<results>/attentionviz/{model}/constructions.parquet",
        judged=lambda wildcards: judged(wildcards.model),
    output:
        **figure("attentionviz", "{model}/constructions", ["corrected"]),
    params:
        spec=drawn_by("studies.attentionviz.figures.comparisons.draw_constructions"),


use rule draw_figure as draw_invariance with:
    """What leaves attention alone and what does not."""
    input:
        invariance="<results>/attentionviz/{model}/invariance.parquet",
        judged=lambda wildcards: judged(wildcards.model),
    output:
        **figure("attentionviz", "{model}/invariance", ["corrected"]),
    params:
        spec=drawn_by("studies.attentionviz.figures.comparisons.draw_invariance"),


use rule draw_figure as draw_parts_of_speech with:
    """Which part of speech attends to which beyond chance."""
    input:
        parts_of_speech="<results>/attentionviz/{model}/parts_of_speech.parquet",
        judged=lambda wildcards: judged(wildcards.model),
    output:
        **figure("attentionviz", "{model}/parts_of_speech", ["corrected"]),
    wildcard_constraints:
        model=one_of(TAGGED_MODELS),
    params:
        spec=drawn_by("studies.attentionviz.figures.comparisons.draw_parts_of_speech"),


rule describe_attentionviz:
    """Write what the study of joint embeddings found, in sentences with numbers."""
    input:
        scales=of_models("attentionviz", "<results>/attentionviz/{model}/scales.parquet"),
        constructions=of_models("attentionviz", "<results>/attentionviz/{model}/constructions.parquet"),
        invariance=of_models("attentionviz", "<results>/attentionviz/{model}/invariance.parquet"),
        parts_of_speech=expand("<results>/attentionviz/{model}/parts_of_speech.parquet", model=TAGGED_MODELS),
        judged=judged(*models_of("attentionviz")),
    output:
        findings="<results>/attentionviz/findings.md",
    params:
        spec=spec("describe_attentionviz", models=models_of("attentionviz"), tagged=TAGGED_MODELS),
    script:
        "../scripts/describe_attentionviz.py"
