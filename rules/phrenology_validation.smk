# IN:  models and windows of the study of phrenology; phrenology/{distances,kinds,partners,stability,knockouts}.parquet
# OUT: phrenology/{transplants,circuits,evidence,universality,...}.parquet, evidence.md, figures of the same names
# A network alone has no donors: what ablation of its heads costs is then what `measure_knockouts` found
ALONE = sum(model_settings.member_count(config["models"][model]) for model in models_of("phrenology")) == 1

if not ALONE:

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
        threads: forward_threads(*models_of("phrenology"))
        resources:
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
    threads: config["threads"]
    params:
        spec=spec("compare_circuits", **study_settings("phrenology", "models"), threads=config["threads"]),
    script:
        "../scripts/compare_circuits.py"


rule weigh_evidence:
    """Weigh the evidence for kinds and partners: stability, effects, weights and transplants, in numbers and words."""
    input:
        **tables("phrenology", "distances", "kinds", "partners", "stability", "knockouts", "circuits"),
        **({} if ALONE else tables("phrenology", "transplants", "ablation_costs")),
        losses=of_models("phrenology", "<results>/knockouts/{model}/losses.parquet") if ALONE else [],
        judged=judged(*models_of("phrenology")),
    output:
        evidence="<results>/phrenology/evidence.parquet",
        csv=reported("<results>/phrenology/evidence.csv"),
        effects="<results>/phrenology/effect_agreement.parquet",
        agreement="<results>/phrenology/partner_agreement.parquet",
        shares="<results>/phrenology/transplant_shares.parquet",
        head_shares="<results>/phrenology/transplanted_heads.parquet",
        universality="<results>/phrenology/universality.parquet",
        findings="<results>/phrenology/evidence.md",
    params:
        spec=spec("weigh_evidence", **study_settings("phrenology", "validation.permutations", "seed")),
    script:
        "../scripts/weigh_evidence.py"


use rule draw_figure as draw_transplants with:
    """For each head, the loss that its partner, others of its kind and all others recover in its place."""
    input:
        head_shares="<results>/phrenology/transplanted_heads.parquet",
        shares="<results>/phrenology/transplant_shares.parquet",
        universality="<results>/phrenology/universality.parquet",
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "transplants", ["corrected"]),
    params:
        spec=drawn_by("studies.phrenology.figures.validation.draw_transplants"),


use rule draw_figure as draw_agreement with:
    """How often attention, weights and effects name the same partner, beside heads permuted within kinds."""
    input:
        table="<results>/phrenology/partner_agreement.parquet",
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "agreement", ["corrected"]),
    params:
        spec=drawn_by("studies.phrenology.figures.validation.draw_agreement"),


use rule draw_figure as draw_universality with:
    """How universal every head is by every measure, and the attention of the most and the least universal ones."""
    input:
        table="<results>/phrenology/universality.parquet",
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
        judged=judged(*models_of("phrenology")),
    output:
        **figure("phrenology", "universality", ["corrected"]),
    params:
        spec=drawn_by("studies.phrenology.figures.validation.draw_universality"),
