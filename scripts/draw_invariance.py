"""What leaves attention alone and what does not."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import tables
    from headatlas.figures import attentionviz, style

    style.save(attentionviz.invariance(tables.read(snakemake.input.invariance)), run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
