"""Draw the published loss over positions beside the cross-entropy of the same run."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.circuits.figures import sweep

    figure = sweep.losses_compared(tables.read(snakemake.input.losses), tables.facts(snakemake.input.losses))
    style.save(figure, run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
