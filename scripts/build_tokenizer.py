"""Train a tokenizer on a corpus, or load one."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import tables, tokenizer_building, tokens

    settings = run.settings["tokenizer"]
    if "train" in settings:
        texts = tables.read(snakemake.input.documents, ["text"], split="train")["text"].tolist()
        tokenizer = tokenizer_building.train_tokenizer(texts, settings["train"], settings["vocabulary"])
    else:
        tokenizer = tokenizer_building.load_tokenizer(
            settings["load"], settings["revision"], run.mirror, run.downloads, mask=settings["mask"]
        )
    tokens.save_tokenizer(tokenizer, run.out.tokenizer, run.out.config)


if "snakemake" in globals():
    main(snakemake)
