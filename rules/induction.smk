# IN:  models/{model}/model.safetensors, snapshots.safetensors, scores/{model}.parquet, a tokenizer, held-out text
# OUT: induction/{model}/*.parquet, induction/{depth,look_alikes}.parquet, findings.md, figures 5 to 9 and beyond

PUBLISHED_INDUCTION = [
    "fig05_in_context_learning",
    "fig06_repeated_tokens",
    "fig07_induction",
    "fig08_shuffled_bidirectional",
    "fig09_sizes",
]
BUILT["induction"] = [
    *figures("induction", PUBLISHED_INDUCTION),
    *figures("induction", ["dynamics", "look_alikes", "backup_heads", "masks"], protocols=["corrected"]),
    "<results>/induction/findings.md",
]


TRACED = [  # models whose training left snapshots
    model
    for model in models_of("induction")
    if model in TOY_MODELS and config["models"][model]["training"].get("snapshots")
]


rule measure_repeats:
    input:
        model="<results>/models/{model}/model.safetensors",
        config="<results>/models/{model}/config.json",
        tokenizer=lambda wildcards: tokenizer_files(wildcards.model)[0],
        tokenizer_config=lambda wildcards: tokenizer_files(wildcards.model)[1],
    output:
        maps="<results>/induction/{model}/maps.parquet",
        conditions="<results>/induction/{model}/conditions.parquet",
    log:
        "<logs>/measure_repeats/{model}.log",
    benchmark:
        "<benchmarks>/measure_repeats/{model}.tsv"
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: attempt * need("measure_repeats", wildcards.model).memory,
        runtime=lambda wildcards, attempt: attempt * need("measure_repeats", wildcards.model).minutes,
    params:
        spec=lambda wildcards: spec(
            "measure_repeats",
            threads=forward_threads(wildcards.model),
            **study_settings("induction", "trials", "length", "seed"),
        ),
    script:
        "../scripts/measure_repeats.py"


rule measure_in_context:
    input:
        model="<results>/models/{model}/model.safetensors",
        config="<results>/models/{model}/config.json",
        documents=lambda wildcards: f"<results>/corpora/{config['models'][wildcards.model]['corpus']}/documents.parquet",
        tokenizer=lambda wildcards: tokenizer_files(wildcards.model)[0],
        tokenizer_config=lambda wildcards: tokenizer_files(wildcards.model)[1],
    output:
        pairs="<results>/induction/{model}/in_context.parquet",
        curve="<results>/induction/{model}/curve.parquet",
    log:
        "<logs>/measure_in_context/{model}.log",
    benchmark:
        "<benchmarks>/measure_in_context/{model}.tsv"
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: attempt * need("measure_in_context", wildcards.model).memory,
        runtime=lambda wildcards, attempt: attempt * need("measure_in_context", wildcards.model).minutes,
    params:
        spec=lambda wildcards: spec(
            "measure_in_context",
            threads=forward_threads(wildcards.model),
            **study_settings("induction", "texts", "short", "long", "seed"),
        ),
    script:
        "../scripts/measure_in_context.py"


rule ablate_induction:
    input:
        model="<results>/models/{model}/model.safetensors",
        config="<results>/models/{model}/config.json",
        windows=lambda wildcards: windows_of(wildcards.model, "analysis"),
        tokenizer=lambda wildcards: tokenizer_files(wildcards.model)[0],
        tokenizer_config=lambda wildcards: tokenizer_files(wildcards.model)[1],
    output:
        effects="<results>/induction/{model}/ablations.parquet",
        backups="<results>/induction/{model}/backups.parquet",
    log:
        "<logs>/ablate_induction/{model}.log",
    benchmark:
        "<benchmarks>/ablate_induction/{model}.tsv"
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: attempt * need("ablate_induction", wildcards.model).memory,
        runtime=lambda wildcards, attempt: attempt * need("ablate_induction", wildcards.model).minutes,
    params:
        spec=lambda wildcards: spec(
            "ablate_induction",
            threads=forward_threads(wildcards.model),
            **study_settings("induction", "sequences", "length", "ablated", "controls", "seed"),
        ),
    script:
        "../scripts/ablate_induction.py"


rule trace_training:
    input:
        snapshots="<results>/models/{model}/snapshots.safetensors",
        described="<results>/models/{model}/snapshots.json",
        evaluation=lambda wildcards: windows_of(wildcards.model, "evaluation"),
        tokenizer=lambda wildcards: tokenizer_files(wildcards.model)[0],
        tokenizer_config=lambda wildcards: tokenizer_files(wildcards.model)[1],
    output:
        dynamics="<results>/induction/{model}/dynamics.parquet",
    log:
        "<logs>/trace_training/{model}.log",
    benchmark:
        "<benchmarks>/trace_training/{model}.tsv"
    conda:
        "../envs/models.yaml"
    threads: lambda wildcards: forward_threads(wildcards.model)
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: attempt * need("trace_training", wildcards.model).memory,
        runtime=lambda wildcards, attempt: attempt * need("trace_training", wildcards.model).minutes,
    params:
        spec=lambda wildcards: spec(
            "trace_training",
            threads=forward_threads(wildcards.model),
            **study_settings("induction", "sequences", "length", "short", "long", "seed"),
        ),
    script:
        "../scripts/trace_training.py"


rule compare_induction:
    input:
        maps=of_models("induction", "<results>/induction/{model}/maps.parquet"),
        scores=of_models("induction", "<results>/scores/{model}.parquet"),
    output:
        depth="<results>/induction/depth.parquet",
        look_alikes="<results>/induction/look_alikes.parquet",
    log:
        "<logs>/compare_induction.log",
    benchmark:
        "<benchmarks>/compare_induction.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("compare_induction").memory,
        runtime=lambda wildcards, attempt: attempt * need("compare_induction").minutes,
    params:
        spec=spec("compare_induction", models=models_of("induction"), **study_settings("induction", "seed")),
    script:
        "../scripts/compare_induction.py"


rule find_induction:
    input:
        maps=of_models("induction", "<results>/induction/{model}/maps.parquet"),
        conditions=of_models("induction", "<results>/induction/{model}/conditions.parquet"),
        pairs=of_models("induction", "<results>/induction/{model}/in_context.parquet"),
        effects=of_models("induction", "<results>/induction/{model}/ablations.parquet"),
        backups=of_models("induction", "<results>/induction/{model}/backups.parquet"),
        dynamics=expand("<results>/induction/{model}/dynamics.parquet", model=TRACED),
        depth="<results>/induction/depth.parquet",
        look_alikes="<results>/induction/look_alikes.parquet",
    output:
        findings="<results>/induction/findings.md",
    log:
        "<logs>/find_induction.log",
    benchmark:
        "<benchmarks>/find_induction.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("find_induction").memory,
        runtime=lambda wildcards, attempt: attempt * need("find_induction").minutes,
    params:
        spec=spec("find_induction", models=models_of("induction"), traced=TRACED),
    script:
        "../scripts/find_induction.py"


rule draw_in_context:
    input:
        pairs=of_models("induction", "<results>/induction/{model}/in_context.parquet"),
        curve=of_models("induction", "<results>/induction/{model}/curve.parquet"),
    output:
        published_png=reported("<results>/figures/induction/published/fig05_in_context_learning.png"),
        published_pdf="<results>/figures/induction/published/fig05_in_context_learning.pdf",
        corrected_png=reported("<results>/figures/induction/corrected/fig05_in_context_learning.png"),
        corrected_pdf="<results>/figures/induction/corrected/fig05_in_context_learning.pdf",
    log:
        "<logs>/draw_in_context.log",
    benchmark:
        "<benchmarks>/draw_in_context.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_in_context").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_in_context").minutes,
    params:
        spec=spec("draw_in_context", models=models_of("induction")),
    script:
        "../scripts/draw_in_context.py"


rule draw_repeats:
    input:
        maps=of_models("induction", "<results>/induction/{model}/maps.parquet"),
    output:
        published_png=reported("<results>/figures/induction/published/fig06_repeated_tokens.png"),
        published_pdf="<results>/figures/induction/published/fig06_repeated_tokens.pdf",
        corrected_png=reported("<results>/figures/induction/corrected/fig06_repeated_tokens.png"),
        corrected_pdf="<results>/figures/induction/corrected/fig06_repeated_tokens.pdf",
    log:
        "<logs>/draw_repeats.log",
    benchmark:
        "<benchmarks>/draw_repeats.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_repeats").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_repeats").minutes,
    params:
        spec=spec("draw_repeats", models=models_of("induction")),
    script:
        "../scripts/draw_repeats.py"


rule draw_induction:
    input:
        maps=of_models("induction", "<results>/induction/{model}/maps.parquet"),
    output:
        published_png=reported("<results>/figures/induction/published/fig07_induction.png"),
        published_pdf="<results>/figures/induction/published/fig07_induction.pdf",
        corrected_png=reported("<results>/figures/induction/corrected/fig07_induction.png"),
        corrected_pdf="<results>/figures/induction/corrected/fig07_induction.pdf",
    log:
        "<logs>/draw_induction.log",
    benchmark:
        "<benchmarks>/draw_induction.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_induction").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_induction").minutes,
    params:
        spec=spec("draw_induction", models=models_of("induction")),
    script:
        "../scripts/draw_induction.py"


rule draw_shuffled:
    input:
        maps=of_models("induction", "<results>/induction/{model}/maps.parquet"),
    output:
        published_png=reported("<results>/figures/induction/published/fig08_shuffled_bidirectional.png"),
        published_pdf="<results>/figures/induction/published/fig08_shuffled_bidirectional.pdf",
        corrected_png=reported("<results>/figures/induction/corrected/fig08_shuffled_bidirectional.png"),
        corrected_pdf="<results>/figures/induction/corrected/fig08_shuffled_bidirectional.pdf",
    log:
        "<logs>/draw_shuffled.log",
    benchmark:
        "<benchmarks>/draw_shuffled.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_shuffled").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_shuffled").minutes,
    params:
        spec=spec("draw_shuffled", models=models_of("induction")),
    script:
        "../scripts/draw_shuffled.py"


rule draw_sizes:
    input:
        maps=of_models("induction", "<results>/induction/{model}/maps.parquet"),
        depth="<results>/induction/depth.parquet",
    output:
        published_png=reported("<results>/figures/induction/published/fig09_sizes.png"),
        published_pdf="<results>/figures/induction/published/fig09_sizes.pdf",
        corrected_png=reported("<results>/figures/induction/corrected/fig09_sizes.png"),
        corrected_pdf="<results>/figures/induction/corrected/fig09_sizes.pdf",
    log:
        "<logs>/draw_sizes.log",
    benchmark:
        "<benchmarks>/draw_sizes.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_sizes").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_sizes").minutes,
    params:
        spec=spec("draw_sizes", models=models_of("induction")),
    script:
        "../scripts/draw_sizes.py"


rule draw_dynamics:
    input:
        dynamics=expand("<results>/induction/{model}/dynamics.parquet", model=TRACED),
    output:
        png=reported("<results>/figures/induction/corrected/dynamics.png"),
        pdf="<results>/figures/induction/corrected/dynamics.pdf",
    log:
        "<logs>/draw_dynamics.log",
    benchmark:
        "<benchmarks>/draw_dynamics.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_dynamics").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_dynamics").minutes,
    params:
        spec=spec("draw_dynamics", models=TRACED),
    script:
        "../scripts/draw_dynamics.py"


rule draw_look_alikes:
    input:
        look_alikes="<results>/induction/look_alikes.parquet",
    output:
        png=reported("<results>/figures/induction/corrected/look_alikes.png"),
        pdf="<results>/figures/induction/corrected/look_alikes.pdf",
    log:
        "<logs>/draw_look_alikes.log",
    benchmark:
        "<benchmarks>/draw_look_alikes.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_look_alikes").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_look_alikes").minutes,
    params:
        spec=spec("draw_look_alikes"),
    script:
        "../scripts/draw_look_alikes.py"


rule draw_backup_heads:
    input:
        effects=of_models("induction", "<results>/induction/{model}/ablations.parquet"),
        backups=of_models("induction", "<results>/induction/{model}/backups.parquet"),
    output:
        png=reported("<results>/figures/induction/corrected/backup_heads.png"),
        pdf="<results>/figures/induction/corrected/backup_heads.pdf",
    log:
        "<logs>/draw_backup_heads.log",
    benchmark:
        "<benchmarks>/draw_backup_heads.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_backup_heads").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_backup_heads").minutes,
    params:
        spec=spec("draw_backup_heads", models=models_of("induction")),
    script:
        "../scripts/draw_backup_heads.py"


rule draw_masks:
    input:
        conditions=of_models("induction", "<results>/induction/{model}/conditions.parquet"),
    output:
        png=reported("<results>/figures/induction/corrected/masks.png"),
        pdf="<results>/figures/induction/corrected/masks.pdf",
    log:
        "<logs>/draw_masks.log",
    benchmark:
        "<benchmarks>/draw_masks.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_masks").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_masks").minutes,
    params:
        spec=spec("draw_masks", models=models_of("induction")),
    script:
        "../scripts/draw_masks.py"
