"""Prefix matching against copying: induction heads and their look-alikes."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.induction.figures import induction
    from headatlas.studies.induction.head_kinds import COPYING, MATCHING

    table = tables.read(snakemake.input.look_alikes)
    style.save(induction.look_alikes(table, MATCHING, COPYING), run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
