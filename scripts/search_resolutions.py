"""Cluster the embedded heads as published: Leiden at random resolutions, the first maximum of F, and its chance."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import numpy as np
    import pandas as pd

    from headatlas.base import tables
    from headatlas.studies.phrenology import head_tables, knn_graph, resolution_search
    from headatlas.studies.phrenology.correspondence.kinds import by_size

    given, seed = run.settings["search"], run.settings["seed"]
    heads, embedding = head_tables.read_embedding(snakemake.input.embeddings)
    members = head_tables.member_labels(heads)
    neighbours = min(resolution_search.NEIGHBOURS - 1, len(heads) - 1)
    graph, distances = knn_graph.euclidean_graph(embedding, neighbours)
    criterion, draws, labels, chosen = resolution_search.criterion_of(members), [], [], {}
    for leiden in ("published", "converged"):
        drawing = {"converged": leiden == "converged", "seed": seed, "distances": distances}
        search = resolution_search.resolution_search(graph, members, given["draws"], **drawing)
        draws.append(search.draws.assign(leiden=leiden))
        labels.append(search.partitions[search.draws["partition"]])
        chosen[leiden] = search.best(criterion)
    facts = {"neighbours": neighbours, "leiden": resolution_search.preferred(chosen), "criterion": criterion}
    facts |= {leiden: resolution_search.facts_of(choice) for leiden, choice in chosen.items()}
    if criterion == "f_published":
        facts["null"] = resolution_search.label_null(search, members, given["label_permutations"], seed)
    columns = pd.concat(draws, ignore_index=True)
    columns = {name: columns[name].to_numpy() for name in columns} | {"labels": np.concatenate(labels)}
    tables.write(run.out.resolutions, columns, facts=facts, provenance=run.provenance)
    tables.write(run.out.edges, knn_graph.edge_table(graph), facts=facts, provenance=run.provenance)
    clusters = heads.assign(cluster=by_size(chosen[facts["leiden"]].labels))
    tables.write(run.out.clusters, clusters, facts=facts, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
