"""Fig 1: text sampled under each tokenizer; corrected, with the share of continuation pieces beside it."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.circuits.figures import sweep

    texts = tables.read(snakemake.input.text)
    texts = texts[texts["model"].isin(run.settings["models"])]
    style.save(sweep.tokenizers(texts, "published"), run.out.published_png, run.out.published_pdf)
    style.save(sweep.tokenizers(texts, "corrected"), run.out.corrected_png, run.out.corrected_pdf)


if "snakemake" in globals():
    main(snakemake)
