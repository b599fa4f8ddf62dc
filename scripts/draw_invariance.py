"""What leaves attention alone and what does not."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.attentionviz.figures import joint_embeddings

    style.save(joint_embeddings.invariance(tables.read(snakemake.input.invariance)), run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
