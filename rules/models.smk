# IN:  windows/{model}/{train,evaluation}.parquet, or checkpoints from the Hub or a folder
# OUT: models/{model}/model.safetensors, config.json; for models trained here training.parquet, snapshots.*, baselines.parquet


rule train_model:
    """Train the members of a toy family as one stacked ensemble, keeping snapshots on the way."""
    input:
        train=lambda wildcards: windows_of(wildcards.model, "train"),
        evaluation=lambda wildcards: windows_of(wildcards.model, "evaluation"),
    output:
        **MODEL,
        training="<results>/models/{model}/training.parquet",
        snapshots="<results>/models/{model}/snapshots.safetensors",
        described="<results>/models/{model}/snapshots.json",
    wildcard_constraints:
        model=name_patterns.matching(TOY_MODELS),
    priority: 1  # the longest jobs, and most others wait for them
    threads: lambda wildcards: training_threads(wildcards.model)
    resources:
        gpu=1,
    params:
        spec=lambda wildcards: spec(
            "train_model",
            threads=training_threads(wildcards.model),
            **model_settings.training_settings(config["models"][wildcards.model]),
        ),
    script:
        "../scripts/train_model.py"


rule measure_baselines:
    """Measure the loss that counting tokens and pairs of tokens reaches on a toy family's windows."""
    input:
        train=lambda wildcards: windows_of(wildcards.model, "train"),
        evaluation=lambda wildcards: windows_of(wildcards.model, "evaluation"),
    output:
        baselines="<results>/models/{model}/baselines.parquet",
    params:
        spec=lambda wildcards: spec(
            "measure_baselines", causal=config["models"][wildcards.model]["architecture"]["causal"]
        ),
    script:
        "../scripts/measure_baselines.py"


rule fetch_model:
    """Fetch a pretrained family and stack its weights; where jobs are submitted, on the machine that submits them."""
    input:
        **TOKENIZER,
    output:
        **MODEL,
    wildcard_constraints:
        model=one_of(PRETRAINED_MODELS),
    localrule: True
    params:
        spec=lambda wildcards: spec(
            "fetch_model",
            reads=reads("checkpoint", *config["models"][wildcards.model]["checkpoints"]),
            **model_settings.checkpoint_settings(config["models"][wildcards.model]),
        ),
    script:
        "../scripts/fetch_model.py"


use rule draw_figure as draw_training with:
    """Draw the training curves of a family beside its baselines."""
    input:
        **tables("models/{model}", "training", "baselines"),
    output:
        png=reported("<results>/figures/training/{model}.png", caption="training"),
        pdf="<results>/figures/training/{model}.pdf",
    params:
        spec=lambda wildcards: drawn_by("plotting.training_curves.draw_training", model=wildcards.model),
