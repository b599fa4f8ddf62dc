"""Knock out every head of a model: what that costs in loss, and what it does to the end of one prompt."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.base import tables
    from headatlas.data import tokenizer_reading
    from headatlas.data.windows import read_windows
    from headatlas.models import families, interventions
    from headatlas.studies.phrenology import knockout_effects

    settings = run.settings
    family = families.load_family(snakemake.input.model, snakemake.input.config, run.device(settings["threads"]))
    tokenizer = tokenizer_reading.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    windows = read_windows(snakemake.input.windows)
    longest, key = windows.shape[1] - (not family.causal), "studies.phrenology.knockouts.prompt"  # a mask may follow
    prompt = tokenizer_reading.given_or_held_out(tokenizer, settings["prompt"], windows[0], longest, key)
    reading = tokenizer_reading.reading(tokenizer, family.causal) | {"seed": settings["seed"]}
    losses, classes, logits = [], [], []
    for index in range(family.members):
        member, part = interventions.open_member(family, index), windows[: settings["windows"]]
        by_head = knockout_effects.loss_tables(member, part, windows, others=settings["others"], **reading)
        after = knockout_effects.prompt_table(member, prompt, windows, **reading)
        for parts, table in zip((losses, classes, logits), (*by_head, after), strict=True):
            parts.append(table.assign(member=index))
    shown = pd.concat(logits, ignore_index=True)
    shown["name"] = tokenizer_reading.describe_tokens(tokenizer, shown["token"])
    types, facts = dict.fromkeys(("member", "layer", "head"), "int32"), {"windows": len(part)}
    for path, parts in ((run.out.losses, losses), (run.out.by_class, classes)):
        tables.write(path, pd.concat(parts), facts=facts, provenance=run.provenance, schema=types)
    facts = {"prompt": tokenizer_reading.describe_tokens(tokenizer, prompt), "text": tokenizer.backend.decode(prompt)}
    tables.write(run.out.prompt, shown, facts=facts, provenance=run.provenance, schema=types | {"token": "int32"})


if "snakemake" in globals():
    main(snakemake)
