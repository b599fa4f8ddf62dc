"""What transplants recovered, summed up: a head's partners against others of its kind and all others of the layer.

The share recovered is a ratio of sums: the loss that transplants make good over the loss that the mean ablations cost
(`transplants`). Heads whose ablation costs no more than two standard errors have nothing to recover and are left out.
"""

import numpy as np
import pandas as pd

from headatlas.base.statistics import interval_of_mean, permutation_p_value
from headatlas.studies.phrenology.validation.effect_agreement import permuted_within
from headatlas.studies.phrenology.validation.partner_agreement import over_members, relabelled

NORMS = {"as mapped": "recovered", "equal norm": "recovered_equal_norm"}
SOURCES = ("partner", "kind", "others", "other layer")


class Shares:
    """The transplants of one study, head by head and member by member.

    Parameters
    ----------
    costs, pairs : DataFrame
        What `transplants.transplant` gives.
    partners : int array of shape (head, member)
        `partner_agreement.partners_of`.
    members : integer array of shape (head,)
        From 0 on.
    kinds : integer array of shape (head,)

    Attributes
    ----------
    cost : float array of shape (head,)
        Of the mean ablation, nats per token; NaN where it is within two standard errors of nothing.
    """

    def __init__(self, costs, pairs, partners, members, kinds):
        self.members, self._kinds, self._partners = np.asarray(members), np.asarray(kinds), partners
        self._layers = costs["layer"].to_numpy()
        self._belongs = (self.members[:, None] == np.arange(partners.shape[1])).astype(float)  # (head, member)
        something = costs["ablation"] > 2 * costs["ablation_error"]
        self.cost = costs["ablation"].where(something).to_numpy()
        self._recovered = {}
        for norm, column in NORMS.items():
            table = np.full((len(costs), len(costs)), np.nan)
            table[pairs["receiver"], pairs["donor"]] = pairs[column]
            self._recovered[norm] = table  # (receiver, donor)
        self._same_layer = self._layers[:, None] == self._layers

    def recovered(self, norm):
        """Loss recovered, by source and by the member that the donors are from.

        Parameters
        ----------
        norm : {"as mapped", "equal norm"}

        Returns
        -------
        dict from source to float array of shape (head, member)
            Nats per token, the mean over the donors: "partner"; "kind": others of the layer that are of the head's
            kind; "others": all others of the layer; "other layer". NaN where there are none. Members in which a head
            has no partner count for none of the first three.
        """
        recovered = self._recovered[norm]
        theirs = self._partners[:, self.members]  # (head, donor): the partner in the donor's member
        known, own_layer = np.isfinite(recovered), self._same_layer & (theirs >= 0)
        is_partner = known & (theirs == np.arange(len(theirs)))
        others = known & own_layer & ~is_partner
        masks = {"partner": is_partner, "kind": others & (self._kinds[:, None] == self._kinds), "others": others}
        masks["other layer"] = known & ~self._same_layer
        return {source: self._means(recovered, mask) for source, mask in masks.items()}

    def excess(self, norm, strata, permutations, seed):
        """What partners recover beyond the others of their layer, summed, and the same with heads permuted.

        Parameters
        ----------
        norm : {"as mapped", "equal norm"}
        strata : integer array of shape (head,)
            Heads are permuted within these.
        permutations, seed : int

        Returns
        -------
        observed : float
        null : array of shape (permutation,)
        """
        recovered, rng = self._recovered[norm], np.random.default_rng(seed)
        known = np.isfinite(recovered) & self._same_layer
        sums, counts = np.where(known, recovered, 0) @ self._belongs, known @ self._belongs  # (head, member)
        heads = np.arange(len(recovered))[:, None]
        can = (counts > 1) & np.isfinite(self.cost)[:, None]

        def total(order):
            partners = relabelled(self._partners, order)
            own = recovered[heads, partners]  # of no partner, masked below
            less = own - (sums - own) / np.maximum(1, counts - 1)
            return np.nansum(np.where((partners >= 0) & can, less, 0))

        null = [total(permuted_within(np.asarray(strata), rng)) for _ in range(permutations)]
        return total(np.arange(len(recovered))), np.array(null)

    def ranks(self, norm):
        """Rank of each partner among the heads of its layer and member by what they recover, 1 the best.

        Returns
        -------
        float array of shape (head, member)
            NaN where a head has no partner.
        """
        recovered, theirs = self._recovered[norm], self._partners[:, self.members]
        partner = np.take_along_axis(recovered, theirs, 1)  # -1 is masked below
        better = ((recovered > partner) & self._same_layer) @ self._belongs
        return np.where(self._partners >= 0, 1 + better, np.nan)

    def of_layer(self):
        """How many heads the layer of each head has in each member, (head, member)."""
        return self._same_layer @ self._belongs

    def _means(self, values, mask):
        counts = mask @ self._belongs
        sums = np.where(mask, values, 0) @ self._belongs
        return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def by_head(shares):
    """Share of every head's ablation cost that its partners and others recover.

    Parameters
    ----------
    shares : Shares

    Returns
    -------
    DataFrame
        row (head), norm, source, share, low, high (95% over the members that donors are from; NaN of two), members and
        rank (of partners: in their layer by what they recover, 1 the best, mean over members). Rows of heads whose
        ablation costs nothing, and of sources that do not exist, are left out.
    """
    tables = []
    for norm in NORMS:
        ranks = shares.ranks(norm)
        for source, values in shares.recovered(norm).items():
            for row in np.flatnonzero(np.isfinite(shares.cost)):
                own = values[row, np.isfinite(values[row])] / shares.cost[row]
                if not len(own):
                    continue
                rank = np.nanmean(ranks[row]) if source == "partner" else np.nan
                tables.append((row, norm, source, *interval_of_mean(own), len(own), rank))
    return pd.DataFrame(tables, columns=["row", "norm", "source", "share", "low", "high", "members", "rank"])


def overall(shares, strata, permutations=1000, seed=0):
    """Share recovered over all heads, by source, and how much more of it partners recover.

    Parameters
    ----------
    shares : Shares
    strata : integer array of shape (head,)
        Heads are permuted within these in the null: member, layer and kind.
    permutations, seed : int

    Returns
    -------
    DataFrame
        norm, source, share, low, high (95% over members; NaN of two), heads (how many), p and permutations (of "partner
        less others" alone). Beside the sources: "partner less others", "partner less kind", and "partner best", the
        share of heads and members in which no other head of the layer recovers more, with its chance in the column
        `chance`; there, `rank` is the partner's mean rank in the layer, and `rank_chance` that of a head drawn at
        random.
    """
    rows = []
    for norm in NORMS:
        found = shares.recovered(norm)
        for source in (*SOURCES, "partner less others", "partner less kind"):
            first, *less = source.split(" less ")
            values = found[first] - (found[less[0]] if less else 0)
            row = _ratio(values, shares) | {"norm": norm, "source": source}
            if source == "partner less others" and np.isfinite(row["share"]):
                observed, null = shares.excess(norm, strata, permutations, seed)
                p = permutation_p_value(np.round(observed, 12), np.round(null, 12))
                row |= {"p": p, "permutations": permutations}
            rows.append(row)
        ranks = np.where(np.isfinite(shares.cost)[:, None], shares.ranks(norm), np.nan)
        known = np.isfinite(ranks)
        row = _ratio(np.where(known, ranks == 1, np.nan), shares, np.ones(len(ranks)), within=(0, 1))
        row |= {"norm": norm, "source": "partner best"}
        if known.any():
            sizes = shares.of_layer()[known]
            row |= {"chance": (1 / sizes).mean(), "rank": ranks[known].mean(), "rank_chance": (sizes + 1).mean() / 2}
        rows.append(row)
    names = ["norm", "source", "share", "low", "high", "heads", "chance", "rank", "rank_chance", "p", "permutations"]
    return pd.DataFrame(rows).reindex(columns=names)


def _ratio(values, shares, whole=None, **possible):
    """The sum of values (head, member) over that of the heads' cost, and its interval over members."""
    whole = shares.cost if whole is None else whole
    known = np.isfinite(values) & np.isfinite(shares.cost)[:, None]
    if not known.any():
        return {"share": np.nan, "low": np.nan, "high": np.nan, "heads": 0}
    part, cost = np.where(known, values, 0), np.where(known, whole[:, None], 0)
    by_member = [np.zeros((values.shape[1], values.shape[1])) for _ in range(2)]
    for sums, added in zip(by_member, (part, cost), strict=True):
        np.add.at(sums, shares.members, added)
    low, high = over_members(*by_member, **possible)
    return {"share": part.sum() / cost.sum(), "low": low, "high": high, "heads": int(known.any(1).sum())}
