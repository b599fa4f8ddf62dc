"""Induction with several masks at once, and on whole words against pieces of words."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import tables
    from headatlas.figures import induction_beyond, style

    paths = zip(run.settings["models"], snakemake.input.conditions, strict=True)
    figure = induction_beyond.masks({model: tables.read(path) for model, path in paths})
    style.save(figure, run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
