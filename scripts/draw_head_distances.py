"""Fig 7: distances between heads; corrected, the Jensen-Shannon distance by cluster beside the published one."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import projections

    heads = tables.read(snakemake.input.distances, ["model", "member", "layer", "head"])
    euclidean = tables.read_lists(snakemake.input.distances, "euclidean")
    jensen_shannon = tables.read_lists(snakemake.input.distances, "jensen_shannon")
    published = projections.head_distances(heads, euclidean)
    clusters = tables.read(snakemake.input.clusters, ["cluster"], protocol="corrected")["cluster"].to_numpy()
    corrected = projections.head_distances(heads, euclidean, jensen_shannon=jensen_shannon, groups=clusters)
    style.save(published, run.out.published_png, run.out.published_pdf)
    style.save(corrected, run.out.corrected_png, run.out.corrected_pdf)


if "snakemake" in globals():
    main(snakemake)
