"""Fig 10: the third component on the tokens of the first prompts; both protocols draw the same."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.data import tokenizer_reading
    from headatlas.data.windows import read_windows
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import projections

    table, facts = tables.read(snakemake.input.components), tables.facts(snakemake.input.components)
    tokenizer = tokenizer_reading.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    windows = read_windows(snakemake.input.windows)[: table["prompt"].nunique()]
    names = [tokenizer_reading.describe_tokens(tokenizer, window) for window in windows]
    figure = projections.third_component(table, facts, names)
    style.save(figure, run.out.published_png, run.out.published_pdf)
    style.save(figure, run.out.corrected_png, run.out.corrected_pdf)


if "snakemake" in globals():
    main(snakemake)
