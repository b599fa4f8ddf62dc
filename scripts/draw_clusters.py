"""Fig 5: the chosen clusters on a plane, with their names."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import clusters

    for protocol, chosen in tables.facts(snakemake.input.clusters).items():
        places = tables.read(snakemake.input.places, protocol=protocol)
        own = tables.read(snakemake.input.clusters, ["cluster"], protocol=protocol)["cluster"].to_numpy()
        names = clusters.names_of(tables.read(snakemake.input.names, protocol=protocol))
        figure = clusters.clusters_on_plane(places, own, names, chosen["resolution"])
        style.save(figure, vars(run.out)[f"{protocol}_png"], vars(run.out)[f"{protocol}_pdf"])


if "snakemake" in globals():
    main(snakemake)
