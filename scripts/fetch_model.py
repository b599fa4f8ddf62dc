"""Fetch the checkpoints of a pretrained family and stack their weights."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import families, pretrained, sources, tokens

    settings = run.settings
    checkpoints = [
        {**given, "folder": sources.model_folder(given["name"], given["revision"], run.mirror, run.downloads)}
        for given in settings["checkpoints"]
    ]
    pad = tokens.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config).pad_token_id
    weights, config = pretrained.fetch(checkpoints, settings["task"], pad)
    families.save_family(run.out.model, run.out.config, weights, config)


if "snakemake" in globals():
    main(snakemake)
