"""What the loss costs without the strongest induction heads, and what the other heads do then."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.induction.figures import beyond_the_report

    models = run.settings["models"]
    effects = {model: tables.read(path) for model, path in zip(models, snakemake.input.effects, strict=True)}
    backups = {model: tables.read(path) for model, path in zip(models, snakemake.input.backups, strict=True)}
    style.save(beyond_the_report.backup_heads(effects, backups), run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
