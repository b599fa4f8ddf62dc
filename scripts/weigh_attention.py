"""Weigh the attention of every head by what the values that it attends to write."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.attention import value_weighted
    from headatlas.base import tables
    from headatlas.data.windows import read_windows
    from headatlas.models import families

    family = families.load_family(snakemake.input.model, snakemake.input.config, run.device(run.settings["threads"]))
    windows = read_windows(snakemake.input.windows)
    table = value_weighted.place_table(family, windows)
    facts = {"size": windows.shape[1], "causal": family.causal, "windows": len(windows)}
    types = dict.fromkeys(("member", "layer", "head"), "int32")
    tables.write(run.out.weighted, table, facts=facts, provenance=run.provenance, schema=types)


if "snakemake" in globals():
    main(snakemake)
