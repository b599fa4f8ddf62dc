"""Prefix matching against copying: induction heads and their look-alikes."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import tables
    from headatlas.figures import induction, style
    from headatlas.look_alikes import COPYING, MATCHING

    table = tables.read(snakemake.input.look_alikes)
    style.save(induction.look_alikes(table, MATCHING, COPYING), run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
