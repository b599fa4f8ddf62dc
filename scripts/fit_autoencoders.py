"""Train autoencoders of every width and seed under both protocols; embed the heads with the one chosen."""

from headatlas.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas import classification, compression, patterns, tables
    from headatlas.autoencoder import AutoencoderSettings

    given = dict(run.settings["autoencoders"])
    held_out = given.pop("held_out")
    chosen = AutoencoderSettings(**given | {name: tuple(given[name]) for name in ("widths", "seeds")})
    device = run.device(run.settings["threads"])
    paths = dict(zip(run.settings["models"], snakemake.input.patterns, strict=True))
    heads, packed, size, packing = patterns.read_models(paths)
    members = classification.member_labels(heads)
    parts = {"autoencoders": [], "importance": [], "decoded": []}
    for protocol, path in (("published", run.out.published), ("corrected", run.out.corrected)):
        found = compression.compress(
            packed, members, size, packing, protocol, chosen, held_out, run.settings["seed"], device
        )
        for name, table in zip(parts, (found.table, found.importance, found.decoded), strict=True):
            parts[name].append(table.assign(protocol=protocol))
        columns = {name: heads[name].to_numpy() for name in heads}
        columns["embedding"] = found.embedding.reshape(len(heads), -1)
        facts = {"width": found.network.width, "seed": found.network.seed}
        tables.write(path, columns, facts=facts, provenance=run.provenance)
    for name, found in parts.items():
        tables.write(vars(run.out)[name], pd.concat(found, ignore_index=True), provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
