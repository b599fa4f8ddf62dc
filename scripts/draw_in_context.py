"""Fig 5: what a long context gains over a short one; corrected, with intervals and the whole curve."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.induction.figures import induction
    from headatlas.studies.induction.findings import gain

    models = run.settings["models"]
    pairs = {model: tables.read(path) for model, path in zip(models, snakemake.input.pairs, strict=True)}
    curves = {model: tables.read(path) for model, path in zip(models, snakemake.input.curve, strict=True)}
    facts = {model: tables.facts(path) for model, path in zip(models, snakemake.input.pairs, strict=True)}
    gains = {}
    for model, table in pairs.items():
        for (protocol, member), rows in table.groupby(["protocol", "member"]):
            gains[model, protocol, member] = gain(rows)
    for protocol in ("published", "corrected"):
        figure = induction.in_context(pairs, curves, facts, gains, protocol)
        style.save(figure, getattr(run.out, f"{protocol}_png"), getattr(run.out, f"{protocol}_pdf"))


if "snakemake" in globals():
    main(snakemake)
