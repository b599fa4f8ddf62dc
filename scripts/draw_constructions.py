"""Which construction, and which map of it, shows attention best."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import tables
    from headatlas.figures import attentionviz, style

    style.save(attentionviz.constructions(tables.read(snakemake.input.constructions)), run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
