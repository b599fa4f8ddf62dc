"""Induction with several masks at once, and on whole words against pieces of words."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.induction.figures import beyond_the_report

    paths = zip(run.settings["models"], snakemake.input.conditions, strict=True)
    figure = beyond_the_report.masks({model: tables.read(path) for model, path in paths})
    style.save(figure, run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
