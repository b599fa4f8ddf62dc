"""Fig 4: what the resolution changes, and which one is chosen."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import clusters

    names = clusters.names_of(tables.read(snakemake.input.names, protocol="corrected"))
    standing, nulls = tables.read(snakemake.input.standing), tables.read(snakemake.input.nulls)
    scores = ["f_published", "f_weighted", "precision", "recall", "clusters", "modularity", "silhouette"]
    for protocol, chosen in tables.facts(snakemake.input.clusters).items():
        draws = tables.read(snakemake.input.resolutions, ["resolution", *scores], protocol=protocol)
        columns = ["low", "high", "clusters", "silhouette", "longest"]
        profile = tables.read(snakemake.input.profile, columns, protocol=protocol)
        own = nulls[(nulls["protocol"] == protocol) & (nulls["null"] == "labels")]
        own = own[own["statistic"] == chosen["criterion"]]
        null = own[["null_mean", "null_95"]].iloc[0].tolist() if len(own) else None
        figure = clusters.resolution(draws, profile, chosen, protocol, null=null, sizes=standing, names=names)
        style.save(figure, vars(run.out)[f"{protocol}_png"], vars(run.out)[f"{protocol}_pdf"])


if "snakemake" in globals():
    main(snakemake)
