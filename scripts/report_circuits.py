"""Say in words what the study of attention-only transformers found."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.studies.circuits import findings, sweep_effects

    given, axes = snakemake.input, run.settings["axes"]
    sweep = tables.read(given.sweep)
    ended = findings.outcomes(sweep)
    parameters = sweep_effects.effects(findings.in_grid(findings.outcomes(sweep, by_seed=True), axes), list(axes))
    losses = tables.read(given.losses) if given.losses else None
    names = ("text", "copying", "skip_trigrams", "induction", "names")
    found = [tables.read(getattr(given, name)) for name in names]
    with open(run.out.findings, "w", encoding="utf-8") as file:
        file.write(findings.findings(ended, parameters, losses, *found) + "\n")


if "snakemake" in globals():
    main(snakemake)
