"""Weigh the evidence for kinds and partners: stability, effects, weights, transplants; how universal is each head?"""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.data import ngram_baselines
    from headatlas.studies.phrenology import head_tables
    from headatlas.studies.phrenology.correspondence import partners
    from headatlas.studies.phrenology.validation import circuit_similarity, evidence, transplants

    given, seed = snakemake.input, run.settings["seed"]
    heads, distances = head_tables.read_distances(given.distances)
    for path, column, name in ((given.kinds, "candidate", "kind"), (given.partners, "group", "group")):
        labels = tables.read(path, [*head_tables.IDENTITY, column]).rename(columns={column: name})
        heads = heads.merge(labels, on=head_tables.IDENTITY, how="left", validate="one_to_one")
    told = [tables.read(path) for path in given.losses or (given.ablation_costs, given.transplants)]
    found = evidence.weigh(
        heads,
        distances,
        {name: tables.read_lists(given.knockouts, name) for name in evidence.ABLATIONS},
        {name: tables.read_lists(given.circuits, name) for name in circuit_similarity.CIRCUITS},
        transplants.alone(heads, *told) if given.losses else transplants.rows_of(*told),
        tables.read(given.stability),
        lambda *of: partners.match_partners(*of, seed=seed),
        permutations=run.settings["permutations"],
        seed=seed,
    )
    with open(run.out.findings, "w", encoding="utf-8") as file:
        file.write(ngram_baselines.in_findings(found.pop("findings"), given.judged))
    found["evidence"].to_csv(run.out.csv, index=False, float_format="%.4g")
    for name, table in found.items():
        tables.write(getattr(run.out, name), table, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
