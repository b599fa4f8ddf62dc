"""What the loss costs without the strongest induction heads, and what the other heads do then."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import tables
    from headatlas.figures import induction_beyond, style

    models = run.settings["models"]
    effects = {model: tables.read(path) for model, path in zip(models, snakemake.input.effects, strict=True)}
    backups = {model: tables.read(path) for model, path in zip(models, snakemake.input.backups, strict=True)}
    style.save(induction_beyond.backup_heads(effects, backups), run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
