"""Everything that can be held against a clustering of heads, in tables and in words.

Two nulls, resampled prompts, other seeds, other distances, and a matching of heads that knows of no cluster: what is
left standing is a statement about heads of transformers, not about an algorithm.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from headatlas.studies.phrenology import cluster_validation
from headatlas.studies.phrenology.clustering import by_size
from headatlas.studies.phrenology.correspondence import head_matching
from headatlas.studies.phrenology.knn_graph import neighbour_graph

SEEDS = 5  # of the search, compared with one another
ALPHA = 0.05


@dataclass(frozen=True)
class Judgement:
    """Attributes
    ----------
    nulls, draws : DataFrame
        As in `clusters.Null`, for all nulls.
    clusters : DataFrame
        The table of `clusters.Verdict`.
    consensus : array of int32, (head,)
        Heads that share a cluster in most resamples.
    share : array of float, (head,)
        How often a head is found with the other heads of its cluster; NaN where it is alone.
    agreement : DataFrame
        between (what is compared), ari (adjusted Rand index), least, comparisons.
    matched, pairs : DataFrame
        As in `matching.match_members`; empty with a single member.
    sentences : list of str
    """

    nulls: pd.DataFrame
    draws: pd.DataFrame
    clusters: pd.DataFrame
    consensus: np.ndarray
    share: np.ndarray
    agreement: pd.DataFrame
    matched: pd.DataFrame
    pairs: pd.DataFrame
    sentences: list

    def tables(self, heads, published):
        """What is written down, by name: rows carry the identity of heads and members.

        Parameters
        ----------
        heads : DataFrame of [model, member, layer, head]
        published : clusters.Null or None
            Of `as_published`.
        """
        networks = heads[["model", "member"]].drop_duplicates(ignore_index=True)
        both = [("corrected", self.nulls, self.draws)]
        if published is not None:
            both.insert(0, ("published", published.table, published.draws))
        nulls, draws = (
            pd.concat([part[i].assign(protocol=part[0]) for part in both], ignore_index=True) for i in (1, 2)
        )
        matched, pairs = self.matched.copy(), self.pairs[["distance"]].copy()
        for end in ("first", "second"):
            of_member = networks.iloc[matched.pop(end)]
            for name in reversed(networks.columns):
                matched.insert(0 if end == "first" else 2, f"{end}_{name}", of_member[name].to_numpy())
            of_head = heads.iloc[self.pairs[f"{end}_row"]]
            pairs = pairs.assign(**{f"{end}_{name}": of_head[name].to_numpy() for name in heads})
        stability = heads.assign(consensus=self.consensus, share=self.share)
        return {
            "nulls": nulls,
            "draws": draws,
            "standing": self.clusters,
            "stability": stability,
            "agreement": self.agreement,
            "matched": matched,
            "pairs": pairs,
        }


_MATCHED = ["first", "second", "distance", "gap", "null_gap", "p", "same_cluster"]
_PAIRS = ["first", "second", "first_row", "second_row", "distance"]


def as_published(search, members, permutations, seed=0):
    """The published F-score under permuted member labels: a `clusters.Null`; None with a single member."""
    if len(np.unique(members)) == 1:
        return None
    return cluster_validation.label_null(search, members, permutations, seed)


def words(found, published, best):
    """The findings as Markdown.

    Parameters
    ----------
    found : Judgement
    published : clusters.Null or None
    best : resolution_search.Choice
        As published.
    """
    first, *others = found.sentences
    lines = [f"**Which clusters of heads stand?** {first}", ""]
    lines += [f"- {sentence}" for sentence in others]
    count = int(best.labels.max()) + 1
    plateau = f"{count} clusters at resolution {best.resolution:.2f}"
    plateau += f", the first of {best.draws} draws from {best.low:.2f} to {best.high:.2f} that score the same"
    if published is None:
        lines.append(f"- As published: {plateau} in modularity, for a single member leaves no F-score.")
    else:
        f = published.table.set_index("statistic").loc["f_published"]
        lines.append(
            f"- As published: F = {f['observed']:.3f}, {plateau}; permuted member labels reach {f['null_mean']:.3f} "
            f"(95% below {f['null_95']:.3f}, p = {f['p']:.3g})."
        )
    return "\n".join([*lines, ""])


def judge(embedding, members, chosen, search, build, settings, distances, *, permutations, resamples, seed=0, jobs=1):
    """Hold a clustering against chance and against itself.

    Parameters
    ----------
    embedding : array of float, (head, prompt, value)
    members : array of int, (head,)
    chosen : array of int, (head,)
        The clustering.
    search : resolution_search.Search
        It was chosen from.
    build : functools.partial
        Of `knn_graph.euclidean_graph`, with its neighbours and weight.
    settings : clusters.SearchSettings
        Of every search that is repeated.
    distances : array of float, (head, head)
        Mean Jensen-Shannon distances, for the matching and for a graph that knows nothing of the embedding.
    permutations : mapping of {"labels", "heads"} to int
    resamples, seed, jobs : int

    Returns
    -------
    Judgement
    """
    several = len(np.unique(members)) > 1
    found = [
        cluster_validation.head_null(embedding, members, build, settings, permutations["heads"], seed=seed, jobs=jobs)
    ]
    if several:  # a permutation of one label changes nothing
        found.insert(0, cluster_validation.label_null(search, members, permutations["labels"], seed))
    nulls, draws = (
        pd.concat([getattr(null, name) for null in found], ignore_index=True) for name in ("table", "draws")
    )
    again = cluster_validation.bootstrap_clusters(embedding, members, build, settings, resamples, seed, jobs)
    jaccard = cluster_validation.cluster_jaccard(chosen, again)
    verdict = cluster_validation.verdict(
        cluster_validation.cluster_evenness(chosen, members, seed=seed), jaccard, nulls, settings.criterion, alpha=ALPHA
    )
    together, consensus = cluster_validation.consensus(again)
    graph, _ = build(embedding)
    other = neighbour_graph(distances=distances, **{name: build.keywords[name] for name in ("neighbours", "weight")})
    agreement = _agreement(graph, other, members, chosen, again, consensus, settings)
    matched, pairs = pd.DataFrame(columns=_MATCHED, dtype=float), pd.DataFrame(columns=_PAIRS, dtype=float)
    if several:
        matched, pairs = head_matching.match_members(distances, members, chosen, seed=seed)
    sentences = [verdict.sentence, *_shuffled(nulls), *_firmness(agreement), *_matches(matched, pairs, members)]
    share = _share(together, chosen)
    return Judgement(nulls, draws, verdict.table, by_size(consensus), share, agreement, matched, pairs, sentences)


def _share(together, chosen):
    """Mean co-assignment of every head with the others of its cluster."""
    same = (chosen[:, None] == chosen) & ~np.eye(len(chosen), dtype=bool)
    count = same.sum(1)
    return np.where(count > 0, (together * same).sum(1) / np.maximum(count, 1), np.nan)


def _agreement(graph, other, members, chosen, again, consensus, settings):
    seeds = cluster_validation.seed_agreement(graph, members, settings, SEEDS)[np.triu_indices(SEEDS, 1)]
    compared = {
        "other seeds of the search": seeds,
        "resampled prompts": [adjusted_rand_score(chosen, labels) for labels in again],
        "consensus of the resamples": [adjusted_rand_score(chosen, consensus)],
        "Jensen-Shannon distances": [
            adjusted_rand_score(chosen, settings(other, members).best(settings.criterion).labels)
        ],
    }
    return pd.DataFrame(
        {"between": name, "ari": np.mean(values), "least": np.min(values), "comparisons": len(values)}
        for name, values in compared.items()
    )


def _shuffled(nulls):
    """What is left of the clustering when heads are shuffled within member and prompt."""
    heads = nulls[nulls["null"] == "heads"].set_index("statistic")
    said = [
        f"{name} {row['observed']:.3f} against {row['null_mean']:.3f} (p = {row['p']:.3g})"
        for name, row in heads.loc[["modularity", "silhouette"]].iterrows()
    ]
    f = heads.loc["f_weighted"]
    even = "."
    if (nulls["null"] == "labels").any():
        even = (
            f"; F {f['observed']:.3f} against {f['null_mean']:.3f}, which shuffled heads reach because those of one "
            "member exclude one another."
        )
    times = int(f["permutations"])
    return [
        f"Heads shuffled within member and prompt ({times} times, the whole search repeated): {', '.join(said)}{even}"
    ]


def _firmness(agreement):
    ari = agreement.set_index("between")
    return [
        "The clustering agrees (adjusted Rand index) with "
        + ", ".join(f"{name} {row['ari']:.2f}" for name, row in ari.iterrows())
        + "."
    ]


def _matches(matched, pairs, members):
    if matched.empty:
        return ["One member: there is no other whose heads could be matched with its own."]
    beyond = int((matched["p"] <= ALPHA).sum())
    consistent = head_matching.cycle_consistency(pairs)
    fewest = np.unique(members, return_counts=True)[1].min()
    cycles = (
        ""
        if np.isnan(consistent)
        else (f"; matching a to b to c agrees with a to c for {consistent:.0%} of heads (chance {1 / fewest:.0%})")
    )
    return [
        "Heads matched one to one between every two members, clusters unseen: nearer than the best assignment of "
        f"noise in {beyond} of {len(matched)} pairs of members; {matched['same_cluster'].mean():.0%} of matched heads "
        f"are in the same cluster{cycles}."
    ]
