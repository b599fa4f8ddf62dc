"""Compare what knocking out does across all heads of a study; name the tokens that each promotes and suppresses."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.base import tables
    from headatlas.data import tokenizer_reading
    from headatlas.data.windows import read_windows
    from headatlas.models import families, interventions
    from headatlas.studies.phrenology import knockout_effects

    tokenizer = tokenizer_reading.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    windows, device = read_windows(snakemake.input.windows), run.device(run.settings["threads"])
    members, heads, named = [], [], []
    files = zip(run.settings["models"], snakemake.input.models, snakemake.input.configs, strict=True)
    for name, model, config in files:
        family = families.load_family(model, config, device)
        reading = tokenizer_reading.reading(tokenizer, family.causal) | {"seed": run.settings["seed"]}
        for index in range(family.members):
            member = interventions.open_member(family, index)
            members.append(knockout_effects.Effects(member, windows[: run.settings["prompts"]], windows, **reading))
            rows = knockout_effects.identity(name, index, member.layers, member.heads)
            heads.append(rows)
            found = knockout_effects.token_table(members[-1])
            named.append(rows.iloc[found.pop("row")].reset_index(drop=True).join(found))
    table, facts = knockout_effects.comparison(pd.concat(heads, ignore_index=True), members)
    tables.write(run.out.knockouts, table, facts=facts | {"prompts": len(members[0].clean)}, provenance=run.provenance)
    named = pd.concat(named, ignore_index=True)
    names = tokenizer_reading.describe_tokens(tokenizer, named["token"])
    named.insert(named.columns.get_loc("token") + 1, "name", names)
    tables.write(run.out.tokens, named, provenance=run.provenance, schema={"token": "int32", "rank": "int32"})
    named.to_csv(run.out.csv, index=False, float_format="%.6g")


if "snakemake" in globals():
    main(snakemake)
