"""Screen all heads of a model by attribution, and ablate those that it puts first."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.base import tables
    from headatlas.data import tokenizer_reading
    from headatlas.data.windows import read_windows
    from headatlas.models import families, interventions
    from headatlas.studies.phrenology import knockout_screen

    settings = run.settings
    family = families.load_family(snakemake.input.model, snakemake.input.config, run.device(settings["threads"]))
    tokenizer = tokenizer_reading.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    windows = read_windows(snakemake.input.windows)[: settings["screen_windows"]]
    reading = tokenizer_reading.reading(tokenizer, family.causal) | {"seed": settings["seed"]}
    found, agreements = [], []
    for index in range(family.members):
        member = interventions.open_member(family, index)
        table = knockout_screen.screen_table(member, windows, most=settings["screened"], **reading)
        found.append(table.assign(member=index)[["member", *table.columns]])
        agreements.append(knockout_screen.agreement(table))
        print(f"member {index}: {knockout_screen.describe(agreements[-1])}")
    facts = {"windows": len(windows), "agreement": agreements}
    types = dict.fromkeys(("member", "layer", "head"), "int32")
    table = pd.concat(found, ignore_index=True)
    tables.write(run.out.screen, table, facts=facts, provenance=run.provenance, schema=types)


if "snakemake" in globals():
    main(snakemake)
