"""Measure what every head does: from its patterns, on random repeated tokens, and from its weights."""

from headatlas.job import job


@job
def main(snakemake, run):
    import sys

    import pandas as pd

    from headatlas import families, induction, patterns, scores, tables, tokens, weights_scores
    from headatlas.errors import InputError
    from headatlas.windows import read_windows

    family = families.load_family(snakemake.input.model, snakemake.input.config, run.device(run.settings["threads"]))
    tokenizer = tokens.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    around = tokens.frame(tokenizer) if not family.causal else {}
    drawing = {"seed": run.settings["seed"], "special": tokenizer.all_special_ids, **around}

    windows = read_windows(snakemake.input.windows)
    blocks = ((member, layer, 0, taken) for member, layer, taken in patterns.iterate_heads(snakemake.input.patterns))
    parts = [
        scores.score_table(blocks, windows, causal=family.causal, pad=tokenizer.pad_token_id),
        induction.score_table(family, sequences=run.settings["sequences"], **drawing),
    ]
    try:
        parts.append(induction.copying_table(family, **drawing))
        for member in range(family.members):
            layers = [family.head_weights(member, layer) for layer in range(family.layers)]
            parts.append(weights_scores.score_table(member, layers, seed=run.settings["seed"]))
    except InputError as error:
        print(f"no scores from weights: {error}", file=sys.stderr)
    tables.write(run.out.scores, pd.concat(parts, ignore_index=True), provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
