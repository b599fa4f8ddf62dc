"""Compare the OV and the QK circuits of all heads of a study over their common vocabulary, from weights alone."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import sys

    import numpy as np
    import pandas as pd

    from headatlas.base import tables
    from headatlas.base.errors import InputError
    from headatlas.models import families
    from headatlas.studies.phrenology.knockout_effects import identity
    from headatlas.studies.phrenology.validation import circuit_similarity

    run.device(run.settings["threads"])
    files = zip(run.settings["models"], snakemake.input.models, snakemake.input.configs, strict=True)
    opened = [(name, families.load_family(model, config)) for name, model, config in files]
    members = [(name, family, index) for name, family in opened for index in range(family.members)]
    heads = [identity(name, index, family.layers, family.heads) for name, family, index in members]
    heads = pd.concat(heads, ignore_index=True)
    try:
        networks = [
            [family.head_weights(index, layer) for layer in range(family.layers)] for _, family, index in members
        ]
        cosines = circuit_similarity.circuit_cosines(networks)
    except InputError as error:
        print(f"no circuits: {error}", file=sys.stderr)
        cosines = dict.fromkeys(circuit_similarity.CIRCUITS, np.full((len(heads), len(heads)), np.nan))
    columns = {name: heads[name].to_numpy() for name in heads} | cosines
    tables.write(run.out.circuits, columns, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
