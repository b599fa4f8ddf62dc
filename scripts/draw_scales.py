"""Fig 2: the constants that the criteria choose, as heat maps of layers and heads."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.attentionviz.figures import joint_embeddings

    table = tables.read(snakemake.input.scales)
    style.save(joint_embeddings.scales(table, "published"), run.out.published_png, run.out.published_pdf)
    style.save(joint_embeddings.scales(table, "corrected"), run.out.corrected_png, run.out.corrected_pdf)


if "snakemake" in globals():
    main(snakemake)
