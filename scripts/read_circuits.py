"""Read from weights and scores what the heads of attention-only models do."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.attention import patterns
    from headatlas.base import tables
    from headatlas.data import tokenizer_reading, windows
    from headatlas.models import families
    from headatlas.scores import token_circuits, weight_scores
    from headatlas.studies.circuits import qk_ov_circuits

    given, found = snakemake.input, []
    for place, model in enumerate(run.settings["models"]):
        family = families.load_family(given.model[place], given.config[place])
        tokenizer = tokenizer_reading.read_tokenizer(given.tokenizer[place], given.tokenizer_config[place])
        train, shown = windows.read_windows(given.train[place]), windows.read_windows(given.windows[place])
        layers = patterns.iterate_heads(given.patterns[place])
        topic = qk_ov_circuits.topic_table(layers, shown, train, len(tokenizer), tokenizer.pad_token_id)
        scores = pd.concat([tables.read(given.scores[place]), topic], ignore_index=True)
        layers = [family.head_weights(0, layer) for layer in range(family.layers)]
        own = {"heads": scores, "names": qk_ov_circuits.name_heads(scores)}
        own["composition"] = weight_scores.composition_table(0, layers)
        own["induction"] = qk_ov_circuits.induction_heads(scores, own["composition"])
        if family.layers == 1:  # with more, what a head writes is not all that reaches the output from its source
            common = token_circuits.common_tokens(train, 1000, tokenizer.all_special_ids)
            own["copying"] = qk_ov_circuits.copying_heads(layers[0], common)
            trigrams = qk_ov_circuits.skip_trigrams(layers[0], common)
            own["skip_trigrams"] = tokenizer_reading.described(tokenizer, trigrams, "source", "destination", "output")
        found.append({name: table.assign(model=model) for name, table in own.items()})
    for name, path in vars(run.out).items():
        qk_ov_circuits.write(path, name, [of_model[name] for of_model in found if name in of_model], run.provenance)


if "snakemake" in globals():
    main(snakemake)
