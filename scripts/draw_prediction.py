"""Draw how well the effect of knocking a head out is predicted by the heads that attend like it."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import knockouts

    parts = {name: tables.read(snakemake.input[name]) for name in ("prediction", "heads", "draws")}
    clusters = tables.read(snakemake.input.clusters, protocol="corrected")
    style.save(knockouts.prediction(**parts, clusters=clusters), run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
