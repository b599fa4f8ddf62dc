"""Read from weights which tokens each head raises and seeks, and the eigenvalues of its OV circuit."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import sys

    import pandas as pd

    from headatlas.base import tables
    from headatlas.base.errors import InputError
    from headatlas.data import tokenizer_reading
    from headatlas.data.windows import read_windows
    from headatlas.models import families
    from headatlas.scores import token_circuits, weight_scores

    family = families.load_family(snakemake.input.model, snakemake.input.config, run.device(run.settings["threads"]))
    tokenizer = tokenizer_reading.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    windows = read_windows(snakemake.input.windows)
    tokens = token_circuits.common_tokens(windows, run.settings["tokens"], tokenizer.all_special_ids)
    parts, eigenvalues = [], weight_scores.no_eigenvalues(family.d_head)
    layers = [(member, layer) for member in range(family.members) for layer in range(family.layers)]
    try:
        for member, layer in layers:
            parts.append(token_circuits.strongest_pairs(member, layer, family.head_weights(member, layer), tokens))
        eigenvalues = weight_scores.eigenvalue_columns((*each, family.head_weights(*each)) for each in layers)
    except InputError as error:
        print(f"no circuits: {error}", file=sys.stderr)
    table = pd.concat(parts) if parts else pd.DataFrame(columns=list(token_circuits.COLUMNS))
    facts = {"tokens": len(tokens)}
    tables.write(run.out.eigenvalues, eigenvalues, provenance=run.provenance)
    tables.write(run.out.pairs, table, facts=facts, provenance=run.provenance, schema=token_circuits.COLUMNS)


if "snakemake" in globals():
    main(snakemake)
