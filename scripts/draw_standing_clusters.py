"""The page that says how many clusters stand, and which do not."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import cluster_report, clusters

    nulls = tables.read(snakemake.input.nulls, protocol="corrected")
    draws = tables.read(snakemake.input.draws, protocol="corrected")
    names = clusters.names_of(tables.read(snakemake.input.names, protocol="corrected"))
    standing, facts = tables.read(snakemake.input.standing), tables.facts(snakemake.input.standing)
    figure = cluster_report.clusters_stand(nulls, draws, standing, names, facts["sentence"])
    style.save(figure, run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
