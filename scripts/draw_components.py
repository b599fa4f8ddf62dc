"""Fig 9: principal components as maps of the first prompts; both protocols draw the same."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import projections

    table = tables.read(snakemake.input.components)
    figure = projections.components(table, tables.facts(snakemake.input.components))
    style.save(figure, run.out.published_png, run.out.published_pdf)
    style.save(figure, run.out.corrected_png, run.out.corrected_pdf)


if "snakemake" in globals():
    main(snakemake)
