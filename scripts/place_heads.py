"""Lay the heads out on a plane: their published embeddings by UMAP, both graphs by their edges."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import numpy as np
    import pandas as pd

    from headatlas.base import tables
    from headatlas.studies.phrenology import head_tables, knn_graph, projections

    seed, parts = run.settings["seed"], []
    heads, embedding = head_tables.read_embedding(snakemake.input.embeddings)
    kinds = tables.read(snakemake.input.kinds)
    planes = {"published": projections.umap_plane(embedding, seed=seed), "corrected": kinds[["axis_1", "axis_2"]]}
    for protocol, plane in planes.items():
        edges = tables.read(snakemake.input[f"{protocol}_edges"], ["source", "target", "weight"])
        graph = knn_graph.layout(edges, len(heads), seed)
        first, second = np.asarray(plane).T
        parts.append(
            heads.assign(protocol=protocol, map_1=first, map_2=second, graph_1=graph[:, 0], graph_2=graph[:, 1])
        )
    tables.write(run.out.places, pd.concat(parts, ignore_index=True), provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
