"""Compare the models: how deep their induction heads lie, and which heads only look like them."""

from headatlas.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas import depth, look_alikes, repeats, tables

    scores, told = [], []
    for model, maps, own in zip(run.settings["models"], snakemake.input.maps, snakemake.input.scores, strict=True):
        causal = tables.facts(maps)["causal"]
        found = repeats.induction_rows(tables.read(maps), causal)
        scores.append(found.assign(model=model))
        asked = None if causal else found[found["protocol"] == "corrected"]
        told.append(look_alikes.tell_apart(tables.read(own), asked).assign(model=model))
    table = depth.depth_table(pd.concat(scores), seed=run.settings["seed"])
    tables.write(run.out.depth, table, provenance=run.provenance)
    tables.write(run.out.look_alikes, pd.concat(told, ignore_index=True), provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
