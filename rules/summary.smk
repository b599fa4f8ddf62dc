# IN:  every model's training and baselines, all that the studies build: figures, and findings in words
# OUT: summary.md, which a person reads at the end; the same as a page of the report, summary.html


RUNS = config["studies"].get("circuits", {}).get("models", [])  # of a sweep: its own findings speak of them
COMPARED = [model for model in models_of("all") if model not in RUNS]
TRAINED = [model for model in COMPARED if model in TOY_MODELS]


rule write_summary:
    input:
        training=expand("<results>/models/{model}/training.parquet", model=TRAINED),
        baselines=expand("<results>/models/{model}/baselines.parquet", model=TRAINED),
        curves=expand("<results>/figures/training/{model}.png", model=TRAINED),
        scores=expand("<results>/scores/{model}.parquet", model=COMPARED),
        built=[file for files in BUILT.values() for file in files],
    output:
        summary="<results>/summary.md",
        page=report(
            "<results>/summary.html",
            caption="../report/summary.rst",
            category="summary",
            labels={"result": "What was found"},
        ),
    log:
        "<logs>/write_summary.log",
    benchmark:
        "<benchmarks>/write_summary.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("write_summary").memory,
        runtime=lambda wildcards, attempt: attempt * need("write_summary").minutes,
    params:
        spec=spec("write_summary", models=COMPARED, trained=TRAINED),
    script:
        "../scripts/write_summary.py"
