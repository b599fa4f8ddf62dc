"""Draw the training curves of a family beside its baselines."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style, training_curves

    history, baselines = tables.read(snakemake.input.training), tables.read(snakemake.input.baselines)
    figure = training_curves.training_curves(history, baselines, snakemake.wildcards.model)
    style.save(figure, run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
