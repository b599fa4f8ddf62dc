# IN:  models/{model}/model.safetensors, snapshots.safetensors, scores/{model}.parquet, a tokenizer, held-out text
# OUT: induction/{model}/*.parquet, induction/{depth,look_alikes}.parquet, findings.md, figures 5 to 9 and beyond

TRACED = [  # models whose training left snapshots
    model for model in models_of("induction") if config["models"][model].get("training", {}).get("snapshots")
]


rule induction:
    """Everything that the study of induction heads shows: which heads they are, and what happens without them."""
    input:
        figures("induction", ["fig05_in_context_learning", "fig06_repeated_tokens", "fig07_induction"]),
        figures("induction", ["fig08_shuffled_bidirectional", "fig09_sizes"]),
        figures("induction", ["dynamics", "look_alikes", "redundancy", "backup_heads", "masks"], ["corrected"]),
        figures("induction", ["pairs_of_heads"], ["corrected"]),
        "<results>/induction/findings.md",


rule measure_repeats:
    """Measure attention on random repeated tokens: the induction maps, several masks at once, words and pieces."""
    input:
        **TOKENIZER,
        **MODEL,
    output:
        **tables("induction/{model}", "maps", "conditions"),
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        gpu=1,
    params:
        spec=lambda wildcards: spec(
            "measure_repeats",
            threads=forward_threads(wildcards.model),
            **study_settings("induction", "trials", "length", "seed"),
        ),
    script:
        "../scripts/measure_repeats.py"


rule measure_in_context:
    """Measure in-context learning: losses in a short and in a long context, and the curve between them."""
    input:
        **TOKENIZER,
        **MODEL,
        documents=lambda wildcards: f"<results>/corpora/{config['models'][wildcards.model]['corpus']}/documents.parquet",
    output:
        pairs="<results>/induction/{model}/in_context.parquet",
        curve="<results>/induction/{model}/curve.parquet",
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        gpu=1,
    params:
        spec=lambda wildcards: spec(
            "measure_in_context",
            threads=forward_threads(wildcards.model),
            corpus=config["models"][wildcards.model]["corpus"],
            **study_settings("induction", "texts", "short", "long", "seed"),
        ),
    script:
        "../scripts/measure_in_context.py"


rule ablate_induction:
    """Ablate every member's induction heads, one by one and together, and see which heads take over."""
    input:
        **TOKENIZER,
        **MODEL,
        maps="<results>/induction/{model}/maps.parquet",
        windows=lambda wildcards: windows_of(wildcards.model, "analysis"),
    output:
        effects="<results>/induction/{model}/ablations.parquet",
        backups="<results>/induction/{model}/backups.parquet",
        joint="<results>/induction/{model}/joint_effects.parquet",
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        gpu=1,
    params:
        spec=lambda wildcards: spec(
            "ablate_induction",
            threads=forward_threads(wildcards.model),
            **study_settings("induction", "sequences", "length", "ablated", "controls", "seed"),
        ),
    script:
        "../scripts/ablate_induction.py"


rule trace_training:
    """Trace the birth of induction heads: scores at every snapshot of a training."""
    input:
        **TOKENIZER,
        snapshots="<results>/models/{model}/snapshots.safetensors",
        described="<results>/models/{model}/snapshots.json",
        evaluation=lambda wildcards: windows_of(wildcards.model, "evaluation"),
    output:
        dynamics="<results>/induction/{model}/dynamics.parquet",
    wildcard_constraints:
        model=one_of(TRACED),
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        gpu=1,
    params:
        spec=lambda wildcards: spec(
            "trace_training",
            threads=forward_threads(wildcards.model),
            **study_settings("induction", "sequences", "length", "short", "long", "seed"),
        ),
    script:
        "../scripts/trace_training.py"


rule compare_induction:
    """Compare the models: how deep their induction heads lie, and which heads only look like them."""
    input:
        maps=of_models("induction", "<results>/induction/{model}/maps.parquet"),
        scores=of_models("induction", "<results>/scores/{model}.parquet"),
    output:
        **tables("induction", "depth", "look_alikes"),
    params:
        spec=spec("compare_induction", models=models_of("induction"), **study_settings("induction", "seed")),
    script:
        "../scripts/compare_induction.py"


rule find_induction:
    """Say in sentences what the study of induction heads found."""
    input:
        **tables("induction", "depth", "look_alikes"),
        maps=of_models("induction", "<results>/induction/{model}/maps.parquet"),
        conditions=of_models("induction", "<results>/induction/{model}/conditions.parquet"),
        pairs=of_models("induction", "<results>/induction/{model}/in_context.parquet"),
        effects=of_models("induction", "<results>/induction/{model}/ablations.parquet"),
        joint=of_models("induction", "<results>/induction/{model}/joint_effects.parquet"),
        dynamics=expand("<results>/induction/{model}/dynamics.parquet", model=TRACED),
        judged=judged(*models_of("induction")),
    output:
        findings="<results>/induction/findings.md",
    params:
        spec=spec("find_induction", models=models_of("induction"), traced=TRACED),
    script:
        "../scripts/find_induction.py"


use rule draw_figure as draw_in_context with:
    """Fig 5: what a long context gains over a short one; corrected, over one as long of another text, and the curve."""
    input:
        pairs=of_models("induction", "<results>/induction/{model}/in_context.parquet"),
        curve=of_models("induction", "<results>/induction/{model}/curve.parquet"),
        judged=judged(*models_of("induction")),
    output:
        **figure("induction", "fig05_in_context_learning"),
    params:
        spec=drawn_by("studies.induction.figures.in_context_learning.draw_in_context", models=models_of("induction")),


use rule draw_figure as draw_repeats with:
    """Fig 6: the setups of random repeated tokens, each drawn from an actual trial."""
    input:
        maps=of_models("induction", "<results>/induction/{model}/maps.parquet"),
        judged=judged(*models_of("induction")),
    output:
        **figure("induction", "fig06_repeated_tokens"),
    params:
        spec=drawn_by("studies.induction.figures.repeated_tokens.draw_repeats", models=models_of("induction")),


use rule draw_figure as draw_induction with:
    """Fig 7: induction maps of the standard setup."""
    input:
        maps=of_models("induction", "<results>/induction/{model}/maps.parquet"),
        judged=judged(*models_of("induction")),
    output:
        **figure("induction", "fig07_induction"),
    params:
        spec=drawn_by("studies.induction.figures.induction_maps.draw_induction", models=models_of("induction")),


use rule draw_figure as draw_shuffled with:
    """Fig 8: induction maps of the shuffled and the bidirectional setup."""
    input:
        maps=of_models("induction", "<results>/induction/{model}/maps.parquet"),
        judged=judged(*models_of("induction")),
    output:
        **figure("induction", "fig08_shuffled_bidirectional"),
    params:
        spec=drawn_by("studies.induction.figures.induction_maps.draw_shuffled", models=models_of("induction")),


use rule draw_figure as draw_sizes with:
    """Fig 9: induction maps of models of all sizes as one mosaic; corrected, how deep induction lies in each."""
    input:
        maps=of_models("induction", "<results>/induction/{model}/maps.parquet"),
        depth="<results>/induction/depth.parquet",
        judged=judged(*models_of("induction")),
    output:
        **figure("induction", "fig09_sizes"),
    params:
        spec=drawn_by("studies.induction.figures.model_sizes.draw_sizes", models=models_of("induction")),


use rule draw_figure as draw_dynamics with:
    """Induction, previous-token and in-context-learning scores against the tokens seen in training."""
    input:
        dynamics=expand("<results>/induction/{model}/dynamics.parquet", model=TRACED),
        maps=expand("<results>/induction/{model}/maps.parquet", model=TRACED),
        judged=judged(*TRACED),
    output:
        **figure("induction", "dynamics", ["corrected"]),
    params:
        spec=drawn_by("studies.induction.figures.training_dynamics.draw_dynamics", models=TRACED),


use rule draw_figure as draw_look_alikes with:
    """Prefix matching against copying: induction heads and their look-alikes."""
    input:
        look_alikes="<results>/induction/look_alikes.parquet",
        judged=judged(*models_of("induction")),
    output:
        **figure("induction", "look_alikes", ["corrected"]),
    params:
        spec=drawn_by("studies.induction.figures.head_kinds.draw_look_alikes"),


use rule draw_figure as draw_redundancy with:
    """What sets of a layer's induction heads do beyond the sum of each, by their size, beside as many other heads."""
    input:
        joint=of_models("induction", "<results>/induction/{model}/joint_effects.parquet"),
        judged=judged(*models_of("induction")),
    output:
        **figure("induction", "redundancy", ["corrected"]),
    params:
        spec=drawn_by("studies.induction.figures.self_repair.draw_redundancy", models=models_of("induction")),


use rule draw_figure as draw_pairs_of_heads with:
    """What every two induction heads of a layer do together beyond the sum of each: which stand in for which."""
    input:
        joint=of_models("induction", "<results>/induction/{model}/joint_effects.parquet"),
        judged=judged(*models_of("induction")),
    output:
        **figure("induction", "pairs_of_heads", ["corrected"]),
    params:
        spec=drawn_by("studies.induction.figures.pairs_of_heads.draw_pairs_of_heads", models=models_of("induction")),


use rule draw_figure as draw_backup_heads with:
    """What later heads make good of the loss without the induction heads of a layer, and how their scores change."""
    input:
        effects=of_models("induction", "<results>/induction/{model}/ablations.parquet"),
        backups=of_models("induction", "<results>/induction/{model}/backups.parquet"),
        judged=judged(*models_of("induction")),
    output:
        **figure("induction", "backup_heads", ["corrected"]),
    params:
        spec=drawn_by("studies.induction.figures.self_repair.draw_backup_heads", models=models_of("induction")),


use rule draw_figure as draw_masks with:
    """Induction with several masks at once, and on whole words against pieces of words."""
    input:
        conditions=of_models("induction", "<results>/induction/{model}/conditions.parquet"),
        judged=judged(*models_of("induction")),
    output:
        **figure("induction", "masks", ["corrected"]),
    params:
        spec=drawn_by("studies.induction.figures.masks.draw_masks", models=models_of("induction")),
