"""Fig 8: heads beside artificial ones in UMAP, t-SNE and PCA; corrected, with the trust each panel deserves."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import projections

    table, facts = tables.read(snakemake.input.projections), tables.facts(snakemake.input.projections)
    style.save(projections.projections(table, facts, "published"), run.out.published_png, run.out.published_pdf)
    style.save(projections.projections(table, facts, "corrected"), run.out.corrected_png, run.out.corrected_pdf)


if "snakemake" in globals():
    main(snakemake)
