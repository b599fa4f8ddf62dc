"""Name every cluster by the scores that set it apart, and lay out a card of every head."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.base import tables
    from headatlas.studies.phrenology import cluster_labels, clustering

    clusters = tables.read(snakemake.input.clusters)
    scores = pd.concat(
        [
            tables.read(path).assign(model=model)
            for model, path in zip(run.settings["models"], snakemake.input.scores, strict=True)
        ],
        ignore_index=True,
    )
    names = {
        protocol: cluster_labels.describe_clusters(clusters[clusters["protocol"] == protocol], scores)
        for protocol in clustering.PROTOCOLS
    }
    described = pd.concat([table.assign(protocol=protocol) for protocol, table in names.items()], ignore_index=True)
    tables.write(run.out.names, described, provenance=run.provenance)
    cards = cluster_labels.head_cards(
        clusters, names, scores, tables.read(snakemake.input.stability), tables.read(snakemake.input.standing)
    )
    tables.write(run.out.cards, cards, provenance=run.provenance)
    cards.to_csv(run.out.csv, index=False, float_format="%.4g")


if "snakemake" in globals():
    main(snakemake)
