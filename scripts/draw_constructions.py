"""Which construction, and which map of it, shows attention best."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.attentionviz.figures import joint_embeddings

    style.save(joint_embeddings.constructions(tables.read(snakemake.input.constructions)), run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
