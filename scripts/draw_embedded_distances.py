"""Fig 2: distances between embedded heads; corrected, the Jensen-Shannon distance of their patterns beside them."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from sklearn.metrics.pairwise import euclidean_distances

    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import clusters

    jensen_shannon = tables.read_lists(snakemake.input.distances, "jensen_shannon")
    for protocol, beside in (("published", None), ("corrected", jensen_shannon)):
        path = snakemake.input[protocol]
        heads = tables.read(path, ["model", "member", "layer", "head"])
        embedded = euclidean_distances(tables.read_lists(path, "embedding"))
        figure = clusters.embedded_distances(heads, embedded, tables.facts(path)["width"], jensen_shannon=beside)
        style.save(figure, vars(run.out)[f"{protocol}_png"], vars(run.out)[f"{protocol}_pdf"])


if "snakemake" in globals():
    main(snakemake)
