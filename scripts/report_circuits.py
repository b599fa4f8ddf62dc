"""Say in words what the study of attention-only transformers found."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import sweep_report, tables

    given, axes = snakemake.input, run.settings["axes"]
    ended = sweep_report.outcomes(tables.read(given.sweep))
    parameters = sweep_report.effects(sweep_report.in_grid(ended, axes), list(axes))
    losses = tables.read(given.losses) if given.losses else None
    names = ("text", "copying", "skip_trigrams", "induction", "names")
    found = [tables.read(getattr(given, name)) for name in names]
    with open(run.out.findings, "w", encoding="utf-8") as file:
        file.write(sweep_report.findings(ended, parameters, losses, *found) + "\n")


if "snakemake" in globals():
    main(snakemake)
