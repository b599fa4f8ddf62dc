"""Fig 6: the setups of random repeated tokens, each drawn from an actual trial."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.induction.figures import induction

    paths = zip(run.settings["models"], snakemake.input.maps, strict=True)
    trials = {model: tables.facts(path)["trials"] for model, path in paths}
    for protocol in ("published", "corrected"):
        figure = induction.scheme(trials, protocol)
        style.save(figure, getattr(run.out, f"{protocol}_png"), getattr(run.out, f"{protocol}_pdf"))


if "snakemake" in globals():
    main(snakemake)
