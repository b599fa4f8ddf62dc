"""Fig 1: queries and keys of one head in one picture, and the relation wished for."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.attentionviz.figures import joint_embeddings

    maps, quality, relation = (tables.read(getattr(snakemake.input, name)) for name in ("maps", "quality", "relation"))
    published, corrected = (
        joint_embeddings.joint_embedding(maps, quality, relation, protocol) for protocol in ("published", "corrected")
    )
    style.save(published, run.out.published_png, run.out.published_pdf)
    style.save(corrected, run.out.corrected_png, run.out.corrected_pdf)


if "snakemake" in globals():
    main(snakemake)
