# IN:  models and windows of the study of phrenology; phrenology/{distances,kinds,partners,stability,knockouts}.parquet
# OUT: phrenology/{transplants,circuits,evidence,universality,...}.parquet, evidence.md, figures of the same names


rule transplant_heads:
    """Put every head of every other network in the place of every head, and say how much of the loss it recovers."""
    input:
        **tokenizer_of(models_of("phrenology")[0]),
        models=of_models("phrenology", "<results>/models/{model}/model.safetensors"),
        configs=of_models("phrenology", "<results>/models/{model}/config.json"),
        windows=prompts_of("phrenology"),
    output:
        transplants="<results>/phrenology/transplants.parquet",
        costs="<results>/phrenology/ablation_costs.parquet",
    log:
        "<logs>/transplant_heads.log",
    conda:
        "../envs/models.yaml"
    threads: forward_threads(*models_of("phrenology"))
    resources:
        **needs("transplant_heads"),
        gpu=1,
    params:
        spec=spec(
            "transplant_heads",
            **study_settings("phrenology", "models", "validation.windows", "validation.between_layers", "seed"),
            threads=forward_threads(*models_of("phrenology")),
        ),
    script:
        "../scripts/transplant_heads.py"


rule compare_circuits:
    """Compare the OV and the QK circuits of all heads over their common vocabulary, from weights alone."""
    input:
        models=of_models("phrenology", "<results>/models/{model}/model.safetensors"),
        configs=of_models("phrenology", "<results>/models/{model}/config.json"),
    output:
        circuits="<results>/phrenology/circuits.parquet",
    log:
        "<logs>/compare_circuits.log",
    conda:
        "../envs/models.yaml"
    threads: config["threads"]
    resources:
        **needs("compare_circuits"),
    params:
        spec=spec("compare_circuits", **study_settings("phrenology", "models"), threads=config["threads"]),
    script:
        "../scripts/compare_circuits.py"


rule weigh_evidence:
    """Weigh the evidence for kinds and partners: stability, effects, weights and transplants, in numbers and words."""
    input:
        distances="<results>/phrenology/distances.parquet",
        kinds="<results>/phrenology/kinds.parquet",
        partners="<results>/phrenology/partners.parquet",
        stability="<results>/phrenology/stability.parquet",
        knockouts="<results>/phrenology/knockouts.parquet",
        circuits="<results>/phrenology/circuits.parquet",
        transplants="<results>/phrenology/transplants.parquet",
        costs="<results>/phrenology/ablation_costs.parquet",
    output:
        evidence="<results>/phrenology/evidence.parquet",
        csv=reported("<results>/phrenology/evidence.csv"),
        effects="<results>/phrenology/effect_agreement.parquet",
        agreement="<results>/phrenology/partner_agreement.parquet",
        shares="<results>/phrenology/transplant_shares.parquet",
        head_shares="<results>/phrenology/transplanted_heads.parquet",
        universality="<results>/phrenology/universality.parquet",
        findings="<results>/phrenology/evidence.md",
    log:
        "<logs>/weigh_evidence.log",
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs("weigh_evidence"),
    params:
        spec=spec(
            "weigh_evidence", **study_settings("phrenology", "validation.permutations", "validation.draws", "seed")
        ),
    script:
        "../scripts/weigh_evidence.py"


use rule draw_figure as draw_transplants with:
    """For each head, the loss that its partner, others of its kind and all others recover in its place."""
    input:
        head_shares="<results>/phrenology/transplanted_heads.parquet",
        shares="<results>/phrenology/transplant_shares.parquet",
        universality="<results>/phrenology/universality.parquet",
    output:
        **figure("phrenology", "transplants", ["corrected"]),
    pathvars:
        name="draw_transplants",
    params:
        spec=drawn_by("studies.phrenology.figures.validation.draw_transplants"),


use rule draw_figure as draw_agreement with:
    """How often attention, weights and effects name the same partner, beside heads permuted within kinds."""
    input:
        table="<results>/phrenology/partner_agreement.parquet",
    output:
        **figure("phrenology", "agreement", ["corrected"]),
    pathvars:
        name="draw_agreement",
    params:
        spec=drawn_by("studies.phrenology.figures.validation.draw_agreement"),


use rule draw_figure as draw_universality with:
    """How universal every head is by every measure, and the attention of the most and the least universal ones."""
    input:
        table="<results>/phrenology/universality.parquet",
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
    output:
        **figure("phrenology", "universality", ["corrected"]),
    pathvars:
        name="draw_universality",
    resources:
        **needs("draw_universality"),
    params:
        spec=drawn_by("studies.phrenology.figures.validation.draw_universality"),
