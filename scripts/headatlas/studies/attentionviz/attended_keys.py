"""Which keys the queries of one prompt attend to most: the arrows on joint maps."""

import numpy as np
import pandas as pd


def most_attended(queries, keys, seen, scaling, *, shown=5, most=3):
    """Which keys some queries of one prompt attend to most, for arrows on a map.

    Parameters
    ----------
    queries, keys : arrays of shape (position, d_head)
        Of one head over one prompt.
    seen : bool array of shape (query, key)
    scaling : float
        Attention is the softmax of the dot product times it.
    shown : int
        Queries, evenly spread over those that can choose among several keys.
    most : int
        Keys of each, as far as it attends to them more than to the mean of those it sees.

    Returns
    -------
    DataFrame of [query, key, weight]
        The strongest first within each query.
    """
    choosing = np.nonzero(seen.sum(1) > 1)[0]
    picked = choosing[np.unique(np.linspace(0, len(choosing) - 1, min(shown, len(choosing))).round().astype(int))]
    rows = []
    for query in picked:
        visible = np.nonzero(seen[query])[0]
        scores = scaling * (keys[visible].astype(np.float64) @ queries[query].astype(np.float64))
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        for place in np.argsort(-weights, kind="stable")[:most]:
            if weights[place] > 1 / len(visible):
                rows.append((query, visible[place], weights[place]))
    return pd.DataFrame(rows, columns=["query", "key", "weight"])
