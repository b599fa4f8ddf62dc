"""Find kinds of heads by the longest plateau of the resolution, and ask whether there are any: is it a continuum?"""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import numpy as np

    from headatlas.base import tables
    from headatlas.studies.phrenology import head_tables, knn_graph, partition_scores
    from headatlas.studies.phrenology.correspondence import continuum, kinds

    given, seed = run.settings["kinds"], run.settings["seed"]
    heads, distances = head_tables.read_distances(snakemake.input.distances)
    members = head_tables.member_labels(heads)
    neighbours = kinds.neighbours_of(members, given["neighbours"])
    found = kinds.find_kinds(distances, neighbours, seed=seed)
    against = continuum.against_continuum(distances, members, neighbours, draws=given["continua"], seed=seed)
    graph = knn_graph.neighbour_graph(distances=distances, neighbours=neighbours, weight="affinity")
    facts = {"neighbours": neighbours, "p": against.p, "length": against.length, "axis_share": against.share}
    facts |= {"continua": given["continua"], "are_kinds": bool(against.kinds), "axis_p": against.p_shared}
    facts["axis_share_within"] = against.share_within
    facts["counted"] = kinds.describe_count(found.plateaus)
    columns = {name: heads[name].to_numpy() for name in heads}
    columns["kind"] = found.labels if against.kinds else np.full_like(found.labels, -1)
    columns["candidate"] = found.labels
    columns["silhouette"] = partition_scores.node_silhouettes(found.labels, distances)
    points = continuum.coordinates(distances)
    columns |= {f"axis_{i + 1}": points[:, i] if points.shape[1] > i else np.zeros(len(points)) for i in (0, 1)}
    tables.write(run.out.kinds, columns, facts=facts, provenance=run.provenance)
    plateaus = {name: found.plateaus[name].to_numpy() for name in found.plateaus} | {"labels": found.partitions}
    tables.write(run.out.plateaus, plateaus, facts=facts, provenance=run.provenance)
    tables.write(run.out.continua, {"length": against.lengths}, facts=facts, provenance=run.provenance)
    tables.write(run.out.edges, knn_graph.edge_table(graph), facts=facts, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
