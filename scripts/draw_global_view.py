"""All heads at once: a small joint map of each."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.attentionviz.figures import joint_embeddings

    maps, table = tables.read(snakemake.input.maps), tables.read(snakemake.input.constructions)
    style.save(joint_embeddings.global_view(maps, table, snakemake.wildcards.colour), run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
