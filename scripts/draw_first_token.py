"""Fig 11: tokens by what the heads do with them, as published and as its title says."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import projections

    table = tables.read(snakemake.input.first_token)
    style.save(projections.first_token(table, "published"), run.out.published_png, run.out.published_pdf)
    style.save(projections.first_token(table, "corrected"), run.out.corrected_png, run.out.corrected_pdf)


if "snakemake" in globals():
    main(snakemake)
