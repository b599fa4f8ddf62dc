"""Fig 2: the constants that the criteria choose, as heat maps of layers and heads."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import tables
    from headatlas.figures import attentionviz, style

    table = tables.read(snakemake.input.scales)
    style.save(attentionviz.scales(table, "published"), run.out.published_png, run.out.published_pdf)
    style.save(attentionviz.scales(table, "corrected"), run.out.corrected_png, run.out.corrected_pdf)


if "snakemake" in globals():
    main(snakemake)
