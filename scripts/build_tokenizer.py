"""Train a tokenizer on a corpus."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.data import tokenizer_reading, tokenizer_training

    settings = run.settings["tokenizer"]
    texts = tables.read(snakemake.input.documents, ["text"], split="train")["text"].tolist()
    tokenizer = tokenizer_training.train_tokenizer(texts, settings["train"], settings["vocabulary"])
    tokenizer_reading.save_tokenizer(tokenizer, run.out.tokenizer, run.out.config)


if "snakemake" in globals():
    main(snakemake)
