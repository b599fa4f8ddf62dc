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
        figures(
            "attentionviz",
            expand(
                "{model}/{name}",
                model=models_of("attentionviz"),
                name=["fig01_joint_embedding", "fig02_scales", "fig03_early_head", "fig04_late_head"],
            ),
        ),
        figures(
            "attentionviz",
            expand(
                "{model}/{name}",
                model=models_of("attentionviz"),
                name=["global_view_type", "global_view_position", "constructions", "invariance"],
            ),
            ["corrected"],
        ),
        figures(
            "attentionviz",
            expand("{model}/{name}", model=TAGGED_MODELS, name=["global_view_part_of_speech", "parts_of_speech"]),
            ["corrected"],
        ),
        "<results>/attentionviz/findings.md",


rule choose_scales:
    """Choose the constant that scales queries against keys, for every head by every criterion."""
    input:
        queries_keys="<results>/attention/{model}/queries_keys.parquet",
    output:
        scales="<results>/attentionviz/{model}/scales.parquet",
        scores="<results>/attentionviz/{model}/scale_scores.parquet",
    log:
        "<logs>/choose_scales/{model}.log",
    benchmark:
        "<benchmarks>/choose_scales/{model}.tsv"
    wildcard_constraints:
        model=one_of(models_of("attentionviz")),
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs("choose_scales"),
    params:
        spec=spec(
            "choose_scales",
            percentile=config["studies"]["attentionviz"]["percentile"],
            minimum_pairs=config["studies"]["attentionviz"]["minimum_pairs"],
            pairs=config["studies"]["attentionviz"]["pairs"],
            draws=config["studies"]["attentionviz"]["draws"],
            seed=config["studies"]["attentionviz"]["seed"],
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
    log:
        "<logs>/map_chosen_heads/{model}.log",
    benchmark:
        "<benchmarks>/map_chosen_heads/{model}.tsv"
    wildcard_constraints:
        model=one_of(models_of("attentionviz")),
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs("map_chosen_heads"),
    params:
        spec=spec(
            "map_chosen_heads",
            heads=config["studies"]["attentionviz"]["heads"],
            method=config["studies"]["attentionviz"]["method"],
            pairs=config["studies"]["attentionviz"]["pairs"],
            sentences=config["studies"]["attentionviz"]["sentences"],
            epochs=config["studies"]["attentionviz"]["epochs"],
            seed=config["studies"]["attentionviz"]["seed"],
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
    log:
        "<logs>/compare_constructions/{model}.log",
    benchmark:
        "<benchmarks>/compare_constructions/{model}.tsv"
    wildcard_constraints:
        model=one_of(models_of("attentionviz")),
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs("compare_constructions"),
    params:
        spec=spec(
            "compare_constructions",
            seed=config["studies"]["attentionviz"]["seed"],
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
    log:
        "<logs>/measure_invariance/{model}.log",
    benchmark:
        "<benchmarks>/measure_invariance/{model}.tsv"
    wildcard_constraints:
        model=one_of(models_of("attentionviz")),
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs("measure_invariance"),
    params:
        spec=spec("measure_invariance", pairs=config["studies"]["attentionviz"]["pairs"]),
    script:
        "../scripts/measure_invariance.py"


rule measure_parts_of_speech:
    """Measure which part of speech attends to which, for every head."""
    input:
        queries_keys="<results>/attention/{model}/queries_keys.parquet",
    output:
        parts_of_speech="<results>/attentionviz/{model}/parts_of_speech.parquet",
    log:
        "<logs>/measure_parts_of_speech/{model}.log",
    benchmark:
        "<benchmarks>/measure_parts_of_speech/{model}.tsv"
    wildcard_constraints:
        model=one_of(TAGGED_MODELS),
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs("measure_parts_of_speech"),
    params:
        spec=spec("measure_parts_of_speech", pairs=config["studies"]["attentionviz"]["pairs"]),
    script:
        "../scripts/measure_parts_of_speech.py"


rule draw_joint_embedding:
    """Fig 1: queries and keys of one head in one picture, and the relation wished for."""
    input:
        maps="<results>/attentionviz/{model}/maps.parquet",
        quality="<results>/attentionviz/{model}/map_quality.parquet",
        relation="<results>/attentionviz/{model}/relation.parquet",
    output:
        published_png=reported("<results>/figures/attentionviz/published/{model}/fig01_joint_embedding.png"),
        published_pdf="<results>/figures/attentionviz/published/{model}/fig01_joint_embedding.pdf",
        corrected_png=reported("<results>/figures/attentionviz/corrected/{model}/fig01_joint_embedding.png"),
        corrected_pdf="<results>/figures/attentionviz/corrected/{model}/fig01_joint_embedding.pdf",
    log:
        "<logs>/draw_joint_embedding/{model}.log",
    benchmark:
        "<benchmarks>/draw_joint_embedding/{model}.tsv"
    wildcard_constraints:
        model=one_of(models_of("attentionviz")),
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("draw_joint_embedding"),
    params:
        spec=spec("draw_joint_embedding"),
    script:
        "../scripts/draw_joint_embedding.py"


rule draw_scales:
    """Fig 2: the constants that the criteria choose, as heat maps of layers and heads."""
    input:
        scales="<results>/attentionviz/{model}/scales.parquet",
    output:
        published_png=reported("<results>/figures/attentionviz/published/{model}/fig02_scales.png"),
        published_pdf="<results>/figures/attentionviz/published/{model}/fig02_scales.pdf",
        corrected_png=reported("<results>/figures/attentionviz/corrected/{model}/fig02_scales.png"),
        corrected_pdf="<results>/figures/attentionviz/corrected/{model}/fig02_scales.pdf",
    log:
        "<logs>/draw_scales/{model}.log",
    benchmark:
        "<benchmarks>/draw_scales/{model}.tsv"
    wildcard_constraints:
        model=one_of(models_of("attentionviz")),
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("draw_scales"),
    params:
        spec=spec("draw_scales"),
    script:
        "../scripts/draw_scales.py"


rule draw_scaled_embeddings:
    """Figs 3 and 4: joint maps of an early and a later head at six constants."""
    input:
        maps="<results>/attentionviz/{model}/maps.parquet",
        quality="<results>/attentionviz/{model}/map_quality.parquet",
    output:
        published_png=reported(
            "<results>/figures/attentionviz/published/{model}/{figure}.png", caption="scaled_embeddings"
        ),
        published_pdf="<results>/figures/attentionviz/published/{model}/{figure}.pdf",
        corrected_png=reported(
            "<results>/figures/attentionviz/corrected/{model}/{figure}.png", caption="scaled_embeddings"
        ),
        corrected_pdf="<results>/figures/attentionviz/corrected/{model}/{figure}.pdf",
    log:
        "<logs>/draw_scaled_embeddings/{model}/{figure}.log",
    benchmark:
        "<benchmarks>/draw_scaled_embeddings/{model}/{figure}.tsv"
    wildcard_constraints:
        model=one_of(models_of("attentionviz")),
        figure="fig03_early_head|fig04_late_head",
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("draw_scaled_embeddings"),
    params:
        spec=spec("draw_scaled_embeddings"),
    script:
        "../scripts/draw_scaled_embeddings.py"


rule draw_global_view:
    """All heads at once: a small joint map of each."""
    input:
        maps="<results>/attentionviz/{model}/global_maps.parquet",
        constructions="<results>/attentionviz/{model}/constructions.parquet",
    output:
        png=reported("<results>/figures/attentionviz/corrected/{model}/global_view_{colour}.png", caption="global_view"),
        pdf="<results>/figures/attentionviz/corrected/{model}/global_view_{colour}.pdf",
    log:
        "<logs>/draw_global_view/{model}/{colour}.log",
    benchmark:
        "<benchmarks>/draw_global_view/{model}/{colour}.tsv"
    wildcard_constraints:
        model=one_of(models_of("attentionviz")),
        colour="type|position|part_of_speech",
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("draw_global_view"),
    params:
        spec=spec("draw_global_view"),
    script:
        "../scripts/draw_global_view.py"


rule draw_constructions:
    """Which construction, and which map of it, shows attention best."""
    input:
        constructions="<results>/attentionviz/{model}/constructions.parquet",
    output:
        png=reported("<results>/figures/attentionviz/corrected/{model}/constructions.png"),
        pdf="<results>/figures/attentionviz/corrected/{model}/constructions.pdf",
    log:
        "<logs>/draw_constructions/{model}.log",
    benchmark:
        "<benchmarks>/draw_constructions/{model}.tsv"
    wildcard_constraints:
        model=one_of(models_of("attentionviz")),
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("draw_constructions"),
    params:
        spec=spec("draw_constructions"),
    script:
        "../scripts/draw_constructions.py"


rule draw_invariance:
    """What leaves attention alone and what does not."""
    input:
        invariance="<results>/attentionviz/{model}/invariance.parquet",
    output:
        png=reported("<results>/figures/attentionviz/corrected/{model}/invariance.png"),
        pdf="<results>/figures/attentionviz/corrected/{model}/invariance.pdf",
    log:
        "<logs>/draw_invariance/{model}.log",
    benchmark:
        "<benchmarks>/draw_invariance/{model}.tsv"
    wildcard_constraints:
        model=one_of(models_of("attentionviz")),
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("draw_invariance"),
    params:
        spec=spec("draw_invariance"),
    script:
        "../scripts/draw_invariance.py"


rule draw_parts_of_speech:
    """Which part of speech attends to which beyond chance."""
    input:
        parts_of_speech="<results>/attentionviz/{model}/parts_of_speech.parquet",
    output:
        png=reported("<results>/figures/attentionviz/corrected/{model}/parts_of_speech.png"),
        pdf="<results>/figures/attentionviz/corrected/{model}/parts_of_speech.pdf",
    log:
        "<logs>/draw_parts_of_speech/{model}.log",
    benchmark:
        "<benchmarks>/draw_parts_of_speech/{model}.tsv"
    wildcard_constraints:
        model=one_of(TAGGED_MODELS),
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("draw_parts_of_speech"),
    params:
        spec=spec("draw_parts_of_speech"),
    script:
        "../scripts/draw_parts_of_speech.py"


rule describe_attentionviz:
    """Write what the study of joint embeddings found, in sentences with numbers."""
    input:
        scales=of_models("attentionviz", "<results>/attentionviz/{model}/scales.parquet"),
        constructions=of_models("attentionviz", "<results>/attentionviz/{model}/constructions.parquet"),
        invariance=of_models("attentionviz", "<results>/attentionviz/{model}/invariance.parquet"),
        parts_of_speech=expand("<results>/attentionviz/{model}/parts_of_speech.parquet", model=TAGGED_MODELS),
    output:
        findings="<results>/attentionviz/findings.md",
    log:
        "<logs>/describe_attentionviz.log",
    benchmark:
        "<benchmarks>/describe_attentionviz.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("describe_attentionviz"),
    params:
        spec=spec("describe_attentionviz", models=models_of("attentionviz"), tagged=TAGGED_MODELS),
    script:
        "../scripts/describe_attentionviz.py"
