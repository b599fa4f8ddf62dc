"""Extract the attention patterns of every head over the analysis windows."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.attention import patterns
    from headatlas.data.windows import read_windows
    from headatlas.models import families

    family = families.load_family(snakemake.input.model, snakemake.input.config, run.device(run.settings["threads"]))
    windows = read_windows(snakemake.input.windows)
    patterns.write(run.out.patterns, family, windows, kept=run.settings["patterns"], provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
