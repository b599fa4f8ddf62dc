"""Match the heads of all members at once, one of each in every group: whose counterpart is which head?"""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.studies.phrenology import head_tables
    from headatlas.studies.phrenology.correspondence import partners, stability

    heads, distances = head_tables.read_distances(snakemake.input.distances)
    parts, members = head_tables.read_parts(snakemake.input.parts), head_tables.member_labels(heads)
    find = partners.finder(members, heads["layer"].to_numpy(), seed=run.settings["seed"])
    halves = stability.on_halves(find, parts, halvings=run.settings["kinds"]["halvings"], seed=run.settings["seed"])
    groups, together = partners.consensus_partners(halves, distances, members, heads["layer"])
    tie, cost, away = partners.nearest_swaps(parts, groups, members)
    columns = {name: heads[name].to_numpy() for name in heads}
    columns |= {"group": groups, "tie": tie, "distance_to_partners": away, "swap_cost": cost}
    columns["consensus"] = partners.consensus_of_heads(groups, together)
    tables.write(run.out.partners, columns, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
