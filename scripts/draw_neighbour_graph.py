"""Fig 3: the graph of nearest neighbours that is clustered."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import clusters

    for protocol in ("published", "corrected"):
        places = tables.read(snakemake.input.places, protocol=protocol)
        own = tables.read(snakemake.input.clusters, ["cluster"], protocol=protocol)["cluster"].to_numpy()
        facts = tables.facts(snakemake.input.edges)[protocol]
        figure = clusters.neighbour_graph(
            places,
            tables.read(snakemake.input.edges, protocol=protocol),
            own,
            clusters.names_of(tables.read(snakemake.input.names, protocol=protocol)),
            protocol,
            facts["neighbours"],
        )
        style.save(figure, vars(run.out)[f"{protocol}_png"], vars(run.out)[f"{protocol}_pdf"])


if "snakemake" in globals():
    main(snakemake)
