"""Choose the clustering of each protocol: a cluster for every head, the largest first."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.base import tables
    from headatlas.studies.phrenology import clustering

    parts, facts = [], {}
    for protocol in clustering.PROTOCOLS:
        heads = tables.read(snakemake.input[protocol], clustering.IDENTITY)
        criterion = clustering.criterion(clustering.member_labels(heads), protocol)
        search = clustering.read_search(snakemake.input.resolutions, protocol)
        clusters, facts[protocol] = clustering.chosen_clusters(search, criterion)
        parts.append(heads.assign(protocol=protocol, cluster=clusters))
    tables.write(run.out.clusters, pd.concat(parts, ignore_index=True), facts=facts, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
