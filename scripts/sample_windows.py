"""Sample the windows that a model is trained, judged or looked at on."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.data import tokenizer_reading
    from headatlas.data.windows import sample_windows, write_windows

    keys = {"train": "training.windows", "evaluation": "training.evaluation_windows", "analysis": "analysis.windows"}
    model = snakemake.wildcards.model
    section = "studies.circuits" if model.startswith("circuits-") else f"models.{model}"  # runs of a sweep share theirs
    documents = tables.read(snakemake.input.documents)
    tokenizer = tokenizer_reading.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    windows = sample_windows(
        documents,
        tokenizer,
        **{name: run.settings[name] for name in ("seeds", "count", "size", "sampling", "split")},
        with_tags=run.settings["tags"] and "tags" in documents,
        key=f"{section}.{keys[snakemake.wildcards.use]}",
    )
    write_windows(
        run.out.windows,
        windows,
        members=range(len(run.settings["seeds"])) if snakemake.wildcards.use == "train" else [-1],
        pad=tokenizer.pad_token_id,
        mask=tokenizer.mask_token_id,
        vocabulary=len(tokenizer),
        sampling=run.settings["sampling"],
        provenance=run.provenance,
    )


if "snakemake" in globals():
    main(snakemake)
