"""Classes of tokens that are predicted: what ablating a head costs may be the cost of some of them alone."""

import numpy as np

CLASSES = ("new", "repeated", "frequent", "rare", "first", "first half", "second half")
PAIRS = (("new", "repeated"), ("frequent", "rare"), ("first half", "second half"))  # that are held against one another


def of_targets(inputs, targets, counted, causal):
    """Which predictions are of which class.

    Parameters
    ----------
    inputs : integer array of shape (prompt, position)
        What the model is shown.
    targets : integer array of shape (prompt, position)
        What it is to predict there; -1 for nothing.
    counted : integer array
        Tokens that frequencies are counted in.
    causal : bool
        Whether a prediction sees the inputs up to its own position alone.

    Returns
    -------
    dict from str to bool array of shape (prompt, position)
        For each of CLASSES: "repeated" is what the inputs that the prediction sees hold already, "new" what they do
        not; "frequent" the fewest tokens that make up half of `counted`, "rare" all others; "first" the first
        prediction of a prompt, "first half" and "second half" its others by their place among its predictions.
    """
    targets = np.asarray(targets)
    there = targets >= 0
    same = np.asarray(inputs)[:, None, :] == targets[:, :, None]  # (prompt, prediction, input)
    repeated = (same & np.tri(targets.shape[1], dtype=bool) if causal else same).any(-1)
    ids, counts = np.unique(counted, return_counts=True)
    order = np.lexsort((ids, -counts))
    before = np.cumsum(counts[order]) - counts[order]
    frequent = np.isin(targets, ids[order][2 * before < counts.sum()])
    place = there.cumsum(1) - 1
    first = place == 0
    early = 2 * place < there.sum(1, keepdims=True)
    found = [~repeated, repeated, frequent, ~frequent, first, ~first & early, ~first & ~early]
    return {name: there & own for name, own in zip(CLASSES, found, strict=True)}
