"""Attention weighted by what it moves: a token that is attended to, but whose value writes little, matters little.

Kobayashi et al. 2020, "Attention is Not Only a Weight: Analyzing Transformers with Vector Norms": what a head adds to
the stream is the sum over keys j of A[i, j] f(x_j), with f(x_j) = (x_j W_V + b_V) W_O. So beside A[i, j] stands
A[i, j] |f(x_j)|, here as a share of its sum over keys, so that both sum to one for every query. The bias behind W_O
belongs to no key and is left out, as is a norm behind it.
"""

import numpy as np
import pandas as pd
import torch

from headatlas.base.statistics import mean_and_error
from headatlas.models import interventions
from headatlas.models.forward_batches import MEMORY, batches

PLACES = ("distance", "first token")


def weighted(pattern, values, writers):
    """Attention times the norm of what its keys' values write, as shares.

    Parameters
    ----------
    pattern : Tensor of shape (batch, head, query, key)
    values : Tensor of shape (batch, head, key, d_head)
    writers : Tensor of shape (head, d_head, d_model)

    Returns
    -------
    Tensor of shape (batch, head, query, key)
        Rows sum to one; of a query whose keys all write nothing it is the pattern.
    """
    gram = writers @ writers.mT  # |v W_O|^2 = v W_O W_O^T v^T, in d_head x d_head numbers
    norms = ((values @ gram) * values).sum(-1).clamp(min=0).sqrt()  # (batch, head, key)
    moved = pattern * norms[:, :, None]
    total = moved.sum(-1, keepdim=True)
    return torch.where(total > 0, moved / total.clamp(min=1e-30), pattern)


def by_place(pattern, real, causal):
    """Mean attention of each prompt at every distance, and to the first token.

    Parameters
    ----------
    pattern : Tensor of shape (batch, head, query, key)
    real : bool Tensor of shape (batch, position)
        Tokens that are not padding. A first query of a causal model has no choice and is left out.
    causal : bool

    Returns
    -------
    Tensor of shape (batch, head, place), float64
        Distances from query back to key (of a model that looks ahead from -(size - 1) on), then the first token; NaN
        where a prompt has no such pair.
    """
    size = pattern.shape[-1]
    asked = real.clone()
    if causal:
        asked[:, 0] = False
    pairs = (asked[:, :, None] & real[:, None, :])[:, None].double()  # (batch, 1, query, key)
    found = []
    for distance in range(0 if causal else 1 - size, size):
        own, there = (each.diagonal(-distance, 2, 3) for each in (pattern, pairs))
        found.append((own * there).sum(-1) / there.sum(-1))
    later = pairs[:, :, 1:, 0]
    found.append((pattern[:, :, 1:, 0] * later).sum(-1) / later.sum(-1))
    return torch.stack(found, -1)


def place_table(family, windows, memory=MEMORY):
    """Attention and value-weighted attention of every head by distance, and to the first token.

    Parameters
    ----------
    family : ToyFamily or PretrainedFamily
    windows : integer array of shape (prompt, position)
    memory : int
        Bytes of a forward pass, about.

    Returns
    -------
    DataFrame
        member, layer, head, place ("distance" or "first token"), distance (from query back to key; NaN for the first
        token), attention and weighted (means over prompts of the mean over a prompt's queries), difference (weighted
        less attention) and standard_error (of the difference, over prompts).
    """
    size, tables = windows.shape[1], []
    distances = np.arange(0 if family.causal else 1 - size, size)
    places = {"place": [PLACES[0]] * len(distances) + [PLACES[1]], "distance": np.append(distances, np.nan)}
    for member in range(family.members):
        opened = interventions.open_member(family, member)
        found = [[] for _ in range(family.layers)]
        for part in batches(family, windows, memory):
            real = torch.from_numpy(np.ones_like(windows[part], dtype=bool))
            real = real if family.pad is None else torch.from_numpy(windows[part] != family.pad)
            for taken in family.attention(windows[part], member, values=True):
                shown = real.to(taken.pattern.device)
                moved = weighted(taken.pattern, taken.values, opened.writers(taken.layer))
                both = [by_place(each, shown, family.causal) for each in (taken.pattern, moved)]
                found[taken.layer].append(torch.stack(both).cpu().numpy())  # (2, prompt, head, place)
        for layer, parts in enumerate(found):
            attention, moved = np.concatenate(parts, 1)
            difference, error = mean_and_error(moved - attention, 0)  # (head, place)
            means = {"attention": np.nanmean(attention, 0), "weighted": np.nanmean(moved, 0)}
            means |= {"difference": difference, "standard_error": error}
            for head in range(family.heads):
                own = {name: numbers[head] for name, numbers in means.items()}
                tables.append(pd.DataFrame({"member": member, "layer": layer, "head": head} | places | own))
    return pd.concat(tables, ignore_index=True)
