"""Matching of heads between members on planted heads and on noise."""

from itertools import permutations

import numpy as np
import pytest

from headatlas.studies.phrenology import knn_graph
from headatlas.studies.phrenology.correspondence import head_matching
from planted import planted_heads


def matched(noise):
    patterns, member, kind = planted_heads(types=8, members=4, noise=noise, prompts=20)
    distances = knn_graph.euclidean_graph(patterns, 3)[1]
    return distances, kind, head_matching.match_members(distances, member, labels=kind, draws=200)


def test_planted_heads_find_their_partners():
    distances, kind, (summary, pairs) = matched(1)
    assert len(summary) == 6
    assert (kind[pairs["first_row"]] == kind[pairs["second_row"]]).all()
    assert (summary["same_cluster"] == 1).all()
    assert (summary["p"] < 0.01).all()
    assert (summary["gap"] > summary["null_gap"]).all()
    assert head_matching.cycle_consistency(pairs) == 1
    block = distances[:8, 8:16]
    best = min(np.mean([block[i, j] for i, j in enumerate(order)]) for order in permutations(range(8)))
    assert summary["distance"][0] == pytest.approx(best)
    assert summary["gap"][0] == pytest.approx(block.mean() - best)


def test_noise_has_a_gap_too_but_no_more_than_noise():
    _, _, (summary, pairs) = matched(None)
    assert (summary["gap"] > 0).all()
    assert summary["p"].mean() > 0.2
    assert head_matching.cycle_consistency(pairs) < 0.6
