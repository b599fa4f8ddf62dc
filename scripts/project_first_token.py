"""Project tokens onto a plane by how the heads of a study look from them to the first token."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import numpy as np
    import pandas as pd

    from headatlas.attention import queries_keys
    from headatlas.attention.pattern_streams import PatternStream
    from headatlas.base import tables
    from headatlas.data import tokenizer_reading
    from headatlas.data.windows import read_windows
    from headatlas.studies.phrenology import first_token, projections

    stream = PatternStream(dict(zip(run.settings["models"], snakemake.input.patterns, strict=True)))
    own = []
    for path in snakemake.input.queries_keys:
        _, queries, keys, facts = queries_keys.read_heads(path)
        own.append(projections.self_scores(queries, keys, facts["scaling"]))
    published = np.concatenate(own)  # (head, prompt, position); corrected, from position 1 on
    prompts = published.shape[1]
    corrected = first_token.times_uniform(stream.first(prompts), stream.size, stream.packing)
    ids = read_windows(snakemake.input.windows)[:prompts]
    tokenizer = tokenizer_reading.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    parts = []
    for protocol, features, first in (("published", published, 0), ("corrected", corrected, 1)):
        points, _ = projections.first_token(features)
        prompt, position = np.indices(points.shape[:2], dtype=np.int32).reshape(2, -1)
        columns = {"protocol": protocol, "prompt": prompt, "position": position + np.int32(first)}
        columns["token"] = tokenizer_reading.describe_tokens(tokenizer, ids[:, first:].reshape(-1))
        columns |= {"component_1": points[..., 0].reshape(-1), "component_2": points[..., 1].reshape(-1)}
        parts.append(pd.DataFrame(columns))
    tables.write(run.out.first_token, pd.concat(parts, ignore_index=True), provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
