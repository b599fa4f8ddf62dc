"""Draw what every head is worth in loss, beside another head of its layer in its place."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import knockouts

    files = dict(zip(run.settings["models"], snakemake.input.losses, strict=True))
    losses = pd.concat([tables.read(path).assign(model=name) for name, path in files.items()], ignore_index=True)
    clusters = tables.read(snakemake.input.clusters, protocol="corrected")
    windows = tables.facts(snakemake.input.losses[0])["windows"]
    style.save(knockouts.losses(losses, clusters, windows), run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
