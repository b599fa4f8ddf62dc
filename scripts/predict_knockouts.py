"""Ask whether heads that attend alike do alike: predict each head's knockout from its attention neighbours."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.studies.phrenology import effect_prediction

    heads = tables.read(snakemake.input.knockouts, ["model", "member", "layer", "head"])
    distances = tables.read_lists(snakemake.input.distances, "jensen_shannon")
    effects = {kind: tables.read_lists(snakemake.input.knockouts, kind) for kind in effect_prediction.KINDS}
    found = effect_prediction.predict_all(heads, distances, effects, run.settings["permutations"], run.settings["seed"])
    for name in ("prediction", "heads", "draws"):
        tables.write(getattr(run.out, name), found[name], provenance=run.provenance)
    with open(run.out.findings, "w", encoding="utf-8") as file:
        file.write(f"{found['findings']}\n")


if "snakemake" in globals():
    main(snakemake)
