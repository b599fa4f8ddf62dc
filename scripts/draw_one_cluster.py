"""Fig 13: the logits after one prompt with each head of one cluster knocked out."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import knockouts

    files = dict(zip(run.settings["models"], snakemake.input.prompts, strict=True))
    logits = pd.concat([tables.read(path).assign(model=name) for name, path in files.items()], ignore_index=True)
    prompt = tables.facts(snakemake.input.prompts[0])["prompt"]
    for protocol in ("published", "corrected"):
        clusters = tables.read(snakemake.input.clusters, protocol=protocol)
        figure = knockouts.one_cluster(logits, clusters, run.settings["cluster"], prompt, protocol)
        png, pdf = getattr(run.out, f"{protocol}_png"), getattr(run.out, f"{protocol}_pdf")
        style.save(figure, png, pdf)


if "snakemake" in globals():
    main(snakemake)
