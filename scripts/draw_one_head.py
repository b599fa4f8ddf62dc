"""Fig 12: the logits after one prompt with a head knocked out, by zero and, corrected, by its mean and by others."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import knockouts

    member, layer, head = run.settings["head"]
    table = tables.read(snakemake.input.prompt, member=member, layer=layer, head=head)
    prompt = tables.facts(snakemake.input.prompt)["prompt"]
    figure = knockouts.one_head(table, prompt, "published")
    style.save(figure, run.out.published_png, run.out.published_pdf)
    figure = knockouts.one_head(table, prompt, "corrected")
    style.save(figure, run.out.corrected_png, run.out.corrected_pdf)


if "snakemake" in globals():
    main(snakemake)
