"""Draw the published loss over positions beside the cross-entropy of the same run."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import tables
    from headatlas.figures import circuits, style

    figure = circuits.losses_compared(tables.read(snakemake.input.losses), tables.facts(snakemake.input.losses))
    style.save(figure, run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
