"""Let the models that a study shows continue its prompt, and see what their heads look at meanwhile."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.base import tables
    from headatlas.data.tokenizer_reading import given_or_held_out, read_tokenizer
    from headatlas.data.windows import read_windows
    from headatlas.models import families
    from headatlas.studies.circuits import generation, qk_ov_circuits

    settings, device, given = run.settings["generation"], run.device(run.settings["threads"]), snakemake.input
    drawing = {key: settings[key] for key in ("temperature", "top_k", "top_p", "seed")}
    texts, looks = [], []
    for place, model in enumerate(run.settings["models"]):
        family = families.load_family(given.model[place], given.config[place], device)
        tokenizer = read_tokenizer(given.tokenizer[place], given.tokenizer_config[place])
        window, longest = read_windows(given.windows[place])[0], family.context + 1 - settings["tokens"]
        key = "studies.circuits.generation.prompt"
        prompt = given_or_held_out(tokenizer, settings["prompt"], window, longest, key)
        options = {"length": settings["tokens"], "banned": tokenizer.all_special_ids}
        greedy = generation.generate(family, [prompt], greedy=True, **options)
        drawn = generation.generate(family, [prompt] * settings["texts"], **options, **drawing)
        found = generation.text_table([*greedy, *drawn], tokenizer, len(prompt))
        texts.append(found.assign(model=model, tokenizer=run.settings["tokenizers"][place]))
        looks.append(qk_ov_circuits.looked_at(family.attention([drawn[0]], 0)).assign(model=model))
    types = dict.fromkeys(("sample", "position", "token"), "int32")
    tables.write(run.out.text, pd.concat(texts), provenance=run.provenance, schema=types)
    tables.write(run.out.attention, pd.concat(looks), provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
