"""Compare the models: how deep their induction heads lie, and which heads only look like them."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.base import tables
    from headatlas.studies.induction import head_kinds, induction_depth, repeated_tokens

    scores, told = [], []
    for model, maps, own in zip(run.settings["models"], snakemake.input.maps, snakemake.input.scores, strict=True):
        causal = tables.facts(maps)["causal"]
        found = repeated_tokens.induction_rows(tables.read(maps), causal)
        scores.append(found.assign(model=model))
        corrected = found[found["protocol"] == "corrected"]
        told.append(head_kinds.tell_apart(tables.read(own), corrected).assign(model=model))
    table = induction_depth.depth_table(pd.concat(scores), seed=run.settings["seed"])
    tables.write(run.out.depth, table, provenance=run.provenance)
    tables.write(run.out.look_alikes, pd.concat(told, ignore_index=True), provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
