"""Choose the clustering of each protocol: a cluster for every head, the largest first."""

from headatlas.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas import classification, tables

    parts, facts = [], {}
    for protocol in classification.PROTOCOLS:
        heads = tables.read(snakemake.input[protocol], classification.IDENTITY)
        settings = classification.search_settings(classification.member_labels(heads), protocol)
        search = classification.read_search(snakemake.input.resolutions, protocol)
        clusters, facts[protocol] = classification.chosen_clusters(search, settings.criterion)
        parts.append(heads.assign(protocol=protocol, cluster=clusters))
    tables.write(run.out.clusters, pd.concat(parts, ignore_index=True), facts=facts, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
