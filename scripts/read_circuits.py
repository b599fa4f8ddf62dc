"""Read from weights and scores what the heads of attention-only models do."""

from headatlas.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas import attention_only, families, patterns, tables, tokens, weights_scores
    from headatlas.windows import read_windows

    found = {name: [] for name in ("heads", "names", "skip_trigrams", "copying", "composition", "induction")}
    given = snakemake.input
    for place, model in enumerate(run.settings["models"]):
        family = families.load_family(given.model[place], given.config[place])
        tokenizer = tokens.read_tokenizer(given.tokenizer[place], given.tokenizer_config[place])
        train, windows = read_windows(given.train[place]), read_windows(given.windows[place])
        layers = patterns.iterate_heads(given.patterns[place])
        topic = attention_only.topic_table(layers, windows, train, len(tokenizer), tokenizer.pad_token_id)
        scores = pd.concat([tables.read(given.scores[place]), topic], ignore_index=True)
        layers = [family.head_weights(0, layer) for layer in range(family.layers)]
        own = {"heads": scores, "names": attention_only.name_heads(scores)}
        own["composition"] = weights_scores.composition_table(0, layers)
        own["induction"] = attention_only.induction_heads(scores, own["composition"])
        if family.layers == 1:  # with more, what a head writes is not all that reaches the output from its source
            common = attention_only.common_tokens(train, 1000, tokenizer.all_special_ids)
            own["copying"] = attention_only.copying_heads(layers[0], common)
            trigrams = attention_only.skip_trigrams(layers[0], common)
            for name in ("source", "destination", "output"):
                trigrams[name] = tokens.describe_tokens(tokenizer, trigrams[name])
            own["skip_trigrams"] = trigrams
        for name, table in own.items():
            found[name].append(table.assign(model=model))
    for name, parts in found.items():
        attention_only.write(getattr(run.out, name), name, parts, run.provenance)


if "snakemake" in globals():
    main(snakemake)
