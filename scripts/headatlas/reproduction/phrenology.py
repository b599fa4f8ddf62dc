"""Figures and tables of Attention Phrenology (Edkins & Wiechecki 2023) beside a run."""

import numpy as np
from scipy.stats import spearmanr

from headatlas.attention.packing import places
from headatlas.reproduction.claims import Claim

SETUP = {"corpus": "brown", "members": 9, "layers": 1, "heads": 8, "d_model": 256, "context": 16}
TABLES = {
    name: f"phrenology/{name}.parquet"
    for name in (
        *("autoencoders", "resolutions", "clusters", "plateaus", "kinds", "distances", "head_cards", "projections"),
        *("components", "effect_agreement"),
    )
}
# The authors' notebook (Figure 4 shows the same curve): first maximum, and draws that reach it
_F, _RESOLUTION, _DRAWS = 0.8295, 2.1634, 334
_SIZES = (15, 11, 10, 10, 9, 9, 8)
_ARTIFICIAL = ("uniform", "current token", "current and previous token")  # in the order of `projections`


def claims(tables):
    """What the paper reports and what a run gives.

    Parameters
    ----------
    tables : mapping from a name of `TABLES` to DataFrame

    Returns
    -------
    list of Claim
    """
    return [
        *_autoencoders(tables["autoencoders"]),
        *_clusters(tables["resolutions"], tables["clusters"], tables["plateaus"], tables["kinds"]),
        *_distances(tables["distances"], tables["head_cards"]),
        *_projections(tables["projections"]),
        *_components(tables["components"]),
        *_effects(tables["effect_agreement"]),
    ]


def _autoencoders(table):
    published = table[table["protocol"] == "published"].groupby("width")[["mse", "aic"]].mean()
    corrected = table[(table["protocol"] == "corrected") & (table["split"] == "prompts")]
    error = corrected.pivot_table(index="width", columns="method", values="mse")
    bic = corrected.pivot_table(index="width", columns="method", values="bic")
    widths = list(published.index)
    less = int((error["pca"] < error["autoencoder"]).sum())
    return [
        Claim(
            "Table 1",
            "The error falls with the width of the autoencoder: MSE .003355 (2), .003071, .002481, .001563, .000819, "
            ".000230 (64).",
            f"MSE {published['mse'].iloc[0]:.6f} ({widths[0]}) to {published['mse'].iloc[-1]:.6f} ({widths[-1]})",
            f"on prompts held out, PCA errs less than the autoencoder at {less} of {len(error)} widths",
            bool((published["mse"].diff().dropna() < 0).all()),
            "the error falls at every step",
        ),
        Claim(
            "Table 1",
            "AIC chooses 2 values: it rises from 15.39 (2) to 144.75 (64).",
            f"AIC {published['aic'].iloc[0]:.2f} ({widths[0]}) to {published['aic'].iloc[-1]:.2f} ({widths[-1]})",
            "with the parameters that were trained, BIC is least for "
            f"{bic.min().idxmin()} of width {bic[bic.min().idxmin()].idxmin()}; the paper counts none of them",
            bool(published["aic"].idxmin() == widths[0]),
            "the narrowest is chosen, as it is by construction: -2 ln(MSE) rises as the fit improves",
        ),
    ]


def _clusters(resolutions, clusters, plateaus, kinds):
    draws = resolutions[resolutions["leiden"] == "converged"]
    best = draws.loc[draws["f_published"].idxmax()]
    reached = int((draws["partition"] == best["partition"]).sum())
    sizes = sorted(clusters["cluster"].value_counts(), reverse=True)
    chosen = plateaus[plateaus["chosen"]].iloc[0]
    supported = "are kinds" if (kinds["kind"] >= 0).any() else "cannot be told from a continuum"
    lasting = f"a factor of {np.exp(chosen['length']):.1f} in resolution"
    rivals = ", ".join(str(count) for count in plateaus.loc[plateaus["rival"], "kinds"])
    rivals = f", nearly as long {rivals}" if rivals else ""
    kinds_found = f"{int(chosen['kinds'])} groups last longest ({lasting}{rivals}) and {supported}"
    return [
        Claim(
            "Figure 4",
            f"F is largest, {_F}, at resolution {_RESOLUTION}; {_DRAWS} of 1,000 draws reach it.",
            f"F {best['f_published']:.3f} at resolution {best['resolution']:.2f}; {reached} of {len(draws):,} draws",
            "F is no evidence: heads of one member that exclude one another reach it without corresponding",
            bool(abs(best["f_published"] - _F) < 0.1 and reached > 0.1 * len(draws)),
            "F within 0.1, on a plateau of a tenth of the draws or more",
        ),
        Claim(
            "Figure 5",
            f"{len(_SIZES)} clusters of {', '.join(map(str, _SIZES))} heads.",
            f"{len(sizes)} clusters of {', '.join(map(str, sizes))} heads",
            kinds_found,
            bool(abs(len(sizes) - len(_SIZES)) <= 1),
            "as many clusters, give or take one",
        ),
    ]


def _distances(distances, cards):
    apart = np.stack(distances["euclidean"]).astype(float)
    np.fill_diagonal(apart, np.nan)
    mean = np.nanmean(apart, 1)
    correlation = float(spearmanr(mean, cards["current_token"]).statistic)  # ties have their mean rank
    between = np.stack(distances["jensen_shannon"]).astype(float)
    np.fill_diagonal(between, np.nan)
    return [
        Claim(
            "Figure 7",
            "Some heads stand out as different from the rest: those whose tokens mostly attend to themselves. None "
            "are identical.",
            f"rank correlation of a head's mean distance with its attention to the current token {correlation:+.2f}; "
            f"least distance of two heads {np.nanmin(apart):.1f}",
            f"Jensen-Shannon distances from {np.nanmin(between):.2f} to {np.nanmax(between):.2f}",
            bool(correlation > 0.3 and np.nanmin(apart) > 0),
            "a rank correlation above .3, and no distance of zero",
        )
    ]


def _projections(table):
    place = ["component_1", "component_2"]
    nearest = {}
    for method, of_method in table.groupby("method"):
        real = of_method[of_method["member"] >= 0][place].to_numpy()
        scale = np.linalg.norm(real - real.mean(0), axis=1).mean()
        for number, head in of_method[of_method["member"] < 0].set_index("head").iterrows():
            gap = np.linalg.norm(real - head[place].to_numpy(dtype=float), axis=1).min()
            nearest.setdefault(_ARTIFICIAL[number], {})[method] = gap / scale
    umap = {name: gaps["umap"] for name, gaps in nearest.items()}
    return [
        Claim(
            "Figure 8",
            "The head that attends to everything alike is central to a cluster of heads; the two that attend to the "
            "current token, "
            "and to it and the one before, are less central and close to real clusters.",
            "distance to the nearest head, in mean distances from the centre, under UMAP: "
            + ", ".join(f"{name} {gap:.2f}" for name, gap in umap.items()),
            "the same figure, with trustworthiness on each panel",
            bool(umap["uniform"] == min(umap.values())),
            "under UMAP the uniform head is the nearest of the three to a real one",
        )
    ]


def _components(table):
    packed = len(table["weights"].iloc[0])
    square = round(np.sqrt(packed)) ** 2 == packed and table.attrs.get("packing") == "full"
    size = round(np.sqrt(packed)) if square else round((np.sqrt(8 * packed + 1) - 1) / 2)
    query, key = places(size, "full" if square else "lower")
    share = {}
    for number in range(min(3, table["component"].max() + 1)):
        weights = np.stack(table[table["component"] == number]["weights"]).astype(float)
        squares = (weights**2).sum(0)
        share[number] = {
            "the diagonal": squares[query == key].sum() / squares.sum(),
            "the previous token": squares[(query - key) == 1].sum() / squares.sum(),
            "the first token": squares[(key == 0) & (query > 1)].sum() / squares.sum(),
        }
    said = {
        number: ", ".join(f"{words} {value:.0%}" for words, value in shares.items()) for number, shares in share.items()
    }
    largest = {number: max(shares, key=shares.get) for number, shares in share.items()}
    return [
        Claim(
            "Figure 9",
            "The first principal component is attention to the current token, the second roughly to the one before.",
            f"share of squared weight, first component: {said[0]}; second: {said[1]}",
            "the same figure: nothing to correct",
            largest[0] == "the diagonal" and largest[1] == "the previous token",
            "the share is largest there",
        ),
        Claim(
            "Figure 10",
            "The third component has one sign at the first token of the sequence and the other elsewhere, positive "
            "for stop words.",
            f"share of squared weight: {said[2]}",
            "the same figure: nothing to correct",
            largest[2] == "the first token",
            "the share at the first token is the largest of the three",
        ),
    ]


def _effects(table):
    whole = table[(table["ablation"] == "mean") & (table["group"] >= 0)]
    kinds = whole[whole["what"].isin(["kind", "candidate"])]
    partners = whole[whole["what"] == "partner"]
    alike = [int((part["p_holm"] <= 0.05).sum()) for part in (kinds, partners)]
    return [
        Claim(
            "Figures 12, 13",
            'At "They sit alone in their rooms" the first head suppresses "are", "were" and "will", and so do some, '
            "not all, of its cluster.",
            "drawn for a prompt and a cluster of this run",
            "with mean and resample ablation beside zero",
            None,
            "the words are those of one prompt under one tokenizer and one network",
        ),
        Claim(
            "Figure 14",
            "Some clusters have similar effects on the output as well as similar attention (seen in a PCA, softmax "
            "over positions).",
            "drawn; the axis of the softmax is wrong, so that no number stands behind it",
            f"effects agree beyond permuted heads for {alike[0]} of {len(kinds)} groups of the plateau and {alike[1]} "
            f"of {len(partners)} "
            f"groups of partners (Holm); R2 {whole['r2'].min():.2f} to {whole['r2'].max():.2f}",
            bool(sum(alike) > 0),
            "at least one group agrees in its effects, as corrected",
        ),
    ]
