"""Fig 1: queries and keys of one head in one picture, and the relation wished for."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import tables
    from headatlas.figures import attentionviz, style

    maps, quality, relation = (tables.read(getattr(snakemake.input, name)) for name in ("maps", "quality", "relation"))
    published, corrected = (
        attentionviz.joint_embedding(maps, quality, relation, protocol) for protocol in ("published", "corrected")
    )
    style.save(published, run.out.published_png, run.out.published_pdf)
    style.save(corrected, run.out.corrected_png, run.out.corrected_pdf)


if "snakemake" in globals():
    main(snakemake)
