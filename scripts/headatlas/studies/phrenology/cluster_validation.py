"""Are clusters of heads real? Two nulls, stability under resampled prompts, consensus, and a verdict in words.

Heads come as `patterns` (head, prompt, entry) (attention patterns, or embeddings of them) with one member label per
head. `build` turns such an array into (graph, distances), for instance `functools.partial(knn_graph.euclidean_graph,
neighbours=8)`; whatever is judged repeats it, and the whole resolution search after it, on every resampling.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations

import igraph
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from headatlas.base.errors import InputError
from headatlas.base.progress import bar
from headatlas.base.statistics import permutation_p_value
from headatlas.studies.phrenology.leiden import leiden
from headatlas.studies.phrenology.partition_scores import evenness, member_codes
from headatlas.studies.phrenology.resolution_search import resolution_search


@dataclass(frozen=True)
class SearchSettings:
    """The resolution search that every resampling repeats, and which of its clusterings is taken."""

    draws: int
    low: float = 0.01
    high: float = 3.0
    iterations: int = 2
    criterion: str = "f_weighted"
    seed: int = 0

    def __call__(self, graph, members, distances=None, seed=None):
        """The `resolution_search.Search` of a graph, under a seed of its own where one is given."""
        seed = self.seed if seed is None else seed
        return resolution_search(graph, members, self.draws, self.low, self.high, self.iterations, seed, distances)


@dataclass(frozen=True)
class Null:
    """What was observed against a null distribution.

    Attributes
    ----------
    table : DataFrame
        null, statistic, observed, null_mean, null_sd, null_95 (95th percentile), p (one-sided, observed counted in),
        permutations.
    draws : DataFrame
        null, statistic, permutation, value.
    """

    table: pd.DataFrame
    draws: pd.DataFrame = field(repr=False)


def _null(name, observed, values):
    """`observed` {statistic: number} and `values` {statistic: (permutation,)} as a Null."""
    # the same score summed in another order differs in its last bits, which must not decide a tie
    values = {statistic: np.round(np.asarray(draws, dtype=np.float64), 12) for statistic, draws in values.items()}
    table = pd.DataFrame(
        {
            "null": name,
            "statistic": statistic,
            "observed": observed[statistic],
            "null_mean": draws.mean(),
            "null_sd": draws.std(ddof=1) if len(draws) > 1 else np.nan,
            "null_95": np.quantile(draws, 0.95),
            "p": permutation_p_value(np.round(observed[statistic], 12), draws),
            "permutations": len(draws),
        }
        for statistic, draws in values.items()
    )
    draws = [
        pd.DataFrame({"null": name, "statistic": statistic, "permutation": np.arange(len(draws)), "value": draws})
        for statistic, draws in values.items()
    ]
    return Null(table, pd.concat(draws, ignore_index=True))


def label_null(search, members, permutations, seed=0):
    """Null (i): member labels permuted over all heads, the graph kept.

    Is one head per member more even than chance, given this geometry? The graph does not change, so neither do the
    partitions that the search would find: every permutation takes its own maximum over all of them.

    Parameters
    ----------
    search : resolution_search.Search
    members : sequence, (node,)
    permutations, seed : int

    Returns
    -------
    Null
        Of the search's maximum of "f_published" and "f_weighted".
    """
    codes = member_codes(members, search.partitions.shape[1])
    rng = np.random.default_rng(seed)
    statistics = ("f_published", "f_weighted")
    values = {name: np.empty(permutations) for name in statistics}
    with bar(permutations, "member labels permuted", "permutations") as shown:
        for i in range(permutations):
            scores = evenness(search.partitions, rng.permutation(codes))
            for name in statistics:
                values[name][i] = scores[name].max()
            shown.update()
    return _null("labels", {name: search.scores[name].max() for name in statistics}, values)


def cluster_evenness(labels, members, permutations=2000, seed=0):
    """How evenly each cluster draws on the members, against permuted member labels.

    Returns
    -------
    DataFrame
        cluster, size, distinct (members), precision, recall, f, f_null (mean under permutation), p.
    """
    labels, codes = np.asarray(labels), member_codes(members, len(labels))
    among, size = codes.max() + 1, np.bincount(labels)

    def f_of(codes):
        seen = np.zeros((len(size), among), dtype=bool)
        seen[labels, codes] = True
        return 2 * seen.sum(1) / (size + among), seen.sum(1)

    rng = np.random.default_rng(seed)
    f, distinct = f_of(codes)
    null = np.array([f_of(rng.permutation(codes))[0] for _ in range(permutations)])  # (permutation, cluster)
    return pd.DataFrame(
        {
            "cluster": np.arange(len(size)),
            "size": size,
            "distinct": distinct,
            "precision": distinct / size,
            "recall": distinct / among,
            "f": f,
            "f_null": null.mean(0),
            "p": [permutation_p_value(a, b) for a, b in zip(f, null.T, strict=True)],
        }
    )


def shuffle_heads(patterns, members, rng):
    """Deal the heads of each member anew in every prompt: a copy of (head, prompt, entry) without head identity."""
    members, prompts = np.asarray(members), np.arange(patterns.shape[1])
    shuffled = np.empty_like(patterns)
    for member in np.unique(members):
        heads = np.flatnonzero(members == member)
        order = rng.random((len(heads), len(prompts))).argsort(0)
        shuffled[heads] = patterns[heads[order], prompts]
    return shuffled


def _in_parallel(tasks, jobs, description):
    """Results of `(function, *arguments)` tasks in their order, in `jobs` processes."""
    with bar(len(tasks), description, "resamplings") as shown:
        results = []
        for result in Parallel(n_jobs=jobs, return_as="generator")(delayed(_on_one_thread)(*task) for task in tasks):
            results.append(result)
            shown.update()
    return results


def _on_one_thread(function, *arguments):
    """Threads of products this small would mostly wait for one another."""
    with threadpool_limits(1):
        return function(*arguments)


def head_statistics(patterns, members, build, settings, seed, splits=1):
    """What null (ii) compares, of one set of heads; the graph and the search are made anew.

    Returns
    -------
    dict
        The maximum of "f_published" and "f_weighted"; "modularity" and "silhouette" of the chosen clustering;
        "split_half_ari", the adjusted Rand index of the clusterings chosen on two random halves of the prompts.
    """
    rng = np.random.default_rng(seed)
    graph, distances = build(patterns)
    search = settings(graph, members, distances, seed)
    chosen = search.draws.iloc[int(np.argmax(search.draws[settings.criterion]))]
    agreement = []
    for _ in range(splits):
        order = rng.permutation(patterns.shape[1])
        halves = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
        found = [settings(build(patterns[:, half])[0], members, None, seed) for half in halves]
        agreement.append(adjusted_rand_score(*(part.best(settings.criterion).labels for part in found)))
    return {
        "f_published": search.scores["f_published"].max(),
        "f_weighted": search.scores["f_weighted"].max(),
        "modularity": chosen["modularity"],
        "silhouette": np.nan_to_num(chosen["silhouette"], nan=-1.0),
        "split_half_ari": np.mean(agreement),
    }


def _shuffled_statistics(patterns, members, build, settings, seed, splits):
    shuffled = shuffle_heads(patterns, members, np.random.default_rng(seed))
    return head_statistics(shuffled, members, build, settings, seed, splits)


def head_null(patterns, members, build: Callable, settings, permutations, splits=1, seed=0, jobs=1):
    """Null (ii): heads shuffled within each member and prompt before the graph is built.

    Is there a head identity across prompts at all? Shuffled heads of one member exclude one another, which by itself
    spreads members evenly over clusters: read F against `label_null`, and modularity, silhouette and split-half
    agreement against this one.

    Parameters
    ----------
    patterns : array of float, (head, prompt, entry)
    members : sequence, (head,)
    build : callable
        (head, prompt, entry) to (graph, distances).
    settings : SearchSettings
    permutations : int
    splits : int
        Random halvings of the prompts, averaged.
    seed, jobs : int
        Processes; the result does not depend on their number.

    Returns
    -------
    Null
        Of the statistics of `head_statistics`.
    """
    members = np.asarray(members)
    if patterns.shape[1] < 2:
        raise InputError(f"head null: {patterns.shape[1]} prompt cannot be split in halves")
    seeds = [int(s) for s in np.random.SeedSequence(seed).generate_state(permutations)]
    tasks = [(_shuffled_statistics, patterns, members, build, settings, s, splits) for s in seeds]
    tasks.insert(0, (head_statistics, patterns, members, build, settings, settings.seed, splits))
    observed, *null = _in_parallel(tasks, jobs, "heads shuffled within member and prompt")
    return _null("heads", observed, {name: [values[name] for values in null] for name in observed})


def seed_agreement(graph, members, settings, seeds):
    """Adjusted Rand index between the clusterings chosen under every two seeds: (seed, seed)."""
    chosen = [settings(graph, members, seed=settings.seed + i).best(settings.criterion).labels for i in range(seeds)]
    agreement = np.eye(seeds)
    for i, j in combinations(range(seeds), 2):
        agreement[i, j] = agreement[j, i] = adjusted_rand_score(chosen[i], chosen[j])
    return agreement


def _resampled(patterns, members, build, settings, seed):
    prompts = np.random.default_rng(seed).integers(patterns.shape[1], size=patterns.shape[1])
    return settings(build(patterns[:, np.sort(prompts)])[0], members, None, seed).best(settings.criterion).labels


def bootstrap_clusters(patterns, members, build: Callable, settings, resamples, seed=0, jobs=1):
    """Clusterings chosen on prompts drawn with replacement: int (resample, head).

    Parameters are those of `head_null`.
    """
    seeds = [int(s) for s in np.random.SeedSequence(seed).generate_state(resamples)]
    tasks = [(_resampled, patterns, np.asarray(members), build, settings, s) for s in seeds]
    return np.array(_in_parallel(tasks, jobs, "prompts resampled"))


def cluster_jaccard(labels, resampled):
    """How much of each cluster is found again: its best Jaccard index in every resample (Hennig 2007).

    Parameters
    ----------
    labels : array of int, (head,)
    resampled : array of int, (resample, head)

    Returns
    -------
    array of float, (resample, cluster)
        Its mean over resamples is the cluster's stability; 0.75 and more counts as stable.
    """
    labels = np.asarray(labels)
    own = np.eye(labels.max() + 1)[labels]  # (head, cluster)
    result = np.empty((len(resampled), own.shape[1]))
    for i, other in enumerate(np.asarray(resampled)):
        theirs = np.eye(other.max() + 1)[other]
        both = own.T @ theirs
        result[i] = (both / (own.sum(0)[:, None] + theirs.sum(0) - both)).max(1)
    return result


def consensus(resampled, method="hierarchical", seed=0):
    """One clustering out of many: heads that are mostly together (Lancichinetti & Fortunato 2012).

    Parameters
    ----------
    resampled : array of int, (resample, head)
    method : {"hierarchical", "leiden"}
        Average linkage, cut where heads share a cluster in half of the resamples; or Leiden at modularity on the
        co-assignments of at least a half.

    Returns
    -------
    together : array of float, (head, head)
        Share of resamples in which two heads are in one cluster.
    labels : array of int, (head,)
        Numbered in the order of their first heads.
    """
    resampled = np.asarray(resampled)
    together = sum((labels[:, None] == labels).astype(np.float64) for labels in resampled) / len(resampled)
    if method == "hierarchical":
        found = fcluster(linkage(squareform(1 - together, checks=False), "average"), 0.5, "distance")
    elif method == "leiden":
        source, target = np.nonzero(np.triu(together >= 0.5, 1))
        graph = igraph.Graph(len(together), np.column_stack([source, target]))
        graph.es["weight"] = together[source, target]
        found = leiden(graph, [1.0], iterations=-1, seed=seed)[0]
    else:
        raise InputError(f"consensus method: {method!r} is neither hierarchical nor leiden")
    return together, pd.factorize(found)[0]


@dataclass(frozen=True)
class Verdict:
    """Which clusters stand.

    Attributes
    ----------
    table : DataFrame
        `cluster_evenness` with jaccard (mean over resamples) and stands.
    sentence : str
        The same in words and numbers.
    """

    table: pd.DataFrame
    sentence: str


def verdict(clusters, jaccard, nulls, criterion="f_weighted", least_jaccard=0.75, alpha=0.05):
    """Say which clusters are real.

    A cluster stands if it is found again under resampled prompts (mean Jaccard index of `least_jaccard` or more, Hennig
    2007) and draws on more members than permuted labels would have it, and if the clustering as a whole passes: its F
    is beyond permuted member labels and, where heads were shuffled too, its split-half agreement beyond shuffled heads.
    Of a single member, whose nulls hold shuffled heads alone, evenness over members is not asked for.

    Parameters
    ----------
    clusters : DataFrame
        Of `cluster_evenness`.
    jaccard : array of float, (resample, cluster)
        Of `cluster_jaccard`.
    nulls : DataFrame
        The tables of `label_null` and, if made, `head_null`, one below the other.
    criterion : {"f_weighted", "f_published", "modularity"}
        The last for a single member.
    least_jaccard, alpha : float

    Returns
    -------
    Verdict
    """
    tests = nulls.set_index(["null", "statistic"])
    several = criterion != "modularity"
    if several and ("labels", criterion) not in tests.index:
        raise InputError(f"verdict: the nulls hold no {criterion!r} under permuted labels")
    passed, said = True, ["a single member, so that evenness over members says nothing"]
    if several:
        f = tests.loc[("labels", criterion)]
        passed = f["p"] <= alpha
        said = [
            f"F = {f['observed']:.3f} against {f['null_mean']:.3f} under permuted member labels "
            f"(95% below {f['null_95']:.3f}, p = {f['p']:.3g})"
        ]
    if ("heads", "split_half_ari") in tests.index:
        halves = tests.loc[("heads", "split_half_ari")]
        passed &= halves["p"] <= alpha
        said.append(
            f"clusters of two halves of the prompts agree by an adjusted Rand index of {halves['observed']:.2f} "
            f"against {halves['null_mean']:.2f} when heads are shuffled (p = {halves['p']:.3g})"
        )
    table = clusters.assign(jaccard=np.asarray(jaccard).mean(0))
    even = table["f"] > table["f_null"] if several else True
    table["stands"] = passed & (table["jaccard"] >= least_jaccard) & even
    standing = table.loc[table["stands"], "cluster"].tolist()
    fallen = table[~table["stands"]]
    names = f" ({', '.join(map(str, standing))})" if standing else ""
    many = f"{len(standing) or 'None'} of {len(table)} clusters {'stands' if len(standing) == 1 else 'stand'}{names}"
    if not passed:
        why = "the clustering as a whole is no better than chance"
    elif len(fallen):
        unstable = fallen.loc[fallen["jaccard"] < least_jaccard, "cluster"].tolist()
        uneven = fallen.loc[several & (fallen["f"] <= fallen["f_null"]), "cluster"].tolist()
        why = "; ".join(
            f"{what}: {', '.join(map(str, which))}"
            for what, which in (
                (f"not found again under resampled prompts (Jaccard < {least_jaccard:g})", unstable),
                ("no more even over members than chance", uneven),
            )
            if which
        )
    else:
        why = f"every one is found again under resampled prompts (Jaccard at least {table['jaccard'].min():.2f})"
    return Verdict(table, f"{many}: {why}; {'; '.join(said)}.")
