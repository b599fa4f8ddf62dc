"""Fig 10: the third component on the tokens of the first prompts; both protocols draw the same."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import tables, tokens
    from headatlas.figures import phrenology, style
    from headatlas.windows import read_windows

    table, facts = tables.read(snakemake.input.components), tables.facts(snakemake.input.components)
    tokenizer = tokens.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    windows = read_windows(snakemake.input.windows)[: table["prompt"].nunique()]
    names = [tokens.describe_tokens(tokenizer, window) for window in windows]
    figure = phrenology.third_component(table, facts, names)
    style.save(figure, run.out.published_png, run.out.published_pdf)
    style.save(figure, run.out.corrected_png, run.out.corrected_pdf)


if "snakemake" in globals():
    main(snakemake)
