"""Which part of speech attends to which beyond chance."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.attentionviz.figures import joint_embeddings

    style.save(joint_embeddings.parts_of_speech(tables.read(snakemake.input.parts_of_speech)), run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
