"""Cluster the heads at many resolutions under both protocols, and find every change point of the resolution."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.base import tables
    from headatlas.studies.phrenology import clustering, knn_graph, resolution_search

    given, seed = run.settings["clusters"], run.settings["seed"]
    draws, profiles, edges, facts = {}, {}, [], {}
    for protocol in clustering.PROTOCOLS:
        heads, embedding = clustering.read_embedding(snakemake.input[protocol])
        labels = clustering.member_labels(heads)
        build = clustering.graph_builder(labels, protocol, given["neighbours"], given["weight"])
        graph, distances = build(embedding)
        settings = clustering.search_settings(labels, protocol, given["draws"], seed)
        search = settings(graph, labels, distances)
        draws[protocol] = search.draws, search.partitions[search.draws["partition"]]
        profiles[protocol] = resolution_search.exact_profile(
            graph, labels, settings.low, settings.high, seed, search, distances
        )
        edges.append(knn_graph.edge_table(graph).assign(protocol=protocol))
        facts[protocol] = {name: build.keywords[name] for name in ("neighbours", "weight")}
    for name, parts in (("resolutions", draws), ("profile", profiles)):
        tables.write(vars(run.out)[name], clustering.clusterings(parts), provenance=run.provenance)
    tables.write(run.out.edges, pd.concat(edges, ignore_index=True), facts=facts, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
