"""Let the models that a study shows continue its prompt, and see what their heads look at meanwhile."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.base import tables
    from headatlas.data import tokenizer_reading
    from headatlas.models import families
    from headatlas.studies.circuits import generation, qk_ov_circuits

    settings, device, given = run.settings["generation"], run.device(run.settings["threads"]), snakemake.input
    drawing = {key: settings[key] for key in ("temperature", "top_k", "top_p", "seed")}
    texts, looks = [], []
    for place, model in enumerate(run.settings["models"]):
        family = families.load_family(given.model[place], given.config[place], device)
        tokenizer = tokenizer_reading.read_tokenizer(given.tokenizer[place], given.tokenizer_config[place])
        prompt = tokenizer.encode(settings["prompt"])
        options = {"length": settings["tokens"], "banned": tokenizer.all_special_ids}
        greedy = generation.generate(family, [prompt], greedy=True, **options)
        drawn = generation.generate(family, [prompt] * settings["texts"], **options, **drawing)
        names = tokenizer_reading.describe_tokens(tokenizer, range(len(tokenizer)))
        spaced = any(name.startswith("␣") for name in names)
        identity = {"model": model, "tokenizer": run.settings["tokenizers"][place]}
        for sample, text in zip(range(-1, len(drawn)), [*greedy, *drawn], strict=True):  # -1: greedy
            pieces = tokenizer_reading.describe_tokens(tokenizer, text)
            columns = {**identity, "sample": sample, "position": range(len(text)), "token": text, "piece": pieces}
            found = pd.DataFrame({**columns, "continuation": qk_ov_circuits.continuations(pieces, spaced)})
            texts.append(found.assign(generated=found["position"] >= len(prompt)))
        looks.append(qk_ov_circuits.looked_at(family.attention([drawn[0]], 0)).assign(model=model))
    types = dict.fromkeys(("sample", "position", "token"), "int32")
    tables.write(run.out.text, pd.concat(texts), provenance=run.provenance, schema=types)
    tables.write(run.out.attention, pd.concat(looks), provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
