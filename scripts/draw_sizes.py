"""Fig 9: induction maps of models of all sizes as one mosaic; corrected, how deep induction lies in each."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.induction.figures import induction
    from headatlas.studies.induction.repeated_tokens import induction_rows

    depths, found = tables.read(snakemake.input.depth), {}
    for model, path in zip(run.settings["models"], snakemake.input.maps, strict=True):
        found[model] = induction_rows(tables.read(path), tables.facts(path)["causal"])
    for protocol in ("published", "corrected"):
        chosen = {model: table[table["protocol"] == protocol] for model, table in found.items()}
        figure = induction.sizes(chosen, depths, protocol)
        style.save(figure, getattr(run.out, f"{protocol}_png"), getattr(run.out, f"{protocol}_pdf"))


if "snakemake" in globals():
    main(snakemake)
