"""Cluster the heads at many resolutions under both protocols, and find every change point of the resolution."""

from headatlas.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas import classification, graphs, tables

    given, seed = run.settings["clusters"], run.settings["seed"]
    draws, profiles, edges, facts = {}, {}, [], {}
    for protocol in classification.PROTOCOLS:
        heads, embedding = classification.read_embedding(snakemake.input[protocol])
        labels = classification.member_labels(heads)
        build = classification.graph_builder(labels, protocol, given["neighbours"], given["weight"])
        graph, distances = build(embedding)
        settings = classification.search_settings(labels, protocol, seed, draws=given["draws"])
        search = settings(graph, labels, distances)
        draws[protocol] = search.draws, search.partitions[search.draws["partition"]]
        profiles[protocol] = graphs.exact_profile(graph, labels, settings.low, settings.high, seed, search, distances)
        edges.append(graphs.edge_table(graph).assign(protocol=protocol))
        facts[protocol] = {name: build.keywords[name] for name in ("neighbours", "weight")}
    for name, parts in (("resolutions", draws), ("profile", profiles)):
        tables.write(vars(run.out)[name], classification.clusterings(parts), provenance=run.provenance)
    tables.write(run.out.edges, pd.concat(edges, ignore_index=True), facts=facts, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
