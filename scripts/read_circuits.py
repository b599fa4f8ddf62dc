"""Read from weights and scores what the heads of attention-only models do."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.attention import patterns
    from headatlas.base import tables
    from headatlas.data import tokenizer_reading
    from headatlas.data.windows import read_windows
    from headatlas.models import families
    from headatlas.scores import token_circuits, weight_scores
    from headatlas.studies.circuits import qk_ov_circuits

    found = {name: [] for name in ("heads", "names", "skip_trigrams", "copying", "composition", "induction")}
    given = snakemake.input
    for place, model in enumerate(run.settings["models"]):
        family = families.load_family(given.model[place], given.config[place])
        tokenizer = tokenizer_reading.read_tokenizer(given.tokenizer[place], given.tokenizer_config[place])
        train, windows = read_windows(given.train[place]), read_windows(given.windows[place])
        layers = patterns.iterate_heads(given.patterns[place])
        topic = qk_ov_circuits.topic_table(layers, windows, train, len(tokenizer), tokenizer.pad_token_id)
        scores = pd.concat([tables.read(given.scores[place]), topic], ignore_index=True)
        layers = [family.head_weights(0, layer) for layer in range(family.layers)]
        own = {"heads": scores, "names": qk_ov_circuits.name_heads(scores)}
        own["composition"] = weight_scores.composition_table(0, layers)
        own["induction"] = qk_ov_circuits.induction_heads(scores, own["composition"])
        if family.layers == 1:  # with more, what a head writes is not all that reaches the output from its source
            common = token_circuits.common_tokens(train, 1000, tokenizer.all_special_ids)
            own["copying"] = qk_ov_circuits.copying_heads(layers[0], common)
            trigrams = qk_ov_circuits.skip_trigrams(layers[0], common)
            for name in ("source", "destination", "output"):
                trigrams[name] = tokenizer_reading.describe_tokens(tokenizer, trigrams[name])
            own["skip_trigrams"] = trigrams
        for name, table in own.items():
            found[name].append(table.assign(model=model))
    for name, parts in found.items():
        qk_ov_circuits.write(getattr(run.out, name), name, parts, run.provenance)


if "snakemake" in globals():
    main(snakemake)
