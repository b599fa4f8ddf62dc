"""Lay the heads out on a plane: their embeddings by UMAP, their graph by its edges."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.base import tables
    from headatlas.studies.phrenology import clustering, knn_graph, projections

    parts, seed = [], run.settings["seed"]
    for protocol in clustering.PROTOCOLS:
        heads, embedding = clustering.read_embedding(snakemake.input[protocol])
        edges = tables.read(snakemake.input.edges, ["source", "target", "weight"], protocol=protocol)
        umap, graph = projections.umap_plane(embedding, seed=seed), knn_graph.layout(edges, len(heads), seed)
        places = {"umap_1": umap[:, 0], "umap_2": umap[:, 1], "graph_1": graph[:, 0], "graph_2": graph[:, 1]}
        parts.append(heads.assign(protocol=protocol, **places))
    tables.write(run.out.places, pd.concat(parts, ignore_index=True), provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
