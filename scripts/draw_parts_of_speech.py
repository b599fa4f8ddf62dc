"""Which part of speech attends to which beyond chance."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import tables
    from headatlas.figures import attentionviz, style

    style.save(attentionviz.parts_of_speech(tables.read(snakemake.input.parts_of_speech)), run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
