"""Write the summary of the run that a person reads at the end."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.workflow import summary

    trained = [
        summary.losses(name, tables.read(history), tables.read(baselines))
        for name, history, baselines in zip(
            run.settings["trained"], snakemake.input.training, snakemake.input.baselines, strict=True
        )
    ]
    heads = [
        row
        for name, scores in zip(run.settings["models"], snakemake.input.scores, strict=True)
        for row in summary.strongest_heads(name, tables.read(scores))
    ]
    built = [*snakemake.input.curves, *snakemake.input.built]
    words = summary.text(dict(run.settings["asked"]), trained, heads, summary.findings(built), built)
    with open(run.out.summary, "w", encoding="utf-8") as file:
        file.write(words)
    with open(run.out.page, "w", encoding="utf-8") as file:
        file.write(summary.page(words, built))


if "snakemake" in globals():
    main(snakemake)
