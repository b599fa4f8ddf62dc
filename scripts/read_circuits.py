"""Read from weights and scores what the heads of attention-only models do."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.attention import patterns
    from headatlas.base import tables
    from headatlas.data import tokenizer_reading, windows
    from headatlas.models import families
    from headatlas.scores import token_circuits
    from headatlas.studies.circuits import qk_ov_circuits

    given, found = snakemake.input, []
    for place, model in enumerate(run.settings["models"]):
        family = families.load_family(given.model[place], given.config[place])
        tokenizer = tokenizer_reading.read_tokenizer(given.tokenizer[place], given.tokenizer_config[place])
        train, shown = windows.read_windows(given.train[place]), windows.read_windows(given.windows[place])
        layers = patterns.iterate_heads(given.patterns[place])
        topic = qk_ov_circuits.topic_table(layers, shown, train, len(tokenizer), tokenizer.pad_token_id)
        scores = pd.concat([tables.read(given.scores[place]), topic], ignore_index=True)
        own = {"heads": scores, "names": qk_ov_circuits.name_heads(scores)}
        common = token_circuits.common_tokens(train, 1000, tokenizer.all_special_ids)
        own |= qk_ov_circuits.of_members(family, common)
        own["induction"] = qk_ov_circuits.induction_heads(scores, own["composition"])
        if "skip_trigrams" in own:
            tokens = ("source", "destination", "output")
            own["skip_trigrams"] = tokenizer_reading.described(tokenizer, own["skip_trigrams"], *tokens)
        found.append({name: table.assign(model=model) for name, table in own.items()})
    for name, path in vars(run.out).items():
        qk_ov_circuits.write(path, name, [of_model[name] for of_model in found if name in of_model], run.provenance)


if "snakemake" in globals():
    main(snakemake)
