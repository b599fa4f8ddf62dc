"""Train a tokenizer on a corpus, or load one."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.data import tokenizer_reading, tokenizer_training

    settings = run.settings["tokenizer"]
    if "train" in settings:
        texts = tables.read(snakemake.input.documents, ["text"], split="train")["text"].tolist()
        tokenizer = tokenizer_training.train_tokenizer(texts, settings["train"], settings["vocabulary"])
    else:
        tokenizer = tokenizer_training.load_tokenizer(
            settings["load"], settings["revision"], run.mirror, run.downloads, mask=settings["mask"]
        )
    tokenizer_reading.save_tokenizer(tokenizer, run.out.tokenizer, run.out.config)


if "snakemake" in globals():
    main(snakemake)
