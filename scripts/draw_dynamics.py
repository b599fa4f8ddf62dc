"""Induction, previous-token and in-context-learning scores against the tokens seen in training."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.induction.figures import induction

    paths = zip(run.settings["models"], snakemake.input.dynamics, strict=True)
    figure = induction.dynamics({model: tables.read(path) for model, path in paths})
    style.save(figure, run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
