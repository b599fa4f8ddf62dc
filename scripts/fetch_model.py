"""Fetch the checkpoints of a pretrained family and stack their weights."""

from headatlas.job import job


@job
def main(snakemake, run):
    import json

    from safetensors.torch import save_file

    from headatlas import pretrained, sources, tokens
    from headatlas.store import file_digest

    settings = run.settings
    checkpoints = [
        {**given, "folder": sources.model_folder(given["name"], given["revision"], run.mirror, run.downloads)}
        for given in settings["checkpoints"]
    ]
    pad = tokens.load_tokenizer(snakemake.input.tokenizer).pad_token_id
    weights, config = pretrained.fetch(checkpoints, settings["task"], pad)
    save_file(weights, run.out.model)
    with open(run.out.config, "w", encoding="utf-8") as file:
        json.dump({**config, "sha256": file_digest(run.out.model)}, file, indent=1, sort_keys=True)


if "snakemake" in globals():
    main(snakemake)
