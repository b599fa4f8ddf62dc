"""Train autoencoders of every width and seed under both protocols; embed the heads with the one chosen."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.attention.pattern_streams import PatternStream
    from headatlas.base import tables
    from headatlas.studies.phrenology import autoencoder_protocols, head_tables
    from headatlas.studies.phrenology.autoencoder import AutoencoderSettings

    given = dict(run.settings["autoencoders"])
    held_out, most = given.pop("held_out"), given.pop("numbers")
    paths = dict(zip(run.settings["models"], snakemake.input.patterns, strict=True))
    heads = (stream := PatternStream(paths)).heads
    found = autoencoder_protocols.both_protocols(
        autoencoder_protocols.read_within(stream, most),
        head_tables.member_labels(heads),
        stream.size,
        stream.packing,
        AutoencoderSettings(**given | {name: tuple(given[name]) for name in ("widths", "seeds")}),
        held_out=held_out,
        seed=run.settings["seed"],
        device=run.device(threads=1),
    )
    for protocol, path in (("published", run.out.published), ("corrected", run.out.corrected)):
        columns = {name: heads[name].to_numpy() for name in heads}
        columns["embedding"] = found[protocol].embedding.reshape(len(heads), -1)
        facts = {"width": found[protocol].network.width, "seed": found[protocol].network.seed}
        tables.write(path, columns, facts=facts, provenance=run.provenance)
    for name, part in (("autoencoders", "table"), ("importance", "importance"), ("decoded", "decoded")):
        rows = [getattr(result, part).assign(protocol=protocol) for protocol, result in found.items()]
        tables.write(vars(run.out)[name], pd.concat(rows, ignore_index=True), provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
