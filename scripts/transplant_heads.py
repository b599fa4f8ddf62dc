"""Put every head of every other network in the place of every head, and say how much of the loss it recovers."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.data import tokenizer_reading
    from headatlas.data.windows import read_windows
    from headatlas.models import families
    from headatlas.studies.phrenology.validation import transplants

    settings, device = run.settings, run.device(run.settings["threads"])
    tokenizer = tokenizer_reading.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    windows = read_windows(snakemake.input.windows)[: settings["windows"]]
    files = zip(settings["models"], snakemake.input.models, snakemake.input.configs, strict=True)
    opened = [(name, families.load_family(model, config, device)) for name, model, config in files]
    members = [(name, family, index) for name, family in opened for index in range(family.members)]
    given = {"pad": tokenizer.pad_token_id, "mask": tokenizer.mask_token_id, "seed": settings["seed"]}
    costs, pairs = transplants.transplant(members, windows, between_layers=settings["between_layers"], **given)
    facts = {"windows": len(windows)}
    tables.write(run.out.costs, costs, facts=facts, provenance=run.provenance)
    tables.write(run.out.transplants, transplants.identified(costs, pairs), facts=facts, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
