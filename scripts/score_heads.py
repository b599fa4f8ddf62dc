"""Measure what every head does: from its patterns, on random repeated tokens, and from its weights."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import sys

    import pandas as pd

    from headatlas.attention import pattern_streams, patterns
    from headatlas.base import tables
    from headatlas.base.errors import InputError
    from headatlas.data import tokenizer_reading, windows
    from headatlas.models import families
    from headatlas.scores import induction_scores, pattern_scores, prediction, weight_scores

    family = families.load_family(snakemake.input.model, snakemake.input.config, run.device(run.settings["threads"]))
    tokenizer = tokenizer_reading.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    around = tokenizer_reading.frame(tokenizer) if not family.causal else {}
    drawing = {"seed": run.settings["seed"], "special": tokenizer.not_drawn(family.vocabulary), **around}
    shown = windows.read_windows(snakemake.input.windows)
    blocks = [*map(pattern_streams.iterate_blocks, snakemake.input.patterns), patterns.blocks(family, shown)][0]
    parts = [
        pattern_scores.score_table(blocks, shown, causal=family.causal, pad=tokenizer.pad_token_id),
        induction_scores.score_table(family, sequences=run.settings["sequences"], **drawing),
    ]
    try:
        parts.append(induction_scores.copying_table(family, **drawing))
        parts += weight_scores.score_tables(family, seed=run.settings["seed"])
    except InputError as error:
        print(f"no scores from weights: {error}", file=sys.stderr)
    scores = pd.concat(parts, ignore_index=True)
    tables.write(run.out.scores, scores, facts=patterns.described(family, shown), provenance=run.provenance)
    prediction.warn(family, shown, tokenizer)


if "snakemake" in globals():
    main(snakemake)
