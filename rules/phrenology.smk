# IN:  attention/{model}/{patterns,queries_keys}.parquet of every model the study compares
# OUT: phrenology/{distances,projections,components,first_token}.parquet, figures 7 to 11 in both protocols; the rest is included

BUILT["phrenology"] = figures(
    "phrenology",
    ["fig07_head_distances", "fig08_projections", "fig09_components", "fig10_third_component", "fig11_first_token"],
)


include: "clusters.smk"
include: "cluster_figures.smk"
include: "knockouts.smk"


rule measure_distances:
    input:
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
        windows=prompts_of("phrenology"),
    output:
        distances="<results>/phrenology/distances.parquet",
    log:
        "<logs>/measure_distances.log",
    benchmark:
        "<benchmarks>/measure_distances.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: config["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("measure_distances").memory,
        runtime=lambda wildcards, attempt: attempt * need("measure_distances").minutes,
    params:
        spec=spec("measure_distances", models=config["studies"]["phrenology"]["models"], threads=config["threads"]),
    script:
        "../scripts/measure_distances.py"


rule project_heads:
    input:
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
        windows=prompts_of("phrenology"),
    output:
        projections="<results>/phrenology/projections.parquet",
    log:
        "<logs>/project_heads.log",
    benchmark:
        "<benchmarks>/project_heads.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("project_heads").memory,
        runtime=lambda wildcards, attempt: attempt * need("project_heads").minutes,
    params:
        spec=spec(
            "project_heads",
            models=config["studies"]["phrenology"]["models"],
            seed=config["studies"]["phrenology"]["seed"],
        ),
    script:
        "../scripts/project_heads.py"


rule decompose_patterns:
    input:
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
    output:
        components="<results>/phrenology/components.parquet",
    log:
        "<logs>/decompose_patterns.log",
    benchmark:
        "<benchmarks>/decompose_patterns.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("decompose_patterns").memory,
        runtime=lambda wildcards, attempt: attempt * need("decompose_patterns").minutes,
    params:
        spec=spec("decompose_patterns", models=config["studies"]["phrenology"]["models"]),
    script:
        "../scripts/decompose_patterns.py"


rule project_first_token:
    input:
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
        queries_keys=of_models("phrenology", "<results>/attention/{model}/queries_keys.parquet"),
        windows=prompts_of("phrenology"),
        tokenizer=tokenizer_files(models_of("phrenology")[0])[0],
        tokenizer_config=tokenizer_files(models_of("phrenology")[0])[1],
    output:
        first_token="<results>/phrenology/first_token.parquet",
    log:
        "<logs>/project_first_token.log",
    benchmark:
        "<benchmarks>/project_first_token.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("project_first_token").memory,
        runtime=lambda wildcards, attempt: attempt * need("project_first_token").minutes,
    params:
        spec=spec("project_first_token", models=config["studies"]["phrenology"]["models"]),
    script:
        "../scripts/project_first_token.py"


rule draw_head_distances:
    input:
        distances="<results>/phrenology/distances.parquet",
        clusters="<results>/phrenology/clusters.parquet",
    output:
        published_png=reported("<results>/figures/phrenology/published/fig07_head_distances.png"),
        published_pdf="<results>/figures/phrenology/published/fig07_head_distances.pdf",
        corrected_png=reported("<results>/figures/phrenology/corrected/fig07_head_distances.png"),
        corrected_pdf="<results>/figures/phrenology/corrected/fig07_head_distances.pdf",
    log:
        "<logs>/draw_head_distances.log",
    benchmark:
        "<benchmarks>/draw_head_distances.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_head_distances").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_head_distances").minutes,
    params:
        spec=spec("draw_head_distances"),
    script:
        "../scripts/draw_head_distances.py"


rule draw_projections:
    input:
        projections="<results>/phrenology/projections.parquet",
    output:
        published_png=reported("<results>/figures/phrenology/published/fig08_projections.png"),
        published_pdf="<results>/figures/phrenology/published/fig08_projections.pdf",
        corrected_png=reported("<results>/figures/phrenology/corrected/fig08_projections.png"),
        corrected_pdf="<results>/figures/phrenology/corrected/fig08_projections.pdf",
    log:
        "<logs>/draw_projections.log",
    benchmark:
        "<benchmarks>/draw_projections.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_projections").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_projections").minutes,
    params:
        spec=spec("draw_projections"),
    script:
        "../scripts/draw_projections.py"


rule draw_components:
    input:
        components="<results>/phrenology/components.parquet",
    output:
        published_png=reported("<results>/figures/phrenology/published/fig09_components.png"),
        published_pdf="<results>/figures/phrenology/published/fig09_components.pdf",
        corrected_png=reported("<results>/figures/phrenology/corrected/fig09_components.png"),
        corrected_pdf="<results>/figures/phrenology/corrected/fig09_components.pdf",
    log:
        "<logs>/draw_components.log",
    benchmark:
        "<benchmarks>/draw_components.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_components").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_components").minutes,
    params:
        spec=spec("draw_components"),
    script:
        "../scripts/draw_components.py"


rule draw_third_component:
    input:
        components="<results>/phrenology/components.parquet",
        windows=prompts_of("phrenology"),
        tokenizer=tokenizer_files(models_of("phrenology")[0])[0],
        tokenizer_config=tokenizer_files(models_of("phrenology")[0])[1],
    output:
        published_png=reported("<results>/figures/phrenology/published/fig10_third_component.png"),
        published_pdf="<results>/figures/phrenology/published/fig10_third_component.pdf",
        corrected_png=reported("<results>/figures/phrenology/corrected/fig10_third_component.png"),
        corrected_pdf="<results>/figures/phrenology/corrected/fig10_third_component.pdf",
    log:
        "<logs>/draw_third_component.log",
    benchmark:
        "<benchmarks>/draw_third_component.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_third_component").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_third_component").minutes,
    params:
        spec=spec("draw_third_component"),
    script:
        "../scripts/draw_third_component.py"


rule draw_first_token:
    input:
        first_token="<results>/phrenology/first_token.parquet",
    output:
        published_png=reported("<results>/figures/phrenology/published/fig11_first_token.png"),
        published_pdf="<results>/figures/phrenology/published/fig11_first_token.pdf",
        corrected_png=reported("<results>/figures/phrenology/corrected/fig11_first_token.png"),
        corrected_pdf="<results>/figures/phrenology/corrected/fig11_first_token.pdf",
    log:
        "<logs>/draw_first_token.log",
    benchmark:
        "<benchmarks>/draw_first_token.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * need("draw_first_token").memory,
        runtime=lambda wildcards, attempt: attempt * need("draw_first_token").minutes,
    params:
        spec=spec("draw_first_token"),
    script:
        "../scripts/draw_first_token.py"
