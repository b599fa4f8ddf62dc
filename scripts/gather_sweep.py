"""Gather the training of every run of a sweep in one table."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.studies.circuits import findings

    runs = {model: run.settings["runs"][model] for model in run.settings["models"]}  # in the order of the files
    histories = [tables.read(path) for path in snakemake.input.training]
    baselines = [tables.read(path) for path in snakemake.input.baselines]
    tables.write(run.out.sweep, findings.gather(runs, histories, baselines), provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
