"""Fig 8: induction maps of the shuffled and the bidirectional setup."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.induction.figures import induction

    paths = zip(run.settings["models"], snakemake.input.maps, strict=True)
    found = {model: tables.read(path) for model, path in paths}
    columns = [
        ("shuffled", "after_left"),
        ("shuffled", "before_right"),
        ("bidirectional", "earlier"),
        ("bidirectional", "later"),
    ]
    for protocol in ("published", "corrected"):
        figure = induction.maps(found, columns, protocol)
        style.save(figure, getattr(run.out, f"{protocol}_png"), getattr(run.out, f"{protocol}_pdf"))


if "snakemake" in globals():
    main(snakemake)
