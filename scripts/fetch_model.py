"""Fetch the checkpoints of a pretrained family and stack their weights."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.data import downloading, tokenizer_reading
    from headatlas.models import families, pretrained

    settings = run.settings
    folders = downloading.checkpoint_folders(settings["checkpoints"], run.mirror, run.downloads)
    checkpoints = [given | {"folder": place} for given, place in zip(settings["checkpoints"], folders, strict=True)]
    pad = tokenizer_reading.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config).pad_token_id
    weights, config = pretrained.fetch(checkpoints, settings["task"], pad, settings["context"])
    families.save_family(run.out.model, run.out.config, weights, config)


if "snakemake" in globals():
    main(snakemake)
