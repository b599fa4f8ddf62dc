"""Load a tokenizer from wherever it lies."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.data import tokenizer_reading, tokenizer_training

    settings = run.settings["tokenizer"]
    tokenizer = tokenizer_training.load_tokenizer(
        settings["load"], settings["revision"], run.mirror, run.downloads, mask=settings["mask"]
    )
    tokenizer_reading.save_tokenizer(tokenizer, run.out.tokenizer, run.out.config)


if "snakemake" in globals():
    main(snakemake)
