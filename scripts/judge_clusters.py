"""Say how many clusters stand: nulls, resampled prompts, other seeds, matched heads; in tables and in words."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.studies.phrenology import cluster_report, clustering

    given, seed, path = run.settings["clusters"], run.settings["seed"], snakemake.input.resolutions
    heads, embedding = clustering.read_embedding(snakemake.input.embeddings)
    members = clustering.member_labels(heads)
    found = cluster_report.judge(
        embedding,
        members,
        tables.read(snakemake.input.clusters, ["cluster"], protocol="corrected")["cluster"].to_numpy(),
        clustering.read_search(path, "corrected"),
        clustering.graph_builder(members, "corrected", given["neighbours"], given["weight"]),
        clustering.search_settings(members, "corrected", given["repeated_draws"], seed),
        tables.read_lists(snakemake.input.distances, "jensen_shannon"),
        permutations={"labels": given["label_permutations"], "heads": given["head_permutations"]},
        resamples=given["resamples"],
        seed=seed,
        jobs=run.settings["threads"],
    )
    search = clustering.read_search(path, "published")
    published = cluster_report.as_published(search, members, given["label_permutations"], seed)
    for name, table in found.tables(heads, published).items():
        facts = {"sentence": found.sentences[0]} if name == "standing" else None
        tables.write(vars(run.out)[name], table, facts=facts, provenance=run.provenance)
    best = search.best(clustering.criterion(members, "published"))
    with open(run.out.findings, "w", encoding="utf-8") as file:
        file.write(cluster_report.words(found, published, best))


if "snakemake" in globals():
    main(snakemake)
